// Goal: a search returns as many answers as exist, and the right ones, where a graph of neighbours has nothing to
// offer: in a region whose vectors are deleted, among hundreds of copies, among zeros, at equal distances. Method: the
// smallest data on which indexes of this kind have failed, against exact searches; tests/torture goes through many more
// data sets, more broadly.
#include "tests/support/index_test_support.h"
#include "tests/support/sanitized.h"

namespace index_test {
namespace {

using rhumb_test::kSanitized;

constexpr size_t kQueryCount = 100, kCount = 10;

class Answers : public ::testing::Test {
  protected:
    // One thread builds the index, so that it is the same each time.
    void build(const Vectors &vectors, const rhumb_index_options &options) {
        index_ = create_with_durability(path_, options, RHUMB_DURABILITY_INTERVAL);
        ASSERT_NE(index_, nullptr);
        insert_all(index_, vectors);
    }
    void compact() { ASSERT_OK(rhumb_index_compact(index_.get(), nullptr, nullptr, 0)); }
    void erase(size_t begin, size_t end) {
        for (size_t key = begin; key < end; key++) ASSERT_OK(rhumb_index_delete(index_.get(), key));
    }

    // How many of the queries find themselves.
    size_t count_that_find_themselves(const Vectors &queries) const {
        size_t count = 0;
        for (size_t i = 0; i < queries.count(); i++) {
            const Answer answer = search(index_, queries.row(i), 1);
            count += answer.found_count == 1 && answer.distances[0] < 1e-3f;
        }
        return count;
    }

    // How many of the nearest k are at distance 0.
    size_t copies_found(const float *query, size_t k, uint32_t ef) const {
        const Answer answer = search(index_, query, k, ef);
        return static_cast<size_t>(std::count_if(answer.distances.begin(), answer.distances.end(),
                                                 [](float distance) { return distance < 1e-3f; }));
    }

