// Goal: concurrent inserts, searches, checkpoints and refreshes give valid answers at every moment and leave a sound
// index. Method: a vector is a function of its key, so that the thread that gets an answer can check it immediately:
// the insert of the key has begun, the distance is that vector's, nearest come first. Run under ThreadSanitizer too,
// for which the numbers here are chosen.
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;
using Clock = std::chrono::steady_clock;

#if defined(__SANITIZE_THREAD__)
constexpr auto kDuration = std::chrono::milliseconds(6000);
constexpr int kRaceRounds = 60;
#else
constexpr auto kDuration = std::chrono::milliseconds(2000);
constexpr int kRaceRounds = 200;
#endif

constexpr uint32_t kDim = 12;
constexpr uint64_t kKeyLimit = 400000;

uint64_t mix(uint64_t value) {
    value += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return value ^ (value >> 31);
}

// The vector of a key: eight clusters, so that concurrent inserts are often each other's neighbours.
std::vector<float> vector_of(uint64_t key) {
    std::vector<float> vector(kDim);
    for (uint32_t d = 0; d < kDim; d++) {
        const uint64_t noise = mix(key * kDim + d);
        const uint64_t centre = mix(key % 8 * 1000 + d) % 1000;
        vector[d] = static_cast<float>(centre) / 250.0f + static_cast<float>(noise % 10000) / 10000.0f;
    }
    return vector;
}

// The first thing that went wrong, if any; for use by all threads.
class Complaints {
  public:
    void add(const std::string &what) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (count_++ < 5) all_ += what + "\n";
    }
    ~Complaints() { EXPECT_EQ(count_, 0u) << all_; }

  private:
    std::mutex mutex_;
    size_t count_ = 0;
    std::string all_;
};

// Checks one answer; `is_possible` tells whether a key may be in it.
void check_answer(rhumb_metric metric, const std::vector<float> &query, const std::vector<uint64_t> &keys,
                  const std::vector<float> &distances, size_t found_count,
                  const std::function<bool(uint64_t)> &is_possible, Complaints &complaints) {
    std::set<uint64_t> distinct;
    for (size_t i = 0; i < found_count; i++) {
        if (!is_possible(keys[i])) {
            complaints.add("key " + std::to_string(keys[i]) + " cannot be there");
            continue;
        }
        if (!distinct.insert(keys[i]).second) complaints.add("key " + std::to_string(keys[i]) + " twice");
        const std::vector<float> vector = vector_of(keys[i]);
        const double truth = true_distance(metric, kDim, query.data(), vector.data());
        if (std::abs(distances[i] - truth) > tolerance(metric, kDim, query.data(), vector.data())) {
            complaints.add("distance " + std::to_string(distances[i]) + " instead of " + std::to_string(truth));
        }
        if (i > 0 && distances[i - 1] > distances[i]) complaints.add("not in order");
    }
    for (size_t i = found_count; i < keys.size(); i++) {
        if (keys[i] != UINT64_MAX || !std::isinf(distances[i])) complaints.add("no padding");
    }
}

// Without a log most happens at the same time; with one, threads meet at the log too.
struct Setting {
    const char *name;
    rhumb_metric metric;
    rhumb_durability durability;
};

class Concurrency : public ::testing::TestWithParam<Setting> {
  protected:
    Index create_here(rhumb_index_options options) const {
        return create_with_durability(path_, options, GetParam().durability);
    }

    const rhumb_metric metric_ = GetParam().metric;
    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

INSTANTIATE_TEST_SUITE_P(Settings, Concurrency,
                         ::testing::Values(Setting{"SquaresNone", RHUMB_METRIC_L2SQ, RHUMB_DURABILITY_NONE},
                                           Setting{"SquaresFull", RHUMB_METRIC_L2SQ, RHUMB_DURABILITY_FULL},
                                           Setting{"CosineInterval", RHUMB_METRIC_COSINE, RHUMB_DURABILITY_INTERVAL}),
                         [](const ::testing::TestParamInfo<Setting> &info) { return info.param.name; });

// Threads that are waited for.
class Threads {
  public:
    void start(std::function<void()> body) { threads_.push_back(std::make_unique<std::thread>(std::move(body))); }
    void join() {
        for (const auto &thread : threads_) thread->join();
        threads_.clear();
    }
    ~Threads() { join(); }

