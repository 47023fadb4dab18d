/* topology.c - topology files for callers: exporting, argument checks, and answers into the caller's arrays.
 *
 * A handle is the engine's topology under another name. It never changes after it was opened, so there are no locks. An
 * export from a handle that writes makes a checkpoint and reads that through a graph of its own, so that it holds up
 * neither a refresh nor a compaction.
 */
#include <string.h>

#include "api/handle.h"
#include "api/options.h"
#include "base/fork.h"
#include "base/status.h"
#include "engine/open.h"
#include "engine/topology/topology.h"

static rhumb__topology *inner(const rhumb_topology *topology) { return (rhumb__topology *)topology; }

static void fill_stats(const rhumb__topology_header *header, size_t size, rhumb_topology_stats *stats) {
    rhumb_topology_stats filled = {
        .size = size,
        .format_version = header->format_version,
        .creator_version = header->creator_version,
        .created_unix_ns = header->created_unix_ns,
        .epoch = header->epoch,
        .lsn = header->lsn,
        .metric = (rhumb_metric)header->metric,
        .element = (rhumb_element)header->element,
        .dim = header->dim,
        .M = header->M,
        .M0 = header->M0,
        .all_levels = (header->flags & RHUMB__TOPOLOGY_ALL_LEVELS) != 0,
        .has_distances = (header->flags & RHUMB__TOPOLOGY_DISTANCES) != 0,
        .point_count = header->point_count,
        .link_count = header->link_count,
        .file_bytes = header->file_bytes,
    };
    memcpy(filled.uuid, header->uuid, sizeof filled.uuid);
    memcpy(filled.level_counts, header->level_counts, sizeof filled.level_counts);
    for (uint32_t level = 0; level <= RHUMB_LEVEL_MAX; level++) {
        if (header->level_counts[level] > 0) filled.level_top = level;
    }
    rhumb__struct_give(stats, size, &filled, sizeof filled);
}

