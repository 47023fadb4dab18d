// Goal: a compacted copy holds exactly the live vectors, finds them as well as an index that was built from them,
// reaches all of them, is not larger, and appears whole or not at all; in the meantime the old index can be written.
// Method: indexes with and without deletes, in every order, compared with a fresh build; cancelled and killed
// compactions.
#include <csignal>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Compact : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 24;

    static rhumb_compact_options compact_options(rhumb_order order = RHUMB_ORDER_DEFAULT, uint32_t thread_count = 0) {
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.order = order;
        options.thread_count = thread_count;
        return options;
    }
    rhumb_compact_report compact(const rhumb_compact_options &options) {
        rhumb_compact_report report = {};
        EXPECT_OK(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, &report, sizeof report));
        return report;
    }
    static rhumb_index_options build_options(rhumb_metric metric) {
        rhumb_index_options options = index_options(kDim, metric);
        options.M = 8;
        options.ef_construction = 80;
        options.seed = 3;
        return options;
    }
    // `count` vectors of which every third is deleted. With one thread the graph is the same each time, as long as
    // no automatic compaction begins while vectors are being deleted.
    void build(rhumb_metric metric, size_t count, uint32_t thread_count = 0) {
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.compact_dead_share = 1;
        rhumb_index_options index_options = build_options(metric);
        index_options.open = &open_options;
        const Index index = create(path_, index_options);
        rhumb_batch_options options;
        rhumb_batch_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, &options, nullptr));
        for (size_t i = 0; i < count; i += 3) ASSERT_OK(rhumb_index_delete(index.get(), i));
    }
    void expect_live_ones(const Index &index, size_t count) {
        EXPECT_EQ(rhumb_index_count(index.get()), count - (count + 2) / 3);
        EXPECT_EQ(stats(index).slot_count, rhumb_index_count(index.get()));
        for (size_t i = 0; i < count; i++) {
            std::vector<float> stored(kDim);
            const rhumb_status status = rhumb_index_get_vector(index.get(), i, stored.data());
            ASSERT_EQ(status, i % 3 == 0 ? RHUMB_E_NOTFOUND : RHUMB_OK) << i;
            if (status == RHUMB_OK) {
                ASSERT_EQ(memcmp(stored.data(), vectors_.row(i), kDim * sizeof(float)), 0) << i;
            }
        }
    }
    // Superblocks hold the time of creation and the identity of the file.
    static std::string bytes_behind_superblocks(const std::string &path) {
        std::ifstream file(path, std::ios::binary);
        file.seekg(131072); // two blocks
        return std::string(std::istreambuf_iterator<char>(file), {});
    }
    bool exists(const std::string &path) const { return access(path.c_str(), F_OK) == 0; }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const std::string new_path_ = directory_.file("compacted.rhumb");
    const Vectors vectors_ = clustered_vectors(6000, kDim, 30, 100, 101);
};

class CompactOrders : public Compact, public ::testing::WithParamInterface<rhumb_order> {};

std::string order_name(const ::testing::TestParamInfo<rhumb_order> &info) {
    static const char *const names[] = {"default", "keep", "breadth", "rcm", "window", "bisection"};
    return names[info.param];
}

INSTANTIATE_TEST_SUITE_P(Orders, CompactOrders,
                         ::testing::Values(RHUMB_ORDER_KEEP, RHUMB_ORDER_BREADTH, RHUMB_ORDER_RCM, RHUMB_ORDER_WINDOW,
                                           RHUMB_ORDER_BISECTION),
                         order_name);

TEST_P(CompactOrders, HoldsTheLiveVectorsAndReachesAllOfThem) {
    for (rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_COSINE}) {
        const size_t count = 3000;
        std::filesystem::remove(path_);
        std::filesystem::remove(new_path_);
        build(metric, count);
        const rhumb_compact_report report = compact(compact_options(GetParam()));
        EXPECT_EQ(report.count, 2000u);
        EXPECT_EQ(report.dropped_count, 1000u);
        EXPECT_GT(report.repaired_count, 1000u);
        EXPECT_EQ(report.unreachable_count, 0u);
        const Index index = open(new_path_, false);
        expect_live_ones(index, count);
        EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        EXPECT_NE(memcmp(stats(index).uuid, stats(open(path_, true)).uuid, 16), 0);
        // The index continues to work.
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(count), 500, nullptr, nullptr));
        EXPECT_TRUE(contains(index, count)) << "keys go on above the largest ever inserted";
        ASSERT_OK(rhumb_index_insert(index.get(), 0, vectors_.row(0)));
        expect_sound(index);
    }
}

