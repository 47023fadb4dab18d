/* graph.h - the graph of one version of an index in memory: its sections, its parameters, and who may touch what.
 *
 * Sections by slot:  vectors (the space's rows), keys (u64), nodes (rhumb__node_record), lists0 (M0 slots per row).
 * By upper row:      lists_upper (M slots per row); a node of level L owns L rows in succession, for levels 1 to L.
 * By 512 slots:      tombstones, see tombstones.h.
 * Of the key table:  key_buckets and key_overflow, see key_table.h.
 *
 * INVARIANTS
 *   1. Slot numbers are handed out in order, under append_lock, together with the upper rows; never reused.
 *   2. A slot's vector, key and empty lists are written before its node record says `present` (release), and the record
 * is stored before any list refers to the slot. So whoever reads a slot from a list can read all of its data.
 *   3. A list holds no slot twice, never its own, only slots of nodes that exist on that level; entries come first,
 *      then RHUMB__SLOT_NONE. A reader that runs beside a writer may see an entry twice or miss one, and nothing else.
 *   4. The entry point is, of the nodes on the highest level that any finished insert has, the one with the lowest
 * slot.
 *   5. In a file all of this may be violated. Every slot read from a list or from the key table is checked against
 * slot_limit before it is used, every level and upper row likewise. Damage makes answers worse, nothing else.
 *
 * LOCKS: base/lock_ranks.h has their order. Searches take none of them.
 */
#ifndef RHUMB_ENGINE_GRAPH_GRAPH_H
#define RHUMB_ENGINE_GRAPH_GRAPH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "distances/space.h"
#include "engine/graph/key_table.h"
#include "engine/graph/params.h"
#include "storage/store.h"

typedef struct rhumb__graph rhumb__graph;
typedef struct rhumb__writer rhumb__writer;

/* Numbers of the sections in the file. Never reused. */
enum {
    RHUMB__SECTION_VECTORS = 1,
    RHUMB__SECTION_KEYS = 2,
    RHUMB__SECTION_NODES = 3,
    RHUMB__SECTION_LISTS0 = 4,
    RHUMB__SECTION_LISTS_UPPER = 5,
    RHUMB__SECTION_KEY_BUCKETS = 6,
    RHUMB__SECTION_KEY_OVERFLOW = 7,
    RHUMB__SECTION_TOMBSTONES = 8
};

/* A row of the nodes section, as one 64-bit number: bits 0 to 31 the first upper row (if level > 0), bits 32 to 39 the
 * level, bit 40 whether the node is present. 0 is a slot that has no node yet. */
typedef _Atomic uint64_t rhumb__node_record;

#define RHUMB__NODE_PRESENT (UINT64_C(1) << 40)

static inline uint64_t rhumb__node_encode(uint32_t upper_row, uint32_t level) {
    return RHUMB__NODE_PRESENT | (uint64_t)level << 32 | upper_row;
}
static inline uint32_t rhumb__node_level(uint64_t record) { return (uint32_t)(record >> 32) & 0xFF; }
static inline uint32_t rhumb__node_upper_row(uint64_t record) { return (uint32_t)record; }

/* The entry point as one number, so that a search never sees the slot of one and the level of another. */
#define RHUMB__ENTRY_NONE UINT64_MAX
static inline uint64_t rhumb__entry_encode(uint32_t slot, uint32_t level) { return (uint64_t)level << 32 | slot; }
static inline uint32_t rhumb__entry_slot(uint64_t entry) { return (uint32_t)entry; }
static inline uint32_t rhumb__entry_level(uint64_t entry) { return (uint32_t)(entry >> 32); }

/* Inserts under way. Each has a place here from before it takes its slot until it has finished. */
#define RHUMB__ACTIVE_INSERT_MAX 256u
#define RHUMB__ACTIVE_FREE UINT64_C(0)
#define RHUMB__ACTIVE_CLAIMED (UINT64_C(1) << 62)     /* no slot yet */
#define RHUMB__ACTIVE_LINKABLE (UINT64_C(1) << 63)    /* its data can be read: others may link to it */
#define RHUMB__ACTIVE_SLOT(state) ((uint32_t)(state)) /* meaningful when the state is not free or claimed */
#define RHUMB__ACTIVE_HAS_SLOT(state) (((state) & (UINT64_C(1) << 61)) != 0)
static inline uint64_t rhumb__active_encode(uint32_t slot) { return (UINT64_C(1) << 61) | slot; }

/* A slot that is still in the key table although its node is deleted, see remove.c. */
typedef struct rhumb__removal {
    uint64_t key;
    uint32_t slot;
} rhumb__removal;

typedef struct rhumb__removals {
    bool deferred; /* changes under removal_lock (exclusive) */
    rhumb__mutex lock;
    rhumb__removal *items; /* guarded by lock */
    uint64_t count;
    uint64_t capacity;
} rhumb__removals;

/* The user's own bytes, see metadata.h. */
#define RHUMB__METADATA_BYTES_MAX 3072u
typedef struct rhumb__metadata {
    uint32_t bytes_count;
    uint8_t bytes[RHUMB__METADATA_BYTES_MAX]; /* zero behind these */
} rhumb__metadata;

struct rhumb__graph {
    rhumb__store *store;
    rhumb__writer *writer; /* NULL in a reader */
    rhumb__space space;
    rhumb__params params;
    uint64_t id;     /* of this graph among all that the process ever had: tells a handle's graphs apart */
    bool graph_only; /* a reader without vectors: no row of that section may be touched */
    bool writable;

