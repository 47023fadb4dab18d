// Goal: any single changed bit, a file cut short anywhere, and a file with bytes added, each give either an error that
// names the file or correct answers. Damage to the frame (superblocks, directory) never changes an answer; damage to
// rows may make answers worse, but verify reports it. Method: one change at a time to a sample index, which is then
// opened read-only and for writing and compared in full. RHUMB_FULL=1 takes every bit of every published byte and every
// length.
#include "tests/support/fault_test_support.h"

namespace fault_test {
namespace {

class Flip : public DamagedFile {
  protected:
    enum Outcome { kRefused, kSameAnswers, kOtherAnswers };

    // The checks of an open handle.
    Outcome look(bool read_only, bool *reported) {
        Index index;
        const rhumb_status status = rhumb_test::open_index(path_, read_only, &index, RHUMB_DURABILITY_NONE);
        if (status != RHUMB_OK) {
            EXPECT_TRUE(status == RHUMB_E_CORRUPT || status == RHUMB_E_NOT_AN_INDEX || status == RHUMB_E_VERSION ||
                        status == RHUMB_E_TRUNCATED)
                << rhumb_error_last()->message;
            EXPECT_EQ(path_, rhumb_error_last()->path);
            EXPECT_STRNE(rhumb_error_last()->message, "");
            return kRefused;
        }
        Answers answers;
        EXPECT_EQ(rhumb_test::ask(index, vectors_, kCount, true, &answers), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report;
        const rhumb_status verified = rhumb_test::verify_index(index, &report);
        EXPECT_TRUE(verified == RHUMB_OK || verified == RHUMB_E_CORRUPT) << rhumb_error_last()->message;
        *reported = verified != RHUMB_OK;
        return answers == answers_ ? kSameAnswers : kOtherAnswers;
    }

    Outcome look_both_ways(bool *reported) {
        const Outcome reading = look(true, reported);
        bool reported_again = false;
        const Outcome writing = look(false, &reported_again);
        EXPECT_EQ(reading, writing);
        EXPECT_EQ(*reported, reported_again);
        return reading;
    }

    void flip(uint64_t offset, uint32_t bit) {
        const uint8_t byte = sound_.bytes()[offset] ^ static_cast<uint8_t>(1u << bit);
        put(offset, &byte, 1);
    }

    // Flips one bit of each of these bytes in turn, or all eight, and calls `check` while it is flipped.
    template <typename Check> void flip_each(uint64_t begin, uint64_t end, uint64_t step, const Check &check) {
        for (uint64_t offset = begin; offset < end; offset += step) {
            if (sound_.is_replaced(offset)) continue;
            const uint32_t chosen = static_cast<uint32_t>(random_() % 8);
            for (uint32_t bit = 0; bit < 8; bit++) {
                if (!full_run() && bit != chosen) continue;
                flip(offset, bit);
                check(offset, bit);
                restore(offset, 1);
                if (HasFailure()) {
                    ADD_FAILURE() << "byte " << offset << ", bit " << bit;
                    return;
                }
            }
        }
    }

    // The used part of each extent: offset in the file and length.
    std::vector<rhumb__extent> published_ranges() const {
        std::vector<rhumb__extent> ranges;
        for (const rhumb__section_record &section : sound_.sections()) {
            uint64_t left = section.row_count * section.row_stride_bytes;
            for (const rhumb__extent &extent : sound_.extents(section)) {
                if (left > 0) ranges.push_back({extent.file_offset, std::min(left, extent.bytes)});
                left -= std::min(left, extent.bytes);
            }
        }
        return ranges;
    }

    std::mt19937_64 random_{choose_seed()};
};

TEST_F(Flip, OneDamagedSuperblockCopyIsHarmless) {
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            // The fields, the client record, and a sample of what is zero.
            const uint64_t begin = FileImage::superblock_offset(slot, copy);
            const auto harmless = [&](uint64_t, uint32_t) {
                bool reported = false;
                EXPECT_EQ(look(true, &reported), kSameAnswers);
                EXPECT_FALSE(reported);
            };
            flip_each(begin, begin + 140, 1, harmless);
            flip_each(begin + 140, begin + 512, full_run() ? 1 : 50, harmless);
            flip_each(begin + 512, begin + 904, full_run() ? 1 : 3, harmless);
            flip_each(begin + 904, begin + 4096, full_run() ? 1 : 400, harmless);
        }
    }
    bool reported = false;
    EXPECT_EQ(look_both_ways(&reported), kSameAnswers);
}

// The version before would be stale, and no user would know.
TEST_F(Flip, BothCopiesOfTheNewestDamagedIsAnError) {
    const uint32_t slot = sound_.newest_slot();
    for (uint64_t offset = 0; offset < 4096; offset += full_run() ? 1 : 97) {
        flip(FileImage::superblock_offset(slot, 0) + offset, 3);
        flip(FileImage::superblock_offset(slot, 1) + offset, 4);
        bool reported = false;
        EXPECT_EQ(look_both_ways(&reported), kRefused) << offset;
        restore(FileImage::superblock_offset(slot, 0) + offset, 1);
        restore(FileImage::superblock_offset(slot, 1) + offset, 1);
    }
}

TEST_F(Flip, AllFourSuperblocksDamagedIsAnError) {
    for (uint64_t offset = 0; offset < 4096; offset += full_run() ? 1 : 61) {
        for (uint32_t i = 0; i < 4; i++) flip(FileImage::superblock_offset(i / 2, i % 2) + offset, i);
        bool reported = false;
        EXPECT_EQ(look_both_ways(&reported), kRefused) << offset;
        for (uint32_t i = 0; i < 4; i++) restore(FileImage::superblock_offset(i / 2, i % 2) + offset, 1);
    }
}

TEST_F(Flip, ADamagedDirectoryIsAnErrorOrReported) {
    const rhumb__superblock superblock = sound_.superblock(sound_.newest_slot());
    const uint64_t root_end = superblock.directory_offset + superblock.root_bytes;
    flip_each(superblock.directory_offset, root_end, 1, [&](uint64_t, uint32_t) {
        bool reported = false;
        EXPECT_EQ(look(true, &reported), kRefused);
    });
    // The table of chunk checksums is needed by writers and by verify. A reader opens without it.
    flip_each(root_end, superblock.directory_offset + superblock.directory_bytes, 1, [&](uint64_t, uint32_t) {
        bool reported = false;
        EXPECT_EQ(look(false, &reported), kRefused);
        Index index;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK);
        Answers answers;
        EXPECT_EQ(rhumb_test::ask(index, vectors_, kCount, false, &answers), RHUMB_OK);
        EXPECT_TRUE(answers == answers_);
        rhumb_verify_report report;
        EXPECT_EQ(rhumb_test::verify_index(index, &report), RHUMB_E_CORRUPT);
    });
}

