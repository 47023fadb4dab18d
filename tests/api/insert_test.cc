// Goal: inserting does what rhumb.h says, one at a time and in batches, and refuses what it must without a trace.
// Method: small indexes whose content is known exactly; indexes of every extreme shape, checked by the verifier and by
// searching for every vector.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

class Insert : public ::testing::Test {
  protected:
    ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
};

TEST_F(Insert, AVectorIsFoundAsSoonAsTheCallReturns) {
    const Index index = create(path_, index_options(12));
    const Vectors vectors = random_vectors(300, 12, 1);
    for (size_t i = 0; i < vectors.count(); i++) {
        ASSERT_OK(rhumb_index_insert(index.get(), i * 1000, vectors.row(i)));
        const Answer answer = search(index, vectors.row(i), 1, 50);
        ASSERT_EQ(answer.found_count, 1u);
        EXPECT_EQ(answer.keys[0], i * 1000);
        EXPECT_EQ(answer.distances[0], 0.0f);
        ASSERT_EQ(rhumb_index_count(index.get()), i + 1);
    }
}

TEST_F(Insert, CopiesTheVector) {
    const Index index = create(path_, index_options(2));
    std::vector<float> vector = {3, 4};
    EXPECT_OK(rhumb_index_insert(index.get(), 1, vector.data()));
    vector = {9, 9};
    std::vector<float> stored(2);
    EXPECT_OK(rhumb_index_get_vector(index.get(), 1, stored.data()));
    EXPECT_EQ(stored, (std::vector<float>{3, 4}));
}

TEST_F(Insert, RefusesTheKeyThatMarksPlacesWithoutAResult) {
    const Index index = create(path_, index_options(2));
    const std::vector<float> vectors = {1, 2, 3, 4};
    EXPECT_EQ(rhumb_index_insert(index.get(), RHUMB_KEY_NONE, vectors.data()), RHUMB_E_INVALID);
    EXPECT_NE(std::string(rhumb_error_last()->message).find("18446744073709551615"), std::string::npos);
    EXPECT_EQ(rhumb_index_upsert(index.get(), RHUMB_KEY_NONE, vectors.data()), RHUMB_E_INVALID);
    const uint64_t keys[] = {7, RHUMB_KEY_NONE};
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), keys, vectors.data(), 2, nullptr, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u) << "the batch is absent";
    EXPECT_FALSE(contains(index, RHUMB_KEY_NONE));
    EXPECT_EQ(rhumb_index_delete(index.get(), RHUMB_KEY_NONE), RHUMB_E_NOTFOUND);
    expect_sound(index);
    // Numbers that the library chooses end below it.
    ASSERT_OK(rhumb_index_insert(index.get(), RHUMB_KEY_NONE - 2, vectors.data()));
    EXPECT_EQ(rhumb_index_insert_batch(index.get(), nullptr, vectors.data(), 2, nullptr, nullptr), RHUMB_E_FULL);
    EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.data(), 1, nullptr, nullptr));
    EXPECT_TRUE(contains(index, RHUMB_KEY_NONE - 1));
}

TEST_F(Insert, TakesAnyOtherKeyAndAnyAlignment) {
    const Index index = create(path_, index_options(3));
    const std::vector<uint64_t> keys = {0, 1, UINT64_MAX - 2, UINT64_MAX - 1, UINT64_C(1) << 63, UINT32_MAX};
    std::vector<uint8_t> bytes(3 * sizeof(float) + 1);
    for (size_t i = 0; i < keys.size(); i++) {
        const float components[] = {static_cast<float>(i), 1, 2};
        memcpy(&bytes[1], components, sizeof components);
        EXPECT_OK(rhumb_index_insert(index.get(), keys[i], &bytes[1]));
    }
    for (size_t i = 0; i < keys.size(); i++) {
        EXPECT_TRUE(contains(index, keys[i]));
        const float components[] = {static_cast<float>(i), 1, 2};
        memcpy(&bytes[1], components, sizeof components);
        uint64_t key = 0;
        EXPECT_OK(rhumb_index_search(index.get(), &bytes[1], 1, nullptr, &key, nullptr, nullptr));
        EXPECT_EQ(key, keys[i]);
        std::vector<uint8_t> stored(bytes.size());
        EXPECT_OK(rhumb_index_get_vector(index.get(), keys[i], &stored[1]));
        EXPECT_EQ(memcmp(&stored[1], components, sizeof components), 0);
    }
    EXPECT_FALSE(contains(index, 2));
}

TEST_F(Insert, RefusesAKeyThatExistsAndChangesNothing) {
    const Index index = create(path_, index_options(2));
    EXPECT_OK(rhumb_index_insert(index.get(), 5, std::vector<float>{1, 1}.data()));
    EXPECT_EQ(rhumb_index_insert(index.get(), 5, std::vector<float>{2, 2}.data()), RHUMB_E_EXISTS);
    EXPECT_NE(std::string(rhumb_error_last()->message).find("5"), std::string::npos);
    EXPECT_EQ(rhumb_index_count(index.get()), 1u);
    EXPECT_EQ(stats(index).slot_count, 1u);
    std::vector<float> stored(2);
    EXPECT_OK(rhumb_index_get_vector(index.get(), 5, stored.data()));
    EXPECT_EQ(stored, (std::vector<float>{1, 1}));
}

