// Goal: what calls leave in the caller's memory. A failed call leaves outputs alone unless the manual says otherwise;
// structs are filled to the end that the caller states; an error of a batch names the row, the key and the value that
// is wrong. Method: fill outputs with a pattern, make calls fail in every argument, and look at the pattern; structs
// with room behind what the library knows.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 4;
constexpr uint64_t kCount = 100;
constexpr unsigned char kPattern = 0xA5;

template <typename T> struct Patterned {
    T values[64];
    Patterned() { memset(values, kPattern, sizeof values); }
    bool untouched() const {
        const unsigned char *bytes = reinterpret_cast<const unsigned char *>(values);
        return std::all_of(bytes, bytes + sizeof values, [](unsigned char byte) { return byte == kPattern; });
    }
};

class Outputs : public ::testing::Test {
  protected:
    void SetUp() override {
        path_ = directory_.file("index.rhumb");
        index_ = create(path_, index_options(kDim));
        for (uint64_t key = 0; key < kCount; key++) {
            const float vector[kDim] = {static_cast<float>(key % 10), static_cast<float>(key / 10), 0, 1};
            ASSERT_OK(rhumb_index_insert(index_.get(), key, vector));
        }
    }
    ScratchDirectory directory_;
    std::string path_;
    Index index_;
};

TEST_F(Outputs, BatchSearchWithABadLastQueryWritesNothing) {
    constexpr size_t kQueryCount = 60;
    std::vector<float> queries(kQueryCount * kDim, 1.0f);
    queries[(kQueryCount - 1) * kDim + 2] = NAN;
    for (const uint32_t thread_count : {1u, 4u}) {
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.thread_count = thread_count;
        for (const auto search : {rhumb_index_search_batch, rhumb_index_search_exact}) {
            Patterned<uint64_t> keys;
            Patterned<float> distances;
            Patterned<size_t> counts;
            EXPECT_STATUS(RHUMB_E_NOT_FINITE, search(index_.get(), queries.data(), kQueryCount, 1, &options,
                                                     keys.values, distances.values, counts.values));
            EXPECT_TRUE(keys.untouched() && distances.untouched() && counts.untouched());
            EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, "query 59: component 2 of 4 is NaN"))
                << last_error();
        }
    }
}

TEST_F(Outputs, BatchSearchNamesTheFirstBadQueryWithAnyNumberOfThreads) {
    constexpr size_t kQueryCount = 2000;
    std::vector<float> queries(kQueryCount * kDim, 1.0f);
    for (size_t i = 777; i < kQueryCount; i++) queries[i * kDim] = INFINITY;
    std::vector<uint64_t> keys(kQueryCount);
    for (int round = 0; round < 20; round++) {
        EXPECT_STATUS(RHUMB_E_NOT_FINITE, rhumb_index_search_batch(index_.get(), queries.data(), kQueryCount, 1,
                                                                   nullptr, keys.data(), nullptr, nullptr));
        ASSERT_NE(nullptr, strstr(rhumb_error_last()->message, "query 777:")) << last_error();
    }
}

