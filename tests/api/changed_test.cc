// Goal: lists that have changed since their fused rows were made are marked in the file, those that have not are not
// read, and wrong marks make answers no worse than missing some. Method: lists and marks are read from files; where no
// list may be read, lists are lost.
#include <algorithm>

#include "engine/graph/sections.h"
#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"
#include "tests/support/seed.h"

namespace index_test {
namespace {

using rhumb_test::FileImage;

constexpr uint32_t kDim = 32;
constexpr size_t kCount = 700; // two rows of marks
constexpr size_t kNewCount = 60;
constexpr uint32_t kPlaces = 32; // of a list

bool is_marked(const FileImage &image, uint64_t slot) {
    const uint64_t place = image.locate(RHUMB__SECTION_CHANGED, slot / 64 * 8);
    return (image.get<uint64_t>(place) >> slot % 64 & 1) != 0;
}

std::vector<uint32_t> list_of(const FileImage &image, uint64_t slot) {
    std::vector<uint32_t> slots(kPlaces);
    const uint64_t place = image.locate_row(RHUMB__SECTION_LISTS0, slot);
    for (uint32_t i = 0; i < kPlaces; i++) slots[i] = image.get<uint32_t>(place + i * 4);
    return slots;
}

size_t marked_count(const FileImage &image) {
    size_t count = 0;
    const uint64_t slot_count = image.row_count(RHUMB__SECTION_CHANGED) * 512;
    for (uint64_t slot = 0; slot < slot_count; slot++) count += is_marked(image, slot);
    return count;
}

class Changed : public ::testing::Test {
  protected:
    // An index in which all vectors have rows, and no list has changed since.
    Index woven(const std::string &path) const {
        rhumb_index_options options = index_options(kDim);
        options.M0 = kPlaces;
        options.ef_construction = 60;
        options.codes = RHUMB_CODES_8BIT;
        options.fused = RHUMB_FUSED_2BIT;
        Index index = create_with_durability(path, options, RHUMB_DURABILITY_INTERVAL);
        insert_all(index, vectors_);
        EXPECT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
        return index;
    }
    // Adds vectors to which nothing but changed lists leads.
    void add_new(const Index &index) const {
        insert_all(index, new_vectors_, kCount);
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    size_t found_count(const Index &index, const Vectors &vectors) const {
        size_t count = 0;
        for (size_t i = 0; i < vectors.count(); i++) {
            const Answer answer = search(index, vectors.row(i), 1, 64);
            count += answer.found_count == 1 && answer.distances[0] == 0;
        }
        return count;
    }
    // Every distance that is returned is that of the key's vector.
    void expect_exact_distances(const Index &index) const {
        const uint64_t count = rhumb_index_count(index.get());
        for (size_t i = 0; i < new_vectors_.count(); i += 5) {
            const Answer truth = search_exact(index, new_vectors_.row(i), count);
            const Answer found = search(index, new_vectors_.row(i), 10, 64);
            for (size_t n = 0; n < found.found_count; n++) {
                const auto at = std::find(truth.keys.begin(), truth.keys.end(), found.keys[n]);
                ASSERT_NE(at, truth.keys.end());
                ASSERT_EQ(found.distances[n], truth.distances[static_cast<size_t>(at - truth.keys.begin())]);
            }
        }
    }
    void set_marks(FileImage &image, const std::function<uint64_t(uint64_t word)> &bits) const {
        const uint64_t word_count = image.row_count(RHUMB__SECTION_CHANGED) * 8;
        for (uint64_t i = 0; i < word_count; i++) {
            image.put<uint64_t>(image.locate(RHUMB__SECTION_CHANGED, i * 8), bits(i));
        }
        image.mend();
        ASSERT_TRUE(image.save(path_));
    }

    const Vectors vectors_ = clustered_vectors(kCount, kDim, 20, 7, 8);
    const Vectors new_vectors_ = clustered_vectors(kNewCount, kDim, 20, 7, 9);
    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index");
};

TEST_F(Changed, AreMarkedAndNoOthersUntilACompaction) {
    const Index index = woven(path_);
    const FileImage before = FileImage::load(path_);
    EXPECT_EQ(before.row_count(RHUMB__SECTION_CHANGED), 2u);
    EXPECT_EQ(marked_count(before), 0u);
    add_new(index);
    const FileImage after = FileImage::load(path_);
    size_t changed_count = 0;
    for (uint64_t slot = 0; slot < kCount; slot++) {
        const bool differs = list_of(before, slot) != list_of(after, slot);
        changed_count += differs;
        EXPECT_TRUE(!differs || is_marked(after, slot)) << slot;
    }
    EXPECT_GT(changed_count, 0u);
    EXPECT_LE(marked_count(after), changed_count + 5) << "a list may have changed back";
    expect_sound(index);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    EXPECT_EQ(marked_count(FileImage::load(path_)), 0u);
    expect_sound(index);
}

TEST_F(Changed, AreReadByWalks) {
    Index index = woven(path_);
    add_new(index);
    EXPECT_EQ(found_count(index, new_vectors_), kNewCount);
    EXPECT_EQ(found_count(open(path_, true), new_vectors_), kNewCount);
    // What a crash leaves: the log has the rest.
    const Vectors more = clustered_vectors(kNewCount, kDim, 20, 7, 10);
    insert_all(index, more, kCount + kNewCount);
    ASSERT_OK(rhumb_index_sync(index.get()));
    const std::string crashed = directory_.file("crashed");
    std::filesystem::copy(path_, crashed);
    std::filesystem::copy(path_ + "-wal", crashed + "-wal");
    index = open(crashed, false);
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (const bool read_only : {false, true}) {
        if (read_only) index = open(crashed, true);
        EXPECT_EQ(found_count(index, new_vectors_), kNewCount);
        EXPECT_EQ(found_count(index, more), kNewCount);
        expect_sound(index);
    }
}

// Lists that are lost are not missed where none has changed.
TEST_F(Changed, AreTheOnlyListsThatWalksRead) {
    woven(path_).reset();
    FileImage image = FileImage::load(path_);
    for (uint64_t slot = 0; slot < kCount; slot++) {
        const uint64_t place = image.locate_row(RHUMB__SECTION_LISTS0, slot);
        for (uint32_t i = 0; i < kPlaces; i++) image.put<uint32_t>(place + i * 4, UINT32_MAX);
    }
    image.mend();
    ASSERT_TRUE(image.save(path_));
    EXPECT_GE(found_count(open(path_, true), vectors_), kCount * 0.99);
}

TEST_F(Changed, AreMarkedForRowsThatAreMadeInTheBackground) {
    constexpr size_t kMoreCount = 1500; // enough for it to pay
    const Index index = woven(path_);
    const Vectors more = clustered_vectors(kMoreCount, kDim, 20, 7, 11);
    for (size_t i = 0; i < kMoreCount; i++) {
        ASSERT_OK(rhumb_index_insert(index.get(), kCount + i, more.row(i)));
    }
    ASSERT_OK(rhumb_index_wait_idle(index.get()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const FileImage image = FileImage::load(path_);
    const uint64_t row_count = image.row_count(RHUMB__SECTION_FUSED);
    ASSERT_GT(row_count, kCount + 1000);
    size_t new_marked_count = 0;
    for (uint64_t slot = kCount; slot < row_count; slot++) new_marked_count += is_marked(image, slot);
    EXPECT_LT(new_marked_count, row_count - kCount);
    for (uint64_t slot = kCount + kMoreCount; slot < image.row_count(RHUMB__SECTION_CHANGED) * 512; slot++) {
        EXPECT_FALSE(is_marked(image, slot)) << slot;
    }
    expect_sound(index); // compares the marks with rows and lists
    EXPECT_GE(found_count(index, more), kMoreCount * 0.99);
}

TEST_F(Changed, AreAllListsOfAFileWithoutMarks) {
    {
        const Index index = woven(path_);
        add_new(index);
    }
    FileImage image = FileImage::load(path_);
    image.make_unknown(RHUMB__SECTION_CHANGED);
    ASSERT_TRUE(image.save(path_));
    const Index index = open(path_, false);
    EXPECT_EQ(found_count(index, new_vectors_), kNewCount);
    const Vectors more = clustered_vectors(kNewCount, kDim, 20, 7, 10);
    insert_all(index, more, kCount + kNewCount);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(found_count(index, more), kNewCount);
    EXPECT_EQ(FileImage::load(path_).row_count(RHUMB__SECTION_CHANGED), 0u);
    EXPECT_EQ(found_count(open(path_, true), more), kNewCount);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    EXPECT_EQ(FileImage::load(path_).row_count(RHUMB__SECTION_CHANGED), 2u);
    expect_sound(index);
}

TEST_F(Changed, MarksThatAreDamagedLeaveDistancesExact) {
    {
        const Index index = woven(path_);
        add_new(index);
    }
    const FileImage sound = FileImage::load(path_);
    std::mt19937_64 random(choose_seed());
    for (const uint32_t kind : {0u, 1u, 2u}) {
        FileImage image = sound;
        set_marks(image, [&](uint64_t) { return kind == 0 ? 0 : kind == 1 ? UINT64_MAX : random(); });
        const Index index = open(path_, true);
        expect_exact_distances(index);
        EXPECT_GE(found_count(index, vectors_), kCount * 0.95) << kind;
        rhumb_verify_report report;
        const rhumb_status status = rhumb_index_verify(index.get(), &report, sizeof report);
        EXPECT_EQ(status, kind == 1 ? RHUMB_OK : RHUMB_E_CORRUPT) << kind;
        const size_t count = found_count(index, new_vectors_);
        if (kind == 0) {
            EXPECT_LT(count, kNewCount) << "walks are to trust the marks";
        }
        if (kind == 1) {
            EXPECT_EQ(count, kNewCount);
        }
    }
    ASSERT_TRUE(sound.save(path_));
    ASSERT_OK(rhumb_index_repair(path_.c_str(), (path_ + "-repaired").c_str(), nullptr, nullptr, 0));
    const Index repaired = open(path_ + "-repaired", false);
    expect_sound(repaired);
    EXPECT_EQ(found_count(repaired, new_vectors_), kNewCount);
}

} // namespace
} // namespace index_test
