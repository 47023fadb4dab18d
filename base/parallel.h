/* parallel.h - running one function on several threads, including the calling one.
 */
#ifndef RHUMB_BASE_PARALLEL_H
#define RHUMB_BASE_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* A worker. Worker 0 runs on the calling thread. */
typedef rhumb_status (*rhumb__worker)(void *context, uint32_t worker_index);

/* One thread per processor that this process may use. */
uint32_t rhumb__parallel_default_count(void);

/* Runs `worker` on `thread_count` threads (0: one per processor that this process may use) and waits for all of them.
 * Returns the failure of the lowest-numbered worker that failed, with its error record. When a thread cannot be
 * started, fewer threads do the work. */
rhumb_status rhumb__parallel_run(uint32_t thread_count, rhumb__worker worker, void *context) RHUMB_NODISCARD;

#endif /* RHUMB_BASE_PARALLEL_H */