TEST_F(Outputs, FailedSearchesAndLookUpsWriteNothing) {
    rhumb_index *index = index_.get();
    Patterned<uint64_t> keys;
    Patterned<float> distances;
    Patterned<size_t> counts;
    Patterned<uint32_t> levels;
    Patterned<const void *> views;
    Patterned<bool> flags;
    const float bad[kDim] = {0, NAN, 0, 0};
    const float good[kDim] = {};
    size_t *count = counts.values;
    const uint64_t unsorted[2] = {5, 3};
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_KEYS;
    filter.keys = unsorted;
    filter.key_count = 2;
    rhumb_search_options filtered;
    rhumb_search_options_init(&filtered, sizeof filtered);
    filtered.filter = &filter;
    for (const float *query : {bad, good}) {
        const rhumb_search_options *options = query == bad ? nullptr : &filtered;
        EXPECT_NE(RHUMB_OK, rhumb_index_search(index, query, 5, options, keys.values, distances.values, count));
        EXPECT_NE(RHUMB_OK,
                  rhumb_index_search_batch(index, query, 1, 5, options, keys.values, distances.values, count));
        EXPECT_NE(RHUMB_OK,
                  rhumb_index_search_exact(index, query, 1, 5, options, keys.values, distances.values, count));
        EXPECT_NE(RHUMB_OK,
                  rhumb_index_search_radius(index, query, 9, 5, options, keys.values, distances.values, count));
        rhumb_iterator *iterator = nullptr;
        EXPECT_NE(RHUMB_OK, rhumb_iterator_open(index, query, options, &iterator));
        EXPECT_EQ(nullptr, iterator);
    }
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb_index_search_like(index, 999, 5, nullptr, keys.values, distances.values, count));
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb_index_get_vector(index, 999, distances.values));
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb_index_vector_view(index, 999, views.values));
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb_index_level(index, 999, levels.values));
    EXPECT_EQ(RHUMB_E_NOTFOUND, rhumb_index_neighbours(index, 999, 0, keys.values, distances.values, 5, count));
    EXPECT_EQ(RHUMB_E_INVALID, rhumb_index_neighbours(index, 1, 16, keys.values, distances.values, 5, count));
    EXPECT_EQ(RHUMB_E_INVALID, rhumb_index_contains(nullptr, 1, flags.values));
    EXPECT_EQ(RHUMB_E_INVALID, rhumb_index_refresh(nullptr, flags.values));
    EXPECT_TRUE(keys.untouched() && distances.untouched() && counts.untouched());
    EXPECT_TRUE(levels.untouched() && views.untouched() && flags.untouched());
}

// Calls `fill` with structs that are longer and shorter than the library's, and looks at every byte after what it
// knows.
template <typename T> void expect_filled_to_the_end(const std::function<void(T *target, size_t size)> &fill) {
    constexpr size_t kMore = 64;
    std::vector<unsigned char> bytes(sizeof(T) + 2 * kMore, kPattern);
    fill(reinterpret_cast<T *>(bytes.data()), sizeof(T) + kMore);
    size_t size = 0;
    memcpy(&size, bytes.data(), sizeof size);
    EXPECT_EQ(sizeof(T) + kMore, size);
    for (size_t i = 0; i < kMore; i++) {
        ASSERT_EQ(0, bytes[sizeof(T) + i]) << "byte " << i << " of what the library does not know";
        ASSERT_EQ(kPattern, bytes[sizeof(T) + kMore + i]) << "byte " << i << " after the struct";
    }
    std::fill(bytes.begin(), bytes.end(), kPattern);
    fill(reinterpret_cast<T *>(bytes.data()), sizeof(size_t));
    EXPECT_EQ(kPattern, bytes[sizeof(size_t)]) << "the first byte after a struct of a size alone";
}

