// Goal: of the copies of both superblocks the right one is read, whichever are damaged; a strict reader checks what it
// says before it is used, and a lenient one finds every version that is left. Method: superblocks written by the code
// under test, then changed byte by byte.
#include "tests/support/io_test_support.h"

#include <cstddef>

extern "C" {
#include "base/crc32c.h"
#include "storage/frame/frame_reader.h"
}

namespace {

using io_test::Handle;
using io_test::ScratchDirectory;

constexpr uint64_t kFileBytes = 4 * RHUMB__BLOCK_BYTES;

uint64_t place_of(uint32_t index, uint32_t copy) { return index * UINT64_C(16384) + copy * UINT64_C(81920); }

class FrameReader : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = directory_.file("data");
        ASSERT_EQ(rhumb__io_open(&rhumb__io_plain, path_.c_str(), RHUMB__IO_CREATE, &io_), RHUMB_OK);
        ASSERT_EQ(rhumb__io_resize(io_, kFileBytes), RHUMB_OK);
    }
    void TearDown() override { rhumb__io_close(io_); }

    rhumb__superblock make(uint64_t epoch) {
        rhumb__superblock superblock = {};
        superblock.epoch = epoch;
        superblock.file_bytes = kFileBytes;
        superblock.directory_offset = RHUMB__CONTENT_OFFSET;
        superblock.root_bytes = sizeof(rhumb__directory_header);
        superblock.directory_bytes = 100;
        superblock.client[5] = static_cast<uint8_t>(epoch);
        return superblock;
    }
    void write(uint64_t epoch) {
        rhumb__superblock superblock = make(epoch);
        if (epoch == 1) {
            ASSERT_EQ(rhumb__superblock_write_none(io_, &superblock), RHUMB_OK);
        }
        ASSERT_EQ(rhumb__superblock_write(io_, &superblock), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
    }
    // Writes a superblock as it is, with the right checksum, into one copy.
    void put(rhumb__superblock superblock, uint32_t index, uint32_t copy) {
        superblock.magic = RHUMB__MAGIC;
        if (superblock.format_version == 0) superblock.format_version = RHUMB__FORMAT_VERSION;
        if (superblock.block_bytes == 0) superblock.block_bytes = RHUMB__BLOCK_BYTES;
        superblock.crc = 0;
        superblock.crc = rhumb__crc32c(0, &superblock, sizeof superblock);
        ASSERT_EQ(rhumb__io_write(io_, &superblock, sizeof superblock, place_of(index, copy)), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
    }
    void flip(uint64_t offset) {
        uint8_t byte = 0;
        ASSERT_EQ(rhumb__io_read(io_, &byte, 1, offset), RHUMB_OK);
        byte ^= 0x10;
        ASSERT_EQ(rhumb__io_write(io_, &byte, 1, offset), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
    }
    rhumb_status read(bool for_writing = false) {
        memset(&newest_, 0, sizeof newest_);
        memset(&previous_, 0, sizeof previous_);
        has_previous_ = false;
        rhumb__frame_versions found;
        const rhumb_status status =
            rhumb__frame_find(io_, for_writing ? RHUMB__FRAME_WRITE : RHUMB__FRAME_READ, &found);
        if (status != RHUMB_OK) return status;
        newest_ = found.items[0];
        previous_ = found.items[1];
        has_previous_ = found.count > 1;
        return RHUMB_OK;
    }

    ScratchDirectory directory_;
    std::string path_;
    rhumb__io *io_ = nullptr;
    rhumb__superblock newest_;
    rhumb__superblock previous_;
    bool has_previous_ = false;
};

TEST_F(FrameReader, SuperblocksAreUsedInTurnAndTheNewestIsRead) {
    for (uint64_t epoch = 1; epoch <= 5; epoch++) {
        ASSERT_NO_FATAL_FAILURE(write(epoch));
        ASSERT_EQ(read(true), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_EQ(newest_.epoch, epoch);
        EXPECT_EQ(newest_.client[5], epoch);
        EXPECT_EQ(has_previous_, epoch > 1);
        if (has_previous_) {
            EXPECT_EQ(previous_.epoch, epoch - 1);
        }
        for (uint32_t copy = 0; copy < 2; copy++) {
            rhumb__superblock stored;
            ASSERT_EQ(rhumb__io_read(io_, &stored, sizeof stored, place_of(epoch % 2, copy)), RHUMB_OK);
            EXPECT_EQ(stored.epoch, epoch);
        }
    }
}

TEST_F(FrameReader, OneDamagedCopyOfEachSuperblockHasNoEffect) {
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(7));
    for (uint32_t damaged = 0; damaged < 4; damaged++) {
        const uint64_t first = place_of(0, damaged % 2) + 16 * damaged;
        const uint64_t second = place_of(1, damaged / 2) + 4095 - damaged;
        ASSERT_NO_FATAL_FAILURE(flip(first));
        ASSERT_NO_FATAL_FAILURE(flip(second));
        ASSERT_EQ(read(), RHUMB_OK);
        EXPECT_EQ(newest_.epoch, 7u);
        EXPECT_TRUE(has_previous_);
        EXPECT_EQ(previous_.epoch, 6u);
        ASSERT_NO_FATAL_FAILURE(flip(first));
        ASSERT_NO_FATAL_FAILURE(flip(second));
    }
}

// The copies are written one after the other, so a crash leaves one of them whole.
TEST_F(FrameReader, ATornCopyLeavesThePreviousVersion) {
    ASSERT_NO_FATAL_FAILURE(write(5));
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(put(make(7), 1, 0));
    ASSERT_NO_FATAL_FAILURE(flip(place_of(1, 0) + 600));
    ASSERT_EQ(read(), RHUMB_OK);
    EXPECT_EQ(newest_.epoch, 6u);
    EXPECT_TRUE(has_previous_);
}

TEST_F(FrameReader, ANewerVersionThatMayBeLostIsNotPassedOver) {
    ASSERT_NO_FATAL_FAILURE(write(5));
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(7));
    for (const bool whole : {false, true}) {
        const std::vector<uint8_t> noise(whole ? 4096 : 1, 0xA5);
        for (uint32_t copy = 0; copy < 2; copy++) {
            ASSERT_EQ(rhumb__io_write(io_, noise.data(), noise.size(), place_of(1, copy)), RHUMB_OK);
            ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
        }
        EXPECT_EQ(read(), RHUMB_E_CORRUPT);
        EXPECT_EQ(rhumb__error_last()->file_offset, place_of(1, 0));
        EXPECT_NE(strstr(rhumb__error_last()->message, "repair"), nullptr) << rhumb__error_last()->message;
    }
    const std::vector<uint8_t> zeros(4096);
    for (uint32_t copy = 0; copy < 2; copy++) {
        ASSERT_EQ(rhumb__io_write(io_, zeros.data(), zeros.size(), place_of(1, copy)), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io_), RHUMB_OK);
    }
    EXPECT_EQ(read(), RHUMB_E_CORRUPT) << "also when it has been wiped";
}

