/* topology_export.c - writing the graph of an index into a topology file; see topology.h.
 *
 *   1. sort      the live nodes by key, which gives each its position
 *   2. count     the neighbours of each point, which gives the positions of all arrays
 *   3. write     keys, starts and levels
 *   4. measure   positions and distances of the neighbours, sorted, of each point (link_spool.h)
 *   5. order     block by block: put the links in the order of the points, and write them
 *   6. finish    checksums, header, sync, name
 *
 * Steps 2 and 4 run on several threads, which take slots from a shared counter: in the order of slots, what is read of
 * one point has mostly been read for those before, which matters where memory cannot hold the index. Lists
 * are read twice. The file under the mapping does not change; if another program changes it nevertheless, a point whose
 * number of neighbours differs the second time fails the export, so no thread writes beyond its room.
 *
 * A failure removes the file. Takes no lock.
 */
#include "engine/topology/topology.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/status.h"
#include "engine/graph/tombstones.h"
#include "engine/search/adjacency.h"
#include "engine/search/walk/read_ahead.h"
#include "engine/topology/link_spool.h"
#include "storage/new_file.h"

/* Slots that a thread takes at a time. */
#define SLOTS_PER_TURN 64u

/* Links that are put in order together, and those that wait in memory for each such block (link_spool.h). */
#define BLOCK_LINKS (UINT64_C(1) << 20)
#define BUFFER_LINKS UINT64_C(16384)

typedef struct keyed_slot {
    uint64_t key;
    uint32_t slot;
} keyed_slot;

typedef struct exporter {
    rhumb__graph *graph;
    const rhumb__topology_export_spec *spec;
    rhumb__scratch_pool pool;
    uint64_t slot_count;
    uint64_t point_count;
    keyed_slot *points;  /* sorted by key; released once `order` is made */
    uint32_t *order;     /* by position: the slot */
    uint32_t *positions; /* by slot: the position, or RHUMB__SLOT_NONE */
    uint64_t *starts;
    rhumb__topology_header header;
    rhumb__topology_layout layout;
    rhumb__new_file file;
    uint32_t *checksums;
    rhumb__link_spool spool;
    uint64_t done_before; /* slots of the steps before */
    rhumb__progress progress;
    _Atomic uint64_t next;
    _Atomic bool stopped;
} exporter;

/* ---- sorting ---- */

static int compare_keys(const void *a, const void *b) {
    const keyed_slot *left = a;
    const keyed_slot *right = b;
    return (left->key > right->key) - (left->key < right->key);
}

static rhumb_status fail_node(const exporter *e, const char *what, uint32_t slot) {
    return rhumb__fail_at(RHUMB_E_CORRUPT, e->graph->store->path, RHUMB_OFFSET_NONE,
                          "slot %u %s; 'rhumb repair' makes a new index of what is intact", slot, what);
}

static rhumb_status gather_points(exporter *e) {
    for (uint64_t i = 0; i < e->slot_count; i++) {
        const uint32_t slot = (uint32_t)i;
        if (rhumb__graph_is_dead(e->graph, slot)) continue;
        if ((rhumb__graph_node(e->graph, slot) & RHUMB__NODE_PRESENT) == 0) return fail_node(e, "has no node", slot);
        e->points[e->point_count++] = (keyed_slot){rhumb__graph_key(e->graph, slot), slot};
    }
    return RHUMB_OK;
}

static rhumb_status sort_points(exporter *e) {
    rhumb_status status;
    e->points = rhumb__alloc_zeroed(e->slot_count + 1, sizeof *e->points);
    e->positions = rhumb__alloc_zeroed(e->slot_count + 1, sizeof *e->positions);
    if (e->points == NULL || e->positions == NULL) goto no_memory;
    RHUMB_TRY(gather_points(e));
    qsort(e->points, e->point_count, sizeof *e->points, compare_keys);
    e->order = rhumb__alloc_zeroed(e->point_count + 1, sizeof *e->order);
    e->starts = rhumb__alloc_zeroed(e->point_count + 1, sizeof *e->starts);
    if (e->order == NULL || e->starts == NULL) goto no_memory;
    memset(e->positions, 0xFF, e->slot_count * sizeof *e->positions);
    for (uint64_t i = 0; i < e->point_count; i++) {
        const uint32_t slot = e->points[i].slot;
        if (i > 0 && e->points[i - 1].key == e->points[i].key) return fail_node(e, "has the key of another", slot);
        e->order[i] = slot;
        e->positions[slot] = (uint32_t)i;
        const uint32_t level = rhumb__node_level(rhumb__graph_node(e->graph, slot));
        if (level > RHUMB__LEVEL_MAX) return fail_node(e, "is on a level that cannot be", slot);
        e->header.level_counts[level]++;
    }
    rhumb__free(e->points);
    e->points = NULL;
    e->progress.total_count = 2 * e->slot_count; /* each is counted, then measured */
done:
    return status;
no_memory:
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for the topology of %llu slots", (unsigned long long)e->slot_count);
}

