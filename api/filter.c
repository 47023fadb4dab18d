/* filter.c - see filter.h. Stateless.
 *
 * Of a long array of keys, the order is checked in some places only, because checking all would take longer than many
 * searches. A search by list checks the rest on its way; one that looks keys up in the array finds too few if they are
 * not sorted, never one that is not there.
 */
#include "api/filter.h"

#include "api/options.h"
#include "base/status.h"

/* Neighbouring keys whose order is checked. */
#define CHECKED_PAIRS_MAX 4096u

static_assert((int)RHUMB_FILTER_KEYS == (int)RHUMB__FILTER_KEYS, "numbers of filter kinds");
static_assert((int)RHUMB_FILTER_BITMAP == (int)RHUMB__FILTER_BITMAP, "numbers of filter kinds");
static_assert((int)RHUMB_FILTER_CALLBACK == (int)RHUMB__FILTER_CALLBACK, "numbers of filter kinds");
static_assert((int)RHUMB_FILTER_PLAN_AUTO == (int)RHUMB__FILTER_PLAN_AUTO, "numbers of filter plans");
static_assert((int)RHUMB_FILTER_PLAN_EXACT == (int)RHUMB__FILTER_PLAN_EXACT, "numbers of filter plans");
static_assert((int)RHUMB_FILTER_PLAN_BRIDGE == (int)RHUMB__FILTER_PLAN_BRIDGE, "numbers of filter plans");
static_assert((int)RHUMB_FILTER_PLAN_WALK == (int)RHUMB__FILTER_PLAN_WALK, "numbers of filter plans");

static rhumb_status check_keys(const rhumb_filter *filter) {
    if (filter->keys == NULL && filter->key_count > 0) return rhumb__fail(RHUMB_E_INVALID, "filter.keys is NULL");
    const size_t step = filter->key_count / CHECKED_PAIRS_MAX + 1;
    for (size_t i = 1; i < filter->key_count; i += step) {
        if (filter->keys[i - 1] < filter->keys[i]) continue;
        return rhumb__fail(RHUMB_E_INVALID, "filter.keys must ascend: number %zu is %llu, after %llu", i,
                           (unsigned long long)filter->keys[i], (unsigned long long)filter->keys[i - 1]);
    }
    return RHUMB_OK;
}

static rhumb_status check_filter(const rhumb_filter *filter) {
    if ((unsigned)filter->plan > RHUMB_FILTER_PLAN_WALK) {
        return rhumb__fail(RHUMB_E_INVALID, "filter.plan: %u is not a plan", (unsigned)filter->plan);
    }
    switch (filter->kind) {
    case RHUMB_FILTER_KEYS: return check_keys(filter);
    case RHUMB_FILTER_BITMAP:
        if (filter->bitmap != NULL || filter->bitmap_bit_count == 0) return RHUMB_OK;
        return rhumb__fail(RHUMB_E_INVALID, "filter.bitmap is NULL");
    case RHUMB_FILTER_CALLBACK:
        if (filter->matches != NULL) return RHUMB_OK;
        return rhumb__fail(RHUMB_E_INVALID, "filter.matches is NULL");
    }
    return rhumb__fail(RHUMB_E_INVALID, "filter.kind: %u is not a kind", (unsigned)filter->kind);
}

static rhumb_status resolve(const rhumb_filter *filter, rhumb_filter *resolved) {
    rhumb_filter_init(resolved, sizeof *resolved);
    return rhumb__options_take(resolved, sizeof *resolved, filter, "rhumb_filter");
}

static rhumb__filter to_engine(const rhumb_filter *filter) {
    return (rhumb__filter){
        .kind = (rhumb__filter_kind)filter->kind,
        .plan = (rhumb__filter_plan)filter->plan,
        .negate = filter->negate,
        .keys = filter->keys,
        .key_count = filter->key_count,
        .bits = filter->bitmap,
        .bit_count = filter->bitmap_bit_count,
        .key_base = filter->bitmap_key_base,
        .matches = filter->matches,
        .context = filter->context,
    };
}

rhumb_status rhumb__filter_take(const rhumb_filter *filter, rhumb__filter *target) {
    rhumb_filter resolved;
    rhumb_status status = resolve(filter, &resolved);
    if (status == RHUMB_OK) status = check_filter(&resolved);
    if (status == RHUMB_OK) *target = to_engine(&resolved);
    return status;
}

void rhumb__filter_take_checked(const rhumb_filter *filter, rhumb__filter *target) {
    rhumb_filter resolved;
    const rhumb_status status = resolve(filter, &resolved);
    (void)status; /* the same as when it was checked */
    *target = to_engine(&resolved);
}
