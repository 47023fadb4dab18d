/* query.h - the row in scratch->query from which a search or an insert measures distances, and by which kernels.
 *
 * A query is first measured against vectors. A walk that can do with estimates measures it against the codes of the
 * graph instead, and its answers by their vectors (rescore.h) before they leave it.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_QUERY_H
#define RHUMB_ENGINE_SEARCH_WALK_QUERY_H

#include "engine/search/walk/scratch.h"

/* Checks a query or a new vector, as the caller gave it, and prepares its row, from which the metric then measures.
 * RHUMB_E_NOT_FINITE; RHUMB_E_DOMAIN; RHUMB_E_INVALID: a sequence that is too long; RHUMB_E_UNSUPPORTED: the graph was
 * opened without its vectors; RHUMB_E_NOMEM. */
rhumb_status rhumb__query_set_vector(rhumb__scratch *scratch, const void *vector) RHUMB_NODISCARD;

/* Copies a row that has been prepared before, likewise. RHUMB_E_UNSUPPORTED as above; RHUMB_E_NOMEM. */
rhumb_status rhumb__query_set_row(rhumb__scratch *scratch, const void *row) RHUMB_NODISCARD;

/* Measures from the query by the distance that links nodes, until the next query is set. Under ip that is another one
 * than the metric's, see distances/link_kernels.h. */
void rhumb__query_use_link_distance(rhumb__scratch *scratch);

/* Measures vectors, as after the query was set. */
void rhumb__query_use_vectors(rhumb__scratch *scratch);

/* Measures codes, until the next query is set or rhumb__query_use_vectors is called; returns true. Returns false, and
 * changes nothing, where the graph is not coded or codes do not estimate the distance that is measured. */
bool rhumb__query_use_codes(rhumb__scratch *scratch);

/* The same, and lets walks that can read fused rows. */
bool rhumb__query_use_rows(rhumb__scratch *scratch);

#endif /* RHUMB_ENGINE_SEARCH_WALK_QUERY_H */
