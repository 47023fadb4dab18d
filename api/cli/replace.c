/* replace.c - see replace.h. Owns the working name, and, from the moment that the new index takes the old one's name, a
 * handle of the old one, whose lock keeps others from writing to it. That handle lasts as long as the
 * process: closing it would write a checkpoint into a file that has no name any more.
 */
#define _GNU_SOURCE
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rhumb_index *replaced_index; /* of the old file */

/* Damaged, or usable by other programs only: an index that no process is writing. */
static bool is_replaceable(rhumb_status status) {
    return status == RHUMB_E_CORRUPT || status == RHUMB_E_TRUNCATED || status == RHUMB_E_VERSION ||
           status == RHUMB_E_LOG || status == RHUMB_E_METRIC;
}

/* Opens the old index for writing, which fails if another process has it open so. *index_out is NULL if it cannot be
 * opened by anybody. */
static int lock_old(struct cli *cli, const char *path, rhumb_index **index_out) {
    const char *action = "--force does not remove what is there";
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    *index_out = NULL;
    const rhumb_status status = rhumb_index_open(path, &options, index_out);
    if (status == RHUMB_OK || is_replaceable(status)) return CLI_OK;
    if (status == RHUMB_E_INVALID) return cli_fail_index_as(cli, CLI_INDEX, status, action);
    return cli_fail_index(cli, status, action);
}

/* What is at `path` must be an index that no process writes, or nothing. *old_out is what it is. */
static int check_old(struct cli *cli, const char *path, const char *rows_path, bool *exists, struct stat *old_out) {
    struct stat rows;
    *exists = false;
    if (lstat(path, old_out) != 0) {
        if (errno == ENOENT) return CLI_OK;
        return cli_fail(cli, CLI_IO, "%s: cannot look at what is there: %s", path, strerror(errno));
    }
    if (stat(rows_path, &rows) == 0 && rows.st_dev == old_out->st_dev && rows.st_ino == old_out->st_ino)
        return cli_fail(cli, CLI_USAGE, "%s: is the input file itself", path);
    if (!S_ISREG(old_out->st_mode))
        return cli_fail(cli, CLI_INDEX, "%s: is not a regular file; --force does not remove it", path);
    rhumb_index *index = NULL;
    const int exit_code = lock_old(cli, path, &index);
    if (exit_code != CLI_OK) return exit_code;
    const rhumb_status status = rhumb_index_close(index);
    if (status != RHUMB_OK) return cli_fail_index(cli, status, "cannot look at the index that is there");
    *exists = true;
    return CLI_OK;
}

static bool remove_file(const char *path) { return unlink(path) == 0 || errno == ENOENT; }

static bool remove_log(const char *path) {
    char *log_path = NULL;
    if (asprintf(&log_path, "%s-wal", path) < 0) {
        errno = ENOMEM;
        return false;
    }
    const bool removed = remove_file(log_path);
    const int error = errno;
    free(log_path);
    errno = error;
    return removed;
}

int replacement_begin(struct cli *cli, const char *path, const char *rows_path, bool force,
                      struct replacement *replacement) {
    *replacement = (struct replacement){.path = path};
    if (!force) return CLI_OK;
    int exit_code = check_old(cli, path, rows_path, &replacement->replaces, &replacement->old);
    if (exit_code != CLI_OK || !replacement->replaces) return exit_code;
    if (asprintf(&replacement->working_path, "%s-building", path) < 0) {
        replacement->working_path = NULL;
        return cli_fail_memory(cli, strlen(path) + sizeof "-building");
    }
    /* What an earlier build left there. */
    struct stat rest;
    bool exists;
    exit_code = check_old(cli, replacement->working_path, rows_path, &exists, &rest);
    if (exit_code != CLI_OK || !exists) return exit_code;
    if (remove_file(replacement->working_path) && remove_log(replacement->working_path)) return CLI_OK;
    return cli_fail(cli, CLI_IO, "%s: cannot remove: %s", replacement->working_path, strerror(errno));
}

