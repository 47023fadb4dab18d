// Goal: whatever rows hold (lists, node records, key buckets, vectors, ties), with correct checksums, nothing crashes,
// hangs or writes out of bounds: searches, inserts, checkpoints and verify continue, and the file they leave opens.
// Method: hand-made damage of the kinds that a reader is most likely to trust, and random damage, each used in every
// way (tests/support/exercise.h).
#include "tests/support/fault_test_support.h"

#include <atomic>
#include <cmath>
#include <ctime>
#include <limits>
#include <thread>

namespace fault_test {
namespace {

constexpr uint64_t kBucketSlots = 56;
constexpr uint32_t kBucketPlaces = 48;

class HostileRows : public DamagedFile {
  protected:
    void use(FileImage *image, const std::string &what, uint32_t insert_count = 40) {
        image->mend();
        ASSERT_TRUE(image->save(path_));
        const Exercise reading = rhumb_test::exercise_reading(path_);
        EXPECT_EQ(reading.opened, RHUMB_OK) << what << ": opening does not look at rows";
        EXPECT_EQ(reading.broken, "") << what << ", reading";
        EXPECT_EQ(reading.report.checksum_error_count, 0u) << what << ": this test should have mended it";
        const Exercise writing = rhumb_test::exercise_writing(path_, insert_count);
        EXPECT_EQ(writing.broken, "") << what << ", writing";
        last_ = reading;
    }

    // Writes a 32-bit number to every entry of every row of a section of lists.
    template <typename Slot> FileImage fill_lists(uint32_t section, uint32_t place_count, const Slot &slot) {
        FileImage image = sound_;
        for (uint64_t row = 0; row < image.row_count(section); row++) {
            for (uint32_t i = 0; i < place_count; i++) {
                image.put<uint32_t>(image.locate_row(section, row) + i * 4, slot(row, i));
            }
        }
        return image;
    }

