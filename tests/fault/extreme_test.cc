// Goal: no number in the frame of a file (superblock, client record, directory) can make the library crash, hang, take
// memory out of proportion, or publish a version that does not open. Method: each field in turn is set to extreme and
// to random values and all checksums are corrected, so that only the checks of the content can reject it; then the file
// is used in every way (tests/support/exercise.h) under a limit on memory.
#include "tests/support/fault_test_support.h"

#include <sys/resource.h>

#include <cstddef>

extern "C" {
#include "base/crc32c.h"
#include "engine/graph/recall_curve.h"
}

namespace fault_test {
namespace {

struct Field {
    std::string name;
    uint64_t offset;
    uint32_t bytes; // 4 or 8
};

class Extreme : public DamagedFile {
  protected:
    // Peak memory of this process, in bytes.
    static uint64_t peak_bytes() {
        rusage usage = {};
        getrusage(RUSAGE_SELF, &usage);
        return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
    }

    static uint64_t get(const FileImage &image, const Field &field) {
        return field.bytes == 4 ? image.get<uint32_t>(field.offset) : image.get<uint64_t>(field.offset);
    }
    static void set(FileImage *image, const Field &field, uint64_t value) {
        if (field.bytes == 4) {
            image->put<uint32_t>(field.offset, static_cast<uint32_t>(value));
        } else {
            image->put<uint64_t>(field.offset, value);
        }
    }

    std::vector<uint64_t> values_for(uint64_t now) {
        std::vector<uint64_t> values = {0,
                                        1,
                                        now - 1,
                                        now + 1,
                                        now * 2,
                                        now / 2,
                                        now + RHUMB__BLOCK_BYTES,
                                        now - RHUMB__BLOCK_BYTES,
                                        now ^ (UINT64_C(1) << 31),
                                        UINT32_MAX,
                                        UINT64_C(1) << 32,
                                        UINT64_C(1) << 61,
                                        UINT64_C(1) << 62,
                                        UINT64_C(1) << 63,
                                        INT64_MAX,
                                        UINT64_MAX,
                                        UINT64_MAX - RHUMB__BLOCK_BYTES + 1,
                                        sound_.bytes().size(),
                                        sound_.bytes().size() - RHUMB__BLOCK_BYTES};
        for (int i = 0; i < (full_run() ? 40 : 2); i++) values.push_back(random_());
        return values;
    }

    // Uses the file as it now is. A file that a writer has changed is replaced afterwards.
    void use(const FileImage &image, const std::string &what) {
        ASSERT_TRUE(image.save(path_));
        const Exercise reading = rhumb_test::exercise_reading(path_);
        EXPECT_EQ(reading.broken, "") << what << ", reading";
        const Exercise writing = rhumb_test::exercise_writing(path_, 3);
        EXPECT_EQ(writing.broken, "") << what << ", writing";
        refused_count_ += reading.opened != RHUMB_OK;
        opened_count_ += reading.opened == RHUMB_OK;
    }

    // Sets each field to each value. In `both`, the same is done to the second copy of a superblock.
    void try_all(const std::vector<Field> &fields, uint64_t copy_distance) {
        const uint64_t before_bytes = peak_bytes();
        for (const Field &field : fields) {
            const uint64_t now = get(sound_, field);
            for (const uint64_t value : values_for(now)) {
                FileImage image = sound_;
                set(&image, field, value);
                if (copy_distance != 0) set(&image, {field.name, field.offset + copy_distance, field.bytes}, value);
                // The newest superblock must stay the newest while the others are mended.
                image.mend_superblocks();
                image.mend_root();
                image.mend_superblocks();
                use(image, field.name + " = " + std::to_string(value) + " (was " + std::to_string(now) + ")");
                if (HasFailure()) return;
            }
        }
        // The largest legitimate parameters (ef_search and ef_construction at their limits) need less.
        EXPECT_LT(peak_bytes() - before_bytes, UINT64_C(600) << 20);
    }

    // Keeps a random part of the fields; all of them with RHUMB_FULL=1.
    void sample(std::vector<Field> *fields, size_t count) {
        if (full_run()) return;
        std::shuffle(fields->begin(), fields->end(), random_);
        fields->resize(count);
    }

