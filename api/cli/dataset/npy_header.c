/* npy_header.c - see npy_header.h. Version 1 of .npy: magic, version, length of the text, and the text, padded with
 * blanks and ended with a newline, so that the rows begin at a multiple of 64. Owns nothing.
 */
#include "npy_header.h"

#include <inttypes.h>
#include <string.h>

#define HEADER_BYTES 128u

bool npy_header_write(FILE *stream, const char *descr, uint64_t row_count, uint64_t column_count) {
    char header[HEADER_BYTES], columns[24] = "";
    const size_t text_bytes = HEADER_BYTES - 10;
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)text_bytes;
    header[9] = 0;
    memset(header + 10, ' ', text_bytes);
    if (column_count > 0) snprintf(columns, sizeof columns, " %" PRIu64, column_count);
    const int used =
        snprintf(header + 10, text_bytes, "{'descr': '%s', 'fortran_order': False, 'shape': (%" PRIu64 ",%s), }", descr,
                 row_count, columns);
    header[10 + used] = ' '; /* where snprintf put its NUL */
    header[HEADER_BYTES - 1] = '\n';
    return fwrite(header, 1, HEADER_BYTES, stream) == HEADER_BYTES;
}
