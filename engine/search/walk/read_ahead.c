/* read_ahead.c - see read_ahead.h.
 *
 * process_madvise(MADV_WILLNEED) on the process itself begins to read any number of ranges in one call; pages that are
 * in memory already cost a look-up. It needs a descriptor of the process, which is opened once, and again in a child
 * after a fork. Where the kernel lacks the call, or a sandbox forbids it, there is one madvise for each range.
 *
 * Owns that descriptor, for the rest of the process's life. Locks: none. Cannot fail: what was not asked for is read
 * when it is touched.
 */
#define _GNU_SOURCE
#include "engine/search/walk/read_ahead.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/bits.h"

#define PAGE_BYTES 4096u

/* Ranges that one call asks for, at most; also rows that are sorted together, for each may be a range. */
#define RANGES_PER_CALL 128u

/* The process id and its descriptor, in one number so that they change together; 0: not opened yet. */
static _Atomic uint64_t self_descriptor;
static _Atomic bool is_refused; /* process_madvise does not work here */

static int descriptor_of_self(void) {
    const uint32_t process = (uint32_t)getpid();
    /* Relaxed: the number is all there is. */
    uint64_t known = atomic_load_explicit(&self_descriptor, memory_order_relaxed);
    if (known >> 32 == process) return (int)(uint32_t)known;
#if defined(SYS_pidfd_open)
    const int descriptor = (int)syscall(SYS_pidfd_open, process, 0);
    if (descriptor < 0) return -1;
    const uint64_t opened = (uint64_t)process << 32 | (uint32_t)descriptor;
    if (atomic_compare_exchange_strong(&self_descriptor, &known, opened)) return descriptor;
    close(descriptor); /* another thread was faster */
    return (int)(uint32_t)known;
#else
    return -1;
#endif
}

static void ask_one_by_one(const struct iovec *ranges, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) (void)madvise(ranges[i].iov_base, ranges[i].iov_len, MADV_WILLNEED);
}

/* Ranges that the kernel cannot read ahead, as memory that is in no file yet, end a call; the next one goes on after
 * them. */
static void ask(const struct iovec *ranges, uint32_t count) {
    const int descriptor = atomic_load_explicit(&is_refused, memory_order_relaxed) ? -1 : descriptor_of_self();
    uint32_t i = 0;
#if defined(SYS_process_madvise)
    while (descriptor >= 0 && i < count) {
        const long asked =
            syscall(SYS_process_madvise, descriptor, ranges + i, (unsigned long)(count - i), MADV_WILLNEED, 0UL);
        if (asked < 0 && errno != EBADF && errno != ENOMEM) {
            atomic_store_explicit(&is_refused, true, memory_order_relaxed);
            break;
        }
        uint64_t left_bytes = asked < 0 ? 0 : (uint64_t)asked;
        while (i < count && left_bytes >= ranges[i].iov_len) left_bytes -= ranges[i++].iov_len;
        if (i < count) i++;
    }
#endif
    if (i < count) ask_one_by_one(ranges + i, count - i);
}

/* Insertion sort: they are few, and cost less than the call that they are for. */
static void sort_addresses(uintptr_t *addresses, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        const uintptr_t moving = addresses[i];
        uint32_t place = i;
        for (; place > 0 && addresses[place - 1] > moving; place--) addresses[place] = addresses[place - 1];
        addresses[place] = moving;
    }
}

/* Asks for the pages of rows whose addresses ascend: those that touch each other are one range. */
static void ask_for_ascending(const uintptr_t *rows, uint32_t count, uint64_t row_bytes) {
    struct iovec ranges[RANGES_PER_CALL];
    uint32_t range_count = 0;
    uintptr_t last_end = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uintptr_t begin = rhumb__round_down(rows[i], PAGE_BYTES);
        const uintptr_t end = rhumb__round_up(rows[i] + row_bytes, PAGE_BYTES);
        if (range_count > 0 && begin <= last_end) {
            struct iovec *last = &ranges[range_count - 1];
            last->iov_len = end - (uintptr_t)last->iov_base;
        } else {
            ranges[range_count++] = (struct iovec){(void *)begin, end - begin};
        }
        last_end = end;
    }
    ask(ranges, range_count);
}

void rhumb__read_ahead_rows(const void *const *rows, uint32_t count, uint64_t row_bytes) {
    uintptr_t addresses[RANGES_PER_CALL];
    for (uint32_t begin = 0; begin < count; begin += RANGES_PER_CALL) {
        const uint32_t part_count = (uint32_t)rhumb__min_u64(count - begin, RANGES_PER_CALL);
        for (uint32_t i = 0; i < part_count; i++) addresses[i] = (uintptr_t)rows[begin + i];
        sort_addresses(addresses, part_count);
        ask_for_ascending(addresses, part_count, row_bytes);
    }
}

void rhumb__read_ahead_window(const rhumb__section *section, uint64_t row) {
    const uint64_t limit_bytes =
        atomic_load_explicit(&section->row_capacity, memory_order_acquire) * section->row_stride_bytes;
    const uint64_t offset = rhumb__round_down(row * section->row_stride_bytes, RHUMB__READ_AHEAD_WINDOW_BYTES);
    /* The first window of a scan is not there yet, nor is the next. */
    const uint64_t begin = row == 0 ? 0 : offset + RHUMB__READ_AHEAD_WINDOW_BYTES;
    const uint64_t end = rhumb__min_u64(offset + 2 * RHUMB__READ_AHEAD_WINDOW_BYTES, limit_bytes);
    if (begin < end) (void)madvise(section->base + begin, end - begin, MADV_WILLNEED);
}
