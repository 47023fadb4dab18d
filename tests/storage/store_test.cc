// Goal: what is published is what is read, by the writer, by readers and after reopening; only what changed is written;
// space is reused, but never that of a version that is still read. Method: synthetic sections of both kinds against a
// model in memory, on both io backends where that can make a difference.
#include "tests/support/io_fault.h"
#include "tests/support/store_test_support.h"

#include <fcntl.h>
#include <sys/stat.h>

namespace store_test {
namespace {

using io_test::IoBackend;
using io_test::kMiB;

INSTANTIATE_TEST_SUITE_P(Backends, IoBackend, ::testing::Values("plain", "uring"), io_test::backend_name);

class Store : public ::testing::Test {
  protected:
    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend; // no fault is armed: plain without waiting
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

uint64_t file_length(const std::string &path) {
    struct stat info = {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return static_cast<uint64_t>(info.st_size);
}

TEST_P(IoBackend, EveryVersionReadsAsItWasWritten) {
    Model model(io_test::choose_seed());
    Handle writer = create(backend_, path_);
    for (int i = 0; i < 25; i++) {
        ASSERT_NO_FATAL_FAILURE(model.step(writer));
        // Several large chunks.
        ASSERT_NO_FATAL_FAILURE(model.append(writer, 5, i == 3 ? 2500 : 0));
        uint64_t written_bytes = 0;
        ASSERT_EQ(i % 4 == 3 ? store_harness_pull_down(writer, model.row_counts().data(), &written_bytes)
                             : model.publish(writer),
                  RHUMB_OK)
            << rhumb__error_last()->message;
        ASSERT_TRUE(holds(writer, model.rows())) << "writer, after publication " << i;
        Handle reader = open(backend_, path_, false);
        ASSERT_TRUE(holds(reader, model.rows())) << "reader of publication " << i;
        ASSERT_TRUE(is_whole(reader));
        if (i % 5 == 4) {
            writer.close();
            writer = open(backend_, path_, true);
            ASSERT_TRUE(holds(writer, model.rows())) << "reopened after publication " << i;
            ASSERT_TRUE(is_whole(writer));
        }
    }
}

TEST_F(Store, UnpublishedChangesAreGoneAfterClosing) {
    Model model(1);
    Handle writer = create(backend_, path_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 100));
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 2, 3000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const Rows published = model.rows();
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 50));
    ASSERT_NO_FATAL_FAILURE(model.change(writer, 2, 100));
    Handle reader = open(backend_, path_, false);
    EXPECT_TRUE(holds(reader, published));
    writer.close();
    writer = open(backend_, path_, true);
    EXPECT_TRUE(holds(writer, published));
}

TEST_F(Store, AFileHasItsNameWithItsFirstVersion) {
    const std::string working_path = path_ + "-creating";
    {
        Handle writer = create(backend_, path_);
        store_harness *none = nullptr;
        EXPECT_EQ(store_harness_open(backend_, path_.c_str(), false, kSpecs.data(), kSpecs.size(), &none),
                  RHUMB_E_NOTFOUND);
        EXPECT_EQ(store_harness_open(backend_, working_path.c_str(), false, kSpecs.data(), kSpecs.size(), &none),
                  RHUMB_E_NOT_AN_INDEX);
        EXPECT_EQ(store_harness_create(backend_, path_.c_str(), kSpecs.data(), kSpecs.size(), &none), RHUMB_E_EXISTS)
            << "its creation goes on";
        EXPECT_EQ(none, nullptr);
        EXPECT_EQ(access(working_path.c_str(), F_OK), 0);
    }
    // Closed without a version, as by a crash: what is left is in no one's way.
    EXPECT_EQ(access(working_path.c_str(), F_OK), 0);
    Handle writer = create(backend_, path_);
    Model model(3);
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_NE(access(working_path.c_str(), F_OK), 0);
    Handle reader = open(backend_, path_, false);
    EXPECT_EQ(store_harness_superblock(reader)->epoch, 1u);
}

TEST_F(Store, AFileThatCameMeanwhileIsNotOverwritten) {
    Handle writer = create(backend_, path_);
    io_test::put_file(path_, "came meanwhile");
    Model model(3);
    EXPECT_EQ(model.publish(writer), RHUMB_E_EXISTS);
    EXPECT_EQ(io_test::file_bytes(path_).size(), 14u);
    writer.close();
    ASSERT_EQ(unlink(path_.c_str()), 0);
    io_test::put_file(path_ + "-wal", "the log of another index");
    writer = create(backend_, path_);
    EXPECT_EQ(model.publish(writer), RHUMB_E_EXISTS);
    EXPECT_NE(access(path_.c_str(), F_OK), 0);
    EXPECT_EQ(io_test::file_bytes(path_ + "-wal").size(), 24u);
}

// What the creation by an earlier build can leave: nothing but zeros. Anything else of that name stays.
TEST_F(Store, ABlankFileDoesNotBlockItsName) {
    for (const size_t byte_count : {0, 1, 65536, 131072}) {
        unlink(path_.c_str());
        io_test::put_file(path_, std::string(byte_count, '\0'));
        Handle writer = create(backend_, path_);
        Model model(3);
        ASSERT_EQ(model.publish(writer), RHUMB_OK) << byte_count;
    }
    for (const std::string &content : {std::string(131073, '\0'), std::string("a"), std::string(5, '\0') + "a"}) {
        unlink(path_.c_str());
        io_test::put_file(path_, content);
        store_harness *none = nullptr;
        EXPECT_EQ(store_harness_create(backend_, path_.c_str(), kSpecs.data(), kSpecs.size(), &none), RHUMB_E_EXISTS);
        EXPECT_EQ(io_test::file_bytes(path_).size(), content.size());
    }
    unlink(path_.c_str());
    io_test::put_file(path_ + "-creating", "somebody's notes");
    store_harness *none = nullptr;
    EXPECT_EQ(store_harness_create(backend_, path_.c_str(), kSpecs.data(), kSpecs.size(), &none), RHUMB_E_EXISTS);
    EXPECT_EQ(io_test::file_bytes(path_ + "-creating").size(), 16u);
}

TEST_F(Store, EpochsIncreaseAndTheClientRecordIsPublished) {
    Handle writer = create(backend_, path_);
    const std::vector<uint64_t> counts(kSpecs.size(), 0);
    for (uint8_t i = 1; i <= 5; i++) {
        std::vector<uint8_t> client(RHUMB__CLIENT_BYTES, i);
        ASSERT_EQ(store_harness_publish(writer, counts.data(), client.data(), nullptr, nullptr, nullptr), RHUMB_OK);
        Handle reader = open(backend_, path_, false);
        const rhumb__superblock *superblock = store_harness_superblock(reader);
        EXPECT_EQ(superblock->epoch, i);
        EXPECT_EQ(memcmp(superblock->client, client.data(), client.size()), 0);
        EXPECT_EQ(memcmp(superblock->uuid, store_harness_superblock(writer)->uuid, 16), 0);
        EXPECT_EQ(superblock->uuid[6] >> 4, 4) << "a random UUID says so";
        EXPECT_EQ(superblock->creator_version, 1u);
    }
}

TEST_F(Store, OnlyWhatChangedIsWritten) {
    Model model(2);
    Handle writer = create(backend_, path_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 100000));
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 2, 64 * 1024)); // 4 MiB: 64 chunks
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 3, 1000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const auto written = [&] {
        uint64_t bytes = 0;
        EXPECT_EQ(model.publish(writer, &bytes), RHUMB_OK);
        return bytes;
    };
    const uint64_t directory_bytes = written(); // nothing changed
    EXPECT_LT(directory_bytes, 4096u);
    EXPECT_EQ(written(), directory_bytes);

    std::vector<uint8_t> row(64, 0xAB);
    store_harness_write(writer, 2, 5, row.data());
    EXPECT_EQ(store_harness_dirty_count(writer, 2), 1u);
    EXPECT_EQ(written(), directory_bytes + sizeof(rhumb__patch_header) + 128) << "a unit of two rows, as a patch";
    EXPECT_EQ(store_harness_dirty_count(writer, 2), 0u);

    EXPECT_EQ(written(), directory_bytes);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 3)); // 24 bytes after the published ones
    EXPECT_EQ(written(), directory_bytes + 24);
}