  private:
    std::vector<std::unique_ptr<std::thread>> threads_;
};

// One index, and what threads do with it until the end.
class Workload {
  public:
    Workload(const Index &index, rhumb_metric metric, Clock::time_point end)
        : index_(index), metric_(metric), end_(end), begun_(kKeyLimit), finished_(kKeyLimit) {}

    void insert() {
        while (Clock::now() < end_) {
            const uint64_t key = next_key_.fetch_add(1);
            if (key >= kKeyLimit) return;
            begun_[key] = true;
            const std::vector<float> vector = vector_of(key);
            if (rhumb_index_insert(index_.get(), key, vector.data()) != RHUMB_OK) complaints_.add(last_error());
            finished_[key] = true;
            if (key % 16 == 0 && rhumb_index_insert(index_.get(), key, vector.data()) != RHUMB_E_EXISTS) {
                complaints_.add("a key was accepted twice");
            }
        }
    }

    void search(uint64_t seed) {
        std::mt19937_64 random(seed);
        while (Clock::now() < end_) {
            const uint64_t known_count = inserted_count();
            if (known_count == 0) continue;
            const uint64_t target = random() % known_count;
            search_once(vector_of(target), random() % 16 == 0);
            look_up(target);
        }
    }

    void checkpoint() {
        uint64_t epoch = 1;
        while (Clock::now() < end_) {
            if (rhumb_index_checkpoint(index_.get()) != RHUMB_OK) complaints_.add(last_error());
            const uint64_t now = stats(index_).epoch;
            if (now < epoch || now > epoch + 1) complaints_.add("an epoch was skipped");
            epoch = now;
        }
    }

    uint64_t inserted_count() const { return std::min(next_key_.load(), kKeyLimit); }
    uint64_t search_count() const { return search_count_.load(); }

  private:
    void search_once(const std::vector<float> &query, bool exact) {
        std::vector<uint64_t> keys(10);
        std::vector<float> distances(10);
        size_t found_count = 0;
        const uint64_t count_before = rhumb_index_count(index_.get());
        const auto function = exact ? rhumb_index_search_exact : rhumb_index_search_batch;
        const rhumb_search_options options = search_options(32);
        if (function(index_.get(), query.data(), 1, 10, &options, keys.data(), distances.data(), &found_count) !=
            RHUMB_OK) {
            complaints_.add(last_error());
        }
        search_count_++;
        check_answer(
            metric_, query, keys, distances, found_count,
            [&](uint64_t key) { return key < kKeyLimit && begun_[key].load(); }, complaints_);
        const uint64_t expected_count = exact ? 10 : 1;
        if (found_count < std::min(expected_count, count_before)) {
            complaints_.add("found " + std::to_string(found_count) + " of " + std::to_string(count_before));
        }
    }

    void look_up(uint64_t key) {
        const bool was_finished = finished_[key].load();
        bool is_there = false;
        if (rhumb_index_contains(index_.get(), key, &is_there) != RHUMB_OK || (was_finished && !is_there)) {
            complaints_.add("key " + std::to_string(key) + " is gone");
        }
        std::vector<float> stored(kDim);
        if (is_there &&
            (rhumb_index_get_vector(index_.get(), key, stored.data()) != RHUMB_OK || stored != vector_of(key))) {
            complaints_.add("the vector of " + std::to_string(key) + " is another one");
        }
    }