rhumb_status rhumb_topology_export(rhumb_index *index, const char *path, const rhumb_topology_options *options,
                                   rhumb_topology_stats *stats, size_t stats_size) {
    rhumb_status status;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__graph *snapshot = NULL;
    rhumb__topology_header header;
    rhumb_topology_options resolved;
    rhumb_topology_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_topology_options"));
    RHUMB_TRY(rhumb__path_check(path, "path"));
    if (stats != NULL) RHUMB_TRY(rhumb__struct_check(stats, stats_size, "stats"));
    const rhumb__topology_export_spec spec = {
        .path = path,
        .creator_version = rhumb_version(),
        .thread_count = resolved.thread_count,
        .all_levels = resolved.all_levels,
        .with_distances = resolved.with_distances,
        .progress = resolved.progress,
        .progress_context = resolved.progress_context,
    };
    if (!index->read_only) RHUMB_TRY(rhumb_index_checkpoint(index));
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    if (!index->read_only) {
        RHUMB_TRY(rhumb__handle_reopen(graph, &snapshot));
        status = rhumb__handle_leave(scratch, RHUMB_OK);
        scratch = NULL;
        if (status != RHUMB_OK) goto done;
    }
    RHUMB_TRY(rhumb__topology_export(snapshot != NULL ? snapshot : graph, &spec, &header));
    if (stats != NULL) fill_stats(&header, stats_size, stats);
done:
    rhumb__engine_close(snapshot);
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_topology_open(const char *path, rhumb_topology **topology_out) {
    rhumb_status status;
    rhumb__topology *topology = NULL;
    RHUMB_TRY(rhumb__path_check(path, "path"));
    if (topology_out == NULL) return rhumb__fail(RHUMB_E_INVALID, "topology_out is NULL");
    RHUMB_TRY(rhumb__topology_open(path, &topology));
    *topology_out = (rhumb_topology *)topology;
done:
    return status;
}

void rhumb_topology_close(rhumb_topology *topology) { rhumb__topology_close(inner(topology)); }

uint64_t rhumb_topology_count(const rhumb_topology *topology) {
    if (topology == NULL || inner(topology)->generation != rhumb__fork_generation()) return 0;
    return inner(topology)->header.point_count;
}

static rhumb_status check_handle(const rhumb_topology *topology) {
    if (topology == NULL) return rhumb__fail(RHUMB_E_INVALID, "topology is NULL");
    const rhumb_status status = rhumb__fork_check(inner(topology)->generation);
    return status == RHUMB_OK ? rhumb__io_check_mappings(inner(topology)->io) : status;
}

/* The status of a call that has read the file: its own, or that of a page that could not be read. */
static rhumb_status verdict_on(const rhumb_topology *topology, rhumb_status status) {
    return rhumb__io_mapping_failed(inner(topology)->io) ? rhumb__io_check_mappings(inner(topology)->io) : status;
}

rhumb_status rhumb_topology_stats_get(const rhumb_topology *topology, rhumb_topology_stats *stats, size_t size) {
    rhumb_status status;
    RHUMB_TRY(check_handle(topology));
    RHUMB_TRY(rhumb__struct_check(stats, size, "stats"));
    fill_stats(&inner(topology)->header, size, stats);
done:
    return status;
}

rhumb_status rhumb_topology_find(const rhumb_topology *topology, uint64_t key, uint64_t *position) {
    const rhumb_status status = check_handle(topology);
    if (status != RHUMB_OK) return status;
    if (position == NULL) return rhumb__fail(RHUMB_E_INVALID, "position is NULL");
    uint64_t found = 0;
    const rhumb_status verdict = verdict_on(topology, rhumb__topology_find(inner(topology), key, &found));
    if (verdict == RHUMB_OK) *position = found;
    return verdict;
}

rhumb_status rhumb_topology_level(const rhumb_topology *topology, uint64_t key, uint32_t *level) {
    uint64_t position = 0;
    if (level == NULL) return rhumb__fail(RHUMB_E_INVALID, "level is NULL");
    const rhumb_status status = rhumb_topology_find(topology, key, &position);
    if (status != RHUMB_OK) return status;
    const uint32_t found = inner(topology)->levels[position];
    const rhumb_status verdict = verdict_on(topology, RHUMB_OK);
    if (verdict == RHUMB_OK) *level = found;
    return verdict;
}

/* Copies the ends of `count` links, from number `begin` on; `distances` may be NULL. */
static rhumb_status copy_links(const rhumb__topology *t, uint64_t begin, uint64_t count, uint64_t *keys,
                               float *distances) {
    for (uint64_t i = 0; i < count; i++) {
        const uint32_t neighbour = t->neighbours[begin + i];
        if (neighbour >= t->header.point_count) {
            const uint64_t array = t->layout.arrays[RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS].offset;
            return rhumb__fail_at(RHUMB_E_CORRUPT, t->io->path, array + (begin + i) * sizeof neighbour,
                                  "link to point %u, of %llu", neighbour, (unsigned long long)t->header.point_count);
        }
        keys[i] = t->keys[neighbour];
        if (distances != NULL) distances[i] = t->distances[begin + i];
    }
    return RHUMB_OK;
}

rhumb_status rhumb_topology_neighbours(const rhumb_topology *topology, uint64_t key, uint64_t *keys, float *distances,
                                       size_t capacity, size_t *found_count) {
    rhumb_status status;
    uint64_t position = 0;
    uint64_t begin = 0;
    uint64_t count = 0;
    RHUMB_TRY(check_handle(topology));
    const rhumb__topology *t = inner(topology);
    if (found_count == NULL || (keys == NULL && capacity > 0)) {
        return rhumb__fail(RHUMB_E_INVALID, "%s is NULL", found_count == NULL ? "found_count" : "keys");
    }
    if (distances != NULL && t->distances == NULL) {
        return rhumb__fail_at(RHUMB_E_UNSUPPORTED, t->io->path, RHUMB_OFFSET_NONE, "the topology has no distances");
    }
    RHUMB_TRY(verdict_on(topology, rhumb__topology_find(t, key, &position)));
    RHUMB_TRY(verdict_on(topology, rhumb__topology_range(t, position, &begin, &count)));
    RHUMB_TRY(verdict_on(topology, copy_links(t, begin, count < capacity ? count : capacity, keys, distances)));
    *found_count = count;
done:
    return status;
}

rhumb_status rhumb_topology_view(const rhumb_topology *topology, uint64_t position, const uint32_t **neighbours,
                                 const float **distances, size_t *count) {
    uint64_t begin = 0;
    uint64_t link_count = 0;
    rhumb_status status = check_handle(topology);
    if (status != RHUMB_OK) return status;
    const rhumb__topology *t = inner(topology);
    if (neighbours == NULL || count == NULL || position >= t->header.point_count) {
        return rhumb__fail(RHUMB_E_INVALID, "neighbours or count is NULL, or there is no position %llu",
                           (unsigned long long)position);
    }
    status = verdict_on(topology, rhumb__topology_range(t, position, &begin, &link_count));
    if (status != RHUMB_OK) return status;
    *neighbours = t->neighbours + begin;
    if (distances != NULL) *distances = t->distances == NULL ? NULL : t->distances + begin;
    *count = link_count;
    return RHUMB_OK;
}

rhumb_status rhumb_topology_arrays_get(const rhumb_topology *topology, rhumb_topology_arrays *arrays, size_t size) {
    rhumb_status status;
    RHUMB_TRY(check_handle(topology));
    RHUMB_TRY(rhumb__struct_check(arrays, size, "arrays"));
    const rhumb__topology *t = inner(topology);
    const rhumb_topology_arrays filled = {
        .size = size,
        .point_count = t->header.point_count,
        .link_count = t->header.link_count,
        .keys = t->keys,
        .starts = t->starts,
        .levels = t->levels,
        .neighbours = t->neighbours,
        .distances = t->distances,
    };
    rhumb__struct_give(arrays, size, &filled, sizeof filled);
done:
    return status;
}

rhumb_status rhumb_topology_points(const rhumb_topology *topology, uint32_t level, uint64_t *position, size_t capacity,
                                   uint64_t *keys, uint32_t *levels, size_t *count) {
    const rhumb_status status = check_handle(topology);
    if (status != RHUMB_OK) return status;
    if (position == NULL || count == NULL || capacity == 0) {
        return rhumb__fail(RHUMB_E_INVALID, "position or count is NULL, or capacity is 0");
    }
    const rhumb__topology *t = inner(topology);
    uint64_t next = *position;
    size_t found = 0;
    for (; next < t->header.point_count && found < capacity; next++) {
        if (t->levels[next] < level) continue;
        if (keys != NULL) keys[found] = t->keys[next];
        if (levels != NULL) levels[found] = t->levels[next];
        found++;
    }
    const rhumb_status verdict = verdict_on(topology, RHUMB_OK);
    if (verdict != RHUMB_OK) return verdict;
    *position = next;
    *count = found;
    return RHUMB_OK;
}

rhumb_status rhumb_topology_verify(const rhumb_topology *topology, rhumb_topology_report *report, size_t size) {
    return rhumb_topology_verify_with(topology, NULL, report, size);
}

rhumb_status rhumb_topology_verify_with(const rhumb_topology *topology, const rhumb_verify_options *options,
                                        rhumb_topology_report *report, size_t size) {
    rhumb_status status;
    rhumb__progress progress;
    rhumb__topology_verification result;
    RHUMB_TRY(check_handle(topology));
    RHUMB_TRY(rhumb__struct_check(report, size, "report"));
    RHUMB_TRY(rhumb__verify_options_take(options, &progress));
    RHUMB_TRY(rhumb__topology_verify(inner(topology), &progress, &result));
    rhumb_topology_report filled = {
        .size = size,
        .chunk_count = result.chunk_count,
        .checksum_error_count = result.checksum_error_count,
        .structure_error_count = result.structure_error_count,
    };
    memcpy(filled.first_error, result.first_error, sizeof filled.first_error);
    rhumb__struct_give(report, size, &filled, sizeof filled);
    if (result.checksum_error_count + result.structure_error_count > 0) {
        status =
            rhumb__fail_at(RHUMB_E_CORRUPT, inner(topology)->io->path, RHUMB_OFFSET_NONE, "%s", result.first_error);
    }
done:
    return status;
}