TEST_F(Store, AChunkOfSeveralBlocksWithManyChangesIsWrittenCompletely) {
    Model model(3);
    Handle writer = create(backend_, path_);
    ASSERT_EQ(store_harness_chunk_bytes(writer, 3), 3u * RHUMB__BLOCK_BYTES);
    ASSERT_EQ(store_harness_chunk_bytes(writer, 5), 49u * RHUMB__BLOCK_BYTES);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 3, 5000));
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 5, 3000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    for (uint64_t row = 0; row < 200; row++) {
        ASSERT_NO_FATAL_FAILURE(model.change_row(writer, 3, row));
        ASSERT_NO_FATAL_FAILURE(model.change_row(writer, 5, row));
    }
    uint64_t bytes = 0;
    ASSERT_EQ(model.publish(writer, &bytes), RHUMB_OK);
    EXPECT_GE(bytes, (3u + 49u) * RHUMB__BLOCK_BYTES);
    EXPECT_LT(bytes, (3u + 49u + 1u) * RHUMB__BLOCK_BYTES);
    Handle reader = open(backend_, path_, false);
    EXPECT_TRUE(holds(reader, model.rows()));
}

// The filter changes what is published, not what is in memory, and what it changed is written again next time.
TEST_F(Store, AFilteredChunkStaysDirty) {
    Model model(4);
    Handle writer = create(backend_, path_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 2, 3000)); // three chunks of 1,024 rows
    const auto filter = [](void *context, uint32_t section, uint64_t first_row, uint8_t *rows, uint64_t row_count) {
        *static_cast<int *>(context) += 1;
        EXPECT_EQ(section, 2u);
        EXPECT_EQ(row_count, 1024u);
        if (first_row != 1024) return false;
        memset(rows + 10 * 64, 0x11, 64);
        return true;
    };
    int calls = 0;
    ASSERT_EQ(store_harness_publish(writer, model.row_counts().data(), nullptr, filter, &calls, nullptr), RHUMB_OK);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(store_harness_dirty_count(writer, 2), 1u);
    EXPECT_TRUE(holds(writer, model.rows()));
    {
        Handle reader = open(backend_, path_, false);
        Rows filtered = model.rows();
        memset(&filtered[2][(1024 + 10) * 64], 0x11, 64);
        EXPECT_TRUE(holds(reader, filtered));
        EXPECT_TRUE(is_whole(reader));
    }
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_EQ(store_harness_dirty_count(writer, 2), 0u);
    Handle reader = open(backend_, path_, false);
    EXPECT_TRUE(holds(reader, model.rows()));
}

