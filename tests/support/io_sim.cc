// See io_sim.h. Every call goes to the plain backend on a descriptor of the file's memfd; a change is
// carried out and recorded in the history under one lock, so the order of the history is that of the page cache.
#include "tests/support/io_sim.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

extern "C" {
#include "base/status.h"
}

namespace rhumb_test {
namespace {

// A simulation that cannot continue proves nothing.
void require(bool condition, const char *what) {
    if (condition) return;
    fprintf(stderr, "simulated disk: %s (errno %d)\n", what, errno);
    abort();
}

// The page cache of one file.
struct CachedFile {
    explicit CachedFile(uint64_t id) : id(id), fd(memfd_create("rhumb_sim", MFD_CLOEXEC)) {
        require(fd >= 0, "cannot make a file");
    }
    ~CachedFile() { ::close(fd); }
    CachedFile(const CachedFile &) = delete;
    CachedFile &operator=(const CachedFile &) = delete;

    uint64_t size_bytes() const {
        struct stat info;
        require(fstat(fd, &info) == 0, "cannot see a file's size");
        return static_cast<uint64_t>(info.st_size);
    }
    // [begin, end), zeros after the end of the file.
    SimBytes bytes(uint64_t begin, uint64_t end) const {
        SimBytes all(end - begin);
        for (uint64_t done = 0; done < all.size();) {
            const ssize_t got = pread(fd, &all[done], all.size() - done, static_cast<off_t>(begin + done));
            require(got >= 0, "cannot read a file");
            if (got == 0) break;
            done += static_cast<uint64_t>(got);
        }
        return all;
    }

