/* graph.h - the graph of one version of an index in memory: its sections, its parameters, and who may touch what.
 *
 * Sections by slot:  vectors (the space's rows), keys (u64), nodes (rhumb__node_record), lists0 (M0 slots per row);
 *                    codes, if the index has them: see codes.h.
 * By upper row:      lists_upper (M slots per row); a node of level L owns L rows in succession, for levels 1 to L.
 * By 512 slots:      tombstones, see tombstones.h.
 *                    changed, if the index has fused rows: see changed.h.
 * By 8 slots:        ties, see ties.h.
 * Of the key table:  key_buckets and key_overflow, see key_table.h.
 * What they are in the file is in one table: see sections.h.
 *
 * INVARIANTS
 *   1. Slots are allocated in order, under append_lock, together with their upper rows, and never reused.
 *   2. A slot's vector, key and empty lists are written before its node record says `present` (release), and the record
 *      is stored before any list refers to the slot. So a thread that reads a slot from a list can read all of its
 *      data.
 *   3. A list has no duplicates, does not contain its own slot, and contains only nodes that exist on that level; the
 *      entries come first, then RHUMB__SLOT_NONE. A thread that reads a list while another changes it may see an entry
 *      twice or miss one, nothing else.
 *   4. The entry point is the node with the lowest slot among those on the highest level that a linked node has.
 *   5. A file may violate all of this. Every slot read from a list or from the key table is checked against slot_limit
 *      before it is used, and so is every level and upper row. Damage makes answers worse, nothing else.
 *
 * LOCKS: base/lock_ranks.h has their order. Searches take none of them.
 */
#ifndef RHUMB_ENGINE_GRAPH_GRAPH_H
#define RHUMB_ENGINE_GRAPH_GRAPH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/lock.h"
#include "distances/code/coder.h"
#include "distances/space.h"
#include "engine/graph/fused_row.h"
#include "engine/graph/key_table.h"
#include "engine/graph/params.h"
#include "engine/graph/recall_cell.h"
#include "engine/graph/row_use.h"
#include "engine/graph/sections.h"
#include "storage/store.h"

typedef struct rhumb__writer rhumb__writer;
typedef struct rhumb__open_batch rhumb__open_batch;
typedef struct rhumb__derived_choice rhumb__derived_choice;

/* A row of the nodes section, as one 64-bit number: bits 0 to 31 hold the first upper row (if level > 0), bits 32 to 39
 * the level, bit 40 whether the node is present. 0: the slot has no node yet. */
typedef _Atomic uint64_t rhumb__node_record;

#define RHUMB__NODE_PRESENT (UINT64_C(1) << 40)

static inline uint64_t rhumb__node_encode(uint32_t upper_row, uint32_t level) {
    RHUMB_ASSERT_DEBUG(level <= RHUMB__LEVEL_MAX);
    return RHUMB__NODE_PRESENT | (uint64_t)level << 32 | upper_row;
}
static inline uint32_t rhumb__node_level(uint64_t record) { return (uint32_t)(record >> 32) & 0xFF; }
static inline uint32_t rhumb__node_upper_row(uint64_t record) { return (uint32_t)record; }

/* The entry point as one number, so that a search never combines the slot of one with the level of another. */
#define RHUMB__ENTRY_NONE UINT64_MAX
static inline uint64_t rhumb__entry_encode(uint32_t slot, uint32_t level) {
    RHUMB_ASSERT_DEBUG(slot < RHUMB__SLOT_LIMIT && level <= RHUMB__LEVEL_MAX);
    return (uint64_t)level << 32 | slot;
}
static inline uint32_t rhumb__entry_slot(uint64_t entry) { return (uint32_t)entry; }
static inline uint32_t rhumb__entry_level(uint64_t entry) { return (uint32_t)(entry >> 32); }

