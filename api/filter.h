/* filter.h - converting a caller's filter to the engine's.
 */
#ifndef RHUMB_API_FILTER_H
#define RHUMB_API_FILTER_H

#include "engine/search/walk/filter.h"
#include "include/rhumb.h"

/* Checks a caller's filter and converts it to the engine's form, which points to the caller's arrays. RHUMB_E_INVALID.
 */
rhumb_status rhumb__filter_take(const rhumb_filter *filter, rhumb__filter *target) RHUMB_NODISCARD;

/* The same without the check, which reads up to 8,192 keys, for a filter that has passed it. */
void rhumb__filter_take_checked(const rhumb_filter *filter, rhumb__filter *target);

#endif /* RHUMB_API_FILTER_H */