    Exercise last_;
    std::mt19937_64 random_{choose_seed()};
};

TEST_F(HostileRows, SurvivesListsFullOfOneSlot) {
    FileImage image = fill_lists(RHUMB__SECTION_LISTS0, 8, [](uint64_t, uint32_t) { return 5u; });
    use(&image, "every list of level 0 is eight times slot 5");
    EXPECT_GT(last_.report.structure_error_count, 0u);
}

// A list that is full of duplicates and overflows: pruning keeps one of each, and there seems to be no room for the
// new entry. It was once written after the end of the row.
TEST_F(HostileRows, DuplicatesDoNotPushEntriesBeyondTheEndOfAList) {
    for (const uint32_t M0 : {4u, 8u, 16u, 512u}) {
        IndexShape shape;
        shape.M0 = M0;
        shape.ef_construction = 20;
        for (const bool keep_pruned : {false, true}) {
            if (keep_pruned && M0 != 8 && !full_run()) continue;
            shape.keep_pruned = keep_pruned;
            ASSERT_NO_FATAL_FAILURE(build(shape, 40, 1));
            for (const uint32_t distinct : {1u, 2u, 3u}) {
                if (M0 == 512 && distinct > 1 && !full_run()) continue; // long lists take long to verify
                FileImage image = fill_lists(RHUMB__SECTION_LISTS0, M0, [&](uint64_t row, uint32_t i) {
                    return static_cast<uint32_t>((row + 1 + i % distinct) % 40);
                });
                use(&image, "M0 " + std::to_string(M0) + ", " + std::to_string(distinct) + " slots again and again",
                    60);
                if (HasFailure()) return;
            }
        }
    }
}

TEST_F(HostileRows, SurvivesListsOfSlotsThatDoNotExist) {
    for (const uint32_t slot : {300u, 301u, 511u, 65536u, (1u << 31) - 1, 1u << 31, UINT32_MAX - 1}) {
        FileImage image = fill_lists(RHUMB__SECTION_LISTS0, 8, [&](uint64_t, uint32_t i) { return slot + i % 2; });
        use(&image, "every list points to " + std::to_string(slot));
        EXPECT_GT(last_.report.structure_error_count + last_.report.unreachable_count, 0u);
        FileImage upper = fill_lists(RHUMB__SECTION_LISTS_UPPER, 4, [&](uint64_t, uint32_t) { return slot; });
        use(&upper, "every upper list points to " + std::to_string(slot));
    }
}

TEST_F(HostileRows, SurvivesListsThatPointToThemselvesOrNowhere) {
    FileImage image =
        fill_lists(RHUMB__SECTION_LISTS0, 8, [](uint64_t row, uint32_t) { return static_cast<uint32_t>(row); });
    use(&image, "every node is its own neighbour");
    image = fill_lists(RHUMB__SECTION_LISTS0, 8, [](uint64_t, uint32_t i) { return i % 2 == 0 ? UINT32_MAX : 3u; });
    use(&image, "lists with holes");
    image = fill_lists(RHUMB__SECTION_LISTS0, 16, [](uint64_t, uint32_t) { return UINT32_MAX; });
    use(&image, "empty lists");
    image = fill_lists(RHUMB__SECTION_LISTS_UPPER, 16, [](uint64_t, uint32_t) { return 0u; });
    use(&image, "upper lists of slots that are on level 0");
    image = fill_lists(RHUMB__SECTION_LISTS0, 16,
                       [](uint64_t row, uint32_t i) { return static_cast<uint32_t>(row * 7 + i) % 300; });
    use(&image, "entries behind the capacity of a list");
}

TEST_F(HostileRows, SurvivesImpossibleNodeRecords) {
    const uint64_t present = UINT64_C(1) << 40;
    for (const uint64_t record :
         {UINT64_C(0), present, present | UINT64_C(16) << 32, present | UINT64_C(255) << 32,
          present | UINT64_C(255) << 32 | UINT32_MAX, present | UINT64_C(1) << 32 | (UINT32_MAX - 1), UINT64_MAX,
          present | UINT64_C(2) << 32, UINT64_C(3) << 32 | 5}) {
        FileImage image = sound_;
        for (uint64_t row = 0; row < kCount; row++) image.put(image.locate_row(RHUMB__SECTION_NODES, row), record);
        use(&image, "every node record is " + std::to_string(record));
        image = sound_;
        for (uint64_t row = 0; row < kCount; row += 3) image.put(image.locate_row(RHUMB__SECTION_NODES, row), record);
        use(&image, "every third node record is " + std::to_string(record));
        EXPECT_GT(last_.report.structure_error_count, 0u);
    }
}

TEST_F(HostileRows, SurvivesVectorsOfNanAndInfinity) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const float value : {nan, -nan, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f}) {
        for (const rhumb_metric metric : {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
            IndexShape shape;
            shape.metric = metric;
            ASSERT_NO_FATAL_FAILURE(build(shape, 60, 1));
            FileImage image = sound_;
            for (uint64_t row = 0; row < 60; row += 2) {
                const uint64_t place = image.locate_row(RHUMB__SECTION_VECTORS, row);
                for (uint32_t i = 0; i < 17; i += 1 + static_cast<uint32_t>(row % 4)) image.put(place + i * 4, value);
            }
            use(&image, "vectors of " + std::to_string(value) + " under metric " + std::to_string(metric));
        }
    }
}

TEST_F(HostileRows, SurvivesEqualKeysInAllRows) {
    FileImage image = sound_;
    for (uint64_t row = 0; row < kCount; row++) image.put<uint64_t>(image.locate_row(RHUMB__SECTION_KEYS, row), 42);
    use(&image, "every key is 42");
    EXPECT_GT(last_.report.structure_error_count, 0u);
}

// Key buckets of every kind that could mislead a walk.
TEST_F(HostileRows, SurvivesKeyBucketsWithWrongLinksCountsAndSlots) {
    // Keys chosen so that a bucket overflows do not come about by chance, so an overflow section is made by hand: see
    // RandomDamage for files that have one.
    for (const uint32_t next : {1u, 2u, 7u, 256u, 257u, UINT32_MAX}) {
        for (const uint32_t count : {0u, 47u, 48u, 49u, UINT32_MAX}) {
            FileImage image = sound_;
            for (uint64_t row = 0; row < image.row_count(RHUMB__SECTION_KEY_BUCKETS); row++) {
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row), next);
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row) + 4, count);
            }
            use(&image, "buckets go on in row " + std::to_string(next) + " with count " + std::to_string(count), 400);
            if (HasFailure()) return;
        }
    }
    for (const uint32_t slot : {0u, 299u, 300u, 511u, 8191u, 8192u, 1u << 31, UINT32_MAX}) {
        FileImage image = sound_;
        for (uint64_t row = 0; row < image.row_count(RHUMB__SECTION_KEY_BUCKETS); row++) {
            for (uint32_t i = 0; i < kBucketPlaces; i++) {
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row) + kBucketSlots + i * 4, slot);
            }
        }
        use(&image, "buckets full of slot " + std::to_string(slot), 400);
    }
}

