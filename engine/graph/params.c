/* params.c - parameters and counts as bytes; see params.h. Pure functions, no state, no locks. */
#include "engine/graph/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/status.h"

#define CLIENT_VERSION 2u
#define FLAG_EXTEND_CANDIDATES 1u
#define FLAG_KEEP_PRUNED 2u
#define FLAG_NORMALISE 4u

/* The layout of the engine's part of a superblock; storage/FORMAT.md describes it. */
typedef struct client_record {
    uint32_t version;
    uint32_t dim;
    uint32_t metric;
    uint32_t element;
    uint32_t M;
    uint32_t M0;
    uint32_t ef_construction;
    uint32_t ef_search;
    uint32_t level_max;
    uint32_t flags;
    double level_scale;
    uint64_t seed;
    uint64_t slot_count;
    uint64_t upper_row_count;
    uint64_t key_bucket_count;
    uint64_t key_overflow_count;
    uint64_t level_counts[RHUMB__LEVEL_COUNT];
    uint32_t level_first[RHUMB__LEVEL_COUNT];
    uint16_t code_bits;
    uint16_t lane_bits;
    uint64_t dead_count;
    uint64_t lsn;
    uint64_t key_next;
    char custom_name[RHUMB__CUSTOM_NAME_BYTES];
    uint64_t copy_count;
} client_record;

static_assert(sizeof(client_record) == 392, "client record size");
static_assert(offsetof(client_record, version) == 0, "client record layout");
static_assert(offsetof(client_record, dim) == 4, "client record layout");
static_assert(offsetof(client_record, metric) == 8, "client record layout");
static_assert(offsetof(client_record, element) == 12, "client record layout");
static_assert(offsetof(client_record, M) == 16, "client record layout");
static_assert(offsetof(client_record, M0) == 20, "client record layout");
static_assert(offsetof(client_record, ef_construction) == 24, "client record layout");
static_assert(offsetof(client_record, ef_search) == 28, "client record layout");
static_assert(offsetof(client_record, level_max) == 32, "client record layout");
static_assert(offsetof(client_record, flags) == 36, "client record layout");
static_assert(offsetof(client_record, level_scale) == 40, "client record layout");
static_assert(offsetof(client_record, seed) == 48, "client record layout");
static_assert(offsetof(client_record, slot_count) == 56, "client record layout");
static_assert(offsetof(client_record, upper_row_count) == 64, "client record layout");
static_assert(offsetof(client_record, key_bucket_count) == 72, "client record layout");
static_assert(offsetof(client_record, key_overflow_count) == 80, "client record layout");
static_assert(offsetof(client_record, level_counts) == 88, "client record layout");
static_assert(offsetof(client_record, level_first) == 224, "client record layout");
static_assert(offsetof(client_record, code_bits) == 292, "client record layout");
static_assert(offsetof(client_record, lane_bits) == 294, "client record layout");
static_assert(offsetof(client_record, dead_count) == 296, "client record layout");
static_assert(offsetof(client_record, lsn) == 304, "client record layout");
static_assert(offsetof(client_record, key_next) == 312, "client record layout");
static_assert(offsetof(client_record, custom_name) == 320, "client record layout");
static_assert(offsetof(client_record, copy_count) == 384, "client record layout");
static_assert(sizeof(client_record) <= RHUMB__CLIENT_BYTES, "the client record fits into a superblock");

static rhumb_status check_range(const char *name, uint64_t value, uint64_t low, uint64_t high) {
    if (value >= low && value <= high) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "%s: expected %llu to %llu, found %llu", name, (unsigned long long)low,
                       (unsigned long long)high, (unsigned long long)value);
}

rhumb_status rhumb__params_check(const rhumb__params *params) {
    rhumb_status status;
    RHUMB_TRY(check_range("dim", params->dim, 1, 65535));
    RHUMB_TRY(check_range("M", params->M, RHUMB__M_MIN, RHUMB__M_MAX));
    RHUMB_TRY(check_range("M0", params->M0, params->M, RHUMB__M0_MAX));
    RHUMB_TRY(check_range("ef_construction", params->ef_construction, 1, RHUMB__EF_CONSTRUCTION_MAX));
    RHUMB_TRY(check_range("ef_search", params->ef_search, 1, RHUMB__EF_SEARCH_MAX));
    RHUMB_TRY(check_range("level_max", params->level_max, 0, RHUMB__LEVEL_MAX));
    if (!(params->level_scale >= 0.1 && params->level_scale <= 2.0)) {
        status = rhumb__fail(RHUMB_E_INVALID, "level_scale: expected 0.1 to 2, found %g", params->level_scale);
        goto done;
    }
    if (params->code_bits != 0 && params->code_bits != 4 && params->code_bits != 8) {
        status = rhumb__fail(RHUMB_E_INVALID, "codes of %u bits a component, expected 8, 4 or none", params->code_bits);
        goto done;
    }
    if (params->lane_bits > 2 || (params->lane_bits != 0 && params->code_bits == 0)) {
        status = rhumb__fail(RHUMB_E_INVALID, "fused rows of %u bits a component with codes of %u bits",
                             params->lane_bits, params->code_bits);
        goto done;
    }
    if ((params->metric == RHUMB_METRIC_CUSTOM) != (params->custom.name[0] != '\0')) {
        status = rhumb__fail(RHUMB_E_INVALID, "metric %u %s", (unsigned)params->metric,
                             params->custom.name[0] == '\0' ? "is custom and has no name" : "is not custom");
    }
done:
    return status;
}

