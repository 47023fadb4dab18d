/* store_stats.h - what a store says of itself at any time, without waiting for a publication or a check under way.
 *
 * Threads: any, as long as the store is open; nothing here takes the publishing lock except where it says so.
 */
#ifndef RHUMB_STORAGE_STORE_STATS_H
#define RHUMB_STORAGE_STORE_STATS_H

#include <stdint.h>

#include "storage/store.h"

/* The numbers as they were when the last publication, or another change of the file's blocks, ended. */
rhumb__store_stats rhumb__store_stats_get(rhumb__store *store);

/* Renews the numbers. With the publishing lock held, or the store known to no other thread. */
void rhumb__store_stats_note(rhumb__store *store);

#define RHUMB__PIN_PID_COUNT_MAX 16u

/* A version that readers hold. */
typedef struct rhumb__store_pin {
    uint64_t epoch;
    uint32_t reader_count; /* handles, in any process; 1 where the system does not tell how many */
    uint32_t pid_count;
    int32_t pids[RHUMB__PIN_PID_COUNT_MAX]; /* processes that have such a handle, as far as the system tells */
} rhumb__store_pin;

/* Finds the versions that are pinned, by ascending epoch, the first `capacity` of them. Scans /proc for the
 * processes, which takes some milliseconds where there are thousands. RHUMB_E_IO. */
rhumb_status rhumb__store_pins(rhumb__store *store, rhumb__store_pin *pins, uint32_t capacity,
                               uint32_t *count_out) RHUMB_NODISCARD;

/* The same for an open file, which itself pins `own_epoch` (0: none) and lies at `path`. NULL:
 * processes are not looked for. */
rhumb_status rhumb__file_pins(rhumb__io *io, const char *path, uint64_t own_epoch, rhumb__store_pin *pins,
                              uint32_t capacity, uint32_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_STORE_STATS_H */