// An index whose key table has overflow rows: all keys of one bucket, found by trying.
class HostileChains : public HostileRows {
  protected:
    static uint64_t mix64(uint64_t value) {
        value += UINT64_C(0x9E3779B97F4A7C15);
        value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
        return value ^ (value >> 31);
    }

    // Keys whose hashes end in `low` in their lowest 12 bits: they stay in one bucket however the table grows.
    std::vector<uint64_t> colliding_keys(uint64_t low, size_t count) const {
        const uint64_t salt = mix64(UINT64_C(397) ^ UINT64_C(0x6B6579735F74626C)); // FORMAT.md, "Keys"
        std::vector<uint64_t> keys;
        for (uint64_t key = 1; keys.size() < count; key++) {
            if ((mix64(key ^ salt) & 4095) == low) keys.push_back(key);
        }
        return keys;
    }

    void SetUp() override {
        HostileRows::SetUp();
        const std::string path = directory_.file("chains.rhumb");
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path, IndexShape(), &index, RHUMB_DURABILITY_NONE), RHUMB_OK);
        uint64_t at = 0;
        for (const uint64_t low : {UINT64_C(1), UINT64_C(2)}) {
            for (const uint64_t key : colliding_keys(low, 150)) {
                ASSERT_EQ(rhumb_index_insert(index, key, vectors_.vector(at++).data()), RHUMB_OK);
            }
        }
        ASSERT_EQ(index.close(), RHUMB_OK);
        sound_ = FileImage::load(path);
        ASSERT_TRUE(sound_.save(path_));
        overflow_count_ = sound_.row_count(RHUMB__SECTION_KEY_OVERFLOW);
        ASSERT_GE(overflow_count_, 6u) << "150 keys of one bucket take 48 places and three more rows";
    }
    uint64_t overflow_count_ = 0;
};

TEST_F(HostileChains, UndamagedOnesAreFoundAndVerified) {
    Index index;
    ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK);
    rhumb_verify_report report;
    EXPECT_EQ(rhumb_test::verify_index(index, &report), RHUMB_OK) << report.first_error;
    for (const uint64_t key : colliding_keys(2, 150)) {
        bool found = false;
        ASSERT_EQ(rhumb_index_contains(index, key, &found), RHUMB_OK);
        ASSERT_TRUE(found);
    }
}

TEST_F(HostileChains, CircularOnesEndEveryWalk) {
    struct Shape {
        const char *what;
        uint32_t (*next)(uint64_t row, uint64_t count);
    };
    const Shape shapes[] = {
        {"each row continues in itself", [](uint64_t row, uint64_t) { return static_cast<uint32_t>(row + 1); }},
        {"all rows continue in the first", [](uint64_t, uint64_t) { return 1u; }},
        {"one large circle", [](uint64_t row, uint64_t count) { return static_cast<uint32_t>((row + 1) % count + 1); }},
        {"behind the rows in use", [](uint64_t, uint64_t count) { return static_cast<uint32_t>(count + 1); }},
        {"behind all rows", [](uint64_t, uint64_t) { return UINT32_MAX; }},
    };
    for (const Shape &shape : shapes) {
        for (const uint32_t count : {0u, 20u, 48u, 1000u}) {
            FileImage image = sound_;
            for (uint64_t row = 0; row < overflow_count_; row++) {
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_OVERFLOW, row),
                                    shape.next(row, overflow_count_));
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_OVERFLOW, row) + 4, count);
            }
            // All buckets link to that row, and are full.
            for (uint64_t row = 0; row < image.row_count(RHUMB__SECTION_KEY_BUCKETS); row++) {
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row),
                                    1 + static_cast<uint32_t>(row % overflow_count_));
                image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row) + 4, kBucketPlaces);
            }
            use(&image, std::string(shape.what) + ", " + std::to_string(count) + " entries", 600);
            // Verify passes each row once.
            const uint64_t row_count = image.row_count(RHUMB__SECTION_KEY_BUCKETS) + overflow_count_;
            EXPECT_LE(last_.report.structure_error_count, (kBucketPlaces + 2) * row_count + 2 * kCount);
            if (HasFailure()) return;
        }
    }
}

