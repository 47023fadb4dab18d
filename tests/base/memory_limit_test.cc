// Goal: the limit of control groups is the smallest of those of the process's group and of the groups around it, in
// both versions, and what is missing or strange limits nothing. Method: trees of files below a temporary directory.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

extern "C" {
#include "base/memory_limit.h"
}

#include "tests/support/scratch_files.h"

namespace {

class MemoryLimit : public ::testing::Test {
  protected:
    void groups(const std::string &lines) { put("/proc/self/cgroup", lines); }
    void put(const std::string &path, const std::string &content) {
        const std::filesystem::path file = directory_.path() + path;
        std::filesystem::create_directories(file.parent_path());
        rhumb_test::put_file(file, content);
    }
    uint64_t limit() const { return rhumb__memory_limit_of_groups(directory_.path().c_str()); }

    rhumb_test::ScratchDirectory directory_;
};

TEST_F(MemoryLimit, WithoutGroupsThereIsNone) {
    EXPECT_EQ(limit(), UINT64_MAX);
    groups("");
    EXPECT_EQ(limit(), UINT64_MAX);
    groups("0::/\n");
    EXPECT_EQ(limit(), UINT64_MAX);
    groups("nonsense\n4:memory\n::\n");
    EXPECT_EQ(limit(), UINT64_MAX);
}

TEST_F(MemoryLimit, OfVersion2IsTheSmallestUpToTheRoot) {
    groups("0::/machine/service/worker\n");
    put("/sys/fs/cgroup/machine/service/worker/memory.max", "max\n");
    EXPECT_EQ(limit(), UINT64_MAX);
    put("/sys/fs/cgroup/machine/service/memory.max", "3000000\n");
    EXPECT_EQ(limit(), 3000000u);
    put("/sys/fs/cgroup/machine/service/worker/memory.high", "2000000\n");
    EXPECT_EQ(limit(), 2000000u) << "above it the group is slowed down";
    put("/sys/fs/cgroup/machine/memory.max", "1000000\n");
    EXPECT_EQ(limit(), 1000000u);
    put("/sys/fs/cgroup/elsewhere/memory.max", "1\n");
    EXPECT_EQ(limit(), 1000000u);
}

TEST_F(MemoryLimit, OfVersion1IsThatOfTheMemoryController) {
    groups("9:name=systemd:/a\n5:cpu,cpuacct:/b\n4:hugetlb,memory:/jobs/7\n3:memoryless:/c\n0::/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(limit(), 9223372036854771712u) << "what version 1 calls no limit is far above every machine";
    put("/sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "180000000\n");
    put("/sys/fs/cgroup/memory/b/memory.limit_in_bytes", "1\n");
    put("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "2\n");
    EXPECT_EQ(limit(), 180000000u);
    put("/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "64000000\n");
    EXPECT_EQ(limit(), 64000000u);
}

TEST_F(MemoryLimit, InAContainerThatDoesNotShowTheGroupIsThatOfItsRoot) {
    put("/sys/fs/cgroup/memory.max", "5000\n");
    groups("0::/docker/0123456789abcdef\n");
    EXPECT_EQ(limit(), 5000u);
    groups("0::/../../outside\n");
    put("/sys/fs/outside/memory.max", "1\n");
    EXPECT_EQ(limit(), 5000u);
}

TEST_F(MemoryLimit, NumbersAreReadWithCare) {
    groups("0::/g\n");
    put("/sys/fs/cgroup/g/memory.max", "99999999999999999999999999\n");
    EXPECT_EQ(limit(), UINT64_MAX);
    put("/sys/fs/cgroup/g/memory.max", "-1\n");
    EXPECT_EQ(limit(), UINT64_MAX);
    put("/sys/fs/cgroup/g/memory.max", "");
    EXPECT_EQ(limit(), UINT64_MAX);
    put("/sys/fs/cgroup/g/memory.max", "0\n");
    EXPECT_EQ(limit(), 0u);
    groups("0::/" + std::string(2000, 'x') + "/y\n");
    EXPECT_EQ(limit(), UINT64_MAX);
}

TEST_F(MemoryLimit, OfThisProcessIsPositiveAndCanBeReplaced) {
    const uint64_t bytes = rhumb__memory_limit_bytes();
    EXPECT_GT(bytes, 1u << 20);
    rhumb__memory_limit_override(12345);
    EXPECT_EQ(rhumb__memory_limit_bytes(), 12345u);
    rhumb__memory_limit_override(0);
    EXPECT_GT(rhumb__memory_limit_bytes(), 1u << 20);
}

} // namespace
