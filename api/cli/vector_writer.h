/* vector_writer.h - vectors of an index as a file that the tool can read again: npy, fvecs, bvecs, ivecs or jsonl.
 *
 * npy has the index's own type (bf16 as f32, bits as bool); the vecs have theirs, and a component that it does not hold
 * exactly is a failure. jsonl has the keys too, one object a line. Numbers are written so that reading them gives the
 * same components.
 */
#ifndef RHUMB_CLI_VECTOR_WRITER_H
#define RHUMB_CLI_VECTOR_WRITER_H

#include "cli.h"
#include "output.h"

struct vector_writer_options {
    const char *path;        /* or "-" */
    const char *format_name; /* NULL: the path's extension says it; jsonl for "-" */
    rhumb_element element;   /* of the index */
    uint32_t dim;
    uint64_t row_count; /* which will follow, if the format must know */
};

struct vector_writer {
    struct cli *cli;
    struct output output;
    enum dataset_format format;
    rhumb_element element; /* of the index */
    rhumb_element target;  /* of the file */
    uint32_t dim;
    unsigned char *bits, *components; /* one row, unpacked and converted */
};

/* The format that the options mean, without opening anything; DATASET_FORMAT_BY_EXTENSION: none. */
enum dataset_format vector_writer_format(const struct vector_writer_options *options);

/* CLI_OK or a reported failure; in both cases vector_writer_close is due. */
int vector_writer_open(struct vector_writer *writer, struct cli *cli, const struct vector_writer_options *options);

/* Writes one row. CLI_OK or a reported failure. */
int vector_writer_add(struct vector_writer *writer, uint64_t key, const void *vector);

/* Closes the file and, if `complete`, gives it its name; else removes it. CLI_OK or a reported failure. */
int vector_writer_close(struct vector_writer *writer, bool complete);

#endif /* RHUMB_CLI_VECTOR_WRITER_H */
