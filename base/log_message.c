/* log_message.c - see log_message.h.
 *
 * Owns the log callback of the process, with its context and level. Invariant: `wanted` is 0 whenever no callback is
 * installed, so the usual case costs one load and no lock. `wanted` by itself is a hint (relaxed: a thread that reads
 * an old value misses a message or takes the lock in vain); callback, context and level change together under `lock`,
 * which is held shared while the callback runs, so installing another one waits for that.
 */
#include "base/log_message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/lock.h"

static rhumb__rwlock lock = RHUMB__RWLOCK_INITIALIZER(RHUMB__RANK_LOG_MESSAGE);
static rhumb_log_fn told_function; /* guarded by lock, like the next */
static void *told_context;
static _Atomic int wanted; /* the most verbose level that is delivered; 0: none. Written under lock */

void rhumb__log_message_set(rhumb_log_fn function, void *context, rhumb_log_level level_max) {
    rhumb__rwlock_wrlock(&lock);
    told_function = function;
    told_context = context;
    atomic_store_explicit(&wanted, function == NULL ? 0 : (int)level_max, memory_order_relaxed);
    rhumb__rwlock_unlock(&lock);
}

/* A file name may contain any byte; a message is still one line. */
static void make_one_line(char *text) {
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7F) *text = '?';
    }
}

void rhumb__log_message(rhumb_log_level level, const char *path, const char *format, ...) {
    if ((int)level > atomic_load_explicit(&wanted, memory_order_relaxed)) return;
    const int errno_before = errno;
    char text[1024];
    int length = path == NULL ? 0 : snprintf(text, sizeof text, "%.400s: ", path);
    if (length < 0) length = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    make_one_line(text);
    rhumb__rwlock_rdlock(&lock);
    if ((int)level <= atomic_load_explicit(&wanted, memory_order_relaxed)) told_function(told_context, level, text);
    rhumb__rwlock_unlock(&lock);
    errno = errno_before;
}

void rhumb__log_message_forked(void) {
    static const rhumb__rwlock unlocked = RHUMB__RWLOCK_INITIALIZER(RHUMB__RANK_LOG_MESSAGE);
    lock = unlocked;
}
