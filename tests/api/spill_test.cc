// Goal: where memory cannot hold the lists of a new graph, they are in files without names: memory is bounded, the
// result is as sound as any, nothing of the files is left, and where they cannot be made, or the disk has no room for
// them, either the work is done in memory or it fails and has changed nothing.
// Method: all that makes a graph from another one, with a small limit of memory; the mappings and the anonymous memory
// of the process while it works.
#include <sys/syscall.h>

#include <fstream>

extern "C" {
#include "base/memory_limit.h"
}

#include "tests/support/index_test_support.h"
#include "tests/support/io_test_support.h"
#include "tests/support/memory_use.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::anonymous_bytes;
using rhumb_test::kSanitized;

// What the process maps and takes while something reports its progress.
struct Look {
    std::string folder;
    bool saw_file = false;
    uint64_t most_bytes = 0; // anonymous

    // Whether a file of the folder is mapped that has no name any more.
    bool maps_nameless() const {
        std::ifstream maps("/proc/self/maps");
        std::string line;
        while (std::getline(maps, line)) {
            const bool is_deleted = line.find(" (deleted)") != std::string::npos;
            const bool is_shared = line.find("rw-s") != std::string::npos;
            if (is_deleted && is_shared && line.find(folder) != std::string::npos) return true;
        }
        return false;
    }
    static bool report(void *context, uint64_t, uint64_t) {
        Look *look = static_cast<Look *>(context);
        look->saw_file = look->saw_file || look->maps_nameless();
        look->most_bytes = std::max(look->most_bytes, anonymous_bytes());
        return true;
    }
};

class Spill : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 16;
    static constexpr size_t kCount = kSanitized ? 1500 : 6000;

    Spill() { look_.folder = std::filesystem::canonical(std::filesystem::path(path_).parent_path()).string(); }
    ~Spill() override { rhumb__memory_limit_override(0); }

    // Every fourth is deleted; some vectors are there twice.
    void build(const std::string &path, uint64_t first_key, uint64_t seed) {
        Vectors vectors = random_vectors(kCount, kDim, seed);
        for (size_t i = 50; i < kCount; i += 50) std::copy_n(vectors.row(i - 1), kDim, vectors.row(i));
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        const Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        insert_all(index, vectors, first_key, 2);
        for (size_t i = 0; i < kCount; i += 4) ASSERT_OK(rhumb_index_delete(index.get(), first_key + i));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    // A file was used, and is gone; the index is sound and answers as it should.
    void expect_spilled_and_sound(const std::string &path, size_t count) {
        EXPECT_TRUE(look_.saw_file);
        rhumb__memory_limit_override(0);
        const Index index = open(path, true);
        EXPECT_FALSE(look_.maps_nameless());
        EXPECT_EQ(rhumb_index_count(index.get()), count);
        expect_sound(index);
        EXPECT_GT(recall(index, random_vectors(50, kDim, 99), 10, 100), 0.95);
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    std::string new_path_ = directory_.file("new.rhumb");
    Look look_;
};

// Of which lists of kCount nodes take more than an eighth.
constexpr uint64_t kLittle = kSanitized ? 512 << 10 : 1 << 20;

TEST_F(Spill, ListsOfACompactionIntoANewFile) {
    build(path_, 0, 1);
    rhumb__memory_limit_override(kLittle);
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.progress = Look::report;
    options.progress_context = &look_;
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0));
    expect_spilled_and_sound(new_path_, kCount - kCount / 4);
}

// The new lists are used, and more are added to them, before a version has them.
TEST_F(Spill, ListsOfACompactionInPlace) {
    build(path_, 0, 2);
    rhumb__memory_limit_override(kLittle);
    {
        const Index index = open_with_durability(path_, RHUMB_DURABILITY_INTERVAL);
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.progress = Look::report;
        options.progress_context = &look_;
        ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
        insert_all(index, random_vectors(1000, kDim, 3), 100000, 2);
        expect_sound(index);
    }
    expect_spilled_and_sound(path_, kCount - kCount / 4 + 1000);
}

