// Goal: readers in other processes are served while a writer inserts and makes checkpoints: every answer comes from one
// checkpoint and is correct, epochs only grow, and the file does not; a writer that is killed leaves whole versions,
// and with a log loses nothing. Method: this program runs itself again as a writer or a reader. One thread inserts the
// keys in order, and a checkpoint follows every kStep of them. For a writer without a log, the epoch alone determines
// the content, also after it was killed.
#include <chrono>
#include <csignal>
#include <thread>

#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kDim = 16;
constexpr uint64_t kStep = 25;
constexpr auto kDuration = std::chrono::milliseconds(4000);

std::vector<float> vector_of(uint64_t key) { return random_vectors(1, kDim, key * 7919 + 1).components; }

// Leaves the process with an explanation unless the condition holds.
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s (last error: %s)\n", __FILE__, __LINE__, #condition, last_error().c_str());     \
            fflush(stderr);                                                                                            \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

rhumb_index *open_or_leave(const std::string &path, bool read_only, rhumb_durability durability) {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = read_only;
    options.durability = durability;
    rhumb_index *index = nullptr;
    REQUIRE(rhumb_index_open(path.c_str(), &options, &index) == RHUMB_OK);
    return index;
}

uint64_t epoch_of(rhumb_index *index) {
    rhumb_index_stats stats = {};
    REQUIRE(rhumb_index_stats_get(index, &stats, sizeof stats) == RHUMB_OK);
    return stats.epoch;
}

// ---- the parts ----

int write_until(const std::string &path, Clock::time_point end) {
    rhumb_index *index = open_or_leave(path, false, RHUMB_DURABILITY_NONE);
    uint64_t key = rhumb_index_count(index);
    while (Clock::now() < end) {
        for (uint64_t i = 0; i < kStep; i++, key++) {
            REQUIRE(rhumb_index_insert(index, key, vector_of(key).data()) == RHUMB_OK);
        }
        REQUIRE(rhumb_index_checkpoint(index) == RHUMB_OK);
        REQUIRE(epoch_of(index) == key / kStep + 1);
    }
    REQUIRE(rhumb_index_close(index) == RHUMB_OK);
    return 0;
}

// With a log, and checkpoints on the way, until it is killed.
int write_logged(const std::string &path) {
    rhumb_index *index = open_or_leave(path, false, RHUMB_DURABILITY_FULL);
    for (uint64_t key = rhumb_index_count(index);; key++) {
        REQUIRE(rhumb_index_insert(index, key, vector_of(key).data()) == RHUMB_OK);
        REQUIRE(rhumb_index_durable_lsn(index) >= key + 1);
        if (key % kStep == kStep - 1) REQUIRE(rhumb_index_checkpoint(index) == RHUMB_OK);
    }
}

// One exact and one approximate search; both must be the answers of the epoch.
void check_version(rhumb_index *index, std::mt19937_64 &random) {
    const uint64_t count = kStep * (epoch_of(index) - 1);
    REQUIRE(rhumb_index_count(index) == count);
    const std::vector<float> query = vector_of(random() % (count + 1));
    const size_t k = count + 10;
    std::vector<uint64_t> keys(k);
    std::vector<float> distances(k);
    size_t found_count = 0;
    REQUIRE(rhumb_index_search_exact(index, query.data(), 1, k, nullptr, keys.data(), distances.data(), &found_count) ==
            RHUMB_OK);
    REQUIRE(found_count == count);
    std::vector<bool> seen(count);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(keys[i] < count && !seen[keys[i]]);
        seen[keys[i]] = true;
        REQUIRE(i == 0 || distances[i - 1] <= distances[i]);
    }
    REQUIRE(rhumb_index_search(index, query.data(), 10, nullptr, keys.data(), distances.data(), &found_count) ==
            RHUMB_OK);
    REQUIRE(found_count > 0 || count == 0);
    for (size_t i = 0; i < found_count; i++) {
        REQUIRE(keys[i] < count);
        const std::vector<float> vector = vector_of(keys[i]);
        const double truth = true_distance(RHUMB_METRIC_L2, kDim, query.data(), vector.data());
        REQUIRE(std::abs(distances[i] - truth) <= tolerance(RHUMB_METRIC_L2, kDim, query.data(), vector.data()));
    }
    if (count == 0) return;
    std::vector<float> stored(kDim);
    const uint64_t key = random() % count;
    REQUIRE(rhumb_index_get_vector(index, key, stored.data()) == RHUMB_OK && stored == vector_of(key));
    bool found = true;
    REQUIRE(rhumb_index_contains(index, count, &found) == RHUMB_OK && !found);
}