TEST_F(Store, FewerRowsThanInMemoryCanBePublished) {
    Model model(5);
    Handle writer = create(backend_, path_);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 1000));
    const std::vector<uint64_t> counts(kSpecs.size(), 700);
    ASSERT_EQ(store_harness_publish(writer, counts.data(), nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    Rows cut = model.rows();
    for (uint32_t i = 0; i < kSpecs.size(); i++) cut[i].resize(700 * kSpecs[i].row_stride_bytes);
    Handle reader = open(backend_, path_, false);
    EXPECT_TRUE(holds(reader, cut));
    EXPECT_TRUE(is_whole(reader));
}

// Rows may count without ever having been written. Their chunk gets a new checksum, because that covers published rows.
TEST_F(Store, RowsThatWereNeverWrittenArePublishedAsZeros) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 64, 1 << 20}};
    Handle writer = create(backend_, path_, specs);
    for (const uint64_t row_count : {10, 20, 1024, 1025, 3000}) {
        ASSERT_EQ(store_harness_ensure(writer, 0, row_count), RHUMB_OK);
        ASSERT_EQ(store_harness_publish(writer, &row_count, nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
        const Rows zeros = {std::vector<uint8_t>(row_count * 64, 0)};
        Handle reader = open(backend_, path_, false, specs);
        EXPECT_TRUE(holds(reader, zeros, specs));
        EXPECT_TRUE(is_whole(reader)) << row_count;
        EXPECT_TRUE(is_whole(writer)) << row_count;
    }
}

// A row after the published ones reads as zeros in a writer, whatever an interrupted checkpoint has left there: readers
// of rows would otherwise find nodes that were never acknowledged.
TEST_F(Store, NewRowsReadAsZerosAfterAnInterruptedPublication) {
    Model model(6);
    Handle writer = create(backend_, path_);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 10));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    // The extents of all sections are blocks, so everything that is zero now lies after published rows (or in block
    // 0).
    std::vector<uint8_t> bytes = io_test::file_bytes(path_);
    for (size_t i = RHUMB__BLOCK_BYTES; i + 4096 <= bytes.size(); i += 4096) {
        const std::vector<uint8_t> zeros(4096, 0);
        if (memcmp(&bytes[i], zeros.data(), 4096) == 0) memset(&bytes[i], 0xFF, 4096);
    }
    io_test::put_file(path_, std::string(bytes.begin(), bytes.end()));
    writer = open(backend_, path_, true);
    ASSERT_TRUE(holds(writer, model.rows()));
    for (uint32_t i = 0; i < kSpecs.size(); i++) {
        const uint64_t stride = kSpecs[i].row_stride_bytes;
        const uint64_t row_count = 4 * RHUMB__BLOCK_BYTES / stride;
        ASSERT_EQ(store_harness_ensure(writer, i, row_count), RHUMB_OK);
        const uint8_t *row = store_harness_row(writer, i, 10);
        for (uint64_t k = 0; k < (row_count - 10) * stride; k++) {
            ASSERT_EQ(row[k], 0) << "section " << i << ", byte " << k << " after the published rows";
        }
    }
}