TEST_F(Spill, ListsOfAMerge) {
    const std::string other = directory_.file("other.rhumb");
    build(path_, 0, 4);
    build(other, kCount, 5);
    rhumb__memory_limit_override(kLittle);
    rhumb_merge_options options;
    rhumb_merge_options_init(&options, sizeof options);
    options.progress = Look::report;
    options.progress_context = &look_;
    const char *paths[] = {path_.c_str(), other.c_str()};
    ASSERT_OK(rhumb_index_merge_into(paths, 2, new_path_.c_str(), &options, nullptr, 0));
    expect_spilled_and_sound(new_path_, 2 * (kCount - kCount / 4));
}

TEST_F(Spill, ListsOfARepair) {
    build(path_, 0, 6);
    rhumb__memory_limit_override(kLittle);
    rhumb_repair_options options;
    rhumb_repair_options_init(&options, sizeof options);
    options.progress = Look::report;
    options.progress_context = &look_;
    ASSERT_OK(rhumb_index_repair(path_.c_str(), new_path_.c_str(), &options, nullptr, 0));
    expect_spilled_and_sound(new_path_, kCount - kCount / 4);
}

TEST_F(Spill, ListsOfAnImport) {
    const std::string file = directory_.file("vectors.hnswlib");
    {
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        const Index index = create(path_, options);
        insert_all(index, random_vectors(kCount, kDim, 7), 0, 2);
        rhumb_export_options export_options;
        rhumb_export_options_init(&export_options, sizeof export_options);
        ASSERT_OK(rhumb_index_export(index.get(), file.c_str(), &export_options));
    }
    rhumb__memory_limit_override(kLittle);
    rhumb_import_options options;
    rhumb_import_options_init(&options, sizeof options);
    options.metric = RHUMB_METRIC_L2;
    options.dim = kDim;
    options.progress = Look::report;
    options.progress_context = &look_;
    ASSERT_OK(rhumb_index_import(file.c_str(), new_path_.c_str(), &options, nullptr, 0));
    expect_spilled_and_sound(new_path_, kCount);
}

TEST_F(Spill, NothingIsSpilledWhereMemorySuffices) {
    build(path_, 0, 8);
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.progress = Look::report;
    options.progress_context = &look_;
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, nullptr, 0));
    EXPECT_FALSE(look_.saw_file);
}

// Lists of 512 bytes each: 20 MB.
TEST_F(Spill, AnonymousMemoryDoesNotGrowWithTheLists) {
    if (kSanitized) GTEST_SKIP() << "sanitizers need memory themselves";
    const uint32_t dim = 4;
    rhumb_index_options options = index_options(dim);
    options.M = 64;
    options.ef_construction = 8;
    {
        const Index index = create(path_, options);
        insert_all(index, random_vectors(40000, dim, 9), 0, 2);
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    rhumb__memory_limit_override(16 << 20);
    rhumb_compact_options compact_options;
    rhumb_compact_options_init(&compact_options, sizeof compact_options);
    compact_options.progress = Look::report;
    compact_options.progress_context = &look_;
    const uint64_t before = anonymous_bytes();
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &compact_options, nullptr, 0));
    EXPECT_TRUE(look_.saw_file);
    EXPECT_LT(look_.most_bytes - std::min(before, look_.most_bytes), 14u << 20);
}

TEST_F(Spill, AFullDiskFailsTheCompactionAndChangesNothing) {
    build(path_, 0, 10);
    const int code = io_test::run_in_child([&] {
        rhumb__memory_limit_override(kLittle);
        if (!io_test::refuse_call(SYS_fallocate, ENOSPC)) _exit(io_test::kChildSkipped);
        CHILD_CHECK(rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), nullptr, nullptr, 0) == RHUMB_E_NOSPACE);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "this system refuses no calls for a process";
    EXPECT_EQ(code, 0);
    EXPECT_FALSE(std::filesystem::exists(new_path_));
    const Index index = open(path_, true);
    expect_sound(index);
}

} // namespace
} // namespace index_test