// Chains that share rows, changed by several threads at once: each bucket has its own lock, the row has none of its
// own.
TEST_F(HostileChains, SharedOnesHaltNoThread) {
    for (int round = 0; round < 3; round++) {
        FileImage image = sound_;
        for (uint64_t row = 0; row < image.row_count(RHUMB__SECTION_KEY_BUCKETS); row++) {
            image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row), 1);
            image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_BUCKETS, row) + 4, kBucketPlaces);
        }
        image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_OVERFLOW, 0), round == 0 ? 0 : round == 1 ? 2 : 1);
        image.put<uint32_t>(image.locate_row(RHUMB__SECTION_KEY_OVERFLOW, 0) + 4, 40);
        image.mend();
        ASSERT_TRUE(image.save(path_));
        Index index;
        ASSERT_EQ(open_for_writing(&index), RHUMB_OK);
        std::vector<std::thread> threads;
        std::atomic<uint64_t> inserted{0};
        for (uint64_t t = 0; t < 4; t++) {
            threads.emplace_back([&, t] {
                for (uint64_t i = 0; i < 300; i++) {
                    const uint64_t at = 10000 + t * 1000 + i;
                    inserted += rhumb_index_insert(index, vectors_.key(at), vectors_.vector(at).data()) == RHUMB_OK;
                }
            });
        }
        for (std::thread &thread : threads) thread.join();
        EXPECT_EQ(inserted, 1200u);
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
        ASSERT_EQ(rhumb_test::open_index(path_, true, &index), RHUMB_OK) << rhumb_error_last()->message;
        EXPECT_EQ(rhumb_index_count(index), 1500u);
    }
}

// Random damage of random sections; the kind that a failing disk makes whose controller corrects the checksums.
TEST_F(HostileChains, SurviveRandomDamage) {
    for (uint64_t i = 0; i < iteration_count(80); i++) {
        FileImage image = sound_;
        const uint32_t section = image.sections()[random_() % image.sections().size()].id;
        const uint64_t bytes = image.row_count(section) * image.row_stride(section);
        const uint64_t changes = UINT64_C(1) << random_() % 12;
        for (uint64_t k = 0; k < changes && bytes >= 4; k++) {
            const uint64_t place = image.locate(section, random_() % (bytes / 4) * 4);
            const uint32_t values[] = {static_cast<uint32_t>(random_()), static_cast<uint32_t>(random_() % 310), 0,
                                       UINT32_MAX, image.get<uint32_t>(place) ^ (1u << random_() % 32)};
            image.put<uint32_t>(place, values[random_() % 5]);
        }
        ASSERT_NO_FATAL_FAILURE(use(&image, "iteration " + std::to_string(i), 100));
        if (HasFailure()) return;
    }
}

// An index of 300 vectors, two thirds of which are copies of the first 12; some of each kind are deleted. Its vectors
// are those that exercise_writing inserts, so these are copies as well.
class HostileTies : public HostileRows {
  protected:
    static constexpr uint32_t kCopy = UINT32_C(1) << 31;
    static constexpr uint64_t kHeadCount = 12;

