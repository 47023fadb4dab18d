// Goal: points can be read one by one: levels, vectors in place, neighbours and cursors show what the index holds, also
// during inserts and deletes; a graph can be read without its vectors, whatever their state; metadata are durable and
// survive reopening, compaction and repair.
// Method: small indexes compared with what was inserted; files whose vectors are punched out, damaged or cut off.
#include <fcntl.h>

#include <atomic>
#include <map>
#include <thread>

extern "C" {
#include "engine/graph/sections.h"
}

#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

using rhumb_test::FileImage;

class Points : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 12;
    static constexpr size_t kCount = 600;

    static rhumb_index_options build_options() {
        rhumb_index_options options = index_options(kDim, RHUMB_METRIC_L2);
        options.M = 4;
        options.ef_construction = 40;
        return options;
    }
    // Keys are 3 i + 7; every fifth is deleted.
    static uint64_t key_of(size_t i) { return 3 * i + 7; }
    static bool deleted(size_t i) { return i % 5 == 2; }
    Index build() {
        Index index = create_with_durability(path_, build_options(), RHUMB_DURABILITY_NONE);
        std::vector<uint64_t> keys(kCount);
        for (size_t i = 0; i < kCount; i++) keys[i] = key_of(i);
        EXPECT_OK(
            rhumb_index_insert_batch(index.get(), keys.data(), vectors_.components.data(), kCount, nullptr, nullptr));
        for (size_t i = 0; i < kCount; i++) {
            if (!deleted(i)) continue;
            EXPECT_OK(rhumb_index_delete(index.get(), key_of(i)));
        }
        return index;
    }
    struct Walk {
        std::map<uint64_t, uint32_t> levels; // by key
        rhumb_status status = RHUMB_OK;
    };
    static Walk walk(rhumb_index *index, uint32_t level, size_t capacity, const Vectors *expected = nullptr) {
        Walk result;
        rhumb_point_cursor *cursor = nullptr;
        EXPECT_OK(rhumb_point_cursor_open(index, level, &cursor));
        std::vector<uint64_t> keys(capacity);
        std::vector<const void *> rows(capacity);
        std::vector<uint32_t> levels(capacity);
        size_t count = 1;
        while (result.status == RHUMB_OK && count > 0) {
            result.status = rhumb_point_cursor_next(cursor, capacity, keys.data(), expected ? rows.data() : nullptr,
                                                    levels.data(), &count);
            for (size_t i = 0; result.status == RHUMB_OK && i < count; i++) {
                EXPECT_TRUE(result.levels.emplace(keys[i], levels[i]).second) << "key " << keys[i] << " came twice";
                if (expected == nullptr) continue;
                EXPECT_EQ(memcmp(rows[i], expected->row((keys[i] - 7) / 3), kDim * sizeof(float)), 0) << keys[i];
            }
        }
        rhumb_point_cursor_close(cursor);
        return result;
    }
    static std::vector<uint64_t> neighbours(rhumb_index *index, uint64_t key, uint32_t level) {
        std::vector<uint64_t> keys(1024);
        size_t count = 0;
        EXPECT_OK(rhumb_index_neighbours(index, key, level, keys.data(), nullptr, keys.size(), &count));
        keys.resize(count);
        return keys;
    }
    // Checks that a handle without vectors shows the same graph as one with them, and refuses the rest.
    void expect_same_graph(rhumb_index *with, rhumb_index *without) {
        const Walk points = walk(with, 0, 100);
        EXPECT_EQ(walk(without, 0, 64).levels, points.levels);
        EXPECT_EQ(rhumb_index_count(without), points.levels.size());
        for (const auto &point : points.levels) {
            for (uint32_t level = 0; level <= point.second; level++) {
                std::vector<uint64_t> expected = neighbours(with, point.first, level);
                std::vector<uint64_t> found = neighbours(without, point.first, level);
                std::sort(expected.begin(), expected.end());
                std::sort(found.begin(), found.end());
                ASSERT_EQ(found, expected) << point.first;
            }
        }
        std::vector<float> vector(kDim);
        std::vector<uint64_t> keys(10);
        std::vector<float> distances(10);
        size_t count = 0;
        const void *row = nullptr;
        rhumb_verify_report report;
        rhumb_point_cursor *cursor = nullptr;
        EXPECT_EQ(rhumb_index_search(without, vector.data(), 10, nullptr, keys.data(), nullptr, nullptr),
                  RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_search_exact(without, vector.data(), 1, 10, nullptr, keys.data(), nullptr, nullptr),
                  RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_search_batch(without, vector.data(), 1, 10, nullptr, keys.data(), nullptr, nullptr),
                  RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_get_vector(without, key_of(0), vector.data()), RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_vector_view(without, key_of(0), &row), RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_neighbours(without, key_of(0), 0, keys.data(), distances.data(), 10, &count),
                  RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_verify(without, &report, sizeof report), RHUMB_E_UNSUPPORTED);
        EXPECT_EQ(rhumb_index_insert(without, 1, vector.data()), RHUMB_E_READONLY);
        EXPECT_OK(rhumb_point_cursor_open(without, 0, &cursor));
        EXPECT_EQ(rhumb_point_cursor_next(cursor, 1, keys.data(), &row, nullptr, &count), RHUMB_E_UNSUPPORTED);
        rhumb_point_cursor_close(cursor);
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const Vectors vectors_ = random_vectors(kCount, kDim, 11);
};

