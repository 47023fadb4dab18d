// chosen_codes.h - which codes the indexes of a test have, where the test itself does not say: those that the
// environment variable RHUMB_TEST_CODES names (8 or 4), as far as the metric has any. So that a suite can be run on
// codes as it is. RHUMB_TEST_FUSED likewise chooses fused rows of 1 or 2 bits, which compactions make.
#ifndef RHUMB_TESTS_SUPPORT_CHOSEN_CODES_H
#define RHUMB_TESTS_SUPPORT_CHOSEN_CODES_H

#include <cstdlib>

#include "include/rhumb.h"

inline bool has_codes(rhumb_metric metric, rhumb_element element) {
    const bool is_metric = metric == RHUMB_METRIC_L2 || metric == RHUMB_METRIC_L2SQ || metric == RHUMB_METRIC_IP ||
                           metric == RHUMB_METRIC_COSINE;
    return is_metric && (element == RHUMB_ELEMENT_F32 || element == RHUMB_ELEMENT_F64 || element == RHUMB_ELEMENT_F16 ||
                         element == RHUMB_ELEMENT_BF16);
}

inline rhumb_index_options with_chosen_codes(rhumb_index_options options) {
    const char *bits = std::getenv("RHUMB_TEST_CODES");
    if (bits != nullptr && options.codes == RHUMB_CODES_DEFAULT && has_codes(options.metric, options.element)) {
        options.codes = static_cast<rhumb_codes>(std::atoi(bits));
    }
    const char *lane_bits = std::getenv("RHUMB_TEST_FUSED");
    const bool coded = options.codes == RHUMB_CODES_4BIT || options.codes == RHUMB_CODES_8BIT;
    if (lane_bits != nullptr && coded && options.fused == RHUMB_FUSED_DEFAULT) {
        options.fused = static_cast<rhumb_fused>(std::atoi(lane_bits));
    }
    return options;
}

#endif // RHUMB_TESTS_SUPPORT_CHOSEN_CODES_H
