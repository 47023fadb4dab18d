/* address_space.h - addresses for memory that grows in place and never moves.
 *
 * A range that may grow occupies only the addresses that it uses. What keeps room behind it is the place it gets: a
 * registry of the process puts such ranges far apart, in a part of the address space that nothing else is put into by
 * itself. So a program can have thousands of them, and a limit of its address space (RLIMIT_AS) counts what is used.
 *
 * Threads: different ranges may be used by different threads at the same time; one range by one thread at a time.
 */
#ifndef RHUMB_STORAGE_ADDRESS_SPACE_H
#define RHUMB_STORAGE_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rhumb__address_range {
    uint8_t *base;           /* of 2 MiB or more, and of what may grow: a multiple of 2 MiB */
    uint64_t bytes;          /* in use, from base on */
    uint64_t reserved_bytes; /* occupied, from base on: more than `bytes` only where ranges cannot be put far apart */
    bool registered;
} rhumb__address_range;

/* Takes addresses for a range that begins with `bytes`, mapped without access, for the caller to map something over
 * them, and may grow to `bytes_max` or less. Both are multiples of the block; if they are equal, `bytes` is not 0 and
 * the range never grows. RHUMB_E_NOMEM: `range` is empty. */
rhumb_status rhumb__address_range_take(rhumb__address_range *range, uint64_t bytes, uint64_t bytes_max) RHUMB_NODISCARD;

/* Adds memory of zeros at the end, to bytes_wanted or, when that much is not to be had, to bytes_needed in all; both
 * are multiples of the block. RHUMB_E_NOMEM, or RHUMB_E_FULL when something else occupies the addresses: the range is
 * as it was. */
rhumb_status rhumb__address_range_grow(rhumb__address_range *range, uint64_t bytes_needed,
                                       uint64_t bytes_wanted) RHUMB_NODISCARD;

/* Unmaps the range, and whatever the caller has mapped over it. An empty one is fine. */
void rhumb__address_range_drop(rhumb__address_range *range);

/* Whether the process may have less memory or address space than the machine (RLIMIT_AS, RLIMIT_DATA). */
bool rhumb__address_space_is_limited(void);

/* The number of mappings of the process (of which the system allows vm.max_map_count, 65,530 by default); 0 when the
 * system does not tell. Reads /proc: its cost grows with the number. */
uint64_t rhumb__process_mapping_count(void);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_STORAGE_ADDRESS_SPACE_H */
