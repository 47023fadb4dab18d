/* vectors.h - the rows of a file as vectors of an index: of its element type and dimension, and in its metric's domain.
 *
 * The library converts the components (rhumb_element_convert): a number that the index's type does not hold is a
 * failure, and floats are rounded to the nearest one of the index's type. For an index of f32 integers are rounded too.
 * Vectors of bits are read from bools and from JSON's 0 and 1, one component each, and from bytes, eight components in
 * each, the first in the lowest bit (numpy.packbits with bitorder='little').
 *
 * All that the library would reject is found here, since the library knows neither file nor row: failures name the
 * file, the row, the component and the value in the file.
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

/* What the vectors of an index are. */
struct vectors_kind {
    rhumb_element element;
    rhumb_metric metric;
    bool normalise;
    size_t row_bytes;
};

/* Whether bytes of the file are eight components of an index of bits each. */
bool vectors_are_packed(const struct dataset_info *info, rhumb_element element);

/* The dimension that an index of `element` has for such a file. */
uint32_t vectors_dim(const struct dataset_info *info, rhumb_element element);

/* Bytes of one vector. */
size_t vectors_row_bytes(rhumb_element element, uint32_t dim);

/* Whether the file's rows can be vectors of an index with these options, and the kind. `index_path` is for the message.
 * CLI_OK or a reported failure. */
int vectors_check(struct cli *cli, const struct dataset_info *info, const rhumb_index_options *options,
                  const char *index_path, struct vectors_kind *kind_out);

/* Whether the tool can use vectors of such an index: not sequences, nor those of a custom metric. */
bool vectors_has_metric(rhumb_metric metric);

/* The same. CLI_OK or a reported failure. */
int vectors_check_metric(struct cli *cli, rhumb_metric metric);

/* Reads rows [first, first + count) into `vectors`, kind->row_bytes each, and checks them. CLI_OK or a reported
 * failure. */
int vectors_read(struct cli *cli, struct dataset *rows, const struct vectors_kind *kind, uint64_t first, size_t count,
                 void *vectors);

#endif /* RHUMB_CLI_VECTORS_H */