TEST_F(FrameReader, TheHigherStampOfOneEpochIsRead) {
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(7));
    rhumb__superblock superblock = make(7);
    superblock.stamp = 1;
    superblock.history = 99;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
    ASSERT_EQ(read(), RHUMB_OK);
    EXPECT_EQ(newest_.history, 99u);
    ASSERT_NO_FATAL_FAILURE(put(make(7), 1, 0));
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 1));
    ASSERT_EQ(read(), RHUMB_OK);
    EXPECT_EQ(newest_.history, 99u);
}

TEST_F(FrameReader, CopiesThatAreDamagedAreCounted) {
    rhumb__frame_versions found;
    ASSERT_NO_FATAL_FAILURE(write(1));
    ASSERT_EQ(rhumb__frame_find(io_, RHUMB__FRAME_READ, &found), RHUMB_OK);
    EXPECT_EQ(found.damaged_count, 0u);
    ASSERT_NO_FATAL_FAILURE(flip(place_of(1, 1) + 9));
    ASSERT_NO_FATAL_FAILURE(flip(place_of(0, 1) + 9));
    ASSERT_EQ(rhumb__frame_find(io_, RHUMB__FRAME_READ, &found), RHUMB_OK);
    EXPECT_EQ(found.damaged_count, 2u);
    EXPECT_EQ(found.damaged_offset, place_of(0, 1));
}

