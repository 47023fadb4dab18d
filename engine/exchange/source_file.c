/* source_file.c - see source_file.h. Owns the handle of the file and its windows. A window is filled from the offset
 * that is asked for on, so reads in succession cost one read of the file for each WINDOW_BYTES, and single ones as
 * much; a window for lists is small, since a walk over a graph jumps. No locks.
 */
#include "engine/exchange/source_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/status.h"

#define WINDOW_BYTES (UINT64_C(256) << 10)
#define LIST_WINDOW_BYTES (UINT64_C(4) << 10)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers of files are loaded as they are"
#endif

rhumb_status rhumb__source_file_open(const char *path, rhumb__source_file **file_out) {
    rhumb_status status;
    rhumb__source_file *file = rhumb__alloc_zeroed(1, sizeof *file);
    if (file == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a file");
    file->path = rhumb__alloc_text(path);
    if (file->path == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a file");
        goto done;
    }
    RHUMB_TRY(rhumb__io_open(&rhumb__io_plain, path, RHUMB__IO_READ, &file->io));
    RHUMB_TRY(rhumb__io_size(file->io, &file->bytes));
    *file_out = file;
    file = NULL;
done:
    rhumb__source_file_close(file);
    return status;
}

void rhumb__source_file_close(rhumb__source_file *file) {
    if (file == NULL) return;
    for (uint32_t i = 0; i < RHUMB__SOURCE_LANE_COUNT; i++) rhumb__free(file->windows[i].bytes);
    rhumb__io_close(file->io);
    rhumb__free(file->path);
    rhumb__free(file);
}

rhumb_status rhumb__source_file_fail(const rhumb__source_file *file, uint64_t offset, const char *format, ...) {
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return rhumb__fail_at(RHUMB_E_CORRUPT, file->path, offset, "%s", text);
}

rhumb_status rhumb__source_file_check(const rhumb__source_file *file, uint64_t offset, uint64_t count,
                                      uint64_t element_bytes, const char *what) {
    const uint64_t left_bytes = offset <= file->bytes ? file->bytes - offset : 0;
    if (offset <= file->bytes && (element_bytes == 0 || count <= left_bytes / element_bytes)) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_TRUNCATED, file->path, offset,
                          "expected %s, %llu of %llu bytes; the file has %llu bytes from here on", what,
                          (unsigned long long)count, (unsigned long long)element_bytes, (unsigned long long)left_bytes);
}

static rhumb_status fill(rhumb__source_file *file, rhumb__source_lane lane, uint64_t offset, uint64_t bytes) {
    rhumb__source_window *window = &file->windows[lane];
    const uint64_t usual_bytes = lane == RHUMB__SOURCE_LISTS ? LIST_WINDOW_BYTES : WINDOW_BYTES;
    const uint64_t wanted_bytes = rhumb__max_u64(bytes, usual_bytes);
    window->filled_bytes = 0;
    if (window->capacity_bytes < wanted_bytes) {
        uint8_t *grown = rhumb__alloc_resize(window->bytes, wanted_bytes, 1);
        if (grown == NULL) {
            return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of %s", (unsigned long long)wanted_bytes,
                               file->path);
        }
        window->bytes = grown;
        window->capacity_bytes = wanted_bytes;
    }
    const uint64_t read_bytes = rhumb__min_u64(wanted_bytes, file->bytes - offset);
    const rhumb_status status = rhumb__io_read(file->io, window->bytes, read_bytes, offset);
    if (status != RHUMB_OK) return status;
    window->offset = offset;
    window->filled_bytes = read_bytes;
    return RHUMB_OK;
}

rhumb_status rhumb__source_file_view(rhumb__source_file *file, rhumb__source_lane lane, uint64_t offset, uint64_t bytes,
                                     const uint8_t **view_out) {
    const rhumb__source_window *window = &file->windows[lane];
    rhumb_status status = rhumb__source_file_check(file, offset, bytes, 1, "data");
    if (status != RHUMB_OK) return status;
    const bool inside = offset >= window->offset && bytes <= window->filled_bytes &&
                        offset - window->offset <= window->filled_bytes - bytes;
    if (!inside) status = fill(file, lane, offset, bytes);
    if (status != RHUMB_OK) return status;
    *view_out = window->bytes + (offset - window->offset);
    return RHUMB_OK;
}

/* ---- numbers ---- */

static void take(rhumb__source_cursor *cursor, void *number, uint64_t bytes) {
    const uint8_t *view = NULL;
    memset(number, 0, bytes);
    if (cursor->status != RHUMB_OK) return;
    cursor->status = rhumb__source_file_view(cursor->file, cursor->lane, cursor->offset, bytes, &view);
    if (cursor->status != RHUMB_OK) return;
    memcpy(number, view, bytes);
    cursor->offset += bytes;
}

uint8_t rhumb__source_u8(rhumb__source_cursor *cursor) {
    uint8_t number;
    take(cursor, &number, sizeof number);
    return number;
}

uint16_t rhumb__source_u16(rhumb__source_cursor *cursor) {
    uint16_t number;
    take(cursor, &number, sizeof number);
    return number;
}

uint32_t rhumb__source_u32(rhumb__source_cursor *cursor) {
    uint32_t number;
    take(cursor, &number, sizeof number);
    return number;
}

uint64_t rhumb__source_u64(rhumb__source_cursor *cursor) {
    uint64_t number;
    take(cursor, &number, sizeof number);
    return number;
}

double rhumb__source_f64(rhumb__source_cursor *cursor) {
    double number;
    take(cursor, &number, sizeof number);
    return number;
}

uint64_t rhumb__source_skip(rhumb__source_cursor *cursor, uint64_t count, uint64_t element_bytes, const char *what) {
    const uint64_t begin = cursor->offset;
    if (cursor->status == RHUMB_OK) {
        cursor->status = rhumb__source_file_check(cursor->file, begin, count, element_bytes, what);
    }
    if (cursor->status == RHUMB_OK) cursor->offset += count * element_bytes;
    return begin;
}

uint16_t rhumb__load_u16(const uint8_t *bytes) {
    uint16_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

uint32_t rhumb__load_u32(const uint8_t *bytes) {
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}

uint64_t rhumb__load_u64(const uint8_t *bytes) {
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}
