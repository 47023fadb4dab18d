// Goal: a section that only the table of sections knows (engine/graph/sections.h) goes through the whole life of an
// index: checkpoints, opening, recovery from the log, both compactions, repair. Method: the library is linked with a
// table that has five more sections, one of each kind; the test writes their rows and reads them back, from memory and
// from the file.
#include "tests/engine/dummy_sections.h"

#include <cstring>

extern "C" {
#include "engine/graph/sections.h"
}

#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"

namespace {

using namespace index_test;
using rhumb_test::FileImage;

using Row = std::vector<uint8_t>;

constexpr uint32_t kDim = 4;
constexpr uint64_t kCount = 1200; // several chunks of the mutable sections
constexpr uint32_t kDummies[] = {DUMMY_APPEND, DUMMY_FILTERED, DUMMY_UNFILTERED, DUMMY_DERIVED_APPEND,
                                 DUMMY_DERIVED_MUTABLE};

bool is_derived(uint32_t id) { return id == DUMMY_DERIVED_APPEND || id == DUMMY_DERIVED_MUTABLE; }

// Bytes that look like nothing that a filter would keep: neither a list nor a bucket of an index of this size.
Row pattern(uint32_t id, uint64_t row, uint64_t stride, uint32_t salt = 0) {
    Row bytes(stride);
    for (uint64_t i = 0; i < stride; i++) bytes[i] = static_cast<uint8_t>((row * 31 + id * 7 + i * 13 + salt) | 0x80);
    // The filtered one holds a list: slots that exist, then the end.
    for (uint64_t i = 0; id == DUMMY_FILTERED && i < stride / 4; i++) {
        const uint32_t slot = i < 3 ? static_cast<uint32_t>((row + salt) % 200 + i) : UINT32_MAX;
        memcpy(&bytes[i * 4], &slot, 4);
    }
    return bytes;
}

class DummySections : public ::testing::Test {
  protected:
    Index create_filled(uint64_t count = kCount) {
        Index index = create(path_, index_options(kDim));
        insert_all(index, random_vectors(count, kDim, 1));
        for (const uint32_t id : kDummies) fill(index, id, 0, count);
        return index;
    }

    static void fill(const Index &index, uint32_t id, uint64_t begin, uint64_t end, uint32_t salt = 0) {
        const uint64_t stride = dummy_row_stride(index.get(), id);
        for (uint64_t row = begin; row < end; row++) {
            dummy_write(index.get(), id, row, pattern(id, row, stride, salt).data());
        }
        if (is_derived(id)) dummy_set_derived(index.get(), id, end);
    }

    static void expect_rows_in_memory(const Index &index, uint32_t id, uint64_t begin, uint64_t end) {
        const uint64_t stride = dummy_row_stride(index.get(), id);
        for (uint64_t row = begin; row < end; row++) {
            const uint8_t *bytes = dummy_row(index.get(), id, row);
            ASSERT_EQ(Row(bytes, bytes + stride), pattern(id, row, stride)) << "section " << id << ", row " << row;
        }
    }

    void expect_rows_in_file(uint32_t id, uint64_t begin, uint64_t end, uint32_t salt = 0) const {
        const FileImage image = FileImage::load(path_);
        for (uint64_t row = begin; row < end; row++) {
            ASSERT_EQ(row_in_file(image, id, row), pattern(id, row, image.row_stride(id), salt))
                << "section " << id << ", row " << row;
        }
    }

    static Row row_in_file(const FileImage &image, uint32_t id, uint64_t row) {
        const uint64_t place = image.locate_row(id, row);
        Row bytes(image.row_stride(id));
        for (size_t i = 0; i < bytes.size(); i++) bytes[i] = image.get<uint8_t>(place + i);
        return bytes;
    }

    static void expect_zeros(const Index &index, uint32_t id, uint64_t begin, uint64_t end) {
        const uint64_t stride = dummy_row_stride(index.get(), id);
        for (uint64_t row = begin; row < end; row++) {
            const uint8_t *bytes = dummy_row(index.get(), id, row);
            ASSERT_EQ(Row(bytes, bytes + stride), Row(stride)) << "section " << id << ", row " << row;
        }
    }

