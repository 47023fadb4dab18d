/* page_probe.h - how many pages of 4 KiB a search touches in the file. It reads the engine's scratch memory: the set of
 * nodes that a search has measured, and the nodes whose lists it has read.
 */
#ifndef RHUMB_BENCH_PAGE_PROBE_H
#define RHUMB_BENCH_PAGE_PROBE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The mean over the queries (rows of the index's own dimension) of distinct pages of vectors and of level-0 lists.
 * Nodes that fell out of the pool after their list was read are not counted among the lists. Returns a negative number
 * and leaves rhumb_error_last() on failure. */
double page_probe(const char *index_path, const float *queries, size_t query_count, uint32_t k, uint32_t ef);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_BENCH_PAGE_PROBE_H */
