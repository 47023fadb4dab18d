// Goal: an index with codes answers as one without: as near vectors, at the same distances, in every kind of search,
// after every way of changing, storing and damaging it. Method: the same vectors in indexes with 8-bit codes, with
// 4-bit codes and without; exact search says what the distances are.
#include <map>

#include "engine/graph/sections.h"
#include "tests/support/file_image.h"
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 48;
constexpr size_t kCount = rhumb_test::kSanitized ? 1200 : 3000;
constexpr size_t kQueryCount = rhumb_test::kSanitized ? 20 : 60;

rhumb_index_options options_with(rhumb_codes codes, rhumb_metric metric = RHUMB_METRIC_L2, uint32_t dim = kDim) {
    rhumb_index_options options = index_options(dim, metric);
    options.ef_construction = 100;
    options.codes = codes;
    return options;
}

const rhumb_metric kMetrics[] = {RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE};

rhumb_codes codes_of(const Index &index) { return created_with(index).codes; }

uint64_t code_rows_of(const std::string &path) {
    return rhumb_test::FileImage::load(path).row_count(RHUMB__SECTION_CODES);
}

class Codes : public ::testing::Test {
  protected:
    // Every answer's distance is the one that exact search finds for its key, to the bit.
    void expect_exact_distances(const Index &index, const Vectors &queries, size_t k, uint32_t ef) const {
        const uint64_t count = rhumb_index_count(index.get());
        for (size_t i = 0; i < queries.count(); i++) {
            const Answer truth = search_exact(index, queries.row(i), count),
                         found = search(index, queries.row(i), k, ef);
            std::map<uint64_t, float> distances;
            for (size_t n = 0; n < truth.found_count; n++) distances[truth.keys[n]] = truth.distances[n];
            ASSERT_EQ(found.found_count, std::min<uint64_t>(k, count));
            for (size_t n = 0; n < found.found_count; n++) {
                ASSERT_EQ(found.distances[n], distances.at(found.keys[n])) << "query " << i << ", answer " << n;
                if (n == 0) continue;
                ASSERT_LE(found.distances[n - 1], found.distances[n]);
            }
        }
    }
    void expect_good(const Index &index, double floor = 0.99) const {
        expect_sound(index);
        expect_exact_distances(index, queries_, 10, 64);
        EXPECT_GE(recall(index, queries_, 10, 100), floor);
    }

    const Vectors vectors_ = clustered_vectors(kCount, kDim, 40, 7, 8);
    const Vectors queries_ = clustered_vectors(kQueryCount, kDim, 40, 7, 9);
    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index");
};

TEST_F(Codes, LeaveDistancesExactAndRecallAsItIsUnderEveryMetric) {
    for (rhumb_metric metric : kMetrics) {
        std::map<rhumb_codes, double> recalls;
        for (rhumb_codes codes : {RHUMB_CODES_NONE, RHUMB_CODES_8BIT, RHUMB_CODES_4BIT}) {
            SCOPED_TRACE(std::string(rhumb_metric_name(metric)) + " " + std::to_string(codes));
            const std::string path = directory_.file(std::string(rhumb_metric_name(metric)) + std::to_string(codes));
            const Index index = create(path, options_with(codes, metric));
            insert_all(index, vectors_);
            expect_exact_distances(index, queries_, 10, 64);
            recalls[codes] = recall(index, queries_, 10, 40);
        }
        EXPECT_GE(recalls[RHUMB_CODES_8BIT], recalls[RHUMB_CODES_NONE] - 0.005) << rhumb_metric_name(metric);
        EXPECT_GE(recalls[RHUMB_CODES_4BIT], recalls[RHUMB_CODES_NONE] - 0.02) << rhumb_metric_name(metric);
    }
}

TEST_F(Codes, ReachTheRecallOfTheWholeIndex) {
    const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
    insert_all(index, vectors_);
    EXPECT_GE(recall(index, queries_, 10, 400), 0.999);
}