TEST_F(Store, GrowsOverManyPublicationsInFewExtents) {
    const std::vector<store_harness_spec> specs = {{1, false, 1, false, 128, 1 << 22},
                                                   {2, true, 1, false, 128, 1 << 22}};
    Model model(7, specs);
    Handle writer = create(backend_, path_, specs);
    for (int i = 0; i < 150; i++) {
        ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 800)); // 100 KiB
        ASSERT_NO_FATAL_FAILURE(model.append(writer, 1, 800));
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 1, 4));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
    }
    EXPECT_LT(store_harness_extent_count(writer, 0), 200u);
    EXPECT_LT(store_harness_extent_count(writer, 1), 250u);
    EXPECT_TRUE(holds(writer, model.rows(), specs));
    writer.close();
    Handle reader = open(backend_, path_, false, specs);
    EXPECT_TRUE(holds(reader, model.rows(), specs));
    EXPECT_TRUE(is_whole(reader));
}

// A section of a gigabyte, nearly all of it never touched, changed everywhere bit by bit: the number of extents is what
// a process has mappings for.
TEST_F(Store, TheExtentsOfALargeSectionStayFew) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 4096, 1 << 22}};
    Model model(8, specs);
    Handle writer = create(backend_, path_, specs);
    const uint64_t row_count = 20000; // 80 MiB: 1,250 chunks
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, row_count));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_EQ(store_harness_extent_count(writer, 0), 1u);
    for (int i = 0; i < 12; i++) {
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 0, 200));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_LE(store_harness_extent_count(writer, 0), 2049u);
    }
    EXPECT_GT(store_harness_extent_count(writer, 0), 300u);
    EXPECT_TRUE(holds(writer, model.rows(), specs));
    Handle reader = open(backend_, path_, false, specs);
    EXPECT_TRUE(holds(reader, model.rows(), specs));
}

TEST_F(Store, SpaceIsReusedOverManyPublications) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 64, 1 << 20}, {2, true, 1, false, 192, 1 << 20}};
    Model model(io_test::choose_seed(), specs);
    Handle writer = create(backend_, path_, specs);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 20 * 1024)); // 20 chunks of 64 KiB
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 1, 4 * 1024));  // 4 chunks of 192 KiB
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const uint64_t section_bytes = (20 + 4 * 3) * RHUMB__BLOCK_BYTES;
    for (int i = 0; i < 500; i++) {
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 0, model.random()() % 30));
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 1, model.random()() % 5));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        // Two whole versions, the one being written, and some fragmentation.
        ASSERT_LE(store_harness_file_end(writer), 5 * section_bytes) << "publication " << i;
    }
    EXPECT_LE(file_length(path_), 5 * section_bytes);
    EXPECT_TRUE(holds(writer, model.rows(), specs));
    Handle reader = open(backend_, path_, false, specs);
    EXPECT_TRUE(holds(reader, model.rows(), specs));
    EXPECT_TRUE(is_whole(reader));
}