TEST_F(FrameReader, TheNewerOfTwoValidCopiesIsRead) {
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(7));
    ASSERT_NO_FATAL_FAILURE(put(make(8), 0, 1)); // copy 0 still has epoch 6
    ASSERT_EQ(read(), RHUMB_OK);
    EXPECT_EQ(newest_.epoch, 8u);
    EXPECT_EQ(previous_.epoch, 7u);
}

TEST_F(FrameReader, ExplainsWhyNoCopyIsValid) {
    EXPECT_EQ(read(), RHUMB_E_NOT_AN_INDEX);
    EXPECT_NE(strstr(rhumb__error_last()->message, "interrupted"), nullptr) << rhumb__error_last()->message;
    ASSERT_NO_FATAL_FAILURE(write(2));
    ASSERT_NO_FATAL_FAILURE(flip(place_of(0, 0) + 700));
    ASSERT_NO_FATAL_FAILURE(flip(place_of(0, 1) + 701));
    EXPECT_EQ(read(), RHUMB_E_CORRUPT);
    ASSERT_EQ(rhumb__io_write(io_, "PK\3\4", 4, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io_, "PK\3\4", 4, place_of(0, 1)), RHUMB_OK);
    EXPECT_EQ(read(), RHUMB_E_NOT_AN_INDEX);
    EXPECT_EQ(path_, rhumb__error_last()->path);
}

TEST_F(FrameReader, AFileOfAnyLengthIsReported) {
    for (const uint64_t bytes : {0, 1, 100, 4095, 4096, 32768, 81920, 98304 + 4095}) {
        ASSERT_EQ(rhumb__io_resize(io_, bytes), RHUMB_OK);
        EXPECT_EQ(read(), RHUMB_E_NOT_AN_INDEX) << bytes;
    }
}

TEST_F(FrameReader, FeatureBitsRestrictHowAFileMayBeOpened) {
    ASSERT_NO_FATAL_FAILURE(write(2));
    rhumb__superblock superblock = make(3);
    superblock.features_compatible = UINT64_C(1) << 40;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
    EXPECT_EQ(read(true), RHUMB_OK);
    superblock.features_read = 4;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
    EXPECT_EQ(read(false), RHUMB_OK);
    EXPECT_EQ(read(true), RHUMB_E_READONLY);
    superblock.features_incompatible = UINT64_C(1) << 63;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
    EXPECT_EQ(read(false), RHUMB_E_VERSION);
    EXPECT_EQ(rhumb__error_last()->file_offset, place_of(1, 0) + offsetof(rhumb__superblock, features_incompatible));
}