TEST_F(Outputs, StructsOfANewerHeaderAreFilledToTheirEnd) {
    rhumb_index *index = index_.get();
    expect_filled_to_the_end<rhumb_index_options>(rhumb_index_options_init);
    expect_filled_to_the_end<rhumb_open_options>(rhumb_open_options_init);
    expect_filled_to_the_end<rhumb_batch_options>(rhumb_batch_options_init);
    expect_filled_to_the_end<rhumb_search_options>(rhumb_search_options_init);
    expect_filled_to_the_end<rhumb_filter>(rhumb_filter_init);
    expect_filled_to_the_end<rhumb_compact_options>(rhumb_compact_options_init);
    expect_filled_to_the_end<rhumb_repair_options>(rhumb_repair_options_init);
    expect_filled_to_the_end<rhumb_topology_options>(rhumb_topology_options_init);
    expect_filled_to_the_end<rhumb_index_stats>(
        [&](rhumb_index_stats *stats, size_t size) { ASSERT_OK(rhumb_index_stats_get(index, stats, size)); });
    expect_filled_to_the_end<rhumb_index_info>(
        [&](rhumb_index_info *info, size_t size) { ASSERT_OK(rhumb_index_info_get(path_.c_str(), info, size)); });
    uint64_t key = 7000;
    expect_filled_to_the_end<rhumb_write_report>([&](rhumb_write_report *report, size_t size) {
        const float vector[kDim] = {};
        ASSERT_OK(rhumb_index_upsert_batch(index, &key, vector, 1, nullptr, report, size));
    });
    expect_filled_to_the_end<rhumb_verify_report>(
        [&](rhumb_verify_report *report, size_t size) { ASSERT_OK(rhumb_index_verify(index, report, size)); });
    expect_filled_to_the_end<rhumb_compact_report>([&](rhumb_compact_report *report, size_t size) {
        ASSERT_OK(rhumb_index_compact(index, nullptr, report, size));
    });
    int number = 0;
    expect_filled_to_the_end<rhumb_compact_report>([&](rhumb_compact_report *report, size_t size) {
        const std::string path = directory_.file("into" + std::to_string(number++));
        ASSERT_OK(rhumb_index_compact_into(path_.c_str(), path.c_str(), nullptr, report, size));
    });
    const std::string copy_path = directory_.file("copy"); // one that no handle has open
    ASSERT_OK(rhumb_index_compact_into(path_.c_str(), copy_path.c_str(), nullptr, nullptr, 0));
    expect_filled_to_the_end<rhumb_repair_report>([&](rhumb_repair_report *report, size_t size) {
        const std::string path = directory_.file("repaired" + std::to_string(number++));
        ASSERT_OK(rhumb_index_repair(copy_path.c_str(), path.c_str(), nullptr, report, size));
    });
    const std::string topology_path = directory_.file("topology");
    expect_filled_to_the_end<rhumb_topology_stats>([&](rhumb_topology_stats *stats, size_t size) {
        const std::string path = directory_.file("topology" + std::to_string(number++));
        ASSERT_OK(rhumb_topology_export(index, path.c_str(), nullptr, stats, size));
    });
    ASSERT_OK(rhumb_topology_export(index, topology_path.c_str(), nullptr, nullptr, 0));
    rhumb_topology *topology = nullptr;
    ASSERT_OK(rhumb_topology_open(topology_path.c_str(), &topology));
    expect_filled_to_the_end<rhumb_topology_stats>(
        [&](rhumb_topology_stats *stats, size_t size) { ASSERT_OK(rhumb_topology_stats_get(topology, stats, size)); });
    expect_filled_to_the_end<rhumb_topology_arrays>([&](rhumb_topology_arrays *arrays, size_t size) {
        ASSERT_OK(rhumb_topology_arrays_get(topology, arrays, size));
    });
    expect_filled_to_the_end<rhumb_topology_report>(
        [&](rhumb_topology_report *report, size_t size) { ASSERT_OK(rhumb_topology_verify(topology, report, size)); });
    rhumb_topology_close(topology);
}

TEST_F(Outputs, StructsOfAnImpossibleSizeAreRefused) {
    Patterned<rhumb_index_stats> stats;
    for (const size_t size : {size_t{0}, sizeof(size_t) - 1, SIZE_MAX, size_t{1} << 32}) {
        EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_stats_get(index_.get(), stats.values, size));
    }
    EXPECT_TRUE(stats.untouched());
}

TEST_F(Outputs, OptionsThatUseAnUnknownFieldAreRefused) {
    struct {
        rhumb_search_options options;
        unsigned char newer[16];
    } newer;
    rhumb_search_options_init(&newer.options, sizeof newer);
    const float query[kDim] = {};
    uint64_t keys[1];
    EXPECT_OK(rhumb_index_search(index_.get(), query, 1, &newer.options, keys, nullptr, nullptr));
    newer.newer[7] = 1;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_search(index_.get(), query, 1, &newer.options, keys, nullptr, nullptr));
}

// ---- errors of rows ----

struct BadRow {
    const char *name;
    rhumb_metric metric;
    rhumb_element element;
    bool bits16;  // components are 16 bits wide
    double good;  // every component of the other rows
    uint32_t bad; // the bits of component 2 of row 33
    rhumb_status status;
    const char *expected;
};

