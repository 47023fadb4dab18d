/* io.c - which backend serves a file, and the calls of io.h, each of which goes to the handle's own backend.
 *
 * Owns the choice of the default backend, made once per process behind pthread_once, and the backend that a test has
 * put in its place. Every call fails as its backend does.
 */
#define _GNU_SOURCE
#include "storage/io/io.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log_message.h"
#include "base/status.h"

/* 80 milliseconds in all; see rhumb__io_lock_patiently. */
#define LOCK_RETRY_COUNT_MAX 16
#define LOCK_PAUSE_NS 5000000

static pthread_once_t backend_once = PTHREAD_ONCE_INIT;
static const rhumb__io_backend *backend_chosen;
static _Atomic(const rhumb__io_backend *) backend_override;

/* A value of RHUMB_IO that names no backend is ignored: there is no caller to report it to. secure_getenv, so that the
 * environment does not steer a process with more rights than its caller. */
static void choose_backend(void) {
    const char *name = secure_getenv("RHUMB_IO");
    backend_chosen = name == NULL ? NULL : rhumb__io_backend_named(name);
    if (backend_chosen != NULL) return;
    backend_chosen = rhumb__io_uring_available() ? &rhumb__io_uring : &rhumb__io_plain;
    if (backend_chosen == &rhumb__io_plain) {
        rhumb__log_message(RHUMB_LOG_WARNING, NULL, "io_uring is not available; plain system calls are used");
    }
}

void rhumb__io_backend_set_default(const rhumb__io_backend *backend) { atomic_store(&backend_override, backend); }

const rhumb__io_backend *rhumb__io_backend_default(void) {
    const rhumb__io_backend *override = atomic_load(&backend_override);
    if (override != NULL) return override;
    pthread_once(&backend_once, choose_backend);
    return backend_chosen;
}

const rhumb__io_backend *rhumb__io_backend_named(const char *name) {
    if (strcmp(name, rhumb__io_uring.name) == 0) return &rhumb__io_uring;
    if (strcmp(name, rhumb__io_plain.name) == 0) return &rhumb__io_plain;
    return NULL;
}

static const rhumb__io_backend *backend_or_default(const rhumb__io_backend *backend) {
    return backend != NULL ? backend : rhumb__io_backend_default();
}

rhumb_status rhumb__io_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                            rhumb__io **io_out) {
    /* A reader queues nothing, so it needs no ring, and does not even test for one. */
    if (backend == NULL && mode == RHUMB__IO_READ && atomic_load(&backend_override) == NULL) {
        return rhumb__io_plain.open(path, mode, io_out);
    }
    return backend_or_default(backend)->open(path, mode, io_out);
}

void rhumb__io_close(rhumb__io *io) {
    if (io != NULL) io->backend->close(io);
}

rhumb_status rhumb__io_size(rhumb__io *io, uint64_t *bytes_out) { return io->backend->size(io, bytes_out); }

rhumb_status rhumb__io_resize(rhumb__io *io, uint64_t bytes) { return io->backend->resize(io, bytes); }

rhumb_status rhumb__io_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    return io->backend->allocate(io, offset, bytes);
}

rhumb_status rhumb__io_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    return io->backend->punch(io, offset, bytes);
}

void rhumb__io_forget(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (io->backend->forget != NULL) io->backend->forget(io, offset, bytes);
}

void rhumb__io_read_exactly(rhumb__io *io, bool exactly) {
    if (io->backend->read_exactly != NULL) io->backend->read_exactly(io, exactly);
}

void rhumb__io_gather(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (io->backend->gather != NULL) io->backend->gather(io, offset, bytes);
}

rhumb_status rhumb__io_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) {
    return io->backend->read(io, bytes, bytes_count, offset);
}

rhumb_status rhumb__io_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) {
    return io->backend->write(io, bytes, bytes_count, offset);
}

rhumb_status rhumb__io_drain(rhumb__io *io) { return io->backend->drain(io); }

rhumb_status rhumb__io_sync(rhumb__io *io) { return io->backend->sync(io); }

