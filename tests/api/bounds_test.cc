// Goal: what an index takes of its process and of the disk is bounded by what it holds, whatever the operator does.
// Method: many indexes in a process, little address space, readers that stay, statistics during a long checkpoint, each
// at a small size, against the system's own figures.
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

TEST(Bounds, AThousandIndexesAreOpenForWriting) {
#if defined(__SANITIZE_THREAD__)
    const size_t count = 3; // it leaves a program little of the address space
#else
    const size_t count = kSanitized ? 40 : 1000;
#endif
    ScratchDirectory directory;
    rlimit files = {};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_max < 4 * count) GTEST_SKIP() << "only " << files.rlim_max << " files may be open";
    const Vectors vectors = random_vectors(4, 1536, 5);
    std::vector<Index> indexes;
    for (size_t i = 0; i < count; i++) {
        indexes.push_back(
            create_with_durability(directory.file(std::to_string(i)), index_options(1536), RHUMB_DURABILITY_NONE));
        ASSERT_NE(indexes.back(), nullptr) << "index " << i;
        for (uint64_t key = 0; key < 4; key++)
            ASSERT_OK(rhumb_index_insert(indexes.back().get(), key, vectors.row(key)));
    }
    // The program can go on as before.
    std::unique_ptr<char, decltype(&free)> memory(static_cast<char *>(malloc(100u << 20)), &free);
    EXPECT_NE(memory, nullptr);
    std::thread thread([] {});
    thread.join();
    for (size_t i = 0; i < count; i += 97) {
        std::vector<float> found(1536);
        ASSERT_OK(rhumb_index_get_vector(indexes[i].get(), 3, found.data()));
        EXPECT_EQ(memcmp(found.data(), vectors.row(3), sizeof(float) * 1536), 0);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// The life of an index in a child; returns its first failure.
int live(const std::string &path, const Vectors &vectors) {
    rhumb_index_options options = index_options(vectors.dim);
    rhumb_index *index = nullptr;
    if (rhumb_index_create(path.c_str(), &options, &index) != RHUMB_OK) return 10;
    for (size_t i = 0; i < vectors.count(); i++) {
        if (rhumb_index_insert(index, i, vectors.row(i)) != RHUMB_OK) return 11;
    }
    if (rhumb_index_checkpoint(index) != RHUMB_OK) return 12;
    for (size_t i = 0; i < vectors.count(); i += 3) {
        if (rhumb_index_delete(index, i) != RHUMB_OK) return 13;
    }
    if (rhumb_index_compact(index, nullptr, nullptr, 0) != RHUMB_OK) return 14;
    if (rhumb_index_close(index) != RHUMB_OK) return 15;
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    if (rhumb_index_open(path.c_str(), &open, &index) != RHUMB_OK) return 16;
    if (rhumb_index_insert(index, 1000000, vectors.row(0)) != RHUMB_OK) return 17;
    return rhumb_index_close(index) == RHUMB_OK ? 0 : 18;
}

TEST(Bounds, ALimitedAddressSpaceIsEnough) {
    ScratchDirectory directory;
    const Vectors vectors = random_vectors(4000, 64, 6);
    fflush(nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const rlimit limit = {UINT64_C(1) << 30, UINT64_C(1) << 30};
        if (setrlimit(RLIMIT_AS, &limit) != 0) _exit(1);
        const int result = live(directory.file("index.rhumb"), vectors);
        if (result != 0) fprintf(stderr, "%s\n", last_error().c_str());
        _exit(result);
    }
    int result = 0;
    ASSERT_EQ(waitpid(child, &result, 0), child);
    EXPECT_EQ(result, 0) << "exit code " << WEXITSTATUS(result);
}
#endif

TEST(Bounds, StatisticsDoNotWaitForACheckpoint) {
    ScratchDirectory directory;
    rhumb_open_options open;
    rhumb_open_options_init(&open, sizeof open);
    open.durability = RHUMB_DURABILITY_NONE;
    open.checkpoint_bytes_per_second = 1 << 20;
    rhumb_index_options options = index_options(256);
    options.open = &open;
    const Index index = create(directory.file("index.rhumb"), options);
    const Vectors vectors = random_vectors(1500, 256, 7);
    for (size_t i = 0; i < vectors.count(); i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors.row(i)));
    const uint64_t epoch = stats(index).epoch;
    std::atomic<bool> done{false};
    std::thread checkpoint([&] {
        EXPECT_OK(rhumb_index_checkpoint(index.get()));
        done = true;
    });
    uint64_t during_count = 0;
    double longest = 0;
    for (;;) {
        const auto begin = std::chrono::steady_clock::now();
        const rhumb_index_stats now = stats(index);
        const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
        if (done) break;
        longest = std::max(longest, spent.count());
        during_count++;
        EXPECT_EQ(now.count, vectors.count());
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    checkpoint.join();
    EXPECT_GE(during_count, 20u) << "the checkpoint takes more than a second";
    EXPECT_LT(longest, 0.5);
    EXPECT_EQ(stats(index).epoch, epoch + 1);
    EXPECT_GE(stats(index).file_bytes, 1500u * 1024);
}

// A reader keeps its version through lives of writers, checkpoints and compactions, and no more than that.
TEST(Bounds, AnIdleReaderKeepsOneVersion) {
    ScratchDirectory directory;
    const std::string path = directory.file("index.rhumb");
    const Vectors vectors = random_vectors(4000, 32, 8);
    const auto file_mib = [&] { return static_cast<double>(std::filesystem::file_size(path)) / (1 << 20); };
    {
        const Index index = create_with_durability(path, index_options(32), RHUMB_DURABILITY_NONE);
        for (size_t i = 0; i < 2000; i++) ASSERT_OK(rhumb_index_insert(index.get(), i, vectors.row(i)));
    }
    const double first_mib = file_mib();
    std::mt19937_64 random(choose_seed());
    const auto live_once = [&](bool compact) {
        const Index writer = open_without_log(path);
        for (int i = 0; i < 6; i++) {
            for (int k = 0; k < 40; k++) {
                ASSERT_OK(rhumb_index_upsert(writer.get(), random() % 2000, vectors.row(random() % 4000)));
            }
            ASSERT_OK(rhumb_index_checkpoint(writer.get()));
        }
        if (compact) {
            EXPECT_OK(rhumb_index_compact(writer.get(), nullptr, nullptr, 0));
        }
    };
    Index reader = open(path, true);
    for (int life = 0; life < 8; life++) {
        ASSERT_NO_FATAL_FAILURE(live_once(life % 2 == 0));
        EXPECT_LT(file_mib(), 6 * first_mib) << "life " << life;
    }
    std::vector<float> found(32);
    for (size_t i = 0; i < 2000; i++) {
        ASSERT_OK(rhumb_index_get_vector(reader.get(), i, found.data()));
        ASSERT_EQ(memcmp(found.data(), vectors.row(i), sizeof(float) * 32), 0);
    }
    rhumb_verify_report report = {};
    EXPECT_OK(rhumb_index_verify(reader.get(), &report, sizeof report));
    reader.reset();
    ASSERT_NO_FATAL_FAILURE(live_once(true));
    ASSERT_NO_FATAL_FAILURE(live_once(true));
    EXPECT_LT(file_mib(), 5 * first_mib);
}

} // namespace
} // namespace index_test
