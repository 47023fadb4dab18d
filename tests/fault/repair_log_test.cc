// Goal: a repair carries over what only the log has: all of it, or up to the first damage, and nothing that does not
// continue the checkpoint it took; and it changes neither index nor log.
// Method: an index and its log are copied while their writer is still running, as a crash would leave them, and
// damaged; the new index is compared with the operations applied to a map.
#include <map>

#include "tests/support/repair_test_support.h"

namespace fault_test {
namespace {

class RepairLog : public ::testing::Test {
  protected:
    static constexpr uint64_t kCount = 200; // in the checkpoint

    struct Operation {
        bool remove;
        uint64_t key;
        std::vector<float> vector;
        int batch; // 0: none
    };

    void SetUp() override {
        const std::string path = directory_.file("live.rhumb");
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path, IndexShape(), &index), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(insert_batch(index, vectors_.keys(0, 100), vectors_.vectors(0, 100)), RHUMB_OK);
        ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        ASSERT_EQ(insert_batch(index, vectors_.keys(100, kCount - 100), vectors_.vectors(100, kCount - 100)), RHUMB_OK);
        ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        ASSERT_NO_FATAL_FAILURE(operate(index));
        image_ = FileImage::load(path);
        log_ = FileImage::load(path + "-wal");
        ASSERT_GT(log_.bytes().size(), RHUMB__LOG_RECORDS_OFFSET);
        path_ = directory_.file("old.rhumb");
        new_path_ = directory_.file("new.rhumb");
    }

    // Single operations 0 to 29, a batch of 10, single operations to 59, a batch of 30.
    void operate(rhumb_index *index) {
        for (uint64_t i = 0; i < 60; i++) {
            if (i == 30) insert_logged(index, 400, 10, 1);
            const uint64_t vector = kCount + i;
            if (i % 3 == 0) {
                operations_.push_back({true, vectors_.key(i), {}, 0});
                ASSERT_EQ(rhumb_index_delete(index, vectors_.key(i)), RHUMB_OK);
            } else {
                // New keys, and some that exist.
                const uint64_t key = vectors_.key(i % 3 == 1 ? vector : i);
                operations_.push_back({false, key, vectors_.vector(vector), 0});
                ASSERT_EQ(rhumb_index_upsert(index, key, vectors_.vector(vector).data()), RHUMB_OK);
            }
        }
        insert_logged(index, 500, 30, 2);
    }

    void insert_logged(rhumb_index *index, uint64_t first, uint64_t count, int batch) {
        ASSERT_EQ(insert_batch(index, vectors_.keys(first, count), vectors_.vectors(first, count)), RHUMB_OK);
        for (uint64_t i = first; i < first + count; i++) {
            operations_.push_back({false, vectors_.key(i), vectors_.vector(i), batch});
        }
    }

    std::map<uint64_t, std::vector<float>> expected(uint64_t count, uint64_t operation_count) const {
        std::map<uint64_t, std::vector<float>> content;
        for (uint64_t i = 0; i < count; i++) content[vectors_.key(i)] = vectors_.vector(i);
        for (uint64_t i = 0; i < operation_count; i++) {
            if (operations_[i].remove) {
                content.erase(operations_[i].key);
            } else {
                content[operations_[i].key] = operations_[i].vector;
            }
        }
        return content;
    }

