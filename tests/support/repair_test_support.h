// What the tests of repair share: a sample index with several versions, and checks of the index made from it.
#ifndef RHUMB_TESTS_SUPPORT_REPAIR_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_REPAIR_TEST_SUPPORT_H

#include <sys/stat.h>

#include <memory>
#include <set>

#include "tests/support/fault_test_support.h"

namespace fault_test {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;

// Creates an index without a log: what a test builds need not survive a power cut.
inline rhumb_status create_without_log(const std::string &path, const IndexShape &shape, Index *index) {
    return rhumb_test::create_index(path, shape, index, RHUMB_DURABILITY_NONE);
}

inline rhumb_status insert_batch(rhumb_index *index, const std::vector<uint64_t> &keys,
                                 const std::vector<float> &vectors, bool partial = false) {
    rhumb_batch_options options;
    rhumb_batch_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.partial = partial;
    return rhumb_index_insert_batch(index, keys.data(), vectors.data(), keys.size(), &options, nullptr);
}

inline bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

// 9,000 vectors of 10 components, so that every section has several chunks and rows cross from one into the next. The
// checkpoint before the last has the first 8,000 of them; in the last every tenth is deleted. Built once.
class Repair : public ::testing::Test {
  protected:
    static constexpr uint64_t kCount = 9000;
    static constexpr uint64_t kFirstCount = 8000;
    static constexpr uint64_t kDeadCount = kCount / 10;
    static constexpr uint32_t kDim = 10;
    static constexpr uint32_t kM0 = 12;

    static IndexShape shape() {
        IndexShape shape;
        shape.dim = kDim;
        shape.M = 6;
        shape.M0 = kM0;
        shape.ef_construction = 48;
        return shape;
    }
    static const Vectors &vectors() {
        static const Vectors vectors(kDim, 397);
        return vectors;
    }
    static const FileImage &sound() {
        static const FileImage image = build();
        return image;
    }
    static std::set<uint64_t> first_checkpoint() {
        std::set<uint64_t> expected;
        for (uint64_t i = 0; i < kFirstCount; i++) expected.insert(i);
        return expected;
    }
    static const std::set<uint64_t> &alive() {
        static const std::set<uint64_t> alive = [] {
            std::set<uint64_t> expected;
            for (uint64_t i = 0; i < kCount; i++) {
                if (i % 10 != 7) expected.insert(i);
            }
            return expected;
        }();
        return alive;
    }

    static FileImage build() {
        const ScratchDirectory directory;
        const std::string path = directory.file("sound.rhumb");
        Index index;
        EXPECT_EQ(create_without_log(path, shape(), &index), RHUMB_OK) << rhumb_error_last()->message;
        // Partial, so that slots are in the order of keys: a batch that is whole may be built in bulk.
        EXPECT_EQ(insert_batch(index, vectors().keys(0, kFirstCount), vectors().vectors(0, kFirstCount), true),
                  RHUMB_OK);
        EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        EXPECT_EQ(insert_batch(index, vectors().keys(kFirstCount, kCount - kFirstCount),
                               vectors().vectors(kFirstCount, kCount - kFirstCount)),
                  RHUMB_OK);
        for (uint64_t i = 0; i < kCount; i++) {
            if (alive().count(i) != 0) continue;
            EXPECT_EQ(rhumb_index_delete(index, vectors().key(i)), RHUMB_OK);
        }
        EXPECT_EQ(index.close(), RHUMB_OK);
        return FileImage::load(path);
    }

    void SetUp() override { start_again(); }

    void start_again() {
        opened_.reset();
        directory_ = std::make_unique<ScratchDirectory>();
        path_ = directory_->file("old.rhumb");
        new_path_ = directory_->file("new.rhumb");
        image_ = sound();
        report_ = rhumb_repair_report();
    }

    // ---- damage ----

