// Goal: a section takes no more mappings of the process than it has granules, whatever is written to it during
// publications, and its rows never change for threads that read them. Method: a section of many small chunks, each of
// which is changed while a publication is under way, between its copy and the mapping of what was written.
#include "tests/support/io_fault.h"
#include "tests/support/sanitized.h"
#include "tests/support/store_test_support.h"

#include "storage/address_space.h"

#include <atomic>
#include <thread>

namespace store_test {
namespace {

class StoreMapping : public ::testing::Test {
  protected:
    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend; // no fault is armed: plain without waiting
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

// While the first section is being written, the filter of a later one changes every other chunk of the first.
TEST_F(StoreMapping, ChunksThatChangeDuringAPublicationTakeNoMappingsOfTheirOwn) {
    const uint64_t chunk_count = rhumb_test::kSanitized ? 300 : 3000; // of 64 KiB, 4 rows each
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 16384, 1 << 20},
                                                   {2, true, 1, false, 4096, 1 << 20}};
    const std::vector<uint64_t> counts = {4 * chunk_count, 16};
    Handle writer = create(backend_, path_, specs);
    std::vector<uint8_t> row(16384);
    for (uint32_t i = 0; i < 2; i++) ASSERT_EQ(store_harness_ensure(writer, i, counts[i]), RHUMB_OK);
    const auto write_row = [&](uint64_t index, uint8_t value) {
        std::fill(row.begin(), row.end(), value);
        store_harness_write(writer, 0, index, row.data());
    };
    struct Change {
        std::function<void()> all;
    };
    uint8_t generation = 1;
    Change change = {[&] {
        for (uint64_t i = 1; i < counts[0]; i += 8) write_row(i, static_cast<uint8_t>(generation + 100));
    }};
    const auto filter = [](void *context, uint32_t section, uint64_t, uint8_t *, uint64_t) {
        if (section == 1) static_cast<Change *>(context)->all();
        return false;
    };
    const uint64_t before = rhumb__process_mapping_count();
    for (; generation < 5; generation++) {
        for (uint64_t i = 0; i < counts[0]; i += 4) write_row(i, generation);
        for (uint64_t i = 0; i < 16; i++) store_harness_write(writer, 1, i, row.data()); // a whole chunk: no patches
        ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, filter, &change, nullptr), RHUMB_OK);
        ASSERT_LE(rhumb__process_mapping_count(), before + 2048 + 64);
        EXPECT_EQ(store_harness_dirty_count(writer, 0), chunk_count / 2);
        for (uint64_t i = 0; i < counts[0]; i += 4) {
            ASSERT_EQ(store_harness_row(writer, 0, i)[9], generation) << i;
            if (i % 8 == 0) {
                ASSERT_EQ(store_harness_row(writer, 0, i + 1)[9], generation + 100) << i;
            }
        }
    }
    // What has changed since its copy is in the next version.
    ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    EXPECT_TRUE(is_whole(writer));
    writer.close();
    Handle reader = open(backend_, path_, false, specs);
    for (uint64_t i = 1; i < counts[0]; i += 8) ASSERT_EQ(store_harness_row(reader, 0, i)[9], 104) << i;
    EXPECT_TRUE(is_whole(reader));
    reader.close();
    EXPECT_LE(rhumb__process_mapping_count(), before + 64);
}

// A version may have a row otherwise than memory has it, by its filter. Of the rows that come after those of the
// version before it, memory must not show the bytes that are written to the file.
TEST_F(StoreMapping, MemoryDoesNotShowWhatTheFilterMadeOfNewRows) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 64, 1 << 20}};
    Handle writer = create(backend_, path_, specs);
    ASSERT_EQ(store_harness_ensure(writer, 0, 5000), RHUMB_OK); // chunks of 1,024 rows
    const std::vector<uint8_t> row(64, 1);
    const std::vector<uint8_t> other(64, 2);
    const auto filter = [](void *, uint32_t, uint64_t, uint8_t *rows, uint64_t row_count) {
        for (uint64_t i = 0; i < row_count; i++) rows[i * 64 + 63] = 9;
        return true;
    };
    uint64_t counts[1] = {0};
    for (const uint64_t count : {500u, 520u, 1800u, 1830u, 2048u, 4000u, 4096u, 4200u}) {
        const uint64_t before = counts[0];
        // Every other chunk is changed before it is published, and keeps its bytes in private pages.
        for (uint64_t i = 0; i < before; i += 2048) store_harness_write(writer, 0, i, row.data());
        ASSERT_EQ(store_harness_publish(writer, counts, nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
        counts[0] = count;
        for (uint64_t i = before; i < count; i += 100) store_harness_write(writer, 0, i, other.data());
        ASSERT_EQ(store_harness_publish(writer, counts, nullptr, filter, nullptr, nullptr), RHUMB_OK);
        for (uint64_t i = before; i < count; i++) {
            const uint8_t expected = (i - before) % 100 == 0 ? 2 : 0;
            ASSERT_EQ(store_harness_row(writer, 0, i)[63], expected) << i << " of " << count;
        }
    }
    ASSERT_EQ(store_harness_publish(writer, counts, nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    writer.close();
    Handle reader = open(backend_, path_, false, specs);
    for (uint64_t i = 0; i < counts[0]; i++) ASSERT_NE(store_harness_row(reader, 0, i)[63], 9) << i;
    EXPECT_TRUE(is_whole(reader));
}

// Threads that read rows see their bytes at every moment, also while the rows are mapped again.
TEST_F(StoreMapping, RowsStayReadableWhileTheyAreMapped) {
    const uint64_t chunk_count = rhumb_test::kSanitized ? 60 : 400;
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 16384, 1 << 20}};
    const std::vector<uint64_t> counts = {4 * chunk_count};
    Handle writer = create(backend_, path_, specs);
    ASSERT_EQ(store_harness_ensure(writer, 0, counts[0]), RHUMB_OK);
    std::vector<uint8_t> row(16384, 1);
    for (uint64_t i = 0; i < counts[0]; i++) store_harness_write(writer, 0, i, row.data());
    std::atomic<bool> done{false};
    std::atomic<uint64_t> wrong_count{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++) {
        threads.emplace_back([&, t] {
            // Rows that never change lie in chunks that do.
            for (uint64_t i = static_cast<uint64_t>(t); !done; i = (i + 7) % chunk_count) {
                if (store_harness_row(writer, 0, 4 * i + 2)[100] != 1) wrong_count++;
            }
        });
    }
    const auto filter = [](void *context, uint32_t, uint64_t first_row, uint8_t *, uint64_t) {
        // A later chunk is copied: one that was copied already becomes dirty again.
        if (first_row >= 80) {
            std::vector<uint8_t> other(16384, 3);
            store_harness_write(static_cast<store_harness *>(context), 0, first_row - 80 + 1, other.data());
        }
        return false;
    };
    for (int i = 0; i < (rhumb_test::kSanitized ? 5 : 20); i++) {
        for (uint64_t chunk = 0; chunk < chunk_count; chunk++) store_harness_write(writer, 0, 4 * chunk, row.data());
        ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, filter, static_cast<store_harness *>(writer),
                                        nullptr),
                  RHUMB_OK);
    }
    done = true;
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(wrong_count, 0u);
    EXPECT_TRUE(is_whole(writer));
}

} // namespace
} // namespace store_test
