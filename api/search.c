/* search.c - the k nearest of one query, of many, of a stored vector: argument checks, and the way to the engine.
 *
 * Filters are checked before anything is searched, so that a batch does not fail half way through.
 */
#include "api/search.h"

#include "api/filter.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/search/batch_search.h"

static rhumb_status check_filters(rhumb__search_setup *setup, size_t query_count) {
    rhumb_status status = RHUMB_OK;
    const rhumb_search_options *options = &setup->options;
    if (options->filter != NULL) {
        if (options->filters != NULL) return rhumb__fail(RHUMB_E_INVALID, "filter and filters are both set");
        setup->request.filter = &setup->filter;
        return rhumb__filter_take(options->filter, &setup->filter);
    }
    if (options->filters == NULL) return RHUMB_OK;
    if (query_count == 0) return rhumb__fail(RHUMB_E_INVALID, "filters are for batches; `filter` is for one search");
    for (size_t i = 0; i < query_count && status == RHUMB_OK; i++) {
        rhumb__filter ignored;
        if (options->filters[i] != NULL) status = rhumb__filter_take(options->filters[i], &ignored);
    }
    return status;
}

/* ---- a recall in place of ef ---- */

rhumb_status rhumb__k_check(size_t k) {
    if (k > 0 && k <= RHUMB__K_MAX) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "k: expected 1 to %zu, found %zu", RHUMB__K_MAX, k);
}

rhumb_status rhumb__recall_check(double recall) {
    if (recall > 0 && recall <= 1) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "recall: expected above 0 and at most 1, found %g", recall);
}

rhumb_status rhumb__search_recall_choose(rhumb__graph *graph, size_t k, double recall, rhumb__recall_choice *choice) {
    rhumb__recall_curve curve;
    rhumb__recall_cell_read(&graph->recall, &curve);
    if (curve.query_count == 0) {
        return rhumb__fail(RHUMB_E_UNSUPPORTED, "recall: that of this index has not been measured, so its ef is not "
                                                "known; rhumb_index_recall_measure, or `rhumb recall`, measures it");
    }
    *choice = rhumb__recall_curve_choose(&curve, k, recall);
    return RHUMB_OK;
}

rhumb_status rhumb__search_setup_ef(rhumb__search_setup *setup, rhumb__graph *graph, size_t k) {
    rhumb__recall_choice choice;
    if (setup->options.recall == 0) return RHUMB_OK;
    const rhumb_status status = rhumb__search_recall_choose(graph, k, setup->options.recall, &choice);
    if (status == RHUMB_OK) setup->request.ef = choice.ef;
    return status;
}

rhumb_status rhumb__search_setup_refuse_recall(const rhumb__search_setup *setup) {
    if (setup->options.recall == 0) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "recall is for searches for the k nearest; here ef_search is the breadth");
}

/* ---- searches ---- */

rhumb_status rhumb__search_setup_make(rhumb__search_setup *setup, const rhumb_index *index, size_t query_count,
                                      size_t k, const rhumb_search_options *options) {
    rhumb_status status;
    rhumb_search_options_init(&setup->options, sizeof setup->options);
    RHUMB_TRY(rhumb__handle_check(index, false));
    RHUMB_TRY(rhumb__options_take(&setup->options, sizeof setup->options, options, "rhumb_search_options"));
    setup->request = (rhumb__request){.ef = setup->options.ef_search};
    RHUMB_TRY(rhumb__k_check(k));
    if (setup->options.recall != 0) RHUMB_TRY(rhumb__recall_check(setup->options.recall));
    if (setup->options.recall != 0 && setup->options.ef_search != 0) {
        status = rhumb__fail(RHUMB_E_INVALID, "recall and ef_search are both set; ef follows from recall");
    } else if (setup->options.ef_search > RHUMB__EF_SEARCH_MAX) {
        status = rhumb__fail(RHUMB_E_INVALID, "ef_search: expected at most %u, found %u", RHUMB__EF_SEARCH_MAX,
                             setup->options.ef_search);
    } else {
        status = check_filters(setup, query_count);
    }
done:
    return status;
}