    const Index &index_;
    const rhumb_metric metric_;
    const Clock::time_point end_;
    std::vector<std::atomic<bool>> begun_;
    std::vector<std::atomic<bool>> finished_;
    std::atomic<uint64_t> next_key_{0};
    std::atomic<uint64_t> search_count_{0};
    Complaints complaints_;
};

// The share of the vectors that are found by searching for them.
double found_share(const Index &index, uint64_t count) {
    size_t found_count = 0, tried_count = 0;
    for (uint64_t key = 0; key < count; key += 7) {
        found_count += search(index, vector_of(key).data(), 1, 64).keys[0] == key ? 1 : 0;
        tried_count++;
    }
    return static_cast<double>(found_count) / static_cast<double>(tried_count);
}

TEST_P(Concurrency, InsertsSearchesAndCheckpointsRunTogether) {
    rhumb_index_options options = index_options(kDim, metric_);
    options.ef_construction = 64; // with the default M, which keeps clusters as far apart as these together
    uint64_t inserted_count = 0;
    std::vector<Answer> before;
    {
        const Index index = create_here(options);
        ASSERT_NE(index, nullptr);
        Workload workload(index, metric_, Clock::now() + kDuration);
        Threads threads;
        for (uint64_t t = 0; t < 3; t++) threads.start([&] { workload.insert(); });
        for (uint64_t t = 0; t < 3; t++) threads.start([&, t] { workload.search(t); });
        threads.start([&] { workload.checkpoint(); });
        threads.join();
        inserted_count = workload.inserted_count();
        EXPECT_EQ(rhumb_index_count(index.get()), inserted_count);
        EXPECT_GT(workload.search_count(), 50u);
        EXPECT_GT(stats(index).checkpoint_count, 3u);
        EXPECT_EQ(rhumb_index_lsn(index.get()), inserted_count) << "each insert is one operation";
        if (GetParam().durability == RHUMB_DURABILITY_FULL) {
            EXPECT_EQ(rhumb_index_durable_lsn(index.get()), inserted_count);
        }
        expect_sound(index);
        EXPECT_GE(found_share(index, inserted_count), 0.98);
        for (uint64_t key = 0; key < 50; key++) before.push_back(search_exact(index, vector_of(key).data(), 10));
        printf("%llu inserts, %llu searches, %llu checkpoints\n", static_cast<unsigned long long>(inserted_count),
               static_cast<unsigned long long>(workload.search_count()),
               static_cast<unsigned long long>(stats(index).checkpoint_count));
    }
    const Index reader = open(path_, true);
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(rhumb_index_count(reader.get()), inserted_count);
    expect_sound(reader);
    EXPECT_GE(found_share(reader, inserted_count), 0.98);
    for (uint64_t key = 0; key < 50; key++) {
        EXPECT_TRUE(search_exact(reader, vector_of(key).data(), 10) == before[key]);
    }
    for (uint64_t key = 0; key < inserted_count; key += 11) {
        std::vector<float> stored(kDim);
        ASSERT_OK(rhumb_index_get_vector(reader.get(), key, stored.data()));
        ASSERT_EQ(stored, vector_of(key));
    }
}

TEST(ConcurrencyAtFirst, InsertsThatRaceOnAnEmptyIndexFindEachOther) {
    ScratchDirectory directory;
    rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2SQ);
    constexpr uint64_t thread_count = 4;
    for (int round = 0; round < kRaceRounds; round++) {
        const std::string path = directory.file(std::to_string(round));
        options.seed = static_cast<uint64_t>(round); // other levels each time
        options.M = 2 + static_cast<uint32_t>(round % 3);
        options.M0 = 32;
        const uint64_t per_thread = 1 + static_cast<uint64_t>(round % 4);
        // The first operation makes the log's file too, or there is none.
        const Index index =
            create_with_durability(path, options, round % 5 == 0 ? RHUMB_DURABILITY_FULL : RHUMB_DURABILITY_NONE);
        ASSERT_NE(index, nullptr);
        std::atomic<uint64_t> arrived{0};
        Threads threads;
        for (uint64_t t = 0; t < thread_count; t++) {
            threads.start([&, t] {
                arrived++;
                while (arrived.load() < thread_count) std::this_thread::yield();
                for (uint64_t i = 0; i < per_thread; i++) {
                    const uint64_t key = t * per_thread + i;
                    EXPECT_OK(rhumb_index_insert(index.get(), key, vector_of(key).data()));
                }
            });
        }
        threads.join();
        const uint64_t count = thread_count * per_thread;
        for (uint64_t key = 0; key < count; key++) {
            const Answer answer = search(index, vector_of(key).data(), count, 100);
            ASSERT_EQ(answer.found_count, count) << "round " << round << ": a node that no path reaches";
            ASSERT_EQ(answer.keys[0], key);
        }
        std::filesystem::remove(path);
    }
}

