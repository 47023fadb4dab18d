/* parallel.c - see parallel.h.
 *
 * Threads live for one call. Starting one costs some ten microseconds, which is negligible for the batches that run
 * here, and no thread is left that a fork or an unload of the library would have to deal with. Owns nothing, takes no
 * lock.
 */
#define _GNU_SOURCE
#include "base/parallel.h"

#include <sched.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/thread.h"

#define THREAD_COUNT_MAX 1024u
#define ADDRESS_BYTES_PER_THREAD (UINT64_C(96) << 20)

typedef struct worker_thread {
    rhumb__worker worker;
    void *context;
    uint32_t index;
    bool started;
    pthread_t thread;
    rhumb_status status;
    rhumb_error error;
} worker_thread;

static void run(worker_thread *self) {
    self->status = self->worker(self->context, self->index);
    if (self->status != RHUMB_OK) rhumb__error_save(&self->error);
}

static void *thread_main(void *argument) {
    run(argument);
    return NULL;
}

/* As many as there are processors, or fewer: in a limited address space each thread gets a share, for its stack and the
 * heap's reserve for it. */
uint32_t rhumb__parallel_default_count(void) {
    cpu_set_t set;
    struct rlimit space;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    uint64_t count = (uint64_t)CPU_COUNT(&set);
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY &&
        count > space.rlim_cur / ADDRESS_BYTES_PER_THREAD) {
        count = space.rlim_cur / ADDRESS_BYTES_PER_THREAD;
    }
    return count < 1 ? 1 : (uint32_t)count;
}

rhumb_status rhumb__parallel_run(uint32_t thread_count, rhumb__worker worker, void *context) {
    if (thread_count == 0) thread_count = rhumb__parallel_default_count();
    if (thread_count > THREAD_COUNT_MAX) thread_count = THREAD_COUNT_MAX;
    if (thread_count == 1) return worker(context, 0);
    worker_thread *threads = rhumb__alloc_zeroed(thread_count, sizeof *threads);
    if (threads == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for %u threads", thread_count);
    for (uint32_t i = 0; i < thread_count; i++) {
        threads[i].worker = worker;
        threads[i].context = context;
        threads[i].index = i;
        if (i > 0) threads[i].started = rhumb__thread_start(&threads[i].thread, thread_main, &threads[i]) == 0;
    }
    run(&threads[0]);
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < thread_count; i++) {
        if (threads[i].started) pthread_join(threads[i].thread, NULL);
        if (status != RHUMB_OK || threads[i].status == RHUMB_OK) continue;
        status = threads[i].status;
        rhumb__error_restore(&threads[i].error);
    }
    rhumb__free(threads);
    return status;
}