TEST_F(Codes, AreOfOtherElementTypesToo) {
    for (rhumb_element element : {RHUMB_ELEMENT_F64, RHUMB_ELEMENT_F16, RHUMB_ELEMENT_BF16}) {
        SCOPED_TRACE(rhumb_element_name(element));
        rhumb_index_options options = options_with(RHUMB_CODES_8BIT);
        options.element = element;
        const Index index = create(directory_.file(rhumb_element_name(element)), options);
        std::vector<uint8_t> row(8 * kDim);
        for (size_t i = 0; i < 500; i++) {
            ASSERT_EQ(rhumb_element_convert(RHUMB_ELEMENT_F32, vectors_.row(i), element, row.data(), kDim), kDim);
            ASSERT_OK(rhumb_index_insert(index.get(), i, row.data()));
        }
        expect_sound(index);
        for (size_t i = 0; i < 500; i += 7) {
            uint64_t keys[5];
            float distances[5];
            size_t found_count;
            const rhumb_search_options search = search_options(64);
            ASSERT_EQ(rhumb_element_convert(RHUMB_ELEMENT_F32, vectors_.row(i), element, row.data(), kDim), kDim);
            ASSERT_OK(rhumb_index_search(index.get(), row.data(), 5, &search, keys, distances, &found_count));
            EXPECT_EQ(keys[0], i);
            EXPECT_EQ(distances[0], 0);
        }
    }
}

TEST_F(Codes, AreChosenByHowMuchShorterTheyAre) {
    struct Case {
        rhumb_metric metric;
        rhumb_element element;
        uint32_t dim;
        rhumb_codes expected;
    };
    const Case cases[] = {
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 16, RHUMB_CODES_NONE},
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 100, RHUMB_CODES_8BIT},
        {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F32, 784, RHUMB_CODES_8BIT},
        {RHUMB_METRIC_IP, RHUMB_ELEMENT_F64, 32, RHUMB_CODES_8BIT},
        {RHUMB_METRIC_L2SQ, RHUMB_ELEMENT_F16, 20, RHUMB_CODES_NONE},
        {RHUMB_METRIC_L1, RHUMB_ELEMENT_F32, 100, RHUMB_CODES_NONE},
        {RHUMB_METRIC_L2, RHUMB_ELEMENT_U8, 100, RHUMB_CODES_NONE},
    };
    int number = 0;
    for (const Case &c : cases) {
        rhumb_index_options options = index_options(c.dim, c.metric);
        options.element = c.element;
        rhumb_index *index = nullptr;
        const std::string path = directory_.file(std::to_string(number++));
        ASSERT_OK(rhumb_index_create(path.c_str(), &options, &index));
        EXPECT_EQ(codes_of(Index(index)), c.expected)
            << rhumb_metric_name(c.metric) << " " << rhumb_element_name(c.element) << " " << c.dim;
    }
}

TEST_F(Codes, ThatDoNotExistAreRefused) {
    rhumb_index *index = nullptr;
    rhumb_index_options options = options_with(RHUMB_CODES_8BIT, RHUMB_METRIC_L1);
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_create(path_.c_str(), &options, &index));
    options = options_with(RHUMB_CODES_4BIT);
    options.element = RHUMB_ELEMENT_U8;
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_create(path_.c_str(), &options, &index));
    options = options_with(static_cast<rhumb_codes>(5));
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(path_.c_str(), &options, &index));
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Codes, AreInTheFileAndInTheInformation) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
        insert_all(index, vectors_);
    }
    EXPECT_EQ(code_rows_of(path_), kCount);
    rhumb_index_info info;
    ASSERT_OK(rhumb_index_info_get(path_.c_str(), &info, sizeof info));
    EXPECT_EQ(info.codes, RHUMB_CODES_8BIT);
    for (bool read_only : {true, false}) {
        const Index index = open(path_, read_only);
        EXPECT_EQ(codes_of(index), RHUMB_CODES_8BIT);
        expect_good(index);
    }
}

TEST_F(Codes, AreMadeForWhatIsInTheLogAlone) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
        insert_all(index, vectors_);
    }
    leave_in_log(path_, clustered_vectors(500, kDim, 40, 7, 10), kCount);
    const Index index = open_after_kill(path_);
    expect_good(index);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(code_rows_of(path_), kCount + 500);
}

