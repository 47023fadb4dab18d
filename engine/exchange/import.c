/* import.c - see import.h.
 *
 *   1. place     the vectors, in the order of the source; each run is written ahead, which releases its memory
 *   2. reach     what the source's own graph leads to (source_walk.h)
 *   3. groups    of equal vectors (regroup.h)
 *   4. lists     of level 0, with the new slots (rebuild.h)
 *   5. link      nodes of upper levels, those whose lists are incomplete, and those that no path leads to (relink.h)
 *   6. publish   all of it, as one version
 *
 * Owns the new graph until it is closed or abandoned, and the map from positions to slots. Locks: no other thread knows
 * the new graph.
 */
#include "engine/exchange/import.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/build/open_batch.h"
#include "engine/build/place.h"
#include "engine/durability/checkpoint.h"
#include "engine/durability/lifetime.h"
#include "engine/exchange/source_walk.h"
#include "engine/upkeep/rebuild.h"
#include "engine/upkeep/regroup.h"
#include "engine/upkeep/relink.h"
#include "engine/upkeep/spill.h"

/* Vectors of one run: placed, then written. */
#define RUN_BYTES (UINT64_C(16) << 20)

/* Steps of the progress for each vector: placing it, taking over its list, linking it. */
#define STEPS_PER_VECTOR 3u

typedef struct import {
    const rhumb__import_spec *spec;
    rhumb__import_result *result;
    rhumb__source *source;
    rhumb__graph *graph;
    rhumb__scratch_pool pool;
    rhumb__spill spill;
    rhumb__progress progress;
    uint8_t *row;         /* a prepared row of the space */
    uint32_t *map;        /* by position: the slot, or RHUMB__SLOT_NONE */
    uint64_t *incomplete; /* one bit per slot: its list on level 0 lacks something */
    uint64_t written_bytes;
    uint64_t bad_key_count;
    uint64_t bad_key_index; /* the first */
    bool pool_ready;
} import;

/* ---- parameters ---- */

static uint32_t bring_into(rhumb__source *source, const char *name, uint32_t value, uint32_t low, uint32_t high) {
    const uint32_t taken = value < low ? low : value > high ? high : value;
    if (taken != value) rhumb__source_note(source, "%s is %u in the file, and %u here", name, value, taken);
    return taken;
}

rhumb_status rhumb__import_params(rhumb__source *source, uint32_t M, uint32_t ef_construction, rhumb__params *params) {
    rhumb_status status;
    rhumb__space space;
    params->metric = source->metric;
    params->element = source->element;
    params->dim = source->dim;
    params->M = source->has_links ? bring_into(source, "M", source->M, RHUMB__M_MIN, RHUMB__M_MAX) : M;
    params->M0 = source->has_links ? bring_into(source, "M0", source->M0, params->M, RHUMB__M0_MAX) : 2 * params->M;
    params->ef_construction = ef_construction;
    if (source->has_links) {
        params->ef_construction =
            bring_into(source, "ef_construction", source->ef_construction, 1, RHUMB__EF_CONSTRUCTION_MAX);
    }
    if (source->level_scale != 0) params->level_scale = source->level_scale;
    RHUMB_TRY(rhumb__params_check(params));
    status = rhumb__params_space(params, NULL, &space);
done:
    return status;
}

/* Levels that a graph can have: so few nodes are on upper ones that their lists take no more than those of level 0. */
static bool levels_are_usual(const rhumb__source *source, const rhumb__params *params) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        if (source->levels[i] > params->level_max) return false;
        sum += source->levels[i];
    }
    return sum <= 2 * (uint64_t)source->count + RHUMB__LEVEL_MAX;
}

/* ---- preparation ---- */

