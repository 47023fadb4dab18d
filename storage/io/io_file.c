/* io_file.c - see io_file.h.
 *
 * Owns the descriptor and the path. Invariants: `fd` is a regular file's, above the standard streams' numbers, closed
 * on exec, registered to be closed in a forked child, and blocking; `write_error` is meaningful only while
 * `write_failed`; `sync_failed` never becomes false again.
 *
 * Holds no lock but that which keeps forks out while a descriptor or a mapping is made: the calls that io.h allows
 * several threads only read the handle. Every failure names the path.
 */
#define _GNU_SOURCE
#include "storage/io/io_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"

/* A regular file has no reason for EAGAIN, but some network and user-space file systems return it under load. */
#define EAGAIN_PAUSE_NS 1000000
#define EAGAIN_COUNT_MAX 1000

/* off_t is a signed 64-bit number. */
static bool range_fits(uint64_t offset, uint64_t bytes) { return offset <= INT64_MAX && bytes <= INT64_MAX - offset; }

static rhumb_status range_check(const rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (range_fits(offset, bytes)) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_INVALID, io->path, offset, "a range of %llu bytes here ends after byte 2^63",
                          (unsigned long long)bytes);
}

static rhumb_status writable_check(const rhumb__io_file *file) {
    if (file->writable) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_READONLY, file->path, RHUMB_OFFSET_NONE, "this handle was opened read-only");
}

/* ---- open and close ---- */

/* A process that has closed its standard streams is given a descriptor of 0, 1 or 2; then a message that some library
 * prints would end up in the middle of the index. Returns the descriptor to use, or -1 with `fd` closed. */
static int descriptor_above_standard_streams(int fd) {
    if (fd > STDERR_FILENO) return fd;
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int os_errno = errno;
    close(fd);
    errno = os_errno;
    return moved;
}

static rhumb_status fail_not_regular(const char *path, mode_t type) {
    const char *found = "a device";
    if (S_ISDIR(type)) found = "a directory";
    if (S_ISFIFO(type)) found = "a fifo";
    if (S_ISSOCK(type)) found = "a socket";
    return rhumb__fail_at(RHUMB_E_INVALID, path, RHUMB_OFFSET_NONE, "expected a regular file, found %s", found);
}

/* Checks that the descriptor is a regular file's, and makes it blocking again. O_NONBLOCK has no effect on a regular
 * file by itself, but makes io_uring return EAGAIN wherever a write would have to wait. */
static rhumb_status descriptor_settle(int fd, const char *path) {
    struct stat info;
    if (fstat(fd, &info) != 0) return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot examine the file");
    if (!S_ISREG(info.st_mode)) return fail_not_regular(path, info.st_mode);
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
        return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot make the file blocking");
    return RHUMB_OK;
}

static bool is_creation(rhumb__io_mode mode) { return mode == RHUMB__IO_CREATE || mode == RHUMB__IO_CREATE_PRIVATE; }

static rhumb_status fail_open(int os_errno, const char *path, rhumb__io_mode mode) {
    struct stat info;
    const bool refused_by_type = os_errno == EISDIR || os_errno == ENXIO;
    if (refused_by_type && stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return fail_not_regular(path, info.st_mode);
    const char *action = "open for reading and writing";
    if (mode == RHUMB__IO_READ) action = "open for reading";
    if (is_creation(mode)) action = "create";
    return rhumb__fail_errno(os_errno, path, RHUMB_OFFSET_NONE, "cannot %s", action);
}

/* Opens the descriptor, and registers it while no fork can happen: a child that had it unseen would keep the handle's
 * locks. */
static rhumb_status descriptor_open(rhumb__io_file *file, const char *path, rhumb__io_mode mode) {
    rhumb_status status = RHUMB_OK;
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK; /* O_NONBLOCK: does not wait for a fifo's other end */
    flags |= mode == RHUMB__IO_READ ? O_RDONLY : O_RDWR;
    if (is_creation(mode)) flags |= O_CREAT | O_EXCL;
    const mode_t permissions = mode == RHUMB__IO_CREATE_PRIVATE ? 0600 : 0666;

    rhumb__fork_hold();
    do {
        file->fd = open(path, flags, permissions);
    } while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) {
        status = fail_open(errno, path, mode);
        goto done;
    }
    file->fd = descriptor_above_standard_streams(file->fd);
    if (file->fd < 0) {
        status = rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "no file descriptor above the standard streams");
        goto remove_created;
    }
    status = descriptor_settle(file->fd, path);
    if (status == RHUMB_OK) {
        rhumb__fork_descriptor_add(&file->fork_entry, &file->fd);
        goto done;
    }
    close(file->fd);
