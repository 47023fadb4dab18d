/* export_hnswlib.h - writes an index as a file of hnswlib.
 */
#ifndef RHUMB_ENGINE_EXCHANGE_EXPORT_HNSWLIB_H
#define RHUMB_ENGINE_EXCHANGE_EXPORT_HNSWLIB_H

#include "base/progress.h"
#include "engine/graph/graph.h"

/* Creates the file, which must not exist; on failure there is none. The graph is a reader's. Components become f32,
 * vectors under cosine get length 1, as hnswlib has them. `progress` counts vectors; its total is set here.
 * RHUMB_E_UNSUPPORTED: hnswlib does not have the metric or the element type, or the index has deleted vectors, through
 * which there would be no way. RHUMB_E_EXISTS, RHUMB_E_CORRUPT, RHUMB_E_CANCELLED, RHUMB_E_NOMEM, and the failures of
 * creating and writing a file. */
rhumb_status rhumb__export_hnswlib(rhumb__graph *graph, const char *path, rhumb__progress *progress) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_EXCHANGE_EXPORT_HNSWLIB_H */
