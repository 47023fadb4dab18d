/* tool_memory.h - the memory of the command line tool: its large pieces, and those of the library in its process, may
 * be files without a name, which the kernel can write out (base/alloc_spill.h).
 */
#ifndef RHUMB_API_TOOL_MEMORY_H
#define RHUMB_API_TOOL_MEMORY_H

#include <stddef.h>

/* From now on large pieces are files in the folder that has `path`, if there can be such files there; NULL: not any
 * more, which cli_finish asks for. */
void rhumb__tool_memory_spill_next_to(const char *path);

/* `count` zeroed objects of `size_bytes`, or NULL. */
void *rhumb__tool_memory_take(size_t count, size_t size_bytes);

/* Releases them. NULL is allowed. */
void rhumb__tool_memory_give(void *memory);

#endif /* RHUMB_API_TOOL_MEMORY_H */