// A writer that inserts the keys in order, with a checkpoint after every kStep of them, so that a checkpoint of n
// vectors holds the keys below n; and a reader that follows.
class Followed {
  public:
    static constexpr uint64_t kStep = 40;

    Followed(const Index &writer, rhumb_metric metric, Clock::time_point end)
        : writer_(writer), metric_(metric), end_(end) {
        write_step();
    }

    void write() {
        while (Clock::now() < end_) write_step();
    }

    void refresh(const Index &reader) {
        uint64_t count = 0;
        for (uint64_t round = 0; Clock::now() < end_; round++) {
            bool changed = false;
            if (rhumb_index_refresh(reader.get(), &changed) != RHUMB_OK) complaints_.add(last_error());
            if (changed) refresh_count_++;
            const uint64_t now = rhumb_index_count(reader.get());
            if (now < count || now % kStep != 0) {
                complaints_.add("the count went from " + std::to_string(count) + " to " + std::to_string(now));
            }
            count = now;
            rhumb_verify_report report = {};
            if (round % 16 == 0 && rhumb_index_verify(reader.get(), &report, sizeof report) != RHUMB_OK) {
                complaints_.add(last_error());
            }
        }
    }

    void search(const Index &reader, uint64_t seed) {
        std::mt19937_64 random(seed);
        while (Clock::now() < end_) {
            const std::vector<float> query = vector_of(random() % 1000);
            const uint64_t count_before = rhumb_index_count(reader.get());
            std::vector<uint64_t> keys(count_before + 100 * kStep);
            std::vector<float> distances(keys.size());
            size_t found_count = 0;
            if (rhumb_index_search_exact(reader.get(), query.data(), 1, keys.size(), nullptr, keys.data(),
                                         distances.data(), &found_count) != RHUMB_OK) {
                complaints_.add(last_error());
            }
            if (found_count < count_before || found_count % kStep != 0) {
                complaints_.add(std::to_string(found_count) + " vectors are no checkpoint's");
            }
            check_answer(
                metric_, query, keys, distances, found_count, [&](uint64_t key) { return key < found_count; },
                complaints_);
            keys.resize(10);
            distances.resize(10);
            if (rhumb_index_search(reader.get(), query.data(), 10, nullptr, keys.data(), distances.data(),
                                   &found_count) != RHUMB_OK) {
                complaints_.add(last_error());
            }
            check_answer(
                metric_, query, keys, distances, found_count, [](uint64_t key) { return key < kKeyLimit; },
                complaints_);
        }
    }

    uint64_t refresh_count() const { return refresh_count_.load(); }

  private:
    void write_step() {
        for (uint64_t end = next_key_ + kStep; next_key_ < end; next_key_++) {
            const std::vector<float> vector = vector_of(next_key_);
            if (rhumb_index_insert(writer_.get(), next_key_, vector.data()) != RHUMB_OK) complaints_.add(last_error());
        }
        if (rhumb_index_checkpoint(writer_.get()) != RHUMB_OK) complaints_.add(last_error());
    }

    const Index &writer_;
    const rhumb_metric metric_;
    const Clock::time_point end_;
    uint64_t next_key_ = 0; // of the writing thread
    std::atomic<uint64_t> refresh_count_{0};
    Complaints complaints_;
};