    // Every query gets all its answers, and nine in ten are right, or as near.
    void expect_answers(const Vectors &queries, const std::string &when) const {
        size_t few = 0, right = 0;
        for (size_t i = 0; i < queries.count(); i++) {
            const Answer answer = search(index_, queries.row(i), kCount),
                         truth = search_exact(index_, queries.row(i), kCount);
            few += answer.found_count < truth.found_count;
            for (size_t j = 0; j < answer.found_count; j++) {
                right += answer.distances[j] <= truth.distances[kCount - 1] * 1.00001f;
            }
        }
        EXPECT_EQ(few, 0u) << when << ": searches with fewer answers than there are";
        EXPECT_GE(static_cast<double>(right), 0.9 * static_cast<double>(queries.count() * kCount)) << when;
    }
    void expect_answers_from_now_on(const Vectors &queries) {
        expect_answers(queries, "at once");
        ASSERT_OK(rhumb_index_wait_idle(index_.get()));
        expect_answers(queries, "when idle");
        ASSERT_OK(rhumb_index_checkpoint(index_.get()));
        expect_answers(queries, "after a checkpoint");
        index_.reset();
        index_ = open(path_, false);
        ASSERT_NE(index_, nullptr);
        expect_answers(queries, "reopened");
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    Index index_;
};

Vectors moved(Vectors vectors, float by) {
    for (float &component : vectors.components) component += by;
    return vectors;
}

void append(Vectors *vectors, const Vectors &more) {
    vectors->components.insert(vectors->components.end(), more.components.begin(), more.components.end());
}

// `distinct` uniform vectors, again and again.
Vectors repeated(const Vectors &distinct, size_t times) {
    Vectors vectors = {distinct.dim, {}};
    for (size_t i = 0; i < times; i++) append(&vectors, distinct);
    return vectors;
}

Vectors uniform_vectors(size_t count, uint32_t dim, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<float> uniform(0, 1);
    Vectors vectors = {dim, std::vector<float>(count * dim)};
    for (float &component : vectors.components) component = uniform(random);
    return vectors;
}

void normalise(Vectors *vectors) {
    for (size_t i = 0; i < vectors->count(); i++) {
        float squares = 0;
        for (uint32_t d = 0; d < vectors->dim; d++) squares += vectors->row(i)[d] * vectors->row(i)[d];
        for (uint32_t d = 0; d < vectors->dim; d++) vectors->row(i)[d] /= std::sqrt(squares);
    }
}

// ---- deleted regions ----

TEST_F(Answers, AreFoundWhereALargeTopicWasDeleted) {
    const size_t old_count = kSanitized ? 600 : 3000, live_count = kSanitized ? 100 : 500;
    Vectors vectors = random_vectors(old_count, 16, 1);
    append(&vectors, moved(random_vectors(live_count, 16, 2), 30));
    build(vectors, index_options(16));
    erase(0, old_count);
    expect_answers_from_now_on(random_vectors(kQueryCount, 16, 3));
}

TEST_F(Answers, AreFoundWhereATopicOfAFewPercentWasDeleted) {
    const size_t old_count = kSanitized ? 95 : 950, live_count = kSanitized ? 1800 : 18000;
    Vectors vectors = moved(random_vectors(old_count, 16, 4), 30);
    append(&vectors, random_vectors(live_count, 16, 5));
    build(vectors, index_options(16));
    erase(0, old_count);
    expect_answers_from_now_on(moved(random_vectors(kQueryCount, 16, 6), 30));
}

TEST_F(Answers, AreFoundWhereAllKeysWereMovedAwayByUpserts) {
    const size_t old_count = kSanitized ? 300 : 2000;
    build(random_vectors(old_count, 16, 7), index_options(16));
    const Vectors elsewhere = moved(random_vectors(old_count, 16, 8), 30);
    for (size_t key = 0; key < old_count; key++) {
        ASSERT_OK(rhumb_index_upsert(index_.get(), key, elsewhere.row(key)));
    }
    expect_answers_from_now_on(random_vectors(kQueryCount, 16, 9));
}

TEST_F(Answers, OfSearchLikeAreNotCutShortByDeletedNeighbours) {
    Vectors vectors = moved(uniform_vectors(1000, 16, 10), 10);
    append(&vectors, uniform_vectors(2000, 16, 11));
    build(vectors, index_options(16));
    erase(0, 900);
    for (uint64_t key = 900; key < 1000; key += 7) {
        std::vector<uint64_t> keys(200);
        size_t found_count = 0;
        ASSERT_OK(rhumb_index_search_like(index_.get(), key, 200, nullptr, keys.data(), nullptr, &found_count));
        EXPECT_EQ(found_count, 200u) << key;
    }
}

// ---- copies and few values ----

TEST_F(Answers, AmongFiveValuesAreAllCopiesOfEach) {
    Vectors values = uniform_vectors(5, 256, 12);
    normalise(&values);
    build(repeated(values, 100), index_options(256));
    for (size_t i = 0; i < 5; i++) {
        EXPECT_EQ(copies_found(values.row(i), 100, 128), 100u) << i;
        EXPECT_EQ(copies_found(values.row(i), 10, 10), 10u) << i;
    }
}

// Of some tens of such indexes one or two lose a value, if copies fill the lists.
TEST_F(Answers, AmongTenValuesAreCopiesOfThemselves) {
    for (uint64_t seed = 0; seed < (kSanitized ? 3 : 30); seed++) {
        const Vectors values = uniform_vectors(10, 8, seed);
        build(repeated(values, 40), index_options(8));
        EXPECT_EQ(count_that_find_themselves(values), 10u) << "seed " << seed;
        index_.reset();
        std::filesystem::remove(path_);
    }
}

TEST_F(Answers, AreNotHiddenByAThousandCopies) {
    Vectors copy = random_vectors(1, 16, 14);
    for (float &component : copy.components) component *= 0.3f;
    Vectors vectors = repeated(copy, 1000);
    append(&vectors, random_vectors(3000, 16, 15));
    const Vectors queries = random_vectors(300, 16, 15); // the first of them
    build(vectors, index_options(16));
    EXPECT_GE(count_that_find_themselves(queries), 295u);
    std::vector<uint64_t> keys(1001);
    size_t found_count = 0;
    ASSERT_OK(
        rhumb_index_search_radius(index_.get(), copy.row(0), 0, 1001, nullptr, keys.data(), nullptr, &found_count));
    EXPECT_EQ(found_count, 1000u) << "copies within radius 0";
    compact();
    EXPECT_GE(count_that_find_themselves(queries), 295u) << "after a compaction";
}

TEST_F(Answers, AreNotHiddenByZeros) {
    Vectors vectors = random_vectors(4000, 32, 16), queries = {32, {}};
    std::mt19937_64 random(17);
    for (size_t i = 0; i < vectors.count(); i++) {
        if (random() % 10 < 3) {
            std::fill_n(vectors.row(i), vectors.dim, 0.0f);
        } else if (queries.count() < 300) {
            queries.components.insert(queries.components.end(), vectors.row(i), vectors.row(i) + vectors.dim);
        }
    }
    build(vectors, index_options(32));
    EXPECT_GE(count_that_find_themselves(queries), 295u);
    compact();
    EXPECT_GE(count_that_find_themselves(queries), 295u) << "after a compaction";
}

// ---- order by inner products, and no order at all ----

TEST_F(Answers, UnderIpAreAsManyAsWantedWhateverTheLengths) {
    Vectors vectors = random_vectors(4000, 16, 18);
    std::mt19937_64 random(19);
    std::lognormal_distribution<float> length(0, 1);
    for (size_t i = 0; i < vectors.count(); i++) {
        const float factor = length(random);
        for (uint32_t d = 0; d < vectors.dim; d++) vectors.row(i)[d] *= factor;
    }
    build(vectors, index_options(16, RHUMB_METRIC_IP));
    const Vectors queries = random_vectors(kQueryCount, 16, 20);
    for (size_t i = 0; i < queries.count(); i++) EXPECT_EQ(search(index_, queries.row(i), 400).found_count, 400u);
    EXPECT_GE(recall(index_, queries, kCount, 100), 0.95);
    EXPECT_EQ(expect_sound(index_).unreachable_count, 0u);
}

TEST_F(Answers, AtEqualDistancesAreAsManyAsWanted) {
    Vectors vectors = random_vectors(2000, 16, 21);
    for (float &component : vectors.components) component *= 1e-20f; // every inner product is 1 in f32
    build(vectors, index_options(16, RHUMB_METRIC_IP));
    for (size_t i = 0; i < 20; i++) {
        EXPECT_EQ(search(index_, vectors.row(i), 400).found_count, 400u);
        EXPECT_EQ(search(index_, vectors.row(i), 2000, 10).found_count, 2000u);
    }
    EXPECT_EQ(expect_sound(index_).unreachable_count, 0u);
}

} // namespace
} // namespace index_test