remove_created:
    if (is_creation(mode)) unlink(path);
done:
    rhumb__fork_release();
    return status;
}

rhumb_status rhumb__io_file_open(rhumb__io_file *file, const rhumb__io_backend *backend, const char *path,
                                 rhumb__io_mode mode) {
    rhumb_status status;
    RHUMB_TRY(rhumb__fork_watch());
    file->path = rhumb__alloc_text(path);
    if (file->path == NULL)
        return rhumb__fail_at(RHUMB_E_NOMEM, path, RHUMB_OFFSET_NONE, "no memory for the file's path");
    RHUMB_TRY(descriptor_open(file, path, mode));
    file->io = (rhumb__io){.backend = backend, .path = file->path};
    file->writable = mode != RHUMB__IO_READ;
done:
    if (status != RHUMB_OK) {
        rhumb__free(file->path);
        file->path = NULL;
    }
    return status;
}

void rhumb__io_file_close(rhumb__io_file *file) {
    rhumb__fork_hold();
    rhumb__fork_descriptor_remove(&file->fork_entry);
    if (file->fd >= 0) close(file->fd);
    rhumb__fork_release();
    rhumb__free(file->path);
}

/* ---- writing ---- */

rhumb_status rhumb__io_file_write_check(const rhumb__io_file *file, size_t bytes_count, uint64_t offset) {
    rhumb_status status;
    RHUMB_TRY(writable_check(file));
    if (bytes_count > RHUMB__IO_WRITE_BYTES_MAX)
        status = rhumb__fail_at(RHUMB_E_INVALID, file->path, offset, "one write takes at most %llu bytes, not %zu",
                                (unsigned long long)RHUMB__IO_WRITE_BYTES_MAX, bytes_count);
    else
        status = range_check(&file->io, offset, bytes_count);
done:
    return status;
}

void rhumb__io_file_write_now(rhumb__io_file *file, const void *bytes, size_t bytes_count, uint64_t offset) {
    const uint8_t *next = bytes;
    int again_count = 0;
    while (bytes_count > 0) {
        const ssize_t written = pwrite(file->fd, next, bytes_count, (off_t)offset);
        if (written > 0) {
            next += written;
            bytes_count -= (size_t)written;
            offset += (uint64_t)written;
            continue;
        }
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EAGAIN && again_count++ < EAGAIN_COUNT_MAX) {
            nanosleep(&(struct timespec){.tv_nsec = EAGAIN_PAUSE_NS}, NULL);
            continue;
        }
        rhumb__io_file_write_failed(file, written < 0 ? errno : 0, bytes_count, offset);
        return;
    }
}

void rhumb__io_file_write_failed(rhumb__io_file *file, int os_errno, uint64_t left_bytes, uint64_t offset) {
    if (file->write_failed) return;
    rhumb_error before;
    rhumb__error_save(&before);
    if (os_errno != 0)
        rhumb__fail_errno(os_errno, file->path, offset, "cannot write %llu bytes", (unsigned long long)left_bytes);
    else
        rhumb__fail_at(RHUMB_E_IO, file->path, offset, "a write of %llu bytes wrote nothing and returned no error",
                       (unsigned long long)left_bytes);
    rhumb__error_save(&file->write_error);
    rhumb__error_restore(&before);
    file->write_failed = true;
}

rhumb_status rhumb__io_file_failure_take(rhumb__io_file *file) {
    if (!file->write_failed) return RHUMB_OK;
    file->write_failed = false;
    rhumb__error_restore(&file->write_error);
    return file->write_error.status;
}

/* ---- syncing ---- */

rhumb_status rhumb__io_file_sync_check(const rhumb__io_file *file) {
    if (!file->sync_failed) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_FATAL, file->path, RHUMB_OFFSET_NONE,
                          "an earlier sync failed; what was written since the last good one may be lost");
}

