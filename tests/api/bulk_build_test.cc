// Goal: a batch that fills an empty index at once keeps the promises of any other: every vector is found, equal ones
// are one group, the graph is sound, the same graph comes out on any number of threads, and a batch that fails or is
// stopped leaves nothing. Method: batches large enough for it, with known vectors.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr size_t kCount = 5000; // more than are inserted one by one
constexpr size_t kDim = 16;

class BulkBuild : public ::testing::Test {
  protected:
    rhumb_batch_options batch_of(uint32_t thread_count) {
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = thread_count;
        return batch;
    }

    std::vector<uint64_t> answers(const Index &index, const Vectors &queries) {
        std::vector<uint64_t> keys(queries.components.size() / kDim * 10);
        for (size_t i = 0; i * kDim < queries.components.size(); i++)
            EXPECT_OK(
                rhumb_index_search(index.get(), queries.row(i), 10, nullptr, keys.data() + i * 10, nullptr, nullptr));
        return keys;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

TEST_F(BulkBuild, GivesTheSameSoundGraphOnAnyNumberOfThreads) {
    const Vectors vectors = random_vectors(kCount, kDim, 1);
    const Vectors queries = random_vectors(100, kDim, 2);
    for (rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_COSINE}) {
        std::vector<uint64_t> first;
        for (uint32_t thread_count : {1u, 2u, 5u}) {
            const std::string path = path_ + std::to_string(metric) + "-" + std::to_string(thread_count);
            const Index index = create(path, index_options(kDim, metric));
            const rhumb_batch_options batch = batch_of(thread_count);
            ASSERT_OK(
                rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, &batch, nullptr));
            expect_sound(index);
            const std::vector<uint64_t> keys = answers(index, queries);
            if (first.empty()) first = keys;
            EXPECT_EQ(keys, first) << thread_count << " threads";
        }
    }
}

TEST_F(BulkBuild, FindsEveryVectorAndEveryCopy) {
    Vectors vectors = random_vectors(kCount, kDim, 3);
    for (size_t i = 0; i < 50; i++) memcpy(vectors.row(kCount - 1 - i), vectors.row(7), kDim * sizeof(float));
    const Index index = create(path_, index_options(kDim));
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    expect_sound(index);
    std::vector<uint64_t> keys(51);
    std::vector<float> distances(51);
    size_t found_count = 0;
    ASSERT_OK(
        rhumb_index_search(index.get(), vectors.row(7), 51, nullptr, keys.data(), distances.data(), &found_count));
    ASSERT_EQ(found_count, 51u);
    EXPECT_EQ(distances[50], 0.0f) << "all copies come first";
    size_t missed_count = 0;
    for (size_t i = 0; i < kCount - 50; i++) {
        ASSERT_OK(rhumb_index_search(index.get(), vectors.row(i), 1, nullptr, keys.data(), distances.data(), nullptr));
        missed_count += distances[0] != 0.0f;
    }
    EXPECT_LE(missed_count, kCount / 200);
}

TEST_F(BulkBuild, LeavesNothingWhenItIsStoppedOrAVectorIsWrong) {
    Vectors vectors = random_vectors(kCount, kDim, 4);
    const Index index = create(path_, index_options(kDim));
    rhumb_batch_options batch = batch_of(2);
    batch.progress = [](void *, uint64_t, uint64_t) { return false; };
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, &batch, nullptr),
              RHUMB_E_CANCELLED);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    const float before = vectors.row(4321)[2];
    vectors.row(4321)[2] = std::nanf("");
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr),
              RHUMB_E_NOT_FINITE);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    vectors.row(4321)[2] = before;
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    EXPECT_EQ(rhumb_index_count(index.get()), kCount);
    expect_sound(index);
}

} // namespace
} // namespace index_test