TEST_F(Codes, AreAddedChangedAndDroppedByCompaction) {
    const Index index = create(path_, options_with(RHUMB_CODES_NONE));
    insert_all(index, vectors_);
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    struct Step {
        rhumb_codes asked, expected;
    };
    const Step steps[] = {{RHUMB_CODES_DEFAULT, RHUMB_CODES_NONE}, {RHUMB_CODES_8BIT, RHUMB_CODES_8BIT},
                          {RHUMB_CODES_DEFAULT, RHUMB_CODES_8BIT}, {RHUMB_CODES_4BIT, RHUMB_CODES_4BIT},
                          {RHUMB_CODES_NONE, RHUMB_CODES_NONE},    {RHUMB_CODES_4BIT, RHUMB_CODES_4BIT}};
    for (const Step &step : steps) {
        SCOPED_TRACE(std::to_string(step.asked));
        options.codes = step.asked;
        ASSERT_OK(rhumb_index_compact(index.get(), &options, nullptr, 0));
        EXPECT_EQ(codes_of(index), step.expected);
        expect_good(index, 0.98);
        EXPECT_EQ(code_rows_of(path_), step.expected == RHUMB_CODES_NONE ? 0 : kCount);
        const Index reader = open(path_, true);
        EXPECT_EQ(codes_of(reader), step.expected);
        expect_good(reader, 0.98);
    }
    options.codes = static_cast<rhumb_codes>(3);
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_compact(index.get(), &options, nullptr, 0));
}

TEST_F(Codes, AreChosenForANewFileByCompactionIntoIt) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
        insert_all(index, vectors_);
    }
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    for (rhumb_codes codes : {RHUMB_CODES_DEFAULT, RHUMB_CODES_4BIT, RHUMB_CODES_NONE}) {
        options.codes = codes;
        const std::string path = directory_.file("into" + std::to_string(codes));
        ASSERT_OK(rhumb_index_compact_into(path_.c_str(), path.c_str(), &options, nullptr, 0));
        const Index index = open(path, true);
        EXPECT_EQ(codes_of(index), codes == RHUMB_CODES_DEFAULT ? RHUMB_CODES_8BIT : codes);
        expect_good(index, 0.98);
    }
    rhumb_index_options small = index_options(4, RHUMB_METRIC_L1);
    const std::string other = directory_.file("other"), never = directory_.file("never");
    create(other, small).reset();
    options.codes = RHUMB_CODES_8BIT;
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_compact_into(other.c_str(), never.c_str(), &options, nullptr, 0));
    EXPECT_FALSE(std::filesystem::exists(never));
}

// Iterators return what search returns, in order, each key once, and in the end all.
TEST_F(Codes, LeadIteratorsToEveryKeyInOrder) {
    const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
    insert_all(index, vectors_);
    for (size_t i = 0; i < 10; i++) {
        const Answer truth = search_exact(index, queries_.row(i), kCount);
        std::map<uint64_t, float> distances;
        for (size_t n = 0; n < kCount; n++) distances[truth.keys[n]] = truth.distances[n];
        rhumb_iterator *iterator = nullptr;
        const rhumb_search_options options = search_options(200);
        ASSERT_OK(rhumb_iterator_open(index.get(), queries_.row(i), &options, &iterator));
        std::set<uint64_t> seen;
        size_t right = 0, out_of_order = 0;
        float before = 0;
        for (size_t found_count = 1; found_count > 0;) {
            uint64_t keys[7];
            float found[7];
            ASSERT_OK(rhumb_iterator_next(iterator, 7, keys, found, &found_count));
            for (size_t n = 0; n < found_count; n++) {
                ASSERT_EQ(found[n], distances.at(keys[n]));
                ASSERT_TRUE(seen.insert(keys[n]).second);
                if (seen.size() <= 100 && found[n] < before) out_of_order++;
                if (seen.size() <= 100 && found[n] <= truth.distances[99]) right++;
                before = found[n];
            }
        }
        rhumb_iterator_close(iterator);
        EXPECT_EQ(seen.size(), kCount);
        EXPECT_GE(right, 99u) << "query " << i;
        EXPECT_LE(out_of_order, 1u) << "query " << i;
    }
}

TEST_F(Codes, FindWhatIsWithinARadius) {
    const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
    insert_all(index, vectors_);
    size_t expected_count = 0, found_total = 0;
    for (size_t i = 0; i < kQueryCount; i++) {
        const Answer truth = search_exact(index, queries_.row(i), 200);
        const float radius = truth.distances[i % 100 + 20];
        std::vector<uint64_t> keys(kCount);
        std::vector<float> distances(kCount);
        size_t found_count;
        const rhumb_search_options options = search_options(64);
        ASSERT_OK(rhumb_index_search_radius(index.get(), queries_.row(i), radius, kCount, &options, keys.data(),
                                            distances.data(), &found_count));
        expected_count += i % 100 + 21;
        found_total += found_count;
        for (size_t n = 0; n < found_count; n++) {
            ASSERT_LE(distances[n], radius);
            ASSERT_EQ(distances[n], truth.distances[n]) << "query " << i << ", answer " << n;
        }
    }
    EXPECT_GE(found_total, expected_count * 0.995);
    EXPECT_LE(found_total, expected_count);
}