// A search that measures every node must not end before one whose insert has returned, however many are under way.
TEST(ConcurrencyAtFirst, SearchesOfASmallIndexFindAllThatWasInsertedBefore) {
    ScratchDirectory directory;
    rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2SQ);
    constexpr uint64_t count = 40, ef = 64;
    for (int round = 0; round < kRaceRounds; round++) {
        const std::string path = directory.file(std::to_string(round));
        const Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
        ASSERT_NE(index, nullptr);
        std::atomic<uint64_t> next{0};
        std::array<std::atomic<bool>, count> inserted{};
        Threads threads;
        for (int t = 0; t < 2; t++) {
            threads.start([&] {
                for (uint64_t key; (key = next++) < count;) {
                    EXPECT_OK(rhumb_index_insert(index.get(), key, vector_of(key).data()));
                    inserted[key] = true;
                }
            });
        }
        for (bool all = false; !all;) {
            std::set<uint64_t> expected;
            for (uint64_t key = 0; key < count; key++) {
                if (inserted[key]) expected.insert(key);
            }
            all = expected.size() == count;
            const Answer answer = search(index, vector_of(0).data(), count, ef);
            for (size_t i = 0; i < answer.found_count; i++) expected.erase(answer.keys[i]);
            EXPECT_TRUE(expected.empty()) << "round " << round << ": key " << *expected.begin() << " and "
                                          << expected.size() - 1 << " more were not found";
        }
        threads.join();
        std::filesystem::remove(path);
    }
}

TEST_P(Concurrency, SearchesOfAReaderAnswerFromOneCheckpointEachWhileItRefreshes) {
    rhumb_index_options options = index_options(kDim, metric_);
    options.M = 8;
    options.ef_construction = 40;
    const Index writer = create_here(options);
    ASSERT_NE(writer, nullptr);
    Followed followed(writer, metric_, Clock::now() + kDuration / 2);
    const Index reader = open(path_, true);
    ASSERT_NE(reader, nullptr);
    Threads threads;
    threads.start([&] { followed.write(); });
    threads.start([&] { followed.refresh(reader); });
    for (uint64_t t = 0; t < 2; t++) threads.start([&, t] { followed.search(reader, t); });
    threads.join();
    EXPECT_GT(followed.refresh_count(), 2u);
    EXPECT_OK(rhumb_index_refresh(reader.get(), nullptr));
    EXPECT_EQ(rhumb_index_count(reader.get()), rhumb_index_count(writer.get()));
    expect_sound(reader);
    expect_sound(writer);
}

TEST_P(Concurrency, VerifyAndStatisticsRunDuringInserts) {
    rhumb_index_options options = index_options(kDim, metric_);
    options.M = 8;
    options.ef_construction = 30;
    Complaints complaints;
    const Index index = create_here(options);
    std::atomic<uint64_t> next_key{0};
    const auto end = Clock::now() + kDuration / 4;
    Threads threads;
    for (int t = 0; t < 2; t++) {
        threads.start([&] {
            while (Clock::now() < end) {
                const uint64_t key = next_key.fetch_add(1);
                if (rhumb_index_insert(index.get(), key, vector_of(key).data()) != RHUMB_OK) {
                    complaints.add(last_error());
                }
            }
        });
    }
    threads.start([&] {
        while (Clock::now() < end) {
            rhumb_verify_report report = {};
            const rhumb_status status = rhumb_index_verify(index.get(), &report, sizeof report);
            if (status != RHUMB_OK || report.checksum_error_count + report.structure_error_count > 0) {
                complaints.add(last_error());
            }
        }
    });
    threads.start([&] {
        uint64_t count = 0;
        while (Clock::now() < end) {
            const rhumb_index_stats now = stats(index);
            if (now.count < count || now.count > now.slot_count) complaints.add("counts that cannot be");
            uint64_t node_count = 0;
            for (uint64_t level_count : now.level_counts) node_count += level_count;
            if (node_count != now.slot_count) complaints.add("levels that do not add up");
            count = now.count;
        }
    });
    threads.join();
    EXPECT_EQ(rhumb_index_count(index.get()), next_key.load());
    expect_sound(index);
}

} // namespace
