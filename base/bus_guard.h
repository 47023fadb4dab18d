/* bus_guard.h - turns SIGBUS under mappings of the library into a mark that callers look at.
 *
 * The kernel raises SIGBUS in a thread that touches a page which a mapping has and the file has not (it was cut short),
 * or which cannot be read from the disk. While the guard is installed, its handler puts zeros in the place of such a
 * page, if it lies in a guarded range, raises the range's flag, and lets the thread go on. What is mapped from a file
 * is never trusted, so zeros are as good as any damage; and the caller finds the flag before it uses what it has read.
 *
 * Ranges are guarded whether the handler is installed or not, so that it can be installed at any time.
 */
#ifndef RHUMB_BASE_BUS_GUARD_H
#define RHUMB_BASE_BUS_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* Whether a page of a range that belongs to the flag's owner had to be replaced. Never lowered again. */
typedef struct rhumb__bus_flag {
    uint32_t raised; /* accessed by the two functions below, so that C++ can read this file */
} rhumb__bus_flag;

/* Relaxed: the thread that met the fault raised it itself, and others may learn of it a little later. */
static inline bool rhumb__bus_flag_is_raised(const rhumb__bus_flag *flag) {
    return __atomic_load_n(&flag->raised, __ATOMIC_RELAXED) != 0;
}

static inline void rhumb__bus_flag_raise(rhumb__bus_flag *flag) {
    __atomic_store_n(&flag->raised, 1u, __ATOMIC_RELAXED);
}

typedef struct rhumb__bus_range rhumb__bus_range;

#ifdef __cplusplus
extern "C" {
#endif

/* Guards the `bytes` from `base` on, which are whole pages, until rhumb__bus_guard_remove; the flag outlives that.
 * `writable` is how the range is mapped. *range_out is NULL or a range that was guarded before, from the same base on,
 * which is then made as long. RHUMB_E_NOMEM. */
rhumb_status rhumb__bus_guard_add(const uint8_t *base, uint64_t bytes, bool writable, rhumb__bus_flag *flag,
                                  rhumb__bus_range **range_out) RHUMB_NODISCARD;

/* To be called before the range is unmapped. NULL is fine. */
void rhumb__bus_guard_remove(rhumb__bus_range *range);

/* Forgets all ranges: in a forked child, which has not inherited the mappings. */
void rhumb__bus_guard_forked(void);

/* Installs the handler, or takes it away; twice is fine. A SIGBUS that is not the library's goes on to the handler that
 * was there before. RHUMB_E_IO. */
rhumb_status rhumb__bus_guard_install(void) RHUMB_NODISCARD;
rhumb_status rhumb__bus_guard_uninstall(void) RHUMB_NODISCARD;

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_BASE_BUS_GUARD_H */