TEST_P(CompactOrders, WithOneThreadGivesTheSameResultEachTime) {
    build(RHUMB_METRIC_L2, 1500);
    for (const bool second_pass : {false, true}) {
        rhumb_compact_options options = compact_options(GetParam(), 1);
        options.second_pass = second_pass;
        std::string copies[2];
        for (std::string &copy : copies) {
            compact(options);
            copy = bytes_behind_superblocks(new_path_);
            std::filesystem::remove(new_path_);
        }
        EXPECT_GT(copies[0].size(), 1000 * kDim * sizeof(float));
        EXPECT_TRUE(copies[0] == copies[1]) << "second pass " << second_pass;
    }
}

TEST_F(Compact, MatchesAFreshBuildOfTheRestInRecallAndSize) {
    const size_t count = 6000;
    build(RHUMB_METRIC_L2, count, 1);
    compact(compact_options(RHUMB_ORDER_DEFAULT, 1));
    const std::string fresh_path = directory_.file("fresh.rhumb");
    const Index fresh = create(fresh_path, build_options(RHUMB_METRIC_L2));
    rhumb_batch_options one_thread;
    rhumb_batch_options_init(&one_thread, sizeof one_thread);
    one_thread.thread_count = 1;
    std::vector<uint64_t> keys;
    Vectors rest = {kDim, {}};
    for (size_t i = 0; i < count; i++) {
        if (i % 3 == 0) continue;
        keys.push_back(i);
        rest.components.insert(rest.components.end(), vectors_.row(i), vectors_.row(i) + kDim);
    }
    ASSERT_OK(
        rhumb_index_insert_batch(fresh.get(), keys.data(), rest.components.data(), keys.size(), &one_thread, nullptr));
    ASSERT_OK(rhumb_index_checkpoint(fresh.get()));
    const Index compacted = open(new_path_, true);
    const Vectors queries = clustered_vectors(500, kDim, 30, 100, 102);
    printf("recall %.4f, fresh %.4f\n", recall(compacted, queries, 10, 32), recall(fresh, queries, 10, 32));
    // Clusters this far apart are sometimes lost as a whole: over 15 seeds a copy had 0.9956 to 0.9982 and a fresh
    // build 0.9966 to 0.9990. With one seed and one thread it is the same each time, but for how distances are rounded.
    // This seed shows it when nodes of upper levels are linked in the order of their slots: 0.9916.
    EXPECT_GE(recall(compacted, queries, 10, 32), recall(fresh, queries, 10, 32) - 0.005);
    EXPECT_LE(static_cast<double>(std::filesystem::file_size(new_path_)),
              1.05 * static_cast<double>(std::filesystem::file_size(fresh_path)));
}

TEST_F(Compact, ASecondPassFindsNoLess) {
    build(RHUMB_METRIC_L2, 6000, 1);
    compact(compact_options(RHUMB_ORDER_DEFAULT, 1));
    rhumb_compact_options options = compact_options(RHUMB_ORDER_DEFAULT, 1);
    options.second_pass = true;
    const std::string second_path = directory_.file("second.rhumb");
    EXPECT_OK(rhumb_index_compact_into(path_.c_str(), second_path.c_str(), &options, nullptr, 0));
    const Vectors queries = clustered_vectors(500, kDim, 30, 100, 102);
    const Index once = open(new_path_, true), twice = open(second_path, true);
    printf("recall %.4f, %.4f\n", recall(once, queries, 10, 32), recall(twice, queries, 10, 32));
    EXPECT_GE(recall(twice, queries, 10, 32), recall(once, queries, 10, 32));
    EXPECT_EQ(expect_sound(twice).unreachable_count, 0u);
}

TEST_F(Compact, EmptyAndNearlyEmptyIndexesCompactToo) {
    for (size_t count : {0u, 1u, 2u}) {
        std::filesystem::remove(path_);
        std::filesystem::remove(new_path_);
        {
            const Index index = create(path_, build_options(RHUMB_METRIC_L2));
            for (size_t i = 0; i < count + 3; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors_.row(i)));
            for (size_t i = 0; i < 3; i++) ASSERT_OK(rhumb_index_delete(index.get(), i));
        }
        EXPECT_EQ(compact(compact_options()).count, count);
        const Index index = open(new_path_, false);
        EXPECT_EQ(rhumb_index_count(index.get()), count);
        EXPECT_EQ(search(index, vectors_.row(0), 5).found_count, count);
        expect_sound(index);
        ASSERT_OK(rhumb_index_insert(index.get(), 77, vectors_.row(77)));
    }
}

