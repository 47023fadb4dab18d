/* address_space.c - see address_space.h.
 *
 * Owns the registry of growing ranges. They lie in an arena in the middle of the address space: programs and their heap
 * are below it or above it, and the kernel puts mappings of its own choice right below the stack, from where it would
 * have to fill tens of terabytes to get here. A new range goes to the end of the widest gap and leaves at least half of
 * that to its predecessor, or all that the new one cannot use. Nothing is mapped in advance, so nothing guarantees the
 * room; what others have mapped is never replaced (MAP_FIXED_NOREPLACE), and a range that meets it cannot grow further.
 *
 * Where the kernel does not honour such places (ThreadSanitizer and Valgrind lay out the address space themselves, some
 * processors have less of it), a range reserves addresses without access instead.
 *
 * Invariants: claims are ascending and do not touch; each is a range that has been taken and not dropped, or a place
 * where something else was met.
 *
 * Locking: the lock that keeps forks out (base/fork.h) guards the registry, and is held while memory is mapped there,
 * so that the end of a claim is the end of what is mapped. Fork: the child has a copy of the registry, which is whole,
 * and leaves the places in it alone; it does not inherit the memory, which only the parent's handles use. How it fails:
 * nothing has changed.
 */
#define _GNU_SOURCE
#include "storage/address_space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/fork.h"
#include "base/status.h"
#include "storage/frame/format.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Of 47 bits: above what mimalloc asks for by itself (2 to 30 TiB), below programs and AddressSanitizer's heap. */
#define ARENA_BEGIN (UINT64_C(1) << 45)
#define ARENA_END (UINT64_C(0x4C) << 40)

/* Left free between ranges: a stray access faults. */
#define GUARD_BYTES RHUMB__LARGE_PAGE_BYTES

/* Where ranges cannot be put far apart, each reserves at most this much. */
#define RESERVATION_BYTES_MAX (UINT64_C(16) << 30)
#define RESERVATION_BYTES_MAX_LIMITED (UINT64_C(64) << 20)

#define PLACE_ATTEMPT_COUNT_MAX 16

typedef struct claim {
    uint64_t begin;
    uint64_t end; /* of what is mapped */
} claim;

static claim *claims; /* these are guarded by the lock */
static uint32_t claim_count;
static uint32_t claim_capacity;
static uint32_t range_count; /* claims that are ranges */
static enum { ARENA_UNTRIED, ARENA_USABLE, ARENA_UNUSABLE } arena_state;

bool rhumb__address_space_is_limited(void) {
    struct rlimit space;
    struct rlimit data;
    return (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) ||
           (getrlimit(RLIMIT_DATA, &data) == 0 && data.rlim_cur != RLIM_INFINITY);
}

static rhumb_status fail_to_map(int os_errno, uint64_t bytes) {
    return rhumb__fail_errno(os_errno, "", RHUMB_OFFSET_NONE,
                             "mapping %llu bytes of memory; is the address space limited (ulimit -v), or "
                             "vm.max_map_count reached?",
                             (unsigned long long)bytes);
}

/* Maps memory at exactly that place, where nothing may be mapped yet. Returns 0 or an error number; EEXIST when
 * something is. */
static int map_at(uint64_t address, uint64_t bytes, int protection) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    void *wanted = (void *)(uintptr_t)address;
    void *found = mmap(wanted, bytes, protection, flags, -1, 0);
    if (found == MAP_FAILED) return errno;
    if (found == wanted) {
        (void)madvise(found, bytes, MADV_DONTFORK);
        return 0;
    }
    munmap(found, bytes); /* a kernel before 4.17 takes the address for a wish */
    return EEXIST;
}

/* ---- the registry ---- */

/* Whether mappings can be put into the arena; tried once. */
static bool arena_is_usable(void) {
#if defined(__SANITIZE_THREAD__)
    arena_state = ARENA_UNUSABLE;
#endif
    if (arena_state == ARENA_UNTRIED) {
        const int error = map_at(ARENA_BEGIN, RHUMB__BLOCK_BYTES, PROT_NONE);
        if (error == 0) munmap((void *)(uintptr_t)ARENA_BEGIN, RHUMB__BLOCK_BYTES);
        arena_state = error == 0 ? ARENA_USABLE : ARENA_UNUSABLE;
    }
    return arena_state == ARENA_USABLE;
}