/* ---- counting and measuring ---- */

static uint32_t read_neighbours(exporter *e, rhumb__scratch *scratch, uint32_t slot) {
    const uint32_t level = e->spec->all_levels ? RHUMB__LEVELS_ALL : 0;
    return rhumb__adjacency_read(e->graph, scratch, slot, level, e->slot_count);
}

typedef rhumb_status (*point_visit)(exporter *e, rhumb__scratch *scratch, uint32_t slot);

static rhumb_status count_point(exporter *e, rhumb__scratch *scratch, uint32_t slot) {
    e->starts[e->positions[slot] + 1] = read_neighbours(e, scratch, slot);
    return RHUMB_OK;
}

static rhumb_status measure_point(exporter *e, rhumb__scratch *scratch, uint32_t slot) {
    uint32_t neighbours[RHUMB__ADJACENCY_MAX];
    float distances[RHUMB__ADJACENCY_MAX];
    const uint64_t position = e->positions[slot];
    const uint32_t count = read_neighbours(e, scratch, slot);
    if (count != e->starts[position + 1] - e->starts[position]) return fail_node(e, "changed while it was read", slot);
    rhumb__adjacency_measure(e->graph, scratch, slot, count);
    for (uint32_t i = 0; i < count; i++) {
        const rhumb__candidate candidate = scratch->candidates[i];
        neighbours[i] = e->positions[candidate.slot_mark];
        distances[i] = rhumb__space_finish(&e->graph->space, candidate.distance);
    }
    return rhumb__link_spool_add(&e->spool, position, neighbours, e->spec->with_distances ? distances : NULL);
}

