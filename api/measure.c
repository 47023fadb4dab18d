/* measure.c - distances of vectors that are in no index. Stateless; allocates two rows and releases them. */
#include "api/options.h"
#include "base/alloc.h"
#include "base/status.h"
#include "distances/space.h"

#define ROW_ALIGNMENT_BYTES 64u

/* The space of an index that would be created with `options`. */
static rhumb_status take_space(const rhumb_index_options *options, rhumb__space *space) {
    rhumb_status status;
    rhumb_index_options resolved;
    rhumb_open_options opening;
    rhumb__custom_metric custom;
    rhumb_index_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_index_options"));
    RHUMB_TRY(rhumb__open_options_take(resolved.open, &opening));
    RHUMB_TRY(rhumb__custom_take(opening.custom_name, opening.custom_distance, opening.custom_context, &custom));
    const rhumb__space_spec spec = {.metric = resolved.metric,
                                    .element = resolved.element,
                                    .dim = resolved.dim,
                                    .normalise = resolved.normalise,
                                    .custom_distance = custom.distance,
                                    .custom_context = custom.context};
    RHUMB_TRY(rhumb__space_init(space, &spec));
done:
    return status;
}

static rhumb_status measure_all(const rhumb__space *space, uint8_t *rows, const uint8_t *vectors, size_t count,
                                float *distances) {
    const size_t second = rhumb__stride_of(space->row_bytes);
    for (size_t i = 0; i < count; i++) {
        const rhumb_status status = rhumb__space_prepare(space, vectors + i * space->caller_bytes, rows + second);
        if (status != RHUMB_OK) {
            rhumb__error_prefix("vector %zu: ", i);
            return status;
        }
        distances[i] = rhumb__space_finish(space, space->distance(space, rows, rows + second));
    }
    return RHUMB_OK;
}

rhumb_status rhumb_vectors_measure(const rhumb_index_options *options, const void *query, const void *vectors,
                                   size_t count, float *distances) {
    rhumb_status status;
    rhumb__space space;
    uint8_t *rows = NULL;
    if (options == NULL || query == NULL || (count > 0 && (vectors == NULL || distances == NULL))) {
        return rhumb__fail(RHUMB_E_INVALID, "options, query, vectors or distances is NULL");
    }
    RHUMB_TRY(take_space(options, &space));
    rows = rhumb__alloc_aligned(2, rhumb__stride_of(space.row_bytes), ROW_ALIGNMENT_BYTES);
    if (rows == NULL) RHUMB_TRY(rhumb__fail(RHUMB_E_NOMEM, "no memory for two vectors"));
    RHUMB_TRY(rhumb__space_prepare(&space, query, rows));
    RHUMB_TRY(measure_all(&space, rows, vectors, count, distances));
done:
    rhumb__free(rows);
    return status;
}
