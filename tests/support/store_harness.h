/* store_harness.h - a store with sections of a test's own, for tests in C++, which cannot include the store's headers
 * (these use C's atomics).
 *
 * One thread per harness, except store_harness_write and store_harness_publish, which may run concurrently.
 */
#ifndef RHUMB_TESTS_SUPPORT_STORE_HARNESS_H
#define RHUMB_TESTS_SUPPORT_STORE_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/frame/format.h"
#include "storage/io/io.h"

#ifdef __cplusplus
extern "C" {
#endif

#define STORE_HARNESS_SECTIONS_MAX 8

typedef struct store_harness_spec {
    uint32_t id;
    bool is_mutable; /* otherwise append-only */
    uint32_t version;
    bool optional;
    uint64_t row_stride_bytes;
    uint64_t row_limit;
} store_harness_spec;

/* See rhumb__row_filter; `section` is the index of the section in the harness. */
typedef bool (*store_harness_filter)(void *context, uint32_t section, uint64_t first_row, uint8_t *rows,
                                     uint64_t row_count);

typedef struct store_harness store_harness;

/* Creates or opens a store and attaches all sections. *harness_out is set on success only. */
rhumb_status store_harness_create(const rhumb__io_backend *backend, const char *path, const store_harness_spec *specs,
                                  uint32_t count, store_harness **harness_out) RHUMB_NODISCARD;
rhumb_status store_harness_open(const rhumb__io_backend *backend, const char *path, bool writable,
                                const store_harness_spec *specs, uint32_t count,
                                store_harness **harness_out) RHUMB_NODISCARD;
void store_harness_close(store_harness *harness);

/* Limits of patches for the stores opened from now on; 0, 0: the usual ones. */
void store_harness_set_patch_limits(uint64_t bytes_max, uint64_t page_count_max);

rhumb_status store_harness_ensure(store_harness *harness, uint32_t section, uint64_t row_count) RHUMB_NODISCARD;
const uint8_t *store_harness_row(const store_harness *harness, uint32_t section, uint64_t row);

/* Stores a row as section.h asks for: under the chunk's lock and after marking it, if the section is mutable. */
void store_harness_write(store_harness *harness, uint32_t section, uint64_t row, const uint8_t *bytes);

/* Writes a row of an append-only section again. What rhumb__renewal_begin returns. */
rhumb_status store_harness_renew(store_harness *harness, uint32_t section, uint64_t row,
                                 const uint8_t *bytes) RHUMB_NODISCARD;

/* Publishes these many rows of each section. `client` (RHUMB__CLIENT_BYTES) and `filter` may be NULL. */
rhumb_status store_harness_publish(store_harness *harness, const uint64_t *row_counts, const uint8_t *client,
                                   store_harness_filter filter, void *context,
                                   uint64_t *written_bytes_out) RHUMB_NODISCARD;

/* Writes these many rows of append-only sections ahead of the next version. */
rhumb_status store_harness_write_ahead(store_harness *harness, const uint64_t *row_counts) RHUMB_NODISCARD;

/* Publishes, and moves blocks from the end of the file to free ones nearer to its beginning. */
rhumb_status store_harness_pull_down(store_harness *harness, const uint64_t *row_counts,
                                     uint64_t *written_bytes_out) RHUMB_NODISCARD;

rhumb_status store_harness_verify(store_harness *harness, uint64_t *chunk_count_out, uint64_t *error_count_out,
                                  char *first_error) RHUMB_NODISCARD;
rhumb_status store_harness_trim(store_harness *harness, bool *left_out) RHUMB_NODISCARD;
rhumb_status store_harness_has_newer(store_harness *harness, bool *newer_out) RHUMB_NODISCARD;

const rhumb__superblock *store_harness_superblock(const store_harness *harness);
uint64_t store_harness_row_count(const store_harness *harness, uint32_t section); /* published */
uint32_t store_harness_chunk_bytes(const store_harness *harness, uint32_t section);
uint32_t store_harness_extent_count(const store_harness *harness, uint32_t section);
uint64_t store_harness_dirty_count(const store_harness *harness, uint32_t section); /* chunks */
uint64_t store_harness_file_end(const store_harness *harness);
uint64_t store_harness_free_bytes(const store_harness *harness);
uint64_t store_harness_stats_epoch(store_harness *harness); /* of rhumb__store_stats_get, like the next */
uint64_t store_harness_stats_mapping_count(store_harness *harness);

typedef struct store_harness_pin {
    uint64_t epoch;
    uint32_t reader_count;
    uint32_t pid_count;
    int32_t pids[16];
} store_harness_pin;

/* rhumb__store_pins */
rhumb_status store_harness_pins(store_harness *harness, store_harness_pin *pins, uint32_t capacity,
                                uint32_t *count_out) RHUMB_NODISCARD;
bool store_harness_failed(const store_harness *harness);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_TESTS_SUPPORT_STORE_HARNESS_H */