/* The states of an insert under way, see active.h. */
#define RHUMB__ACTIVE_INSERT_MAX 256u
#define RHUMB__ACTIVE_FREE UINT64_C(0)
#define RHUMB__ACTIVE_CLAIMED (UINT64_C(1) << 62)     /* no slot yet */
#define RHUMB__ACTIVE_LINKABLE (UINT64_C(1) << 63)    /* its data can be read: other inserts may link to it */
#define RHUMB__ACTIVE_SLOT(state) ((uint32_t)(state)) /* valid unless the state is free or claimed */
#define RHUMB__ACTIVE_HAS_SLOT(state) (((state) & (UINT64_C(1) << 61)) != 0)
static inline uint64_t rhumb__active_encode(uint32_t slot) { return (UINT64_C(1) << 61) | slot; }

/* A slot that stays in the key table although its node is deleted, see removal.c. */
typedef struct rhumb__removal {
    uint64_t key;
    uint32_t slot;
} rhumb__removal;

typedef struct rhumb__removals {
    _Atomic uint64_t kept_below; /* slots below it stay in the table; 0: none. Raised under removal_lock (exclusive),
                                    set to 0 under lock */
    rhumb__mutex lock;
    uint64_t round; /* how often kept_below has been set; guarded by lock, as the three below */
    rhumb__removal *items;
    uint64_t count;
    uint64_t capacity;
} rhumb__removals;

/* The user's own bytes, see metadata.h. */
#define RHUMB__METADATA_BYTES_MAX 3072u
typedef struct rhumb__metadata {
    uint32_t bytes_count;
    uint8_t bytes[RHUMB__METADATA_BYTES_MAX]; /* the rest is zero */
} rhumb__metadata;

struct rhumb__graph {
    rhumb__store *store;
    rhumb__writer *writer; /* NULL in a reader */
    rhumb__space space;
    rhumb__coder coder;        /* if params.code_bits is not 0 */
    rhumb__fused_layout fused; /* if params.lane_bits is not 0 */
    rhumb__params params;
    uint64_t id;                   /* unique in the process, also among graphs that have been freed */
    _Atomic uint32_t holder_count; /* see hold.h */
    rhumb__io *rows_io;            /* set once nothing but the vectors is left: has the pin of their version */
    bool graph_only;               /* a reader without vectors: sections that hold them are not mapped */
    bool writable;
    bool coded; /* every slot has its code, see codes.h */

    rhumb__section sections[RHUMB__SECTION_ID_LIMIT]; /* by id */
    /* How many rows of each derived section, counted from the first, are valid; the rows of inserts under way need not
     * be. 0 in a new graph; in an opened one, what the file has. The code that derives the rows raises the number with
     * a release store after it has written them, at most to the section's row_capacity, or to UINT64_MAX once every
     * insert writes its own row. */
    _Atomic uint64_t derived_row_counts[RHUMB__SECTION_ID_LIMIT];
    uint64_t changed_limit;               /* slots from it on count as changed, see changed.h, which owns the two */
    _Atomic uint64_t changes_noted_limit; /* changes of the lists of slots below it are noted */
    _Atomic bool weaving;                 /* a thread makes fused rows; taken and released by build/weave.c */
    rhumb__row_use row_use;               /* which rows may be read, see row_use.h */
    _Atomic uint64_t renewed_count;       /* rows that have been renewed, by build/renew.c */
    _Atomic uint64_t renew_checked_slots; /* how many slots there were when rows were last looked at, or first made */
    rhumb__key_table key_table;

    /* By level, among the nodes whose highest level it is and that are linked: the lowest slot, or RHUMB__SLOT_NONE. */
    _Atomic uint32_t level_first[RHUMB__LEVEL_COUNT];
    _Atomic uint64_t copy_count;      /* nodes that are copies, see ties.h; in an opened graph it may be higher */
    _Atomic uint64_t entry;           /* release by the insert that raises it, acquire by searches */
    _Atomic uint64_t slot_limit;      /* slots below it can be read; release by growth, acquire by searches */
    _Atomic uint64_t upper_row_limit; /* the same for rows of lists_upper */