TEST_F(Flip, DamagedRowsAreReportedByVerify) {
    uint64_t other_answers = 0;
    for (const rhumb__extent &range : published_ranges()) {
        const uint64_t step = full_run() ? 1 : std::max<uint64_t>(1, range.bytes / (kSanitized ? 50 : 150));
        flip_each(range.file_offset + (full_run() ? 0 : random_() % step), range.file_offset + range.bytes, step,
                  [&](uint64_t, uint32_t) {
                      bool reported = false;
                      const Outcome outcome = look_both_ways(&reported);
                      EXPECT_NE(outcome, kRefused);
                      EXPECT_TRUE(reported);
                      other_answers += outcome == kOtherAnswers;
                  });
    }
    EXPECT_GT(other_answers, 0u) << "nothing that was damaged was ever looked at";
}

TEST_F(Flip, BytesThatNoVersionUsesDoNotMatter) {
    std::vector<rhumb__extent> used = published_ranges();
    const rhumb__superblock superblock = sound_.superblock(sound_.newest_slot());
    used.push_back({superblock.directory_offset, superblock.directory_bytes});
    for (uint32_t i = 0; i < 4; i++) used.push_back({FileImage::superblock_offset(i / 2, i % 2), 4096});
    for (const FileImage::Patch &patch : sound_.patches()) {
        used.push_back({patch.file_offset - sizeof(rhumb__patch_header), patch.bytes + sizeof(rhumb__patch_header)});
    }
    for (uint64_t i = 0; i < iteration_count(60);) {
        const uint64_t offset = random_() % sound_.bytes().size();
        const bool is_used = std::any_of(used.begin(), used.end(), [&](const rhumb__extent &range) {
            return offset >= range.file_offset && offset < range.file_offset + range.bytes;
        });
        if (is_used) continue;
        flip(offset, static_cast<uint32_t>(i % 8));
        bool reported = false;
        ASSERT_EQ(look_both_ways(&reported), kSameAnswers) << offset;
        ASSERT_FALSE(reported) << offset;
        restore(offset, 1);
        i++;
    }
}

TEST_F(Flip, AFileCutShortIsAnError) {
    const uint64_t length = sound_.bytes().size();
    const uint64_t needed = sound_.superblock(sound_.newest_slot()).file_bytes; // what follows is of older versions
    std::vector<uint64_t> lengths;
    for (uint64_t cut = 0; cut < needed; cut += 512) {
        if (full_run() || cut < 262144 ? cut % 4096 == 0 || cut < 3000 || full_run() : random_() % 64 == 0) {
            lengths.push_back(cut);
        }
    }
    for (const uint64_t cut : {UINT64_C(1), UINT64_C(4095), UINT64_C(65535), needed - 1}) lengths.push_back(cut);
    for (const uint64_t cut : lengths) {
        ASSERT_EQ(ftruncate(fd_, static_cast<off_t>(cut)), 0);
        bool reported = false;
        EXPECT_EQ(look_both_ways(&reported), kRefused) << "cut at " << cut;
        ASSERT_EQ(ftruncate(fd_, static_cast<off_t>(length)), 0);
        if (cut < length) restore(cut, length - cut);
    }
    bool reported = false;
    EXPECT_EQ(look_both_ways(&reported), kSameAnswers);
}

TEST_F(Flip, BytesAddedAtTheEndAreNoHarm) {
    const uint64_t length = sound_.bytes().size();
    for (const uint64_t added : {1, 511, 4096, 65535, 65536, 65537, 1 << 20}) {
        const std::vector<uint8_t> garbage = io_test::random_bytes(added, added);
        put(length, garbage.data(), garbage.size());
        bool reported = false;
        EXPECT_EQ(look_both_ways(&reported), kSameAnswers) << added;
        EXPECT_FALSE(reported);
        ASSERT_EQ(ftruncate(fd_, static_cast<off_t>(length)), 0);
    }
    // Writing continues as if they were not there.
    const std::vector<uint8_t> garbage = io_test::random_bytes(100000, 1);
    put(length, garbage.data(), garbage.size());
    for (int session = 0; session < 3; session++) {
        Index index;
        ASSERT_EQ(open_for_writing(&index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_test::insert_range(index, vectors_, kCount + session * 50, 50), RHUMB_OK);
        ASSERT_EQ(index.close(), RHUMB_OK);
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        rhumb_verify_report report;
        ASSERT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
        EXPECT_EQ(rhumb_index_count(index), kCount + (session + 1) * 50);
    }
}

} // namespace
} // namespace fault_test
