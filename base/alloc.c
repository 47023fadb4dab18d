/* alloc.c - the library's heap: mimalloc, or the C library's with -DRHUMB_SYSTEM_MALLOC, and the injection of failures.
 * Large requests may be spilled (alloc_spill.h).
 *
 * Owns the injection counters. Invariant: every request is counted once, including one that is refused for its size, so
 * a test that makes request 1, 2, 3... fail in turn reaches every place that allocates. No locks: the counters are
 * atomics, and the order of concurrent requests does not matter. A failure returns NULL and leaves no error record; the
 * caller knows what the memory was for.
 */
#include "base/alloc.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc_spill.h"
#include "base/assert.h"
#include "base/bits.h"

#ifdef RHUMB_SYSTEM_MALLOC

#include <stdlib.h>

static void *heap_zeroed(size_t bytes) { return calloc(1, bytes); }
static void *heap_resize(void *array, size_t bytes) { return realloc(array, bytes); }
static void heap_free(void *memory) { free(memory); }

static void *heap_aligned(size_t bytes, size_t alignment_bytes) {
    void *memory = NULL;
    return posix_memalign(&memory, alignment_bytes, bytes) == 0 ? memory : NULL;
}

#else

#include <mimalloc.h>

static void *heap_zeroed(size_t bytes) { return mi_zalloc(bytes); }
static void *heap_resize(void *array, size_t bytes) { return mi_realloc(array, bytes); }
static void heap_free(void *memory) { mi_free(memory); }
static void *heap_aligned(size_t bytes, size_t alignment_bytes) { return mi_malloc_aligned(bytes, alignment_bytes); }

#endif

static _Atomic uint64_t request_count;
static _Atomic uint64_t failing_request; /* number of the request that fails; 0: none */
static _Atomic bool failing_persistent;  /* later requests fail too */

/* Counts one request and computes its size. Returns false when the request must fail: by injection, because the size
 * overflows, or because it is 0. */
static bool request_begin(size_t count, size_t size_bytes, size_t *bytes_out) {
    uint64_t request = atomic_fetch_add_explicit(&request_count, 1, memory_order_relaxed) + 1;
    uint64_t failing = atomic_load_explicit(&failing_request, memory_order_relaxed);
    if (failing != 0 && request >= failing) {
        if (request == failing || atomic_load_explicit(&failing_persistent, memory_order_relaxed)) return false;
    }
    if (__builtin_mul_overflow(count, size_bytes, bytes_out)) return false;
    return *bytes_out != 0 && *bytes_out <= PTRDIFF_MAX;
}

void *rhumb__alloc_zeroed(size_t count, size_t size_bytes) {
    size_t bytes = 0;
    if (!request_begin(count, size_bytes, &bytes)) return NULL;
    void *spilled = rhumb__spill_take(bytes);
    return spilled != NULL ? spilled : heap_zeroed(bytes);
}

void *rhumb__alloc_aligned(size_t count, size_t size_bytes, size_t alignment_bytes) {
    RHUMB_ASSERT(rhumb__is_power_of_two(alignment_bytes));
    size_t bytes = 0;
    if (!request_begin(count, size_bytes, &bytes)) return NULL;
    void *spilled = alignment_bytes <= RHUMB__SPILL_ALIGNMENT_BYTES ? rhumb__spill_take(bytes) : NULL;
    if (spilled != NULL) return spilled;
    return heap_aligned(bytes, alignment_bytes < sizeof(void *) ? sizeof(void *) : alignment_bytes);
}

/* Resizes an array of `old_bytes` that is spilled. */
static void *resize_spilled(void *array, size_t old_bytes, size_t bytes) {
    void *resized = rhumb__spill_take(bytes);
    if (resized == NULL) resized = heap_resize(NULL, bytes);
    if (resized == NULL) return NULL;
    memcpy(resized, array, old_bytes < bytes ? old_bytes : bytes);
    (void)rhumb__spill_give(array);
    return resized;
}

void *rhumb__alloc_resize(void *array, size_t count, size_t size_bytes) {
    size_t bytes = 0;
    if (!request_begin(count, size_bytes, &bytes)) return NULL;
    if (array == NULL) {
        void *spilled = rhumb__spill_take(bytes);
        if (spilled != NULL) return spilled;
    }
    const size_t spilled_bytes = rhumb__spill_size(array);
    return spilled_bytes > 0 ? resize_spilled(array, spilled_bytes, bytes) : heap_resize(array, bytes);
}

char *rhumb__alloc_text(const char *text) {
    size_t bytes = 0;
    if (!request_begin(strlen(text) + 1, 1, &bytes)) return NULL;
    char *copy = heap_resize(NULL, bytes);
    if (copy != NULL) memcpy(copy, text, bytes);
    return copy;
}

void rhumb__free(void *memory) {
    if (!rhumb__spill_give(memory)) heap_free(memory);
}

void rhumb__alloc_fail_after(uint64_t countdown, bool persistent) {
    atomic_store(&failing_request, 0);
    atomic_store(&request_count, 0);
    atomic_store(&failing_persistent, persistent);
    atomic_store(&failing_request, countdown);
}

uint64_t rhumb__alloc_request_count(void) { return atomic_load(&request_count); }
