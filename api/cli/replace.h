/* replace.h - the file of a new index, alone or in the place of an old one.
 *
 * An index that replaces another is made under a working name, "-building" after its own. It gets its name when it is
 * complete and durable, so that a failure, a crash or a power cut leaves the old one or the new one, and the old one
 * with its log. An index that replaces none is made under its own name, which must be free.
 */
#ifndef RHUMB_CLI_REPLACE_H
#define RHUMB_CLI_REPLACE_H

#include <sys/stat.h>

#include "cli.h"

struct replacement {
    const char *path;   /* of the index at last */
    char *working_path; /* where it is made; NULL: at `path` */
    bool made;          /* the file is there, with this identity: */
    struct stat made_as;
    bool replaces; /* there is an old one, with these permissions: */
    struct stat old;
};

/* Looks whether what is at `path` may be replaced, if `force`: an index, or the rest of one, that no process is
 * writing. `rows_path` is a file that must not be replaced. CLI_OK or a reported failure; replacement_end is due in
 * both cases. */
int replacement_begin(struct cli *cli, const char *path, const char *rows_path, bool force,
                      struct replacement *replacement);

/* The name under which the index is to be made. */
const char *replacement_path(const struct replacement *replacement);

/* Lets `make` make the index at `path`, with the permissions of the one that it replaces. `make` returns CLI_OK or a
 * reported failure, after which there is no file of that name. So does this. */
int replacement_make(struct replacement *replacement, int (*make)(void *context, const char *path), void *context);

/* Makes an empty index, with the permissions of the one that it replaces. CLI_OK or a reported failure. */
int replacement_create(struct cli *cli, struct replacement *replacement, const rhumb_index_options *options,
                       rhumb_index **index_out);

/* Reports that the index cannot be made. Returns the exit code. */
int replacement_fail(struct cli *cli, rhumb_status status);

/* After the new index was closed: gives it its name. CLI_OK or a reported failure, after which the old one is there. */
int replacement_take(struct cli *cli, struct replacement *replacement);

/* Removes what was made. */
void replacement_drop(struct replacement *replacement);

void replacement_end(struct replacement *replacement);

#endif /* RHUMB_CLI_REPLACE_H */
