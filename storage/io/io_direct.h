/* io_direct.h - reading many small ranges of a file at once, past the page cache: for data of which memory can keep
 * only a small part, so that each range is read from the disk anyway, and pages that are read often stay in memory.
 */
#ifndef RHUMB_STORAGE_IO_IO_DIRECT_H
#define RHUMB_STORAGE_IO_IO_DIRECT_H

#include "storage/io/io.h"

/* Ranges that one call reads. */
#define RHUMB__IO_DIRECT_COUNT_MAX 32u

typedef struct rhumb__io_direct rhumb__io_direct;

/* A descriptor of a handle's file for such reads, which the caller closes; -1 where the backend or the file system has
 * none, or where no ring is to be used. Between rhumb__fork_hold and rhumb__fork_release. */
int rhumb__io_direct_descriptor(rhumb__io *io);

/* Prepares to read ranges of `range_bytes` bytes through such a descriptor, which stays the caller's and is closed
 * later. NULL where no ring can be made, or where there is no memory. */
rhumb__io_direct *rhumb__io_direct_open(int descriptor, uint32_t range_bytes);

/* NULL is fine. */
void rhumb__io_direct_close(rhumb__io_direct *direct);

/* Reads the ranges that begin at `count` offsets, and sets where[i] to the bytes of each, which stay until the
 * next call. Returns false when something could not be read, whatever the reason: the caller reads it in another way,
 * which has the error. One thread at a time. */
bool rhumb__io_direct_read(rhumb__io_direct *direct, const uint64_t *offsets, uint32_t count, const void **where);

#endif /* RHUMB_STORAGE_IO_IO_DIRECT_H */
