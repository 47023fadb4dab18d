/* options.c - see options.h: defaults of the options structs, how structs of other versions of the header are read and
 * filled, and shared checks of arguments. Stateless.
 *
 * Each struct begins with its size as the caller knows it. A smaller one comes from a program compiled earlier: the
 * fields it lacks keep their defaults. A larger one comes from a program compiled later: it is accepted if it asks for
 * nothing that this library does not know, that is, if its unknown bytes are zero. Structs that the library fills are
 * written to the end that the caller states: fields that this library does not know become zero.
 */
#include "api/options.h"

#include <string.h>

#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/codes.h"

static_assert(RHUMB_M_MAX == RHUMB__M_MAX, "the manual states the limit");
static_assert(RHUMB_LEVEL_MAX == RHUMB__LEVEL_MAX, "the manual states the limit");

#define SYNC_INTERVAL_MS 100u

/* A caller's struct that claims to be larger has not been set up. */
#define STRUCT_BYTES_MAX 65536u

/* The fields that rhumb_index_options and rhumb__params have in common, under the same names. */
#define COPY_PARAMETERS(target, source)                                                                                \
    do {                                                                                                               \
        (target)->dim = (source)->dim;                                                                                 \
        (target)->metric = (source)->metric;                                                                           \
        (target)->element = (source)->element;                                                                         \
        (target)->M = (source)->M;                                                                                     \
        (target)->M0 = (source)->M0;                                                                                   \
        (target)->ef_construction = (source)->ef_construction;                                                         \
        (target)->ef_search = (source)->ef_search;                                                                     \
        (target)->level_max = (source)->level_max;                                                                     \
        (target)->level_scale = (source)->level_scale;                                                                 \
        (target)->seed = (source)->seed;                                                                               \
        (target)->extend_candidates = (source)->extend_candidates;                                                     \
        (target)->keep_pruned = (source)->keep_pruned;                                                                 \
        (target)->normalise = (source)->normalise;                                                                     \
    } while (0)

/* Sets every field to zero that the defaults do not have. */
static void init(void *options, size_t size, const void *defaults, size_t defaults_bytes) {
    if (options != NULL) rhumb__struct_give(options, size, defaults, defaults_bytes);
}

void rhumb_index_options_init(rhumb_index_options *options, size_t size) {
    const rhumb_index_options defaults = {
        .size = size,
        .metric = RHUMB_METRIC_L2,
        .element = RHUMB_ELEMENT_F32,
        .M = 16,
        .ef_construction = 200,
        .ef_search = 64,
        .level_max = RHUMB_LEVEL_MAX,
        .level_scale = 1.0,
        .seed = 397,
    };
    init(options, size, &defaults, sizeof defaults);
}

void rhumb_recall_options_init(rhumb_recall_options *options, size_t size) {
    const rhumb_recall_options defaults = {.size = size, .seed = 397};
    init(options, size, &defaults, sizeof defaults);
}

void rhumb_topology_options_init(rhumb_topology_options *options, size_t size) {
    const rhumb_topology_options defaults = {.size = size, .with_distances = true};
    init(options, size, &defaults, sizeof defaults);
}

/* The other options structs default to zeros. */
static void init_zero(void *options, size_t size) { init(options, size, &size, sizeof size); }

void rhumb_open_options_init(rhumb_open_options *options, size_t size) { init_zero(options, size); }

void rhumb_batch_options_init(rhumb_batch_options *options, size_t size) { init_zero(options, size); }

void rhumb_search_options_init(rhumb_search_options *options, size_t size) { init_zero(options, size); }

void rhumb_filter_init(rhumb_filter *filter, size_t size) { init_zero(filter, size); }

void rhumb_repair_options_init(rhumb_repair_options *options, size_t size) { init_zero(options, size); }

void rhumb_verify_options_init(rhumb_verify_options *options, size_t size) { init_zero(options, size); }