TEST_F(Compact, CopiesTheNewestCheckpointOfALiveIndex) {
    const Index writer = create(path_, build_options(RHUMB_METRIC_L2));
    ASSERT_OK(rhumb_index_insert_batch(writer.get(), nullptr, vectors_.components.data(), 2000, nullptr, nullptr));
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    std::atomic<bool> stop{false};
    std::thread other([&] {
        for (size_t i = 2000; !stop && i < 6000; i++) {
            EXPECT_OK(rhumb_index_insert(writer.get(), i, vectors_.row(i)));
            EXPECT_OK(rhumb_index_delete(writer.get(), i - 2000));
            if (i % 100 == 0) {
                EXPECT_OK(rhumb_index_checkpoint(writer.get()));
            }
        }
    });
    for (int round = 0; round < 3; round++) {
        std::filesystem::remove(new_path_);
        const rhumb_compact_report report = compact(compact_options());
        const Index copy = open(new_path_, true);
        EXPECT_EQ(rhumb_index_count(copy.get()), report.count);
        EXPECT_TRUE(report.count == 2000 || report.count == 2001) << "between an insert and its delete, or not";
        uint64_t first = 0;
        while (first < 6000 && !contains(copy, first)) first++;
        for (uint64_t key = first; key < first + report.count; key++) ASSERT_TRUE(contains(copy, key)) << key;
        EXPECT_EQ(expect_sound(copy).unreachable_count, 0u);
    }
    stop = true;
    other.join();
}

TEST_F(Compact, RefusesToReplaceAFile) {
    build(RHUMB_METRIC_L2, 300);
    const rhumb_compact_options options = compact_options();
    compact(options);
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_EXISTS);
    EXPECT_EQ(rhumb_index_count(open(new_path_, true).get()), 200u);
    std::filesystem::remove(new_path_);
    put_file(new_path_ + "-compacting", "somebody's notes");
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_EXISTS);
    put_file(new_path_ + "-compacting", ""); // what a compaction leaves that was killed
    compact(options);
    EXPECT_FALSE(std::filesystem::exists(new_path_ + "-compacting"));
    std::filesystem::remove(new_path_);
    put_file(new_path_ + "-wal", "the log of another index");
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_EXISTS);
    EXPECT_FALSE(std::filesystem::exists(new_path_));
    std::filesystem::remove(new_path_ + "-wal");
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), path_.c_str(), &options, nullptr, 0), RHUMB_E_EXISTS);
    EXPECT_EQ(rhumb_index_compact_into("/nonexistent", new_path_.c_str(), &options, nullptr, 0), RHUMB_E_NOTFOUND);
    rhumb_compact_options wrong = compact_options(static_cast<rhumb_order>(9));
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), "x", &wrong, nullptr, 0), RHUMB_E_INVALID);
}

TEST_F(Compact, CancelledLeavesNothing) {
    build(RHUMB_METRIC_L2, 6000);
    rhumb_compact_options options = compact_options();
    options.progress = [](void *, uint64_t, uint64_t) { return false; };
    EXPECT_EQ(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_CANCELLED);
    EXPECT_FALSE(exists(new_path_));
    EXPECT_FALSE(exists(new_path_ + "-compacting"));
    compact(compact_options());
}

TEST_F(Compact, AKillLeavesTheOldIndexUnchangedAndNoPartialNewOne) {
    build(RHUMB_METRIC_L2, 3000);
    const uint64_t seed = choose_seed();
    std::mt19937_64 random(seed);
    size_t whole_count = 0;
    for (int round = 0; round < 20; round++) {
        const pid_t child = fork();
        if (child == 0) {
            const rhumb_compact_options options = compact_options();
            const rhumb_status status =
                rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0);
            pause();
            _exit(status == RHUMB_OK ? 0 : 1);
        }
        usleep(static_cast<useconds_t>(random() % 400000));
        kill(child, SIGKILL);
        int state = 0;
        waitpid(child, &state, 0);
        ASSERT_TRUE(WIFSIGNALED(state));
        if (exists(new_path_)) {
            whole_count++;
            const Index index = open(new_path_, true);
            expect_live_ones(index, 3000);
            EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        }
        std::filesystem::remove(new_path_);
        std::filesystem::remove(new_path_ + "-compacting");
        expect_sound(open(path_, true));
    }
    printf("%zu of 20 were whole\n", whole_count);
}

} // namespace
} // namespace index_test
