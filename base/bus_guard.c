/* bus_guard.c - see bus_guard.h.
 *
 * Owns the list of ranges and the handler. The handler may run in any thread at any moment, so it takes no lock and
 * allocates nothing: the list only grows at its head, ranges that are removed stay in it to be used again, and each has
 * a number that is odd while it changes, by which the handler knows that what it read of the range belongs together.
 *
 * A reader's pages are replaced by pieces of up to 2 MiB, since a file that was cut short would otherwise fault for
 * every page that is left; a writer's one by one, because the pages around may hold changes of its own.
 *
 * Locking: `lock` guards changes to the list and the installation. How it fails: memory for a range; the handler itself
 * cannot fail: where the page cannot be replaced, the signal goes where it went before.
 */
#define _GNU_SOURCE
#include "base/bus_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/lock.h"
#include "base/status.h"

#define PIECE_BYTES (UINT64_C(2) << 20)

struct rhumb__bus_range {
    struct rhumb__bus_range *next; /* set once, before the range is in the list */
    _Atomic uint64_t change;       /* odd while the fields below change, and then another one */
    _Atomic uint64_t begin;
    _Atomic uint64_t end; /* 0: the range is free */
    _Atomic bool writable;
    _Atomic(rhumb__bus_flag *) flag;
};

static rhumb__mutex lock = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_BUS_GUARD);
static _Atomic(rhumb__bus_range *) first;
static uint32_t free_count;       /* of ranges; guarded by lock */
static bool installed;            /* guarded by lock */
static struct sigaction previous; /* set before the handler is installed */
static _Atomic bool active;       /* the handler acts; otherwise it only passes signals on */
static uint64_t page_bytes;       /* likewise */

/* ---- ranges ---- */

/* With the lock held. Sequentially consistent, so the handler sees an odd number or none of the changes. */
static void range_set(rhumb__bus_range *range, uint64_t begin, uint64_t end, bool writable, rhumb__bus_flag *flag) {
    atomic_fetch_add(&range->change, 1);
    atomic_store(&range->begin, begin);
    atomic_store(&range->end, end);
    atomic_store(&range->writable, writable);
    atomic_store(&range->flag, flag);
    atomic_fetch_add(&range->change, 1);
}

/* A range that is free, or a new one; with the lock held. */
static rhumb__bus_range *range_take(void) {
    rhumb__bus_range *range = free_count > 0 ? atomic_load(&first) : NULL;
    while (range != NULL && atomic_load(&range->end) != 0) range = range->next;
    if (range != NULL) {
        free_count--;
        return range;
    }
    range = rhumb__alloc_zeroed(1, sizeof *range);
    if (range == NULL) return NULL;
    range->next = atomic_load(&first);
    atomic_store(&first, range);
    return range;
}

rhumb_status rhumb__bus_guard_add(const uint8_t *base, uint64_t bytes, bool writable, rhumb__bus_flag *flag,
                                  rhumb__bus_range **range_out) {
    rhumb_status status = RHUMB_OK;
    const uint64_t begin = (uint64_t)(uintptr_t)base;
    RHUMB_ASSERT_DEBUG(bytes > 0);
    rhumb__mutex_lock(&lock);
    if (*range_out == NULL) *range_out = range_take();
    if (*range_out == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for guarding a mapping");
        goto done;
    }
    range_set(*range_out, begin, rhumb__max_u64(begin + bytes, atomic_load(&(*range_out)->end)), writable, flag);
done:
    rhumb__mutex_unlock(&lock);
    return status;
}

void rhumb__bus_guard_remove(rhumb__bus_range *range) {
    if (range == NULL) return;
    rhumb__mutex_lock(&lock);
    range_set(range, 0, 0, false, NULL);
    free_count++;
    rhumb__mutex_unlock(&lock);
}

void rhumb__bus_guard_forked(void) {
    static const rhumb__mutex unlocked = RHUMB__MUTEX_INITIALIZER(RHUMB__RANK_BUS_GUARD);
    lock = unlocked; /* another thread of the parent may have held it */
    free_count = 0;  /* handles of the parent, which are never closed here, point to the ranges */
    for (rhumb__bus_range *range = atomic_load(&first); range != NULL; range = range->next) {
        range_set(range, 0, 0, false, NULL);
        atomic_store(&range->change, 0);
    }
}

/* ---- the handler ---- */

