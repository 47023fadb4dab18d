/* file_locks.h - the locks by which the handles of one file, in any process, stay out of each other's way: the writer's
 * lock, and one pin for each version that is being read. The layout is in FORMAT.md, section 9.
 *
 * The locks belong to the io handle; the kernel releases them when it is closed or its process dies.
 */
#ifndef RHUMB_STORAGE_FRAME_FILE_LOCKS_H
#define RHUMB_STORAGE_FRAME_FILE_LOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/io/io.h"

/* Takes the writer's lock; false after 80 milliseconds during which another handle held it. RHUMB_E_IO. */
rhumb_status rhumb__writer_lock_take(rhumb__io *io, bool *taken_out) RHUMB_NODISCARD;

/* Releases it while the handle stays open. RHUMB_E_IO. */
rhumb_status rhumb__writer_lock_release(rhumb__io *io) RHUMB_NODISCARD;

/* Whether another handle holds the writer's lock. RHUMB_E_IO. */
rhumb_status rhumb__writer_lock_test(rhumb__io *io, bool *held_out) RHUMB_NODISCARD;

/* Pins the version of `epoch` (1 to RHUMB__EPOCH_MAX): once the pin is there, a writer that tests it does not reuse
 * blocks of that version. Never waits; *pinned_out is false while a writer tests that very byte. RHUMB_E_IO. */
rhumb_status rhumb__version_pin(rhumb__io *io, uint64_t epoch, bool *pinned_out) RHUMB_NODISCARD;

rhumb_status rhumb__version_unpin(rhumb__io *io, uint64_t epoch) RHUMB_NODISCARD;

/* Whether another handle pins a version of an epoch from `first_epoch` up to and including `last_epoch`. RHUMB_E_IO. */
rhumb_status rhumb__version_pins_test(rhumb__io *io, uint64_t first_epoch, uint64_t last_epoch,
                                      bool *pinned_out) RHUMB_NODISCARD;

#endif /* RHUMB_STORAGE_FRAME_FILE_LOCKS_H */
