// Goal: a search during which another thread inserts still finds its way. Method: the steps of the search one by one,
// with the inserts between them.
#include "tests/engine/engine_probe.h"
#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

rhumb__params params_with_seed(uint64_t seed) {
    rhumb__params params = {};
    params.metric = RHUMB_METRIC_L2;
    params.element = RHUMB_ELEMENT_F32;
    params.dim = 4;
    params.M = 8;
    params.M0 = 16;
    params.ef_construction = 16;
    params.ef_search = 16;
    params.level_max = 16;
    params.level_scale = 1;
    params.seed = seed;
    return params;
}

// The first slot of the highest level among the first `slot_count`.
uint32_t entry_slot(const rhumb__params &params, uint32_t slot_count) {
    uint32_t best = 0;
    for (uint32_t slot = 1; slot < slot_count; slot++) {
        if (rhumb__params_level(&params, slot) > rhumb__params_level(&params, best)) best = slot;
    }
    return best;
}

TEST(EngineSearch, FollowsAnEntryPointThatWasRaisedBeyondItsLimit) {
    constexpr uint32_t slot_count = 4000;
    uint64_t seed = 0;
    while (entry_slot(params_with_seed(seed), slot_count) < slot_count - 500) seed++;
    const rhumb__params params = params_with_seed(seed);
    ScratchDirectory directory;
    rhumb__graph *graph = nullptr;
    ASSERT_EQ(probe_graph_create(directory.file("graph").c_str(), &params, 1, &graph), RHUMB_OK) << last_error();
    probe_user *inserter = probe_user_new(graph);
    probe_user *searcher = probe_user_new(graph);
    const Vectors vectors = random_vectors(slot_count, 4, 90);
    ASSERT_OK(probe_user_insert(inserter, 0, vectors.row(0)));
    // The search has taken over how many slots there may be, and now the index grows far beyond.
    ASSERT_OK(probe_user_begin_search(searcher, vectors.row(0)));
    for (uint32_t i = 1; i < slot_count; i++) ASSERT_OK(probe_user_insert(inserter, i, vectors.row(i)));
    EXPECT_NE(probe_user_descend(searcher), RHUMB__SLOT_NONE) << "a full index seemed empty";
    probe_user_free(searcher);
    probe_user_free(inserter);
    probe_graph_close(graph);
}

} // namespace