TEST_F(Points, CursorsShowEveryLivePointOnceWithItsVectorAndLevel) {
    Index index = build();
    for (int round = 0; round < 2; round++) { // the writer, and a reader of its file
        std::map<uint64_t, uint32_t> expected;
        for (size_t i = 0; i < kCount; i++) {
            uint32_t level = 0;
            const rhumb_status status = rhumb_index_level(index.get(), key_of(i), &level);
            ASSERT_EQ(status, deleted(i) ? RHUMB_E_NOTFOUND : RHUMB_OK);
            if (status == RHUMB_OK) expected[key_of(i)] = level;
            const void *row = nullptr;
            if (status == RHUMB_OK) {
                ASSERT_OK(rhumb_index_vector_view(index.get(), key_of(i), &row));
                ASSERT_EQ(memcmp(row, vectors_.row(i), kDim * sizeof(float)), 0);
            }
        }
        for (size_t capacity : {1u, 7u, 5000u}) {
            for (uint32_t level = 0; level <= 5; level++) {
                std::map<uint64_t, uint32_t> of_level;
                for (const auto &point : expected) {
                    if (point.second >= level) of_level.insert(point);
                }
                EXPECT_EQ(walk(index.get(), level, capacity, &vectors_).levels, of_level) << level;
                EXPECT_TRUE(level > 2 || !of_level.empty()) << "the data should have levels";
            }
        }
        index.reset();
        index = open(path_, true);
    }
}

TEST_F(Points, NeighboursAreThoseOfTheListsNearestFirstWithoutDeletedOnes) {
    const Index index = build();
    size_t upper_count = 0;
    for (size_t i = 0; i < kCount; i++) {
        if (deleted(i)) continue;
        uint32_t top = 0;
        ASSERT_OK(rhumb_index_level(index.get(), key_of(i), &top));
        std::set<uint64_t> merged;
        for (uint32_t level = 0; level <= top; level++) {
            std::vector<uint64_t> keys(8);
            std::vector<float> distances(8);
            size_t count = 0;
            ASSERT_OK(rhumb_index_neighbours(index.get(), key_of(i), level, keys.data(), distances.data(), 8, &count));
            ASSERT_LE(count, level == 0 ? 8u : 4u);
            for (size_t k = 0; k < count; k++) {
                const size_t other = (keys[k] - 7) / 3;
                ASSERT_FALSE(deleted(other));
                ASSERT_NE(other, i);
                const double expected = true_distance(RHUMB_METRIC_L2, kDim, vectors_.row(i), vectors_.row(other));
                ASSERT_NEAR(distances[k], expected, 1e-4);
                ASSERT_TRUE(k == 0 || distances[k - 1] <= distances[k]);
                merged.insert(keys[k]);
            }
            upper_count += level > 0 ? count : 0;
            // With less room the nearest are returned, and the count is that of all.
            std::vector<uint64_t> first(2, 1);
            size_t all_count = 0;
            ASSERT_OK(rhumb_index_neighbours(index.get(), key_of(i), level, first.data(), nullptr, 1, &all_count));
            ASSERT_EQ(all_count, count);
            ASSERT_EQ(first[0], count > 0 ? keys[0] : 1u);
            ASSERT_EQ(first[1], 1u) << "nothing is written behind capacity";
        }
        const std::vector<uint64_t> all = neighbours(index.get(), key_of(i), RHUMB_LEVELS_ALL);
        ASSERT_EQ(std::set<uint64_t>(all.begin(), all.end()), merged);
        ASSERT_EQ(all.size(), merged.size()) << "each neighbour once";
        size_t count = 0;
        ASSERT_EQ(rhumb_index_neighbours(index.get(), key_of(i), top + 1, nullptr, nullptr, 0, &count),
                  RHUMB_E_INVALID);
    }
    EXPECT_GT(upper_count, 100u);
    size_t count = 0;
    EXPECT_EQ(rhumb_index_neighbours(index.get(), key_of(2), 0, nullptr, nullptr, 0, &count), RHUMB_E_NOTFOUND);
}