void rhumb_compact_options_init(rhumb_compact_options *options, size_t size) { init_zero(options, size); }

void rhumb_merge_options_init(rhumb_merge_options *options, size_t size) { init_zero(options, size); }

rhumb_status rhumb__options_take(void *target, size_t target_bytes, const void *options, const char *name) {
    if (options == NULL) return RHUMB_OK;
    size_t size;
    memcpy(&size, options, sizeof size);
    if (size < sizeof size || size > STRUCT_BYTES_MAX) {
        return rhumb__fail(RHUMB_E_INVALID, "%s.size is %zu; %s_init sets it", name, size, name);
    }
    const uint8_t *bytes = options;
    for (size_t i = target_bytes; i < size; i++) {
        if (bytes[i] == 0) continue;
        return rhumb__fail(RHUMB_E_INVALID,
                           "%s uses a field at byte %zu that this version of the library does not know", name, i);
    }
    memcpy(target, options, rhumb__min_u64(size, target_bytes));
    return RHUMB_OK;
}

rhumb_status rhumb__struct_check(const void *target, size_t size, const char *name) {
    if (target != NULL && size >= sizeof size && size <= STRUCT_BYTES_MAX) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "%s is NULL or of size %zu", name, size);
}

void rhumb__struct_give(void *target, size_t size, const void *filled, size_t filled_bytes) {
    const size_t known_bytes = rhumb__min_u64(size, filled_bytes);
    memcpy(target, filled, known_bytes);
    memset((uint8_t *)target + known_bytes, 0, size - known_bytes);
}

rhumb_status rhumb__path_check(const char *path, const char *name) {
    if (path != NULL && path[0] != '\0') return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "%s is NULL or empty", name);
}

rhumb_status rhumb__custom_take(const char *name, rhumb_distance_fn distance, void *context,
                                rhumb__custom_metric *custom_out) {
    *custom_out = (rhumb__custom_metric){.distance = distance, .context = context};
    if (name == NULL && distance == NULL) return RHUMB_OK;
    if (name == NULL || distance == NULL) {
        return rhumb__fail(RHUMB_E_INVALID, "a custom metric needs custom_name and custom_distance, found only %s",
                           name == NULL ? "the function" : "the name");
    }
    const size_t length = strlen(name);
    if (length < 1 || length >= sizeof custom_out->name) {
        return rhumb__fail(RHUMB_E_INVALID, "custom_name: expected 1 to %zu bytes, found %zu",
                           sizeof custom_out->name - 1, length);
    }
    memcpy(custom_out->name, name, length);
    return RHUMB_OK;
}

rhumb_status rhumb__open_options_take(const rhumb_open_options *options, rhumb_open_options *resolved) {
    rhumb_open_options_init(resolved, sizeof *resolved);
    rhumb_status status = rhumb__options_take(resolved, sizeof *resolved, options, "rhumb_open_options");
    if (status != RHUMB_OK) return status;
    if ((unsigned)resolved->warm_up > RHUMB_WARM_UP_NONE) {
        return rhumb__fail(RHUMB_E_INVALID, "warm_up: %u is none of the choices", (unsigned)resolved->warm_up);
    }
    if ((unsigned)resolved->durability > RHUMB_DURABILITY_NONE) {
        return rhumb__fail(RHUMB_E_INVALID, "durability: %u is none of the modes", (unsigned)resolved->durability);
    }
    if (!(resolved->compact_dead_share >= 0 && resolved->compact_dead_share <= 1)) {
        return rhumb__fail(RHUMB_E_INVALID, "compact_dead_share: expected 0 to 1, found %g",
                           resolved->compact_dead_share);
    }
    if (resolved->sync_interval_ms == 0) resolved->sync_interval_ms = SYNC_INTERVAL_MS;
    return RHUMB_OK;
}

