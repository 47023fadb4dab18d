/* export_hnswlib.c - see export_hnswlib.h; hnswlib.c has the layout.
 *
 * Slots become hnswlib's own numbers, so lists are written as they are. A copy (graph/ties.h) is in no list and has
 * none: it gets its head, the next copy of its group and the neighbours of its head, on level 0 alone, and each node
 * with a copy gets the first of these in addition. So lists of level 0 have room for two more in an index with copies,
 * no link is dropped, and everything can be reached as before.
 *
 * Owns the new file and a buffer until the call ends. Takes no lock: the graph is a reader's, which does not change.
 */
#include "engine/exchange/export_hnswlib.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "distances/element.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/ties.h"
#include "storage/new_file.h"

#define HEADER_BYTES 96u
#define BUFFER_BYTES (UINT64_C(1) << 20)
#define LIST_HEAD_BYTES 4u

/* Neighbours that a node may get for its group: its head, and the next copy. */
#define GROUP_LINK_COUNT 2u

typedef struct exporter {
    rhumb__graph *graph;
    rhumb__progress *progress;
    rhumb__new_file file;
    uint8_t *buffer;
    uint64_t used_bytes;
    uint64_t offset; /* in the file, of what is in the buffer */
    float *vector;
    uint32_t slot_count;
    uint32_t max_m0;
    uint32_t max_m;
} exporter;

/* ---- what hnswlib has ---- */

static rhumb_status check_graph(const rhumb__graph *graph) {
    const char *path = graph->store->path;
    const rhumb_metric metric = graph->params.metric;
    rhumb_status status = rhumb__graph_check_vectors(graph);
    if (status != RHUMB_OK) return status;
    if (metric != RHUMB_METRIC_L2 && metric != RHUMB_METRIC_L2SQ && metric != RHUMB_METRIC_IP &&
        metric != RHUMB_METRIC_COSINE) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, path, RHUMB_OFFSET_NONE,
                              "hnswlib measures by l2, ip and cosine alone");
    }
    const uint64_t dead_count = atomic_load(&graph->dead_count);
    if (dead_count == 0) return RHUMB_OK;
    return rhumb__fail_at(
        RHUMB_E_UNSUPPORTED, path, RHUMB_OFFSET_NONE,
        "the index has %llu deleted vectors, through which the graph of another library would have no "
        "way; compact it first",
        (unsigned long long)dead_count);
}

static uint32_t level_of(const exporter *e, uint32_t slot) {
    if (rhumb__graph_is_copy(e->graph, slot)) return 0;
    return (uint32_t)rhumb__min_u64(rhumb__node_level(rhumb__graph_node(e->graph, slot)), RHUMB__LEVEL_MAX);
}

/* ---- writing ---- */

static rhumb_status flush(exporter *e) {
    rhumb_status status = RHUMB_OK;
    if (e->used_bytes == 0) return RHUMB_OK;
    RHUMB_TRY(rhumb__io_write(e->file.io, e->buffer, e->used_bytes, e->offset));
    RHUMB_TRY(rhumb__io_drain(e->file.io));
    e->offset += e->used_bytes;
    e->used_bytes = 0;
done:
    return status;
}