TEST_F(Store, SpaceIsReusedAcrossReopening) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 64, 1 << 20}};
    Model model(9, specs);
    Handle writer = create(backend_, path_, specs);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 20 * 1024));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    for (int i = 0; i < 60; i++) {
        writer.close();
        writer = open(backend_, path_, true, specs);
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 0, 100));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_LE(file_length(path_), 5 * 20 * RHUMB__BLOCK_BYTES) << "session " << i;
    }
    EXPECT_TRUE(holds(writer, model.rows(), specs));
}

TEST_P(IoBackend, PinnedVersionsStayReadable) {
    Model model(io_test::choose_seed());
    Handle writer = create(backend_, path_);
    std::vector<std::pair<Handle, Rows>> readers;
    for (int i = 0; i < 60; i++) {
        ASSERT_NO_FATAL_FAILURE(model.step(writer));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        if (i < 12 && i % 3 == 0) readers.emplace_back(open(backend_, path_, false), model.rows());
        if (i == 30) {
            writer.close(); // the next writer does not know what the old versions consist of, only that they are pinned
            writer = open(backend_, path_, true);
        }
        if (i == 40) readers.erase(readers.begin() + 1);
    }
    for (size_t i = 0; i < readers.size(); i++) {
        EXPECT_TRUE(holds(readers[i].first, readers[i].second)) << "reader " << i;
        EXPECT_TRUE(is_whole(readers[i].first)) << "reader " << i;
        bool newer = false;
        EXPECT_EQ(store_harness_has_newer(readers[i].first, &newer), RHUMB_OK);
        EXPECT_TRUE(newer);
    }
    EXPECT_TRUE(holds(writer, model.rows()));
}

// A trim is repeated while it reports blocks as left, so it must report only those that can be released later.
TEST_F(Store, TrimmingReportsOnlyBlocksThatAReaderKeeps) {
    Model model(12);
    bool left = false;
    Handle writer = create(backend_, path_);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 2, 3000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const Rows pinned = model.rows();
    Handle reader = open(backend_, path_, false);
    for (int i = 0; i < 3; i++) {
        ASSERT_NO_FATAL_FAILURE(model.change(writer, 2, 100));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
    }
    ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
    EXPECT_TRUE(left);
    EXPECT_TRUE(holds(reader, pinned));
    reader.close();
    ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
    EXPECT_FALSE(left) << "the version before the newest always keeps some";
    EXPECT_TRUE(holds(writer, model.rows()));
    EXPECT_TRUE(is_whole(writer));
}

// What a writer that is gone left to the version before the newest is no less retired than what it retires itself.
TEST_F(Store, AWriterThatOpensLaterFreesTheBlocksOfThePreviousVersion) {
    uint64_t used_bytes[2] = {0, 0};
    for (const bool reopens : {false, true}) {
        const std::string path = directory_.file(reopens ? "reopened" : "kept");
        Model model(13);
        bool left = false;
        Handle writer = create(backend_, path);
        for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 3000));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.change(writer, i, 100));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        if (reopens) {
            writer.close();
            writer = open(backend_, path, true);
            EXPECT_TRUE(holds(writer, model.rows()));
        }
        for (int i = 0; i < 3; i++) ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
        EXPECT_FALSE(left);
        used_bytes[reopens] = store_harness_file_end(writer) - store_harness_free_bytes(writer);
        EXPECT_TRUE(holds(writer, model.rows()));
        EXPECT_TRUE(is_whole(writer));
    }
    EXPECT_LE(used_bytes[true], used_bytes[false]) << "one that goes on has kept room for more patches";
}

TEST_F(Store, AWriterThatOpensLaterSparesThePreviousVersion) {
    Model model(14);
    Handle writer = create(backend_, path_);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 3000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const Rows before = model.rows();
    Handle reader = open(backend_, path_, false);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.change(writer, i, 100));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    writer = open(backend_, path_, true);
    bool left = false;
    ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
    EXPECT_TRUE(holds(reader, before));
    for (int i = 0; i < 4; i++) {
        for (uint32_t k = 0; k < kSpecs.size(); k++) ASSERT_NO_FATAL_FAILURE(model.change(writer, k, 300));
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_EQ(store_harness_trim(writer, &left), RHUMB_OK);
        EXPECT_TRUE(holds(reader, before)) << "publication " << i;
    }
    EXPECT_TRUE(left);
    EXPECT_TRUE(is_whole(reader));
}