    /* Guards the allocation of slots, and `counts` except for its key table numbers, level_first and copy_count. */
    rhumb__mutex append_lock;
    rhumb__counts counts;
    _Atomic uint64_t slot_count; /* that of `counts`, for readers without the lock: raised before a list names a slot */
    rhumb__open_batch *open_batches; /* see build/open_batch.h; also under append_lock */
    uint64_t hidden_batch_count;     /* batches under way whose nodes are hidden, see build/batch_write.c; likewise */
    _Atomic uint64_t hidden_count;   /* their nodes, which count as deleted */
    _Atomic uint64_t finished_count; /* inserts that have finished */
    _Atomic uint64_t dead_count;     /* deletes that have finished; rhumb_index_count returns the difference */
    _Atomic uint64_t replace_begun;  /* upserts that have begun to replace a node, and upserts that have finished: */
    _Atomic uint64_t replace_done;   /* while the two differ, a search may find two nodes of one key */
    rhumb__rwlock removal_lock; /* shared by deletes, upserts and the ends of batches; exclusive for the beginning of
                                        a checkpoint */
    rhumb__removals removals;
    _Atomic uint64_t unlinked_begin; /* see unlinked.h, which owns the two */
    uint64_t unlinked_end;
    _Atomic uint64_t active[RHUMB__ACTIVE_INSERT_MAX];
    _Atomic bool paused; /* no insert may begin; set and cleared by the holder of pause_lock */
    rhumb__mutex pause_lock;
    rhumb__metadata metadata;               /* of the newest version; guarded as durability/metadata.c says */
    const rhumb__metadata *metadata_next;   /* of the next version; NULL: the same */
    rhumb__recall_cell recall;              /* of the newest version; written as durability/recall_store.c says */
    const rhumb__recall_curve *recall_next; /* of the next version; NULL: the same */
};

/* Allocates a graph without a store, a writer or sections. RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_new(rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Releases what the graph owns, which excludes its store and its writer. NULL is fine. */
void rhumb__graph_free(rhumb__graph *graph);

/* Attaches all sections: those of the version that the file has, or, with `next`, empty ones of the generation that is
 * going to replace it. Needs params and space. What rhumb__store_attach returns. */
rhumb_status rhumb__graph_attach(rhumb__graph *graph, bool next) RHUMB_NODISCARD;

/* The rows of a section that a version with these counts has. */
uint64_t rhumb__graph_row_count(const rhumb__graph *graph, const rhumb__section_info *info,
                                const rhumb__counts *counts);

/* Sets how many rows each section has in the next version, or how many rhumb__store_write_ahead writes. */
void rhumb__graph_set_next_rows(rhumb__graph *graph, const rhumb__counts *counts);

/* Makes room for so many slots and upper rows in every section, and raises slot_limit and upper_row_limit accordingly.
 * Under append_lock. RHUMB_E_FULL, RHUMB_E_NOMEM. */
rhumb_status rhumb__graph_ensure_room(rhumb__graph *graph, uint64_t slot_count,
                                      uint64_t upper_row_count) RHUMB_NODISCARD;

/* Checks that the attached sections have the rows that the counts in the superblock ask for. RHUMB_E_CORRUPT. */
rhumb_status rhumb__graph_check_sections(const rhumb__graph *graph) RHUMB_NODISCARD;

/* Sets everything that follows from parameters and counts. Call it once the sections are attached. */
void rhumb__graph_start(rhumb__graph *graph);

/* Creates the graph that is going to replace a writer's graph: empty, in the same file, with the same parameters, and
 * known to no other thread. It gets the derived sections that are chosen.
 * RHUMB_E_NOMEM, RHUMB_E_UNSUPPORTED. */
