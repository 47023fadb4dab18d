// See io_fault.h. Each call asks trip() whether it is the chosen one, and otherwise continues in the plain backend. The
// plain backend's queue is always empty, so skipping a sync leaves nothing undone.
#include "tests/support/io_fault.h"

#include <atomic>
#include <string>

extern "C" {
#include "base/status.h"
}

namespace rhumb_test {
namespace {

struct FaultHandle {
    rhumb__io io;
    rhumb__io *inner;
    std::string path;
    bool write_failed;
    bool sync_failed;
    rhumb_error write_error;
};

IoFault fault; // its calls and their number are in the next two, which change while other threads call
std::atomic<uint32_t> counted_calls{kAllIoCalls};
std::atomic<uint64_t> failing_number{0}; // set last, so a thread that reads one sees the rest of the fault
std::atomic<uint64_t> call_count{0};
std::atomic<IoCall> hit{IoCall::kCount};

FaultHandle *handle_of(rhumb__io *io) { return reinterpret_cast<FaultHandle *>(io); }

// Counts a call. Returns whether it must fail.
bool trip(IoCall call) {
    if ((counted_calls & io_call_bit(call)) == 0) return false;
    const uint64_t number = ++call_count;
    const uint64_t first = failing_number;
    if (first == 0 || number < first) return false;
    if (number > first && !fault.persistent) return false;
    IoCall none = IoCall::kCount;
    hit.compare_exchange_strong(none, call);
    return true;
}

rhumb_status injected(const char *path, IoCall call) {
    return rhumb__fail_errno(fault.os_errno, path, RHUMB_OFFSET_NONE, "injected into %s", io_call_name(call));
}

rhumb_status fault_open(const char *path, rhumb__io_mode mode, rhumb__io **io_out) {
    if (trip(IoCall::kOpen)) return injected(path, IoCall::kOpen);
    rhumb__io *inner = nullptr;
    const rhumb_status status = rhumb__io_open(&rhumb__io_plain, path, mode, &inner);
    if (status != RHUMB_OK) return status;
    FaultHandle *handle = new FaultHandle{};
    handle->path = path;
    handle->inner = inner;
    handle->io.backend = &io_fault_backend;
    handle->io.path = handle->path.c_str();
    *io_out = &handle->io;
    return RHUMB_OK;
}

void fault_close(rhumb__io *io) {
    rhumb__io_close(handle_of(io)->inner);
    delete handle_of(io);
}

rhumb_status fault_size(rhumb__io *io, uint64_t *bytes_out) {
    if (trip(IoCall::kSize)) return injected(io->path, IoCall::kSize);
    return rhumb__io_size(handle_of(io)->inner, bytes_out);
}

rhumb_status fault_resize(rhumb__io *io, uint64_t bytes) {
    if (trip(IoCall::kResize)) return injected(io->path, IoCall::kResize);
    return rhumb__io_resize(handle_of(io)->inner, bytes);
}

rhumb_status fault_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (trip(IoCall::kAllocate)) return injected(io->path, IoCall::kAllocate);
    return rhumb__io_allocate(handle_of(io)->inner, offset, bytes);
}

rhumb_status fault_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (trip(IoCall::kPunch)) return injected(io->path, IoCall::kPunch);
    return rhumb__io_punch(handle_of(io)->inner, offset, bytes);
}

rhumb_status fault_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) {
    if (trip(IoCall::kRead)) return injected(io->path, IoCall::kRead);
    return rhumb__io_read(handle_of(io)->inner, bytes, bytes_count, offset);
}

rhumb_status fault_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) {
    FaultHandle *handle = handle_of(io);
    if (!trip(IoCall::kWrite)) return rhumb__io_write(handle->inner, bytes, bytes_count, offset);
    if (fault.short_write) {
        const rhumb_status status = rhumb__io_write(handle->inner, bytes, bytes_count / 2, offset);
        if (status != RHUMB_OK) return status;
    }
    if (!handle->write_failed) {
        handle->write_failed = true;
        rhumb_error before;
        rhumb__error_save(&before);
        rhumb__fail_errno(fault.os_errno, io->path, offset, "injected into write");
        rhumb__error_save(&handle->write_error);
        rhumb__error_restore(&before);
    }
    return RHUMB_OK;
}

rhumb_status take_write_error(FaultHandle *handle) {
    const rhumb_status status = rhumb__io_drain(handle->inner);
    if (!handle->write_failed) return status;
    handle->write_failed = false;
    rhumb__error_restore(&handle->write_error);
    return handle->write_error.status;
}

