/* input.c - see input.h. Owns the copies of pipes, which last as long as the process: a descriptor for each path. Not
 * for several threads. An interruption ends the copying.
 */
#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/cli/console/interrupt.h"

#define COPY_COUNT_MAX 8u /* more paths than any command has */
#define COPY_STEP_BYTES (256u * 1024u)
#define LOOK_MS 100 /* how often a wait for a pipe looks for an interruption */

static struct copy {
    char *path;
    int fd;
} copies[COPY_COUNT_MAX];

static enum dataset_status fail(struct dataset_error *error, enum dataset_status status, const char *path,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum dataset_status fail(struct dataset_error *error, enum dataset_status status, const char *path,
                                const char *format, ...) {
    const int used = snprintf(error->message, sizeof error->message, "%.255s: ", path);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message + used, sizeof error->message - (size_t)used, format, arguments);
    va_end(arguments);
    error->status = status;
    error->file_offset = DATASET_OFFSET_NONE;
    return status;
}

static const char *temporary_folder(void) {
    const char *folder = getenv("TMPDIR");
    return folder && folder[0] ? folder : "/tmp";
}

/* A file that is gone with its last descriptor; -1 with errno. */
static int open_temporary(void) {
    int fd = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/rhumb-XXXXXX", temporary_folder()) >= (int)sizeof path) return -1;
    fd = mkostemp(path, O_CLOEXEC); /* for file systems without O_TMPFILE */
    if (fd >= 0) unlink(path);
    return fd;
}

static bool write_all(int fd, const char *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        const ssize_t written = write(fd, bytes + done, count - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        done += (size_t)written;
    }
    return true;
}

/* Reads what there is, as soon as there is something. 0: the end; -1 with errno, ECANCELED after an interruption. */
static ssize_t read_some(int fd, char *bytes, size_t count) {
    for (;;) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        if (interrupt_requested()) {
            errno = ECANCELED;
            return -1;
        }
        const int ready = poll(&wanted, 1, LOOK_MS);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        if (ready < 0) return -1;
        const ssize_t got = read(fd, bytes, count);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        return got;
    }
}

static enum dataset_status copy_all(const char *path, int from, int to, struct dataset_error *error) {
    char *bytes = malloc(COPY_STEP_BYTES);
    if (!bytes) return fail(error, DATASET_E_NOMEM, path, "no memory for %u bytes", COPY_STEP_BYTES);
    enum dataset_status status = DATASET_OK;
    uint64_t total = 0;
    while (status == DATASET_OK) {
        const ssize_t got = read_some(from, bytes, COPY_STEP_BYTES);
        if (got == 0) break;
        if (got < 0 && errno == ECANCELED) {
            status = fail(error, DATASET_E_STOPPED, path, "interrupted while it was read");
        } else if (got < 0) {
            status = fail(error, DATASET_E_IO, path, "cannot read: %s", strerror(errno));
        } else if ((total += (uint64_t)got) > INPUT_PIPE_BYTES_MAX) {
            status = fail(error, DATASET_E_CONTENT, path, "more than %llu bytes came from a pipe; make it a file",
                          (unsigned long long)INPUT_PIPE_BYTES_MAX);
        } else if (!write_all(to, bytes, (size_t)got)) {
            status = fail(error, DATASET_E_IO, path, "cannot copy what a pipe holds to the folder %s: %s",
                          temporary_folder(), strerror(errno));
        }
    }
    free(bytes);
    return status;
}

/* Copies what `fd` holds and remembers the copy under `path`. */
static enum dataset_status make_copy(const char *path, int fd, int *copy_out, struct dataset_error *error) {
    struct copy *copy = copies;
    while (copy < copies + COPY_COUNT_MAX && copy->path) copy++;
    if (copy == copies + COPY_COUNT_MAX) return fail(error, DATASET_E_INVALID, path, "too many pipes");
    const int temporary = open_temporary();
    if (temporary < 0)
        return fail(error, DATASET_E_IO, path, "cannot make a file in %s for what a pipe holds: %s", temporary_folder(),
                    strerror(errno));
    const enum dataset_status status = copy_all(path, fd, temporary, error);
    char *name = status == DATASET_OK ? strdup(path) : NULL;
    if (!name) {
        close(temporary);
        return status != DATASET_OK ? status : fail(error, DATASET_E_NOMEM, path, "no memory for a path");
    }
    *copy = (struct copy){name, temporary};
    *copy_out = temporary;
    return DATASET_OK;
}

/* *fd_out: the copy of what is not a regular file; -1 for regular files and for what the readers will refuse. */
static enum dataset_status copy_if_pipe(const char *path, int *fd_out, struct dataset_error *error) {
    *fd_out = -1;
    for (const struct copy *copy = copies; copy < copies + COPY_COUNT_MAX; copy++) {
        if (!copy->path || strcmp(copy->path, path) != 0) continue;
        *fd_out = copy->fd;
        return DATASET_OK;
    }
    const bool is_stdin = strcmp(path, "-") == 0;
    struct stat file;
    if ((is_stdin ? fstat(STDIN_FILENO, &file) : stat(path, &file)) != 0) {
        if (!is_stdin) return DATASET_OK; /* opening it tells why */
        return fail(error, DATASET_E_OPEN, "standard input", "cannot be read: %s", strerror(errno));
    }
    if (is_stdin && S_ISREG(file.st_mode) && lseek(STDIN_FILENO, 0, SEEK_CUR) == 0) {
        *fd_out = STDIN_FILENO; /* a file from its beginning */
        return DATASET_OK;
    }
    const bool is_pipe = S_ISFIFO(file.st_mode) || S_ISSOCK(file.st_mode) || S_ISCHR(file.st_mode);
    if (is_stdin) return make_copy(path, STDIN_FILENO, fd_out, error); /* from wherever its reader is */
    if (!is_pipe || (S_ISCHR(file.st_mode) && strncmp(path, "/dev/stdin", 10) != 0)) return DATASET_OK;
    int fd;
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return DATASET_OK;
    const enum dataset_status status = make_copy(path, fd, fd_out, error);
    close(fd);
    return status;
}

enum dataset_status input_open(const char *path, const struct dataset_options *options, struct dataset **dataset_out,
                               struct dataset_error *error) {
    int copy = -1;
    const bool is_stdin = strcmp(path, "-") == 0;
    if (is_stdin && options->format == DATASET_FORMAT_BY_EXTENSION)
        return fail(error, DATASET_E_INVALID, "standard input", "say with --format what it is");
    const enum dataset_status status = copy_if_pipe(path, &copy, error);
    if (status != DATASET_OK) return status;
    if (copy < 0) return dataset_open(path, options, dataset_out, error);
    char file_path[64];
    snprintf(file_path, sizeof file_path, "/proc/self/fd/%d", copy);
    struct dataset_options of_copy = *options;
    of_copy.file_path = file_path;
    return dataset_open(is_stdin ? "standard input" : path, &of_copy, dataset_out, error);
}