    const uint64_t id;
    const int fd;
};

// A write that no call has waited for.
struct QueuedWrite {
    uint64_t sequence;
    uint64_t offset;
    SimBytes bytes;
    const void *source;
    bool in_flight; // may be in flight: a call on the size has not waited for it either
};

struct SimHandle {
    rhumb__io io;
    rhumb__io *inner;
    std::string path;
    std::shared_ptr<CachedFile> file;
    bool sync_failed;
    std::vector<QueuedWrite> queued;
};

struct Disk {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<CachedFile>> names;
    std::shared_ptr<const SimImage> base = std::make_shared<SimImage>();
    std::map<std::string, uint64_t> base_files;
    SimHistory history;
    uint64_t file_count = 0; // ever made
    std::vector<SimHandle *> handles;
    SimLie lie;
    uint64_t lie_sync_count = 0;
    uint64_t lie_position = 0;
    std::string violation;
};

Disk &disk() {
    static Disk *the_disk = new Disk; // never destroyed: a thread may still use it when the process ends
    return *the_disk;
}

using Guard = std::lock_guard<std::mutex>;

SimHandle *handle_of(rhumb__io *io) { return reinterpret_cast<SimHandle *>(io); }

// Here and below, the caller holds the lock wherever the history is touched.
uint64_t record(SimEvent event) {
    event.sequence = disk().history.size() + 1;
    disk().history.push_back(std::make_shared<const SimEvent>(std::move(event)));
    return disk().history.size();
}

SimEvent event_of(SimEventKind kind, const SimHandle *handle) {
    SimEvent event;
    event.kind = kind;
    event.file = handle->file->id;
    event.path = handle->path;
    return event;
}

constexpr uint64_t sector_begin(uint64_t offset) { return offset / kSimSectorBytes * kSimSectorBytes; }
constexpr uint64_t sector_end(uint64_t offset) { return sector_begin(offset + kSimSectorBytes - 1); }

// Records the sectors around [begin, end) as the page cache holds them now.
uint64_t record_sectors(const SimHandle *handle, uint64_t begin, uint64_t end) {
    SimEvent event = event_of(SimEventKind::kWrite, handle);
    event.offset = sector_begin(begin);
    event.bytes = handle->file->bytes(event.offset, sector_end(end));
    return record(std::move(event));
}

void record_size(const SimHandle *handle, uint64_t before_bytes) {
    const uint64_t now_bytes = handle->file->size_bytes();
    if (now_bytes == before_bytes) return;
    SimEvent event = event_of(SimEventKind::kSize, handle);
    event.size_bytes = now_bytes;
    if (now_bytes < before_bytes) {
        // The rest of the last sector is content, which may be lost by itself.
        if (now_bytes % kSimSectorBytes != 0) record_sectors(handle, now_bytes, now_bytes + 1);
        event.zero_begin = sector_end(now_bytes);
        event.zero_end = sector_end(before_bytes);
    }
    record(std::move(event));
}

// Failures of the page cache's descriptor are reported with the path that the caller knows.
rhumb_status relabel(const SimHandle *handle, rhumb_status status) {
    if (status == RHUMB_OK) return status;
    rhumb_error error;
    rhumb__error_save(&error);
    snprintf(error.path, sizeof error.path, "%s", handle->path.c_str());
    rhumb__error_restore(&error);
    return status;
}

void note_violation(const SimHandle *handle, uint64_t offset, const char *what) {
    if (!disk().violation.empty()) return;
    disk().violation = handle->path + ", byte " + std::to_string(offset) + ": " + what;
}

void settle(SimHandle *handle) {
    for (QueuedWrite &write : handle->queued) write.in_flight = false;
}

void finish_queue(SimHandle *handle) {
    for (const QueuedWrite &write : handle->queued) {
        if (memcmp(write.source, write.bytes.data(), write.bytes.size()) != 0)
            note_violation(handle, write.offset, "the bytes of a write were changed before the drain");
    }
    handle->queued.clear();
}

// ---- the backend ----

rhumb_status sim_open(const char *path, rhumb__io_mode mode, rhumb__io **io_out) {
    const Guard guard(disk().mutex);
    const auto found = disk().names.find(path);
    const bool exists = found != disk().names.end();
    const bool creates = mode == RHUMB__IO_CREATE || mode == RHUMB__IO_CREATE_PRIVATE;
    if (creates && exists) return rhumb__fail_errno(EEXIST, path, RHUMB_OFFSET_NONE, "cannot create");
    if ((!creates && !exists) || *path == '\0')
        return rhumb__fail_errno(ENOENT, path, RHUMB_OFFSET_NONE, "cannot open");
    SimHandle *handle = new SimHandle{};
    handle->path = path;
    handle->file = exists ? found->second : std::make_shared<CachedFile>(disk().file_count + 1);
    const std::string link = "/proc/self/fd/" + std::to_string(handle->file->fd);
    const rhumb__io_mode inner_mode = mode == RHUMB__IO_READ ? RHUMB__IO_READ : RHUMB__IO_WRITE;
    const rhumb_status status =
        relabel(handle, rhumb__io_open(&rhumb__io_plain, link.c_str(), inner_mode, &handle->inner));
    if (status != RHUMB_OK) {
        delete handle;
        return status;
    }
    handle->io.backend = &io_sim_backend;
    handle->io.path = handle->path.c_str();
    if (!exists) {
        disk().file_count++;
        disk().names[path] = handle->file;
        record(event_of(SimEventKind::kCreate, handle));
    }
    disk().handles.push_back(handle);
    *io_out = &handle->io;
    return RHUMB_OK;
}

void sim_close(rhumb__io *io) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    std::vector<SimHandle *> &handles = disk().handles;
    for (size_t i = 0; i < handles.size(); i++) {
        if (handles[i] == handle) handles.erase(handles.begin() + static_cast<ptrdiff_t>(i));
    }
    rhumb__io_close(handle->inner);
    delete handle;
}

rhumb_status sim_size(rhumb__io *io, uint64_t *bytes_out) {
    const Guard guard(disk().mutex);
    settle(handle_of(io));
    return relabel(handle_of(io), rhumb__io_size(handle_of(io)->inner, bytes_out));
}

rhumb_status sim_resize(rhumb__io *io, uint64_t bytes) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    settle(handle);
    const uint64_t before_bytes = handle->file->size_bytes();
    const rhumb_status status = relabel(handle, rhumb__io_resize(handle->inner, bytes));
    if (status == RHUMB_OK) record_size(handle, before_bytes);
    return status;
}

rhumb_status sim_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    settle(handle);
    const uint64_t before_bytes = handle->file->size_bytes();
    const rhumb_status status = relabel(handle, rhumb__io_allocate(handle->inner, offset, bytes));
    if (status == RHUMB_OK) record_size(handle, before_bytes);
    return status;
}