rhumb_status rhumb__graph_next(const rhumb__graph *old, const rhumb__derived_choice *derived,
                               rhumb__graph **graph_out) RHUMB_NODISCARD;

/* Releases such a graph when it is not going to replace the other, and its blocks in the file. NULL is fine. */
void rhumb__graph_drop_next(rhumb__graph *graph);

/* Releases a graph that has been replaced, and puts the next one in its place in the store. No thread may use it any
 * more, but its vectors may be held (hold.h): then they stay, and *io, which has a pin of the newest version, is taken
 * and becomes NULL. */
void rhumb__graph_replaced(rhumb__graph *graph, rhumb__io **io);

/* RHUMB_E_UNSUPPORTED when the graph was opened without its vectors. */
rhumb_status rhumb__graph_check_vectors(const rhumb__graph *graph) RHUMB_NODISCARD;

/* Checks, in debug builds, that the rows of a slot can be read. */
static inline void rhumb__graph_assert_slot(const rhumb__graph *graph, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot < atomic_load_explicit(&graph->slot_limit, memory_order_acquire));
    (void)graph;
    (void)slot;
}

static inline const void *rhumb__graph_vector(const rhumb__graph *graph, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(!graph->graph_only);
    rhumb__graph_assert_slot(graph, slot);
    return rhumb__section_row(&graph->sections[RHUMB__SECTION_VECTORS], slot);
}

static inline uint64_t rhumb__graph_key(const rhumb__graph *graph, uint32_t slot) {
    rhumb__graph_assert_slot(graph, slot);
    return *(const uint64_t *)rhumb__section_row(&graph->sections[RHUMB__SECTION_KEYS], slot);
}

/* The node record of a slot below slot_limit. Acquire pairs with the release in rhumb__place_write. */
static inline uint64_t rhumb__graph_node(const rhumb__graph *graph, uint32_t slot) {
    rhumb__graph_assert_slot(graph, slot);
    rhumb__node_record *record = rhumb__section_row(&graph->sections[RHUMB__SECTION_NODES], slot);
    return atomic_load_explicit(record, memory_order_acquire);
}

/* The highest level that a linked node has, or -1. */
static inline int32_t rhumb__graph_level_top(const rhumb__graph *graph) {
    int32_t level = (int32_t)RHUMB__LEVEL_MAX;
    while (level >= 0 && atomic_load(&graph->level_first[level]) == RHUMB__SLOT_NONE) level--;
    return level;
}

/* The number of nodes that searches can find. */
static inline uint64_t rhumb__graph_live_count(const rhumb__graph *graph) {
    const uint64_t dead_count = atomic_load(&graph->dead_count);
    /* One thread may delete a node before another has counted its insert as finished. */
    const uint64_t finished_count = atomic_load(&graph->finished_count);
    return finished_count > dead_count ? finished_count - dead_count : 0;
}

/* The number of deleted nodes that a compaction can drop; those that open batches hide are not among them. */
static inline uint64_t rhumb__graph_deleted_count(const rhumb__graph *graph) {
    const uint64_t hidden_count = atomic_load_explicit(&graph->hidden_count, memory_order_relaxed);
    const uint64_t dead_count = atomic_load(&graph->dead_count);
    return dead_count > hidden_count ? dead_count - hidden_count : 0;
}

/* One above the largest key ever inserted. */
static inline uint64_t rhumb__graph_key_next(rhumb__graph *graph) {
    rhumb__mutex_lock(&graph->append_lock);
    const uint64_t key = graph->counts.key_next;
    rhumb__mutex_unlock(&graph->append_lock);
    return key;
}

/* Slots that have been allocated. Every slot that a list names was before the list was read, so a caller that has met
 * as many slots has met all. */
static inline uint64_t rhumb__graph_slot_count(const rhumb__graph *graph) {
    return atomic_load_explicit(&graph->slot_count, memory_order_acquire);
}

#endif /* RHUMB_ENGINE_GRAPH_GRAPH_H */
