// Goal: a repair saves everything that is provably intact and nothing else, never changes the old file, and the new
// index is always whole: verify finds nothing, every vector has a path to it, searches are as good as in a fresh one.
// Method: an index with deleted vectors, in two checkpoints, is damaged in one place at a time, for which the
// expected loss is known; then the content of the new index is compared with what was inserted, vector by vector.
#include "tests/support/repair_test_support.h"

extern "C" {
#include "base/alloc.h"
#include "base/crc32c.h"
}

namespace fault_test {
namespace {

TEST_F(Repair, SoundIndexKeepsEverything) {
    ASSERT_TRUE(repair());
    expect_content(alive());
    EXPECT_EQ(report_.epoch, sound().superblock(sound().newest_slot()).epoch);
    EXPECT_EQ(report_.slot_count, kCount);
    EXPECT_EQ(report_.dead_count, kDeadCount);
    EXPECT_EQ(report_.damaged_chunk_count, 0u);
    EXPECT_EQ(report_.lists_rebuilt_count, 0u);
    expect_complete();
    expect_same_exact_answers();
}

TEST_F(Repair, DamagedVectorsLoseTheirKeysAndNothingElse) {
    const uint64_t stride = sound().row_stride(RHUMB__SECTION_VECTORS);
    for (const uint64_t chunk : {uint64_t{0}, uint64_t{3}, kCount * stride / kBlock}) {
        spoil(RHUMB__SECTION_VECTORS, chunk * kBlock + 123);
        ASSERT_TRUE(repair());
        std::set<uint64_t> expected = alive();
        for (uint64_t i = 0; i < kCount; i++) {
            if ((i + 1) * stride > chunk * kBlock && i * stride < (chunk + 1) * kBlock) expected.erase(i);
        }
        EXPECT_LT(expected.size(), alive().size());
        expect_content(expected);
        EXPECT_EQ(report_.damaged_chunk_count, 1u);
        EXPECT_EQ(report_.lost_vector_count, alive().size() - expected.size());
        EXPECT_EQ(report_.lost_count, report_.lost_vector_count);
        EXPECT_EQ(report_.dead_count, kDeadCount);
        EXPECT_EQ(report_.doubtful_count + report_.unproved_count, 0u);
        EXPECT_STRNE(report_.first_damage, "");
        start_again();
    }
}

TEST_F(Repair, DamagedLinksLoseNothing) {
    for (const uint32_t section : {RHUMB__SECTION_NODES, RHUMB__SECTION_LISTS0, RHUMB__SECTION_LISTS_UPPER}) {
        const uint64_t bytes = sound().row_count(section) * sound().row_stride(section);
        for (uint64_t offset = 0; offset < bytes; offset += kBlock) {
            start_again();
            spoil(section, offset + 77);
            ASSERT_TRUE(repair());
            EXPECT_EQ(report_.damaged_chunk_count, 1u) << "section " << section;
            EXPECT_EQ(report_.lists_rebuilt_count > 0, section == RHUMB__SECTION_LISTS0);
            expect_complete();
            expect_content(alive());
            if (HasFailure()) return;
        }
    }
}

TEST_F(Repair, AllListsCanBeLost) {
    for (uint64_t slot = 0; slot < kCount; slot++)
        spoil(RHUMB__SECTION_LISTS0, slot * sound().row_stride(RHUMB__SECTION_LISTS0));
    ASSERT_TRUE(repair());
    EXPECT_EQ(report_.lists_rebuilt_count, alive().size());
    expect_complete();
    expect_content(alive());
    expect_recall();
}

TEST_F(Repair, OneWrongKeyIsLostAndItsNeighboursAreConfirmedByTheKeyTable) {
    spoil(RHUMB__SECTION_KEYS, 8 * 100);
    ASSERT_TRUE(repair());
    std::set<uint64_t> expected = alive();
    expected.erase(100);
    expect_content(expected);
    EXPECT_EQ(report_.lost_key_count, 1u);
    EXPECT_EQ(report_.lost_count, 1u);
    uint64_t in_chunk = 0;
    for (const uint64_t i : expected) in_chunk += i < kBlock / 8;
    EXPECT_EQ(report_.unproved_count, in_chunk);
}

TEST_F(Repair, KeysThatNothingConfirmsAreLost) {
    spoil(RHUMB__SECTION_KEYS, 8 * 100);
    spoil_section(RHUMB__SECTION_KEY_BUCKETS);
    ASSERT_TRUE(repair());
    std::set<uint64_t> expected;
    for (const uint64_t i : alive()) {
        if (i >= kBlock / 8) expected.insert(i);
    }
    EXPECT_GT(expected.size(), 0u);
    expect_content(expected);
    EXPECT_EQ(report_.lost_key_count, alive().size() - expected.size());
    EXPECT_EQ(report_.unproved_count, 0u);
}

TEST_F(Repair, DamagedKeyTableLosesNothing) {
    spoil_section(RHUMB__SECTION_KEY_BUCKETS);
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
}

TEST_F(Repair, DamagedTombstonesBringNothingBack) {
    spoil_section(RHUMB__SECTION_TOMBSTONES);
    ASSERT_TRUE(repair());
    EXPECT_EQ(report_.damaged_chunk_count, 1u);
    EXPECT_EQ(report_.dead_count, kDeadCount);
    expect_complete();
    expect_content(alive());
}

TEST_F(Repair, TombstonesAndPartOfTheKeyTableDamagedLeaveDoubt) {
    spoil_section(RHUMB__SECTION_TOMBSTONES);
    spoil(RHUMB__SECTION_KEY_BUCKETS, 50);
    ASSERT_TRUE(repair());
    const std::set<uint64_t> alive_before = alive();
    std::set<uint64_t> found;
    for (uint64_t i = 0; i < kCount; i++) {
        if (contains(i)) found.insert(i);
    }
    EXPECT_TRUE(std::includes(found.begin(), found.end(), alive_before.begin(), alive_before.end()));
    EXPECT_LT(found.size(), kCount) << "the intact part of the key table tells some dead ones";
    EXPECT_GE(report_.doubtful_count, found.size() - alive_before.size()) << "who comes back is doubtful";
    EXPECT_EQ(report_.dead_count, kCount - found.size());
    EXPECT_EQ(report_.lost_count, 0u);
    expect_content(found);

    start_again();
    spoil_section(RHUMB__SECTION_TOMBSTONES);
    spoil(RHUMB__SECTION_KEY_BUCKETS, 50);
    EXPECT_EQ(repair_status(true), RHUMB_E_CORRUPT) << "strictness takes nothing that is doubtful";
    EXPECT_FALSE(exists(new_path_));
}

TEST_F(Repair, OneCopyOfTheSuperblockIsEnough) {
    spoil_at(FileImage::superblock_offset(sound().newest_slot(), 0) + 100);
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
}

TEST_F(Repair, WithoutTheNewestSuperblockOrItsDirectoryTheVersionBeforeIsTaken) {
    for (const bool directory : {false, true}) {
        start_again();
        const uint32_t newest = sound().newest_slot();
        if (directory) {
            spoil_at(sound().directory_offset() + 40);
        } else {
            for (uint32_t copy = 0; copy < 2; copy++) spoil_at(FileImage::superblock_offset(newest, copy) + 2000);
        }
        // Only the epoch tells which of the two is newer, unless the epoch is what is damaged.
        ASSERT_TRUE(repair());
        EXPECT_TRUE(report_.older_version);
        EXPECT_STRNE(report_.version_note, "");
        EXPECT_EQ(report_.epoch, sound().superblock(newest).epoch - 1);
        EXPECT_EQ(report_.lost_count, 0u);
        expect_content(first_checkpoint());
    }
}

TEST_F(Repair, WithoutTheSuperblockOfTheVersionBeforeTheNewestIsTaken) {
    for (uint32_t copy = 0; copy < 2; copy++) {
        spoil_at(FileImage::superblock_offset(1 - sound().newest_slot(), copy) + 2000);
    }
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
}

TEST_F(Repair, AFileThatIsNotAnIndexIsRefusedAndLeavesNothing) {
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) spoil_at(FileImage::superblock_offset(slot, copy) + 2000);
    }
    EXPECT_EQ(repair_status(), RHUMB_E_CORRUPT);
    EXPECT_FALSE(exists(new_path_));
    image_.bytes().assign(image_.bytes().size(), 0);
    EXPECT_EQ(repair_status(), RHUMB_E_NOT_AN_INDEX);
    image_.bytes().clear();
    EXPECT_EQ(repair_status(), RHUMB_E_NOT_AN_INDEX);
    EXPECT_FALSE(exists(new_path_));
    EXPECT_EQ(rhumb_index_repair(directory_->file("absent").c_str(), new_path_.c_str(), nullptr, nullptr, 0),
              RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb_index_repair(directory_->path().c_str(), new_path_.c_str(), nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_FALSE(exists(new_path_));
}

TEST_F(Repair, ANewerFormatIsRefused) {
    const uint32_t newest = sound().newest_slot();
    for (uint32_t copy = 0; copy < 2; copy++) {
        rhumb__superblock superblock = image_.superblock(newest, copy);
        superblock.format_version++;
        image_.put_superblock(superblock, newest, copy);
    }
    image_.mend_superblocks();
    EXPECT_EQ(repair_status(), RHUMB_E_VERSION);
    EXPECT_FALSE(exists(new_path_));
}

TEST_F(Repair, WithoutChecksumsWhatIsPlausibleIsTaken) {
    spoil_at(checksum_offset());
    ASSERT_TRUE(repair());
    EXPECT_TRUE(report_.checksums_lost);
    EXPECT_EQ(report_.unproved_count, alive().size());
    EXPECT_EQ(report_.doubtful_count, 0u);
    EXPECT_EQ(report_.lost_count, 0u);
    EXPECT_EQ(report_.dead_count, kDeadCount);
    expect_content(alive());

    start_again();
    spoil_at(checksum_offset());
    EXPECT_EQ(repair_status(true), RHUMB_E_CORRUPT);
    EXPECT_FALSE(exists(new_path_));
}

TEST_F(Repair, WithoutChecksumsWhatContradictsItselfIsLost) {
    spoil_at(checksum_offset());
    image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_VECTORS, 20), 0x7FC00000); // NaN
    spoil(RHUMB__SECTION_KEYS, 8 * 30);
    image_.put<uint32_t>(image_.locate_row(RHUMB__SECTION_LISTS0, 40), 0x7FFFFFFF); // a slot that does not exist
    ASSERT_TRUE(repair());
    std::set<uint64_t> expected = alive();
    expected.erase(20);
    expected.erase(30);
    EXPECT_EQ(report_.lost_vector_count, 1u);
    EXPECT_EQ(report_.lost_key_count, 1u);
    EXPECT_EQ(report_.lists_rebuilt_count, 1u);
    expect_content(expected);
}