    std::vector<Field> superblock_fields(uint64_t base) const {
        std::vector<Field> fields;
        const auto add = [&](const char *name, size_t offset, uint32_t bytes) {
            fields.push_back({std::string("superblock.") + name, base + offset, bytes});
        };
        add("format_version", offsetof(rhumb__superblock, format_version), 4);
        add("epoch", offsetof(rhumb__superblock, epoch), 8);
        add("features_compatible", offsetof(rhumb__superblock, features_compatible), 8);
        add("features_read", offsetof(rhumb__superblock, features_read), 8);
        add("features_incompatible", offsetof(rhumb__superblock, features_incompatible), 8);
        add("uuid", offsetof(rhumb__superblock, uuid), 8);
        add("created_unix_ns", offsetof(rhumb__superblock, created_unix_ns), 8);
        add("creator_version", offsetof(rhumb__superblock, creator_version), 4);
        add("block_bytes", offsetof(rhumb__superblock, block_bytes), 4);
        add("file_bytes", offsetof(rhumb__superblock, file_bytes), 8);
        add("directory_offset", offsetof(rhumb__superblock, directory_offset), 8);
        add("root_bytes", offsetof(rhumb__superblock, root_bytes), 4);
        add("directory_bytes", offsetof(rhumb__superblock, directory_bytes), 8);
        return fields;
    }