const char *replacement_path(const struct replacement *replacement) {
    return replacement->working_path ? replacement->working_path : replacement->path;
}

int replacement_make(struct replacement *replacement, int (*make)(void *context, const char *path), void *context) {
    const char *path = replacement_path(replacement);
    /* The new file never is open to more people than the old one. */
    const mode_t mask = replacement->replaces ? umask(0777 & ~replacement->old.st_mode) : 0;
    const int exit_code = make(context, path);
    if (replacement->replaces) umask(mask);
    if (exit_code != CLI_OK) return exit_code;
    replacement->made = lstat(path, &replacement->made_as) == 0;
    if (replacement->replaces && (replacement->old.st_uid != geteuid() || replacement->old.st_gid != getegid()))
        (void)!lchown(path, replacement->old.st_uid, replacement->old.st_gid); /* who may not, keeps it as their own */
    return CLI_OK;
}

/* An empty index that is to be created. */
struct creation {
    struct cli *cli;
    const rhumb_index_options *options;
    rhumb_index **index_out;
};

static int create(void *context, const char *path) {
    struct creation *creation = context;
    const rhumb_status status = rhumb_index_create(path, creation->options, creation->index_out);
    return status == RHUMB_OK ? CLI_OK : replacement_fail(creation->cli, status);
}

int replacement_fail(struct cli *cli, rhumb_status status) {
    return cli_fail_index(cli, status,
                          status == RHUMB_E_EXISTS ? "cannot create the index (--force replaces one that is there)"
                                                   : "cannot create the index");
}

int replacement_create(struct cli *cli, struct replacement *replacement, const rhumb_index_options *options,
                       rhumb_index **index_out) {
    struct creation creation = {.cli = cli, .options = options, .index_out = index_out};
    return replacement_make(replacement, create, &creation);
}

/* Makes the names in the folder of `path` survive a power cut. */
static bool sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    int fd, result;
    if (!folder) return false;
    do fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    free(folder);
    if (fd < 0) return false;
    do result = fsync(fd);
    while (result != 0 && errno == EINTR);
    const int error = errno;
    close(fd);
    errno = error;
    return result == 0 || error == EINVAL; /* where folders are not synced */
}

int replacement_take(struct cli *cli, struct replacement *replacement) {
    if (!replacement->working_path) return CLI_OK;
    const int exit_code = lock_old(cli, replacement->path, &replaced_index);
    if (exit_code != CLI_OK) return exit_code;
    if (rename(replacement->working_path, replacement->path) != 0) {
        const int error = errno;
        const rhumb_status closed = rhumb_index_close(replaced_index);
        (void)closed; /* the failure before it is reported */
        replaced_index = NULL;
        return cli_fail(cli, CLI_IO, "%s: cannot rename it to %s: %s", replacement->working_path, replacement->path,
                        strerror(error));
    }
    replacement->made = false; /* it is not to be removed from here on */
    /* The old log after the old index: it alone has what was written last. */
    if (!remove_log(replacement->path))
        return cli_fail(cli, CLI_IO, "%s is the new index, but the log of the old one cannot be removed: %s",
                        replacement->path, strerror(errno));
    if (sync_folder(replacement->path)) return CLI_OK;
    return cli_fail(cli, CLI_IO, "%s is the new index, but its folder cannot be synced: %s", replacement->path,
                    strerror(errno));
}

void replacement_drop(struct replacement *replacement) {
    const char *path = replacement_path(replacement);
    struct stat now;
    /* Only the file that was made here, and not what has taken its name since. */
    if (replacement->made && lstat(path, &now) == 0 && now.st_dev == replacement->made_as.st_dev &&
        now.st_ino == replacement->made_as.st_ino)
        unlink(path);
    replacement->made = false;
}

void replacement_end(struct replacement *replacement) {
    free(replacement->working_path);
    replacement->working_path = NULL;
}