TEST_F(Repair, NodesWithoutLinksToThemGetThem) {
    // No list names slot 50 or 51, but they name each other: an island of two.
    for (uint64_t slot = 0; slot < kCount; slot++) {
        if (slot == 50 || slot == 51) continue;
        edit_list(slot, [](std::vector<uint32_t> *list) {
            list->erase(std::remove_if(list->begin(), list->end(), [](uint32_t s) { return s == 50 || s == 51; }),
                        list->end());
        });
    }
    edit_list(50, [](std::vector<uint32_t> *list) { list->assign({51}); });
    edit_list(51, [](std::vector<uint32_t> *list) { list->assign({50}); });
    image_.mend();
    EXPECT_GE(old_unreachable_count(), 2u);
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
    for (const uint64_t i : {uint64_t{50}, uint64_t{51}}) EXPECT_EQ(nearest_key(vectors().vector(i)), vectors().key(i));
}

TEST_F(Repair, HalvesThatAreCutApartGrowTogether) {
    for (uint64_t slot = 0; slot < kCount; slot++) {
        edit_list(slot, [slot](std::vector<uint32_t> *list) {
            list->erase(std::remove_if(list->begin(), list->end(), [slot](uint32_t s) { return s % 2 != slot % 2; }),
                        list->end());
        });
    }
    image_.mend();
    EXPECT_GE(old_unreachable_count(), alive().size() / 3);
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
    EXPECT_GT(report_.relinked_count, 0u);
}

