/* source_file.h - the one way in which files of other libraries are read: by pieces, with every range checked against
 * the length of the file.
 *
 * Nothing is mapped, so a file that is cut short while it is read is an error like any other. Of a file of any size a
 * few windows are in memory. Failures name the file, the offset and what was to be read there.
 *
 * Threads: a source file is for one thread.
 */
#ifndef RHUMB_ENGINE_EXCHANGE_SOURCE_FILE_H
#define RHUMB_ENGINE_EXCHANGE_SOURCE_FILE_H

#include "storage/io/io.h"

/* Which window a view goes through: rows that are read in succession share one with no other reads. */
typedef enum rhumb__source_lane {
    RHUMB__SOURCE_ROWS = 0,
    RHUMB__SOURCE_LISTS = 1,
    RHUMB__SOURCE_NUMBERS = 2 /* keys, offsets and whatever else lies apart */
} rhumb__source_lane;

#define RHUMB__SOURCE_LANE_COUNT 3u

typedef struct rhumb__source_window {
    uint8_t *bytes;
    uint64_t capacity_bytes;
    uint64_t offset; /* in the file, of bytes[0] */
    uint64_t filled_bytes;
} rhumb__source_window;

typedef struct rhumb__source_file {
    rhumb__io *io;
    char *path;
    uint64_t bytes; /* its length when it was opened */
    rhumb__source_window windows[RHUMB__SOURCE_LANE_COUNT];
} rhumb__source_file;

/* Opens a regular file. RHUMB_E_NOTFOUND, RHUMB_E_INVALID, RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__source_file_open(const char *path, rhumb__source_file **file_out) RHUMB_NODISCARD;

/* NULL is fine. */
void rhumb__source_file_close(rhumb__source_file *file);

/* Records that the file is wrong at `offset`. Returns RHUMB_E_CORRUPT. */
rhumb_status rhumb__source_file_fail(const rhumb__source_file *file, uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Checks that `count` elements of `element_bytes` lie in the file from `offset` on. RHUMB_E_TRUNCATED; the message
 * says that `what` was expected there. */
rhumb_status rhumb__source_file_check(const rhumb__source_file *file, uint64_t offset, uint64_t count,
                                      uint64_t element_bytes, const char *what) RHUMB_NODISCARD;

/* A view of a range, valid until the next view in the same lane. It may be at any address. RHUMB_E_TRUNCATED: it ends
 * after the file does. RHUMB_E_IO, RHUMB_E_NOMEM. */
rhumb_status rhumb__source_file_view(rhumb__source_file *file, rhumb__source_lane lane, uint64_t offset, uint64_t bytes,
                                     const uint8_t **view_out) RHUMB_NODISCARD;

/* ---- numbers ---- */

/* Reads numbers in succession. After a failure all further reads give 0, so a header can be read in one go and `status`
 * be looked at afterwards. */
typedef struct rhumb__source_cursor {
    rhumb__source_file *file;
    uint64_t offset;
    rhumb__source_lane lane;
    rhumb_status status;
} rhumb__source_cursor;

uint8_t rhumb__source_u8(rhumb__source_cursor *cursor);
uint16_t rhumb__source_u16(rhumb__source_cursor *cursor);
uint32_t rhumb__source_u32(rhumb__source_cursor *cursor);
uint64_t rhumb__source_u64(rhumb__source_cursor *cursor);
double rhumb__source_f64(rhumb__source_cursor *cursor);

/* Moves on by `count` elements of `element_bytes` and returns where they begin; they lie within the file. */
uint64_t rhumb__source_skip(rhumb__source_cursor *cursor, uint64_t count, uint64_t element_bytes, const char *what);

/* The numbers in bytes at any address. */
uint16_t rhumb__load_u16(const uint8_t *bytes);
uint32_t rhumb__load_u32(const uint8_t *bytes);
uint64_t rhumb__load_u64(const uint8_t *bytes);

#endif /* RHUMB_ENGINE_EXCHANGE_SOURCE_FILE_H */
