// Goal: a vector that a lease has returned stays where it is, with the same bytes, until the release, whatever the
// handle, the index and its file go through; a lease makes nothing wait, and the file gets its space back. Method:
// leases across deletes, upserts, compactions in place, refreshes and closes, with other writers that use up what is
// free; and many threads at once.
#include <thread>

#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

constexpr uint32_t kDim = 64;

struct ReleaseLease {
    void operator()(rhumb_lease *lease) const { rhumb_lease_release(lease); }
};
using Lease = std::unique_ptr<rhumb_lease, ReleaseLease>;

Lease take(const Index &index) {
    rhumb_lease *lease = nullptr;
    EXPECT_OK(rhumb_lease_take(index.get(), &lease));
    return Lease(lease);
}

class Leases : public ::testing::Test {
  protected:
    static constexpr size_t kCount = kSanitized ? 600 : 3000;

    Index build(size_t count = kCount) {
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.durability = RHUMB_DURABILITY_NONE;
        open_options.compact_dead_share = 1;
        rhumb_index_options options = index_options(kDim);
        options.M = 6;
        options.ef_construction = 20;
        options.open = &open_options;
        Index index = create(path_, options);
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, nullptr, nullptr));
        return index;
    }

    const void *vector(const Lease &lease, uint64_t key) {
        const void *row = nullptr;
        EXPECT_OK(rhumb_lease_vector(lease.get(), key, &row));
        return row;
    }
    // All vectors of the collection under their numbers.
    std::vector<const void *> all(const Lease &lease, size_t count = kCount) {
        std::vector<const void *> rows;
        for (size_t key = 0; key < count; key++) rows.push_back(vector(lease, key));
        return rows;
    }
    void expect_unchanged(const std::vector<const void *> &rows, const std::string &when) {
        for (size_t key = 0; key < rows.size(); key++) {
            ASSERT_EQ(memcmp(rows[key], vectors_.row(key), kDim * sizeof(float)), 0) << when << ", key " << key;
        }
    }
    // Replaces every vector twice and makes versions, so that all blocks that are free are written to.
    void write_over(const Index &index, size_t count = kCount) {
        const Vectors others = random_vectors(count, kDim, 99);
        for (int round = 0; round < 2; round++) {
            for (size_t key = 0; key < count; key++) {
                ASSERT_OK(rhumb_index_upsert(index.get(), key, others.row((key + round) % count)));
            }
            ASSERT_OK(rhumb_index_checkpoint(index.get()));
            ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        }
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    Vectors vectors_ = random_vectors(kCount, kDim, 5);
};

TEST_F(Leases, OutliveDeletesAndCompactionsInPlace) {
    const Index index = build();
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    ASSERT_OK(rhumb_index_delete(index.get(), 0));
    ASSERT_OK(rhumb_index_upsert(index.get(), 0, vectors_.row(0))); // a row that no version has yet
    Lease lease = take(index);
    const std::vector<const void *> rows = all(lease);
    write_over(index);
    expect_unchanged(rows, "after compactions");
    // The lease follows the handle: new vectors, in a new place.
    EXPECT_NE(vector(lease, 1), rows[1]);
    const std::vector<const void *> later = {vector(lease, 5)};
    std::vector<float> stored(kDim);
    ASSERT_OK(rhumb_index_get_vector(index.get(), 5, stored.data()));
    write_over(index);
    EXPECT_EQ(memcmp(later[0], stored.data(), kDim * sizeof(float)), 0);
    expect_unchanged(rows, "after more compactions");
    ASSERT_OK(rhumb_index_delete(index.get(), 7));
    const void *row = rows[7];
    EXPECT_EQ(rhumb_lease_vector(lease.get(), 7, &row), RHUMB_E_NOTFOUND);
    EXPECT_EQ(row, rows[7]) << "untouched";
    lease.reset();
    expect_sound(index);
}

TEST_F(Leases, TheFileGetsItsSpaceBackAfterTheRelease) {
    uint64_t file_bytes[2];
    for (const bool leased : {false, true}) {
        std::filesystem::remove(path_);
        const Index index = build();
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        Lease lease = take(index);
        if (leased) (void)vector(lease, 1);
        write_over(index);
        if (leased) {
            EXPECT_GT(stats(index).file_bytes, file_bytes[0] + kCount * kDim * sizeof(float) / 2);
        }
        lease.reset();
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.shrink = true;
        ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
        file_bytes[leased] = stats(index).file_bytes;
    }
    EXPECT_LE(file_bytes[1], file_bytes[0] + 65536 * 4);
}

