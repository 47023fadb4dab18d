/* alloc_spill.h - large requests to the heap, served by files without a name: the kernel writes such memory to the disk
 * and takes it back where there is not enough. For a program whose arrays grow with its input, such as the tool's.
 *
 * Thread-safe. A disk that fails to read back what was taken ends the process (SIGBUS).
 */
#ifndef RHUMB_BASE_ALLOC_SPILL_H
#define RHUMB_BASE_ALLOC_SPILL_H

#include <stdbool.h>
#include <stddef.h>

/* Smaller requests are the heap's. */
#define RHUMB__SPILL_BYTES_MIN ((size_t)1 << 20)

/* From now on large requests of the whole process are files in the folder that has `path`; NULL: of the heap again.
 * What has been requested before stays as it is. Returns whether there are such files there. */
bool rhumb__alloc_spill_next_to(const char *path);

/* Memory that is in a file now, in bytes. */
size_t rhumb__alloc_spilled_bytes(void);

/* ---- for alloc.c ---- */

/* What spilled memory begins at a multiple of. */
#define RHUMB__SPILL_ALIGNMENT_BYTES ((size_t)4096)

/* Zeroed memory; NULL: the request is the heap's. */
void *rhumb__spill_take(size_t bytes);

/* Releases it. False: the memory is the heap's. */
bool rhumb__spill_give(void *memory);

/* The size that was asked for; 0: the memory is the heap's. */
size_t rhumb__spill_size(const void *memory);

#endif /* RHUMB_BASE_ALLOC_SPILL_H */