TEST_F(Repair, ReconnectsNodesWithFullLists) {
    // Every list is full and leads to the same eight nodes, so almost nothing can be reached and no place is free.
    for (uint64_t slot = 0; slot < kCount; slot++) {
        edit_list(slot, [slot](std::vector<uint32_t> *list) {
            list->clear();
            for (uint32_t s = 0; list->size() < kM0; s++) {
                if (s != slot && alive().count(s) != 0) list->push_back(s);
            }
        });
    }
    image_.mend();
    ASSERT_TRUE(repair());
    expect_complete();
    expect_content(alive());
}

TEST_F(Repair, ReconnectsNodesWithListsOfTwoEntries) {
    // So few and bad links that nothing but ties holds them together; then every third node loses its own.
    IndexShape tight = shape();
    tight.M = 2;
    tight.M0 = 2;
    tight.ef_construction = 1;
    Index index;
    ASSERT_EQ(create_without_log(path_, tight, &index), RHUMB_OK);
    ASSERT_EQ(insert_batch(index, vectors().keys(0, 2000), vectors().vectors(0, 2000)), RHUMB_OK);
    ASSERT_EQ(index.close(), RHUMB_OK);
    image_ = FileImage::load(path_);
    EXPECT_EQ(old_unreachable_count(), 0u);
    for (uint64_t slot = 0; slot < 2000; slot += 3) {
        const uint64_t row = image_.locate_row(RHUMB__SECTION_LISTS0, slot);
        for (uint32_t i = 0; i < tight.M0; i++) image_.put<uint32_t>(row + i * 4, UINT32_MAX);
    }
    image_.mend();
    EXPECT_GT(old_unreachable_count(), 100u);
    ASSERT_TRUE(repair());
    std::set<uint64_t> expected;
    for (uint64_t i = 0; i < 2000; i++) expected.insert(i);
    expect_complete();
    expect_content(expected);
}