void rhumb__params_encode(const rhumb__params *params, const rhumb__counts *counts,
                          uint8_t client[RHUMB__CLIENT_BYTES]) {
    client_record record = {
        .version = CLIENT_VERSION,
        .dim = params->dim,
        .metric = (uint32_t)params->metric,
        .element = (uint32_t)params->element,
        .M = params->M,
        .M0 = params->M0,
        .ef_construction = params->ef_construction,
        .ef_search = params->ef_search,
        .level_max = params->level_max,
        .flags = (params->extend_candidates ? FLAG_EXTEND_CANDIDATES : 0) |
                 (params->keep_pruned ? FLAG_KEEP_PRUNED : 0) | (params->normalise ? FLAG_NORMALISE : 0),
        .level_scale = params->level_scale,
        .seed = params->seed,
        .code_bits = (uint16_t)params->code_bits,
        .lane_bits = (uint16_t)params->lane_bits,
        .slot_count = counts->slot_count,
        .upper_row_count = counts->upper_row_count,
        .key_bucket_count = counts->key_bucket_count,
        .key_overflow_count = counts->key_overflow_count,
        .dead_count = counts->dead_count,
        .lsn = counts->lsn,
        .key_next = counts->key_next,
        .copy_count = counts->copy_count,
    };
    memcpy(record.level_counts, counts->level_counts, sizeof record.level_counts);
    memcpy(record.level_first, counts->level_first, sizeof record.level_first);
    memcpy(record.custom_name, params->custom.name, sizeof record.custom_name);
    memset(client, 0, RHUMB__CLIENT_BYTES);
    memcpy(client, &record, sizeof record);
}

/* What must hold among the counts themselves; rhumb__graph_check_sections compares the sections with them. */
static rhumb_status check_counts(const rhumb__counts *counts, const rhumb__params *params, const char *path) {
    uint64_t node_count = 0;
    uint64_t upper_row_count = 0;
    bool level_first_right = true;
    bool has_first = false;
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        const uint64_t count = counts->level_counts[level];
        const uint32_t first = counts->level_first[level];
        if (count > RHUMB__SLOT_LIMIT || (count > 0 && level > params->level_max)) {
            return rhumb__fail_at(RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE, "%llu nodes of level %u are impossible",
                                  (unsigned long long)count, level);
        }
        node_count += count;
        upper_row_count += count * level;
        /* All nodes of a level may be copies. */
        level_first_right =
            level_first_right && (first == RHUMB__SLOT_NONE || (count > 0 && first < counts->slot_count));
        has_first = has_first || first != RHUMB__SLOT_NONE;
    }
    if (node_count != counts->slot_count || upper_row_count != counts->upper_row_count || !level_first_right ||
        has_first != (counts->slot_count > 0) || counts->slot_count >= RHUMB__SLOT_LIMIT ||
        counts->dead_count > counts->slot_count || counts->copy_count > counts->slot_count) {
        return rhumb__fail_at(
            RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE,
            "the counts contradict each other: %llu slots, but %llu nodes by level; %llu upper lists, "
            "but %llu by level",
            (unsigned long long)counts->slot_count, (unsigned long long)node_count,
            (unsigned long long)counts->upper_row_count, (unsigned long long)upper_row_count);
    }
    if (counts->lsn > RHUMB__LOG_LSN_MAX) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE, "operation %llu is above the limit",
                              (unsigned long long)counts->lsn);
    }
    return RHUMB_OK;
}

