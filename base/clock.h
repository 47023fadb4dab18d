/* clock.h - time that only goes forward, for durations. */
#ifndef RHUMB_BASE_CLOCK_H
#define RHUMB_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some fixed moment. */
static inline uint64_t rhumb__clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif /* RHUMB_BASE_CLOCK_H */