    // What every version must have: a row per slot in the required sections, so many in the derived ones.
    static void expect_row_counts(const std::string &path, uint64_t slot_count, uint64_t derived_row_count) {
        const FileImage image = FileImage::load(path);
        for (const uint32_t id : kDummies) {
            EXPECT_EQ(image.row_count(id), is_derived(id) ? derived_row_count : slot_count) << "section " << id;
        }
    }

    // Changes the directory's record of a section.
    template <typename Change> void change_record(uint32_t id, const Change &change) const {
        FileImage image = FileImage::load(path_);
        const std::vector<rhumb__section_record> sections = image.sections();
        for (uint32_t i = 0; i < sections.size(); i++) {
            if (sections[i].id != id) continue;
            rhumb__section_record record = sections[i];
            change(&record);
            image.put(image.section_record_offset(i), record);
        }
        image.mend_root();
        image.mend_superblocks();
        ASSERT_TRUE(image.save(path_));
    }

    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

TEST_F(DummySections, AreInTheTableThatTheLibraryUses) {
    std::set<uint32_t> ids;
    const rhumb__section_info *info = nullptr;
    while ((info = rhumb__section_next(info)) != nullptr) ids.insert(info->id);
    for (const uint32_t id : kDummies) EXPECT_EQ(ids.count(id), 1u) << id;
    // The others are the library's, without gaps.
    ASSERT_GE(ids.size(), RHUMB__SECTION_TOMBSTONES + std::size(kDummies));
    for (uint32_t id = 1; id <= ids.size() - std::size(kDummies); id++) EXPECT_EQ(ids.count(id), 1u) << id;
}

TEST_F(DummySections, ArePublishedAndReopened) {
    Index index = create_filled();
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_row_counts(path_, kCount, kCount);
    for (const uint32_t id : kDummies) expect_rows_in_file(id, 0, kCount);
    for (const uint32_t id : kDummies) expect_rows_in_memory(index, id, 0, kCount);
    for (const bool read_only : {true, false}) {
        index.reset();
        index = open(path_, read_only);
        for (const uint32_t id : kDummies) {
            EXPECT_EQ(dummy_published_row_count(index.get(), id), kCount);
            expect_rows_in_memory(index, id, 0, kCount);
        }
        expect_sound(index);
    }
}

TEST_F(DummySections, PublishWhatChangedSinceTheLastVersion) {
    Index index = create_filled();
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Vectors more = random_vectors(50, kDim, 2);
    insert_all(index, more, kCount);
    for (const uint32_t id : {DUMMY_FILTERED, DUMMY_UNFILTERED, DUMMY_DERIVED_MUTABLE}) fill(index, id, 7, 8, 3);
    dummy_set_derived(index.get(), DUMMY_DERIVED_MUTABLE, kCount);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_row_counts(path_, kCount + 50, kCount);
    for (const uint32_t id : {DUMMY_FILTERED, DUMMY_UNFILTERED, DUMMY_DERIVED_MUTABLE}) {
        expect_rows_in_file(id, 0, 7);
        expect_rows_in_file(id, 7, 8, 3);
        expect_rows_in_file(id, 8, kCount);
    }
    expect_sound(index);
}

TEST_F(DummySections, WithoutAFilterArePublishedUnchanged) {
    Index index = create_filled(300);
    // As a bucket of the key table: more places than it has, a chain beyond all rows. As a list: slots that there are
    // not.
    Row row(dummy_row_stride(index.get(), DUMMY_UNFILTERED));
    const uint32_t words[] = {0x7FFFFFFF, 1000, 5, UINT32_MAX, 300, 301};
    memcpy(row.data(), words, sizeof words);
    for (uint64_t i = 0; i < 300; i++) dummy_write(index.get(), DUMMY_UNFILTERED, i, row.data());
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const FileImage image = FileImage::load(path_);
    for (uint64_t i = 0; i < 300; i++) ASSERT_EQ(row_in_file(image, DUMMY_UNFILTERED, i), row) << "row " << i;
    index.reset();
    index = open(path_, true);
    for (uint64_t i = 0; i < 300; i++) {
        ASSERT_EQ(memcmp(dummy_row(index.get(), DUMMY_UNFILTERED, i), row.data(), row.size()), 0) << "row " << i;
    }
}

TEST_F(DummySections, WithAFilterLoseInTheFileWhatTheVersionDoesNotHold) {
    Index index = create_filled(300);
    Row row(dummy_row_stride(index.get(), DUMMY_FILTERED), 0xFF);
    const uint32_t words[] = {7, 300, 8};
    memcpy(row.data(), words, sizeof words);
    dummy_write(index.get(), DUMMY_FILTERED, 5, row.data());
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const uint32_t filtered[] = {7, 8, UINT32_MAX};
    EXPECT_EQ(memcmp(row_in_file(FileImage::load(path_), DUMMY_FILTERED, 5).data(), filtered, sizeof filtered), 0);
    EXPECT_EQ(memcmp(dummy_row(index.get(), DUMMY_FILTERED, 5), row.data(), row.size()), 0) << "memory keeps it";
    // The next version has slot 300, and gets the row although nothing has touched it since.
    insert_all(index, random_vectors(1, kDim, 2), 300);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(row_in_file(FileImage::load(path_), DUMMY_FILTERED, 5), row);
}

TEST_F(DummySections, KeepRowsAfterTheLastPublishedOneForTheNextVersion) {
    Index index = create_filled(300);
    for (const uint32_t id : {DUMMY_FILTERED, DUMMY_UNFILTERED}) {
        ASSERT_GT(dummy_row_capacity(index.get(), id), 300u);
        fill(index, id, 300, 301);
    }
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_row_counts(path_, 300, 300);
    for (const uint32_t id : {DUMMY_FILTERED, DUMMY_UNFILTERED}) expect_rows_in_memory(index, id, 0, 301);
    insert_all(index, random_vectors(1, kDim, 2), 300);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (const uint32_t id : {DUMMY_FILTERED, DUMMY_UNFILTERED}) expect_rows_in_file(id, 0, 301);
}

TEST_F(DummySections, HaveRoomForWhatIsRecoveredFromTheLog) {
    create_filled().reset();
    leave_in_log(path_, random_vectors(700, kDim, 2), kCount);
    const Index index = open_after_kill(path_);
    EXPECT_EQ(rhumb_index_count(index.get()), kCount + 700);
    for (const uint32_t id : kDummies) expect_rows_in_memory(index, id, 0, kCount);
    for (const uint32_t id : {DUMMY_APPEND, DUMMY_FILTERED, DUMMY_UNFILTERED}) {
        EXPECT_GE(dummy_row_capacity(index.get(), id), kCount + 700);
        expect_zeros(index, id, kCount, kCount + 700);
    }
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_row_counts(path_, kCount + 700, kCount);
    expect_sound(index);
}

TEST_F(DummySections, AreBegunAgainByACompactionInPlace) {
    Index index = create_filled();
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (uint64_t key = 0; key < 500; key++) ASSERT_OK(rhumb_index_delete(index.get(), key));
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    expect_row_counts(path_, kCount - 500, 0);
    for (const uint32_t id : kDummies) {
        if (!is_derived(id)) expect_zeros(index, id, 0, kCount - 500);
        if (id != DUMMY_APPEND) fill(index, id, 0, kCount - 500); // its rows have been published
    }
    insert_all(index, random_vectors(1, kDim, 2), kCount); // or there would be nothing to publish
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_row_counts(path_, kCount - 499, kCount - 500);
    for (const uint32_t id : kDummies) {
        if (id != DUMMY_APPEND) expect_rows_in_file(id, 0, kCount - 500);
    }
    expect_sound(index);
}

TEST_F(DummySections, AreBegunAgainByACompactionIntoANewFile) {
    create_filled().reset();
    const std::string into = directory_.file("compacted.rhumb");
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), into.c_str(), nullptr, nullptr, 0));
    expect_row_counts(into, kCount, 0);
    const Index index = open(into, false);
    for (const uint32_t id : {DUMMY_APPEND, DUMMY_FILTERED, DUMMY_UNFILTERED}) expect_zeros(index, id, 0, kCount);
    expect_sound(index);
}