rhumb_status rhumb__io_file_sync_result(rhumb__io_file *file, int os_errno) {
    if (os_errno == 0) return RHUMB_OK;
    file->sync_failed = true;
    rhumb__fail_errno(os_errno, file->path, RHUMB_OFFSET_NONE,
                      "sync failed; what was written since the last good one may be lost");
    rhumb_error error;
    rhumb__error_save(&error);
    error.status = RHUMB_E_FATAL; /* whatever the number: see rule 4 of io.h */
    rhumb__error_restore(&error);
    return error.status;
}

rhumb_status rhumb__io_file_sync_now(rhumb__io_file *file) {
    int result;
    /* A sync that a signal has cut short has reported nothing about what it was to write, and dropped nothing. */
    do {
        result = fdatasync(file->fd);
    } while (result != 0 && errno == EINTR);
    return rhumb__io_file_sync_result(file, result == 0 ? 0 : errno);
}

/* ---- size and space ---- */

rhumb_status rhumb__io_file_size(rhumb__io *io, uint64_t *bytes_out) {
    struct stat info;
    if (fstat(((rhumb__io_file *)io)->fd, &info) != 0)
        return rhumb__fail_errno(errno, io->path, RHUMB_OFFSET_NONE, "cannot read the file's size");
    *bytes_out = (uint64_t)info.st_size;
    return RHUMB_OK;
}