TEST_F(Leases, OutliveAWritingHandleAndWhatTheNextWriterDoes) {
    Index index = build();
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    Lease before = take(index);
    const std::vector<const void *> old_rows = all(before);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    Lease after = take(index);
    const std::vector<const void *> rows = all(after);
    index.reset();
    expect_unchanged(rows, "after the close");
    for (int life = 0; life < 3; life++) {
        const Index next = open_without_log(path_); // the lock is free
        ASSERT_NE(next, nullptr);
        write_over(next);
        expect_unchanged(rows, "beside the next writer");
        expect_unchanged(old_rows, "of the first graph, beside the next writer");
    }
    before.reset();
    expect_unchanged(rows, "after another lease was released");
    after.reset();
    expect_sound(open_without_log(path_));
}

TEST_F(Leases, OutliveRefreshAndCloseOfAReader) {
    const Index writer = build();
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    Index reader = open(path_, true);
    Lease lease = take(reader);
    const std::vector<const void *> rows = all(lease);
    for (int round = 0; round < 3; round++) {
        write_over(writer);
        bool changed = false;
        ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
        EXPECT_TRUE(changed);
        expect_unchanged(rows, "after a refresh");
        std::vector<float> stored(kDim);
        ASSERT_OK(rhumb_index_get_vector(reader.get(), 3, stored.data()));
        EXPECT_EQ(memcmp(vector(lease, 3), stored.data(), kDim * sizeof(float)), 0) << "what the handle shows";
    }
    reader.reset();
    write_over(writer);
    expect_unchanged(rows, "after the close");
    lease.reset();
}

TEST_F(Leases, ArgumentsAreChecked) {
    const Index index = build(10);
    rhumb_lease *lease = nullptr;
    EXPECT_EQ(rhumb_lease_take(nullptr, &lease), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_lease_take(index.get(), nullptr), RHUMB_E_INVALID);
    rhumb_lease_release(nullptr);
    const Lease held = take(index);
    const void *row = nullptr;
    EXPECT_EQ(rhumb_lease_vector(nullptr, 1, &row), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_lease_vector(held.get(), 1, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_lease_vector(held.get(), 10, &row), RHUMB_E_NOTFOUND);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Index graph_only = open_graph_only(path_);
    const Lease none = take(graph_only);
    EXPECT_EQ(rhumb_lease_vector(none.get(), 1, &row), RHUMB_E_UNSUPPORTED);
    EXPECT_EQ(row, nullptr);
}

// Threads share leases and take their own while compactions exchange the graph under them.
TEST_F(Leases, ManyThreadsAndCompactions) {
    const Index index = build(600);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    Lease shared = take(index);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 3; t++) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            while (!stop) {
                const Lease own = take(index);
                std::vector<std::pair<uint64_t, const float *>> rows;
                for (int i = 0; i < 50; i++) {
                    const void *row = nullptr;
                    const uint64_t key = random() % 600;
                    const Lease &lease = i % 2 == 0 ? own : shared;
                    if (rhumb_lease_vector(lease.get(), key, &row) != RHUMB_OK) continue;
                    rows.emplace_back(key, static_cast<const float *>(row));
                }
                std::this_thread::yield();
                for (const auto &[key, row] : rows) {
                    if (memcmp(row, vectors_.row(key), 16 * sizeof(float)) != 0) wrong++;
                }
            }
        });
    }
    threads.emplace_back([&] {
        for (uint64_t i = 0; !stop; i++) {
            const uint64_t key = i * 7 % 600;
            std::vector<float> changed(vectors_.row(key), vectors_.row(key) + kDim);
            changed[kDim - 1] = static_cast<float>(i); // its first components stay
            (void)!rhumb_index_upsert(index.get(), key, changed.data());
        }
    });
    for (int i = 0; i < (kSanitized ? 3 : 10); i++) EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    stop = true;
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(wrong, 0u);
    shared.reset();
    expect_sound(index);
}

} // namespace
} // namespace index_test