int read_until(const std::string &path, Clock::time_point end, uint64_t seed) {
    std::mt19937_64 random(seed);
    uint64_t epoch = 0, round_count = 0;
    while (Clock::now() < end) {
        rhumb_index *index = open_or_leave(path, true, RHUMB_DURABILITY_FULL);
        for (int i = 0; i < 8 && Clock::now() < end; i++) {
            REQUIRE(epoch_of(index) >= epoch);
            epoch = epoch_of(index);
            check_version(index, random);
            if (i % 4 == 3) { // the version stays, however many the writer makes
                std::this_thread::sleep_for(std::chrono::milliseconds(30));
                REQUIRE(epoch_of(index) == epoch);
                check_version(index, random);
            }
            bool changed = false;
            REQUIRE(rhumb_index_refresh(index, &changed) == RHUMB_OK);
            REQUIRE(changed == (epoch_of(index) > epoch));
        }
        if (round_count++ % 4 == 0) {
            rhumb_verify_report report = {};
            REQUIRE(rhumb_index_verify(index, &report, sizeof report) == RHUMB_OK);
            REQUIRE(report.checksum_error_count + report.structure_error_count == 0);
        }
        REQUIRE(rhumb_index_close(index) == RHUMB_OK);
    }
    REQUIRE(epoch > 1);
    return 0;
}

// ---- the test ----

pid_t start(const char *part, const std::string &path, uint64_t seed) {
    fflush(stdout);
    const pid_t child = fork();
    if (child != 0) return child;
    const std::string seed_text = std::to_string(seed);
    const char *arguments[] = {"processes_test", part, path.c_str(), seed_text.c_str(), nullptr};
    execv("/proc/self/exe", const_cast<char **>(arguments));
    _exit(127);
}

int wait_for(pid_t child) {
    int state = 0;
    if (waitpid(child, &state, 0) != child) return -1;
    return WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
}

class Processes : public ::testing::Test {
  protected:
    void SetUp() override {
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        options.ef_construction = 40;
        const Index index = create(path_, options);
        ASSERT_NE(index, nullptr);
    }
    ScratchDirectory directory_;
    std::string path_ = directory_.file("shared.rhumb");
};

TEST_F(Processes, ReadersAreServedWhileAnotherProcessWrites) {
    std::vector<pid_t> children = {start("write", path_, 0)};
    for (uint64_t seed = 1; seed <= 3; seed++) children.push_back(start("read", path_, seed));
    for (pid_t child : children) EXPECT_EQ(wait_for(child), 0);

    const Index writer = open(path_, false);
    ASSERT_NE(writer, nullptr);
    uint64_t key = rhumb_index_count(writer.get());
    EXPECT_GT(key, 2 * kStep);
    EXPECT_EQ(stats(writer).epoch, key / kStep + 1);
    expect_sound(writer);
    printf("%llu vectors, epoch %llu, %llu of %llu bytes free\n", static_cast<unsigned long long>(key),
           static_cast<unsigned long long>(stats(writer).epoch),
           static_cast<unsigned long long>(stats(writer).file_free_bytes),
           static_cast<unsigned long long>(stats(writer).file_bytes));
    // Had every version kept its blocks, the file would be as long as all checkpoints together.
    const auto checkpoint_one = [&] {
        EXPECT_OK(rhumb_index_insert(writer.get(), key, vector_of(key).data()));
        key++;
        EXPECT_OK(rhumb_index_checkpoint(writer.get()));
    };
    for (int i = 0; i < 5; i++) checkpoint_one();
    const rhumb_index_stats settled = stats(writer);
    const uint64_t used_bytes = settled.file_bytes - settled.file_free_bytes;
    EXPECT_LE(settled.file_bytes, used_bytes * settled.epoch / 8 + (8u << 20));
    for (int i = 0; i < 40; i++) checkpoint_one();
    EXPECT_LE(stats(writer).file_bytes, settled.file_bytes + used_bytes) << "blocks of old versions are used again";
    expect_sound(writer);
}

