// Goal: a batch that fills an empty index at once keeps the promises of any other: every vector is found, equal ones
// are one group, the graph is sound, the same graph comes out on any number of threads, and a batch that fails or is
// stopped leaves nothing. Method: batches large enough for it, with known vectors.
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

#include <time.h>

extern "C" {
#include "api/bulk.h"
#include "base/memory_limit.h"
}

namespace index_test {
namespace {

constexpr size_t kCount = 5000; // more than are inserted one by one
constexpr size_t kDim = 16;

class BulkBuild : public ::testing::Test {
  protected:
    ~BulkBuild() override { rhumb__memory_limit_override(0); }

    static rhumb_index_options coded_options(rhumb_metric metric, rhumb_codes codes) {
        rhumb_index_options options = index_options(kDim, metric);
        options.codes = codes;
        return options;
    }

    static rhumb__build_way way_of(const rhumb_index_options &options) {
        rhumb__build_way way = RHUMB__BUILD_ONE_BY_ONE;
        EXPECT_OK(rhumb__index_build_way(&options, kCount, &way));
        return way;
    }

    // An index into which a batch is built in bulk.
    static Index create_coded(const std::string &path, rhumb_metric metric = RHUMB_METRIC_L2,
                              rhumb_codes codes = RHUMB_CODES_8BIT) {
        EXPECT_EQ(way_of(coded_options(metric, codes)), RHUMB__BUILD_AS_BATCH);
        return create(path, coded_options(metric, codes));
    }

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
    std::vector<std::pair<rhumb_metric, rhumb_codes>> kinds = {{RHUMB_METRIC_L2, RHUMB_CODES_8BIT},
                                                               {RHUMB_METRIC_COSINE, RHUMB_CODES_NONE},
                                                               {RHUMB_METRIC_L2SQ, RHUMB_CODES_4BIT},
                                                               {RHUMB_METRIC_COSINE, RHUMB_CODES_8BIT}};
    if (rhumb_test::kSanitized) kinds.resize(2);
    for (const auto &[metric, codes] : kinds) {
        std::vector<uint64_t> first;
        for (uint32_t thread_count : {1u, 2u, 5u}) {
            const std::string path =
                path_ + std::to_string(metric) + "-" + std::to_string(codes) + "-" + std::to_string(thread_count);
            const Index index = create_coded(path, metric, codes);
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
    const Index index = create_coded(path_);
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

// What a batch that is stopped has reported.
struct Stopped {
    uint64_t last_count = 0;
};

TEST_F(BulkBuild, ReportsProgressWhilePlanningAndStopsThere) {
    const Vectors vectors = random_vectors(kCount, kDim, 6);
    const Index index = create_coded(path_);
    Stopped stopped;
    rhumb_batch_options batch = batch_of(2);
    batch.progress_context = &stopped;
    batch.progress = [](void *context, uint64_t done_count, uint64_t total_count) {
        Stopped *s = static_cast<Stopped *>(context);
        EXPECT_EQ(total_count, kCount);
        EXPECT_GE(done_count, s->last_count);
        s->last_count = done_count;
        const timespec pause = {0, 101000000}; // reports are a tenth of a second apart
        nanosleep(&pause, nullptr);
        return done_count == 0;
    };
    size_t inserted_count = 1;
    EXPECT_EQ(
        rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, &batch, &inserted_count),
        RHUMB_E_CANCELLED);
    EXPECT_EQ(inserted_count, 0u);
    EXPECT_GT(stopped.last_count, 0u);
    EXPECT_LT(stopped.last_count, kCount);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    expect_sound(index);
}

// A plan has nothing in the index until its end, and a partial batch promises to keep what is done.
TEST_F(BulkBuild, IsNotForPartialBatchesWhichKeepWhatIsBeforeAWrongRow) {
    Vectors vectors = random_vectors(kCount, kDim, 7);
    const Index index = create_coded(path_);
    vectors.row(4321)[2] = std::nanf("");
    rhumb_batch_options batch = batch_of(1);
    batch.partial = true;
    size_t inserted_count = 0;
    EXPECT_EQ(
        rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, &batch, &inserted_count),
        RHUMB_E_NOT_FINITE);
    EXPECT_EQ(inserted_count, 4321u);
    expect_sound(index);
}

TEST_F(BulkBuild, IsForIndexesOfItsMetricsThatMemorySufficesFor) {
    const Vectors vectors = random_vectors(kCount, kDim, 9);
    const Index index = create_coded(path_);
    rhumb__memory_limit_override(2 << 20);
    EXPECT_NE(way_of(coded_options(RHUMB_METRIC_L2, RHUMB_CODES_8BIT)), RHUMB__BUILD_AS_BATCH);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    expect_sound(index);
    rhumb__memory_limit_override(0);
    EXPECT_EQ(way_of(coded_options(RHUMB_METRIC_IP, RHUMB_CODES_8BIT)), RHUMB__BUILD_ONE_BY_ONE);
}

// Groups whose vectors come in turn: in the file each lies together.
TEST_F(BulkBuild, PutsVectorsThatAreNearEachOtherNextToEachOther) {
    constexpr size_t kGroupCount = 50;
    Vectors vectors = random_vectors(kCount, kDim, 13);
    for (size_t i = 0; i < kCount; i++) vectors.row(i)[i % kGroupCount % kDim] += 100.0f * (1 + i % kGroupCount);
    const Index index = create_coded(path_);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    std::vector<uint64_t> keys(kCount);
    rhumb_point_cursor *cursor = nullptr;
    size_t count = 0;
    ASSERT_OK(rhumb_point_cursor_open(index.get(), 0, &cursor));
    ASSERT_OK(rhumb_point_cursor_next(cursor, kCount, keys.data(), nullptr, nullptr, &count));
    rhumb_point_cursor_close(cursor);
    ASSERT_EQ(count, kCount);
    size_t change_count = 0;
    for (size_t i = 1; i < kCount; i++) change_count += keys[i] % kGroupCount != keys[i - 1] % kGroupCount;
    EXPECT_LE(change_count, kCount / 10) << "in the order of insertion it is " << kCount - 1;
}

TEST_F(BulkBuild, TakesNoKeyTwice) {
    const Vectors vectors = random_vectors(kCount, kDim, 10);
    const Index index = create_coded(path_);
    std::vector<uint64_t> keys(kCount);
    for (size_t i = 0; i < kCount; i++) keys[i] = kCount - i;
    keys[17] = keys[4000];
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), keys.data(), vectors.components.data(), kCount, nullptr, nullptr),
              RHUMB_E_EXISTS);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
}