static rhumb_status import_begin(import *m, const rhumb__params *params) {
    rhumb_status status;
    rhumb__source *source = m->source;
    const uint64_t word_count = (uint64_t)source->count / 64 + 1;
    const rhumb__graph_options options = {.durability = RHUMB_DURABILITY_NONE};
    const rhumb__io_access access = rhumb__io_access_get(source->file->io);
    const rhumb__graph_creation creation = {.path = m->spec->new_path,
                                            .working_suffix = "-importing",
                                            .access = &access,
                                            .creator_version = m->spec->creator_version};
    RHUMB_TRY(rhumb__graph_begin(&creation, params, &options, &m->graph));
    rhumb__scratch_pool_init(&m->pool, m->graph);
    m->pool_ready = true;
    rhumb__spill_begin(m->graph, source->count, &m->spill);
    m->row = rhumb__alloc_aligned(m->graph->space.row_bytes, 1, 64);
    m->incomplete = rhumb__alloc_zeroed(word_count, sizeof *m->incomplete);
    RHUMB_TRY(rhumb__source_allocate(source, sizeof *m->map, &m->map));
    if (m->row == NULL || m->incomplete == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for importing %u vectors", source->count);
        goto done;
    }
    memset(m->map, 0xFF, source->count * sizeof *m->map);
    memset(m->incomplete, 0xFF, word_count * sizeof *m->incomplete);
    m->result->links_used = source->has_links && !m->spec->ignore_links;
    m->result->levels_kept = m->result->links_used && levels_are_usual(source, params);
    if (m->result->links_used && !m->result->levels_kept) {
        rhumb__source_note(source, "levels are not those of a graph of this kind, and drawn again");
    }
    m->progress = (rhumb__progress){.report = m->spec->progress,
                                    .context = m->spec->progress_context,
                                    .total_count = rhumb__max_u64(STEPS_PER_VECTOR * (uint64_t)source->count, 1)};
done:
    return status;
}

/* ---- placing ---- */

/* A key that cannot be one is counted, and makes the import fail at the end. */
static bool has_good_key(import *m, uint32_t index, const rhumb__source_row *row) {
    if (row->has_key && row->key != RHUMB_KEY_NONE &&
        rhumb__key_table_find(&m->graph->key_table, row->key) == RHUMB__SLOT_NONE) {
        return true;
    }
    if (m->bad_key_count++ == 0) m->bad_key_index = index;
    return false;
}

static rhumb_status place_one(import *m, uint32_t index) {
    rhumb_status status;
    rhumb__source_row row = {0};
    rhumb__graph *graph = m->graph;
    RHUMB_TRY(m->source->format->row(m->source, index, &row));
    if (row.deleted || row.absent) {
        m->result->deleted_count += row.deleted ? 1 : 0;
        m->result->absent_count += row.absent ? 1 : 0;
        goto done;
    }
    if (m->spec->renumber) {
        row.key = m->spec->first_key + graph->counts.slot_count;
        row.has_key = row.key >= m->spec->first_key;
    }
    if (!has_good_key(m, index, &row)) goto done;
    status = rhumb__space_prepare(&graph->space, row.vector, m->row);
    if (status != RHUMB_OK) {
        rhumb__error_prefix("%s: vector %u, key %llu: ", m->source->path, index, (unsigned long long)row.key);
        goto done;
    }
    m->map[index] = (uint32_t)graph->counts.slot_count;
    status = m->result->levels_kept ? rhumb__graph_place_at(graph, row.key, m->row, m->source->levels[index])
                                    : rhumb__graph_place(graph, row.key, m->row, false);
done:
    return status;
}

static rhumb_status place_all(import *m) {
    rhumb_status status = RHUMB_OK;
    const uint32_t count = m->source->count;
    const uint64_t run_count = rhumb__max_u64(RUN_BYTES / m->graph->space.row_stride_bytes, 1);
    for (uint32_t i = 0; i < count; i++) {
        RHUMB_TRY(place_one(m, i));
        const uint64_t placed_count = m->graph->counts.slot_count;
        if ((i + 1) % run_count == 0 && placed_count > 0 && m->bad_key_count == 0) {
            RHUMB_TRY(rhumb__rebuild_write_ahead(m->graph, true, &m->written_bytes));
        }
        RHUMB_TRY(rhumb__progress_report(&m->progress, i));
    }
    if (m->bad_key_count > 0) {
        status =
            rhumb__fail_at(RHUMB_E_EXISTS, m->source->path, RHUMB_OFFSET_NONE,
                           "%llu of %u keys were there before or cannot be keys, the first is that of vector %llu; "
                           "renumbering gives all vectors new ones",
                           (unsigned long long)m->bad_key_count, count, (unsigned long long)m->bad_key_index);
        goto done;
    }
    if (m->graph->counts.slot_count > 0) {
        status = rhumb__rebuild_write_ahead(m->graph, false, &m->written_bytes);
    }
done:
    return status;
}

/* ---- links ---- */