TEST_F(Store, AWriterThatOpensLaterSparesAnAncientPinnedVersion) {
    Model model(11);
    Handle writer = create(backend_, path_);
    ASSERT_NO_FATAL_FAILURE(model.step(writer));
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 2000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const Rows ancient = model.rows();
    Handle reader = open(backend_, path_, false);
    for (int session = 0; session < 8; session++) {
        for (int i = 0; i < 5; i++) {
            for (uint32_t k = 0; k < kSpecs.size(); k++) ASSERT_NO_FATAL_FAILURE(model.change(writer, k, 300));
            ASSERT_EQ(model.publish(writer), RHUMB_OK);
        }
        writer.close();
        writer = open(backend_, path_, true);
        ASSERT_TRUE(holds(reader, ancient)) << "session " << session;
    }
    EXPECT_TRUE(is_whole(reader));
    // A second reader of the same version in the same process, gone again, must not take the pin along.
    Handle other = open(backend_, path_, false);
    other.close();
    ASSERT_NO_FATAL_FAILURE(model.change(writer, 2, 300));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_TRUE(holds(reader, ancient));
}

TEST_F(Store, AllowsOneWriterAtATime) {
    Handle writer = create(backend_, path_);
    Model model(12);
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    store_harness *second = nullptr;
    EXPECT_EQ(store_harness_open(backend_, path_.c_str(), true, kSpecs.data(), kSpecs.size(), &second), RHUMB_E_LOCKED);
    EXPECT_EQ(store_harness_create(backend_, path_.c_str(), kSpecs.data(), kSpecs.size(), &second), RHUMB_E_EXISTS);
    EXPECT_EQ(second, nullptr);
    writer.close();
    Handle next = open(backend_, path_, true);
    EXPECT_NE(static_cast<store_harness *>(next), nullptr);
}

TEST_F(Store, RefusesSectionsOfAnotherShape) {
    const std::vector<store_harness_spec> specs = {{1, false, 1, false, 8, 1 << 20}, {2, true, 1, false, 64, 1 << 20}};
    Model model(13, specs);
    Handle writer = create(backend_, path_, specs);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 100));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    const auto status_with = [&](std::vector<store_harness_spec> changed, bool writable) {
        store_harness *harness = nullptr;
        const rhumb_status status =
            store_harness_open(backend_, path_.c_str(), writable, changed.data(), changed.size(), &harness);
        store_harness_close(harness);
        if (status != RHUMB_OK) {
            EXPECT_EQ(path_, rhumb__error_last()->path);
        }
        return status;
    };
    for (const bool writable : {false, true}) {
        auto changed = specs;
        changed[0].row_stride_bytes = 16;
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_CORRUPT);
        changed = specs;
        changed[1].is_mutable = false;
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_CORRUPT);
        changed = specs;
        changed[0].version = 2;
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_VERSION);
        changed = specs;
        changed[0].row_limit = 99;
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_CORRUPT);
        changed = specs;
        changed[1].id = 3; // 3 is missing; 2 would be unknown
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_CORRUPT);
        changed = {specs[0]}; // 2 is required and unknown
        EXPECT_EQ(status_with(changed, writable), RHUMB_E_VERSION);
        EXPECT_EQ(status_with(specs, writable), RHUMB_OK);
    }
}

TEST_F(Store, UnknownOptionalSectionsAreSkippedByReadersAndDroppedByWriters) {
    const std::vector<store_harness_spec> both = {{1, false, 1, false, 8, 1 << 20}, {2, true, 1, true, 64, 1 << 20}};
    const std::vector<store_harness_spec> one = {both[0]};
    Model model(14, both);
    Handle writer = create(backend_, path_, both);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 1000));
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 1, 1000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    const Rows kept = {model.rows()[0]};
    Handle reader = open(backend_, path_, false, one);
    EXPECT_TRUE(holds(reader, kept, one));
    EXPECT_TRUE(is_whole(reader));
    reader.close();

    writer = open(backend_, path_, true, one);
    EXPECT_TRUE(holds(writer, kept, one));
    const uint64_t count = 1000;
    ASSERT_EQ(store_harness_publish(writer, &count, nullptr, nullptr, nullptr, nullptr), RHUMB_OK);
    writer.close();

    // A writer that knows the section begins it again, empty.
    writer = open(backend_, path_, true, both);
    EXPECT_TRUE(holds(writer, {kept[0], {}}, both));
}

