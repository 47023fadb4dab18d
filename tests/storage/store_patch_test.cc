// Goal: a few changed rows are published as patches, and no reader can tell: the version, its checksums
// and its predecessors read as if whole granules had been written. Method: synthetic sections of several row lengths
// against a model in memory, with limits so small that the area of patches fills up every few versions; faults; and
// patches that a hostile writer made.
#include "tests/support/file_image.h"
#include "tests/support/io_fault.h"
#include "tests/support/sanitized.h"
#include "tests/support/store_test_support.h"

extern "C" {
#include "base/crc32c.h"
}

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace store_test {
namespace {

using rhumb_test::FileImage;

// Rows of one and two units, of half a unit, of 2,176 bytes (an odd multiple of 128), and an append-only section.
const std::vector<store_harness_spec> kPatched = {{1, true, 1, false, 128, 1 << 22},
                                                  {2, true, 1, false, 64, 1 << 22},
                                                  {3, true, 1, false, 256, 1 << 22},
                                                  {4, true, 1, false, 2176, 1 << 20},
                                                  {5, false, 1, false, 24, 1 << 22}};

class StorePatch : public ::testing::Test {
  protected:
    ~StorePatch() override { store_harness_set_patch_limits(0, 0); }

    // A store with thousands of rows in each section, published.
    Handle filled(Model *model, const std::string &path) {
        Handle writer = create(backend_, path, kPatched);
        model->append(writer, 0, 5000); // ten chunks
        model->append(writer, 1, 5001); // an odd number: the last unit is half used
        model->append(writer, 2, 3000);
        model->append(writer, 3, 700);
        model->append(writer, 4, 1000);
        EXPECT_EQ(model->publish(writer), RHUMB_OK);
        return writer;
    }

    const rhumb__io_backend *backend_ = &rhumb_test::io_fault_backend;
    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("data");
};

// The header of the newest version's directory.
rhumb__directory_header header_of(const std::string &path) {
    std::vector<uint8_t> superblocks(RHUMB__CONTENT_OFFSET);
    rhumb__directory_header header = {};
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_EQ(pread(fd, superblocks.data(), superblocks.size(), 0), static_cast<ssize_t>(superblocks.size()));
    const uint64_t offset = FileImage(superblocks).directory_offset();
    EXPECT_EQ(pread(fd, &header, sizeof header, static_cast<off_t>(offset)), static_cast<ssize_t>(sizeof header));
    close(fd);
    return header;
}

struct Observed {
    uint64_t areas_continued = 0;
    uint64_t areas_anew = 0;
    uint64_t areas_emptied = 0;
};

TEST_F(StorePatch, VersionsReadAlikeHoweverTheyAreWritten) {
    const uint64_t seed = io_test::choose_seed();
    for (const uint64_t limit_bytes : {UINT64_C(4) << 20, UINT64_C(20000), UINT64_C(6000), UINT64_C(1)}) {
        SCOPED_TRACE(limit_bytes);
        store_harness_set_patch_limits(limit_bytes, 200);
        const std::string path = directory_.file("limit" + std::to_string(limit_bytes));
        Model model(seed, kPatched);
        Handle writer = filled(&model, path);
        std::vector<std::pair<Handle, Rows>> readers;
        Observed observed;
        rhumb__directory_header before = header_of(path);
        for (int i = 0; i < 40; i++) {
            for (uint32_t section = 0; section < kPatched.size(); section++) {
                if (model.random()() % 3 != 0) model.change(writer, section, model.random()() % 6);
                if (model.random()() % 4 == 0) model.append(writer, section, model.random()() % 8);
                if (model.random()() % 40 == 0) model.append(writer, section, model.random()() % 3000);
                if (model.random()() % 60 == 0) model.change(writer, section, 3000);
            }
            ASSERT_EQ(model.publish(writer), RHUMB_OK) << rhumb__error_last()->message;
            ASSERT_TRUE(holds(writer, model.rows(), kPatched)) << "writer, publication " << i;
            ASSERT_TRUE(is_whole(writer)) << "writer, publication " << i;
            const rhumb__directory_header header = header_of(path);
            observed.areas_emptied += header.patch_bytes == 0;
            observed.areas_anew += header.patch_bytes != 0 && header.patch_offset != before.patch_offset;
            observed.areas_continued += header.patch_bytes != 0 && header.patch_offset == before.patch_offset;
            before = header;
            if (i % 3 == 0 || i > 25) readers.emplace_back(open(backend_, path, false, kPatched), model.rows());
            if (i % 11 == 10) readers.clear();
            for (const auto &[reader, rows] : readers) {
                ASSERT_TRUE(holds(reader, rows, kPatched)) << "a reader, after publication " << i;
                ASSERT_TRUE(is_whole(reader)) << "a reader, after publication " << i;
            }
            if (i % 7 == 6) {
                writer.close();
                writer = open(backend_, path, true, kPatched);
                ASSERT_TRUE(holds(writer, model.rows(), kPatched)) << "reopened after publication " << i;
                ASSERT_TRUE(is_whole(writer));
            }
        }
        if (limit_bytes > 1) {
            EXPECT_GT(observed.areas_continued, 0u);
            EXPECT_GT(observed.areas_anew, 0u);
        } else {
            EXPECT_EQ(observed.areas_continued + observed.areas_anew, 0u);
        }
    }
}

// Both versions on the disk read rightly at every moment, also while the next one writes rows in place: as a reader
// finds them that opens the file later, and for readers that have had them open for that long.
TEST_F(StorePatch, ThePreviousVersionStaysWholeWhileRowsAreWrittenInPlace) {
    store_harness_set_patch_limits(3000, 1000);
    Model model(31, kPatched);
    Handle writer = filled(&model, path_);
    Rows before;
    Rows newest = model.rows();
    uint64_t in_place_count = 0;
    std::pair<Handle, Rows> readers[2];
    for (int i = 0; i < 60; i++) {
        readers[i % 2].first.close();
        readers[i % 2] = {open(backend_, path_, false, kPatched), model.rows()};
        for (uint32_t section = 0; section < 3; section++) model.change(writer, section, 2);
        before = newest;
        newest = model.rows();
        const rhumb__directory_header header = header_of(path_);
        const FileImage older = FileImage::load(path_);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        const rhumb__directory_header next = header_of(path_);
        in_place_count += next.patch_offset != header.patch_offset && next.patch_bytes < header.patch_bytes;
        for (auto &[reader, rows] : readers) {
            if (i == 0 && rows.empty()) continue;
            ASSERT_TRUE(holds(reader, rows, kPatched)) << "a reader, after publication " << i;
            ASSERT_TRUE(is_whole(reader));
        }
        // The version before, as if the newest superblock had never reached the disk.
        FileImage image = FileImage::load(path_);
        const uint32_t slot = image.newest_slot();
        for (uint32_t copy = 0; copy < 2; copy++) image.put_superblock(older.superblock(slot, copy), slot, copy);
        const std::string previous = directory_.file("previous");
        ASSERT_TRUE(image.save(previous));
        Handle reader = open(backend_, previous, false, kPatched);
        ASSERT_NE(static_cast<store_harness *>(reader), nullptr);
        ASSERT_TRUE(holds(reader, before, kPatched)) << "before publication " << i;
        ASSERT_TRUE(is_whole(reader));
        reader.close();
        ASSERT_EQ(unlink(previous.c_str()), 0);
    }
    EXPECT_GT(in_place_count, 5u);
}

// A pinned version that is older than those on the disk has rows without a patch that newer versions patch.
TEST_F(StorePatch, NothingIsWrittenInPlaceUnderAnOlderReader) {
    store_harness_set_patch_limits(3000, 1000);
    Model model(32, kPatched);
    Handle writer = filled(&model, path_);
    const Rows pinned = model.rows();
    Handle reader = open(backend_, path_, false, kPatched);
    for (int i = 0; i < 40; i++) {
        for (uint32_t section = 0; section < 3; section++) model.change(writer, section, 2);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        ASSERT_TRUE(holds(reader, pinned, kPatched)) << i;
        ASSERT_TRUE(is_whole(reader)) << i;
        ASSERT_TRUE(holds(open(backend_, path_, false, kPatched), model.rows(), kPatched)) << i;
    }
}

// The cost of a publication follows from what has changed, and that of opening is bounded.
TEST_F(StorePatch, FewChangesCostLittle) {
    Model model(33, kPatched);
    Handle writer = create(backend_, path_, kPatched);
    ASSERT_NO_FATAL_FAILURE(model.append(writer, 0, 200000)); // 24 MiB
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    struct stat info = {};
    uint64_t sum_bytes = 0;
    constexpr int kCount = rhumb_test::kSanitized ? 80 : 300;
    for (int i = 0; i < kCount; i++) {
        model.change(writer, 0, 300);
        model.append(writer, 0, 10);
        uint64_t bytes = 0;
        ASSERT_EQ(model.publish(writer, &bytes), RHUMB_OK);
        if (i == 20) {
            EXPECT_LT(sum_bytes / 20, 150000u) << "while the area grows";
        }
        sum_bytes += bytes;
        ASSERT_LE(header_of(path_).patch_bytes, UINT64_C(4) << 20);
    }
    EXPECT_LT(sum_bytes / kCount, 800000u);
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_LT(info.st_size, 90 << 20);
    EXPECT_TRUE(holds(open(backend_, path_, false, kPatched), model.rows(), kPatched));
}

// Rows added to the last chunk are written alone.
TEST_F(StorePatch, NewRowsAreWrittenAlone) {
    Model model(34, kPatched);
    Handle writer = filled(&model, path_);
    uint64_t unchanged_bytes = 0;
    ASSERT_EQ(model.publish(writer, &unchanged_bytes), RHUMB_OK);
    for (int i = 0; i < 30; i++) {
        model.append(writer, 1, 3); // half a unit at the beginning or at the end
        uint64_t bytes = 0;
        ASSERT_EQ(model.publish(writer, &bytes), RHUMB_OK);
        EXPECT_LE(bytes, unchanged_bytes + 3 * 128 + (i > 10 ? 4096 : 512)) << i;
        ASSERT_TRUE(holds(open(backend_, path_, false, kPatched), model.rows(), kPatched)) << i;
    }
}

// What is published is what the filter makes of the rows, in patches too.
TEST_F(StorePatch, PatchesAreFiltered) {
    Model model(35, kPatched);
    Handle writer = filled(&model, path_);
    const auto filter = [](void *, uint32_t section, uint64_t first_row, uint8_t *rows, uint64_t row_count) {
        if (section != 0 || first_row > 700 || first_row + row_count <= 700) return false;
        uint8_t *row = rows + (700 - first_row) * 128;
        const bool changed = row[5] != 77;
        row[5] = 77;
        return changed;
    };
    for (const uint64_t changed_row : {700u, 701u, 900u}) {
        model.change_row(writer, 0, changed_row);
        ASSERT_EQ(store_harness_publish(writer, model.row_counts().data(), nullptr, filter, nullptr, nullptr),
                  RHUMB_OK);
        EXPECT_EQ(store_harness_dirty_count(writer, 0), 1u) << "memory has more than the file";
        EXPECT_TRUE(holds(writer, model.rows(), kPatched));
        Rows expected = model.rows();
        expected[0][700 * 128 + 5] = 77;
        Handle reader = open(backend_, path_, false, kPatched);
        EXPECT_TRUE(holds(reader, expected, kPatched)) << changed_row;
        EXPECT_TRUE(is_whole(reader));
    }
    ASSERT_EQ(model.publish(writer), RHUMB_OK);
    EXPECT_EQ(store_harness_dirty_count(writer, 0), 0u);
    EXPECT_TRUE(holds(open(backend_, path_, false, kPatched), model.rows(), kPatched));
}

// A publication that fails at any call leaves the version before, and what it had copied is published by the next one.
TEST_F(StorePatch, AFailureLeavesEveryChangeToTheNextPublication) {
    using rhumb_test::IoCall;
    for (const int os_errno : {EIO, ENOSPC}) {
        for (uint64_t n = 1;; n++) {
            ASSERT_LT(n, 400u);
            SCOPED_TRACE(n);
            store_harness_set_patch_limits(2000, 1000);
            Model model(36, kPatched);
            Handle writer = filled(&model, path_);
            for (int i = 0; i < 3; i++) {
                for (uint32_t section = 0; section < 4; section++) model.change(writer, section, 1);
                ASSERT_EQ(model.publish(writer), RHUMB_OK);
            }
            const Rows published = model.rows();
            for (uint32_t section = 0; section < 4; section++) {
                model.change(writer, section, 1);
                model.append(writer, section, 3);
            }
            rhumb_test::IoFault fault;
            fault.call_number = n;
            fault.os_errno = os_errno;
            rhumb_test::io_fault_arm(fault);
            const rhumb_status status = model.publish(writer);
            const IoCall hit = rhumb_test::io_fault_hit();
            rhumb_test::io_fault_arm({});
            if (status != RHUMB_OK) {
                Handle reader = open(backend_, path_, false, kPatched);
                EXPECT_TRUE(is_whole(reader));
                if (!store_harness_failed(writer)) {
                    EXPECT_TRUE(holds(reader, published, kPatched));
                    EXPECT_EQ(model.publish(writer), RHUMB_OK);
                }
            }
            if (!store_harness_failed(writer)) {
                Handle reader = open(backend_, path_, false, kPatched);
                EXPECT_TRUE(holds(reader, model.rows(), kPatched));
                EXPECT_TRUE(is_whole(reader));
            }
            writer.close();
            ASSERT_EQ(unlink(path_.c_str()), 0);
            if (hit == IoCall::kCount || HasFailure()) break;
        }
    }
}

// ---- patches that are not as they should be ----

class HostilePatch : public StorePatch {
  protected:
    void SetUp() override {
        Model model(37, kPatched);
        Handle writer = filled(&model, path_);
        for (uint32_t section = 0; section < 4; section++) model.change_row(writer, section, 600);
        ASSERT_EQ(model.publish(writer), RHUMB_OK);
        writer.close();
        image_ = FileImage::load(path_);
        header_ = image_.directory_header();
        ASSERT_EQ(header_.patch_count, 4u);
    }

    // Opens the changed image. With `mends` the checksums are right, so that what is behind them is found.
    rhumb_status open_image(bool mends) {
        FileImage image = image_;
        if (mends) {
            rhumb__directory_header header = image.directory_header();
            const uint64_t end = image.bytes().size();
            if (header.patch_offset <= end && header.patch_bytes <= end - header.patch_offset) {
                header.patch_crc = rhumb__crc32c(0, image.bytes().data() + header.patch_offset, header.patch_bytes);
            }
            image.put(image.directory_offset(), header);
        }
        image.mend_root();
        image.mend_superblocks();
        const std::string path = directory_.file("hostile");
        EXPECT_TRUE(image.save(path));
        rhumb_status status = RHUMB_OK;
        for (const bool writable : {false, true}) {
            store_harness *store = nullptr;
            status = store_harness_open(backend_, path.c_str(), writable, kPatched.data(), kPatched.size(), &store);
            store_harness_close(store);
            EXPECT_TRUE(status == RHUMB_OK || rhumb__error_last()->message[0] != '\0');
        }
        return status;
    }

    void put_header(const rhumb__directory_header &header) { image_.put(image_.directory_offset(), header); }

    FileImage image_;
    rhumb__directory_header header_ = {};
};

TEST_F(HostilePatch, AFlippedByteIsFoundAtOpening) {
    EXPECT_EQ(open_image(false), RHUMB_OK);
    for (uint64_t i = 0; i < header_.patch_bytes; i += 37) {
        image_.bytes()[header_.patch_offset + i] ^= 0x10;
        EXPECT_EQ(open_image(false), RHUMB_E_CORRUPT) << i;
        image_.bytes()[header_.patch_offset + i] ^= 0x10;
    }
}

TEST_F(HostilePatch, FieldsOfTheHeaderAreChecked) {
    const auto refused = [&](void (*change)(rhumb__directory_header *), const char *what) {
        rhumb__directory_header header = header_;
        change(&header);
        put_header(header);
        EXPECT_EQ(open_image(true), RHUMB_E_CORRUPT) << what;
        put_header(header_);
    };
    refused([](auto *h) { h->patch_offset += 4096; }, "not at a block");
    refused([](auto *h) { h->patch_offset = 0; }, "in the superblocks");
    refused([](auto *h) { h->patch_offset = UINT64_C(1) << 60; }, "far away");
    refused([](auto *h) { h->patch_bytes = UINT64_MAX; }, "longer than everything");
    refused([](auto *h) { h->patch_bytes = (UINT64_C(16) << 20) + 1; }, "longer than patches can be");
    refused([](auto *h) { h->patch_bytes -= 1; }, "cut in a patch");
    refused([](auto *h) { h->patch_bytes += 128; }, "followed by something");
    refused([](auto *h) { h->patch_count++; }, "one more");
    refused([](auto *h) { h->patch_count = 0; }, "none");
    refused([](auto *h) { h->patch_bytes = 0; }, "some, of no bytes");
    const rhumb__extent extent = image_.get<rhumb__extent>(image_.extent_offset(0));
    rhumb__directory_header header = header_;
    header.patch_offset = extent.file_offset;
    put_header(header);
    EXPECT_EQ(open_image(true), RHUMB_E_CORRUPT) << "in a section";
}

TEST_F(HostilePatch, EachPatchIsChecked) {
    const rhumb__patch_header first = image_.get<rhumb__patch_header>(header_.patch_offset);
    ASSERT_EQ(first.section_id, 1u);
    ASSERT_EQ(first.bytes, 128u);
    const auto outcome = [&](uint32_t section_id, uint32_t bytes, uint64_t section_offset) {
        image_.put(header_.patch_offset, rhumb__patch_header{section_id, bytes, section_offset});
        const rhumb_status status = open_image(true);
        image_.put(header_.patch_offset, first);
        return status;
    };
    EXPECT_EQ(outcome(1, 128, 0), RHUMB_OK);
    EXPECT_EQ(outcome(1, 128, 4999 * 128), RHUMB_OK) << "the last row";
    EXPECT_EQ(outcome(1, 128, 5000 * 128), RHUMB_E_CORRUPT) << "after the last row";
    EXPECT_EQ(outcome(1, 128, UINT64_MAX - 127), RHUMB_E_CORRUPT);
    EXPECT_EQ(outcome(1, 128, 64), RHUMB_E_CORRUPT) << "not at a unit";
    EXPECT_EQ(outcome(1, 0, 0), RHUMB_E_CORRUPT);
    EXPECT_EQ(outcome(1, 64, 0), RHUMB_E_CORRUPT);
    EXPECT_EQ(outcome(1, 256, 0), RHUMB_E_CORRUPT) << "the next patch is in its bytes";
    EXPECT_EQ(outcome(1, UINT32_MAX - 127, 0), RHUMB_E_CORRUPT);
    EXPECT_EQ(outcome(1, 256, 65536 - 128), RHUMB_E_CORRUPT) << "in two chunks";
    EXPECT_EQ(outcome(4, 128, 0), RHUMB_E_CORRUPT) << "not a unit of that section";
    EXPECT_EQ(outcome(5, 128, 0), RHUMB_E_CORRUPT) << "of an append-only section";
    EXPECT_EQ(outcome(99, 128, 0), RHUMB_E_CORRUPT) << "of no section";
}

} // namespace
} // namespace store_test