class BadRows : public ::testing::TestWithParam<BadRow> {};

TEST_P(BadRows, TheMessageNamesRowKeyAndValue) {
    const BadRow &row = GetParam();
    ScratchDirectory directory;
    rhumb_index_options options = index_options(kDim, row.metric);
    options.element = row.element;
    Index index = create(directory.file("index.rhumb"), options);
    constexpr size_t kRows = 50;
    float vectors[kRows][kDim];
    uint16_t halves[kRows][kDim];
    uint64_t keys[kRows];
    for (size_t i = 0; i < kRows; i++) {
        keys[i] = 1000 + i;
        for (uint32_t j = 0; j < kDim; j++) vectors[i][j] = static_cast<float>(row.good);
        for (uint32_t j = 0; j < kDim; j++) halves[i][j] = 0x3400;
    }
    memcpy(&vectors[33][2], &row.bad, sizeof row.bad);
    memcpy(&vectors[44][1], &row.bad, sizeof row.bad); // a later one, which is not the one to be named
    halves[33][2] = halves[44][1] = static_cast<uint16_t>(row.bad);
    const void *rows = row.bits16 ? static_cast<const void *>(halves) : vectors;
    for (const bool partial : {false, true}) {
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = 4;
        batch.partial = partial;
        size_t inserted = 99;
        EXPECT_STATUS(row.status, rhumb_index_insert_batch(index.get(), keys, rows, kRows, &batch, &inserted));
        EXPECT_EQ(0, strncmp(rhumb_error_last()->message, "row 33 (key 1033): ", 19)) << last_error();
        EXPECT_NE(nullptr, strstr(rhumb_error_last()->message, row.expected)) << last_error();
        EXPECT_EQ(inserted, rhumb_index_count(index.get()));
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, BadRows,
                         ::testing::Values(BadRow{"nan", RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, false, 0.25, 0x7FC00000,
                                                  RHUMB_E_NOT_FINITE, "component 2 of 4 is NaN"},
                                           BadRow{"negative", RHUMB_METRIC_JACCARD, RHUMB_ELEMENT_F32, false, 0.25,
                                                  0xBF000000, RHUMB_E_DOMAIN, "component 2 of 4 is -0.5"},
                                           BadRow{"improper", RHUMB_METRIC_HELLINGER, RHUMB_ELEMENT_F32, false, 0.25,
                                                  0x3F000000, RHUMB_E_DOMAIN, "sum to 1.25"},
                                           BadRow{"too_large", RHUMB_METRIC_L2, RHUMB_ELEMENT_F16, true, 0, 0x7C00,
                                                  RHUMB_E_NOT_FINITE, "component 2 of 4 is infinity"}),
                         [](const auto &info) { return std::string(info.param.name); });

TEST_F(Outputs, ABatchNamesTheRowWhoseKeyExists) {
    float vectors[40 * kDim] = {};
    uint64_t keys[40];
    for (uint64_t i = 0; i < 40; i++) keys[i] = 500 + i;
    keys[21] = 7; // is in the index
    size_t inserted = 0;
    EXPECT_STATUS(RHUMB_E_EXISTS, rhumb_index_insert_batch(index_.get(), keys, vectors, 40, nullptr, &inserted));
    EXPECT_EQ(0, strncmp(rhumb_error_last()->message, "row 21 (key 7): ", 16)) << last_error();
}

TEST(LongSequence, ABatchNamesItsRow) {
    ScratchDirectory directory;
    rhumb_index_options options = index_options(8, RHUMB_METRIC_LEVENSHTEIN);
    options.element = RHUMB_ELEMENT_U8;
    Index index = create(directory.file("index.rhumb"), options);
    rhumb_sequence rows[3] = {{"abc", 3}, {"abcd", 4}, {"abcdefghi", 9}};
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_insert_batch(index.get(), nullptr, rows, 3, nullptr, nullptr));
    EXPECT_EQ(0, strncmp(rhumb_error_last()->message, "row 2 (key 2): a sequence of 9", 30)) << last_error();
}

} // namespace
} // namespace index_test
