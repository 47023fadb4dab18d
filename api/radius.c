/* radius.c - searches within a radius: argument checks, and the way to the engine.
 */
#include <math.h>

#include "api/search.h"
#include "base/status.h"

rhumb_status rhumb_index_search_radius(rhumb_index *index, const void *query, float radius, size_t max_count,
                                       const rhumb_search_options *options, uint64_t *keys, float *distances,
                                       size_t *found_count) {
    rhumb_status status;
    rhumb__search_setup setup;
    rhumb__answer answer = {.keys = keys, .distances = distances, .capacity = max_count};
    RHUMB_TRY(rhumb__search_setup_make(&setup, index, 0, 1, options));
    RHUMB_TRY(rhumb__search_setup_refuse_recall(&setup));
    const char *wrong = query == NULL    ? "the query is NULL"
                        : keys == NULL   ? "keys is NULL"
                        : max_count == 0 ? "max_count is 0"
                        : isnan(radius)  ? "radius is NaN"
                                         : NULL;
    if (wrong != NULL) {
        status = rhumb__fail(RHUMB_E_INVALID, "%s", wrong);
        goto done;
    }
    setup.request.query = query;
    setup.request.has_radius = true;
    setup.request.radius = radius;
    status = rhumb__search_once(index, &setup, &answer, found_count);
done:
    return status;
}
