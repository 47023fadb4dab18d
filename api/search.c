/* search.c - the k nearest of one query, of many, of a stored vector: argument checks, and the way to the engine.
 *
 * Filters are checked before anything is searched, so that a batch does not fail half way through.
 */
#include "api/search.h"

#include "api/filter.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/search/batch_search.h"
#include "engine/search/filter_search.h"
#include "engine/search/search.h"

static rhumb_status check_filters(rhumb__search_setup *setup, size_t query_count) {
    rhumb_status status = RHUMB_OK;
    const rhumb_search_options *options = &setup->options;
    setup->filter = NULL;
    if (options->filter != NULL) {
        if (options->filters != NULL) return rhumb__fail(RHUMB_E_INVALID, "filter and filters are both set");
        setup->filter = &setup->filter_space;
        return rhumb__filter_take(options->filter, &setup->filter_space);
    }
    if (options->filters == NULL) return RHUMB_OK;
    if (query_count == 0) return rhumb__fail(RHUMB_E_INVALID, "filters are for batches; `filter` is for one search");
    for (size_t i = 0; i < query_count && status == RHUMB_OK; i++) {
        rhumb__filter ignored;
        if (options->filters[i] != NULL) status = rhumb__filter_take(options->filters[i], &ignored);
    }
    return status;
}

rhumb_status rhumb__search_setup_make(rhumb__search_setup *setup, const rhumb_index *index, size_t query_count,
                                      size_t k, const rhumb_search_options *options) {
    rhumb_status status;
    rhumb_search_options_init(&setup->options, sizeof setup->options);
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__options_take(&setup->options, sizeof setup->options, options, "rhumb_search_options"));
    if (k == 0 || k > RHUMB__K_MAX) {
        status = rhumb__fail(RHUMB_E_INVALID, "k: expected 1 to %zu, found %zu", RHUMB__K_MAX, k);
    } else if (setup->options.ef_search > RHUMB__EF_SEARCH_MAX) {
        status = rhumb__fail(RHUMB_E_INVALID, "ef_search: expected at most %u, found %u", RHUMB__EF_SEARCH_MAX,
                             setup->options.ef_search);
    } else {
        status = check_filters(setup, query_count);
    }
done:
    return status;
}

static const rhumb__filter *filter_of(const void *context, uint64_t query, rhumb__filter *filter) {
    const rhumb_filter *const *filters = context;
    if (filters[query] == NULL) return NULL;
    rhumb__filter_take_checked(filters[query], filter);
    return filter;
}

static rhumb_status run_search(rhumb_index *index, bool exact, const void *queries, size_t query_count, size_t k,
                               const rhumb_search_options *options, uint64_t *keys, float *distances,
                               size_t *found_counts) {
    rhumb_status status;
    rhumb__search_setup setup;
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, query_count, k, options));
    if (query_count == 0) goto done;
    if (queries == NULL || keys == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s is NULL", queries == NULL ? "the query" : "keys");
        goto done;
    }
    const rhumb__batch_search search = {
        .queries = queries,
        .query_count = query_count,
        .k = (uint32_t)k,
        .ef = setup.options.ef_search,
        .thread_count = setup.options.thread_count,
        .exact = exact,
        .filter = setup.filter,
        .filter_of = setup.options.filters == NULL ? NULL : filter_of,
        .filter_context = setup.options.filters,
        .keys = keys,
        .distances = distances,
        .found_counts = found_counts,
    };
    status = rhumb__batch_search_run(&index->scratch_pool, &search);
done:
    return status;
}

rhumb_status rhumb_index_search(rhumb_index *index, const void *query, size_t k, const rhumb_search_options *options,
                                uint64_t *keys, float *distances, size_t *found_count) {
    return run_search(index, false, query, 1, k, options, keys, distances, found_count);
}

rhumb_status rhumb_index_search_batch(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                      const rhumb_search_options *options, uint64_t *keys, float *distances,
                                      size_t *found_counts) {
    return run_search(index, false, queries, query_count, k, options, keys, distances, found_counts);
}

rhumb_status rhumb_index_search_exact(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                      const rhumb_search_options *options, uint64_t *keys, float *distances,
                                      size_t *found_counts) {
    return run_search(index, true, queries, query_count, k, options, keys, distances, found_counts);
}

rhumb_status rhumb_index_search_like(rhumb_index *index, uint64_t key, size_t k, const rhumb_search_options *options,
                                     uint64_t *keys, float *distances, size_t *found_count) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint32_t slot = 0;
    uint32_t found = 0;
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 0, k, options));
    if (keys == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "keys is NULL");
        goto done;
    }
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__handle_find(graph, key, &slot));
    RHUMB_TRY(rhumb__scratch_set_row(scratch, rhumb__graph_vector(graph, slot)));
    const uint32_t ef = rhumb__search_setup_ef(&setup, graph);
    if (setup.filter != NULL) {
        RHUMB_TRY(
            rhumb__graph_search_filtered(graph, scratch, setup.filter, (uint32_t)k, ef, &key, keys, distances, &found));
    } else {
        RHUMB_TRY(rhumb__graph_search(graph, scratch, (uint32_t)k, ef, &key, keys, distances, &found));
    }
    if (found_count != NULL) *found_count = found;
done:
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}
