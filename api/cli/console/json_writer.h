/* json_writer.h - writes one JSON value to a stream, member by member, so that results need not fit in memory.
 *
 * The writer puts the commas and closes what is open. A text that is not UTF-8 gets U+FFFD in the place of each byte
 * that is not; a number that is not finite becomes null. A writer whose stream is NULL writes nothing, so callers need
 * no condition.
 */
#ifndef RHUMB_CLI_JSON_WRITER_H
#define RHUMB_CLI_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_DEPTH_MAX 8u

struct json_writer {
    FILE *stream; /* or NULL */
    unsigned depth;
    char closers[JSON_DEPTH_MAX]; /* '}' or ']' of each open level */
    bool has_members[JSON_DEPTH_MAX];
};

/* `name` is the member's name inside an object, and NULL inside an array or at the top. */
void json_object_begin(struct json_writer *json, const char *name);
void json_array_begin(struct json_writer *json, const char *name);
void json_text(struct json_writer *json, const char *name, const char *value);
void json_u64(struct json_writer *json, const char *name, uint64_t value);
void json_i64(struct json_writer *json, const char *name, int64_t value);
void json_double(struct json_writer *json, const char *name, double value);
void json_float(struct json_writer *json, const char *name, float value);
void json_bool(struct json_writer *json, const char *name, bool value);

/* Closes the innermost object or array. */
void json_end(struct json_writer *json);

/* Closes objects and arrays until `depth` of them are open: 1 returns to the outermost object, 0 ends the document.
 */
void json_end_to(struct json_writer *json, unsigned depth);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_JSON_WRITER_H */
