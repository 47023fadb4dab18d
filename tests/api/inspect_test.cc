// Goal: what an index reports is correct and stays within the caller's buffers: statistics, vectors, keys,
// verification, and the error record of the calling thread. Method: indexes whose content is known; structs of other
// sizes, followed by bytes that must not change.
#include <chrono>
#include <thread>

#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Inspect : public ::testing::Test {
  protected:
    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

TEST_F(Inspect, StatisticsDescribeTheIndex) {
    rhumb_index_options options = index_options(6);
    options.M = 4;
    const auto begin_ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    const Index index = create(path_, options);
    rhumb_index_stats empty = stats(index);
    EXPECT_EQ(empty.size, sizeof empty);
    EXPECT_EQ(empty.count, 0u);
    EXPECT_EQ(empty.level_top, 0u);
    EXPECT_EQ(empty.epoch, 1u);
    EXPECT_EQ(empty.format_version, rhumb_format_version());
    EXPECT_EQ(empty.creator_version, rhumb_version());
    EXPECT_GE(empty.created_unix_ns, static_cast<uint64_t>(begin_ns));
    EXPECT_LE(empty.created_unix_ns, static_cast<uint64_t>(begin_ns) + 60000000000u);
    EXPECT_FALSE(empty.read_only);

    insert_all(index, random_vectors(3000, 6, 50));
    EXPECT_OK(rhumb_index_checkpoint(index.get()));
    const rhumb_index_stats full = stats(index);
    EXPECT_EQ(full.count, 3000u);
    EXPECT_EQ(full.slot_count, 3000u);
    EXPECT_EQ(rhumb_index_count(index.get()), 3000u);
    uint64_t node_count = 0;
    uint32_t top = 0;
    for (uint32_t level = 0; level <= RHUMB_LEVEL_MAX; level++) {
        node_count += full.level_counts[level];
        if (full.level_counts[level] > 0) top = level;
    }
    EXPECT_EQ(node_count, 3000u);
    EXPECT_EQ(full.level_top, top);
    EXPECT_GE(top, 3u);
    // A quarter of the nodes have another level above, as M is 4.
    EXPECT_NEAR(static_cast<double>(full.level_counts[0]), 3000 * 0.75, 150);
    EXPECT_EQ(full.epoch, 2u);
    EXPECT_EQ(full.checkpoint_count, empty.checkpoint_count + 1);
    EXPECT_GT(full.checkpoint_bytes, 3000u * 6 * sizeof(float));
    EXPECT_GT(full.mapping_count, 4u);
    EXPECT_EQ(full.file_bytes, std::filesystem::file_size(path_));
    EXPECT_LT(full.file_free_bytes, full.file_bytes);
    EXPECT_EQ(memcmp(full.uuid, empty.uuid, sizeof full.uuid), 0);
    EXPECT_EQ(full.created_unix_ns, empty.created_unix_ns);

    const Index reader = open(path_, true);
    const rhumb_index_stats read = stats(reader);
    EXPECT_EQ(read.count, 3000u);
    EXPECT_EQ(read.epoch, 2u);
    EXPECT_EQ(read.checkpoint_count, 0u) << "of this handle";
    EXPECT_EQ(memcmp(read.level_counts, full.level_counts, sizeof read.level_counts), 0);
    EXPECT_EQ(memcmp(read.uuid, full.uuid, sizeof read.uuid), 0);
    EXPECT_TRUE(read.read_only);

    const Index other = create(directory_.file("other"), options);
    EXPECT_NE(memcmp(stats(other).uuid, full.uuid, sizeof full.uuid), 0);
}

TEST_F(Inspect, StatisticsNameTheBackendAndTheKernelsInUse) {
    const Index index = create(path_, index_options(6));
    const rhumb_index_stats now = stats(index);
    const std::string backend = now.io_backend;
    const std::string simd = now.simd;
    EXPECT_TRUE(backend == "uring" || backend == "plain") << backend;
    EXPECT_TRUE(simd == "scalar" || simd == "avx2" || simd == "avx512") << simd;
    const char *wished_backend = getenv("RHUMB_IO");
    if (wished_backend != nullptr && std::string(wished_backend) == "plain") {
        EXPECT_EQ(backend, "plain");
    }
    const char *wished_simd = getenv("RHUMB_SIMD");
    if (wished_simd != nullptr && std::string(wished_simd) == "scalar") {
        EXPECT_EQ(simd, "scalar");
    }
}