rhumb_status rhumb__io_file_resize(rhumb__io *io, uint64_t bytes) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    rhumb_status status;
    RHUMB_TRY(writable_check(file));
    RHUMB_TRY(range_check(io, 0, bytes));
    int result;
    do {
        result = ftruncate(file->fd, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    if (result != 0)
        status = rhumb__fail_errno(errno, io->path, bytes, "cannot set the file's size to %llu bytes",
                                   (unsigned long long)bytes);
done:
    return status;
}

/* fallocate; returns its errno, or 0. */
static int fallocate_range(const rhumb__io_file *file, int mode, uint64_t offset, uint64_t bytes) {
    int result;
    do {
        result = fallocate(file->fd, mode, (off_t)offset, (off_t)bytes);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static bool means_unsupported(int os_errno) { return os_errno == EOPNOTSUPP || os_errno == ENOSYS; }

rhumb_status rhumb__io_file_allocate(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    rhumb_status status;
    RHUMB_TRY(writable_check(file));
    RHUMB_TRY(range_check(io, offset, bytes));
    if (bytes == 0) return RHUMB_OK;
    const int os_errno = fallocate_range(file, 0, offset, bytes);
    if (means_unsupported(os_errno)) {
        uint64_t size_bytes = 0;
        RHUMB_TRY(rhumb__io_file_size(io, &size_bytes));
        if (offset + bytes > size_bytes) status = rhumb__io_file_resize(io, offset + bytes);
    } else if (os_errno != 0) {
        status = rhumb__fail_errno(os_errno, io->path, offset, "cannot allocate %llu bytes", (unsigned long long)bytes);
    }
done:
    return status;
}

rhumb_status rhumb__io_file_punch(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    rhumb_status status;
    RHUMB_TRY(writable_check(file));
    RHUMB_TRY(range_check(io, offset, bytes));
    if (bytes == 0) return RHUMB_OK;
    const int os_errno = fallocate_range(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);
    if (os_errno != 0 && !means_unsupported(os_errno))
        status = rhumb__fail_errno(os_errno, io->path, offset, "cannot release %llu bytes", (unsigned long long)bytes);
done:
    return status;
}

/* ---- reading and mapping ---- */

void rhumb__io_file_forget(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    if (range_fits(offset, bytes)) (void)posix_fadvise(file->fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
}

void rhumb__io_file_read_exactly(rhumb__io *io, bool exactly) {
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    (void)posix_fadvise(file->fd, 0, 0, exactly ? POSIX_FADV_RANDOM : POSIX_FADV_NORMAL);
}

int rhumb__io_file_open_direct(rhumb__io *io) {
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    char path[64];
    if (file->fd < 0) return -1;
    /* Whatever the file is called by now. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
    return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

rhumb_status rhumb__io_file_read(rhumb__io *io, void *bytes, size_t bytes_count, uint64_t offset) {
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    uint8_t *next = bytes;
    size_t left_bytes = bytes_count;
    while (left_bytes > 0) {
        ssize_t got = 0; /* no file is longer than 2^63 bytes, so a range beyond that is cut short */
        if (range_fits(offset, left_bytes)) got = pread(file->fd, next, left_bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return rhumb__fail_errno(errno, io->path, offset, "cannot read %zu bytes", left_bytes);
        if (got == 0)
            return rhumb__fail_at(RHUMB_E_TRUNCATED, io->path, offset,
                                  "expected %zu bytes from byte %llu, found %zu before the end of the file",
                                  bytes_count, (unsigned long long)(offset - (bytes_count - left_bytes)),
                                  bytes_count - left_bytes);
        next += got;
        left_bytes -= (size_t)got;
        offset += (uint64_t)got;
    }
    return RHUMB_OK;
}

/* ThreadSanitizer treats mmap as a store to the whole range. A writer maps the file over equal bytes in memory while
 * searches read them; the raw system call keeps that from being reported as a race. */
static void *map_call(int fd, void *address, size_t bytes_count, uint64_t offset, rhumb__io_map_kind kind) {
    const bool is_private = kind == RHUMB__IO_MAP_PRIVATE;
    const int protection = is_private ? PROT_READ | PROT_WRITE : PROT_READ;
    const int flags = is_private ? MAP_FIXED | MAP_PRIVATE | MAP_NORESERVE : MAP_FIXED | MAP_SHARED;
#if defined(__SANITIZE_THREAD__) && defined(SYS_mmap)
    return (void *)syscall(SYS_mmap, address, bytes_count, protection, flags, fd, (off_t)offset);
#else
    return mmap(address, bytes_count, protection, flags, fd, (off_t)offset);
#endif
}

rhumb_status rhumb__io_file_map(rhumb__io *io, void *address, size_t bytes_count, uint64_t offset,
                                rhumb__io_map_kind kind) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    if (address == NULL || bytes_count == 0 || ((uintptr_t)address | bytes_count | offset) % page_bytes != 0)
        return rhumb__fail_at(RHUMB_E_INVALID, io->path, offset,
                              "a mapping of %zu bytes at address %p is not a multiple of the page of %llu bytes",
                              bytes_count, address, (unsigned long long)page_bytes);
    rhumb_status status = range_check(io, offset, bytes_count);
    if (status != RHUMB_OK) return status;
    /* A child must not inherit the mapping: it would keep the file open, and with it the locks of this handle. */
    rhumb__fork_hold();
    int os_errno = 0;
    if (map_call(((rhumb__io_file *)io)->fd, address, bytes_count, offset, kind) == MAP_FAILED)
        os_errno = errno;
    else
        (void)madvise(address, bytes_count, MADV_DONTFORK);
    rhumb__fork_release();
    if (os_errno != 0)
        status = rhumb__fail_errno(os_errno, io->path, offset, "cannot map %zu bytes (is vm.max_map_count reached?)",
                                   bytes_count);
    return status;
}

void rhumb__io_file_gather(rhumb__io *io, uint64_t offset, uint64_t bytes) {
#if defined(MADV_HUGEPAGE) && defined(MADV_POPULATE_READ)
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    if (!range_fits(offset, bytes) || offset % bytes != 0) return;
    uint8_t *address = NULL;
    rhumb__fork_hold(); /* a child must not inherit the mapping */
    void *found = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found != MAP_FAILED) {
        address = (uint8_t *)found + (bytes - (uintptr_t)found % bytes) % bytes;
        if (mmap(address, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, file->fd, (off_t)offset) == MAP_FAILED) {
            address = NULL;
        }
        (void)madvise(found, 2 * bytes, MADV_DONTFORK);
    }
    rhumb__fork_release();
    if (address != NULL) {
        (void)madvise(address, bytes, MADV_HUGEPAGE);
        (void)madvise(address, bytes, MADV_RANDOM);        /* or the next large page would be read too */
        (void)madvise(address, bytes, MADV_POPULATE_READ); /* fails where a touch kills */
    }
    if (found != MAP_FAILED) munmap(found, 2 * bytes);
#else
    (void)io, (void)offset, (void)bytes;
#endif
}

/* ---- locks ---- */

/* fcntl with a lock of the open file description; returns its errno, or 0. */
static int lock_call(const rhumb__io_file *file, int command, struct flock *lock) {
    int result;
    do {
        result = fcntl(file->fd, command, lock);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

/* fcntl takes a length of 0 for "to the end of the file, however long it grows". */
static rhumb_status lock_range_check(const rhumb__io *io, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) return rhumb__fail_at(RHUMB_E_INVALID, io->path, offset, "a lock needs at least 1 byte");
    return range_check(io, offset, bytes);
}

static rhumb_status fail_lock(int os_errno, const rhumb__io *io, uint64_t offset, const char *action) {
    rhumb_error error;
    const rhumb_status status = rhumb__fail_errno(os_errno, io->path, offset, "cannot %s", action);
    if (os_errno != EINVAL && os_errno != ENOLCK && os_errno != EOPNOTSUPP && os_errno != ENOSYS) return status;
    /* What kernels and file systems return that do not know these locks. ENOLCK is also what a kernel returns that has
     * no memory for one. */
    rhumb__error_save(&error);
    error.status = RHUMB_E_UNSUPPORTED;
    rhumb__error_restore(&error);
    rhumb__error_prefix("the file system has no locks of open files (F_OFD_SETLK), without which only an index that "
                        "no process writes can be used, read-only (immutable): ");
    return RHUMB_E_UNSUPPORTED;
}

static struct flock lock_of(short type, uint64_t offset, uint64_t bytes) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)offset, .l_len = (off_t)bytes};
}

