/* memory_limit.c - see memory_limit.h.
 *
 * /proc/self/cgroup names the groups of the process: one line for each hierarchy of version 1, "id:controllers:path",
 * and one for version 2, "0::path". The limits are files in the group's folder and in those of the groups around it.
 * In a container the path can be one of the host, which is not there; the group that the container sees as its root is
 * looked at in any case. What cannot be read limits nothing.
 *
 * Owns the last reading. Locks: none; two threads may read at the same time, and then store the same. Cannot fail.
 */
#define _GNU_SOURCE
#include "base/memory_limit.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/clock.h"

#define READ_AGAIN_NS UINT64_C(3000000000)
#define PATH_BYTES 1024u

/* Reads the beginning of a small file as text. */
static bool read_text(const char *path, char *text, size_t text_bytes) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t count = 0;
    ssize_t got;
    while (count + 1 < text_bytes && (got = read(fd, text + count, text_bytes - 1 - count)) > 0) count += (size_t)got;
    close(fd);
    text[count] = 0;
    return count > 0;
}

/* Returns the number in a file, or UINT64_MAX: "max", no number, no file. */
static uint64_t read_limit(const char *folder, const char *name) {
    char path[2 * PATH_BYTES];
    char text[32];
    uint64_t value = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) return UINT64_MAX;
    if (!read_text(path, text, sizeof text) || text[0] < '0' || text[0] > '9') return UINT64_MAX;
    for (const char *digit = text; *digit >= '0' && *digit <= '9'; digit++) {
        if (value > (UINT64_MAX - 9) / 10) return UINT64_MAX;
        value = value * 10 + (uint64_t)(*digit - '0');
    }
    return value;
}

/* The smallest limit of a group below `mount` and of those around it. */
static uint64_t limit_of_path(const char *root, const char *mount, const char *group) {
    static const char *const names[] = {"memory.max", "memory.high", "memory.limit_in_bytes"};
    char folder[PATH_BYTES];
    uint64_t limit = UINT64_MAX;
    const int prefix_length = snprintf(folder, sizeof folder, "%s%s", root, mount);
    const int length = snprintf(folder, sizeof folder, "%s%s%s", root, mount, group);
    /* A group outside of what the process can see has a path with "..". */
    const bool known = length > 0 && (size_t)length < sizeof folder && strstr(group, "..") == NULL;
    if (prefix_length <= 0 || (size_t)prefix_length >= sizeof folder) return limit;
    if (!known) folder[prefix_length] = 0;
    for (;;) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            limit = rhumb__min_u64(limit, read_limit(folder, names[i]));
        }
        char *last = strrchr(folder + prefix_length, '/');
        if (last == NULL) return limit;
        *last = 0;
    }
}

static bool names_memory(const char *controllers) {
    const size_t length = strlen("memory");
    for (const char *name = controllers; name != NULL; name = strchr(name, ',')) {
        if (*name == ',') name++;
        if (strncmp(name, "memory", length) == 0 && (name[length] == 0 || name[length] == ',')) return true;
    }
    return false;
}

uint64_t rhumb__memory_limit_of_groups(const char *root) {
    char path[PATH_BYTES];
    char text[4 * PATH_BYTES];
    uint64_t limit = UINT64_MAX;
    char *rest = NULL;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (!read_text(path, text, sizeof text)) return limit;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':');
        char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (group == NULL) continue;
        *group++ = 0;
        controllers++;
        if (strcmp(group, "/") == 0) group = "";
        if (names_memory(controllers)) {
            limit = rhumb__min_u64(limit, limit_of_path(root, "/sys/fs/cgroup/memory", group));
        } else if (controllers[0] == 0) {
            limit = rhumb__min_u64(limit, limit_of_path(root, "/sys/fs/cgroup", group));
            limit = rhumb__min_u64(limit, limit_of_path(root, "/sys/fs/cgroup/unified", group));
        }
    }
    return limit;
}

static uint64_t machine_bytes(void) {
    const long page_count = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    return page_count <= 0 || page_bytes <= 0 ? UINT64_MAX : (uint64_t)page_count * (uint64_t)page_bytes;
}

static _Atomic uint64_t overriding_bytes; /* 0: nothing is replaced */
static _Atomic uint64_t read_bytes;       /* the last reading; 0: none yet */
static _Atomic uint64_t read_ns;          /* when it was made */

uint64_t rhumb__memory_limit_bytes(void) {
    const uint64_t overriding = atomic_load_explicit(&overriding_bytes, memory_order_relaxed);
    if (overriding != 0) return overriding;
    const uint64_t now_ns = rhumb__clock_now_ns();
    uint64_t bytes = atomic_load_explicit(&read_bytes, memory_order_relaxed);
    if (bytes != 0 && now_ns - atomic_load_explicit(&read_ns, memory_order_relaxed) < READ_AGAIN_NS) return bytes;
    bytes = rhumb__max_u64(rhumb__min_u64(machine_bytes(), rhumb__memory_limit_of_groups("")), 1);
    atomic_store_explicit(&read_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&read_ns, now_ns, memory_order_relaxed);
    return bytes;
}

void rhumb__memory_limit_override(uint64_t bytes) {
    atomic_store_explicit(&overriding_bytes, bytes, memory_order_relaxed);
}