static rhumb_status count_unreached(import *m) {
    uint32_t count = 0;
    uint32_t first = RHUMB__SOURCE_NONE;
    const rhumb_status status = rhumb__source_unreached(m->source, m->map, &m->progress, &count, &first);
    if (status != RHUMB_OK) return status;
    m->result->source_unreachable_count = count;
    if (count > 0) m->result->first_unreachable_key = rhumb__graph_key(m->graph, m->map[first]);
    return RHUMB_OK;
}

static void count_links(import *m, const uint32_t *neighbours, uint32_t count, bool broken) {
    rhumb__import_result *result = m->result;
    result->link_count += count;
    result->broken_link_count += broken ? 1 : 0;
    for (uint32_t i = 0; i < count; i++) result->broken_link_count += neighbours[i] >= m->source->count ? 1 : 0;
}

static rhumb_status take_lists(import *m) {
    rhumb_status status = RHUMB_OK;
    rhumb__source *source = m->source;
    const rhumb__rebuild_lists lists = {
        .graph = m->graph, .map = m->map, .old_count = source->count, .incomplete = m->incomplete};
    uint32_t *neighbours = rhumb__alloc_zeroed(RHUMB__SOURCE_LIST_MAX, sizeof *neighbours);
    if (neighbours == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of neighbours");
    for (uint32_t i = 0; i < source->count; i++) {
        uint32_t count = 0;
        bool broken = false;
        if (m->map[i] == RHUMB__SLOT_NONE) continue;
        RHUMB_TRY(rhumb__source_read_list(source, i, 0, neighbours, &count, &broken));
        count_links(m, neighbours, count, broken);
        rhumb__rebuild_list(&lists, i, neighbours, count);
        RHUMB_TRY(rhumb__progress_report(&m->progress, (uint64_t)source->count + i));
    }
done:
    rhumb__free(neighbours);
    return status;
}

static rhumb_status link_all(import *m) {
    rhumb__relink_result relinked;
    const rhumb__relink_spec spec = {
        .pool = &m->pool,
        .incomplete = m->incomplete,
        .thread_count = m->spec->thread_count,
        .progress = &m->progress,
        .progress_begin = m->progress.done_count,
    };
    const rhumb_status status = rhumb__relink(m->graph, &spec, &relinked);
    m->result->relinked_count = relinked.relinked_count;
    m->result->unreachable_count = relinked.unreachable_count;
    return status;
}

static rhumb_status import_publish(import *m, rhumb__open_batch *batch) {
    rhumb_status status;
    uint64_t lsn = 0;
    RHUMB_TRY(rhumb__progress_report(&m->progress, m->progress.total_count));
    RHUMB_TRY(rhumb__open_batch_commit(m->graph, batch, &lsn));
    RHUMB_TRY(rhumb__checkpoint_forced(m->graph->writer, false));
    m->result->count = rhumb__graph_live_count(m->graph);
done:
    return status;
}

static rhumb_status import_run(import *m, const rhumb__params *params) {
    rhumb_status status;
    rhumb__open_batch batch = {0};
    RHUMB_TRY(import_begin(m, params));
    RHUMB_TRY(rhumb__open_batch_begin(m->graph, 0, &batch));
    RHUMB_TRY(place_all(m));
    if (m->source->has_links) RHUMB_TRY(count_unreached(m));
    RHUMB_TRY(rhumb__regroup(m->graph, &m->progress));
    if (m->result->links_used) RHUMB_TRY(take_lists(m));
    RHUMB_TRY(link_all(m));
    status = import_publish(m, &batch);
done:
    rhumb__free(batch.slots);
    return status;
}

rhumb_status rhumb__import(const rhumb__import_spec *spec, const rhumb__params *params, rhumb__import_result *result) {
    memset(result, 0, sizeof *result);
import m = {.spec = spec, .result = result, .source = spec->source };
    const rhumb_status status = import_run(&m, params);
    rhumb__spill_end(&m.spill);
    if (m.pool_ready) rhumb__scratch_pool_destroy(&m.pool);
    if (status == RHUMB_OK) {
        rhumb__graph_close(m.graph);
    } else if (m.graph != NULL) {
        rhumb__graph_abandon(m.graph);
    }
    rhumb__free(m.row);
    rhumb__free(m.map);
    rhumb__free(m.incomplete);
    return status;
}
