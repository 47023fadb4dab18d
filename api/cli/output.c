/* output.c - see output.h. Owns the descriptor, by way of a stream over it that continues interrupted writes, and the
 * working name. The standard output's stream is not owned. No locks.
 */
#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int descriptor_of(void *cookie) { return (int)(intptr_t)cookie; }

static ssize_t write_all(void *cookie, const char *bytes, size_t count) {
    size_t done = 0;
    while (done < count) {
        const ssize_t written = write(descriptor_of(cookie), bytes + done, count - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return 0; /* what stdio takes for an error, with errno */
        done += (size_t)written;
    }
    return (ssize_t)done;
}

static int close_descriptor(void *cookie) { return close(descriptor_of(cookie)) == 0 || errno == EINTR ? 0 : -1; }

static FILE *open_stream(const char *path, int flags) {
    int fd;
    do fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return NULL;
    const cookie_io_functions_t functions = {.write = write_all, .close = close_descriptor};
    FILE *stream = fopencookie((void *)(intptr_t)fd, "w", functions);
    if (!stream) close(fd);
    return stream;
}

/* A pipe or a device cannot be renamed to. */
static bool is_written_in_place(const char *path) {
    struct stat file;
    return stat(path, &file) == 0 && !S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode);
}

bool output_open(struct output *output, const char *path) {
    *output = (struct output){.path = path};
    if (strcmp(path, "-") == 0) {
        output->is_stdout = true;
        output->stream = stdout;
        return true;
    }
    if (is_written_in_place(path)) {
        output->stream = open_stream(path, 0);
        return output->stream != NULL;
    }
    if (asprintf(&output->partial_path, "%s.partial", path) < 0) {
        output->partial_path = NULL;
        errno = ENOMEM;
        return false;
    }
    output->stream = open_stream(output->partial_path, O_CREAT | O_TRUNC);
    if (output->stream) return true;
    const int error = errno;
    free(output->partial_path);
    output->partial_path = NULL;
    errno = error;
    return false;
}

bool output_close(struct output *output, bool complete) {
    if (!output->stream) return true;
    bool done = !complete || fflush(output->stream) == 0;
    int error = errno;
    if (!output->is_stdout && fclose(output->stream) != 0 && done) {
        done = !complete;
        error = errno;
    }
    if (output->partial_path) {
        if (complete && done && rename(output->partial_path, output->path) != 0) {
            done = false;
            error = errno;
        }
        if (!complete || !done) unlink(output->partial_path);
        free(output->partial_path);
    }
    *output = (struct output){.path = output->path};
    errno = error;
    return done;
}

const char *output_name(const struct output *output) {
    return strcmp(output->path, "-") == 0 ? "the standard output" : output->path;
}
