/* alloc_spill.c - see alloc_spill.h.
 *
 * A request is a mapping of its own, shared, of a file of its own. The file's room on the disk is taken at once, so
 * that no later store finds the disk full; where there is none, the request is the heap's. What the kernel has not
 * written by the time the memory is released is never written.
 *
 * Owns the list of mappings. Lock: `lock`, for the list and the path; while there are no mappings, releasing takes
 * none.
 */
#define _GNU_SOURCE
#include "base/alloc_spill.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/nameless_file.h"

/* A program has few arrays that large at a time; more are the heap's. */
#define MAPPINGS_MAX 256u

typedef struct mapping {
    void *memory;
    size_t bytes;
} mapping;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char next_to[PATH_MAX];
static mapping mappings[MAPPINGS_MAX];
static size_t spilled_bytes;
static _Atomic bool is_used;
static _Atomic uint32_t mapping_count;

bool rhumb__alloc_spill_next_to(const char *path) {
    bool used = false;
    pthread_mutex_lock(&lock);
    if (path != NULL && strlen(path) < sizeof next_to) {
        memcpy(next_to, path, strlen(path) + 1);
        const int descriptor = rhumb__nameless_file_open(next_to);
        used = descriptor >= 0;
        if (used) close(descriptor);
    }
    atomic_store(&is_used, used);
    pthread_mutex_unlock(&lock);
    return used;
}

size_t rhumb__alloc_spilled_bytes(void) {
    pthread_mutex_lock(&lock);
    const size_t bytes = spilled_bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}

static void *map_file(size_t bytes) {
    const int descriptor = rhumb__nameless_file_open(next_to);
    if (descriptor < 0) return NULL;
    void *memory = MAP_FAILED;
    if (fallocate(descriptor, 0, 0, (off_t)bytes) == 0)
        memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor); /* the mapping keeps the file */
    return memory == MAP_FAILED ? NULL : memory;
}

static mapping *find(const void *memory) {
    for (uint32_t i = 0; i < MAPPINGS_MAX; i++) {
        if (mappings[i].memory == memory) return &mappings[i];
    }
    return NULL;
}

void *rhumb__spill_take(size_t bytes) {
    void *memory = NULL;
    if (bytes < RHUMB__SPILL_BYTES_MIN || !atomic_load_explicit(&is_used, memory_order_relaxed)) return NULL;
    pthread_mutex_lock(&lock);
    mapping *free_one = find(NULL);
    if (free_one != NULL) memory = map_file(bytes);
    if (memory != NULL) {
        *free_one = (mapping){memory, bytes};
        spilled_bytes += bytes;
        atomic_fetch_add_explicit(&mapping_count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
    return memory;
}

/* Whether it may be a mapping. A thread that releases one has it from the thread that took it, so relaxed loads see
 * that it was counted. */
static bool may_be_mapping(const void *memory) {
    return memory != NULL && (uintptr_t)memory % RHUMB__SPILL_ALIGNMENT_BYTES == 0 &&
           atomic_load_explicit(&mapping_count, memory_order_relaxed) > 0;
}

bool rhumb__spill_give(void *memory) {
    if (!may_be_mapping(memory)) return false;
    pthread_mutex_lock(&lock);
    mapping *found = find(memory);
    if (found != NULL) {
        (void)munmap(memory, found->bytes);
        spilled_bytes -= found->bytes;
        *found = (mapping){NULL, 0};
        atomic_fetch_sub_explicit(&mapping_count, 1, memory_order_relaxed);
    }
    pthread_mutex_unlock(&lock);
    return found != NULL;
}

size_t rhumb__spill_size(const void *memory) {
    if (!may_be_mapping(memory)) return 0;
    pthread_mutex_lock(&lock);
    const mapping *found = find(memory);
    const size_t bytes = found == NULL ? 0 : found->bytes;
    pthread_mutex_unlock(&lock);
    return bytes;
}