rhumb_status fault_drain(rhumb__io *io) {
    const rhumb_status status = take_write_error(handle_of(io));
    if (!trip(IoCall::kDrain)) return status;
    return injected(io->path, IoCall::kDrain);
}

rhumb_status fault_sync(rhumb__io *io) {
    FaultHandle *handle = handle_of(io);
    const rhumb_status status = take_write_error(handle);
    if (status != RHUMB_OK) return status;
    handle->sync_failed = trip(IoCall::kSync) || handle->sync_failed;
    if (!handle->sync_failed) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_FATAL, io->path, RHUMB_OFFSET_NONE, "injected into sync");
}

rhumb_status fault_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset, rhumb__io_map_kind kind) {
    if (trip(IoCall::kMap)) return injected(io->path, IoCall::kMap);
    return rhumb__io_map(handle_of(io)->inner, address, bytes_count, offset, kind);
}

rhumb_status fault_lock(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind, bool *taken_out) {
    if (trip(IoCall::kLock)) return injected(io->path, IoCall::kLock);
    return rhumb__io_lock_range(handle_of(io)->inner, offset, bytes, kind, taken_out);
}

rhumb_status fault_unlock(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (trip(IoCall::kUnlock)) return injected(io->path, IoCall::kUnlock);
    return rhumb__io_unlock_range(handle_of(io)->inner, offset, bytes);
}

rhumb_status fault_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes, bool *held_by_other_out) {
    if (trip(IoCall::kLockTest)) return injected(io->path, IoCall::kLockTest);
    return rhumb__io_lock_test(handle_of(io)->inner, offset, bytes, held_by_other_out);
}

rhumb_status fault_sync_directory(const char *path) {
    if (trip(IoCall::kSyncDirectory)) return injected(path, IoCall::kSyncDirectory);
    return rhumb__io_sync_directory(&rhumb__io_plain, path);
}

rhumb_status fault_remove(const char *path) {
    if (trip(IoCall::kRemove)) return injected(path, IoCall::kRemove);
    return rhumb__io_remove(&rhumb__io_plain, path);
}

rhumb_status fault_take_name(rhumb__io *io, const char *path) {
    if (trip(IoCall::kTakeName)) return injected(path, IoCall::kTakeName);
    FaultHandle *handle = handle_of(io);
    const rhumb_status status = rhumb__io_take_name(handle->inner, path);
    if (status != RHUMB_OK) return status;
    handle->path = path;
    handle->io.path = handle->path.c_str();
    return RHUMB_OK;
}

rhumb_status fault_is_at(rhumb__io *io, const char *path, bool *is_at_out) {
    if (trip(IoCall::kIsAt)) return injected(path, IoCall::kIsAt);
    return rhumb__io_is_at(handle_of(io)->inner, path, is_at_out);
}

void fault_access_get(rhumb__io *io, rhumb__io_access *access) { *access = rhumb__io_access_get(handle_of(io)->inner); }

void fault_access_set(rhumb__io *io, const rhumb__io_access *access) {
    rhumb__io_access_set(handle_of(io)->inner, access);
}

} // namespace

const char *io_call_name(IoCall call) {
    static const char *const names[] = {"open",      "size",           "resize", "allocate",  "punch", "read",
                                        "write",     "drain",          "sync",   "map",       "lock",  "unlock",
                                        "lock_test", "sync_directory", "remove", "take_name", "is_at", "nothing"};
    return names[static_cast<int>(call)];
}

void io_fault_arm(const IoFault &armed) {
    failing_number = 0;
    fault = armed;
    counted_calls = armed.calls;
    call_count = 0;
    hit = IoCall::kCount;
    failing_number = armed.call_number;
}

void io_fault_disarm() { failing_number = 0; }

uint64_t io_fault_call_count() { return call_count; }

IoCall io_fault_hit() { return hit; }

const rhumb__io_backend io_fault_backend = {
    "fault",          fault_open,      fault_close,     fault_size,
    fault_resize,     fault_allocate,  fault_punch,     fault_read,
    fault_write,      fault_drain,     fault_sync,      fault_map,
    fault_lock,       fault_unlock,    fault_lock_test, fault_sync_directory,
    fault_remove,     fault_take_name, fault_is_at,     fault_access_get,
    fault_access_set, nullptr,         nullptr,         nullptr,
    nullptr,
};

} // namespace rhumb_test