// A tenth of the nodes is deleted: most lists that named one are mended from the lists of the others that they name.
TEST_F(Repair, ListsThatNamedDeletedNodesAreMendedByAnyNumberOfThreads) {
    uint64_t naming_count = 0;
    for (uint64_t slot = 0; slot < kCount; slot++) {
        bool names = false;
        if (alive().count(slot) == 0) continue;
        edit_list(slot, [&](std::vector<uint32_t> *list) {
            for (const uint32_t neighbour : *list) names = names || alive().count(neighbour) == 0;
        });
        naming_count += names ? 1 : 0;
    }
    ASSERT_GT(naming_count, kCount / 4);
    for (uint32_t thread_count : {1u, 4u}) {
        start_again();
        thread_count_ = thread_count;
        ASSERT_TRUE(repair());
        expect_complete();
        expect_recall();
        EXPECT_GE(report_.relinked_count, naming_count);
        EXPECT_LE(report_.relinked_count, naming_count + kCount / 100);
    }
}

TEST_F(Repair, SearchesAsWellAsAFreshIndex) {
    spoil(RHUMB__SECTION_LISTS0, 3);
    spoil(RHUMB__SECTION_LISTS0, 4 * kBlock);
    spoil(RHUMB__SECTION_VECTORS, kBlock);
    ASSERT_TRUE(repair());
    expect_recall();
}

TEST_F(Repair, TruncatedFilesKeepWhatIsLeft) {
    // At any cut: a whole index or none.
    for (int64_t length = sound().bytes().size() - kBlock / 2; length > int64_t{kBlock}; length -= 5 * kBlock / 2) {
        start_again();
        image_.bytes().resize(static_cast<size_t>(length));
        const rhumb_status status = repair_status();
        EXPECT_EQ(exists(new_path_), status == RHUMB_OK) << length;
        if (status != RHUMB_OK) continue;
        EXPECT_EQ(report_.saved_count + report_.lost_count + report_.dead_count, report_.slot_count);
        expect_whole();
        if (HasFailure()) return;
    }
}

