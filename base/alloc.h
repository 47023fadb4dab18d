/* alloc.h - all heap memory of the library passes here, so that a test can make the Nth request fail.
 *
 * Backed by mimalloc's mi_* functions; by the C library's when built with -DRHUMB_SYSTEM_MALLOC (sanitizer builds,
 * which do not see overflows inside another allocator). Thread-safe.
 */
#ifndef RHUMB_BASE_ALLOC_H
#define RHUMB_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `count` objects of `size_bytes`, zeroed, or NULL (also when the product overflows, and for a product of 0). */
void *rhumb__alloc_zeroed(size_t count, size_t size_bytes) __attribute__((malloc, warn_unused_result));

/* `count` objects of `size_bytes`, not initialised, at a multiple of `alignment_bytes` (a power of two), or NULL. */
void *rhumb__alloc_aligned(size_t count, size_t size_bytes, size_t alignment_bytes)
    __attribute__((malloc, warn_unused_result));

/* Grows or shrinks an array that came from rhumb__alloc_zeroed or from this function (NULL: a new one). The added part
 * is not initialised. On failure returns NULL and the old array stays as it was. */
void *rhumb__alloc_resize(void *array, size_t count, size_t size_bytes) __attribute__((warn_unused_result));

/* A copy of `text` with its terminator, or NULL. */
char *rhumb__alloc_text(const char *text) __attribute__((malloc, warn_unused_result));

/* Releases what any of the above returned. NULL is fine. */
void rhumb__free(void *memory);

/* For tests: the `countdown`-th request from now on (1 = the next) fails; with `persistent`, every one after it too.
 * 0 turns injection off. Affects all threads. */
void rhumb__alloc_fail_after(uint64_t countdown, bool persistent);

/* For tests: how many requests were made since the last call of rhumb__alloc_fail_after. */
uint64_t rhumb__alloc_request_count(void);

#endif /* RHUMB_BASE_ALLOC_H */