    std::mt19937_64 random_{choose_seed()};
    uint64_t refused_count_ = 0;
    uint64_t opened_count_ = 0;
};

TEST_F(Extreme, FieldsOfTheNewestSuperblockAreChecked) {
    try_all(superblock_fields(FileImage::superblock_offset(sound_.newest_slot(), 0)), RHUMB__SUPERBLOCK_COPY_STRIDE);
    EXPECT_GT(refused_count_, 100u);
    EXPECT_GT(opened_count_, 20u);
}

// Only writers read this one, to keep its blocks.
TEST_F(Extreme, FieldsOfThePreviousSuperblockDoNoHarm) {
    try_all(superblock_fields(FileImage::superblock_offset(1 - sound_.newest_slot(), 0)),
            RHUMB__SUPERBLOCK_COPY_STRIDE);
    EXPECT_GT(opened_count_, 100u);
}

// Every 32-bit and 64-bit word of the record, regardless of its meaning.
TEST_F(Extreme, WordsOfTheClientRecordAreChecked) {
    const uint64_t base = FileImage::superblock_offset(sound_.newest_slot(), 0) + offsetof(rhumb__superblock, client);
    std::vector<Field> fields;
    for (uint32_t at = 0; at < 392; at += 4) fields.push_back({"client+" + std::to_string(at), base + at, 4});
    for (uint32_t at = 40; at < 224; at += 8) fields.push_back({"client8+" + std::to_string(at), base + at, 8});
    for (uint32_t at = 296; at < 320; at += 8) fields.push_back({"client8+" + std::to_string(at), base + at, 8});
    fields.push_back({"client8+384", base + 384, 8});
    sample(&fields, 40);
    try_all(fields, RHUMB__SUPERBLOCK_COPY_STRIDE);
    EXPECT_GT(refused_count_, 200u);
    EXPECT_GT(opened_count_, 5u);
}

// Every word of a recall record, under a checksum of its own that is right and under one that is not: a record that is
// impossible is missing, and the index opens.
TEST_F(Extreme, WordsOfTheRecallRecordAreChecked) {
    const std::string path = directory_.file("measured.rhumb");
    ASSERT_TRUE(sound_.save(path));
    Index index;
    ASSERT_EQ(rhumb_test::open_index(path, false, &index), RHUMB_OK);
    ASSERT_EQ(rhumb_index_recall_measure(index, nullptr, nullptr, 0), RHUMB_OK) << rhumb_error_last()->message;
    ASSERT_EQ(index.close(), RHUMB_OK);
    const FileImage measured = FileImage::load(path);
    const uint64_t base = FileImage::superblock_offset(measured.newest_slot(), 0) +
                          offsetof(rhumb__superblock, client) + RHUMB__RECALL_CLIENT_OFFSET;
    uint64_t missing_count = 0, used_count = 0;
    for (uint32_t at = 0; at < RHUMB__RECALL_CLIENT_BYTES; at += 2) {
        for (const uint16_t value : {0, 1, 0x7FFF, 50001, 0xFFFF}) {
            for (const bool mended : {false, true}) {
                FileImage image = measured;
                for (const uint64_t copy : {UINT64_C(0), uint64_t{RHUMB__SUPERBLOCK_COPY_STRIDE}}) {
                    image.put<uint16_t>(base + copy + at, value);
                    uint8_t record[RHUMB__RECALL_CLIENT_BYTES];
                    for (uint32_t i = 0; i < sizeof record; i++) record[i] = image.get<uint8_t>(base + copy + i);
                    if (mended && at >= 4)
                        image.put<uint32_t>(base + copy, rhumb__crc32c(0, record + 4, sizeof record - 4));
                }
                image.mend_superblocks();
                ASSERT_TRUE(image.save(path));
                Index opened;
                ASSERT_EQ(rhumb_test::open_index(path, true, &opened), RHUMB_OK) << rhumb_error_last()->message;
                uint32_t ef = 0;
                const rhumb_status status = rhumb_index_recall_ef(opened, 10, 0.95, &ef, nullptr);
                ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_UNSUPPORTED) << rhumb_error_last()->message;
                (status == RHUMB_OK ? used_count : missing_count)++;
                ASSERT_TRUE(status != RHUMB_OK || (ef >= 10 && ef <= 2048)) << ef;
            }
        }
    }
    EXPECT_GT(missing_count, 200u);
    EXPECT_GT(used_count, 50u);
}

TEST_F(Extreme, FieldsOfTheDirectoryHeaderAreChecked) {
    const uint64_t base = sound_.directory_offset();
    try_all({{"header.magic", base + offsetof(rhumb__directory_header, magic), 4},
             {"header.section_count", base + offsetof(rhumb__directory_header, section_count), 4},
             {"header.extent_count", base + offsetof(rhumb__directory_header, extent_count), 4},
             {"header.checksum_crc", base + offsetof(rhumb__directory_header, checksum_crc), 4},
             {"header.checksum_count", base + offsetof(rhumb__directory_header, checksum_count), 8},
             {"header.epoch", base + offsetof(rhumb__directory_header, epoch), 8},
             {"header.kept_count", base + offsetof(rhumb__directory_header, kept_count), 4}},
            0);
    EXPECT_GT(refused_count_, 50u);
}

TEST_F(Extreme, FieldsOfSectionRecordsAreChecked) {
    std::vector<Field> fields;
    for (uint32_t i = 0; i < sound_.directory_header().section_count; i++) {
        const uint64_t base = sound_.section_record_offset(i);
        const std::string name = "section[" + std::to_string(i) + "].";
        for (const auto &[field, offset] : {std::pair<const char *, size_t>{"id", 0},
                                            {"kind", 4},
                                            {"flags", 8},
                                            {"codec", 12},
                                            {"version", 16},
                                            {"chunk_bytes", 20},
                                            {"extent_first", 40},
                                            {"extent_count", 44}}) {
            fields.push_back({name + field, base + offset, 4});
        }
        for (const auto &[field, offset] : {std::pair<const char *, size_t>{"row_stride_bytes", 24},
                                            {"row_count", 32},
                                            {"checksum_first", 48},
                                            {"reserved", 56}}) {
            fields.push_back({name + field, base + offset, 8});
        }
    }
    sample(&fields, 30);
    try_all(fields, 0);
    EXPECT_GT(refused_count_, 200u);
}

TEST_F(Extreme, FieldsOfExtentsAreChecked) {
    std::vector<Field> fields;
    for (uint32_t i = 0; i < sound_.directory_header().extent_count; i++) {
        fields.push_back({"extent[" + std::to_string(i) + "].file_offset", sound_.extent_offset(i), 8});
        fields.push_back({"extent[" + std::to_string(i) + "].bytes", sound_.extent_offset(i) + 8, 8});
    }
    try_all(fields, 0);
    EXPECT_GT(refused_count_, 100u);
}

// The directory in the last block of the file, and the file ending in the middle of that block: what a writer takes for
// the end of the file lies after it. Its next version once recorded that, and did not open.
TEST_F(Extreme, AFileThatEndsInsideItsLastBlockStaysWritable) {
    FileImage image = sound_;
    const uint32_t slot = sound_.newest_slot();
    const uint64_t bytes = sound_.superblock(slot).directory_bytes;
    const uint64_t from = sound_.directory_offset();
    const uint64_t to = image.bytes().size();
    image.bytes().resize(to + bytes);
    memcpy(&image.bytes()[to], &sound_.bytes()[from], bytes);
    for (uint32_t copy = 0; copy < 2; copy++) {
        rhumb__superblock superblock = sound_.superblock(slot, copy);
        superblock.directory_offset = to;
        superblock.file_bytes = image.bytes().size();
        image.put_superblock(superblock, slot, copy);
    }
    image.mend_superblocks();
    ASSERT_NO_FATAL_FAILURE(use(image, "a file of " + std::to_string(image.bytes().size()) + " bytes"));
    EXPECT_EQ(opened_count_, 1u);
}

// A file of version 1 has neither ties nor a count of copies. Whatever is tried with it, it stays as it is.
TEST_F(Extreme, FilesOfVersion1AreRefusedWithTheWayOn) {
    FileImage image = sound_;
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            const uint64_t base = FileImage::superblock_offset(slot, copy);
            image.put<uint32_t>(base + offsetof(rhumb__superblock, format_version), 1);
            image.put<uint32_t>(base + offsetof(rhumb__superblock, client), 1); // the version of the index record
        }
    }
    image.mend_superblocks();
    ASSERT_TRUE(image.save(path_));
    const std::string new_path = directory_.file("new.rhumb");
    Index index;
    const auto expect_refused = [&](rhumb_status status, const char *what) {
        EXPECT_EQ(status, RHUMB_E_VERSION) << what;
        const std::string message = rhumb_error_last()->message;
        EXPECT_NE(message.find("format version: expected 2, found 1"), std::string::npos) << what << ": " << message;
        EXPECT_NE(message.find("build the index again"), std::string::npos) << what << ": " << message;
        EXPECT_EQ(path_, rhumb_error_last()->path) << what;
    };
    expect_refused(rhumb_test::open_index(path_, true, &index), "open read-only");
    expect_refused(open_for_writing(&index), "open for writing");
    expect_refused(rhumb_index_repair(path_.c_str(), new_path.c_str(), nullptr, nullptr, 0), "repair");
    expect_refused(rhumb_index_compact_into(path_.c_str(), new_path.c_str(), nullptr, nullptr, 0), "compact");
    EXPECT_FALSE(std::filesystem::exists(new_path));
    EXPECT_EQ(FileImage::load(path_).bytes(), image.bytes());
}