TEST_F(Insert, RefusesComponentsThatAreNotFinite) {
    constexpr uint32_t dim = 37; // whole blocks of components, and a rest
    const Index index = create(path_, index_options(dim));
    for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
        for (uint32_t place = 0; place < dim; place++) {
            std::vector<float> vector(dim, 1.0f);
            vector[place] = bad;
            EXPECT_EQ(rhumb_index_insert(index.get(), 1, vector.data()), RHUMB_E_NOT_FINITE);
            EXPECT_NE(std::string(rhumb_error_last()->message).find(std::to_string(place)), std::string::npos);
        }
    }
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
    EXPECT_EQ(stats(index).slot_count, 0u);
    EXPECT_FALSE(contains(index, 1));
    std::vector<float> extreme(dim, std::numeric_limits<float>::max());
    EXPECT_OK(rhumb_index_insert(index.get(), 1, extreme.data())) << "the key is still free";
}

TEST_F(Insert, RefusesMissingArguments) {
    const Index index = create(path_, index_options(2));
    const std::vector<float> vector = {1, 2};
    EXPECT_EQ(rhumb_index_insert(nullptr, 1, vector.data()), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_insert(index.get(), 1, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_count(index.get()), 0u);
}

// ---- shapes ----

struct Shape {
    const char *name;
    size_t count;
    uint32_t dim;
    double found_min; // share of the vectors that are found by searching for them
    std::function<void(rhumb_index_options &)> set;
};

class InsertShape : public ::testing::TestWithParam<Shape> {};

TEST_P(InsertShape, AllVectorsAreKeptAndFound) {
    const Shape &shape = GetParam();
    ScratchDirectory directory;
    const std::string path = directory.file("shape");
    rhumb_index_options options = index_options(shape.dim);
    shape.set(options);
    const Vectors vectors = random_vectors(shape.count, shape.dim, 10);
    rhumb_verify_report before;
    {
        const Index index = create(path, options);
        ASSERT_NE(index, nullptr);
        insert_all(index, vectors, 0, 2);
        before = expect_sound(index);
        EXPECT_LE(stats(index).level_top, options.level_max);
    }
    const Index index = open(path, true);
    const rhumb_verify_report after = expect_sound(index);
    EXPECT_EQ(after.link_count, before.link_count);
    size_t found_count = 0;
    for (size_t i = 0; i < shape.count; i++) {
        const Answer answer = search(index, vectors.row(i), 1, 64);
        found_count += answer.found_count == 1 && answer.keys[0] == i ? 1 : 0;
        std::vector<float> stored(shape.dim);
        ASSERT_OK(rhumb_index_get_vector(index.get(), i, stored.data()));
        EXPECT_EQ(memcmp(stored.data(), vectors.row(i), shape.dim * sizeof(float)), 0);
    }
    EXPECT_GE(static_cast<double>(found_count), shape.found_min * static_cast<double>(shape.count));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, InsertShape,
    ::testing::Values(Shape{"OneDimension", 3000, 1, 0.99, [](auto &) {}},
                      Shape{"LargestDimension", 60, RHUMB_DIM_MAX, 0.97, [](auto &) {}},
                      Shape{"RowsThatStraddleBlocks", 700, 333, 0.97, [](auto &) {}},
                      Shape{"SmallestM", 1500, 8, 0.5, [](auto &o) { o.M = 2; }},
                      Shape{"LargestM", 900, 8, 1.0, [](auto &o) { o.M = RHUMB_M_MAX; }},
                      Shape{"M0EqualToM", 1500, 8, 0.9, [](auto &o) { o.M0 = o.M; }},
                      Shape{"OddM", 1500, 8, 0.99, [](auto &o) { o.M = 13, o.M0 = 21; }},
                      Shape{"OneLevel", 1500, 8, 0.99, [](auto &o) { o.level_max = 0; }},
                      Shape{"ManyLevels", 1500, 8, 0.9, [](auto &o) { o.M = 2, o.M0 = 32, o.level_scale = 2; }},
                      Shape{"NarrowConstruction", 1500, 8, 0.1, [](auto &o) { o.ef_construction = 1; }},
                      Shape{"ExtendCandidates", 1500, 8, 0.99, [](auto &o) { o.extend_candidates = true; }},
                      Shape{"KeepPruned", 1500, 8, 0.99, [](auto &o) { o.keep_pruned = true; }},
                      Shape{"ExtendAndKeep", 1500, 8, 0.99,
                            [](auto &o) { o.extend_candidates = true, o.keep_pruned = true; }}),
    [](const ::testing::TestParamInfo<Shape> &info) { return info.param.name; });

} // namespace
} // namespace index_test
