/* file_locks.c - see file_locks.h. Owns the positions of the locks and no state; fails as rhumb__io_lock_range does. */
#include "storage/frame/file_locks.h"

#include "base/assert.h"
#include "storage/frame/format.h"

rhumb_status rhumb__writer_lock_take(rhumb__io *io, bool *taken_out) {
    return rhumb__io_lock_patiently(io, RHUMB__LOCK_WRITER_OFFSET, 1, RHUMB__IO_LOCK_EXCLUSIVE, taken_out);
}

rhumb_status rhumb__writer_lock_release(rhumb__io *io) {
    return rhumb__io_unlock_range(io, RHUMB__LOCK_WRITER_OFFSET, 1);
}

rhumb_status rhumb__writer_lock_test(rhumb__io *io, bool *held_out) {
    return rhumb__io_lock_test(io, RHUMB__LOCK_WRITER_OFFSET, 1, held_out);
}

rhumb_status rhumb__version_pin(rhumb__io *io, uint64_t epoch, bool *pinned_out) {
    RHUMB_ASSERT_DEBUG(epoch > 0 && epoch <= RHUMB__EPOCH_MAX);
    return rhumb__io_lock_range(io, RHUMB__LOCK_EPOCH_OFFSET + epoch, 1, RHUMB__IO_LOCK_SHARED, pinned_out);
}

rhumb_status rhumb__version_unpin(rhumb__io *io, uint64_t epoch) {
    RHUMB_ASSERT_DEBUG(epoch > 0 && epoch <= RHUMB__EPOCH_MAX);
    return rhumb__io_unlock_range(io, RHUMB__LOCK_EPOCH_OFFSET + epoch, 1);
}

rhumb_status rhumb__version_pins_test(rhumb__io *io, uint64_t first_epoch, uint64_t last_epoch, bool *pinned_out) {
    RHUMB_ASSERT_DEBUG(first_epoch <= last_epoch && last_epoch <= RHUMB__EPOCH_MAX);
    return rhumb__io_lock_test(io, RHUMB__LOCK_EPOCH_OFFSET + first_epoch, last_epoch - first_epoch + 1, pinned_out);
}
