/* dummy_sections.h - a table of sections with one more of each kind, and a look at their rows.
 *
 * A program that is linked with dummy_sections.c has that table in place of the library's: nothing else of the library
 * is changed. No code of the library fills or reads the rows of these sections; a test does.
 */
#ifndef RHUMB_TESTS_ENGINE_DUMMY_SECTIONS_H
#define RHUMB_TESTS_ENGINE_DUMMY_SECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Each has a row per slot. */
enum {
    DUMMY_APPEND = 27,
    DUMMY_FILTERED = 28, /* mutable; its rows are lists of slots, filtered as neighbour lists are */
    DUMMY_UNFILTERED = 29,
    DUMMY_DERIVED_APPEND = 30,
    DUMMY_DERIVED_MUTABLE = 31
};

uint64_t dummy_row_stride(rhumb_index *index, uint32_t id);

/* The rows that can be written without the index growing, and those that the newest version has. */
uint64_t dummy_row_capacity(rhumb_index *index, uint32_t id);
uint64_t dummy_published_row_count(rhumb_index *index, uint32_t id);

/* The row in memory. No other thread may be using the index. */
const uint8_t *dummy_row(rhumb_index *index, uint32_t id, uint64_t row);

/* Writes a whole row, as storage/section.h asks for. */
void dummy_write(rhumb_index *index, uint32_t id, uint64_t row, const uint8_t *bytes);

/* Says that the first `row_count` rows of a derived section have been derived. */
void dummy_set_derived(rhumb_index *index, uint32_t id, uint64_t row_count);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TESTS_ENGINE_DUMMY_SECTIONS_H */