TEST_F(Points, CursorsWorkDuringInsertsAndDeletes) {
    const Index index = build();
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (size_t i = 0; !stop; i++) {
            const size_t at = i % kCount;
            if (i % 3 == 0) (void)!rhumb_index_delete(index.get(), key_of(at));
            if (i % 3 == 1) (void)!rhumb_index_upsert(index.get(), key_of(at), vectors_.row(at));
            if (i % 200 != 0) continue;
            EXPECT_OK(rhumb_index_checkpoint(index.get()));
        }
    });
    for (int round = 0; round < 20; round++) {
        // The walk itself compares each vector in place. A key may come twice only if it was being replaced.
        rhumb_point_cursor *cursor = nullptr;
        ASSERT_OK(rhumb_point_cursor_open(index.get(), 0, &cursor));
        size_t count = 1, total = 0;
        while (count > 0) {
            uint64_t keys[16];
            const void *rows[16];
            ASSERT_OK(rhumb_point_cursor_next(cursor, 16, keys, rows, nullptr, &count));
            for (size_t i = 0; i < count; i++) {
                ASSERT_EQ(memcmp(rows[i], vectors_.row((keys[i] - 7) / 3), kDim * sizeof(float)), 0);
            }
            total += count;
        }
        rhumb_point_cursor_close(cursor);
        EXPECT_GT(total, kCount / 4);
        for (size_t i = 0; i < kCount; i += 50) {
            uint64_t keys[64];
            float distances[64];
            const rhumb_status status =
                rhumb_index_neighbours(index.get(), key_of(i), RHUMB_LEVELS_ALL, keys, distances, 64, &count);
            ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOTFOUND);
        }
    }
    stop = true;
    writer.join();
}

TEST_F(Points, ARefreshMakesOlderCursorsStale) {
    const Index writer = build();
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    const Index reader = open(path_, true);
    rhumb_point_cursor *cursor = nullptr;
    ASSERT_OK(rhumb_point_cursor_open(reader.get(), 0, &cursor));
    uint64_t key;
    size_t count = 0;
    ASSERT_OK(rhumb_point_cursor_next(cursor, 1, &key, nullptr, nullptr, &count));
    bool changed = true;
    ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
    ASSERT_FALSE(changed);
    ASSERT_OK(rhumb_point_cursor_next(cursor, 1, &key, nullptr, nullptr, &count)) << "nothing was newer";
    ASSERT_OK(rhumb_index_insert(writer.get(), 1, vectors_.row(0)));
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
    ASSERT_TRUE(changed);
    EXPECT_EQ(rhumb_point_cursor_next(cursor, 1, &key, nullptr, nullptr, &count), RHUMB_E_STALE);
    rhumb_point_cursor_close(cursor);
    EXPECT_EQ(rhumb_point_cursor_open(reader.get(), 17, &cursor), RHUMB_E_INVALID);
}

TEST_F(Points, AGraphOpensWithoutItsVectors) {
    build().reset();
    const Index with = open(path_, true), without = open_graph_only(path_);
    ASSERT_NO_FATAL_FAILURE(expect_same_graph(with.get(), without.get()));
    const rhumb_index_stats a = stats(with), b = stats(without);
    EXPECT_TRUE(b.read_only);
    EXPECT_EQ(a.file_free_bytes, b.file_free_bytes);
    EXPECT_EQ(a.slot_count, b.slot_count);
    EXPECT_LT(b.mapping_count, a.mapping_count);
    bool changed = false;
    EXPECT_OK(rhumb_index_refresh(without.get(), &changed));
    rhumb_index_options create_options = build_options();
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.graph_only = true;
    create_options.open = &open_options;
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_create(directory_.file("x").c_str(), &create_options, &index), RHUMB_E_INVALID);
}

