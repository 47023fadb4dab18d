/* memory_limit.h - how much memory this process may use: the machine's, or less where a control group says so.
 */
#ifndef RHUMB_BASE_MEMORY_LIMIT_H
#define RHUMB_BASE_MEMORY_LIMIT_H

#include <stdint.h>

/* The smallest of the machine's memory and of the limits of the control groups that this process is in, and of the
 * groups around them. Reads files at the first call and when the last reading is some seconds old, otherwise none.
 * Thread-safe. */
uint64_t rhumb__memory_limit_bytes(void);

/* What control groups allow, according to the files below `root`, which is "" outside of tests; UINT64_MAX: there is no
 * limit. Understands version 1 (memory.limit_in_bytes) and 2 (memory.max, memory.high) at their usual places. */
uint64_t rhumb__memory_limit_of_groups(const char *root);

/* Replaces the limit, from the next call on, until it is called with 0. For tests. */
void rhumb__memory_limit_override(uint64_t bytes);

#endif /* RHUMB_BASE_MEMORY_LIMIT_H */