TEST_F(DummySections, AreBegunAgainByRepair) {
    create_filled().reset();
    FileImage image = FileImage::load(path_);
    image.bytes()[image.locate_row(DUMMY_DERIVED_APPEND, 100)] ^= 1;
    image.bytes()[image.locate_row(DUMMY_UNFILTERED, 100)] ^= 1;
    ASSERT_TRUE(image.save(path_));
    const std::string repaired = directory_.file("repaired.rhumb");
    rhumb_repair_report report = {};
    ASSERT_OK(rhumb_index_repair(path_.c_str(), repaired.c_str(), nullptr, &report, sizeof report));
    EXPECT_EQ(report.count, kCount);
    EXPECT_EQ(report.damaged_chunk_count, 1u) << "derived sections are not looked at";
    expect_row_counts(repaired, kCount, 0);
    expect_sound(open(repaired, false));
}

TEST_F(DummySections, DerivedMayBeMissing) {
    create_filled().reset();
    constexpr uint32_t kUnknown = 63;
    change_record(DUMMY_DERIVED_APPEND, [](rhumb__section_record *record) { record->id = kUnknown; });
    {
        const Index reader = open(path_, true);
        EXPECT_EQ(dummy_published_row_count(reader.get(), DUMMY_DERIVED_APPEND), 0u);
        EXPECT_EQ(dummy_published_row_count(reader.get(), DUMMY_DERIVED_MUTABLE), kCount);
        expect_sound(reader);
    }
    const Index index = open(path_, false);
    insert_all(index, random_vectors(10, kDim, 2), kCount);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const FileImage image = FileImage::load(path_);
    EXPECT_EQ(image.row_count(DUMMY_DERIVED_APPEND), 0u);
    EXPECT_EQ(image.row_count(DUMMY_DERIVED_MUTABLE), kCount);
    for (const rhumb__section_record &section : image.sections()) EXPECT_NE(section.id, kUnknown);
    fill(index, DUMMY_DERIVED_APPEND, 0, kCount + 10);
    insert_all(index, random_vectors(10, kDim, 3), kCount + 10);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    expect_rows_in_file(DUMMY_DERIVED_APPEND, 0, kCount + 10);
    expect_sound(index);
}

