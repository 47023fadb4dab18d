/* store_stats.c - see store_stats.h.
 *
 * A publication may take minutes, and holds the publishing lock all the time. So it leaves a copy of the numbers when
 * it ends, which stats_lock guards.
 *
 * The kernel tells whether a byte is locked, not by whom and how often. The list of all locks (/proc/locks) has their
 * number, and that of each open file of a process (/proc/PID/fdinfo) names the process; neither has to be there.
 *
 * Owns store->stats. How it fails: the numbers stay those of before; processes that cannot be found are left out.
 */
#define _GNU_SOURCE
#include "storage/store_stats.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"

rhumb__store_stats rhumb__store_stats_get(rhumb__store *store) {
    rhumb__mutex_lock(&store->stats_lock);
    const rhumb__store_stats stats = store->stats;
    rhumb__mutex_unlock(&store->stats_lock);
    return stats;
}

void rhumb__store_stats_note(rhumb__store *store) {
    const rhumb__superblock *superblock = &store->superblock;
    rhumb__store_stats stats = {
        .format_version = superblock->format_version,
        .creator_version = superblock->creator_version,
        .created_unix_ns = superblock->created_unix_ns,
        .epoch = superblock->epoch,
    };
    memcpy(stats.uuid, superblock->uuid, sizeof stats.uuid);
    uint64_t used_bytes = RHUMB__CONTENT_OFFSET + store->directory_bytes;
    for (uint32_t i = 0; i < store->section_count; i++) {
        used_bytes += store->sections[i]->extents.bytes;
        if (!store->sections[i]->spec.unmapped) stats.mapping_count += store->sections[i]->extents.count;
    }
    stats.file_bytes = rhumb__max_u64(store->file_bytes, store->space.end); /* what has been taken is allocated */
    if (stats.file_bytes > used_bytes) stats.file_free_bytes = stats.file_bytes - used_bytes;
    rhumb__mutex_lock(&store->stats_lock);
    store->stats = stats;
    rhumb__mutex_unlock(&store->stats_lock);
}

/* ---- pins ---- */

typedef struct pin_list {
    rhumb__store_pin *pins; /* by ascending epoch */
    uint32_t count;
    uint32_t capacity;
} pin_list;

/* Lists the pinned epochs by halving their range where there are any. The kernel does not report own pins. */
static rhumb_status list_epochs(rhumb__io *io, uint64_t own_epoch, pin_list *list) {
    struct {
        uint64_t first;
        uint64_t last;
    } stack[64]; /* each is half as long as the one before, and epochs have 62 bits */
    uint32_t depth = 0;
    stack[depth].first = 1;
    stack[depth++].last = RHUMB__EPOCH_MAX;
    while (depth > 0 && list->count < list->capacity) {
        const uint64_t first = stack[--depth].first;
        const uint64_t last = stack[depth].last;
        bool pinned = own_epoch >= first && own_epoch <= last;
        if (!pinned) {
            const rhumb_status status = rhumb__version_pins_test(io, first, last, &pinned);
            if (status != RHUMB_OK) return status;
        }
        if (!pinned) continue;
        if (first == last) {
            list->pins[list->count++] = (rhumb__store_pin){.epoch = first};
            continue;
        }
        const uint64_t middle = first + (last - first) / 2;
        RHUMB_ASSERT(depth + 2 <= 64);
        stack[depth].first = middle + 1;
        stack[depth++].last = last;
        stack[depth].first = first;
        stack[depth++].last = middle;
    }
    return RHUMB_OK;
}

/* The pin that a line of /proc/locks or fdinfo tells of, or NULL; *inode_out is the file's. */
static rhumb__store_pin *find_pin(const pin_list *list, const char *line, unsigned long long *inode_out) {
    unsigned long long begin = 0;
    unsigned long long end = 0;
    const char *type = strstr(line, "OFDLCK");
    if (type == NULL || sscanf(type, "OFDLCK %*s READ %*d %*x:%*x:%llu %llu %llu", inode_out, &begin, &end) != 3) {
        return NULL;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (begin == end && begin == RHUMB__LOCK_EPOCH_OFFSET + list->pins[i].epoch) return &list->pins[i];
    }
    return NULL;
}

static void note_process(rhumb__store_pin *pin, int32_t pid) {
    for (uint32_t i = 0; i < pin->pid_count; i++) {
        if (pin->pids[i] == pid) return;
    }
    if (pin->pid_count < RHUMB__PIN_PID_COUNT_MAX) pin->pids[pin->pid_count++] = pid;
}

static void count_locks(const pin_list *list, uint64_t inode) {
    char line[256];
    FILE *file = fopen("/proc/locks", "re");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long found_inode = 0;
        rhumb__store_pin *pin = find_pin(list, line, &found_inode);
        if (pin != NULL && found_inode == inode) pin->reader_count++;
    }
    fclose(file);
}

/* Notes the process for the pins that one of its open files has. */
static void look_at_file(const pin_list *list, int32_t pid, const char *number) {
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%.20s", (int)pid, number);
    FILE *file = fopen(path, "re");
    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long inode = 0;
        rhumb__store_pin *pin = strncmp(line, "lock:", 5) == 0 ? find_pin(list, line, &inode) : NULL;
        if (pin != NULL) note_process(pin, pid);
    }
    fclose(file);
}

static void look_at_process(const pin_list *list, int32_t pid, const struct stat *index) {
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat info;
        if (entry->d_name[0] == '.' || fstatat(dirfd(folder), entry->d_name, &info, 0) != 0) continue;
        if (info.st_dev != index->st_dev || info.st_ino != index->st_ino) continue;
        look_at_file(list, pid, entry->d_name);
    }
    closedir(folder);
}

static void find_processes(const pin_list *list, const char *path) {
    struct stat index;
    if (stat(path, &index) != 0) return;
    count_locks(list, index.st_ino);
    DIR *folder = opendir("/proc");
    if (folder == NULL) return;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char *end = NULL;
        const long pid = strtol(entry->d_name, &end, 10);
        if (*end == '\0' && pid > 0 && pid <= INT32_MAX) look_at_process(list, (int32_t)pid, &index);
    }
    closedir(folder);
}

rhumb_status rhumb__store_pins(rhumb__store *store, rhumb__store_pin *pins, uint32_t capacity, uint32_t *count_out) {
    const uint64_t own_epoch = store->writable ? 0 : store->superblock.epoch;
    return rhumb__file_pins(store->io, store->path, own_epoch, pins, capacity, count_out);
}

rhumb_status rhumb__file_pins(rhumb__io *io, const char *path, uint64_t own_epoch, rhumb__store_pin *pins,
                              uint32_t capacity, uint32_t *count_out) {
    pin_list list = {.pins = pins, .capacity = capacity};
    *count_out = 0;
    const rhumb_status status = list_epochs(io, own_epoch, &list);
    if (status != RHUMB_OK) return status;
    if (list.count > 0 && path != NULL) find_processes(&list, path);
    for (uint32_t i = 0; i < list.count; i++) {
        if (pins[i].reader_count == 0) pins[i].reader_count = pins[i].pid_count == 0 ? 1 : pins[i].pid_count;
    }
    *count_out = list.count;
    return RHUMB_OK;
}
