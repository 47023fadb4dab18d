/* codes.h - the codes of a graph: for each slot the bytes that stand for its vector while a walk measures estimates
 * (distances/code/coder.h).
 *
 * The section is derived, and all or nothing: a graph is *coded* if every slot has its code. Then each placement writes
 * the code with the vector, before the node record, so that a thread that can read the vector can read the code. An
 * index whose file has lost codes is searched by its vectors, until a compaction or a repair has written new ones.
 *
 * Codes come from a file, so a kernel reads whatever bytes there are; wrong ones make estimates wrong. They only decide
 * which vectors are measured.
 */
#ifndef RHUMB_ENGINE_GRAPH_CODES_H
#define RHUMB_ENGINE_GRAPH_CODES_H

#include "engine/graph/graph.h"

/* Bits of a digit in the codes of a new index that does not choose: 8, or 0 where codes do not pay. */
uint32_t rhumb__codes_default_bits(const rhumb__space *space);

/* Which derived sections an index is to have; zeros: those that it has. */
struct rhumb__derived_choice {
    rhumb_codes codes;
    rhumb_fused fused;
};

/* Changes parameters accordingly. Rows go with the codes that they need, unless they are asked for. */
static inline void rhumb__derived_change(const rhumb__derived_choice *choice, rhumb__params *params) {
    if (choice->codes != RHUMB_CODES_DEFAULT) {
        params->code_bits = choice->codes == RHUMB_CODES_NONE ? 0 : (uint32_t)choice->codes;
    }
    if (choice->fused != RHUMB_FUSED_DEFAULT) {
        params->lane_bits = choice->fused == RHUMB_FUSED_NONE ? 0 : (uint32_t)choice->fused;
    } else if (params->code_bits == 0) {
        params->lane_bits = 0;
    }
}

/* Prepares the coder. Needs params and space. For parameters from a file, `path` is its name, and codes that the space
 * cannot have are RHUMB_E_VERSION; for those of a caller it is NULL. What rhumb__coder_init returns. */
rhumb_status rhumb__codes_init(rhumb__graph *graph, const char *path) RHUMB_NODISCARD;

/* Sets whether the graph is coded. Call it once the sections are attached and the counts are known. */
void rhumb__codes_start(rhumb__graph *graph);

/* Writes the code of a prepared row that is being placed at `slot`. */
void rhumb__codes_write(rhumb__graph *graph, uint32_t slot, const void *row);

/* Returns the code of a slot below slot_limit of a coded graph. */
static inline const void *rhumb__graph_code(const rhumb__graph *graph, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(graph->coded);
    rhumb__graph_assert_slot(graph, slot);
    return rhumb__section_row(&graph->sections[RHUMB__SECTION_CODES], slot);
}

#endif /* RHUMB_ENGINE_GRAPH_CODES_H */