TEST_F(DummySections, DerivedOfAnotherVersionAreLeftOut) {
    create_filled().reset();
    for (const uint32_t id : {DUMMY_DERIVED_APPEND, DUMMY_DERIVED_MUTABLE}) {
        change_record(id, [](rhumb__section_record *record) { record->version = 2; });
    }
    for (const bool read_only : {true, false}) {
        const Index index = open(path_, read_only);
        EXPECT_EQ(dummy_published_row_count(index.get(), DUMMY_DERIVED_APPEND), 0u);
        EXPECT_EQ(dummy_published_row_count(index.get(), DUMMY_DERIVED_MUTABLE), 0u);
        expect_sound(index);
    }
}

TEST_F(DummySections, RequiredMustBeThereAsTheTableSays) {
    create_filled().reset();
    const std::vector<uint8_t> sound = file_bytes(path_);
    for (const uint32_t id : {DUMMY_APPEND, DUMMY_FILTERED, DUMMY_UNFILTERED}) {
        change_record(id, [](rhumb__section_record *record) { record->version = 2; });
        EXPECT_STATUS(RHUMB_E_VERSION, try_open(path_, true));
        change_record(id, [](rhumb__section_record *record) {
            record->version = 1;
            record->row_count--;
        });
        EXPECT_STATUS(RHUMB_E_CORRUPT, try_open(path_, true));
        change_record(id, [](rhumb__section_record *record) { record->id = 63; });
        EXPECT_STATUS(RHUMB_E_CORRUPT, try_open(path_, true));
        put_file(path_, std::string(sound.begin(), sound.end()));
    }
    // More rows of a derived section than there can be.
    change_record(DUMMY_DERIVED_MUTABLE, [](rhumb__section_record *record) { record->row_count++; });
    EXPECT_STATUS(RHUMB_E_CORRUPT, try_open(path_, true));
}

} // namespace