static rhumb_status put(exporter *e, const void *bytes, uint64_t bytes_count) {
    const uint8_t *from = bytes;
    while (bytes_count > 0) {
        const uint64_t part_bytes = rhumb__min_u64(bytes_count, BUFFER_BYTES - e->used_bytes);
        memcpy(e->buffer + e->used_bytes, from, part_bytes);
        e->used_bytes += part_bytes;
        from += part_bytes;
        bytes_count -= part_bytes;
        const rhumb_status status = e->used_bytes == BUFFER_BYTES ? flush(e) : RHUMB_OK;
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

/* A list with its length before it, filled up with zeros. */
static rhumb_status put_list(exporter *e, uint32_t *slots, uint32_t count, uint32_t capacity) {
    RHUMB_ASSERT(count <= capacity);
    const uint32_t head = count; /* u16 length, then the mark of deletion and a byte that is not used */
    memset(slots + count, 0, (capacity - count) * sizeof *slots);
    const rhumb_status status = put(e, &head, sizeof head);
    return status == RHUMB_OK ? put(e, slots, capacity * sizeof *slots) : status;
}

/* ---- lists ---- */

/* Adds what a list names and hnswlib may read: nodes of the file, on that level. */
static uint32_t read_list(exporter *e, uint32_t slot, uint32_t level, uint32_t *slots) {
    uint32_t listed[RHUMB__M0_MAX];
    const rhumb__list list = rhumb__graph_list(e->graph, slot, level);
    const uint32_t listed_count = list.slots == NULL ? 0 : rhumb__list_read(&list, listed);
    uint32_t count = 0;
    for (uint32_t i = 0; i < listed_count; i++) {
        if (listed[i] < e->slot_count && listed[i] != slot && level_of(e, listed[i]) >= level) {
            slots[count++] = listed[i];
        }
    }
    return count;
}

static uint32_t read_lowest(exporter *e, uint32_t slot, uint32_t *slots) {
    uint32_t count = 0;
    uint32_t next = 0;
    const uint32_t head = rhumb__graph_head(e->graph, slot);
    rhumb__copies copies = rhumb__copies_of(e->graph, slot);
    if (head != slot && head < e->slot_count) slots[count++] = head;
    if (e->max_m0 > e->graph->params.M0 && rhumb__copies_next(e->graph, &copies, e->slot_count, &next) &&
        next != slot) {
        slots[count++] = next;
    }
    return count + (head < e->slot_count ? read_list(e, head, 0, slots + count) : 0);
}

/* ---- the file ---- */

static rhumb_status put_header(exporter *e) {
    const rhumb__params *params = &e->graph->params;
    const uint64_t entry = atomic_load(&e->graph->entry);
    const bool is_empty = e->slot_count == 0 || entry == RHUMB__ENTRY_NONE;
    const uint64_t data_offset = LIST_HEAD_BYTES + 4 * (uint64_t)e->max_m0;
    const uint64_t label_offset = data_offset + params->dim * sizeof(float);
    const uint64_t sizes[] = {0, e->slot_count, e->slot_count, label_offset + 8, label_offset, data_offset};
    const int32_t level = is_empty ? -1 : (int32_t)rhumb__entry_level(entry);
    const uint32_t entry_slot = is_empty ? UINT32_MAX : rhumb__entry_slot(entry);
    const uint64_t limits[] = {e->max_m, e->max_m0, e->max_m};
    const double mult = 1.0 / log((double)e->max_m);
    const uint64_t ef_construction = params->ef_construction;
    rhumb_status status;
    RHUMB_TRY(put(e, sizes, sizeof sizes));
    RHUMB_TRY(put(e, &level, sizeof level));
    RHUMB_TRY(put(e, &entry_slot, sizeof entry_slot));
    RHUMB_TRY(put(e, limits, sizeof limits));
    RHUMB_TRY(put(e, &mult, sizeof mult));
    status = put(e, &ef_construction, sizeof ef_construction);
done:
    return status;
}

/* The components as hnswlib has them. */
static rhumb_status take_vector(exporter *e, uint32_t slot) {
    const rhumb__params *params = &e->graph->params;
    const void *row = rhumb__graph_vector(e->graph, slot);
    const size_t done_count = rhumb__element_convert(params->element, row, RHUMB_ELEMENT_F32, e->vector, params->dim);
    if (done_count != params->dim) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, e->graph->store->path, RHUMB_OFFSET_NONE,
                              "component %zu of key %llu does not fit f32, the type of hnswlib", done_count,
                              (unsigned long long)rhumb__graph_key(e->graph, slot));
    }
    if (params->metric != RHUMB_METRIC_COSINE) return RHUMB_OK;
    double sum = 0;
    for (uint32_t i = 0; i < params->dim; i++) sum += (double)e->vector[i] * (double)e->vector[i];
    if (sum == 0) return RHUMB_OK;
    for (uint32_t i = 0; i < params->dim; i++) e->vector[i] = (float)((double)e->vector[i] / sqrt(sum));
    return RHUMB_OK;
}