/* Puts zeros in the place of the page at `address`, or of a piece around it. */
static bool replace(uint64_t address, uint64_t begin, uint64_t end, bool writable) {
    const uint64_t unit = writable ? page_bytes : PIECE_BYTES;
    const uint64_t from = rhumb__max_u64(address / unit * unit, begin);
    const uint64_t to = rhumb__min_u64(address / unit * unit + unit, end);
    const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    /* The call of the C library need not be fit for a signal handler. */
#if defined(SYS_mmap)
    return syscall(SYS_mmap, from, to - from, protection, flags, -1, 0L) != -1;
#else
    return mmap((void *)(uintptr_t)from, to - from, protection, flags, -1, 0) != MAP_FAILED;
#endif
}

/* Whether the address is in a guarded range, whose page has been replaced then. */
static bool cover(uint64_t address) {
    for (rhumb__bus_range *range = atomic_load(&first); range != NULL; range = range->next) {
        const uint64_t change = atomic_load(&range->change);
        const uint64_t begin = atomic_load(&range->begin);
        const uint64_t end = atomic_load(&range->end);
        const bool writable = atomic_load(&range->writable);
        rhumb__bus_flag *flag = atomic_load(&range->flag);
        if (address < begin || address >= end) continue;
        /* One that changes is another one than that of this address: no thread reads a range that is being removed. Or
         * it is made longer, and the page is met again. */
        if (change % 2 != 0 || atomic_load(&range->change) != change) return address >= begin && flag != NULL;
        if (!replace(address, begin, end, writable)) return false;
        rhumb__bus_flag_raise(flag);
        return true;
    }
    return false;
}

/* Lets the default action have the signal: a fault is met again, a signal that was sent is sent again. */
static void pass_to_default(int signal_number, bool is_fault) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    sigaction(signal_number, &action, NULL);
    if (!is_fault) raise(signal_number); /* blocked until the handler returns */
}

static void pass_on(int signal_number, siginfo_t *info, void *context, bool is_fault) {
    const bool takes_info = (previous.sa_flags & SA_SIGINFO) != 0;
    if (!takes_info && previous.sa_handler == SIG_IGN && !is_fault) return;
    if (!takes_info && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN)) {
        pass_to_default(signal_number, is_fault); /* a fault cannot be ignored */
        return;
    }
    /* As the kernel would have called it. It may leave by siglongjmp; nothing here is lost then. */
    sigset_t before;
    sigset_t mask = previous.sa_mask;
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    if ((previous.sa_flags & SA_NODEFER) != 0) {
        sigset_t own;
        sigemptyset(&own);
        sigaddset(&own, signal_number);
        pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    }
    if (takes_info)
        previous.sa_sigaction(signal_number, info, context);
    else
        previous.sa_handler(signal_number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void handle(int signal_number, siginfo_t *info, void *context) {
    const int errno_before = errno;
    const bool is_fault = info->si_code > 0; /* from the kernel, about an address; others are sent */
    const bool is_own = is_fault && atomic_load(&active) && cover((uint64_t)(uintptr_t)info->si_addr);
    if (!is_own) pass_on(signal_number, info, context, is_fault);
    errno = errno_before;
}

/* ---- installing ---- */

rhumb_status rhumb__bus_guard_install(void) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&lock);
    atomic_store(&active, true);
    if (!installed) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
        sigemptyset(&action.sa_mask);
        page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
        if (sigaction(SIGBUS, NULL, &previous) != 0 || sigaction(SIGBUS, &action, NULL) != 0) {
            atomic_store(&active, false);
            status = rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "installing a handler for SIGBUS");
        }
        installed = status == RHUMB_OK;
    }
    rhumb__mutex_unlock(&lock);
    return status;
}

rhumb_status rhumb__bus_guard_uninstall(void) {
    rhumb_status status = RHUMB_OK;
    struct sigaction current;
    rhumb__mutex_lock(&lock);
    atomic_store(&active, false);
    if (installed) {
        if (sigaction(SIGBUS, NULL, &current) != 0) {
            status = rhumb__fail_errno(errno, "", RHUMB_OFFSET_NONE, "looking for the handler of SIGBUS");
        } else if ((current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == handle) {
            installed = sigaction(SIGBUS, &previous, NULL) != 0;
        } /* A handler that was installed later may pass signals on to this one, which stays for that. */
    }
    rhumb__mutex_unlock(&lock);
    return status;
}
