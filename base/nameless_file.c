/* nameless_file.c - see nameless_file.h.
 *
 * The file has no name from the beginning (O_TMPFILE), or loses it at once where the file system knows no such files.
 * Keeps no state, and takes no memory: an allocation may be what the file is for. Takes no lock.
 */
#define _GNU_SOURCE
#include "base/nameless_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is added to the path where a file cannot be without a name from the beginning. */
#define NAME_END "-scratch-XXXXXX"

int rhumb__nameless_file_open(const char *path) {
    char name[PATH_MAX + sizeof NAME_END];
    const char *last = strrchr(path, '/');
    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    (void)snprintf(name, sizeof name, "%.*s", last == NULL ? 2 : (int)(last - path) + 1, last == NULL ? "./" : path);
    int descriptor = open(name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        (void)snprintf(name, sizeof name, "%s%s", path, NAME_END);
        descriptor = mkostemp(name, O_CLOEXEC);
        if (descriptor >= 0) (void)unlink(name);
    }
    return descriptor;
}
