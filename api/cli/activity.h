/* activity.h - what the kernel tells of processes that use an index: how often they found a page in memory when they
 * touched it for the first time, how often they had to read one, and how much was read from disks for them.
 */
#ifndef RHUMB_CLI_ACTIVITY_H
#define RHUMB_CLI_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

/* Since the process began. All of its files count, and touching a page again does not show. */
struct activity {
    int32_t pid;
    uint64_t hit_count;  /* minor faults: the page was in memory */
    uint64_t read_count; /* major faults: it had to be read */
    uint64_t read_bytes; /* fetched from disks, by faults and by calls; if knows_bytes */
    bool knows_bytes;    /* the kernel tells the owner of the process alone */
};

/* False: there is no such process. */
bool activity_read(int32_t pid, struct activity *out);

#endif /* RHUMB_CLI_ACTIVITY_H */