rhumb_status rhumb__io_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset, rhumb__io_map_kind kind) {
    const rhumb_status status = io->backend->map(io, address, bytes_count, offset, kind);
    if (status == RHUMB_OK) {
        const uint64_t end = offset + bytes_count;
        uint64_t highest = __atomic_load_n(&io->mapped_end_bytes, __ATOMIC_RELAXED);
        while (highest < end && !__atomic_compare_exchange_n(&io->mapped_end_bytes, &highest, end, true,
                                                             __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        }
    }
    return status;
}

rhumb_status rhumb__io_check_mappings(rhumb__io *io) {
    if (!rhumb__io_mapping_failed(io)) return RHUMB_OK;
    /* Reads the last page, because asking for the size is a call that belongs to the thread that has the handle. */
    const uint64_t end = __atomic_load_n(&io->mapped_end_bytes, __ATOMIC_RELAXED);
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint8_t byte = 0;
    const rhumb_status status = rhumb__io_read(io, &byte, sizeof byte, end - rhumb__min_u64(end, page_bytes));
    if (status == RHUMB_E_TRUNCATED) {
        return rhumb__fail_at(RHUMB_E_TRUNCATED, io->path, RHUMB_OFFSET_NONE,
                              "the file was cut short while it was open: expected at least %llu bytes",
                              (unsigned long long)end);
    }
    if (status != RHUMB_OK) return status;
    return rhumb__fail_at(
        RHUMB_E_IO, io->path, RHUMB_OFFSET_NONE,
        "a part of the file could not be read through its mapping; the disk fails, or the file was cut "
        "short for a while");
}

rhumb_status rhumb__io_lock_range(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind,
                                  bool *taken_out) {
    if (io->unlocked) {
        *taken_out = true;
        return RHUMB_OK;
    }
    return io->backend->lock(io, offset, bytes, kind, taken_out);
}

rhumb_status rhumb__io_lock_patiently(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind,
                                      bool *taken_out) {
    rhumb_status status = rhumb__io_lock_range(io, offset, bytes, kind, taken_out);
    for (uint32_t retry = 0; status == RHUMB_OK && !*taken_out && retry < LOCK_RETRY_COUNT_MAX; retry++) {
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_NS}, NULL);
        status = rhumb__io_lock_range(io, offset, bytes, kind, taken_out);
    }
    return status;
}

rhumb_status rhumb__io_unlock_range(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (io->unlocked) return RHUMB_OK;
    return io->backend->unlock(io, offset, bytes);
}

rhumb_status rhumb__io_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes, bool *held_by_other_out) {
    if (io->unlocked) {
        *held_by_other_out = false;
        return RHUMB_OK;
    }
    return io->backend->lock_test(io, offset, bytes, held_by_other_out);
}

rhumb_status rhumb__io_sync_directory(const rhumb__io_backend *backend, const char *path) {
    return backend_or_default(backend)->sync_directory(path);
}

rhumb_status rhumb__io_remove(const rhumb__io_backend *backend, const char *path) {
    return backend_or_default(backend)->remove(path);
}

rhumb_status rhumb__io_take_name(rhumb__io *io, const char *path) { return io->backend->take_name(io, path); }

rhumb_status rhumb__io_is_at(rhumb__io *io, const char *path, bool *is_at_out) {
    return io->backend->is_at(io, path, is_at_out);
}

rhumb_status rhumb__io_remove_own(rhumb__io *io, const char *path) {
    bool is_at = false;
    const rhumb_status status = rhumb__io_is_at(io, path, &is_at);
    if (status != RHUMB_OK || !is_at) return status;
    return rhumb__io_remove(io->backend, path);
}

rhumb__io_access rhumb__io_access_get(rhumb__io *io) {
    rhumb__io_access access = {.known = false};
    if (io->backend->access_get != NULL) io->backend->access_get(io, &access);
    return access;
}

void rhumb__io_access_set(rhumb__io *io, const rhumb__io_access *access) {
    if (access->known && io->backend->access_set != NULL) io->backend->access_set(io, access);
}

rhumb_status rhumb__io_create_like(const rhumb__io_backend *backend, const char *path, const rhumb__io_access *model,
                                   rhumb__io **io_out) {
    if (model == NULL || !model->known) return rhumb__io_open(backend, path, RHUMB__IO_CREATE, io_out);
    const rhumb_status status = rhumb__io_open(backend, path, RHUMB__IO_CREATE_PRIVATE, io_out);
    if (status == RHUMB_OK) rhumb__io_access_set(*io_out, model);
    return status;
}