static rhumb_status put_row(exporter *e, uint32_t slot) {
    rhumb_status status;
    uint32_t slots[RHUMB__M0_MAX + GROUP_LINK_COUNT];
    const uint64_t key = rhumb__graph_key(e->graph, slot);
    if ((rhumb__graph_node(e->graph, slot) & RHUMB__NODE_PRESENT) == 0) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, e->graph->store->path, RHUMB_OFFSET_NONE,
                              "slot %u has no node; 'rhumb repair' makes a new index of what is intact", slot);
    }
    RHUMB_TRY(take_vector(e, slot));
    RHUMB_TRY(put_list(e, slots, read_lowest(e, slot, slots), e->max_m0));
    RHUMB_TRY(put(e, e->vector, e->graph->params.dim * sizeof *e->vector));
    status = put(e, &key, sizeof key);
done:
    return status;
}

static rhumb_status put_upper(exporter *e, uint32_t slot) {
    uint32_t slots[RHUMB__M0_MAX];
    const uint32_t level_count = level_of(e, slot);
    const uint32_t bytes = level_count * (LIST_HEAD_BYTES + 4 * e->max_m);
    rhumb_status status = put(e, &bytes, sizeof bytes);
    for (uint32_t level = 1; level <= level_count && status == RHUMB_OK; level++) {
        status = put_list(e, slots, read_list(e, slot, level, slots), e->max_m);
    }
    return status;
}

static rhumb_status export_run(exporter *e, const char *path) {
    rhumb_status status;
    RHUMB_TRY(check_graph(e->graph));
    const rhumb__io_access access = rhumb__io_access_get(e->graph->store->io);
    const rhumb__new_place place = {.path = path, .suffix = "-exporting", .access = &access, .lock_optional = true};
    e->buffer = rhumb__alloc_aligned(BUFFER_BYTES, 1, 64);
    e->vector = rhumb__alloc_zeroed(e->graph->params.dim, sizeof *e->vector);
    if (e->buffer == NULL || e->vector == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for exporting an index");
        goto done;
    }
    RHUMB_TRY(rhumb__new_file_begin(&e->file, &place));
    RHUMB_TRY(put_header(e));
    for (uint32_t slot = 0; slot < e->slot_count; slot++) {
        RHUMB_TRY(put_row(e, slot));
        RHUMB_TRY(rhumb__progress_report(e->progress, slot));
    }
    for (uint32_t slot = 0; slot < e->slot_count; slot++) RHUMB_TRY(put_upper(e, slot));
    RHUMB_TRY(flush(e));
    RHUMB_TRY(rhumb__io_check_mappings(e->graph->store->io));
    RHUMB_TRY(rhumb__progress_report(e->progress, e->progress->total_count));
    status = rhumb__new_file_finish(&e->file);
done:
    return status;
}

rhumb_status rhumb__export_hnswlib(rhumb__graph *graph, const char *path, rhumb__progress *progress) {
    exporter e = {.graph = graph, .progress = progress, .slot_count = (uint32_t)graph->counts.slot_count};
    e.max_m = graph->params.M;
    e.max_m0 = graph->params.M0 + (rhumb__graph_has_copies(graph) ? GROUP_LINK_COUNT : 0);
    progress->total_count = rhumb__max_u64(e.slot_count, 1);
    const rhumb_status status = export_run(&e, path);
    rhumb__new_file_abandon(&e.file);
    rhumb__free(e.buffer);
    rhumb__free(e.vector);
    return status;
}
