/* alloc.h - the heap of the library. Every request goes through here, so a test can make the Nth request fail.
 *
 * Backed by mimalloc's mi_* functions in the tool and the tests. With -DRHUMB_SYSTEM_MALLOC it is backed by malloc and
 * its kin: in the libraries that are shipped, which leave the choice of an allocator to their program, and in sanitizer
 * builds, which do not see overflows inside another allocator. Thread-safe.
 */
#ifndef RHUMB_BASE_ALLOC_H
#define RHUMB_BASE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Allocates `count` zeroed objects of `size_bytes`. Returns NULL on failure, when the product overflows, or when it is
 * 0. */
void *rhumb__alloc_zeroed(size_t count, size_t size_bytes) __attribute__((malloc, warn_unused_result));

/* Allocates `count` uninitialised objects of `size_bytes` at a multiple of `alignment_bytes` (a power of two), or
 * returns NULL. */
void *rhumb__alloc_aligned(size_t count, size_t size_bytes, size_t alignment_bytes)
    __attribute__((malloc, warn_unused_result));

/* Resizes an array that came from rhumb__alloc_zeroed or from this function (NULL: allocates one). The added part is
 * not initialised. On failure returns NULL and leaves the old array unchanged. */
void *rhumb__alloc_resize(void *array, size_t count, size_t size_bytes) __attribute__((warn_unused_result));

/* Returns a copy of `text` with its terminator, or NULL. */
char *rhumb__alloc_text(const char *text) __attribute__((malloc, warn_unused_result));

/* Releases memory that one of the above returned. NULL is allowed. */
void rhumb__free(void *memory);

/* For tests: the `countdown`-th request from now on (1 = the next) fails; with `persistent`, every one after it too.
 * 0 turns injection off. Affects all threads. */
void rhumb__alloc_fail_after(uint64_t countdown, bool persistent);

/* For tests: the number of requests since the last call of rhumb__alloc_fail_after. */
uint64_t rhumb__alloc_request_count(void);

#endif /* RHUMB_BASE_ALLOC_H */