TEST_F(Store, RowLimitsAreEnforced) {
    const std::vector<store_harness_spec> specs = {{1, true, 1, false, 64, 1000}};
    Handle writer = create(backend_, path_, specs);
    EXPECT_EQ(store_harness_ensure(writer, 0, 1000), RHUMB_OK);
    EXPECT_EQ(store_harness_ensure(writer, 0, 100000), RHUMB_E_FULL);
}

// The file ends in appended bytes that are less than a block. It then has only a part of its last block, and a version
// whose length included the whole block would not open.
TEST_F(Store, AFileOfOddLengthCanBeOpened) {
    Model model(15);
    Handle writer = create(backend_, path_);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 100));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    // While an old version is pinned, a writer keeps its hands off everything that the newest two do not use.
    Handle reader = open(backend_, path_, false);
    for (int i = 0; i < 4; i++) ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    ASSERT_EQ(truncate(path_.c_str(), static_cast<off_t>(file_length(path_) + 1000)), 0);
    for (int i = 0; i < 3; i++) {
        writer = open(backend_, path_, true);
        ASSERT_NE(static_cast<store_harness *>(writer), nullptr);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        writer.close();
        Handle fresh = open(backend_, path_, false);
        ASSERT_NE(static_cast<store_harness *>(fresh), nullptr);
        EXPECT_TRUE(holds(fresh, model.rows()));
    }
}

// The superblock that a writer finds may be in the page cache only, if the sync of the process that wrote it failed.
// Here the disk gets what it would have in that case, without the writer's knowledge; the next version must not be
// built on that.
TEST_F(Store, TheVersionFoundIsMadeDurableBeforeTheNextOne) {
    Model model(23);
    Handle writer = create(backend_, path_);
    for (int i = 0; i < 3; i++) ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const std::vector<uint8_t> older = io_test::file_bytes(path_); // epoch 3 in slot 1
    for (int i = 0; i < 2; i++) ASSERT_EQ(model.publish(writer), RHUMB_OK);
    writer.close();
    const std::vector<uint8_t> newest = io_test::file_bytes(path_); // epoch 5 in slot 1
    writer = open(backend_, path_, true);
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    for (const off_t place : {16384, 98304}) ASSERT_EQ(pwrite(fd, &older[place], 4096, place), 4096);
    close(fd);
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    const std::vector<uint8_t> after = io_test::file_bytes(path_);
    for (const size_t place : {16384, 98304}) EXPECT_EQ(memcmp(&after[place], &newest[place], 4096), 0) << place;
    Handle reader = open(backend_, path_, false);
    EXPECT_EQ(store_harness_superblock(reader)->epoch, 6u);
}

TEST_F(Store, DamageIsCountedAndDescribed) {
    Model model(16);
    Handle writer = create(backend_, path_);
    for (uint32_t i = 0; i < kSpecs.size(); i++) ASSERT_NO_FATAL_FAILURE(model.append(writer, i, 3000));
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_TRUE(is_whole(writer));
    Handle reader = open(backend_, path_, false);
    std::vector<uint8_t> bytes = io_test::file_bytes(path_);
    const uint8_t *row = store_harness_row(reader, 2, 2000); // in the second chunk
    size_t place = 0;
    while (memcmp(&bytes[place], row, 64) != 0) place += 64;
    bytes[place] ^= 1;
    FILE *file = fopen(path_.c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(fseek(file, static_cast<long>(place), SEEK_SET), 0);
    ASSERT_EQ(fwrite(&bytes[place], 1, 1, file), 1u);
    ASSERT_EQ(fclose(file), 0);
    for (store_harness *store : {static_cast<store_harness *>(writer), static_cast<store_harness *>(reader)}) {
        uint64_t chunk_count = 0;
        uint64_t error_count = 0;
        char first_error[512];
        ASSERT_EQ(store_harness_verify(store, &chunk_count, &error_count, first_error), RHUMB_OK);
        EXPECT_EQ(error_count, 1u);
        EXPECT_GT(chunk_count, 10u);
        EXPECT_NE(strstr(first_error, "section 3, chunk 1 at file offset"), nullptr) << first_error;
    }
}

} // namespace
} // namespace store_test