    void spoil_at(uint64_t offset) {
        ASSERT_LT(offset, image_.bytes().size());
        image_.bytes()[offset] ^= 0x5A;
    }
    void spoil(uint32_t section, uint64_t section_offset) { spoil_at(sound().locate(section, section_offset)); }
    void spoil_section(uint32_t section) {
        const uint64_t bytes = sound().row_count(section) * sound().row_stride(section);
        for (uint64_t offset = 0; offset < bytes; offset += kBlock) spoil(section, offset + 9);
    }
    static uint64_t checksum_offset() {
        return sound().directory_offset() + sound().superblock(sound().newest_slot()).root_bytes;
    }
    template <typename Edit> void edit_list(uint64_t slot, const Edit &edit) {
        const uint64_t row = sound().locate_row(RHUMB__SECTION_LISTS0, slot);
        std::vector<uint32_t> list;
        for (uint32_t i = 0; i < kM0; i++) {
            const uint32_t neighbour = image_.get<uint32_t>(row + i * 4);
            if (neighbour == UINT32_MAX) break;
            list.push_back(neighbour);
        }
        edit(&list);
        list.resize(kM0, UINT32_MAX);
        for (uint32_t i = 0; i < kM0; i++) image_.put<uint32_t>(row + i * 4, list[i]);
    }

    // ---- repairing ----

    // Writes the image, repairs it, and checks that repairing did not change it.
    rhumb_status repair_status(bool strict = false) {
        EXPECT_TRUE(image_.save(path_));
        rhumb_repair_options options;
        rhumb_repair_options_init(&options, sizeof options);
        options.thread_count = thread_count_;
        options.strict = strict;
        const rhumb_status status =
            rhumb_index_repair(path_.c_str(), new_path_.c_str(), &options, &report_, sizeof report_);
        EXPECT_TRUE(io_test::file_bytes(path_) == image_.bytes()) << "the old file has changed";
        EXPECT_FALSE(exists(new_path_ + "-wal") && status == RHUMB_OK);
        return status;
    }
    bool repair() {
        const rhumb_status status = repair_status();
        EXPECT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
        return status == RHUMB_OK;
    }

    // ---- checking the new index ----

    rhumb_index *opened() {
        if (opened_ == nullptr) {
            opened_ = std::make_unique<Index>();
            EXPECT_EQ(rhumb_test::open_index(new_path_, true, opened_.get()), RHUMB_OK) << rhumb_error_last()->message;
        }
        return *opened_;
    }
    bool contains(uint64_t i) {
        bool found = false;
        EXPECT_EQ(rhumb_index_contains(opened(), vectors().key(i), &found), RHUMB_OK);
        return found;
    }

    void expect_whole() {
        rhumb_verify_report verified;
        EXPECT_EQ(rhumb_test::verify_index(opened(), &verified), RHUMB_OK) << verified.first_error;
        EXPECT_EQ(verified.unreachable_count, 0u);
        EXPECT_EQ(report_.unreachable_count, 0u);
        EXPECT_EQ(rhumb_index_count(opened()), report_.count);
    }

    // Checks that the index is whole and holds exactly these vectors, as they were inserted.
    void expect_content(const std::set<uint64_t> &expected) {
        expect_whole();
        EXPECT_EQ(rhumb_index_count(opened()), expected.size());
        uint64_t wrong_count = 0;
        std::vector<float> found(kDim);
        for (uint64_t i = 0; i < kCount; i++) {
            const rhumb_status status = rhumb_index_get_vector(opened(), vectors().key(i), found.data());
            const bool right = expected.count(i) == 0 ? status == RHUMB_E_NOTFOUND
                                                      : status == RHUMB_OK && found == vectors().vector(i);
            if (!right && wrong_count++ == 0) ADD_FAILURE() << "vector " << i << ": " << rhumb_error_last()->message;
        }
        EXPECT_EQ(wrong_count, 0u);
    }