rhumb_status rhumb__params_decode(const uint8_t client[RHUMB__CLIENT_BYTES], const char *path, rhumb__params *params,
                                  rhumb__counts *counts) {
    client_record record;
    memcpy(&record, client, sizeof record);
    if (record.version != CLIENT_VERSION) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, RHUMB_OFFSET_NONE, "index record: version %u expected, %u found",
                              CLIENT_VERSION, record.version);
    }
    *params = (rhumb__params){
        .metric = (rhumb_metric)record.metric,
        .element = (rhumb_element)record.element,
        .dim = record.dim,
        .M = record.M,
        .M0 = record.M0,
        .ef_construction = record.ef_construction,
        .ef_search = record.ef_search,
        .level_max = record.level_max,
        .level_scale = record.level_scale,
        .seed = record.seed,
        .code_bits = record.code_bits,
        .lane_bits = record.lane_bits,
        .extend_candidates = (record.flags & FLAG_EXTEND_CANDIDATES) != 0,
        .keep_pruned = (record.flags & FLAG_KEEP_PRUNED) != 0,
        .normalise = (record.flags & FLAG_NORMALISE) != 0,
    };
    if (params->metric == RHUMB_METRIC_CUSTOM) {
        if (memchr(record.custom_name, '\0', sizeof record.custom_name) == NULL) {
            return rhumb__fail_at(RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE,
                                  "index record: the name of the custom metric does not end");
        }
        snprintf(params->custom.name, sizeof params->custom.name, "%s", record.custom_name);
    }
    *counts = (rhumb__counts){
        .slot_count = record.slot_count,
        .upper_row_count = record.upper_row_count,
        .key_bucket_count = record.key_bucket_count,
        .key_overflow_count = record.key_overflow_count,
        .dead_count = record.dead_count,
        .lsn = record.lsn,
        .key_next = record.key_next,
        .copy_count = record.copy_count,
    };
    memcpy(counts->level_counts, record.level_counts, sizeof counts->level_counts);
    memcpy(counts->level_first, record.level_first, sizeof counts->level_first);
    if (rhumb__params_check(params) != RHUMB_OK) {
        rhumb_error cause;
        rhumb__error_save(&cause);
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, RHUMB_OFFSET_NONE, "index record: %s", cause.message);
    }
    return check_counts(counts, params, path);
}

rhumb_status rhumb__params_supply(rhumb__params *params, const rhumb__custom_metric *custom, const char *path) {
    if (params->metric != RHUMB_METRIC_CUSTOM) return RHUMB_OK;
    if (custom == NULL || custom->distance == NULL) {
        return rhumb__fail_at(RHUMB_E_METRIC, path, RHUMB_OFFSET_NONE,
                              "the index uses the custom metric '%s', whose function was not supplied",
                              params->custom.name);
    }
    if (strcmp(custom->name, params->custom.name) != 0) {
        return rhumb__fail_at(RHUMB_E_METRIC, path, RHUMB_OFFSET_NONE,
                              "the index uses the custom metric '%s', but the function supplied is that of '%s'",
                              params->custom.name, custom->name);
    }
    params->custom = *custom;
    return RHUMB_OK;
}

rhumb_status rhumb__params_space(const rhumb__params *params, const char *path, rhumb__space *space) {
    const rhumb__space_spec spec = {
        .metric = params->metric,
        .element = params->element,
        .dim = params->dim,
        .normalise = params->normalise,
        .custom_distance = params->custom.distance,
        .custom_context = params->custom.context,
    };
    const rhumb_status status = rhumb__space_init(space, &spec);
    if (path == NULL || (status != RHUMB_E_INVALID && status != RHUMB_E_UNSUPPORTED)) return status;
    rhumb_error cause;
    rhumb__error_save(&cause);
    return rhumb__fail_at(RHUMB_E_VERSION, path, RHUMB_OFFSET_NONE,
                          "metric %u with element type %u is not known here: %s", (unsigned)params->metric,
                          (unsigned)params->element, cause.message);
}

int32_t rhumb__counts_level_top(const rhumb__counts *counts) {
    for (int32_t level = (int32_t)RHUMB__LEVEL_COUNT - 1; level >= 0; level--) {
        if (counts->level_first[level] != RHUMB__SLOT_NONE) return level;
    }
    return -1;
}

uint32_t rhumb__params_level(const rhumb__params *params, uint32_t slot) {
    /* 53 random bits; adding 1 keeps U off zero: it lies in (0, 1]. */
    const uint64_t bits = rhumb__mix64(params->seed ^ rhumb__mix64(slot));
    const double uniform = ((double)(bits >> 11) + 1.0) * 0x1.0p-53;
    const double level = floor(-log(uniform) * params->level_scale / log((double)params->M));
    return level >= (double)params->level_max ? params->level_max : (uint32_t)level;
}