rhumb_status sim_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    settle(handle);
    const rhumb_status status = relabel(handle, rhumb__io_punch(handle->inner, offset, bytes));
    if (status != RHUMB_OK || bytes == 0) return status;
    // Whole sectors go as one; what is zeroed of the sectors at both ends is content.
    const uint64_t end = offset + bytes;
    SimEvent event = event_of(SimEventKind::kPunch, handle);
    event.zero_begin = sector_end(offset);
    event.zero_end = sector_begin(end);
    if (offset < event.zero_begin) record_sectors(handle, offset, offset + 1);
    if (event.zero_end < end && event.zero_end >= event.zero_begin) record_sectors(handle, event.zero_end, end);
    if (event.zero_begin < event.zero_end) record(std::move(event));
    return RHUMB_OK;
}

rhumb_status sim_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) {
    return relabel(handle_of(io), rhumb__io_read(handle_of(io)->inner, bytes, bytes_count, offset));
}

rhumb_status sim_write(rhumb__io *io, const void *bytes, size_t bytes_count, uint64_t offset) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    const uint64_t before_bytes = handle->file->size_bytes();
    const rhumb_status status = relabel(handle, rhumb__io_write(handle->inner, bytes, bytes_count, offset));
    if (status != RHUMB_OK || bytes_count == 0) return status;
    require(rhumb__io_drain(handle->inner) == RHUMB_OK, "cannot write to memory");
    for (const QueuedWrite &other : handle->queued) {
        if (offset < other.offset + other.bytes.size() && other.offset < offset + bytes_count)
            note_violation(handle, offset, "overlaps a queued write");
    }
    const uint64_t sequence = record_sectors(handle, offset, offset + bytes_count);
    record_size(handle, before_bytes);
    const uint8_t *first = static_cast<const uint8_t *>(bytes);
    handle->queued.push_back({sequence, offset, SimBytes(first, first + bytes_count), bytes, true});
    return RHUMB_OK;
}

rhumb_status sim_drain(rhumb__io *io) {
    const Guard guard(disk().mutex);
    finish_queue(handle_of(io));
    return RHUMB_OK;
}

bool ends_with(const std::string &text, const std::string &end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

rhumb_status sim_sync(rhumb__io *io) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    finish_queue(handle);
    if (handle->sync_failed)
        return rhumb__fail_at(RHUMB_E_FATAL, io->path, RHUMB_OFFSET_NONE, "an earlier sync failed");
    SimEvent event = event_of(SimEventKind::kSync, handle);
    for (const SimHandle *other : disk().handles) {
        for (const QueuedWrite &write : other->queued) {
            if (other->file == handle->file && write.in_flight) event.in_flight.push_back(write.sequence);
        }
    }
    if (ends_with(handle->path, disk().lie.path_end) && ++disk().lie_sync_count == disk().lie.sync_number) {
        event.kind = SimEventKind::kLostSync;
        event.lost_seed = disk().lie.survivors_seed;
        handle->sync_failed = true;
        disk().lie_position = record(std::move(event));
        return rhumb__fail_at(RHUMB_E_FATAL, io->path, RHUMB_OFFSET_NONE, "the simulated disk failed to sync");
    }
    record(std::move(event));
    return RHUMB_OK;
}

rhumb_status sim_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset, rhumb__io_map_kind kind) {
    return relabel(handle_of(io), rhumb__io_map(handle_of(io)->inner, address, bytes_count, offset, kind));
}

rhumb_status sim_lock(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind, bool *taken_out) {
    return relabel(handle_of(io), rhumb__io_lock_range(handle_of(io)->inner, offset, bytes, kind, taken_out));
}

rhumb_status sim_unlock(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    return relabel(handle_of(io), rhumb__io_unlock_range(handle_of(io)->inner, offset, bytes));
}

rhumb_status sim_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes, bool *held_by_other_out) {
    return relabel(handle_of(io), rhumb__io_lock_test(handle_of(io)->inner, offset, bytes, held_by_other_out));
}

rhumb_status sim_sync_directory(const char *path) {
    const Guard guard(disk().mutex);
    SimEvent event;
    event.kind = SimEventKind::kDirectory;
    event.path = sim_directory_of(path);
    record(std::move(event));
    return RHUMB_OK;
}

rhumb_status sim_remove(const char *path) {
    const Guard guard(disk().mutex);
    const auto found = disk().names.find(path);
    if (found == disk().names.end()) return rhumb__fail_errno(ENOENT, path, RHUMB_OFFSET_NONE, "cannot remove");
    SimEvent event;
    event.kind = SimEventKind::kRemove;
    event.file = found->second->id;
    event.path = path;
    disk().names.erase(found);
    record(std::move(event));
    return RHUMB_OK;
}