TEST_F(Repair, WithoutTheVectorsAfterACutTheOthersRemain) {
    // The last extent of the vectors is moved to the end of the file, and most of it is cut off.
    const std::vector<rhumb__section_record> sections = sound().sections();
    const auto record =
        std::find_if(sections.begin(), sections.end(), [](auto &r) { return r.id == RHUMB__SECTION_VECTORS; });
    std::vector<rhumb__extent> extents = sound().extents(*record);
    rhumb__extent moved = extents.back();
    extents.pop_back();
    uint64_t remaining_bytes = 0; // of the section
    for (const rhumb__extent &extent : extents) remaining_bytes += extent.bytes;
    const uint64_t begin = (image_.bytes().size() + kBlock - 1) / kBlock * kBlock;
    image_.bytes().resize(begin + moved.bytes);
    memcpy(&image_.bytes()[begin], &sound().bytes()[moved.file_offset], moved.bytes);
    moved.file_offset = begin;
    const uint32_t last = record->extent_first + record->extent_count - 1;
    image_.put(sound().extent_offset(last), moved);
    const uint32_t newest = sound().newest_slot();
    for (uint32_t copy = 0; copy < 2; copy++) {
        rhumb__superblock superblock = image_.superblock(newest, copy);
        superblock.file_bytes = begin + moved.bytes;
        superblock.root_crc = rhumb__crc32c(0, &image_.bytes()[superblock.directory_offset], superblock.root_bytes);
        image_.put_superblock(superblock, newest, copy);
    }
    image_.mend_superblocks();
    ASSERT_TRUE(repair());
    expect_content(alive()); // it is moved correctly

    ASSERT_EQ(unlink(new_path_.c_str()), 0);
    opened_.reset();
    image_.bytes().resize(begin + 1000);
    ASSERT_TRUE(repair());
    std::set<uint64_t> expected;
    for (const uint64_t i : alive()) {
        if ((i + 1) * sound().row_stride(RHUMB__SECTION_VECTORS) <= remaining_bytes) expected.insert(i);
    }
    EXPECT_GT(expected.size(), 0u);
    EXPECT_EQ(report_.lost_vector_count, alive().size() - expected.size());
    expect_content(expected);
}

TEST_F(Repair, ExistingFilesAreRefusedAndLeftAlone) {
    for (const char *suffix : {"", "-wal"}) {
        start_again();
        io_test::put_file(new_path_ + suffix, "something else");
        EXPECT_EQ(repair_status(), RHUMB_E_EXISTS);
        EXPECT_EQ(io_test::file_bytes(new_path_ + suffix).size(), 14u);
        EXPECT_EQ(exists(new_path_), suffix[0] == '\0');
        unlink((new_path_ + suffix).c_str());
    }
    ASSERT_TRUE(image_.save(path_));
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), path_.c_str(), nullptr, nullptr, 0), RHUMB_E_EXISTS);
    EXPECT_EQ(io_test::file_bytes(path_), image_.bytes());
}

TEST_F(Repair, WaitsForWritersAndNotForReaders) {
    Index index;
    ASSERT_TRUE(image_.save(path_));
    ASSERT_EQ(rhumb_test::open_index(path_, false, &index), RHUMB_OK);
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, nullptr, 0), RHUMB_E_LOCKED);
    EXPECT_FALSE(exists(new_path_));
    ASSERT_EQ(index.close(), RHUMB_OK);
    ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK);
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, nullptr, 0), RHUMB_OK);
}

TEST_F(Repair, FilesThatMayNotBeWrittenAreReadAllTheSame) {
    ASSERT_TRUE(image_.save(path_));
    const int code = io_test::run_in_child([this] {
        if (geteuid() == 0) {
            CHILD_CHECK(chmod(directory_->path().c_str(), 0777) == 0);
            if (seteuid(65534) != 0) _exit(io_test::kChildSkipped);
        } else {
            CHILD_CHECK(chmod(path_.c_str(), 0444) == 0);
        }
        // The folders above may be closed to that other user.
        if (euidaccess(path_.c_str(), F_OK) != 0) _exit(io_test::kChildSkipped);
        const int fd = open(path_.c_str(), O_RDWR | O_CLOEXEC);
        CHILD_CHECK(fd < 0);
        CHILD_CHECK(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, nullptr, 0) == RHUMB_OK);
    });
    if (code == io_test::kChildSkipped) GTEST_SKIP() << "this user cannot become another, or that one cannot come here";
    ASSERT_EQ(code, 0);
    report_.count = alive().size(); // the child's report is gone
    expect_content(alive());
}