// Deleted vectors, replaced ones and filters.
TEST_F(Codes, FindTheNearestThatMayBeAnswers) {
    const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
    insert_all(index, vectors_);
    for (uint64_t key = 0; key < kCount; key += 3) ASSERT_OK(rhumb_index_delete(index.get(), key));
    for (uint64_t key = 1; key < kCount; key += 9) {
        ASSERT_OK(rhumb_index_upsert(index.get(), key, vectors_.row((key * 7) % kCount)));
    }
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = [](void *, uint64_t key) { return key % 4 == 1; };
    for (bool filtered : {false, true}) {
        rhumb_search_options options = search_options(100);
        if (filtered) options.filter = &filter;
        size_t right = 0;
        for (size_t i = 0; i < kQueryCount; i++) {
            uint64_t keys[10], true_keys[10];
            float distances[10], true_distances[10];
            size_t found_count, true_count;
            ASSERT_OK(rhumb_index_search(index.get(), queries_.row(i), 10, &options, keys, distances, &found_count));
            ASSERT_OK(rhumb_index_search_exact(index.get(), queries_.row(i), 1, 10, &options, true_keys, true_distances,
                                               &true_count));
            ASSERT_EQ(found_count, 10u);
            for (size_t n = 0; n < 10; n++) right += distances[n] <= true_distances[9];
        }
        EXPECT_GE(right, kQueryCount * 10 * 0.99) << filtered;
    }
}

// Damage in codes costs recall at most. Distances stay exact, and verify finds it.
TEST_F(Codes, ThatAreDamagedLeaveDistancesExact) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
        insert_all(index, vectors_);
    }
    rhumb_test::FileImage image = rhumb_test::FileImage::load(path_);
    const uint64_t seed = choose_seed();
    std::mt19937_64 random(seed);
    const uint64_t stride = image.row_stride(RHUMB__SECTION_CODES);
    for (uint64_t slot = 0; slot < kCount; slot += 5) {
        const uint64_t place = image.locate_row(RHUMB__SECTION_CODES, slot);
        for (uint64_t i = 0; i < stride; i++) {
            image.bytes()[place + i] = slot % 2 == 0 ? 0xFF : static_cast<uint8_t>(random());
        }
    }
    image.mend();
    ASSERT_TRUE(image.save(path_));
    const Index index = open(path_, true);
    expect_exact_distances(index, queries_, 10, 64);
    EXPECT_GE(recall(index, queries_, 10, 200), 0.5);
    rhumb_verify_report report;
    EXPECT_STATUS(RHUMB_E_CORRUPT, rhumb_index_verify(index.get(), &report, sizeof report));
    EXPECT_EQ(report.checksum_error_count, 0u);
    EXPECT_GE(report.structure_error_count, kCount / 5);
    EXPECT_EQ(std::string(report.first_error), "slot 0: its code is not that of its vector");
}

// A file whose codes are gone is searched by its vectors, and a compaction makes codes again.
TEST_F(Codes, ThatAreLostAreMadeAgainByCompaction) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_8BIT));
        insert_all(index, vectors_);
    }
    rhumb_test::FileImage image = rhumb_test::FileImage::load(path_);
    image.make_unknown(RHUMB__SECTION_CODES);
    ASSERT_TRUE(image.save(path_));
    const Index index = open(path_, false);
    expect_exact_distances(index, queries_, 10, 64);
    insert_all(index, clustered_vectors(100, kDim, 40, 7, 12), kCount);
    rhumb_verify_report report;
    ASSERT_OK(rhumb_index_verify(index.get(), &report, sizeof report));
    EXPECT_EQ(report.structure_error_count, 0u);
    EXPECT_EQ(report.warning_count, 1u) << report.first_warning;
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    EXPECT_EQ(code_rows_of(path_), 0u);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    EXPECT_EQ(code_rows_of(path_), kCount + 100);
    expect_good(index);
}

TEST_F(Codes, AreMadeAgainByRepair) {
    {
        const Index index = create(path_, options_with(RHUMB_CODES_4BIT));
        insert_all(index, vectors_);
    }
    const std::string mended = directory_.file("mended");
    ASSERT_OK(rhumb_index_repair(path_.c_str(), mended.c_str(), nullptr, nullptr, 0));
    const Index index = open(mended, true);
    EXPECT_EQ(codes_of(index), RHUMB_CODES_4BIT);
    expect_good(index, 0.98);
}

} // namespace
} // namespace index_test