rhumb_status rhumb__io_file_lock(rhumb__io *io, uint64_t offset, uint64_t bytes, rhumb__io_lock kind, bool *taken_out) {
    const rhumb__io_file *file = (const rhumb__io_file *)io;
    rhumb_status status;
    RHUMB_TRY(lock_range_check(io, offset, bytes));
    if (kind == RHUMB__IO_LOCK_EXCLUSIVE) RHUMB_TRY(writable_check(file));
    struct flock lock = lock_of(kind == RHUMB__IO_LOCK_EXCLUSIVE ? F_WRLCK : F_RDLCK, offset, bytes);
    const int os_errno = lock_call(file, F_OFD_SETLK, &lock);
    const bool held_by_other = os_errno == EAGAIN || os_errno == EACCES;
    if (os_errno == 0 || held_by_other)
        *taken_out = !held_by_other;
    else
        status = fail_lock(os_errno, io, offset, "lock the file");
done:
    return status;
}

rhumb_status rhumb__io_file_unlock(rhumb__io *io, uint64_t offset, uint64_t bytes) {
    rhumb_status status;
    RHUMB_TRY(lock_range_check(io, offset, bytes));
    struct flock lock = lock_of(F_UNLCK, offset, bytes);
    const int os_errno = lock_call((const rhumb__io_file *)io, F_OFD_SETLK, &lock);
    if (os_errno != 0) status = fail_lock(os_errno, io, offset, "unlock the file");
done:
    return status;
}

rhumb_status rhumb__io_file_lock_test(rhumb__io *io, uint64_t offset, uint64_t bytes, bool *held_by_other_out) {
    rhumb_status status;
    RHUMB_TRY(lock_range_check(io, offset, bytes));
    struct flock lock = lock_of(F_WRLCK, offset, bytes);
    const int os_errno = lock_call((const rhumb__io_file *)io, F_OFD_GETLK, &lock);
    if (os_errno == 0)
        *held_by_other_out = lock.l_type != F_UNLCK;
    else
        status = fail_lock(os_errno, io, offset, "look at the locks of the file");
done:
    return status;
}

/* ---- names ---- */

/* A path that could be opened is shorter than PATH_MAX, so its directory fits into a buffer on the stack: a sync must
 * not fail for want of memory. */