rhumb_status sim_take_name(rhumb__io *io, const char *path) {
    const Guard guard(disk().mutex);
    SimHandle *handle = handle_of(io);
    const auto found = disk().names.find(handle->path);
    if (found == disk().names.end() || found->second != handle->file)
        return rhumb__fail_errno(ENOENT, handle->path.c_str(), RHUMB_OFFSET_NONE, "cannot rename");
    if (disk().names.count(path) > 0)
        return rhumb__fail_errno(EEXIST, path, RHUMB_OFFSET_NONE, "cannot rename to this");
    SimEvent event = event_of(SimEventKind::kRename, handle);
    event.path_to = path;
    disk().names.erase(found);
    disk().names[path] = handle->file;
    handle->path = path;
    handle->io.path = handle->path.c_str();
    record(std::move(event));
    return RHUMB_OK;
}

rhumb_status sim_is_at(rhumb__io *io, const char *path, bool *is_at_out) {
    const Guard guard(disk().mutex);
    const auto found = disk().names.find(path);
    *is_at_out = found != disk().names.end() && found->second == handle_of(io)->file;
    return RHUMB_OK;
}

} // namespace

const rhumb__io_backend io_sim_backend = {
    "sim",      sim_open,      sim_close, sim_size, sim_resize, sim_allocate, sim_punch,     sim_read,
    sim_write,  sim_drain,     sim_sync,  sim_map,  sim_lock,   sim_unlock,   sim_lock_test, sim_sync_directory,
    sim_remove, sim_take_name, sim_is_at, nullptr,  nullptr,    nullptr,      nullptr,       nullptr,
    nullptr,
};

// ---- for tests ----

void sim_restore(const SimImage &image) {
    const Guard guard(disk().mutex);
    require(disk().handles.empty(), "replaced while handles are open");
    disk().names.clear();
    disk().base_files.clear();
    disk().history.clear();
    disk().base = std::make_shared<SimImage>(image);
    for (const auto &[path, bytes] : image.files) {
        const auto file = std::make_shared<CachedFile>(++disk().file_count);
        require(ftruncate(file->fd, static_cast<off_t>(bytes.size())) == 0, "no memory for a file");
        for (size_t done = 0; done < bytes.size();) {
            const ssize_t put = pwrite(file->fd, &bytes[done], bytes.size() - done, static_cast<off_t>(done));
            require(put > 0, "no memory for a file's content");
            done += static_cast<size_t>(put);
        }
        disk().base_files[path] = file->id;
        disk().names[path] = file;
    }
}

void sim_reset() {
    sim_restore({});
    sim_lie_arm({});
    sim_reset_violation();
}

uint64_t sim_position() {
    const Guard guard(disk().mutex);
    return disk().history.size();
}

SimRecording sim_recording() {
    const Guard guard(disk().mutex);
    return SimRecording(disk().base, disk().base_files, disk().history);
}

SimImage sim_crash(uint64_t at_sequence, uint64_t seed, SimTear tear) {
    return sim_recording().crash(at_sequence, seed, tear);
}

SimImage sim_image() {
    const Guard guard(disk().mutex);
    SimImage image;
    for (const auto &[path, file] : disk().names) image.files[path] = file->bytes(0, file->size_bytes());
    return image;
}

SimBytes sim_file_bytes(const std::string &path, uint64_t byte_limit) {
    const Guard guard(disk().mutex);
    const auto found = disk().names.find(path);
    if (found == disk().names.end()) return SimBytes();
    return found->second->bytes(0, std::min(byte_limit, found->second->size_bytes()));
}

bool sim_file_exists(const std::string &path) {
    const Guard guard(disk().mutex);
    return disk().names.count(path) > 0;
}

void sim_lie_arm(const SimLie &lie) {
    const Guard guard(disk().mutex);
    disk().lie = lie;
    disk().lie_sync_count = 0;
    disk().lie_position = 0;
}

uint64_t sim_lie_sync_count() {
    const Guard guard(disk().mutex);
    return disk().lie_sync_count;
}

uint64_t sim_lie_position() {
    const Guard guard(disk().mutex);
    return disk().lie_position;
}

std::string sim_violation() {
    const Guard guard(disk().mutex);
    return disk().violation;
}

void sim_reset_violation() {
    const Guard guard(disk().mutex);
    disk().violation.clear();
}

} // namespace rhumb_test