// Several fields at a time, so that values that contradict the others alone may agree.
TEST_F(Extreme, RandomPairsOfWordsAreChecked) {
    const uint64_t superblock = FileImage::superblock_offset(sound_.newest_slot(), 0);
    const uint64_t root_bytes = sound_.superblock(sound_.newest_slot()).root_bytes;
    for (uint64_t i = 0; i < iteration_count(300); i++) {
        FileImage image = sound_;
        std::string what;
        for (int k = 0; k < 2 + static_cast<int>(random_() % 3); k++) {
            const bool in_root = random_() % 2 == 0;
            const uint64_t size = in_root ? root_bytes : random_() % 2 == 0 ? 112 : 904;
            const uint64_t at = random_() % (size / 4) * 4;
            const std::vector<uint64_t> values = values_for(image.get<uint32_t>(superblock + at));
            const uint32_t value = static_cast<uint32_t>(values[random_() % values.size()]);
            what += (in_root ? " root+" : " superblock+") + std::to_string(at) + " = " + std::to_string(value);
            if (in_root) {
                image.put(sound_.directory_offset() + at, value);
            } else if (at >= 8) { // not the magic
                image.put(superblock + at, value);
                image.put(superblock + at + RHUMB__SUPERBLOCK_COPY_STRIDE, value);
            }
        }
        image.mend_superblocks();
        image.mend_root();
        image.mend_superblocks();
        ASSERT_NO_FATAL_FAILURE(use(image, what));
        if (HasFailure()) return;
    }
}

} // namespace
} // namespace fault_test
