// Goal: searches for tens of thousands of neighbours return what they should, in a time that does not grow with the
// square of k or ef. Method: one index; exact searches are compared with a sorted list of all distances, walks, radius
// searches and iterators with exact searches; times with those of a smaller k in the same process.
#include <gtest/gtest.h>

#include <time.h>

#include <algorithm>
#include <functional>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

class LargeK : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 8;
    static constexpr size_t kCount = kSanitized ? 6000 : 40000;
    static constexpr size_t kLarge = kCount / 2;

    static void SetUpTestSuite() {
        directory_ = new ScratchDirectory;
        vectors_ = new Vectors(random_vectors(kCount, kDim, 5));
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        options.ef_construction = 16;
        index_ = new Index(create_with_durability(directory_->file("k.rhumb"), options, RHUMB_DURABILITY_NONE));
        insert_all(*index_, *vectors_, 0, 2);
    }
    static void TearDownTestSuite() {
        delete index_;
        delete vectors_;
        delete directory_;
    }

    static double cpu_ns(const std::function<void()> &body) {
        double best = 1e18;
        for (int i = 0; i < 3; i++) {
            timespec begin = {}, end = {};
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
            body();
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
            best = std::min(best, static_cast<double>(end.tv_sec - begin.tv_sec) * 1e9 +
                                      static_cast<double>(end.tv_nsec - begin.tv_nsec));
        }
        return best;
    }

    static size_t common_count(std::vector<uint64_t> a, std::vector<uint64_t> b) {
        std::vector<uint64_t> both;
        std::sort(a.begin(), a.end());
        std::sort(b.begin(), b.end());
        std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
        return both.size();
    }

    static ScratchDirectory *directory_;
    static Vectors *vectors_;
    static Index *index_;
    const Vectors query_ = random_vectors(1, kDim, 6);
};

ScratchDirectory *LargeK::directory_;
Vectors *LargeK::vectors_;
Index *LargeK::index_;

TEST_F(LargeK, AnExactSearchReturnsTheFirstOfAllSorted) {
    std::vector<std::pair<double, uint64_t>> all;
    for (size_t i = 0; i < kCount; i++) {
        all.emplace_back(true_distance(RHUMB_METRIC_L2, kDim, query_.row(0), vectors_->row(i)), i);
    }
    std::sort(all.begin(), all.end());
    const Answer answer = search_exact(*index_, query_.row(0), kLarge);
    ASSERT_EQ(answer.found_count, kLarge);
    EXPECT_TRUE(std::is_sorted(answer.distances.begin(), answer.distances.end()));
    for (size_t i = 0; i < kLarge; i++) ASSERT_NEAR(answer.distances[i], all[i].first, 1e-4) << i;
}

TEST_F(LargeK, EveryKindOfSearchFindsNearlyAllOfThem) {
    const Answer exact = search_exact(*index_, query_.row(0), kLarge);
    const Answer walked = search(*index_, query_.row(0), kLarge);
    EXPECT_TRUE(std::is_sorted(walked.distances.begin(), walked.distances.end()));
    EXPECT_GE(common_count(exact.keys, walked.keys), kLarge * 98 / 100);

    std::vector<uint64_t> keys(kCount);
    std::vector<float> distances(kCount);
    size_t found_count = 0;
    rhumb_search_options options = search_options(kLarge);
    ASSERT_OK(rhumb_index_search_radius(index_->get(), query_.row(0), exact.distances[kLarge - 1], kCount, &options,
                                        keys.data(), distances.data(), &found_count));
    keys.resize(found_count);
    EXPECT_GE(common_count(exact.keys, keys), kLarge * 98 / 100);

    rhumb_iterator *iterator = nullptr;
    ASSERT_OK(rhumb_iterator_open(index_->get(), query_.row(0), &options, &iterator));
    keys.assign(kLarge, 0);
    EXPECT_OK(rhumb_iterator_next(iterator, kLarge, keys.data(), distances.data(), &found_count));
    rhumb_iterator_close(iterator);
    EXPECT_EQ(found_count, kLarge);
    EXPECT_GE(common_count(exact.keys, keys), kLarge * 97 / 100);
}

TEST_F(LargeK, TimeGrowsInProportionAndNotWithTheSquare) {
    if (kSanitized) GTEST_SKIP() << "sanitizers change the proportions";
    const size_t small_k = kLarge / 20;
    const double exact_small_ns = cpu_ns([&] { search_exact(*index_, query_.row(0), small_k); });
    EXPECT_LT(cpu_ns([&] { search_exact(*index_, query_.row(0), kLarge); }), 12 * exact_small_ns);
    const double walk_small_ns = cpu_ns([&] { search(*index_, query_.row(0), small_k); });
    EXPECT_LT(cpu_ns([&] { search(*index_, query_.row(0), kLarge); }), 40 * walk_small_ns);
}

} // namespace
} // namespace index_test