static rhumb_status visit_slots(exporter *e, rhumb__scratch *scratch, uint64_t begin, point_visit visit) {
    const uint64_t end = rhumb__min_u64(begin + SLOTS_PER_TURN, e->slot_count);
    for (uint64_t slot = begin; slot < end; slot++) {
        rhumb__read_ahead_scan(e->graph, RHUMB__SECTION_LISTS0, slot);
        if (e->positions[slot] == RHUMB__SLOT_NONE) continue;
        const rhumb_status status = visit(e, scratch, (uint32_t)slot);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

static rhumb_status visit_points(exporter *e, uint32_t worker_index, point_visit visit) {
    rhumb__scratch *scratch = NULL;
    rhumb_status status = rhumb__scratch_take(&e->pool, &scratch);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(rhumb__adjacency_prepare(scratch));
    while (!atomic_load_explicit(&e->stopped, memory_order_relaxed)) {
        const uint64_t begin = atomic_fetch_add_explicit(&e->next, SLOTS_PER_TURN, memory_order_relaxed);
        if (begin >= e->slot_count) break;
        RHUMB_TRY(visit_slots(e, scratch, begin, visit));
        if (worker_index == 0) RHUMB_TRY(rhumb__progress_report(&e->progress, e->done_before + begin));
    }
done:
    if (status != RHUMB_OK) atomic_store(&e->stopped, true);
    rhumb__scratch_give(scratch);
    return status;
}

static rhumb_status count_worker(void *context, uint32_t worker_index) {
    return visit_points(context, worker_index, count_point);
}

static rhumb_status measure_worker(void *context, uint32_t worker_index) {
    return visit_points(context, worker_index, measure_point);
}

static rhumb_status count_links(exporter *e) {
    rhumb_status status;
    RHUMB_TRY(rhumb__parallel_run(e->spec->thread_count, count_worker, e));
    for (uint64_t i = 0; i < e->point_count; i++) e->starts[i + 1] += e->starts[i];
    e->header.point_count = e->point_count;
    e->header.link_count = e->starts[e->point_count];
    (void)rhumb__topology_lay_out(&e->header, &e->layout); /* an index does not have more than a file can */
    e->header.file_bytes = e->layout.file_bytes;
    e->checksums = rhumb__alloc_zeroed(e->layout.checksum_count, sizeof *e->checksums);
    if (e->checksums == NULL) status = rhumb__fail(RHUMB_E_NOMEM, "no memory for checksums");
done:
    return status;
}

/* ---- writing ---- */

static rhumb_status begin_array(exporter *e, rhumb__topology_array array, rhumb__array_writer *writer) {
    const rhumb__topology_place *place = &e->layout.arrays[array];
    memset(writer, 0, sizeof *writer);
    return rhumb__array_writer_begin(writer, e->file.io, place->offset, e->checksums + place->checksum_first);
}

static rhumb_status write_points(exporter *e) {
    rhumb_status status;
    rhumb__array_writer writer = {0};
    RHUMB_TRY(begin_array(e, RHUMB__TOPOLOGY_ARRAY_KEYS, &writer));
    for (uint64_t i = 0; i < e->point_count; i++) {
        const uint64_t key = rhumb__graph_key(e->graph, e->order[i]);
        RHUMB_TRY(rhumb__array_writer_add(&writer, &key, sizeof key));
    }
    RHUMB_TRY(rhumb__array_writer_end(&writer));
    rhumb__array_writer_destroy(&writer);
    RHUMB_TRY(begin_array(e, RHUMB__TOPOLOGY_ARRAY_STARTS, &writer));
    RHUMB_TRY(rhumb__array_writer_add(&writer, e->starts, (e->point_count + 1) * sizeof *e->starts));
    RHUMB_TRY(rhumb__array_writer_end(&writer));
    rhumb__array_writer_destroy(&writer);
    RHUMB_TRY(begin_array(e, RHUMB__TOPOLOGY_ARRAY_LEVELS, &writer));
    for (uint64_t i = 0; i < e->point_count; i++) {
        const uint8_t level = (uint8_t)rhumb__node_level(rhumb__graph_node(e->graph, e->order[i]));
        RHUMB_TRY(rhumb__array_writer_add(&writer, &level, sizeof level));
    }
    status = rhumb__array_writer_end(&writer);
done:
    rhumb__array_writer_destroy(&writer);
    return status;
}

static rhumb_status write_blocks(exporter *e, rhumb__array_writer *neighbours, rhumb__array_writer *distances) {
    rhumb_status status = RHUMB_OK;
    rhumb__link_spool *spool = &e->spool;
    for (uint32_t block = 0; block < spool->block_count; block++) {
        uint64_t link_count = 0;
        RHUMB_TRY(rhumb__link_spool_order(spool, block, &link_count));
        const uint64_t bytes = link_count * sizeof(uint32_t);
        RHUMB_TRY(rhumb__array_writer_add(neighbours, spool->ordered[RHUMB__LINK_NEIGHBOURS], bytes));
        if (distances == NULL) continue;
        RHUMB_TRY(rhumb__array_writer_add(distances, spool->ordered[RHUMB__LINK_DISTANCES], bytes));
    }
    RHUMB_TRY(rhumb__array_writer_end(neighbours));
    if (distances != NULL) RHUMB_TRY(rhumb__array_writer_end(distances));
done:
    return status;
}

static rhumb_status measure_links(exporter *e) {
    rhumb_status status;
    rhumb__link_spool *spool = &e->spool;
    spool->io = e->file.io;
    spool->offsets[RHUMB__LINK_NEIGHBOURS] = e->layout.arrays[RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS].offset;
    spool->offsets[RHUMB__LINK_DISTANCES] = e->layout.arrays[RHUMB__TOPOLOGY_ARRAY_DISTANCES].offset;
    spool->array_count = e->spec->with_distances ? 2 : 1;
    spool->starts = e->starts;
    spool->point_count = e->point_count;
    spool->block_links = BLOCK_LINKS;
    spool->buffer_links = BUFFER_LINKS;
    RHUMB_TRY(rhumb__link_spool_begin(spool));
    e->done_before = e->slot_count;
    atomic_store(&e->next, 0);
    status = rhumb__parallel_run(e->spec->thread_count, measure_worker, e);
done:
    return status;
}

static rhumb_status write_links(exporter *e) {
    rhumb_status status;
    rhumb__array_writer neighbours = {0};
    rhumb__array_writer distances = {0};
    RHUMB_TRY(measure_links(e));
    RHUMB_TRY(begin_array(e, RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS, &neighbours));
    RHUMB_TRY(begin_array(e, RHUMB__TOPOLOGY_ARRAY_DISTANCES, &distances));
    status = write_blocks(e, &neighbours, e->spec->with_distances ? &distances : NULL);
done:
    rhumb__array_writer_destroy(&neighbours);
    rhumb__array_writer_destroy(&distances);
    return status;
}

static void fill_header(exporter *e) {
    rhumb__topology_header *header = &e->header;
    const rhumb__params *params = &e->graph->params;
    const rhumb__superblock *superblock = &e->graph->store->superblock;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    header->magic = RHUMB__TOPOLOGY_MAGIC;
    header->format_version = RHUMB__TOPOLOGY_FORMAT_VERSION;
    memcpy(header->uuid, superblock->uuid, sizeof header->uuid);
    header->epoch = superblock->epoch;
    header->lsn = e->graph->counts.lsn;
    header->created_unix_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    header->creator_version = e->spec->creator_version;
    header->flags = (e->spec->with_distances ? RHUMB__TOPOLOGY_DISTANCES : 0) |
                    (e->spec->all_levels ? RHUMB__TOPOLOGY_ALL_LEVELS : 0);
    header->metric = (uint32_t)params->metric;
    header->element = (uint32_t)params->element;
    header->dim = params->dim;
    header->M = params->M;
    header->M0 = params->M0;
}

static rhumb_status finish_file(exporter *e) {
    rhumb_status status;
    const uint64_t checksum_bytes = e->layout.checksum_count * sizeof *e->checksums;
    e->header.checksum_crc = rhumb__crc32c(0, e->checksums, checksum_bytes);
    e->header.crc = rhumb__topology_header_crc(&e->header);
    RHUMB_TRY(rhumb__progress_report(&e->progress, e->progress.total_count));
    RHUMB_TRY(rhumb__io_write(e->file.io, e->checksums, checksum_bytes, e->layout.checksum_offset));
    RHUMB_TRY(rhumb__io_write(e->file.io, &e->header, sizeof e->header, 0));
    RHUMB_TRY(rhumb__io_drain(e->file.io));
    status = rhumb__new_file_finish(&e->file);
done:
    return status;
}

static rhumb_status export_run(exporter *e) {
    rhumb_status status;
    RHUMB_TRY(rhumb__graph_check_vectors(e->graph));
    const rhumb__io_access access = rhumb__io_access_get(e->graph->store->io);
    const rhumb__new_place place = {
        .path = e->spec->path, .suffix = "-exporting", .access = &access, .lock_optional = true};
    RHUMB_TRY(rhumb__new_file_begin(&e->file, &place));
    fill_header(e);
    RHUMB_TRY(sort_points(e));
    RHUMB_TRY(count_links(e));
    RHUMB_TRY(
        rhumb__io_allocate(e->file.io, 0, e->layout.file_bytes)); /* so that a full disk is noticed before the work */
    RHUMB_TRY(write_points(e));
    RHUMB_TRY(write_links(e));
    RHUMB_TRY(rhumb__io_check_mappings(e->graph->store->io));
    status = finish_file(e);
done:
    return status;
}

rhumb_status rhumb__topology_export(rhumb__graph *graph, const rhumb__topology_export_spec *spec,
                                    rhumb__topology_header *header_out) {
    exporter e = {.graph = graph, .spec = spec, .slot_count = graph->counts.slot_count};
    e.progress = (rhumb__progress){.report = spec->progress, .context = spec->progress_context};
    rhumb__scratch_pool_init(&e.pool, graph);
    const rhumb_status status = export_run(&e);
    if (status == RHUMB_OK) *header_out = e.header;
    rhumb__new_file_abandon(&e.file);
    rhumb__scratch_pool_destroy(&e.pool);
    rhumb__free(e.points);
    rhumb__free(e.order);
    rhumb__free(e.positions);
    rhumb__free(e.starts);
    rhumb__free(e.checksums);
    rhumb__link_spool_destroy(&e.spool);
    return status;
}
