// Goal: a search during which another thread inserts still finds its way, one in a damaged graph ends in time, and one
// as broad as the graph finds all of it.
// Method: the steps of the search one by one, with the inserts, or the damage, between them.
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
    // The search has read the slot limit, and now the index grows far beyond it.
    ASSERT_OK(probe_user_begin_search(searcher, vectors.row(0)));
    for (uint32_t i = 1; i < slot_count; i++) ASSERT_OK(probe_user_insert(inserter, i, vectors.row(i)));
    EXPECT_NE(probe_user_descend(searcher), RHUMB__SLOT_NONE) << "the search took a full index for an empty one";
    probe_user_free(searcher);
    probe_user_free(inserter);
    probe_graph_close(graph);
}

// To read lists would only be a longer way to all of them, or, as here, to fewer.
TEST(EngineSearch, MeasuresEveryNodeWhereItsBreadthIsThatOfTheGraph) {
    constexpr uint32_t count = 16;
    const rhumb__params params = params_with_seed(0);
    ScratchDirectory directory;
    rhumb__graph *graph = nullptr;
    ASSERT_EQ(probe_graph_create(directory.file("graph").c_str(), &params, 1, &graph), RHUMB_OK) << last_error();
    probe_user *user = probe_user_new(graph);
    const Vectors vectors = random_vectors(count + 1, 4, 92);
    uint64_t keys[count + 1], found_count = 0;
    ASSERT_OK(probe_user_search(user, vectors.row(0), count, count, keys, &found_count));
    EXPECT_EQ(found_count, 0u) << "in an empty graph";
    for (uint32_t i = 0; i < count; i++) ASSERT_OK(probe_user_insert(user, i, vectors.row(i)));
    for (uint32_t i = 0; i < count; i++) probe_list_clear(graph, i);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT_OK(probe_user_search(user, vectors.row(i), 1, count, keys, &found_count));
        ASSERT_EQ(found_count, 1u);
        ASSERT_EQ(keys[0], i);
    }
    ASSERT_OK(probe_user_search(user, vectors.row(0), count, 1, keys, &found_count));
    EXPECT_EQ(found_count, count) << "k is a breadth too";
    // One node more, and it walks.
    ASSERT_OK(probe_user_insert(user, count, vectors.row(count)));
    for (uint32_t i = 0; i <= count; i++) probe_list_clear(graph, i);
    uint32_t missed_count = 0;
    for (uint32_t i = 0; i <= count; i++) {
        ASSERT_OK(probe_user_search(user, vectors.row(i), 1, count, keys, &found_count));
        if (keys[0] != i) missed_count++;
    }
    EXPECT_GT(missed_count, 0u);
    probe_user_free(user);
    probe_graph_close(graph);
}

// A damaged file can hang one chain on every node. A search that follows it from each would take the square of the
// time.
TEST(EngineSearch, FollowsNoMoreCopiesThanTheGraphHas) {
    constexpr uint32_t head_count = 20, copy_count = 30;
    const rhumb__params params = params_with_seed(0);
    ScratchDirectory directory;
    rhumb__graph *graph = nullptr;
    ASSERT_EQ(probe_graph_create(directory.file("graph").c_str(), &params, 1, &graph), RHUMB_OK) << last_error();
    probe_user *user = probe_user_new(graph);
    const Vectors vectors = random_vectors(head_count, 4, 91);
    for (uint32_t i = 0; i < head_count; i++) ASSERT_OK(probe_user_insert(user, i, vectors.row(i)));
    for (uint32_t i = 0; i < copy_count; i++) ASSERT_OK(probe_user_insert(user, head_count + i, vectors.row(i % 2)));
    uint64_t followed_count = 0;
    EXPECT_EQ(probe_group(graph, 0, &followed_count), copy_count / 2);
    EXPECT_EQ(probe_group(graph, head_count + copy_count - 2, &followed_count), 0u) << "a copy has no copies";
    EXPECT_EQ(probe_group(graph, 1, &followed_count), copy_count / 2);
    EXPECT_EQ(followed_count, copy_count);
    for (uint32_t i = 2; i < head_count; i++) probe_share_chain(graph, i, 0);
    followed_count = 0;
    for (uint32_t i = 0; i < head_count; i++) (void)probe_group(graph, i, &followed_count);
    EXPECT_EQ(followed_count, copy_count);
    probe_user_free(user);
    probe_graph_close(graph);
}

} // namespace