TEST_F(Points, VectorsThatWerePunchedOutOrDamagedDoNotMatterToTheGraph) {
    build().reset();
    const std::string copy = directory_.file("copy.rhumb");
    const Index with = open(path_, true);
    FileImage image = FileImage::load(path_);
    for (const rhumb__section_record &section : image.sections()) {
        if (section.id != RHUMB__SECTION_VECTORS) continue;
        std::filesystem::copy_file(path_, copy, std::filesystem::copy_options::overwrite_existing);
        const int file = ::open(copy.c_str(), O_RDWR);
        for (const rhumb__extent &extent : image.extents(section)) {
            if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(extent.file_offset),
                          static_cast<off_t>(extent.bytes)) != 0) {
                printf("no holes here: zeros instead\n");
                const std::vector<uint8_t> zeros(extent.bytes);
                ASSERT_EQ(pwrite(file, zeros.data(), zeros.size(), static_cast<off_t>(extent.file_offset)),
                          static_cast<ssize_t>(zeros.size()));
            }
            memset(&image.bytes()[extent.file_offset], 0xA5, extent.bytes);
        }
        ::close(file);
    }
    ASSERT_NO_FATAL_FAILURE(expect_same_graph(with.get(), open_graph_only(copy).get()));
    ASSERT_TRUE(image.save(copy));
    ASSERT_NO_FATAL_FAILURE(expect_same_graph(with.get(), open_graph_only(copy).get()));
}

TEST_F(Points, VectorsThatWereCutOffDoNotMatterToTheGraphAndAnythingElseDoes) {
    build().reset();
    const Index with = open(path_, true);
    // Moves the vectors to the end of the file, where a file may have them, and cuts them off.
    FileImage image = FileImage::load(path_);
    const uint64_t length = image.bytes().size();
    for (const rhumb__section_record &section : image.sections()) {
        if (section.id != RHUMB__SECTION_VECTORS) continue;
        for (uint32_t i = 0; i < section.extent_count; i++) {
            rhumb__extent extent = image.get<rhumb__extent>(image.extent_offset(section.extent_first + i));
            const uint64_t target = image.bytes().size();
            image.bytes().resize(target + extent.bytes);
            memcpy(&image.bytes()[target], &image.bytes()[extent.file_offset], extent.bytes);
            extent.file_offset = target;
            image.put(image.extent_offset(section.extent_first + i), extent);
        }
    }
    const uint32_t slot = image.newest_slot();
    rhumb__superblock superblock = image.superblock(slot);
    superblock.file_bytes = image.bytes().size();
    for (uint32_t copy : {0u, 1u}) image.put_superblock(superblock, slot, copy);
    image.mend_superblocks();
    image.mend();
    const std::string copy = directory_.file("copy.rhumb");
    ASSERT_TRUE(image.save(copy));
    expect_sound(open(copy, true));
    for (const uint64_t cut : {image.bytes().size() - 1, length + 10, length}) {
        std::filesystem::resize_file(copy, cut);
        EXPECT_EQ(try_open(copy, true), RHUMB_E_TRUNCATED);
        ASSERT_NO_FATAL_FAILURE(expect_same_graph(with.get(), open_graph_only(copy).get()));
    }
    // The cut removes other sections too: an error, never a signal.
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.graph_only = true;
    for (uint64_t cut = length - 65536; cut > 65536; cut -= 65536) {
        std::filesystem::resize_file(copy, cut);
        rhumb_index *index = nullptr;
        const rhumb_status status = rhumb_index_open(copy.c_str(), &options, &index);
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_TRUNCATED) << last_error();
        if (status != RHUMB_OK) continue;
        EXPECT_EQ(walk(index, 0, 100).levels, walk(with.get(), 0, 100).levels) << cut;
        EXPECT_OK(rhumb_index_close(index));
    }
}

class Metadata : public Points {
  protected:
    static std::string get(rhumb_index *index) {
        std::string bytes(RHUMB_METADATA_BYTES_MAX, '\0');
        size_t count = 0;
        EXPECT_OK(rhumb_index_metadata_get(index, bytes.data(), bytes.size(), &count));
        bytes.resize(count);
        return bytes;
    }
    static rhumb_status set(rhumb_index *index, const std::string &bytes) {
        return rhumb_index_metadata_set(index, bytes.data(), bytes.size());
    }
};

