/* clock.h - time that only goes forward, for durations; and moments to wait for. */
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

/* The same, up to some milliseconds old, for a fraction of the time. */
static inline uint64_t rhumb__clock_coarse_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The moment that is so far away, as the waiting functions of pthreads take it (CLOCK_REALTIME). */
static inline struct timespec rhumb__clock_after(uint64_t wait_ns) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    const uint64_t until_ns = (uint64_t)until.tv_nsec + wait_ns;
    until.tv_sec += (time_t)(until_ns / 1000000000u);
    until.tv_nsec = (long)(until_ns % 1000000000u);
    return until;
}

#endif /* RHUMB_BASE_CLOCK_H */