    void SetUp() override {
        HostileRows::SetUp();
        const std::string path = directory_.file("ties.rhumb");
        Index index;
        ASSERT_EQ(rhumb_test::create_index(path, IndexShape(), &index, RHUMB_DURABILITY_NONE), RHUMB_OK);
        for (uint64_t i = 0; i < kCount; i++) {
            ASSERT_EQ(rhumb_index_insert(index, 1 + i, vector(i).data()), RHUMB_OK);
            if (i % 100 == 99) {
                ASSERT_EQ(rhumb_index_checkpoint(index), RHUMB_OK);
            }
        }
        for (uint64_t i = 2; i < kCount; i += 9) ASSERT_EQ(rhumb_index_delete(index, 1 + i), RHUMB_OK);
        ASSERT_EQ(index.close(), RHUMB_OK);
        sound_ = FileImage::load(path);
        copy_count_ = sound_.get<uint64_t>(copy_count_offset(sound_));
        ASSERT_GT(copy_count_, 150u);
    }

    std::vector<float> vector(uint64_t i) const { return copies_.vector(i % 3 == 0 ? i : i % kHeadCount); }

    static uint64_t copy_count_offset(const FileImage &image) {
        return FileImage::superblock_offset(image.newest_slot(), 0) + offsetof(rhumb__superblock, client) + 384;
    }
    static void set_copy_count(FileImage *image, uint64_t count) {
        const uint64_t offset = copy_count_offset(*image);
        image->put(offset, count);
        image->put(offset + RHUMB__SUPERBLOCK_COPY_STRIDE, count);
        image->mend_superblocks();
    }

    // Also those after the last slot, in the row that it shares.
    uint64_t tie_count() const { return sound_.row_count(RHUMB__SECTION_TIES) * 8; }
    uint64_t place_of(uint64_t slot) const { return sound_.locate(RHUMB__SECTION_TIES, slot * 8); }

    // Gives every slot another anchor, or another next copy, or both.
    template <typename Number> FileImage fill_anchors(const Number &number) {
        FileImage image = sound_;
        for (uint32_t slot = 0; slot < tie_count(); slot++) image.put<uint32_t>(place_of(slot), number(slot));
        return image;
    }
    template <typename Number> FileImage fill_next(FileImage image, const Number &number) {
        for (uint32_t slot = 0; slot < tie_count(); slot++) image.put<uint32_t>(place_of(slot) + 4, number(slot));
        return image;
    }

    Vectors copies_{16, 7};
    uint64_t copy_count_ = 0;
};

TEST_F(HostileTies, SurviveAnchorsAndHeadsOfAllKinds) {
    struct Shape {
        const char *what;
        uint32_t (*anchor)(uint32_t slot);
    };
    const Shape shapes[] = {
        {"no slot is tied", [](uint32_t) { return 0u; }},
        {"every slot is the root", [](uint32_t slot) { return 1 + slot; }},
        {"anchors in pairs", [](uint32_t slot) { return 1 + (slot ^ 1); }},
        {"anchors in one circle", [](uint32_t slot) { return 1 + (slot + 1) % static_cast<uint32_t>(kCount); }},
        {"one anchor for all", [](uint32_t) { return 6u; }},
        {"copies of no head", [](uint32_t) { return kCopy; }},
        {"copies of themselves", [](uint32_t slot) { return kCopy | (1 + slot); }},
        {"copies of copies", [](uint32_t slot) { return kCopy | (1 + (slot + 1) % static_cast<uint32_t>(kCount)); }},
        {"all are copies of one slot", [](uint32_t) { return kCopy | 6; }},
        {"every second slot is a copy", [](uint32_t slot) { return slot % 2 == 0 ? 1 + slot : kCopy | slot; }},
        {"the largest number", [](uint32_t) { return UINT32_MAX; }},
        {"the largest anchor", [](uint32_t) { return UINT32_MAX / 2; }},
        {"slots after the last", [](uint32_t slot) { return 301 + slot % 40; }},
        {"heads after the last", [](uint32_t slot) { return kCopy | (301 + slot % 40); }},
    };
    for (const Shape &shape : shapes) {
        FileImage image = fill_anchors(shape.anchor);
        use(&image, shape.what, 60);
        EXPECT_GT(last_.report.structure_error_count, 0u) << shape.what;
    }
}

