/* activity.c - see activity.h. Reads /proc/PID/stat and /proc/PID/io; owns nothing between calls. What cannot be read
 * is not known.
 */
#include "activity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The name of the program is in parentheses, and may have any character in it; what follows is numbers. */
static bool read_faults(int32_t pid, struct activity *out) {
    char path[48], text[1024];
    snprintf(path, sizeof path, "/proc/%" PRId32 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    const size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    return rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %*u %" SCNu64, &out->hit_count,
                          &out->read_count) == 2;
}

static void read_io(int32_t pid, struct activity *out) {
    char path[48], line[128];
    snprintf(path, sizeof path, "/proc/%" PRId32 "/io", pid);
    FILE *file = fopen(path, "re");
    if (!file) return;
    while (!out->knows_bytes && fgets(line, sizeof line, file))
        out->knows_bytes = sscanf(line, "read_bytes: %" SCNu64, &out->read_bytes) == 1;
    fclose(file);
}

bool activity_read(int32_t pid, struct activity *out) {
    *out = (struct activity){.pid = pid};
    if (!read_faults(pid, out)) return false;
    read_io(pid, out);
    return true;
}