    void repair() {
        ASSERT_TRUE(image_.save(path_));
        ASSERT_TRUE(log_.save(path_ + "-wal"));
        ASSERT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, &report_, sizeof report_), RHUMB_OK)
            << rhumb_error_last()->message;
        EXPECT_TRUE(io_test::file_bytes(path_) == image_.bytes()) << "the old file has changed";
        EXPECT_TRUE(io_test::file_bytes(path_ + "-wal") == log_.bytes()) << "the log has changed";
        EXPECT_FALSE(exists(new_path_ + "-wal"));
    }

    void expect_content(const std::map<uint64_t, std::vector<float>> &content) {
        Index index;
        rhumb_verify_report verified;
        ASSERT_EQ(rhumb_test::open_index(new_path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        EXPECT_EQ(rhumb_test::verify_index(index, &verified), RHUMB_OK) << verified.first_error;
        EXPECT_EQ(verified.unreachable_count, 0u);
        EXPECT_EQ(rhumb_index_count(index), content.size());
        EXPECT_EQ(report_.count, content.size());
        std::vector<float> found(vectors_.dim());
        for (const auto &[key, vector] : content) {
            EXPECT_EQ(rhumb_index_get_vector(index, key, found.data()), RHUMB_OK);
            EXPECT_EQ(found, vector);
        }
    }

    ScratchDirectory directory_;
    Vectors vectors_{16, 397};
    std::vector<Operation> operations_;
    FileImage image_;
    FileImage log_;
    std::string path_;
    std::string new_path_;
    rhumb_repair_report report_{};
};

TEST_F(RepairLog, WholeLogsAreCarriedOver) {
    repair();
    EXPECT_EQ(report_.log_carried_count, operations_.size());
    EXPECT_EQ(report_.log_left_out_count, 0u);
    EXPECT_STREQ(report_.log_note, "");
    EXPECT_EQ(report_.saved_count, kCount);
    expect_content(expected(kCount, operations_.size()));
}

TEST_F(RepairLog, WhatTheLogHasNeedsNothingOfTheCheckpoint) {
    image_.bytes()[image_.locate(RHUMB__SECTION_VECTORS, 10)] ^= 1;
    repair();
    EXPECT_EQ(report_.lost_vector_count, kCount);
    EXPECT_EQ(report_.log_carried_count, operations_.size());
    expect_content(expected(0, operations_.size()));
}

TEST_F(RepairLog, DamagedLogsAreCarriedOverUpToTheDamage) {
    uint64_t carried_before = 0;
    for (const uint64_t share : {0, 1, 2, 3}) {
        const FileImage sound = log_;
        const uint64_t records_bytes = log_.bytes().size() - RHUMB__LOG_RECORDS_OFFSET;
        log_.bytes()[RHUMB__LOG_RECORDS_OFFSET + 60 + records_bytes * share / 5] ^= 1;
        repair();
        EXPECT_STRNE(report_.log_note, "");
        EXPECT_LT(report_.log_carried_count, operations_.size());
        EXPECT_TRUE(share == 0 || report_.log_carried_count >= carried_before);
        carried_before = report_.log_carried_count;
        const uint64_t carried = report_.log_carried_count;
        EXPECT_FALSE(carried > 0 && operations_[carried - 1].batch != 0 &&
                     operations_[carried - 1].batch == operations_[carried].batch)
            << "a part of a batch";
        expect_content(expected(kCount, report_.log_carried_count));
        ASSERT_EQ(unlink(new_path_.c_str()), 0);
        log_ = sound;
    }
    EXPECT_GT(carried_before, 0u);
}

TEST_F(RepairLog, NothingOfABatchThatIsCutShortIsCarriedOver) {
    // In the last record but a few: the commit comes after it.
    log_.bytes().resize(log_.bytes().size() - 400);
    repair();
    EXPECT_EQ(report_.log_carried_count, 70u);
    EXPECT_NE(strstr(report_.log_note, "after the last whole record"), nullptr) << "what was passed over is said";
    expect_content(expected(kCount, 70));
}

TEST_F(RepairLog, ALogThatContinuesANewerVersionIsLeftOut) {
    const uint32_t newest = image_.newest_slot();
    for (uint32_t copy = 0; copy < 2; copy++) image_.bytes()[FileImage::superblock_offset(newest, copy) + 2000] ^= 1;
    repair();
    EXPECT_TRUE(report_.older_version);
    EXPECT_EQ(report_.log_carried_count, 0u);
    EXPECT_EQ(report_.log_left_out_count, operations_.size());
    EXPECT_STRNE(report_.log_note, "");
    expect_content(expected(100, 0));
}

TEST_F(RepairLog, TheLogOfAnotherIndexIsLeftOut) {
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            rhumb__superblock superblock = image_.superblock(slot, copy);
            superblock.uuid[3] ^= 1;
            image_.put_superblock(superblock, slot, copy);
        }
    }
    image_.mend_superblocks();
    repair();
    EXPECT_EQ(report_.log_carried_count, 0u);
    EXPECT_EQ(report_.log_left_out_count, 0u);
    EXPECT_STRNE(report_.log_note, "");
    expect_content(expected(kCount, 0));
}

TEST_F(RepairLog, OperationsThatDoNotFitEndTheLog) {
    // The log of an index of another dimension, which has the same UUID and goes far enough.
    const std::string path = directory_.file("other.rhumb");
    const Vectors others(8, 1);
    IndexShape shape;
    shape.dim = 8;
    Index other;
    ASSERT_EQ(rhumb_test::create_index(path, shape, &other), RHUMB_OK);
    ASSERT_EQ(insert_batch(other, others.keys(0, 300), others.vectors(0, 300)), RHUMB_OK);
    log_ = FileImage::load(path + "-wal");
    const FileImage other_image = FileImage::load(path);
    const rhumb__superblock others_superblock = other_image.superblock(other_image.newest_slot());
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            rhumb__superblock superblock = image_.superblock(slot, copy);
            memcpy(superblock.uuid, others_superblock.uuid, sizeof superblock.uuid);
            superblock.history = others_superblock.history;
            image_.put_superblock(superblock, slot, copy);
        }
    }
    image_.mend_superblocks();
    repair();
    EXPECT_EQ(report_.log_carried_count, 0u);
    EXPECT_GT(report_.log_left_out_count, 0u);
    EXPECT_STRNE(report_.log_note, "");
    expect_content(expected(kCount, 0));
}

TEST_F(RepairLog, AFileThatIsNotALogIsLeftOut) {
    log_.bytes().assign(100000, 0x11);
    repair();
    EXPECT_EQ(report_.log_carried_count, 0u);
    EXPECT_STRNE(report_.log_note, "");
    expect_content(expected(kCount, 0));
}

} // namespace
} // namespace fault_test