rhumb_status rhumb__verify_options_take(const rhumb_verify_options *options, rhumb__progress *progress) {
    rhumb_verify_options resolved;
    rhumb_verify_options_init(&resolved, sizeof resolved);
    const rhumb_status status = rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_verify_options");
    *progress = (rhumb__progress){.report = resolved.progress, .context = resolved.progress_context};
    return status;
}

rhumb_status rhumb__derived_check(rhumb_codes codes, rhumb_fused fused) {
    const bool is_codes = codes == RHUMB_CODES_DEFAULT || codes == RHUMB_CODES_NONE || codes == RHUMB_CODES_4BIT ||
                          codes == RHUMB_CODES_8BIT;
    if (!is_codes) return rhumb__fail(RHUMB_E_INVALID, "codes: %u is none of the choices", (unsigned)codes);
    if ((unsigned)fused <= RHUMB_FUSED_NONE) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "fused: %u is none of the choices", (unsigned)fused);
}

rhumb_status rhumb__derived_resolve(rhumb_codes codes, rhumb_fused fused, rhumb__params *params) {
    rhumb_status status;
    rhumb__space space;
    RHUMB_TRY(rhumb__derived_check(codes, fused));
    if (codes == RHUMB_CODES_DEFAULT) {
        RHUMB_TRY(rhumb__params_check(params));
        RHUMB_TRY(rhumb__params_space(params, NULL, &space));
        params->code_bits = rhumb__codes_default_bits(&space);
        if (params->code_bits == 0 && fused != RHUMB_FUSED_DEFAULT && fused != RHUMB_FUSED_NONE) params->code_bits = 8;
    }
    const rhumb__derived_choice choice = {.codes = codes, .fused = fused};
    rhumb__derived_change(&choice, params);
done:
    return status;
}

rhumb_codes rhumb__codes_of(const rhumb__params *params) {
    return params->code_bits == 0 ? RHUMB_CODES_NONE : (rhumb_codes)params->code_bits;
}

rhumb_fused rhumb__fused_of(const rhumb__params *params) {
    return params->lane_bits == 0 ? RHUMB_FUSED_NONE : (rhumb_fused)params->lane_bits;
}

rhumb__params rhumb__params_from_options(const rhumb_index_options *options) {
    rhumb__params params = {0};
    COPY_PARAMETERS(&params, options);
    if (params.M0 == 0) params.M0 = 2 * params.M;
    return params;
}

rhumb_index_options rhumb__options_from_params(const rhumb__params *params) {
    rhumb_index_options options = {.size = sizeof options};
    COPY_PARAMETERS(&options, params);
    options.codes = rhumb__codes_of(params);
    options.fused = rhumb__fused_of(params);
    return options;
}

rhumb_status rhumb__open_custom_take(const rhumb_open_options *options, rhumb__custom_metric *custom_out) {
    return rhumb__custom_take(options->custom_name, options->custom_distance, options->custom_context, custom_out);
}

rhumb_status rhumb__creation_take(const rhumb_index_options *options, rhumb__params *params,
                                  rhumb_open_options *open_options) {
    rhumb_status status;
    rhumb__custom_metric custom;
    rhumb_index_options resolved;
    rhumb_index_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_index_options"));
    RHUMB_TRY(rhumb__open_options_take(resolved.open, open_options));
    RHUMB_TRY(rhumb__open_custom_take(open_options, &custom));
    *params = rhumb__params_from_options(&resolved);
    if (params->metric == RHUMB_METRIC_CUSTOM) {
        if (custom.distance == NULL) {
            return rhumb__fail(RHUMB_E_METRIC, "a custom metric needs its name and function, in options.open");
        }
        params->custom = custom;
    }
    RHUMB_TRY(rhumb__derived_resolve(resolved.codes, resolved.fused, params));
    if (open_options->read_only || open_options->graph_only || open_options->immutable) {
        return rhumb__fail(RHUMB_E_INVALID, "a new index cannot be opened read-only");
    }
done:
    return status;
}