TEST_F(Metadata, SurviveReopeningCheckpointsCompactionAndRepair) {
    Index index = build();
    EXPECT_EQ(get(index.get()), "");
    std::string longest(RHUMB_METADATA_BYTES_MAX, 'x');
    longest.back() = '\0';
    for (const std::string &bytes : {std::string("model: a\0b", 10), longest, std::string("short")}) {
        ASSERT_OK(set(index.get(), bytes));
        EXPECT_EQ(get(index.get()), bytes);
        EXPECT_EQ(get(open(path_, true).get()), bytes) << "published when set returned";
        index.reset();
        index = open(path_, false);
        EXPECT_EQ(get(index.get()), bytes);
        ASSERT_OK(rhumb_index_insert(index.get(), bytes.size() * 1000, vectors_.row(0)));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
        EXPECT_EQ(get(open(path_, true).get()), bytes);
        expect_sound(index);
    }
    char start[3] = {'?', '?', '?'};
    size_t count = 0;
    ASSERT_OK(rhumb_index_metadata_get(index.get(), start, 2, &count));
    EXPECT_EQ(std::string(start, 3), "sh?");
    EXPECT_EQ(count, 5u);
    EXPECT_EQ(set(index.get(), longest + "x"), RHUMB_E_INVALID);
    EXPECT_EQ(set(open(path_, true).get(), "y"), RHUMB_E_READONLY);
    EXPECT_EQ(get(open_graph_only(path_).get()), "short");
    const std::string compacted = directory_.file("compacted.rhumb"), repaired = directory_.file("repaired.rhumb");
    EXPECT_OK(rhumb_index_compact_into(path_.c_str(), compacted.c_str(), nullptr, nullptr, 0));
    EXPECT_EQ(get(open(compacted, true).get()), "short");
    index.reset();
    EXPECT_OK(rhumb_index_repair(path_.c_str(), repaired.c_str(), nullptr, nullptr, 0));
    EXPECT_EQ(get(open(repaired, true).get()), "short");
    index = open(path_, false);
    ASSERT_OK(set(index.get(), ""));
    EXPECT_EQ(get(open(path_, true).get()), "");
    EXPECT_EQ(FileImage::load(path_).superblock(FileImage::load(path_).newest_slot()).features_read, 0u)
        << "an index without metadata is one that older versions may write";
}

TEST_F(Metadata, AreOldOrNewAfterAKill) {
    build().reset();
    for (int round = 0; round < 8; round++) {
        int pipes[2];
        ASSERT_EQ(pipe(pipes), 0);
        const pid_t child = fork();
        if (child == 0) {
            const Index index = open_after_kill(path_);
            for (uint32_t i = 1;; i++) {
                if (i % 3 == 0) (void)!rhumb_index_upsert(index.get(), 1, vectors_.row(i % kCount));
                if (set(index.get(), std::string(1000, static_cast<char>('a' + i % 26)) + std::to_string(i)) !=
                    RHUMB_OK)
                    _exit(1);
                if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(1);
            }
        }
        ::close(pipes[1]);
        uint32_t last = 0;
        ASSERT_EQ(read(pipes[0], &last, sizeof last), static_cast<ssize_t>(sizeof last)) << "the child gave up";
        usleep(static_cast<useconds_t>(7000 * round));
        kill(child, SIGKILL);
        int state = 0;
        waitpid(child, &state, 0);
        while (read(pipes[0], &last, sizeof last) == sizeof last) continue;
        ::close(pipes[0]);
        const std::string found = get(open(path_, true).get());
        ASSERT_GT(found.size(), 1000u);
        const uint32_t number = static_cast<uint32_t>(std::stoul(found.substr(1000)));
        EXPECT_TRUE(number == last || number == last + 1) << number << " " << last;
        EXPECT_EQ(found.substr(0, 1000), std::string(1000, static_cast<char>('a' + number % 26)));
    }
    expect_sound(open_after_kill(path_));
}

TEST_F(Metadata, AnImpossibleLengthIsAnErrorAndRepairContinuesWithoutThem) {
    Index index = build();
    ASSERT_OK(set(index.get(), "text"));
    index.reset();
    FileImage image = FileImage::load(path_);
    const uint32_t slot = image.newest_slot();
    for (uint32_t copy : {0u, 1u}) image.put<uint32_t>(FileImage::superblock_offset(slot, copy) + 512 + 508, 3073);
    image.mend_superblocks();
    ASSERT_TRUE(image.save(path_));
    EXPECT_EQ(try_open(path_, true), RHUMB_E_CORRUPT);
    const std::string repaired = directory_.file("repaired.rhumb");
    EXPECT_OK(rhumb_index_repair(path_.c_str(), repaired.c_str(), nullptr, nullptr, 0));
    EXPECT_EQ(get(open(repaired, true).get()), "");
}

} // namespace
} // namespace index_test
