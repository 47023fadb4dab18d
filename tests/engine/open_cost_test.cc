// Goal: opening costs the same for every size of index, in mappings, in memory and in time, and no handle ever maps the
// file so that the kernel could write to it. Method: a small index and one twenty times its size; /proc/self, before
// and after.
#include <chrono>
#include <sstream>

#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;

// Kilobytes of this process in memory.
int64_t resident_kib() {
    std::ifstream rollup("/proc/self/smaps_rollup");
    std::string line;
    while (std::getline(rollup, line)) {
        std::istringstream words(line);
        std::string name;
        int64_t value = 0;
        if (words >> name >> value && name == "Rss:") return value;
    }
    return -1;
}

// The permissions of all mappings of files whose path ends like this: "r--s" and so on.
std::vector<std::string> mapping_permissions(const std::string &path_end) {
    std::ifstream maps("/proc/self/maps");
    std::vector<std::string> found;
    std::string line;
    while (std::getline(maps, line)) {
        if (line.size() < path_end.size() || line.substr(line.size() - path_end.size()) != path_end) continue;
        std::istringstream words(line);
        std::string range, permissions;
        words >> range >> permissions;
        found.push_back(permissions);
    }
    return found;
}

struct Cost {
    uint64_t mapping_count;
    int64_t resident_kib;
    double milliseconds;
};

class OpenCost : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 64;

    std::string build(size_t count) {
        const std::string path = directory_.file("open_cost_" + std::to_string(count) + ".rhumb");
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 10;
        insert_all(create(path, options), random_vectors(count, kDim, 80), 0, 2);
        return path;
    }

    static Cost measure(const std::string &path, bool read_only) {
        { const Index warm = open(path, read_only); }
        const int64_t before_kib = resident_kib();
        const auto begin = std::chrono::steady_clock::now();
        const Index index = open(path, read_only);
        const auto end = std::chrono::steady_clock::now();
        const int64_t after_kib = resident_kib();
        return {stats(index).mapping_count, after_kib - before_kib,
                std::chrono::duration<double, std::milli>(end - begin).count()};
    }

    ScratchDirectory directory_;
};

TEST_F(OpenCost, DoesNotGrowWithTheIndex) {
    const std::string small = build(2000);
    const std::string large = build(40000);
    ASSERT_GT(std::filesystem::file_size(large), 10 * std::filesystem::file_size(small));
    for (bool read_only : {true, false}) {
        const Cost small_cost = measure(small, read_only);
        const Cost large_cost = measure(large, read_only);
        printf("%s: %llu mappings, %lld KiB, %.2f ms; twenty times as large: %llu mappings, %lld KiB, %.2f ms\n",
               read_only ? "reader" : "writer", static_cast<unsigned long long>(small_cost.mapping_count),
               static_cast<long long>(small_cost.resident_kib), small_cost.milliseconds,
               static_cast<unsigned long long>(large_cost.mapping_count),
               static_cast<long long>(large_cost.resident_kib), large_cost.milliseconds);
        EXPECT_LE(large_cost.mapping_count, 2 * small_cost.mapping_count);
        EXPECT_LT(large_cost.resident_kib, 2048);
        EXPECT_LT(large_cost.resident_kib - small_cost.resident_kib, 1024);
        EXPECT_LT(large_cost.milliseconds, 500) << "generous: the machine may be busy";
    }
}

TEST_F(OpenCost, NoHandleMapsTheFileSharedAndWritable) {
    const std::string path = build(5000);
    const std::string name = std::filesystem::path(path).filename();
    const Vectors more = random_vectors(5000, kDim, 81);
    const Index writer = open(path, false);
    const Index reader = open(path, true);
    size_t shared_count = 0, private_count = 0;
    for (size_t round = 0; round < 6; round++) {
        for (const std::string &permissions : mapping_permissions(name)) {
            // A reader's sections with patches are private too, and read-only all the same.
            EXPECT_TRUE(permissions == "r--s" || permissions == "r--p" || permissions == "rw-p") << permissions;
            (permissions[3] == 's' ? shared_count : private_count)++;
        }
        for (size_t i = 0; i < 800; i++) {
            const size_t number = round * 800 + i;
            ASSERT_OK(rhumb_index_insert(writer.get(), 5000 + number, more.row(number)));
        }
        EXPECT_OK(rhumb_index_checkpoint(writer.get()));
        EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
    }
    EXPECT_GT(shared_count, 0u) << "the reader's";
    EXPECT_GT(private_count, 0u) << "the writer's";
}

// Of an index that is large enough for a thread to unmap what the refresh leaves.
TEST_F(OpenCost, ARefreshReleasesTheVersionThatItLeaves) {
    const size_t count = 60000;
    const std::string path = build(count);
    const std::string name = std::filesystem::path(path).filename();
    const Vectors more = random_vectors(40, kDim, 82);
    const Index writer = open_without_log(path);
    const Index reader = open(path, true);
    size_t mapping_count_max = 0;
    for (size_t i = 0; i < more.count(); i++) {
        for (size_t k = 0; k < 20; k++) search(reader, more.row(k), 10);
        ASSERT_OK(rhumb_index_upsert(writer.get(), i, more.row(i)));
        ASSERT_OK(rhumb_index_checkpoint(writer.get()));
        ASSERT_OK(rhumb_index_refresh(reader.get(), nullptr));
        EXPECT_EQ(stats(writer).pin_count, 1u);
        EXPECT_EQ(stats(writer).pin_epoch_oldest, stats(writer).epoch) << "the old version is not pinned any more";
        mapping_count_max = std::max(mapping_count_max, mapping_permissions(name).size());
    }
    EXPECT_EQ(search_exact(reader, more.row(7), 1).keys[0], 7u);
    const uint64_t each = std::max(stats(reader).mapping_count, stats(writer).mapping_count);
    EXPECT_LE(mapping_count_max, 4 * each) << "of two handles, and of one version that is being unmapped";
}

TEST_F(OpenCost, ClosingReleasesMappingsAndMemory) {
    const std::string path = build(2000);
    const std::string name = std::filesystem::path(path).filename();
    for (int i = 0; i < 3; i++) {
        const Index writer = open(path, false);
        const Index reader = open(path, true);
    }
    EXPECT_TRUE(mapping_permissions(name).empty());
    const auto descriptor_count = [] {
        return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    };
    const auto descriptors_before = descriptor_count();
    const int64_t before_kib = resident_kib();
    for (int i = 0; i < 200; i++) {
        const Index writer = open(path, false);
        const Index reader = open(path, true);
    }
    EXPECT_EQ(descriptor_count(), descriptors_before);
    EXPECT_LT(resident_kib() - before_kib, 8192);
}

} // namespace
