/* radius.c - searches within a radius: argument checks, and the way to the engine.
 */
#include <math.h>

#include "api/search.h"
#include "base/status.h"
#include "engine/search/range_search.h"

rhumb_status rhumb_index_search_radius(rhumb_index *index, const void *query, float radius, size_t max_count,
                                       const rhumb_search_options *options, uint64_t *keys, float *distances,
                                       size_t *found_count) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__scratch *scratch = NULL;
    rhumb__graph *graph = NULL;
    uint64_t found = 0;
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 0, 1, options));
    const char *wrong = query == NULL    ? "the query is NULL"
                        : keys == NULL   ? "keys is NULL"
                        : max_count == 0 ? "max_count is 0"
                        : isnan(radius)  ? "radius is NaN"
                                         : NULL;
    if (wrong != NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s", wrong);
        goto done;
    }
    RHUMB_TRY(rhumb__handle_enter(index, &scratch, &graph));
    RHUMB_TRY(rhumb__scratch_set_query(scratch, query));
    const rhumb__range_search search = {
        .radius = radius,
        .limit = max_count,
        .ef = rhumb__search_setup_ef(&setup, graph),
        .filter = setup.filter,
        .keys = keys,
        .distances = distances,
    };
    RHUMB_TRY(rhumb__range_search_run(graph, scratch, &search, &found));
    if (found_count != NULL) *found_count = (size_t)found;
done:
    if (scratch != NULL) rhumb__scratch_give(scratch);
    return status;
}
