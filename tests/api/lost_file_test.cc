// Goal: with the guard, a file that is cut in the middle of searches, and one whose pages cannot be read any more, cost
// statuses and never the program, also where vectors are read past the page cache. Method: threads search an index that
// memory holds, or does not; the file is cut at a random place, and in every other round gets its length again, which
// is what a failing disk looks like. RHUMB_ITERS rounds.
#include <fcntl.h>

#include <atomic>
#include <thread>

extern "C" {
#include "base/memory_limit.h"
}

#include "tests/support/index_test_support.h"
#include "tests/support/seed.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 256;
constexpr uint64_t kCount = 3000;
constexpr uint64_t kCutMin = 65536;
constexpr int kThreads = 3;

bool is_lost(rhumb_status status) { return status == RHUMB_E_TRUNCATED || status == RHUMB_E_IO; }

class LostFile : public ::testing::Test {
  protected:
    void SetUp() override {
        ASSERT_OK(rhumb_sigbus_guard_install());
        rhumb_index_options options = index_options(kDim);
        options.codes = RHUMB_CODES_4BIT;
        const Index index = create_with_durability(sound_, options, RHUMB_DURABILITY_NONE);
        insert_all(index, vectors_);
    }
    void TearDown() override {
        rhumb__memory_limit_override(0);
        EXPECT_OK(rhumb_sigbus_guard_remove());
    }

    // A copy of which nothing is in the page cache, if the system can do that.
    void copy() const {
        std::filesystem::copy_file(sound_, path_, std::filesystem::copy_options::overwrite_existing);
        const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
        ASSERT_GE(fd, 0);
        (void)fsync(fd);
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        ::close(fd);
    }

    // Searches until `stopping`. Counts what fails as it should, and reports what does not.
    void search_on(rhumb_index *index, uint64_t seed, const std::atomic<bool> &stopping, std::atomic<int> &lost_count) {
        std::mt19937_64 random(seed);
        while (!stopping) {
            uint64_t keys[10];
            const rhumb_status status =
                rhumb_index_search(index, vectors_.row(random() % kCount), 10, nullptr, keys, nullptr, nullptr);
            if (status == RHUMB_OK) continue;
            EXPECT_TRUE(is_lost(status)) << last_error();
            lost_count++;
        }
    }

    void round(std::mt19937_64 &random, uint64_t number) {
        copy();
        rhumb__memory_limit_override(number % 4 < 2 ? uint64_t{1} << 20 : uint64_t{1} << 32);
        const Index reader = open(path_, true);
        std::atomic<bool> stopping{false};
        std::atomic<int> lost_count{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; t++) {
            threads.emplace_back([&, seed = random()] { search_on(reader.get(), seed, stopping, lost_count); });
        }
        const auto bytes = std::filesystem::file_size(path_);
        usleep(static_cast<useconds_t>(random() % 10000));
        ASSERT_EQ(0, truncate(path_.c_str(), static_cast<off_t>(kCutMin + random() % (bytes / 2))));
        if (number % 2 == 1) {
            ASSERT_EQ(0, truncate(path_.c_str(), static_cast<off_t>(bytes)));
        }
        usleep(static_cast<useconds_t>(random() % 5000));
        stopping = true;
        for (std::thread &thread : threads) thread.join();
        std::vector<uint64_t> keys(10);
        const rhumb_status status =
            rhumb_index_search_exact(reader.get(), vectors_.row(0), 1, 10, nullptr, keys.data(), nullptr, nullptr);
        // Of a file that has its length again, what had been cut is zeros, which are found out only if they are met
        // while they are not there.
        if (number % 2 == 0) {
            EXPECT_TRUE(is_lost(status)) << rhumb_status_name(status);
        }
        EXPECT_TRUE(status == RHUMB_OK || is_lost(status)) << rhumb_status_name(status);
        lost_round_count_ += lost_count > 0 || is_lost(status);
    }

    ScratchDirectory directory_;
    std::string sound_ = directory_.file("sound.rhumb");
    std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = clustered_vectors(kCount, kDim, 50, 1, 2);
    int lost_round_count_ = 0;
};

TEST_F(LostFile, SearchesFailWithStatusesAndTheProgramGoesOn) {
    const char *text = getenv("RHUMB_ITERS");
    const uint64_t round_count = text != nullptr ? strtoull(text, nullptr, 0) : 12;
    std::mt19937_64 random(rhumb_test::choose_seed());
    for (uint64_t i = 0; i < round_count && !HasFatalFailure(); i++) round(random, i);
    printf("%d of %llu rounds lost the file\n", lost_round_count_, static_cast<unsigned long long>(round_count));
    EXPECT_GE(lost_round_count_, static_cast<int>(round_count / 2));
}

} // namespace
} // namespace index_test