rhumb_status rhumb__search_once(rhumb_index *index, rhumb__search_setup *setup, rhumb__answer *answer,
                                size_t *found_count) {
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb_status status = rhumb__handle_enter(index, &scratch, &graph);
    if (status != RHUMB_OK) return status;
    RHUMB_TRY(rhumb__search_setup_ef(setup, graph, answer->capacity));
    RHUMB_TRY(rhumb__search_run(scratch, &setup->request, answer));
    if (found_count != NULL) *found_count = (size_t)answer->found_count;
done:
    return rhumb__handle_leave(scratch, status);
}

/* The filter of one query of a batch in which each has its own. */
static const rhumb__filter *filter_of(const void *context, uint64_t query, rhumb__filter *filter) {
    const rhumb_filter *const *filters = context;
    if (filters[query] == NULL) return NULL;
    rhumb__filter_take_checked(filters[query], filter);
    return filter;
}

/* Carries out the searches of a batch; the fields that follow from k and options are still to be set. */
static rhumb_status search_many(rhumb_index *index, rhumb__batch_search *search, size_t k,
                                const rhumb_search_options *options) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    const bool exact = search->request.exact;
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, (size_t)search->query_count, k, options));
    if (search->query_count == 0) goto done;
    if (search->queries == NULL || search->keys == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s is NULL", search->queries == NULL ? "the query" : "keys");
        goto done;
    }
    search->request = setup.request;
    search->request.exact = exact;
    search->k = (uint32_t)k;
    search->thread_count = setup.options.thread_count;
    search->filter_of = setup.options.filters == NULL ? NULL : filter_of;
    search->filter_context = setup.options.filters;
    search->progress = setup.options.progress;
    search->progress_context = setup.options.progress_context;
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    if (!exact) RHUMB_TRY(rhumb__search_setup_ef(&setup, graph, k));
    search->request.ef = setup.request.ef;
    status = rhumb__batch_search_run(&index->scratch_pool, search);
done:
    return rhumb__handle_leave(scratch, status);
}

rhumb_status rhumb_index_search(rhumb_index *index, const void *query, size_t k, const rhumb_search_options *options,
                                uint64_t *keys, float *distances, size_t *found_count) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__answer answer = {.keys = keys, .distances = distances, .capacity = k};
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 1, k, options));
    if (query == NULL || keys == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s is NULL", query == NULL ? "the query" : "keys");
        goto done;
    }
    setup.request.query = query;
    if (setup.options.filters != NULL) setup.request.filter = filter_of(setup.options.filters, 0, &setup.filter);
    status = rhumb__search_once(index, &setup, &answer, found_count);
done:
    return status;
}

rhumb_status rhumb_index_search_batch(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                      const rhumb_search_options *options, uint64_t *keys, float *distances,
                                      size_t *found_counts) {
    rhumb__batch_search search = {.queries = queries,
                                  .query_count = query_count,
                                  .keys = keys,
                                  .distances = distances,
                                  .found_counts = found_counts};
    return search_many(index, &search, k, options);
}

rhumb_status rhumb_index_search_exact(rhumb_index *index, const void *queries, size_t query_count, size_t k,
                                      const rhumb_search_options *options, uint64_t *keys, float *distances,
                                      size_t *found_counts) {
    rhumb__batch_search search = {.request.exact = true,
                                  .queries = queries,
                                  .query_count = query_count,
                                  .keys = keys,
                                  .distances = distances,
                                  .found_counts = found_counts};
    return search_many(index, &search, k, options);
}

rhumb_status rhumb_index_search_like(rhumb_index *index, uint64_t key, size_t k, const rhumb_search_options *options,
                                     uint64_t *keys, float *distances, size_t *found_count) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    rhumb__answer answer = {.keys = keys, .distances = distances, .capacity = k};
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 0, k, options));
    if (keys == NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "keys is NULL");
        goto done;
    }
    setup.request.left_out = &key;
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__search_setup_ef(&setup, graph, k));
    RHUMB_TRY(rhumb__handle_find(graph, key, &setup.request.like)); /* a slot of this graph, so not search_once */
    RHUMB_TRY(rhumb__search_run(scratch, &setup.request, &answer));
    if (found_count != NULL) *found_count = (size_t)answer.found_count;
done:
    return rhumb__handle_leave(scratch, status);
}
