// Goal: recall reaches its floor, with a graph that several threads have built as with one that a single thread has
// built. Method: generated vectors with clusters, answers compared with an exact search; floors with a margin for
// chance. The vectors have fixed seeds, so a single-threaded build gives the same numbers on every run.
#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

struct Case {
    rhumb_metric metric;
    uint32_t ef_search;
    double floor;
};

constexpr size_t kCount = 8000;
constexpr uint32_t kDim = 24;

class Recall : public ::testing::TestWithParam<Case> {
  protected:
    double built_with(uint32_t thread_count) {
        rhumb_index_options options = index_options(kDim, GetParam().metric);
        options.ef_construction = 100;
        const std::string path = directory_.file(std::to_string(thread_count));
        const Index index = create(path, options);
        insert_all(index, clustered_vectors(kCount, kDim, 50, 70, 71), 0, thread_count);
        link_count_ = expect_sound(index).link_count;
        return recall(index, clustered_vectors(600, kDim, 50, 70, 72), 10, GetParam().ef_search);
    }

    ScratchDirectory directory_;
    uint64_t link_count_ = 0;
};

TEST_P(Recall, OneThreadAndTwoReachTheFloorAlike) {
    const double one = built_with(1);
    const uint64_t one_link_count = link_count_;
    const double two = built_with(2);
    printf("recall@10 at ef %u: %.4f with one thread, %.4f with two\n", GetParam().ef_search, one, two);
    EXPECT_GE(one, GetParam().floor);
    EXPECT_GE(two, GetParam().floor);
    EXPECT_NEAR(one, two, 0.005);
    EXPECT_NEAR(static_cast<double>(link_count_), static_cast<double>(one_link_count), 0.02 * one_link_count)
        << "as many links";
}

INSTANTIATE_TEST_SUITE_P(Metrics, Recall,
                         ::testing::Values(Case{RHUMB_METRIC_L2, 24, 0.99}, Case{RHUMB_METRIC_COSINE, 24, 0.99},
                                           Case{RHUMB_METRIC_IP, 24, 0.99}),
                         [](const ::testing::TestParamInfo<Case> &info) {
                             return std::string(rhumb_metric_name(info.param.metric));
                         });

} // namespace
