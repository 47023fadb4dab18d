/* parallel.h - running one function on several threads, the calling one among them.
 */
#ifndef RHUMB_BASE_PARALLEL_H
#define RHUMB_BASE_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* A worker; number 0 is the calling thread. Its failure details are passed on to the caller. */
typedef rhumb_status (*rhumb__worker)(void *context, uint32_t worker_index);

/* Runs `worker` on `thread_count` threads (0: one per processor that this process may use) and waits for all. Returns
 * the failure of the lowest-numbered worker that failed. When threads cannot be had, fewer do the work. */
rhumb_status rhumb__parallel_run(uint32_t thread_count, rhumb__worker worker, void *context) RHUMB_NODISCARD;

#endif /* RHUMB_BASE_PARALLEL_H */