rhumb_status rhumb__io_file_sync_directory(const char *path) {
    rhumb_status status = RHUMB_OK;
    char directory[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        const size_t length = slash == path ? 1 : (size_t)(slash - path);
        if (length >= sizeof directory)
            return rhumb__fail_errno(ENAMETOOLONG, path, RHUMB_OFFSET_NONE, "cannot open the directory to sync it");
        memcpy(directory, path, length);
        directory[length] = '\0';
    }
    int fd;
    do {
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return rhumb__fail_errno(errno, directory, RHUMB_OFFSET_NONE, "cannot open the directory to sync it");
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EINVAL && !means_unsupported(errno))
        status = rhumb__fail_errno(errno, directory, RHUMB_OFFSET_NONE, "cannot sync the directory");
    close(fd);
    return status;
}

/* Network and user-space file systems may return EINTR although the change has been made; the name is gone then. */
rhumb_status rhumb__io_file_remove(const char *path) {
    int result = unlink(path);
    const bool interrupted = result != 0 && errno == EINTR;
    while (result != 0 && errno == EINTR) result = unlink(path);
    if (result == 0 || (interrupted && errno == ENOENT)) return RHUMB_OK;
    return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot remove");
}

/* Renames unless `to` exists; returns the errno, or 0. Where the file system does not know such a rename, a link takes
 * the new name, which never replaces a file either, and the old one is removed. */
static int rename_to_free_name(const char *from, const char *to) {
    int result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    const bool interrupted = result != 0 && errno == EINTR;
    while (result != 0 && errno == EINTR) result = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (result == 0 || (interrupted && errno == ENOENT)) return 0;
    if (errno != EINVAL && !means_unsupported(errno)) return errno;
    do {
        result = link(from, to);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return errno;
    return unlink(from) == 0 ? 0 : errno;
}

rhumb_status rhumb__io_file_take_name(rhumb__io *io, const char *path) {
    rhumb__io_file *file = (rhumb__io_file *)io;
    char *name = rhumb__alloc_text(path);
    if (name == NULL) return rhumb__fail_at(RHUMB_E_NOMEM, path, RHUMB_OFFSET_NONE, "no memory for the file's path");
    const int os_errno = rename_to_free_name(file->path, path);
    if (os_errno != 0) {
        rhumb__free(name);
        return rhumb__fail_errno(os_errno, path, RHUMB_OFFSET_NONE, "cannot rename %s to this", file->path);
    }
    rhumb__free(file->path);
    file->path = name;
    file->io.path = name;
    return RHUMB_OK;
}

rhumb_status rhumb__io_file_is_at(rhumb__io *io, const char *path, bool *is_at_out) {
    struct stat own;
    struct stat there;
    *is_at_out = false;
    if (fstat(((const rhumb__io_file *)io)->fd, &own) != 0) {
        return rhumb__fail_errno(errno, io->path, RHUMB_OFFSET_NONE, "cannot examine the file");
    }
    if (stat(path, &there) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return RHUMB_OK;
        return rhumb__fail_errno(errno, path, RHUMB_OFFSET_NONE, "cannot examine what is at this path");
    }
    *is_at_out = own.st_dev == there.st_dev && own.st_ino == there.st_ino;
    return RHUMB_OK;
}

void rhumb__io_file_access_get(rhumb__io *io, rhumb__io_access *access) {
    struct stat own;
    if (fstat(((const rhumb__io_file *)io)->fd, &own) != 0) return;
    *access =
        (rhumb__io_access){.known = true, .permissions = own.st_mode & 0777, .owner = own.st_uid, .group = own.st_gid};
}

/* The owner first: until then the file has permissions for no other user. */
void rhumb__io_file_access_set(rhumb__io *io, const rhumb__io_access *access) {
    const int fd = ((const rhumb__io_file *)io)->fd;
    struct stat own;
    mode_t permissions = access->permissions;
    if (fstat(fd, &own) != 0) return;
    if (own.st_gid != access->group && fchown(fd, (uid_t)-1, access->group) != 0) {
        permissions = (permissions & ~(mode_t)070) | (permissions & ((permissions & 07) << 3));
    }
    if (own.st_uid != access->owner && fchown(fd, access->owner, (gid_t)-1) != 0) {
        (void)0; /* the file stays the process's, which could not use it otherwise */
    }
    (void)!fchmod(fd, permissions);
}