TEST_F(Repair, StoppedByTheCallerLeavesNothing) {
    for (const bool at_the_end : {false, true}) {
        ASSERT_TRUE(image_.save(path_));
        rhumb_repair_options options;
        rhumb_repair_options_init(&options, sizeof options);
        bool wait = at_the_end;
        options.progress_context = &wait;
        options.progress = [](void *context, uint64_t done_count, uint64_t total_count) {
            EXPECT_LE(done_count, total_count);
            return *static_cast<bool *>(context) && done_count < total_count;
        };
        EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_CANCELLED);
        EXPECT_FALSE(exists(new_path_));
    }
}

TEST_F(Repair, ArgumentsAreChecked) {
    rhumb_repair_report report;
    EXPECT_EQ(rhumb_index_repair(nullptr, new_path_.c_str(), nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), "", nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), nullptr, &report, 3), RHUMB_E_INVALID);
    rhumb_repair_options options;
    rhumb_repair_options_init(&options, sizeof options);
    options.size = 3;
    EXPECT_EQ(rhumb_index_repair(path_.c_str(), new_path_.c_str(), &options, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_FALSE(exists(new_path_));
}

// ---- any damage ----

class RandomDamage : public ::testing::Test {
  protected:
    static constexpr uint64_t kCount = 600;

    void build(rhumb_metric metric) {
        const std::string path = directory_.file("sound.rhumb");
        IndexShape shape;
        shape.dim = vectors_.dim();
        shape.metric = metric;
        Index index;
        unlink(path.c_str());
        ASSERT_EQ(create_without_log(path, shape, &index), RHUMB_OK);
        ASSERT_EQ(insert_batch(index, vectors_.keys(0, 400), vectors_.vectors(0, 400)), RHUMB_OK);
        ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
        ASSERT_EQ(insert_batch(index, vectors_.keys(400, kCount - 400), vectors_.vectors(400, kCount - 400)), RHUMB_OK);
        for (uint64_t i = 0; i < kCount; i += 9) ASSERT_EQ(rhumb_index_delete(index, vectors_.key(i)), RHUMB_OK);
        ASSERT_EQ(index.close(), RHUMB_OK);
        sound_ = FileImage::load(path);
    }

    uint64_t draw(uint64_t limit) { return random_() % limit; }

    // A random place in the file, half of the time in a used part.
    uint64_t draw_place() {
        const uint32_t section = 1 + static_cast<uint32_t>(draw(8));
        const uint64_t bytes = sound_.row_count(section) * sound_.row_stride(section);
        if (draw(2) == 0 || bytes == 0) return draw(sound_.bytes().size());
        return sound_.locate(section, draw(bytes));
    }

    void damage(FileImage *image) {
        std::vector<uint8_t> &bytes = image->bytes();
        const uint64_t begin = draw_place();
        const uint64_t count =
            std::min<uint64_t>(uint64_t{1} << draw(16), bytes.size() - std::min(begin, bytes.size()));
        if (begin >= bytes.size()) return;
        switch (draw(6)) {
        case 0: bytes[begin] ^= static_cast<uint8_t>(1u << draw(8)); break;
        case 1: std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(begin), count, uint8_t{0}); break;
        case 2: std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(begin), count, uint8_t{0xFF}); break;
        case 3:
            for (uint64_t i = 0; i < count; i++) bytes[begin + i] = static_cast<uint8_t>(random_());
            break;
        case 4: { // another block in the place of this one
            const uint64_t block_count = bytes.size() / kBlock;
            memmove(&bytes[draw(block_count) * kBlock], &bytes[draw(block_count) * kBlock], kBlock);
            break;
        }
        default:
            if (draw(4) == 0)
                bytes.resize(begin);
            else
                image->put<uint32_t>(begin & ~uint64_t{3}, static_cast<uint32_t>(draw(2 * kCount)));
            break;
        }
    }

    // The new index must be whole, and its content correct unless the report counts vectors that could not be proved.
    void check(const std::string &path, const rhumb_repair_report &report, bool mended) {
        Index index;
        rhumb_verify_report verified;
        ASSERT_EQ(rhumb_test::open_index(path, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        EXPECT_EQ(rhumb_test::verify_index(index, &verified), RHUMB_OK) << verified.first_error;
        EXPECT_EQ(verified.unreachable_count, 0u);
        EXPECT_EQ(rhumb_index_count(index), report.count);
        EXPECT_EQ(report.saved_count, report.count);
        EXPECT_LE(report.saved_count + report.lost_count + report.dead_count, report.slot_count);
        if (mended || report.unproved_count > 0) return;
        uint64_t found_count = 0;
        std::vector<float> found(vectors_.dim());
        for (uint64_t i = 0; i < kCount; i++) {
            if (rhumb_index_get_vector(index, vectors_.key(i), found.data()) != RHUMB_OK) continue;
            EXPECT_EQ(found, vectors_.vector(i)) << "vector " << i;
            const bool deleted = i % 9 == 0 && !report.older_version;
            EXPECT_FALSE(deleted && report.doubtful_count == 0) << "vector " << i << " is back";
            found_count++;
        }
        EXPECT_EQ(found_count, report.count);
    }

    ScratchDirectory directory_;
    Vectors vectors_{8, 397};
    FileImage sound_;
    std::mt19937_64 random_{choose_seed()};
};

TEST_F(RandomDamage, GivesAWholeIndexOrNone) {
    const std::string path = directory_.file("old.rhumb");
    const std::string new_path = directory_.file("new.rhumb");
    uint64_t made_count = 0;
    const uint64_t round_count = iteration_count(300);
    for (uint64_t round = 0; round < round_count; round++) {
        if (round % 100 == 0) build(round % 200 == 0 ? RHUMB_METRIC_L2 : RHUMB_METRIC_COSINE);
        FileImage image = sound_;
        for (uint64_t i = 0, count = 1 + draw(5); i < count; i++) damage(&image);
        const bool mended = draw(4) == 0;
        if (mended) image.mend();
        ASSERT_TRUE(image.save(path));
        rhumb_repair_report report;
        rhumb_repair_options options;
        rhumb_repair_options_init(&options, sizeof options);
        options.thread_count = 1 + static_cast<uint32_t>(draw(3));
        const rhumb_status status =
            rhumb_index_repair(path.c_str(), new_path.c_str(), &options, &report, sizeof report);
        EXPECT_TRUE(io_test::file_bytes(path) == image.bytes());
        EXPECT_EQ(exists(new_path), status == RHUMB_OK);
        if (status == RHUMB_OK) {
            made_count++;
            check(new_path, report, mended);
            unlink(new_path.c_str());
        } else {
            EXPECT_TRUE(status == RHUMB_E_CORRUPT || status == RHUMB_E_NOT_AN_INDEX || status == RHUMB_E_VERSION ||
                        status == RHUMB_E_TRUNCATED)
                << rhumb_error_last()->message;
        }
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
    EXPECT_GT(made_count, round_count / 2);
}

TEST_F(RandomDamage, AnyRefusedAllocationLeavesNothing) {
    const std::string path = directory_.file("old.rhumb");
    const std::string new_path = directory_.file("new.rhumb");
    build(RHUMB_METRIC_L2);
    FileImage image = sound_;
    image.bytes()[image.locate(RHUMB__SECTION_LISTS0, 100)] ^= 1;
    image.bytes()[image.locate(RHUMB__SECTION_TOMBSTONES, 8)] ^= 1;
    ASSERT_TRUE(image.save(path));
    uint64_t failed_count = 0;
    for (uint64_t countdown = 1;; countdown++) {
        rhumb_repair_report report;
        rhumb__alloc_fail_after(countdown, false);
        const rhumb_status status = rhumb_index_repair(path.c_str(), new_path.c_str(), nullptr, &report, sizeof report);
        const bool reached = rhumb__alloc_request_count() >= countdown;
        rhumb__alloc_fail_after(0, false);
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << rhumb_error_last()->message;
        ASSERT_EQ(exists(new_path), status == RHUMB_OK);
        failed_count += status != RHUMB_OK;
        if (status == RHUMB_OK) check(new_path, report, false);
        ASSERT_FALSE(HasFailure()) << "allocation " << countdown;
        unlink(new_path.c_str());
        if (!reached) break;
    }
    EXPECT_GT(failed_count, 30u);
}

} // namespace
} // namespace fault_test
