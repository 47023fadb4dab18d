/* io_plain.c - the backend that needs nothing but POSIX: a write is complete when rhumb__io_write returns.
 *
 * Its queue is therefore always empty, and a drain only returns the failure kept in the handle. Owns its handle, holds
 * no lock, and fails as io.h says.
 */
#include "storage/io/io_file.h"

#include "base/alloc.h"

static rhumb_status plain_open(const char *path, rhumb__io_mode mode, rhumb__io **io_out) {
    rhumb__io_file *file = rhumb__alloc_zeroed(1, sizeof *file);
    if (file == NULL) return rhumb__fail_at(RHUMB_E_NOMEM, path, RHUMB_OFFSET_NONE, "no memory for a file handle");
    const rhumb_status status = rhumb__io_file_open(file, &rhumb__io_plain, path, mode);
    if (status != RHUMB_OK) {
        rhumb__free(file);
        return status;
    }
    *io_out = &file->io;
    return RHUMB_OK;
}

static void plain_close(rhumb__io *io) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    rhumb__io_file_close(file);
    rhumb__free(file);
}

static rhumb_status plain_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    const rhumb_status status = rhumb__io_file_write_check(file, bytes_count, offset);
    if (status == RHUMB_OK) rhumb__io_file_write_now(file, bytes, bytes_count, offset);
    return status;
}

static rhumb_status plain_drain(rhumb__io *io) { return rhumb__io_file_failure_take((rhumb__io_file *)io); }

static rhumb_status plain_sync(rhumb__io *io) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    rhumb_status status;
    RHUMB_TRY(rhumb__io_file_failure_take(file));
    RHUMB_TRY(rhumb__io_file_sync_check(file));
    RHUMB_TRY(rhumb__io_file_sync_now(file));
done:
    return status;
}

const rhumb__io_backend rhumb__io_plain = {
    .name = "plain",
    .open = plain_open,
    .close = plain_close,
    .size = rhumb__io_file_size,
    .resize = rhumb__io_file_resize,
    .allocate = rhumb__io_file_allocate,
    .punch = rhumb__io_file_punch,
    .read = rhumb__io_file_read,
    .write = plain_write,
    .drain = plain_drain,
    .sync = plain_sync,
    .map = rhumb__io_file_map,
    .lock = rhumb__io_file_lock,
    .unlock = rhumb__io_file_unlock,
    .lock_test = rhumb__io_file_lock_test,
    .sync_directory = rhumb__io_file_sync_directory,
    .remove = rhumb__io_file_remove,
    .take_name = rhumb__io_file_take_name,
    .is_at = rhumb__io_file_is_at,
    .access_get = rhumb__io_file_access_get,
    .access_set = rhumb__io_file_access_set,
    .forget = rhumb__io_file_forget,
    .gather = rhumb__io_file_gather,
    .read_exactly = rhumb__io_file_read_exactly,
    .open_direct = rhumb__io_file_open_direct,
};