// Numbers at the ends of f32, and vectors whose codes are all the same although no two are equal.
TEST_F(BulkBuild, MakesSoundGraphsOfHostileVectors) {
    const float largest = std::numeric_limits<float>::max();
    Vectors extreme = random_vectors(kCount, kDim, 11);
    Vectors alike = random_vectors(kCount, kDim, 12);
    for (size_t i = 0; i < kCount; i++) {
        const float factors[] = {1, largest / 8, std::numeric_limits<float>::denorm_min(), 1e-20f, 1e20f};
        for (size_t c = 0; c < kDim; c++) extreme.row(i)[c] *= factors[(i + c * (i % 3)) % 5];
        for (size_t c = 0; c < kDim; c++) alike.row(i)[c] = std::fabs(alike.row(i)[c]);
        alike.row(i)[0] = 1e9f;
        alike.row(i)[1] = 0;
    }
    for (const Vectors *vectors : {&extreme, &alike}) {
        const Index index = create_coded(path_ + std::to_string(vectors == &alike));
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors->components.data(), kCount, nullptr, nullptr));
        expect_sound(index);
        EXPECT_EQ(rhumb_index_count(index.get()), kCount);
    }
}

TEST_F(BulkBuild, LeavesNothingWhenItIsStoppedOrAVectorIsWrong) {
    Vectors vectors = random_vectors(kCount, kDim, 4);
    const Index index = create_coded(path_);
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
