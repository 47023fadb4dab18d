/* vectors.h - the rows of a file as vectors of an index: of its element type and dimension.
 *
 * The library converts the components (rhumb_element_convert): a number that the index's type does not hold is a
 * failure that names row and column, and floats are rounded to the nearest one of the index's type. For an index of f32
 * integers are rounded too. Vectors of bits are read from bytes, eight components in each, the first in the lowest bit
 * (numpy.packbits with bitorder='little').
 */
#ifndef RHUMB_CLI_VECTORS_H
#define RHUMB_CLI_VECTORS_H

#include "cli.h"

/* A list of names, separated by commas. */
struct vectors_names {
    size_t line_bytes; /* longer lines are broken after a comma; 0: one line */
    char text[240];
};

/* The metrics, and the element types, that the tool can use. Each returns names->text. */
const char *vectors_metric_names(struct vectors_names *names);
const char *vectors_element_names(struct vectors_names *names);

/* The dimension that an index of `element` has for such a file. */
uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element);

/* Bytes of one vector. */
size_t vectors_row_bytes(rhumb_element element, uint32_t dim);

/* Whether the file's rows can be vectors of an index with these options. `index_path` is for the message. CLI_OK or a
 * reported failure. */
int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path);

/* Reads rows [first, first + count) into `vectors`, vectors_row_bytes each. CLI_OK or a reported failure. */
int vectors_read(struct cli *cli, struct dataset *rows, rhumb_element element, uint64_t first, size_t count,
                 void *vectors);

/* Reports why the library rejected vectors that were read: for an f32 that is not finite, which one, since the library
 * knows only the batch. `keys` name the vectors, or, if NULL, their row numbers from `first` on. Returns
 * the exit code. */
int vectors_fail(struct cli *cli, rhumb_status status, const char *action, const struct dataset_info *info,
                 rhumb_element element, const void *vectors, size_t count, const uint64_t *keys, uint64_t first);

#endif /* RHUMB_CLI_VECTORS_H */