// Where no node can be an anchor, and no other insert is under way, there is nothing to wait for.
TEST_F(HostileTies, WithoutAnAnchorInsertsEndAtOnce) {
    FileImage image = fill_anchors([](uint32_t) { return 0u; });
    image.mend();
    ASSERT_TRUE(image.save(path_));
    Index index;
    ASSERT_EQ(open_for_writing(&index), RHUMB_OK);
    const clock_t begin = clock();
    for (uint64_t i = 1000; i < 1020; i++) {
        ASSERT_EQ(rhumb_index_insert(index, i, copies_.vector(i).data()), RHUMB_OK);
    }
    EXPECT_LT(clock() - begin, 2 * CLOCKS_PER_SEC) << "processor time, which other programs do not lengthen";
}

TEST_F(HostileTies, SurviveChainsOfAllKinds) {
    struct Shape {
        const char *what;
        uint32_t (*next)(uint32_t slot);
    };
    const Shape shapes[] = {
        {"no copies", [](uint32_t) { return 0u; }},
        {"each slot continues in itself", [](uint32_t slot) { return 1 + slot; }},
        {"chains in pairs", [](uint32_t slot) { return 1 + (slot ^ 1); }},
        {"all chains continue in one slot", [](uint32_t) { return 6u; }},
        {"one large circle", [](uint32_t slot) { return 1 + (slot + 1) % static_cast<uint32_t>(kCount); }},
        {"one large circle, backwards", [](uint32_t slot) { return slot == 0 ? static_cast<uint32_t>(kCount) : slot; }},
        {"the next slot to be inserted", [](uint32_t) { return static_cast<uint32_t>(kCount + 1); }},
        {"slots to be inserted", [](uint32_t slot) { return static_cast<uint32_t>(kCount + 1) + slot % 60; }},
        {"slots that will not exist", [](uint32_t) { return UINT32_MAX / 2; }},
        {"the largest number", [](uint32_t) { return UINT32_MAX; }},
    };
    for (const Shape &shape : shapes) {
        for (const uint64_t count : {copy_count_, UINT64_C(0), UINT64_C(1), kCount}) {
            FileImage image = fill_next(sound_, shape.next);
            set_copy_count(&image, count);
            const std::string what = std::string(shape.what) + ", " + std::to_string(count) + " copies";
            use(&image, what, 60);
            EXPECT_GT(last_.report.structure_error_count, 0u) << what;
        }
    }
}

TEST_F(HostileTies, SurviveListsOfCopies) {
    // Slots 13 and 14 are copies of 1 and 2.
    FileImage image = fill_lists(RHUMB__SECTION_LISTS0, 8, [](uint64_t, uint32_t i) { return 13 + i % 2; });
    use(&image, "every list is of copies", 60);
    EXPECT_GT(last_.report.structure_error_count, 0u);
    image = fill_lists(RHUMB__SECTION_LISTS0, 8,
                       [](uint64_t row, uint32_t i) { return static_cast<uint32_t>(row + 1 + i) % 300; });
    use(&image, "copies and others have lists of both", 60);
    image = fill_next(image, [](uint32_t slot) { return 1 + (slot + 1) % 300; });
    use(&image, "and all are in one chain", 60);
}

// The row of the last slot has ties of slots that do not exist yet.
TEST_F(HostileTies, AfterTheLastSlotDoNotKeepNewNodesFromBeingFound) {
    for (const uint32_t number : {1u, 6u, kCopy, kCopy | 6, UINT32_MAX}) {
        FileImage image = sound_;
        for (uint64_t slot = kCount; slot < tie_count(); slot++) {
            image.put<uint32_t>(place_of(slot), number);
            image.put<uint32_t>(place_of(slot) + 4, number);
        }
        image.mend();
        ASSERT_TRUE(image.save(path_));
        Index index;
        ASSERT_EQ(open_for_writing(&index), RHUMB_OK);
        for (uint64_t i = 1000; i < 1008; i++) {
            ASSERT_EQ(rhumb_index_insert(index, i, copies_.vector(i).data()), RHUMB_OK);
            uint64_t key = 0;
            float distance = 1;
            size_t found_count = 0;
            ASSERT_EQ(rhumb_index_search(index, copies_.vector(i).data(), 1, nullptr, &key, &distance, &found_count),
                      RHUMB_OK);
            EXPECT_EQ(key, i) << number;
        }
    }
}