TEST_F(FrameReader, ContradictionsAreErrorsAndNeverLeadToAnOlderVersion) {
    struct Case {
        const char *what;
        void (*change)(rhumb__superblock *);
        rhumb_status status;
    };
    const Case cases[] = {
        {"older format version", [](rhumb__superblock *s) { s->format_version = RHUMB__FORMAT_VERSION - 1; },
         RHUMB_E_VERSION},
        {"newer format version", [](rhumb__superblock *s) { s->format_version = RHUMB__FORMAT_VERSION + 1; },
         RHUMB_E_VERSION},
        {"largest format version", [](rhumb__superblock *s) { s->format_version = UINT32_MAX; }, RHUMB_E_VERSION},
        {"block size", [](rhumb__superblock *s) { s->block_bytes = 4096; }, RHUMB_E_VERSION},
        {"place", [](rhumb__superblock *s) { s->epoch = 8; }, RHUMB_E_CORRUPT},
        {"epoch that no lock can name", [](rhumb__superblock *s) { s->epoch = UINT64_MAX; }, RHUMB_E_CORRUPT},
        {"epoch next to that", [](rhumb__superblock *s) { s->epoch = (UINT64_C(1) << 61) + 1; }, RHUMB_E_CORRUPT},
        {"length", [](rhumb__superblock *s) { s->file_bytes = kFileBytes + 1; }, RHUMB_E_TRUNCATED},
        {"directory in block 0", [](rhumb__superblock *s) { s->directory_offset = 0; }, RHUMB_E_CORRUPT},
        {"directory in block 1", [](rhumb__superblock *s) { s->directory_offset = RHUMB__BLOCK_BYTES; },
         RHUMB_E_CORRUPT},
        {"directory not at a block", [](rhumb__superblock *s) { s->directory_offset += 8; }, RHUMB_E_CORRUPT},
        {"directory after the end", [](rhumb__superblock *s) { s->directory_offset = kFileBytes; }, RHUMB_E_CORRUPT},
        {"directory far after the end", [](rhumb__superblock *s) { s->directory_offset = UINT64_MAX << 16; },
         RHUMB_E_CORRUPT},
        {"directory too long", [](rhumb__superblock *s) { s->directory_bytes = kFileBytes; }, RHUMB_E_CORRUPT},
        {"directory far too long", [](rhumb__superblock *s) { s->directory_bytes = UINT64_MAX; }, RHUMB_E_CORRUPT},
        {"root longer", [](rhumb__superblock *s) { s->root_bytes = 101; }, RHUMB_E_CORRUPT},
        {"root too short", [](rhumb__superblock *s) { s->root_bytes = 31; }, RHUMB_E_CORRUPT},
    };
    for (const Case &entry : cases) {
        ASSERT_NO_FATAL_FAILURE(write(6));
        rhumb__superblock superblock = make(7);
        entry.change(&superblock);
        ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
        ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 1));
        EXPECT_EQ(read(), entry.status) << entry.what;
        EXPECT_EQ(path_, rhumb__error_last()->path) << entry.what;
        EXPECT_NE(rhumb__error_last()->file_offset, UINT64_MAX) << entry.what;
    }
}

// The message says what, where, expected, found, and the way on; also when no copy has the checksum of this version, as
// a later one may compute it otherwise.
TEST_F(FrameReader, OtherFormatVersionsAreRefusedWithWhatToDo) {
    for (const bool is_valid : {true, false}) {
        for (const uint32_t version : {1u, RHUMB__FORMAT_VERSION + 1}) {
            rhumb__superblock superblock = make(1);
            superblock.format_version = version;
            for (uint32_t copy = 0; copy < 2; copy++) {
                ASSERT_NO_FATAL_FAILURE(put(superblock, 1, copy));
                if (!is_valid) flip(place_of(1, copy) + 2000);
            }
            EXPECT_EQ(read(), RHUMB_E_VERSION);
            const std::string message = rhumb__error_last()->message;
            const std::string numbers = "format version: expected " + std::to_string(RHUMB__FORMAT_VERSION) +
                                        ", found " + std::to_string(version);
            EXPECT_EQ(message.rfind(numbers, 0), 0u) << message;
            const char *way_on = version == 1 ? "build the index again" : "a newer rhumb";
            EXPECT_NE(message.find(way_on), std::string::npos) << message;
            EXPECT_EQ(path_, rhumb__error_last()->path);
        }
    }
}

// Only writers read the previous version, to spare its blocks. It must be checked as well: a root shorter than its
// header once made a writer read past the end of a buffer.
TEST_F(FrameReader, ThePreviousVersionIsCheckedToo) {
    ASSERT_NO_FATAL_FAILURE(write(7));
    rhumb__superblock superblock = make(6);
    superblock.root_bytes = 4;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 0, 0));
    ASSERT_EQ(read(true), RHUMB_OK);
    EXPECT_FALSE(has_previous_);
    superblock = make(6);
    superblock.file_bytes = UINT64_MAX / 2;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 0, 0));
    ASSERT_EQ(read(true), RHUMB_OK);
    EXPECT_FALSE(has_previous_);
    ASSERT_NO_FATAL_FAILURE(put(make(6), 0, 0));
    ASSERT_EQ(read(true), RHUMB_OK);
    EXPECT_TRUE(has_previous_);
}

