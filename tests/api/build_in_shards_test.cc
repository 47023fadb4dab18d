// Goal: an index of more vectors than memory holds is built in parts and keeps the promises of one that is built at
// once: every vector is found, equal ones are one group, the graph is sound and the same on any number of threads, and
// a build that fails, is stopped or killed leaves no index and no other file.
// Method: known vectors, and a limit of memory for which they are many; requests for memory refused, a disk that takes
// no more, kills at random moments.
#include "tests/support/index_test_support.h"
#include "tests/support/io_test_support.h"
#include "tests/support/memory_use.h"
#include "tests/support/sanitized.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>

extern "C" {
#include "api/bulk.h"
#include "base/alloc.h"
#include "base/memory_limit.h"
}

namespace index_test {
namespace {

using rhumb_test::kSanitized;

constexpr size_t kDim = 16;
constexpr size_t kCount = kSanitized ? 5000 : 12000;
constexpr uint64_t kLittle = 3 << 20; // for plans of some 1,400 of them

// Vectors as the library reads them.
struct Rows {
    const Vectors &vectors;
    std::vector<uint64_t> keys;
    uint64_t fails_from = UINT64_MAX; // a row that cannot be read

    explicit Rows(const Vectors &v) : vectors(v), keys(v.count()) {
        for (size_t i = 0; i < keys.size(); i++) keys[i] = 7 * i + 3;
    }
    static rhumb_status read(void *context, uint64_t first, uint64_t count, void *rows, uint64_t *row_keys) {
        const Rows *self = static_cast<const Rows *>(context);
        if (first + count > self->fails_from) return RHUMB_E_IO;
        memcpy(rows, self->vectors.row(first), count * kDim * sizeof(float));
        if (row_keys != nullptr) std::copy_n(self->keys.begin() + static_cast<ptrdiff_t>(first), count, row_keys);
        return RHUMB_OK;
    }
};

class BuildInShards : public ::testing::Test {
  protected:
    BuildInShards() {
        rhumb__memory_limit_override(kLittle);
        rhumb_batch_options_init(&batch_, sizeof batch_);
        batch_.thread_count = 2;
    }
    ~BuildInShards() override {
        rhumb__alloc_fail_after(0, false);
        rhumb__memory_limit_override(0);
    }

    static rhumb_index_options options_of(rhumb_metric metric, rhumb_codes codes) {
        rhumb_index_options options = index_options(kDim, metric);
        options.codes = codes;
        return options;
    }

    rhumb_status build(Rows &rows, const rhumb_index_options &options) {
        rhumb__build_way way = RHUMB__BUILD_ONE_BY_ONE;
        EXPECT_OK(rhumb__index_build_way(&options, rows.keys.size(), &way));
        EXPECT_EQ(way, RHUMB__BUILD_FROM_ROWS);
        const rhumb__build_rows source = {Rows::read, &rows, rows.keys.size()};
        return rhumb__index_build(path_.c_str(), &options, &source, &batch_);
    }
    rhumb_status build(Rows &rows) { return build(rows, options_of(RHUMB_METRIC_L2, RHUMB_CODES_8BIT)); }

