/* json_writer.c - writes one JSON value to a stream, member by member (RFC 8259).
 *
 * Owns nothing but its small state. Invariant: the text written up to now, followed by closers[depth - 1] ...
 * closers[0], is valid JSON. Errors of the stream stay in the stream; its owner checks ferror at the end.
 */
#include "json_writer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Length of the UTF-8 sequence at `text`, or 0 if there is none: over-long forms, surrogates and numbers above U+10FFFF
 * are invalid (RFC 3629, section 4). */
static unsigned utf8_length(const unsigned char *text) {
    const unsigned char lead = text[0];
    if (lead < 0x80) return 1;
    const unsigned length = lead >= 0xC2 && lead <= 0xDF ? 2
                            : (lead & 0xF0) == 0xE0      ? 3
                            : (lead & 0xF8) == 0xF0      ? 4
                                                         : 0;
    for (unsigned i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80) return 0;
    if (lead == 0xE0 && text[1] < 0xA0) return 0;
    if (lead == 0xED && text[1] > 0x9F) return 0;
    if (lead == 0xF0 && text[1] < 0x90) return 0;
    if (lead > 0xF4 || (lead == 0xF4 && text[1] > 0x8F)) return 0;
    return length;
}

static void write_string(FILE *stream, const char *string) {
    fputc('"', stream);
    for (const unsigned char *text = (const unsigned char *)string; *text;) {
        const unsigned length = utf8_length(text);
        if (length == 0)
            fputs("\\ufffd", stream);
        else if (*text == '"' || *text == '\\')
            fprintf(stream, "\\%c", *text);
        else if (*text < 0x20 || *text == 0x7F)
            fprintf(stream, "\\u%04x", *text);
        else
            fwrite(text, 1, length, stream);
        text += length ? length : 1;
    }
    fputc('"', stream);
}

/* Comma and name of the value that follows. */
static void begin_value(struct json_writer *json, const char *name) {
    if (json->depth > 0) {
        if (json->has_members[json->depth - 1]) fputc(',', json->stream);
        json->has_members[json->depth - 1] = true;
    }
    if (!name) return;
    write_string(json->stream, name);
    fputc(':', json->stream);
}

static void begin_level(struct json_writer *json, const char *name, char opener, char closer) {
    if (!json->stream) return;
    begin_value(json, name);
    fputc(opener, json->stream);
    json->closers[json->depth] = closer;
    json->has_members[json->depth] = false;
    json->depth++;
}

void json_object_begin(struct json_writer *json, const char *name) { begin_level(json, name, '{', '}'); }

void json_array_begin(struct json_writer *json, const char *name) { begin_level(json, name, '[', ']'); }

void json_end(struct json_writer *json) {
    if (!json->stream || json->depth == 0) return;
    fputc(json->closers[--json->depth], json->stream);
    if (json->depth == 0) fputc('\n', json->stream);
}

void json_end_to(struct json_writer *json, unsigned depth) {
    while (json->depth > depth) json_end(json);
}

void json_text(struct json_writer *json, const char *name, const char *value) {
    if (!json->stream) return;
    begin_value(json, name);
    write_string(json->stream, value);
}

void json_u64(struct json_writer *json, const char *name, uint64_t value) {
    if (!json->stream) return;
    begin_value(json, name);
    fprintf(json->stream, "%" PRIu64, value);
}

void json_i64(struct json_writer *json, const char *name, int64_t value) {
    if (!json->stream) return;
    begin_value(json, name);
    fprintf(json->stream, "%" PRId64, value);
}

static void write_number(struct json_writer *json, const char *name, double value, int digits) {
    if (!json->stream) return;
    begin_value(json, name);
    if (isfinite(value))
        fprintf(json->stream, "%.*g", digits, value);
    else
        fputs("null", json->stream);
}

void json_double(struct json_writer *json, const char *name, double value) { write_number(json, name, value, 12); }

/* Nine digits bring every float back. */
void json_float(struct json_writer *json, const char *name, float value) { write_number(json, name, value, 9); }

void json_bool(struct json_writer *json, const char *name, bool value) {
    if (!json->stream) return;
    begin_value(json, name);
    fputs(value ? "true" : "false", json->stream);
}
