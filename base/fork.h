/* fork.h - what the library does when its program forks.
 *
 * A child inherits memory, descriptors and mappings, but neither the threads that work on an index nor any right to it:
 * an index has one writer, and a reader's pin is its own. So handles of the parent are refused in the child, by a
 * number that every fork raises (the *generation*), and nothing of the parent's outlives it in the child: the child
 * closes the descriptors that are registered here, because an open file description, and every lock on it, lives as
 * long as any process has it open; and what is mapped from a file is not inherited at all (MADV_DONTFORK), because a
 * mapping keeps the description open as well.
 *
 * Works through pthread_atfork. A child that is made without its handlers (vfork, posix_spawn, the system call clone)
 * must only call exec or _exit; all descriptors are closed on exec.
 */
#ifndef RHUMB_BASE_FORK_H
#define RHUMB_BASE_FORK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "include/rhumb_types.h"

/* A descriptor that a child closes. Lies in the structure that owns it. */
typedef struct rhumb__fork_descriptor {
    int *descriptor; /* becomes -1 in a child; NULL: not registered */
    struct rhumb__fork_descriptor *previous;
    struct rhumb__fork_descriptor *next;
} rhumb__fork_descriptor;

/* Forks of which this process is a child, since the library began to watch. Changes only in a child that has one
 * thread, hence relaxed. */
extern _Atomic uint32_t rhumb__fork_count;

static inline uint32_t rhumb__fork_generation(void) {
    return atomic_load_explicit(&rhumb__fork_count, memory_order_relaxed);
}

/* Begins to watch for forks; to be called before the first descriptor is opened. RHUMB_E_NOMEM. */
rhumb_status rhumb__fork_watch(void) RHUMB_NODISCARD;

/* RHUMB_E_FORKED when what was made in `generation` was made by a process that this one is a child of. */
rhumb_status rhumb__fork_refuse(void);
static inline rhumb_status rhumb__fork_check(uint32_t generation) {
    return generation == rhumb__fork_generation() ? RHUMB_OK : rhumb__fork_refuse();
}

/* Between the two no other thread's fork happens: for making a descriptor or a mapping and seeing to it that a child
 * does not have it. Short; no other lock is taken in between. */
void rhumb__fork_hold(void);
void rhumb__fork_release(void);

/* Registers a descriptor, and takes it off the list. Both are called between hold and release. */
void rhumb__fork_descriptor_add(rhumb__fork_descriptor *entry, int *descriptor);
void rhumb__fork_descriptor_remove(rhumb__fork_descriptor *entry);

#endif /* RHUMB_BASE_FORK_H */