// Waits until the condition holds, for ten seconds at most.
bool comes_true(const std::function<bool()> &condition) {
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (Clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

TEST_F(Processes, AWriterThatIsKilledLeavesAWholeVersionToItsReadersAndToTheNextWriter) {
    for (int round = 0; round < 3; round++) {
        const pid_t writer = start("write", path_, 0);
        const Index reader = open(path_, true);
        const uint64_t epoch = stats(reader).epoch;
        EXPECT_TRUE(comes_true([&] {
            EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
            return stats(reader).epoch >= epoch + 3;
        }));
        EXPECT_EQ(try_open(path_, false), RHUMB_E_LOCKED);
        EXPECT_EQ(kill(writer, SIGKILL), 0);
        EXPECT_EQ(wait_for(writer), 128 + SIGKILL);
        // The lock dies with its holder; the kernel may take a moment to clear away a ring with a sync under way.
        EXPECT_TRUE(comes_true([&] { return try_open(path_, false) == RHUMB_OK; }));
        EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
        std::mt19937_64 random(static_cast<uint64_t>(round));
        check_version(reader.get(), random);
        expect_sound(reader);
    }
}

// Readers show the checkpoint that the writer left, and tell how much more the log has; the next writer has all of it.
TEST_F(Processes, AWriterWithALogThatIsKilledLosesNothing) {
    uint64_t pending_sum = 0;
    for (int round = 0; round < 6; round++) {
        const Index reader = open(path_, true);
        const uint64_t count_before = rhumb_index_count(reader.get());
        const pid_t writer = start("log", path_, 0);
        EXPECT_TRUE(comes_true([&] {
            EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
            return rhumb_index_count(reader.get()) >= count_before + 2 * kStep;
        }));
        // Into the middle of a step, on most rounds.
        comes_true([&] {
            EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
            return stats(reader).log_pending_count >= static_cast<uint64_t>(round);
        });
        EXPECT_EQ(kill(writer, SIGKILL), 0);
        EXPECT_EQ(wait_for(writer), 128 + SIGKILL);
        EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
        const uint64_t published = rhumb_index_count(reader.get());
        EXPECT_EQ(published, rhumb_index_lsn(reader.get())) << "each insert is one operation";
        const uint64_t pending = stats(reader).log_pending_count;
        pending_sum += pending;
        expect_sound(reader);
        EXPECT_EQ(rhumb_index_count(reader.get()), published) << "a reader shows its checkpoint and nothing else";

        const Index next = open(path_, false);
        ASSERT_NE(next, nullptr);
        const uint64_t count = rhumb_index_count(next.get());
        EXPECT_EQ(count, published + pending);
        for (uint64_t key = count_before; key < count; key++) {
            std::vector<float> stored(kDim);
            ASSERT_OK(rhumb_index_get_vector(next.get(), key, stored.data()));
            ASSERT_EQ(stored, vector_of(key));
            ASSERT_EQ(search_exact(next, stored.data(), 1).keys[0], key);
        }
        EXPECT_FALSE(contains(next, count));
        EXPECT_OK(rhumb_index_wait_idle(next.get()));
        EXPECT_EQ(stats(next).unlinked_count, 0u);
        expect_sound(next);
    }
    EXPECT_GT(pending_sum, 0u) << "no round was killed between two checkpoints";
}

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count == 4 && std::string(arguments[1]) == "write") {
        return write_until(arguments[2], Clock::now() + kDuration);
    }
    if (argument_count == 4 && std::string(arguments[1]) == "log") return write_logged(arguments[2]);
    if (argument_count == 4 && std::string(arguments[1]) == "read") {
        return read_until(arguments[2], Clock::now() + kDuration, strtoull(arguments[3], nullptr, 10));
    }
    ::testing::InitGoogleTest(&argument_count, arguments);
    return RUN_ALL_TESTS();
}