    rhumb__section vectors;
    rhumb__section keys;
    rhumb__section nodes;
    rhumb__section lists0;
    rhumb__section lists_upper;
    rhumb__section tombstones; /* one bit per slot, see tombstones.h */
    rhumb__key_table key_table;

    _Atomic uint64_t entry;      /* release by the insert that raises it, acquire by searches */
    _Atomic uint64_t slot_limit; /* all slot sections can be read below it; release by growth, acquire by searches */
    _Atomic uint64_t upper_row_limit; /* the same for lists_upper */

    rhumb__mutex append_lock; /* guards counts (but not its key numbers) and the handing out of slots */
    rhumb__counts counts;
    _Atomic uint64_t finished_count; /* inserts that have finished */
    _Atomic uint64_t dead_count;     /* deletes that have finished: the difference is what rhumb_index_count shows */
    _Atomic uint64_t replace_begun;  /* upserts that have begun to replace a node, and those that have finished: */
    _Atomic uint64_t replace_done;   /* while they differ, a key may lead to two nodes that can be found */
    rhumb__rwlock removal_lock;      /* shared by deletes and upserts, exclusive for the beginning of a checkpoint */
    rhumb__removals removals;
    /* The nodes in slots [unlinked_begin, unlinked_end) come from the log, or are the last that a compaction carried
     * over, and no link leads to them yet. Release by the threads that link them, acquire by searches, which look at
     * these slots one by one. */
    _Atomic uint64_t unlinked_begin;
    uint64_t unlinked_end; /* set before anybody else knows the graph */
    _Atomic uint64_t active[RHUMB__ACTIVE_INSERT_MAX];
    _Atomic bool paused; /* no insert may begin; set and cleared by the holder of pause_lock */
    rhumb__mutex pause_lock;
    rhumb__metadata metadata;             /* of the newest version; to change it takes checkpoint_lock too */
    const rhumb__metadata *metadata_next; /* what the next version is to have, or NULL: the same */
};

/* Allocates a graph without a store, a writer or sections. RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_new(rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Releases what is the graph's own: neither its store nor its writer. NULL is fine. */
void rhumb__graph_free(rhumb__graph *graph);

/* Maps the sections of the version that the file has, or, with `next`, creates empty ones for the generation that is
 * going to replace it. Needs params and space. What rhumb__store_attach returns. */
rhumb_status rhumb__graph_attach(rhumb__graph *graph, bool next) RHUMB_NODISCARD;

/* Checks that the sections have as many rows as the counts in the superblock say. RHUMB_E_CORRUPT. */
rhumb_status rhumb__graph_check_sections(const rhumb__graph *graph) RHUMB_NODISCARD;

/* Sets everything that follows from parameters and counts, once the sections are attached. */
void rhumb__graph_start(rhumb__graph *graph);

/* Begins the graph that is going to replace a writer's: an empty one in the same file, of the same parameters. Nobody
 * else knows it. RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_next(const rhumb__graph *old, rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Releases such a graph that has come to nothing, and its blocks in the file. NULL is fine. */
void rhumb__graph_drop_next(rhumb__graph *graph);

/* Releases a graph that has been replaced by the next, which has its place in the store from then on. Nobody may use it
 * any more. */
void rhumb__graph_replaced(rhumb__graph *graph);

/* RHUMB_E_UNSUPPORTED when the graph was opened without its vectors. */
rhumb_status rhumb__graph_check_vectors(const rhumb__graph *graph) RHUMB_NODISCARD;

static inline const void *rhumb__graph_vector(const rhumb__graph *graph, uint32_t slot) {
    return rhumb__section_row(&graph->vectors, slot);
}

static inline uint64_t rhumb__graph_key(const rhumb__graph *graph, uint32_t slot) {
    return *(const uint64_t *)rhumb__section_row(&graph->keys, slot);
}

/* The node record of a slot below slot_limit. Acquire pairs with the release in write_node. */
static inline uint64_t rhumb__graph_node(const rhumb__graph *graph, uint32_t slot) {
    return atomic_load_explicit((rhumb__node_record *)rhumb__section_row(&graph->nodes, slot), memory_order_acquire);
}

/* Nodes that can be found. */
static inline uint64_t rhumb__graph_live_count(const rhumb__graph *graph) {
    const uint64_t dead_count = atomic_load(&graph->dead_count);
    /* A node may be deleted by one thread before another has counted it as finished. */
    const uint64_t finished_count = atomic_load(&graph->finished_count);
    return finished_count > dead_count ? finished_count - dead_count : 0;
}

/* One above the largest key ever inserted. */
static inline uint64_t rhumb__graph_key_next(rhumb__graph *graph) {
    rhumb__mutex_lock(&graph->append_lock);
    const uint64_t key = graph->counts.key_next;
    rhumb__mutex_unlock(&graph->append_lock);
    return key;
}

/* Slots handed out so far. */
static inline uint64_t rhumb__graph_slot_count(rhumb__graph *graph) {
    rhumb__mutex_lock(&graph->append_lock);
    const uint64_t count = graph->counts.slot_count;
    rhumb__mutex_unlock(&graph->append_lock);
    return count;
}

#endif /* RHUMB_ENGINE_GRAPH_GRAPH_H */