class LenientFrameReader : public FrameReader {
  protected:
    rhumb_status find() { return rhumb__frame_find(io_, RHUMB__FRAME_LENIENT, &found_); }
    void damage(uint32_t index) {
        ASSERT_NO_FATAL_FAILURE(flip(place_of(index, 0) + 700));
        ASSERT_NO_FATAL_FAILURE(flip(place_of(index, 1) + 701));
    }
    rhumb__frame_versions found_;
};

TEST_F(LenientFrameReader, FindsEveryValidVersionTheNewestFirst) {
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(3)); // not the previous one, and found all the same
    ASSERT_EQ(find(), RHUMB_OK);
    ASSERT_EQ(found_.count, 2u);
    EXPECT_EQ(found_.items[0].epoch, 6u);
    EXPECT_EQ(found_.items[1].epoch, 3u);
    EXPECT_FALSE(found_.newest_lost);
    ASSERT_EQ(read(), RHUMB_OK);
    EXPECT_FALSE(has_previous_) << "a strict reader knows nothing of epoch 3";
}

TEST_F(LenientFrameReader, LeavesContradictionsToTheCheckOfAVersion) {
    ASSERT_NO_FATAL_FAILURE(write(6));
    rhumb__superblock superblock = make(7);
    superblock.root_bytes = 4;
    ASSERT_NO_FATAL_FAILURE(put(superblock, 1, 0));
    EXPECT_EQ(read(), RHUMB_E_CORRUPT);
    ASSERT_EQ(find(), RHUMB_OK);
    ASSERT_EQ(found_.count, 2u);
    EXPECT_EQ(rhumb__frame_check(io_, &found_, 0), RHUMB_E_CORRUPT);
    EXPECT_EQ(rhumb__error_last()->file_offset, place_of(1, 0) + offsetof(rhumb__superblock, directory_offset));
    EXPECT_EQ(rhumb__frame_check(io_, &found_, 1), RHUMB_OK);
}

TEST_F(LenientFrameReader, AcceptsAFileThatIsShorterThanItSays) {
    ASSERT_NO_FATAL_FAILURE(write(5));
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_EQ(rhumb__io_resize(io_, kFileBytes - 1), RHUMB_OK);
    EXPECT_EQ(read(), RHUMB_E_TRUNCATED);
    ASSERT_EQ(find(), RHUMB_OK);
    EXPECT_EQ(found_.file_bytes, kFileBytes - 1);
    EXPECT_EQ(rhumb__frame_check(io_, &found_, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__frame_find(io_, RHUMB__FRAME_PARTIAL, &found_), RHUMB_OK) << "nor does a partial reader mind";
}

TEST_F(LenientFrameReader, ReportsWhetherTheNewestVersionMayBeLost) {
    ASSERT_NO_FATAL_FAILURE(write(1));
    ASSERT_EQ(find(), RHUMB_OK);
    EXPECT_FALSE(found_.newest_lost) << "the other superblock stands for no version";
    ASSERT_NO_FATAL_FAILURE(write(6));
    ASSERT_NO_FATAL_FAILURE(write(7));
    ASSERT_NO_FATAL_FAILURE(damage(0));
    ASSERT_EQ(find(), RHUMB_OK);
    EXPECT_FALSE(found_.newest_lost) << "the damaged one still says that it is the previous version";
    ASSERT_NO_FATAL_FAILURE(damage(0));
    ASSERT_NO_FATAL_FAILURE(damage(1));
    ASSERT_EQ(find(), RHUMB_OK);
    ASSERT_EQ(found_.count, 1u);
    EXPECT_EQ(found_.items[0].epoch, 6u);
    EXPECT_TRUE(found_.newest_lost);
    ASSERT_NO_FATAL_FAILURE(damage(0));
    EXPECT_EQ(find(), RHUMB_E_CORRUPT) << "none is left";
}

} // namespace