TEST_F(Inspect, StatisticsAndReportsFillOnlyWhatTheCallerHas) {
    const Index index = create(path_, index_options(6));
    insert_all(index, random_vectors(10, 6, 51));
    std::vector<uint8_t> bytes(sizeof(rhumb_index_stats) + 64, 0xEE);
    auto *cut = reinterpret_cast<rhumb_index_stats *>(bytes.data());
    const size_t cut_size = offsetof(rhumb_index_stats, slot_count);
    EXPECT_OK(rhumb_index_stats_get(index.get(), cut, cut_size));
    EXPECT_EQ(cut->size, cut_size);
    EXPECT_EQ(cut->count, 10u);
    for (size_t i = cut_size; i < bytes.size(); i++) ASSERT_EQ(bytes[i], 0xEE) << i;
    EXPECT_OK(rhumb_index_stats_get(index.get(), cut, bytes.size()));
    EXPECT_EQ(cut->slot_count, 10u) << "a later caller gets what there is";
    EXPECT_EQ(rhumb_index_stats_get(index.get(), cut, 3), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_stats_get(index.get(), nullptr, bytes.size()), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_stats_get(nullptr, cut, bytes.size()), RHUMB_E_INVALID);

    std::fill(bytes.begin(), bytes.end(), 0xEE);
    auto *report = reinterpret_cast<rhumb_verify_report *>(bytes.data());
    const size_t report_size = offsetof(rhumb_verify_report, link_count);
    EXPECT_OK(rhumb_index_verify(index.get(), report, report_size));
    EXPECT_EQ(report->node_count, 10u);
    for (size_t i = report_size; i < bytes.size(); i++) ASSERT_EQ(bytes[i], 0xEE) << i;
    EXPECT_EQ(rhumb_index_verify(index.get(), report, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_verify(index.get(), nullptr, sizeof *report), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_verify(nullptr, report, sizeof *report), RHUMB_E_INVALID);
}

TEST_F(Inspect, StatisticsLookUpOnlyWhatTheCallerHas) {
    Index index = create(path_, index_options(6));
    insert_all(index, random_vectors(10, 6, 51));
    index.reset();
    const Index reader = open(path_, true);
    ASSERT_NE(reader, nullptr);
    std::filesystem::create_directory(path_ + "-wal"); // no log can be read here
    rhumb_index_stats stats;
    EXPECT_NE(rhumb_index_stats_get(reader.get(), &stats, sizeof stats), RHUMB_OK);
    EXPECT_OK(rhumb_index_stats_get(reader.get(), &stats, offsetof(rhumb_index_stats, durability)));
    EXPECT_EQ(stats.count, 10u);
}

TEST_F(Inspect, VerifyingAWriterMakesACheckpointFirst) {
    const Index index = create(path_, index_options(6));
    insert_all(index, random_vectors(200, 6, 52));
    const rhumb_verify_report report = expect_sound(index);
    EXPECT_EQ(report.node_count, 200u);
    EXPECT_GT(report.link_count, 400u);
    EXPECT_GT(report.chunk_count, 4u);
    EXPECT_EQ(stats(index).epoch, 2u);
    const Index reader = open(path_, true);
    const rhumb_verify_report read = expect_sound(reader);
    EXPECT_EQ(read.node_count, 200u);
    EXPECT_EQ(read.link_count, report.link_count);
    EXPECT_EQ(read.chunk_count, report.chunk_count);
}

TEST_F(Inspect, ReturnsVectorsBitForBit) {
    const std::vector<float> odd = {-0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::max(),
                                    -std::numeric_limits<float>::min(), 1.0f + std::numeric_limits<float>::epsilon()};
    for (rhumb_metric metric : all_metrics()) {
        const std::string path = path_ + rhumb_metric_name(metric);
        {
            const Index index = create(path, index_options(5, metric));
            EXPECT_OK(rhumb_index_insert(index.get(), 8, odd.data()));
        }
        const Index index = open(path, true);
        std::vector<float> stored(6, 42.0f);
        EXPECT_OK(rhumb_index_get_vector(index.get(), 8, stored.data()));
        EXPECT_EQ(memcmp(stored.data(), odd.data(), 20), 0) << rhumb_metric_name(metric);
        EXPECT_EQ(stored[5], 42.0f) << "dim components and no more";
    }
}

TEST_F(Inspect, KeysThatAreNotThereAreNotFound) {
    const Index index = create(path_, index_options(2));
    std::vector<float> stored = {7, 7};
    EXPECT_EQ(rhumb_index_get_vector(index.get(), 1, stored.data()), RHUMB_E_NOTFOUND);
    EXPECT_EQ(stored, (std::vector<float>{7, 7}));
    EXPECT_FALSE(contains(index, 1));
    EXPECT_OK(rhumb_index_insert(index.get(), 1, std::vector<float>{1, 2}.data()));
    EXPECT_TRUE(contains(index, 1));
    EXPECT_FALSE(contains(index, 0));
    EXPECT_EQ(rhumb_index_get_vector(index.get(), 0, stored.data()), RHUMB_E_NOTFOUND);
    EXPECT_NE(std::string(rhumb_error_last()->message).find("0"), std::string::npos);

    bool found = true;
    EXPECT_EQ(rhumb_index_contains(nullptr, 1, &found), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_contains(index.get(), 1, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_get_vector(nullptr, 1, stored.data()), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_get_vector(index.get(), 1, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_count(nullptr), 0u);
}

TEST_F(Inspect, EveryThreadHasItsOwnErrorRecord) {
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_open(path_.c_str(), nullptr, &index), RHUMB_E_NOTFOUND);
    const rhumb_error before = *rhumb_error_last();
    EXPECT_EQ(before.status, RHUMB_E_NOTFOUND);
    EXPECT_EQ(before.os_errno, ENOENT);
    EXPECT_NE(std::string(before.path).find("index.rhumb"), std::string::npos);
    EXPECT_NE(std::string(before.message), "");
    EXPECT_EQ(std::string(before.message).find('\n'), std::string::npos);
    std::thread([&] {
        EXPECT_EQ(rhumb_error_last()->status, RHUMB_OK) << "nothing has failed here";
        EXPECT_STREQ(rhumb_error_last()->message, "");
        uint64_t key;
        EXPECT_EQ(rhumb_index_search(nullptr, nullptr, 1, nullptr, &key, nullptr, nullptr), RHUMB_E_INVALID);
        EXPECT_EQ(rhumb_error_last()->status, RHUMB_E_INVALID);
    }).join();
    EXPECT_EQ(memcmp(&before, rhumb_error_last(), sizeof before), 0) << "another thread's failure changes nothing";
    EXPECT_EQ(rhumb_index_checkpoint(nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_error_last()->status, RHUMB_E_INVALID);
    EXPECT_STREQ(rhumb_error_last()->path, "") << "nothing is left of the failure before";
    EXPECT_EQ(rhumb_error_last()->os_errno, 0);
    EXPECT_EQ(rhumb_error_last()->file_offset, UINT64_MAX);
}

} // namespace
} // namespace index_test
