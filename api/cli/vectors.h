/* vectors.h - the rows of a file as vectors of an index: of its element type and dimension.
 *
 * Components are converted one by one. Integers must arrive as what they are: a number that the index's type does not
 * hold is a failure that names row and column. Floats are rounded to the nearest of the index's type; only to become
 * integers must they be whole. Vectors of bits are read from bytes, eight components in each, the first in the lowest
 * bit (numpy.packbits with bitorder='little').
 */
#ifndef RHUMB_CLI_VECTORS_H
#define RHUMB_CLI_VECTORS_H

#include "cli.h"

/* The dimension that an index of `element` has for such a file. */
uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element);

/* Bytes of one vector. */
size_t vectors_row_bytes(rhumb_element element, uint32_t dim);

/* Whether the file's rows can be vectors of an index with these options. `index_path` is for the message. CLI_OK or a
 * told failure. */
int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path);

/* Reads rows [first, first + count) into `vectors`, vectors_row_bytes each. CLI_OK or a told failure. */
int vectors_read(struct cli *cli, struct dataset *rows, rhumb_element element, uint64_t first, size_t count,
                 void *vectors);

/* Tells why the library refused vectors that were read: for a component of an f32 that is not finite, which one, since
 * the library knows only the batch. `keys` name the vectors, or, if NULL, their row numbers from `first` on. Returns
 * the exit code. */
int vectors_fail(struct cli *cli, rhumb_status status, const char *action, const struct dataset_info *info,
                 rhumb_element element, const void *vectors, size_t count, const uint64_t *keys, uint64_t first);

#endif /* RHUMB_CLI_VECTORS_H */
