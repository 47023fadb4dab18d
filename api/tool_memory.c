/* tool_memory.c - see tool_memory.h. Owns nothing. Thread-safe. */
#include "api/tool_memory.h"

#include "base/alloc.h"
#include "base/alloc_spill.h"

void rhumb__tool_memory_spill_next_to(const char *path) { (void)rhumb__alloc_spill_next_to(path); }

void *rhumb__tool_memory_take(size_t count, size_t size_bytes) { return rhumb__alloc_zeroed(count, size_bytes); }

void rhumb__tool_memory_give(void *memory) { rhumb__free(memory); }