    void expect_complete() {
        EXPECT_EQ(report_.lost_count, 0u);
        EXPECT_EQ(report_.duplicate_count, 0u);
        EXPECT_EQ(report_.doubtful_count, 0u);
        EXPECT_EQ(report_.unproved_count, 0u);
        EXPECT_EQ(report_.log_left_out_count, 0u);
        EXPECT_FALSE(report_.older_version) << report_.version_note;
        EXPECT_STREQ(report_.log_note, "");
    }

    static std::vector<float> queries(uint64_t count) { return Vectors(kDim, 1234).vectors(0, count); }

    static std::vector<uint64_t> search(rhumb_index *index, uint64_t count, bool exact) {
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.ef_search = 40;
        options.thread_count = 1;
        std::vector<uint64_t> keys(count * 10);
        const auto run = exact ? rhumb_index_search_exact : rhumb_index_search_batch;
        EXPECT_EQ(run(index, queries(count).data(), count, 10, &options, keys.data(), nullptr, nullptr), RHUMB_OK);
        return keys;
    }

    void expect_same_exact_answers() {
        Index old;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &old), RHUMB_OK);
        EXPECT_EQ(search(old, 50, true), search(opened(), 50, true));
    }

    static double recall(rhumb_index *index, uint64_t query_count) {
        const std::vector<uint64_t> truth = search(index, query_count, true);
        const std::vector<uint64_t> found = search(index, query_count, false);
        uint64_t hit_count = 0;
        for (uint64_t i = 0; i < query_count; i++) {
            const auto begin = truth.begin() + static_cast<ptrdiff_t>(i * 10);
            for (uint64_t k = 0; k < 10; k++) hit_count += std::count(begin, begin + 10, found[i * 10 + k]);
        }
        return static_cast<double>(hit_count) / static_cast<double>(query_count * 10);
    }

    // Checks that recall is that of a fresh index of the same vectors.
    void expect_recall() {
        std::vector<uint64_t> keys;
        std::vector<float> rows;
        for (uint64_t i = 0; i < kCount; i++) {
            if (!contains(i)) continue;
            const std::vector<float> row = vectors().vector(i);
            keys.push_back(vectors().key(i));
            rows.insert(rows.end(), row.begin(), row.end());
        }
        Index fresh;
        ASSERT_EQ(create_without_log(directory_->file("fresh.rhumb"), shape(), &fresh), RHUMB_OK);
        ASSERT_EQ(insert_batch(fresh, keys, rows), RHUMB_OK);
        const double fresh_recall = recall(fresh, 1000);
        const double repaired_recall = recall(opened(), 1000);
        printf("recall@10: fresh %.4f, repaired %.4f\n", fresh_recall, repaired_recall);
        EXPECT_GE(repaired_recall, fresh_recall - 0.01);
    }

    uint64_t nearest_key(const std::vector<float> &query) {
        uint64_t key = 0;
        EXPECT_EQ(rhumb_index_search(opened(), query.data(), 1, nullptr, &key, nullptr, nullptr), RHUMB_OK);
        return key;
    }

    uint64_t old_unreachable_count() {
        EXPECT_TRUE(image_.save(path_));
        Index old;
        rhumb_verify_report verified;
        EXPECT_EQ(rhumb_test::open_index(path_, true, &old), RHUMB_OK);
        const rhumb_status status = rhumb_test::verify_index(old, &verified);
        EXPECT_TRUE(status == RHUMB_OK || verified.structure_error_count > 0) << verified.first_error;
        return verified.unreachable_count;
    }

    uint32_t thread_count_ = 2;
    std::unique_ptr<ScratchDirectory> directory_;
    std::string path_;
    std::string new_path_;
    FileImage image_;
    rhumb_repair_report report_;
    std::unique_ptr<Index> opened_;
};

} // namespace fault_test

#endif // RHUMB_TESTS_SUPPORT_REPAIR_TEST_SUPPORT_H