// A checkpoint goes through the copies that its version does not have. The chains of this file continue in slots that
// are inserted while it runs, which so become circles.
TEST_F(HostileTies, CircularChainsOfNewCopiesEndEveryCheckpoint) {
    for (int round = 0; round < 20; round++) {
        FileImage image = fill_next(sound_, [](uint32_t slot) {
            return static_cast<uint32_t>(kCount + 2 + slot % kHeadCount); // one slot is inserted before
        });
        image.mend();
        ASSERT_TRUE(image.save(path_));
        Index index;
        ASSERT_EQ(open_for_writing(&index), RHUMB_OK);
        ASSERT_EQ(rhumb_index_insert(index, 1000, copies_.vector(5000).data()), RHUMB_OK);
        std::thread checkpoint([&] { EXPECT_EQ(rhumb_index_checkpoint(index), RHUMB_OK); });
        for (uint64_t i = 0; i < 4 * kHeadCount; i++) {
            EXPECT_EQ(rhumb_index_insert(index, 2000 + i, copies_.vector(i % kHeadCount).data()), RHUMB_OK);
        }
        checkpoint.join();
        ASSERT_EQ(index.close(), RHUMB_OK) << rhumb_error_last()->message;
    }
}

TEST_F(HostileTies, SurviveRandomNumbers) {
    for (uint64_t i = 0; i < iteration_count(60); i++) {
        FileImage image = sound_;
        const uint64_t change_count = UINT64_C(1) << random_() % 11;
        for (uint64_t k = 0; k < change_count; k++) {
            const uint64_t place = place_of(random_() % tie_count()) + random_() % 2 * 4;
            const uint32_t slot = static_cast<uint32_t>(random_() % 310);
            const uint32_t values[] = {static_cast<uint32_t>(random_()),
                                       slot,
                                       slot | kCopy,
                                       0,
                                       UINT32_MAX,
                                       image.get<uint32_t>(place) ^ (1u << random_() % 32)};
            image.put<uint32_t>(place, values[random_() % 6]);
        }
        if (random_() % 4 == 0) set_copy_count(&image, random_() % (kCount + 1));
        ASSERT_NO_FATAL_FAILURE(use(&image, "iteration " + std::to_string(i), 100));
        if (HasFailure()) return;
    }
}

// What an interrupted checkpoint leaves after the published rows is not part of the index, even when new slots reach
// that far: an exact search goes over all slots up to the newest, and the first insert of a session raises that by a
// block.
TEST_F(HostileRows, NodesAfterThePublishedOnesAreNotFound) {
    FileImage image = sound_;
    const uint64_t node = image.get<uint64_t>(image.locate_row(RHUMB__SECTION_NODES, 0));
    for (uint64_t row = kCount; row < kCount + 700; row++) {
        image.put(image.locate_row(RHUMB__SECTION_NODES, row), node);
        image.put<uint64_t>(image.locate_row(RHUMB__SECTION_KEYS, row), 0xDEAD000 + row);
    }
    ASSERT_TRUE(image.save(path_));
    Index index;
    ASSERT_EQ(open_for_writing(&index), RHUMB_OK);
    ASSERT_EQ(rhumb_test::insert_range(index, vectors_, 5000, 1), RHUMB_OK);
    std::vector<uint64_t> keys(1100);
    std::vector<float> distances(1100);
    size_t found_count = 0;
    ASSERT_EQ(rhumb_index_search_exact(index, vectors_.vector(3).data(), 1, 1100, nullptr, keys.data(),
                                       distances.data(), &found_count),
              RHUMB_OK);
    EXPECT_EQ(found_count, kCount + 1);
    for (size_t i = 0; i < found_count; i++) EXPECT_NE(keys[i] / 4096, 0xDEADu);
}

} // namespace
} // namespace fault_test
