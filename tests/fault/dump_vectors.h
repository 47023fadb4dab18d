/* dump_vectors.h - the vectors that index_dump.c puts into indexes: of any element type, valid under any metric.
 *
 * A vector is a function of its number and of what is measured. Of *copies*, many have equal components, and some have
 * zeros of the other sign.
 */
#ifndef RHUMB_TESTS_FAULT_DUMP_VECTORS_H
#define RHUMB_TESTS_FAULT_DUMP_VECTORS_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb.h"

/* The custom metric: how many bytes of the components differ, whatever the element type. */
#define DUMP_CUSTOM_NAME "bytes that differ"
float dump_custom_distance(const void *a, const void *b, uint32_t dim, void *element);

/* A vector that can be passed to the library and filled by it. One thread at a time. */
typedef struct dump_vector {
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;
    bool copies;
    void *components;        /* room for dim of them */
    rhumb_sequence sequence; /* the same under levenshtein */
} dump_vector;

/* Allocates the components; dump_vector_free frees them. */
void dump_vector_init(dump_vector *vector, const rhumb_index_options *options, bool copies);
void dump_vector_free(dump_vector *vector);

/* Fills it with the vector of number `i`. */
void dump_vector_make(dump_vector *vector, uint64_t i);

/* What to pass to the library: to read from, and to be filled. */
void *dump_vector_argument(dump_vector *vector);

/* Prints the bytes of its components as hexadecimal digits, in quotes. */
void dump_vector_print(const dump_vector *vector);

#endif /* RHUMB_TESTS_FAULT_DUMP_VECTORS_H */