/* The index of the first claim that begins at or after `address`. */
static uint32_t claim_at(uint64_t address) {
    uint32_t low = 0;
    uint32_t high = claim_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (claims[middle].begin < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool claim_insert(uint64_t begin, uint64_t end) {
    if (claim_count == claim_capacity) {
        const uint32_t capacity = claim_capacity == 0 ? 64 : claim_capacity * 2;
        claim *grown = rhumb__alloc_resize(claims, capacity, sizeof *grown);
        if (grown == NULL) return false;
        claims = grown;
        claim_capacity = capacity;
    }
    const uint32_t index = claim_at(begin);
    memmove(&claims[index + 1], &claims[index], (claim_count - index) * sizeof claims[0]);
    claims[index] = (claim){begin, end};
    claim_count++;
    return true;
}

static void claim_remove(uint64_t begin) {
    const uint32_t index = claim_at(begin);
    RHUMB_ASSERT(index < claim_count && claims[index].begin == begin);
    memmove(&claims[index], &claims[index + 1], (claim_count - index - 1) * sizeof claims[0]);
    claim_count--;
    if (--range_count > 0) return;
    /* Nothing is left behind when the last index is closed. */
    rhumb__free(claims);
    claims = NULL;
    claim_count = 0;
    claim_capacity = 0;
}

/* The place for a range that begins with `bytes` and may grow to bytes_max; 0: there is none. */
static uint64_t find_place(uint64_t bytes, uint64_t bytes_max) {
    claim widest = {0, 0};
    uint64_t begin = ARENA_BEGIN;
    for (uint32_t i = 0; i <= claim_count; i++) {
        const uint64_t end = i == claim_count ? ARENA_END : claims[i].begin;
        if (end > begin && end - begin > widest.end - widest.begin) widest = (claim){begin, end};
        if (i < claim_count) begin = rhumb__round_up(claims[i].end, RHUMB__LARGE_PAGE_BYTES) + GUARD_BYTES;
    }
    const uint64_t gap_bytes = widest.end - widest.begin;
    if (gap_bytes < 2 * GUARD_BYTES || bytes > gap_bytes - 2 * GUARD_BYTES) return 0;
    const uint64_t room_bytes = rhumb__max_u64(rhumb__min_u64(bytes_max, gap_bytes / 2), bytes);
    return rhumb__round_down(widest.end - room_bytes - GUARD_BYTES, RHUMB__LARGE_PAGE_BYTES);
}

/* Takes a place in the arena; false when there is none, or no memory. */
static bool take_place(rhumb__address_range *range, uint64_t bytes, uint64_t bytes_max) {
    bool taken = false;
    rhumb__fork_hold();
    for (int i = 0; i < PLACE_ATTEMPT_COUNT_MAX && arena_is_usable(); i++) {
        const uint64_t begin = find_place(bytes, bytes_max);
        if (begin == 0) break;
        const int error = bytes == 0 ? 0 : map_at(begin, bytes, PROT_NONE);
        if (error != 0 && error != EEXIST) break;
        taken = claim_insert(begin, begin + bytes); /* also of a place where something else has been met */
        if (!taken && error == 0 && bytes > 0) munmap((void *)(uintptr_t)begin, bytes);
        if (!taken) break;
        taken = error == 0;
        if (!taken) continue;
        *range = (rhumb__address_range){(uint8_t *)(uintptr_t)begin, bytes, bytes, true};
        range_count++;
        break;
    }
    if (range_count == 0) {
        rhumb__free(claims);
        claims = NULL;
        claim_count = 0;
        claim_capacity = 0;
    }
    rhumb__fork_release();
    return taken;
}

/* Adds memory at the end of a registered range. Returns 0 or an error number. */
static int extend(rhumb__address_range *range, uint64_t bytes) {
    const uint64_t begin = (uint64_t)(uintptr_t)range->base;
    rhumb__fork_hold();
    const uint32_t index = claim_at(begin);
    RHUMB_ASSERT(index < claim_count && claims[index].begin == begin && claims[index].end == begin + range->bytes);
    const uint64_t limit = index + 1 < claim_count ? claims[index + 1].begin : ARENA_END;
    int error = EEXIST;
    if (begin + GUARD_BYTES <= limit && bytes <= limit - begin - GUARD_BYTES) {
        error = map_at(begin + range->bytes, bytes - range->bytes, PROT_READ | PROT_WRITE);
    }
    if (error == 0) claims[index].end = begin + bytes;
    rhumb__fork_release();
    return error;
}

/* ---- reservations ---- */

/* Reserves `bytes`, on a multiple of 2 MiB if they are at least as many. Returns NULL when there is no room. */
static uint8_t *reserve(uint64_t bytes) {
    const uint64_t alignment = bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 0;
    void *found = mmap(NULL, bytes + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (found == MAP_FAILED) return NULL;
    (void)madvise(found, bytes + alignment, MADV_DONTFORK);
    if (alignment == 0) return found;
    uint8_t *end = (uint8_t *)found + bytes + alignment;
    uint8_t *base = (uint8_t *)found + (rhumb__round_up((uintptr_t)found, alignment) - (uintptr_t)found);
    if (base > (uint8_t *)found) munmap(found, (size_t)(base - (uint8_t *)found));
    if (end > base + bytes) munmap(base + bytes, (size_t)(end - (base + bytes)));
    return base;
}

rhumb_status rhumb__address_range_take(rhumb__address_range *range, uint64_t bytes, uint64_t bytes_max) {
    *range = (rhumb__address_range){0};
    RHUMB_ASSERT_DEBUG(bytes <= bytes_max && rhumb__is_multiple(bytes, RHUMB__BLOCK_BYTES) && bytes_max > 0);
    if (bytes < bytes_max && take_place(range, bytes, bytes_max)) return RHUMB_OK;
    uint64_t reserved_bytes = bytes_max;
    if (bytes < bytes_max) {
        const uint64_t most = rhumb__address_space_is_limited() ? RESERVATION_BYTES_MAX_LIMITED : RESERVATION_BYTES_MAX;
        reserved_bytes = rhumb__min_u64(bytes_max, rhumb__max_u64(most, 2 * bytes));
    }
    for (;;) {
        uint8_t *base = reserve(reserved_bytes);
        if (base != NULL) {
            *range = (rhumb__address_range){base, bytes, reserved_bytes, false};
            return RHUMB_OK;
        }
        const uint64_t least = rhumb__max_u64(bytes, RHUMB__BLOCK_BYTES);
        if (reserved_bytes <= least) return fail_to_map(ENOMEM, least);
        reserved_bytes = rhumb__max_u64(rhumb__round_down(reserved_bytes / 2, RHUMB__BLOCK_BYTES), least);
    }
}

/* Makes `bytes` of the range usable, by either way. Returns 0 or an error number. */
static int make_usable(rhumb__address_range *range, uint64_t bytes) {
    if (range->registered) return extend(range, bytes);
    if (bytes > range->reserved_bytes) return EEXIST;
    return mprotect(range->base + range->bytes, bytes - range->bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : errno;
}

rhumb_status rhumb__address_range_grow(rhumb__address_range *range, uint64_t bytes_needed, uint64_t bytes_wanted) {
    RHUMB_ASSERT_DEBUG(bytes_needed > range->bytes && bytes_needed <= bytes_wanted);
    RHUMB_ASSERT_DEBUG(rhumb__is_multiple(bytes_needed | bytes_wanted, RHUMB__BLOCK_BYTES));
    uint64_t bytes = bytes_wanted;
    int error = make_usable(range, bytes);
    if (error != 0 && bytes_needed < bytes_wanted) {
        bytes = bytes_needed;
        error = make_usable(range, bytes);
    }
    if (error == EEXIST) {
        return rhumb__fail(RHUMB_E_FULL,
                           "%llu bytes of memory cannot grow to %llu at address %p, where something else begins; "
                           "compacting the index or opening it again gives it another place",
                           (unsigned long long)range->bytes, (unsigned long long)bytes, (void *)range->base);
    }
    if (error != 0) return fail_to_map(error, bytes - range->bytes);
    range->bytes = bytes;
    range->reserved_bytes = rhumb__max_u64(range->reserved_bytes, bytes);
    return RHUMB_OK;
}

void rhumb__address_range_drop(rhumb__address_range *range) {
    if (range->registered) {
        rhumb__fork_hold();
        if (range->bytes > 0) munmap(range->base, range->bytes);
        claim_remove((uint64_t)(uintptr_t)range->base);
        rhumb__fork_release();
    } else if (range->base != NULL) {
        munmap(range->base, range->reserved_bytes);
    }
    *range = (rhumb__address_range){0};
}

uint64_t rhumb__process_mapping_count(void) {
    uint64_t count = 0;
    char text[16384];
    const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    for (;;) {
        const ssize_t got = read(fd, text, sizeof text);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        for (ssize_t i = 0; i < got; i++) count += text[i] == '\n';
    }
    close(fd);
    return count;
}