    void expect_nothing_left() const {
        for (const auto &entry : std::filesystem::directory_iterator(std::filesystem::path(path_).parent_path()))
            ADD_FAILURE() << "left: " << entry.path();
    }
    std::vector<uint64_t> answers(const Index &index, const Vectors &queries) const {
        std::vector<uint64_t> keys(queries.count() * 10);
        for (size_t i = 0; i < queries.count(); i++)
            EXPECT_OK(
                rhumb_index_search(index.get(), queries.row(i), 10, nullptr, keys.data() + i * 10, nullptr, nullptr));
        return keys;
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    rhumb_batch_options batch_;
};

TEST_F(BuildInShards, GivesTheSameSoundGraphOnAnyNumberOfThreads) {
    const Vectors vectors = random_vectors(kCount, kDim, 1);
    const Vectors queries = random_vectors(100, kDim, 2);
    std::vector<std::pair<rhumb_metric, rhumb_codes>> kinds = {{RHUMB_METRIC_L2, RHUMB_CODES_8BIT},
                                                               {RHUMB_METRIC_COSINE, RHUMB_CODES_NONE}};
    if (kSanitized) kinds.resize(1);
    for (const auto &[metric, codes] : kinds) {
        std::vector<uint64_t> first;
        uint64_t first_link_count = 0;
        for (uint32_t thread_count : {1u, 2u, 5u}) {
            SCOPED_TRACE(std::to_string(metric) + ", threads: " + std::to_string(thread_count));
            Rows rows(vectors);
            batch_.thread_count = thread_count;
            ASSERT_OK(build(rows, options_of(metric, codes)));
            const Index index = open(path_, true);
            const uint64_t link_count = expect_sound(index).link_count;
            EXPECT_EQ(rhumb_index_count(index.get()), kCount);
            const std::vector<uint64_t> keys = answers(index, queries);
            if (first.empty()) first = keys;
            if (first_link_count == 0) first_link_count = link_count;
            EXPECT_EQ(keys, first);
            EXPECT_EQ(link_count, first_link_count);
            std::filesystem::remove(path_);
        }
    }
}

// Vectors in clusters: their edges are where a division could lose neighbours.
TEST_F(BuildInShards, FindsAsMuchAsABuildOfTheWhole) {
    Vectors vectors = random_vectors(kCount, kDim, 3);
    const Vectors centres = random_vectors(40, kDim, 4);
    Vectors queries = random_vectors(200, kDim, 5);
    for (size_t i = 0; i < kCount; i++)
        for (size_t c = 0; c < kDim; c++) vectors.row(i)[c] += 2 * centres.row(i % 40)[c];
    for (size_t i = 0; i < 200; i++)
        for (size_t c = 0; c < kDim; c++) queries.row(i)[c] += 2 * centres.row(i % 40)[c];
    Rows rows(vectors);
    ASSERT_OK(build(rows));
    rhumb__memory_limit_override(0);
    const Index whole = create(path_ + "-whole", options_of(RHUMB_METRIC_L2, RHUMB_CODES_8BIT));
    ASSERT_OK(rhumb_index_insert_batch(whole.get(), nullptr, vectors.components.data(), kCount, nullptr, nullptr));
    const Index index = open(path_, true);
    EXPECT_GE(recall(index, queries, 10, 32), recall(whole, queries, 10, 32) - 0.02);
    EXPECT_GE(recall(index, queries, 10, 128), recall(whole, queries, 10, 128) - 0.01);
}

TEST_F(BuildInShards, FindsEveryVectorAndEveryCopyAndKeepsKeys) {
    Vectors vectors = random_vectors(kCount, kDim, 6);
    for (size_t i = 0; i < 50; i++) memcpy(vectors.row(kCount - 1 - i * 7), vectors.row(9), kDim * sizeof(float));
    Rows rows(vectors);
    ASSERT_OK(build(rows));
    const Index index = open(path_, true);
    std::vector<uint64_t> keys(51);
    std::vector<float> distances(51), stored(kDim);
    ASSERT_OK(rhumb_index_search(index.get(), vectors.row(9), 51, nullptr, keys.data(), distances.data(), nullptr));
    EXPECT_EQ(distances[50], 0.0f) << "all copies come first";
    size_t missed_count = 0;
    for (size_t i = 0; i < kCount; i++) {
        ASSERT_OK(rhumb_index_get_vector(index.get(), rows.keys[i], stored.data()));
        ASSERT_EQ(memcmp(stored.data(), vectors.row(i), kDim * sizeof(float)), 0) << "row " << i;
        ASSERT_OK(rhumb_index_search(index.get(), vectors.row(i), 1, nullptr, keys.data(), distances.data(), nullptr));
        missed_count += distances[0] != 0.0f;
    }
    EXPECT_LE(missed_count, kCount / 200);
}

TEST_F(BuildInShards, MakesFusedRows) {
    const Vectors vectors = random_vectors(kCount, kDim, 7);
    Rows rows(vectors);
    rhumb_index_options options = options_of(RHUMB_METRIC_L2, RHUMB_CODES_8BIT);
    options.fused = RHUMB_FUSED_2BIT;
    ASSERT_OK(build(rows, options));
    const Index index = open(path_, true);
    expect_sound(index);
    EXPECT_EQ(stats(index).fused_row_count, kCount);
}

TEST_F(BuildInShards, LeavesNothingWhenItIsStopped) {
    const Vectors vectors = random_vectors(kCount, kDim, 8);
    struct Reports {
        uint64_t last_count, stop_at, total_count;
    };
    for (const double share : {0.0, 0.1, 0.2, 0.5}) {
        SCOPED_TRACE("stopped after " + std::to_string(share));
        Rows rows(vectors);
        Reports reports = {0, static_cast<uint64_t>(share * 1000), 0};
        batch_.progress_context = &reports;
        batch_.progress = [](void *context, uint64_t done_count, uint64_t total_count) {
            Reports *r = static_cast<Reports *>(context);
            EXPECT_GE(done_count, r->last_count);
            EXPECT_LT(done_count, total_count);
            const timespec pause = {0, 101000000}; // reports are a tenth of a second apart
            if (done_count > r->last_count) nanosleep(&pause, nullptr);
            r->last_count = done_count;
            return done_count * 1000 < r->stop_at * total_count;
        };
        EXPECT_EQ(build(rows), RHUMB_E_CANCELLED);
        expect_nothing_left();
    }
}

TEST_F(BuildInShards, LeavesNothingWhenARowOrAKeyIsWrongOrCannotBeRead) {
    Vectors vectors = random_vectors(kCount, kDim, 9);
    Rows rows(vectors);
    rows.fails_from = kCount - 10;
    EXPECT_EQ(build(rows), RHUMB_E_IO);
    expect_nothing_left();
    rows.fails_from = UINT64_MAX;
    rows.keys[4000] = rows.keys[17];
    EXPECT_EQ(build(rows), RHUMB_E_EXISTS);
    expect_nothing_left();
    vectors.row(4321)[2] = std::nanf("");
    EXPECT_EQ(build(rows), RHUMB_E_NOT_FINITE);
    EXPECT_NE(std::string(rhumb_error_last()->message).find("row 4321"), std::string::npos)
        << rhumb_error_last()->message;
    expect_nothing_left();
}

TEST_F(BuildInShards, LeavesAFileThatIsThere) {
    const Vectors vectors = random_vectors(kCount, kDim, 10);
    { const Index index = create(path_, index_options(kDim)); }
    Rows rows(vectors);
    EXPECT_EQ(build(rows), RHUMB_E_EXISTS);
    const Index index = open(path_, true);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
}

// They would be one shard, for which memory does not suffice.
TEST_F(BuildInShards, SaysThatVectorsCannotBeDivided) {
    Vectors vectors = random_vectors(kCount, kDim, 11);
    for (size_t i = 1; i < kCount; i++) memcpy(vectors.row(i), vectors.row(0), kDim * sizeof(float));
    Rows rows(vectors);
    EXPECT_EQ(build(rows), RHUMB_E_FULL);
    expect_nothing_left();
}

TEST_F(BuildInShards, IsNotForWhatMemoryHoldsNorForMetricsWithoutPlans) {
    rhumb__build_way way = RHUMB__BUILD_FROM_ROWS;
    const rhumb_index_options l2 = options_of(RHUMB_METRIC_L2, RHUMB_CODES_8BIT);
    const rhumb_index_options ip = options_of(RHUMB_METRIC_IP, RHUMB_CODES_8BIT);
    ASSERT_OK(rhumb__index_build_way(&l2, 100, &way));
    EXPECT_EQ(way, RHUMB__BUILD_AS_BATCH);
    ASSERT_OK(rhumb__index_build_way(&ip, kCount, &way));
    EXPECT_EQ(way, RHUMB__BUILD_ONE_BY_ONE);
    rhumb__memory_limit_override(64 << 10);
    ASSERT_OK(rhumb__index_build_way(&l2, kCount, &way));
    EXPECT_EQ(way, RHUMB__BUILD_ONE_BY_ONE) << "a part would be too small";
}

// Half of the limit is the plan's; the rest is what every process has.
TEST_F(BuildInShards, TakesTheMemoryOfAPartAndNotOfTheWhole) {
    if (kSanitized) GTEST_SKIP() << "sanitizers need memory themselves";
    const Vectors vectors = random_vectors(4 * kCount, kDim, 12);
    Rows rows(vectors);
    rhumb__memory_limit_override(2 * kLittle);
    uint64_t most_bytes = 0;
    const uint64_t before = rhumb_test::anonymous_bytes();
    batch_.progress_context = &most_bytes;
    batch_.progress = [](void *context, uint64_t, uint64_t) {
        uint64_t *most = static_cast<uint64_t *>(context);
        *most = std::max(*most, rhumb_test::anonymous_bytes());
        return true;
    };
    ASSERT_OK(build(rows));
    // A plan of the whole takes 50 MB.
    EXPECT_LT(most_bytes - std::min(before, most_bytes), 30u << 20);
}

TEST_F(BuildInShards, WithoutMemoryLeavesNothing) {
    const Vectors vectors = random_vectors(kCount, kDim, 13);
    std::mt19937_64 random(choose_seed());
    uint64_t failed_count = 0;
    for (int round = 0; round < 12; round++) {
        const uint64_t n = 1 + random() % (round < 6 ? 60 : 2500);
        SCOPED_TRACE("request " + std::to_string(n));
        Rows rows(vectors);
        batch_.thread_count = 1;
        rhumb__alloc_fail_after(n, true);
        const rhumb__build_rows source = {Rows::read, &rows, rows.keys.size()};
        const rhumb_index_options options = options_of(RHUMB_METRIC_L2, RHUMB_CODES_8BIT);
        const rhumb_status status = rhumb__index_build(path_.c_str(), &options, &source, &batch_);
        rhumb__alloc_fail_after(0, false);
        failed_count += status != RHUMB_OK;
        if (status == RHUMB_OK) {
            expect_sound(open(path_, true));
            std::filesystem::remove(path_);
            continue;
        }
        EXPECT_EQ(status, RHUMB_E_NOMEM) << rhumb_error_last()->message;
        expect_nothing_left();
    }
    EXPECT_GE(failed_count, 1u);
}

// Of a file as long as the vectors alone, less than any of the scratch files has.
TEST_F(BuildInShards, ADiskThatTakesNoMoreFailsItAndNothingIsLeft) {
    const Vectors vectors = random_vectors(kCount, kDim, 14);
    const int code = io_test::run_in_child([&] {
        const rlimit limit = {kCount * kDim * sizeof(float), kCount * kDim * sizeof(float)};
        signal(SIGXFSZ, SIG_IGN);
        CHILD_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        Rows rows(vectors);
        const rhumb_status status = build(rows);
        CHILD_CHECK(status == RHUMB_E_IO || status == RHUMB_E_NOSPACE);
    });
    EXPECT_EQ(code, 0);
    expect_nothing_left();
}

TEST_F(BuildInShards, KilledLeavesNoIndexAndTheNextBuildGoesOn) {
    const Vectors vectors = random_vectors(kCount, kDim, 15);
    std::mt19937_64 random(choose_seed());
    for (int round = 0; round < 4; round++) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            Rows rows(vectors);
            _exit(build(rows) == RHUMB_OK ? 0 : 1);
        }
        const timespec pause = {0, static_cast<long>(random() % 400000000)};
        nanosleep(&pause, nullptr);
        kill(child, SIGKILL);
        int state = 0;
        ASSERT_EQ(waitpid(child, &state, 0), child);
        ASSERT_TRUE(WIFSIGNALED(state) || WEXITSTATUS(state) == 0);
        if (std::filesystem::exists(path_)) {
            const Index index = open(path_, true);
            EXPECT_EQ(rhumb_index_count(index.get()), kCount);
            expect_sound(index);
        }
        std::filesystem::remove(path_);
        std::filesystem::remove(path_ + "-hot"); // of an index that memory cannot hold
    }
    Rows rows(vectors);
    ASSERT_OK(build(rows));
    std::filesystem::remove(path_);
    std::filesystem::remove(path_ + "-hot");
    expect_nothing_left();
}

} // namespace
} // namespace index_test
