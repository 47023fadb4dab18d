// Goal: an index of every metric and element type finds what it should, keeps it across closing, a crash, repair and
// compaction, and refuses what the metric is not defined for. Method: one index for each pair, of generated vectors
// that suit it, against an exact search of the same index; tables of refused vectors. Random inputs; the seed is
// printed and RHUMB_SEED repeats it.
#include <filesystem>

#include "tests/support/index_test_support.h"
#include "tests/support/vectors.h"

namespace {

using namespace index_test;
using namespace vectors;

constexpr size_t COUNT = 300, K = 10, QUERY_COUNT = 25;
constexpr uint32_t EF = 100;

// Some hundred indexes are created here, and their syncs test nothing about metrics: in memory, if there is such a
// folder.
const bool in_memory = access("/dev/shm", W_OK) == 0 && setenv("TEST_TMPDIR", "/dev/shm", 1) == 0;

// Vectors of a pair as a caller lays them out: rows of components, or an array of sequences.
struct Collection {
    std::vector<Vector> vectors;
    Bytes matrix;
    std::vector<rhumb_sequence> sequences;
    const void *data() const { return sequences.empty() ? static_cast<const void *>(matrix.data()) : sequences.data(); }
};

void add(Collection *collection, Vector vector) {
    if (vector.is_sequence) {
        collection->sequences.push_back(vector.sequence);
    } else {
        collection->matrix.insert(collection->matrix.end(), vector.components.begin(), vector.components.end());
    }
    collection->vectors.push_back(std::move(vector));
}

uint32_t dim_of(const Pair &pair) {
    if (pair.metric == RHUMB_METRIC_LEVENSHTEIN) return 30;
    return pair.element == RHUMB_ELEMENT_B1 ? 125 : 12;
}

// Copies of earlier vectors, with some components replaced by those of others: unrelated bits, sets and strings have no
// neighbours to find. Not copies of a few centres: HNSW is weak at clusters far from each other with nothing between
// them, and copies of a centre as short as one element are all the same.
Collection descended(Random &random, const Pair &pair, size_t count) {
    Collection collection;
    const uint32_t dim = dim_of(pair), bytes = std::max(1u, rhumb__element_bits(pair.element) / 8);
    while (collection.vectors.size() < 3) {
        Vector ancestor = random_vector_of(random, pair, dim);
        if (!ancestor.is_sequence || ancestor.sequence.length >= dim / 2) add(&collection, std::move(ancestor));
    }
    while (collection.vectors.size() < count) {
        Bytes components = collection.vectors[random() % collection.vectors.size()].components;
        const Vector other = random_vector_of(random, pair, dim);
        const size_t shared = std::min(components.size(), other.components.size()) / bytes;
        for (size_t change = 0; change < 1 + shared / 4 && shared > 0; change++) {
            const size_t at = random() % shared * bytes;
            std::copy_n(other.components.begin() + static_cast<long>(at), bytes,
                        components.begin() + static_cast<long>(at));
        }
        if (pair.metric == RHUMB_METRIC_LEVENSHTEIN && components.size() >= 2 * bytes && random() % 2 == 0) {
            components.resize(components.size() - bytes);
        }
        add(&collection, vector_of(pair, std::move(components)));
    }
    return collection;
}

// Removes the last vectors of a collection and returns them.
Collection split_last(Collection *from, size_t count) {
    Collection rest, last;
    const size_t rest_count = from->vectors.size() - count;
    for (size_t i = 0; i < from->vectors.size(); i++) add(i < rest_count ? &rest : &last, std::move(from->vectors[i]));
    *from = std::move(rest);
    return last;
}

Collection generate(Random &random, const Pair &pair, size_t count) {
    if (pair.metric == RHUMB_METRIC_HAMMING || pair.metric == RHUMB_METRIC_LEVENSHTEIN ||
        pair.metric == RHUMB_METRIC_JACCARD)
        return descended(random, pair, count);
    Collection collection;
    for (size_t i = 0; i < count; i++) {
        if (is_of_probabilities(pair.metric)) {
            add(&collection, random_vector_of(random, pair, dim_of(pair)));
            continue;
        }
        const bool is_signed = is_float(pair.element) || is_signed_integer(pair.element);
        std::vector<double> values(dim_of(pair));
        double squares = 0;
        for (double &value : values) {
            value = random.uniform() * 100 - (is_signed ? 50 : 0);
            if (!is_signed && random() % 2 == 0) value = 0;
            squares += value * value;
        }
        /* Inner products suit vectors of about the same length: else the longest are the nearest of every query. */
        const double scale = pair.metric == RHUMB_METRIC_IP ? 120 / std::sqrt(squares + 1) : 1;
        Bytes components;
        for (double value : values) append_number(&components, pair.element, value * scale);
        add(&collection, vector_of(pair, std::move(components)));
    }
    return collection;
}

rhumb_open_options open_options_without_log() {
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.durability = RHUMB_DURABILITY_NONE;
    return options;
}

rhumb_index_options options_of(const Pair &pair) {
    rhumb_index_options options = index_options(dim_of(pair), pair.metric);
    options.element = pair.element;
    options.ef_construction = 60;
    return options;
}

struct Answers {
    std::vector<uint64_t> keys = std::vector<uint64_t>(QUERY_COUNT * K);
    std::vector<float> distances = std::vector<float>(QUERY_COUNT * K);
    bool operator==(const Answers &other) const { return keys == other.keys && distances == other.distances; }
};

Answers search(rhumb_index *index, const Collection &queries, bool exact = false) {
    Answers answers;
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.ef_search = EF;
    options.thread_count = 1;
    const auto call = exact ? rhumb_index_search_exact : rhumb_index_search_batch;
    EXPECT_OK(
        call(index, queries.data(), QUERY_COUNT, K, &options, answers.keys.data(), answers.distances.data(), nullptr));
    return answers;
}

// Compares by distance, since many of these metrics have ties.
double recall(const Answers &found, const Answers &truth) {
    size_t hit_count = 0;
    for (size_t i = 0; i < QUERY_COUNT * K; i++) {
        if (found.distances[i] <= truth.distances[i / K * K + K - 1]) hit_count++;
    }
    return static_cast<double>(hit_count) / (QUERY_COUNT * K);
}

Bytes stored_vector(rhumb_index *index, const Pair &pair, uint64_t key) {
    Bytes bytes((uint64_t{dim_of(pair)} * rhumb__element_bits(pair.element) + 7) / 8);
    rhumb_sequence sequence = {bytes.data(), dim_of(pair)};
    const bool is_sequence = pair.metric == RHUMB_METRIC_LEVENSHTEIN;
    EXPECT_OK(rhumb_index_get_vector(index, key, is_sequence ? static_cast<void *>(&sequence) : bytes.data()));
    if (is_sequence) bytes.resize(uint64_t{sequence.length} * rhumb__element_bits(pair.element) / 8);
    return bytes;
}

Bytes as_stored(const Pair &pair, const Vector &vector) {
    Bytes bytes = vector.components;
    if (pair.element == RHUMB_ELEMENT_B1) bytes.back() &= static_cast<uint8_t>((1u << dim_of(pair) % 8) - 1);
    return bytes;
}

// Distances without an index are those that an exact search of the index has returned.
void expect_measured(const rhumb_index_options &options, const Collection &queries, const Collection &collection,
                     const Answers &truth) {
    const size_t bytes = queries.matrix.size() / QUERY_COUNT;
    std::vector<float> distances(COUNT);
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        const void *query = queries.sequences.empty() ? static_cast<const void *>(&queries.matrix[i * bytes])
                                                      : static_cast<const void *>(&queries.sequences[i]);
        ASSERT_OK(rhumb_vectors_measure(&options, query, collection.data(), COUNT, distances.data()));
        for (size_t j = i * K; j < (i + 1) * K; j++) ASSERT_EQ(distances[truth.keys[j]], truth.distances[j]);
    }
}

// An index of each half, merged, finds what the index of all has.
void expect_merged(const ScratchDirectory &directory, const Pair &pair, const Collection &collection,
                   const Collection &queries, const Answers &truth) {
    const rhumb_open_options open_options = open_options_without_log();
    const std::string halves[2] = {directory.file("first.rhumb"), directory.file("second.rhumb")};
    const std::string merged = directory.file("merged.rhumb");
    for (size_t half = 0; half < 2; half++) {
        rhumb_index_options options = options_of(pair);
        options.open = &open_options;
        const Index index = create(halves[half], options);
        for (size_t i = half * COUNT / 2; i < (half + 1) * COUNT / 2; i++)
            ASSERT_OK(rhumb_index_insert(index.get(), i, collection.vectors[i].data()));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    const char *const paths[2] = {halves[0].c_str(), halves[1].c_str()};
    ASSERT_OK(rhumb_index_merge_into(paths, 2, merged.c_str(), nullptr, nullptr, 0));
    const Index index = open(merged, true);
    expect_sound(index);
    EXPECT_EQ(search(index.get(), queries, true).distances, truth.distances);
    EXPECT_GE(recall(search(index.get(), queries), truth), 0.95);
    for (const std::string &path : {halves[0], halves[1], merged}) std::filesystem::remove(path);
}

TEST(IndexOfEveryPair, FindsNeighboursAndIsTheSameAfterReopening) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    const rhumb_open_options open_options = open_options_without_log();
    double worst = 1;
    for (const Pair &pair : all_pairs()) {
        SCOPED_TRACE(name_of(pair));
        Collection collection = generate(random, pair, COUNT + QUERY_COUNT);
        const Collection queries = split_last(&collection, QUERY_COUNT);
        const std::string path = directory.file("index.rhumb");
        rhumb_index_options options = options_of(pair);
        options.open = &open_options;
        Index index = create(path, options);
        ASSERT_NE(index, nullptr);
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, collection.data(), COUNT, nullptr, nullptr));
        const Answers truth = search(index.get(), queries, true), before = search(index.get(), queries);
        expect_measured(options, queries, collection, truth);
        const double found = recall(before, truth);
        worst = std::min(worst, found);
        EXPECT_GE(found, 0.95);
        index.reset();
        index = open(path, true);
        ASSERT_NE(index, nullptr);
        EXPECT_TRUE(search(index.get(), queries) == before);
        EXPECT_TRUE(search(index.get(), queries, true) == truth);
        for (uint64_t key = 0; key < COUNT; key += 17) {
            ASSERT_EQ(stored_vector(index.get(), pair, key), as_stored(pair, collection.vectors[key])) << key;
        }
        const rhumb_index_options kept = created_with(index);
        EXPECT_EQ(kept.metric, pair.metric);
        EXPECT_EQ(kept.element, pair.element);
        index.reset();
        std::filesystem::remove(path);
        ASSERT_NO_FATAL_FAILURE(expect_merged(directory, pair, collection, queries, truth));
    }
    printf("lowest recall@%zu at ef %u of %zu pairs: %.4f (%s)\n", K, EF, all_pairs().size(), worst,
           in_memory ? "in memory" : "on disk");
}

const Pair REMARKABLE[] = {
    {RHUMB_METRIC_LEVENSHTEIN, RHUMB_ELEMENT_U16},    {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_F64},
    {RHUMB_METRIC_COSINE, RHUMB_ELEMENT_U8},          {RHUMB_METRIC_HAMMING, RHUMB_ELEMENT_B1},
    {RHUMB_METRIC_JENSEN_SHANNON, RHUMB_ELEMENT_F32},
};

// Copies the files of an open index, which is what a crash leaves.
TEST(IndexOfRemarkablePairs, SurvivesRecoveryRepairAndCompaction) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    for (const Pair &pair : REMARKABLE) {
        SCOPED_TRACE(name_of(pair));
        const std::string name = directory.file(name_of(pair)), crashed = name + "-crashed";
        const Collection collection = generate(random, pair, 60), queries = generate(random, pair, QUERY_COUNT);
        Index index = create(name, options_of(pair));
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, collection.data(), 60, nullptr, nullptr));
        const Vector again = collection.vectors[0];
        ASSERT_OK(rhumb_index_upsert(index.get(), 7, again.data()));
        ASSERT_OK(rhumb_index_delete(index.get(), 3));
        const Answers truth = search(index.get(), queries, true);
        std::filesystem::copy(name, crashed);
        std::filesystem::copy(name + "-wal", crashed + "-wal");
        ASSERT_OK(rhumb_index_repair(crashed.c_str(), (name + "-repaired").c_str(), nullptr, nullptr, 0));
        ASSERT_OK(rhumb_index_close(index.release()));
        ASSERT_OK(rhumb_index_repair(name.c_str(), (name + "-repaired2").c_str(), nullptr, nullptr, 0));
        ASSERT_OK(rhumb_index_compact_into(name.c_str(), (name + "-compacted").c_str(), nullptr, nullptr, 0));
        for (const std::string &path : {crashed, name + "-repaired", name + "-repaired2", name + "-compacted"}) {
            SCOPED_TRACE(path);
            index = open(path, false);
            ASSERT_NE(index, nullptr);
            ASSERT_OK(rhumb_index_wait_idle(index.get()));
            EXPECT_EQ(rhumb_index_count(index.get()), 59u);
            EXPECT_EQ(stored_vector(index.get(), pair, 7), as_stored(pair, again));
            EXPECT_EQ(search(index.get(), queries, true).distances, truth.distances);
            rhumb_verify_report report;
            EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report));
        }
    }
}

// Opening a file does not check rows, so they may hold anything. The result is worse answers or an error.
TEST(IndexOfRemarkablePairs, SurvivesDamageToItsRows) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    for (const Pair &pair : REMARKABLE) {
        SCOPED_TRACE(name_of(pair));
        const std::string path = directory.file(name_of(pair)), damaged = path + "-damaged";
        const Collection collection = generate(random, pair, 200), queries = generate(random, pair, QUERY_COUNT);
        Index index = create(path, options_of(pair));
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, collection.data(), 200, nullptr, nullptr));
        index.reset();
        std::ifstream whole(path, std::ios::binary);
        const std::string content{std::istreambuf_iterator<char>(whole), {}};
        const Bytes longest =
            as_stored(pair, *std::max_element(collection.vectors.begin(), collection.vectors.begin() + 20,
                                              [](const Vector &a, const Vector &b) {
                                                  return a.components.size() < b.components.size();
                                              }));
        const size_t vectors_at = content.find(std::string(longest.begin(), longest.end()));
        ASSERT_NE(vectors_at, std::string::npos);
        int opened_count = 0;
        for (int round = 0; round < 12; round++) {
            std::filesystem::copy_file(path, damaged, std::filesystem::copy_options::overwrite_existing);
            std::fstream file(damaged, std::ios::in | std::ios::out | std::ios::binary);
            for (int hit = 0; hit < 40; hit++) {
                const Bytes anything(1 + random() % 64, static_cast<uint8_t>(random() % 3 == 0 ? 0xFF : random()));
                const uint64_t in_vectors = vectors_at + random() % (180 * longest.size());
                const uint64_t anywhere = 65536 + random() % (content.size() - 65536 - 64);
                file.seekp(static_cast<std::streamoff>(random() % 2 == 0 ? in_vectors : anywhere));
                file.write(reinterpret_cast<const char *>(anything.data()),
                           static_cast<std::streamsize>(anything.size()));
            }
            file.close();
            rhumb_open_options options;
            rhumb_open_options_init(&options, sizeof options);
            options.read_only = true;
            rhumb_index *raw = nullptr;
            if (rhumb_index_open(damaged.c_str(), &options, &raw) != RHUMB_OK) continue;
            opened_count++;
            index.reset(raw);
            for (const float distance : search(index.get(), queries).distances) EXPECT_FALSE(std::isnan(distance));
            search(index.get(), queries, true);
            bool found = false;
            for (uint64_t key = 0; key < 200; key++) {
                ASSERT_OK(rhumb_index_contains(index.get(), key, &found));
                if (found) stored_vector(index.get(), pair, key);
            }
            index.reset();
        }
        EXPECT_GT(opened_count, 0);
    }
}

// The longest vectors just fit into a record of the log.
TEST(IndexOfTheLongestVectors, SurvivesRecovery) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    const std::string name = directory.file("long"), crashed = directory.file("crashed");
    rhumb_index_options options = index_options(RHUMB_DIM_MAX, RHUMB_METRIC_COSINE);
    options.element = RHUMB_ELEMENT_F64;
    std::vector<double> vector(options.dim);
    Index index = create(name, options);
    for (uint64_t key = 0; key < 5; key++) {
        for (double &component : vector) component = random.uniform() - 0.5;
        ASSERT_OK(rhumb_index_insert(index.get(), key, vector.data()));
    }
    std::filesystem::copy(name, crashed);
    std::filesystem::copy(name + "-wal", crashed + "-wal");
    index = open(crashed, false);
    ASSERT_NE(index, nullptr);
    uint64_t key = 0;
    float distance = 2;
    ASSERT_OK(rhumb_index_search(index.get(), vector.data(), 1, nullptr, &key, &distance, nullptr));
    EXPECT_EQ(key, 4u);
    EXPECT_LT(distance, 1e-6f);
}

// ---- refusals ----

// The status of inserting and of searching, which is the same.
rhumb_status try_vector(rhumb_index *index, const void *vector) {
    uint64_t key;
    const rhumb_status status = rhumb_index_insert(index, 77, vector);
    EXPECT_EQ(rhumb_index_search(index, vector, 1, nullptr, &key, nullptr, nullptr), status);
    if (status == RHUMB_OK) {
        EXPECT_OK(rhumb_index_delete(index, 77));
    }
    return status;
}

TEST(Refusal, VectorsOutsideTheDomainAreRefused) {
    const ScratchDirectory directory;
    for (rhumb_metric metric :
         {RHUMB_METRIC_HELLINGER, RHUMB_METRIC_JEFFREYS, RHUMB_METRIC_JENSEN_SHANNON, RHUMB_METRIC_JACCARD}) {
        SCOPED_TRACE(rhumb_metric_name(metric));
        rhumb_index_options options = index_options(2, metric);
        options.element = RHUMB_ELEMENT_F32;
        const Index index = create(directory.file(rhumb_metric_name(metric)), options);
        ASSERT_NE(index, nullptr);
        const rhumb_status unnormalised = metric == RHUMB_METRIC_JACCARD ? RHUMB_OK : RHUMB_E_DOMAIN;
        const struct {
            float vector[2];
            rhumb_status status;
        } cases[] = {{{0.25f, 0.75f}, RHUMB_OK},     {{1.0f, -0.0f}, RHUMB_OK},        {{1.5f, -0.5f}, RHUMB_E_DOMAIN},
                     {{0.25f, 0.5f}, unnormalised},  {{0.0f, 0.0f}, unnormalised},     {{0.25f, 0.7505f}, RHUMB_OK},
                     {{25.0f, 75.0f}, unnormalised}, {{NAN, 1.0f}, RHUMB_E_NOT_FINITE}};
        for (const auto &one : cases) {
            EXPECT_EQ(try_vector(index.get(), one.vector), one.status) << one.vector[0] << " " << one.vector[1];
        }
    }
}

TEST(Refusal, NormalisingIsRefusedWhereVectorsAreNotProbabilities) {
    const ScratchDirectory directory;
    rhumb_index_options options = index_options(2, RHUMB_METRIC_L2);
    options.normalise = true;
    rhumb_index *index = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(directory.file("a").c_str(), &options, &index));
    options.metric = RHUMB_METRIC_IP;
    options.element = RHUMB_ELEMENT_B1;
    options.normalise = false;
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, rhumb_index_create(directory.file("a").c_str(), &options, &index));
}

TEST(Normalise, DividesByTheSumAndIsRemembered) {
    const ScratchDirectory directory;
    for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
        const std::string path = directory.file(rhumb_element_name(element));
        rhumb_index_options options = index_options(3, RHUMB_METRIC_JENSEN_SHANNON);
        options.element = element;
        options.normalise = true;
        Index index = create(path, options);
        const auto bytes_of = [element](std::vector<double> values) {
            Bytes bytes;
            for (double value : values) append_number(&bytes, element, value);
            return bytes;
        };
        for (int round = 0; round < 2; round++) {
            ASSERT_OK(rhumb_index_upsert(index.get(), 1, bytes_of({2, 2, 4}).data()));
            Bytes stored(3 * 8);
            ASSERT_OK(rhumb_index_get_vector(index.get(), 1, stored.data()));
            stored.resize(3 * rhumb__element_bits(element) / 8);
            EXPECT_EQ(stored, bytes_of({0.25, 0.25, 0.5}));
            uint64_t key;
            float distance;
            ASSERT_OK(
                rhumb_index_search(index.get(), bytes_of({3, 3, 6}).data(), 1, nullptr, &key, &distance, nullptr));
            EXPECT_EQ(distance, 0.0f);
            EXPECT_EQ(try_vector(index.get(), bytes_of({0, 0, 0}).data()), RHUMB_E_DOMAIN);
            EXPECT_EQ(try_vector(index.get(), bytes_of({2, -1, 0}).data()), RHUMB_E_DOMAIN);
            index.reset();
            index = open(path, false);
        }
        EXPECT_TRUE(created_with(index).normalise);
    }
}

TEST(Refusal, NanAndInfinityOfEveryWidthAreRefused) {
    const ScratchDirectory directory;
    const struct {
        rhumb_element element;
        uint64_t bad[4]; /* NaN, another, infinity, -infinity */
    } cases[] = {{RHUMB_ELEMENT_F16, {0x7E00, 0xFC01, 0x7C00, 0xFC00}},
                 {RHUMB_ELEMENT_BF16, {0x7FC0, 0xFF81, 0x7F80, 0xFF80}},
                 {RHUMB_ELEMENT_F32, {0x7FC00000, 0xFF800001, 0x7F800000, 0xFF800000}},
                 {RHUMB_ELEMENT_F64, {0x7FF8000000000000, 0xFFF0000000000001, 0x7FF0000000000000, 0xFFF0000000000000}}};
    for (const auto &one : cases) {
        SCOPED_TRACE(rhumb_element_name(one.element));
        const uint32_t dim = 37, bytes = rhumb__element_bits(one.element) / 8;
        rhumb_index_options options = index_options(dim, RHUMB_METRIC_COSINE);
        options.element = one.element;
        const Index index = create(directory.file(rhumb_element_name(one.element)), options);
        for (uint32_t at : {0u, 15u, 36u}) {
            for (uint64_t bad : one.bad) {
                Bytes vector(dim * bytes, 1);
                memcpy(&vector[at * bytes], &bad, bytes);
                EXPECT_EQ(try_vector(index.get(), vector.data()), RHUMB_E_NOT_FINITE);
                EXPECT_NE(last_error().find("component " + std::to_string(at) + " "), std::string::npos);
            }
        }
    }
}

// ---- sequences ----

TEST(Sequences, KeepTheirLengths) {
    const ScratchDirectory directory;
    rhumb_index_options options = index_options(5, RHUMB_METRIC_LEVENSHTEIN);
    options.element = RHUMB_ELEMENT_U16;
    const Index index = create(directory.file("words"), options);
    const uint16_t letters[] = {10, 20, 30, 40, 50, 60};
    const rhumb_sequence words[] = {{letters, 5}, {nullptr, 0}, {letters, 3}, {letters + 1, 4}};
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, words, 4, nullptr, nullptr));
    const rhumb_sequence too_long = {letters, 6}, no_elements = {nullptr, 2};
    EXPECT_EQ(try_vector(index.get(), &too_long), RHUMB_E_INVALID);
    EXPECT_EQ(try_vector(index.get(), &no_elements), RHUMB_E_INVALID);
    uint16_t room[5] = {};
    for (uint64_t key = 0; key < 4; key++) {
        rhumb_sequence word = {room, 5};
        ASSERT_OK(rhumb_index_get_vector(index.get(), key, &word));
        ASSERT_EQ(word.length, words[key].length);
        EXPECT_TRUE(std::equal(room, room + word.length, static_cast<const uint16_t *>(words[key].elements)));
    }
    rhumb_sequence small = {room, 2};
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_get_vector(index.get(), 0, &small));
    EXPECT_EQ(small.length, 5u) << "how much room it takes";
    uint64_t keys[4];
    float distances[4];
    ASSERT_OK(rhumb_index_search(index.get(), &words[3], 4, nullptr, keys, distances, nullptr));
    EXPECT_EQ(std::vector<uint64_t>(keys, keys + 2), (std::vector<uint64_t>{3, 0}));
    EXPECT_EQ(std::vector<float>(distances, distances + 4), (std::vector<float>{0, 1, 3, 4}));
    options.dim = 16385;
    rhumb_index *none = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_create(directory.file("long").c_str(), &options, &none));
}

TEST(Bits, UnusedBitsAfterTheLastAreIgnored) {
    const ScratchDirectory directory;
    rhumb_index_options options = index_options(9, RHUMB_METRIC_HAMMING);
    options.element = RHUMB_ELEMENT_B1;
    const Index index = create(directory.file("bits"), options);
    const uint8_t vector[2] = {0x0F, 0xFF}, query[2] = {0x0E, 0x01};
    uint8_t stored[2];
    uint64_t key;
    float distance;
    ASSERT_OK(rhumb_index_insert(index.get(), 1, vector));
    ASSERT_OK(rhumb_index_get_vector(index.get(), 1, stored));
    EXPECT_EQ(stored[1], 0x01);
    ASSERT_OK(rhumb_index_search(index.get(), query, 1, nullptr, &key, &distance, nullptr));
    EXPECT_FLOAT_EQ(distance, 1.0f / 9);
}

// ---- custom metrics ----

// The largest difference of two components, times the context; NaN for vectors that begin with 99.
float chebyshev(const void *a, const void *b, uint32_t dim, void *context) {
    const auto *x = static_cast<const float *>(a), *y = static_cast<const float *>(b);
    float largest = 0;
    for (uint32_t i = 0; i < dim; i++) largest = std::max(largest, std::fabs(x[i] - y[i]));
    return x[0] == 99.0f || y[0] == 99.0f ? NAN : largest * *static_cast<float *>(context);
}

template <class Options> Options with_chebyshev(void (*init)(Options *, size_t), float *context) {
    Options options;
    init(&options, sizeof options);
    options.custom_name = "chebyshev";
    options.custom_distance = chebyshev;
    options.custom_context = context;
    return options;
}

TEST(Custom, OpensOnlyWithTheFunctionOfItsName) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    const std::string path = directory.file("custom"), repaired = directory.file("r"), compacted = directory.file("c");
    const Pair floats = {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32};
    const Collection collection = generate(random, floats, 300), queries = generate(random, floats, QUERY_COUNT);
    float two = 2;
    rhumb_open_options supplied = with_chebyshev(rhumb_open_options_init, &two);
    rhumb_index_options options = index_options(12, RHUMB_METRIC_CUSTOM);
    rhumb_index *raw = nullptr;
    EXPECT_STATUS(RHUMB_E_METRIC, rhumb_index_create(path.c_str(), &options, &raw));
    options.open = &supplied;
    ASSERT_OK(rhumb_index_create(path.c_str(), &options, &raw));
    Index index(raw);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, collection.data(), 300, nullptr, nullptr));
    Answers truth = search(index.get(), queries, true);
    EXPECT_GE(recall(search(index.get(), queries), truth), 0.95);
    EXPECT_EQ(truth.distances[0], chebyshev(queries.data(), &collection.matrix[truth.keys[0] * 48], 12, &two));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));

    supplied.read_only = true;
    ASSERT_OK(rhumb_index_open(path.c_str(), &supplied, &raw));
    Index reader(raw);
    ASSERT_OK(rhumb_index_insert(index.get(), 1000, collection.data()));
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    bool changed = false;
    ASSERT_OK(rhumb_index_refresh(reader.get(), &changed));
    EXPECT_TRUE(changed);
    EXPECT_EQ(rhumb_index_count(reader.get()), 301u);
    truth = search(reader.get(), queries, true);
    rhumb_index_stats stats;
    ASSERT_OK(rhumb_index_stats_get(reader.get(), &stats, sizeof stats));
    EXPECT_STREQ(stats.custom_name, "chebyshev");
    reader.reset();
    index.reset();

    EXPECT_EQ(try_open(path, true), RHUMB_E_METRIC);
    EXPECT_NE(last_error().find("chebyshev"), std::string::npos);
    EXPECT_STATUS(RHUMB_E_METRIC, rhumb_index_repair(path.c_str(), repaired.c_str(), nullptr, nullptr, 0));
    EXPECT_STATUS(RHUMB_E_METRIC, rhumb_index_compact_into(path.c_str(), compacted.c_str(), nullptr, nullptr, 0));
    supplied.custom_name = "chebyshef";
    EXPECT_STATUS(RHUMB_E_METRIC, rhumb_index_open(path.c_str(), &supplied, &raw));
    supplied.custom_name = nullptr;
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_open(path.c_str(), &supplied, &raw));

    const rhumb_repair_options repair = with_chebyshev(rhumb_repair_options_init, &two);
    const rhumb_compact_options compact = with_chebyshev(rhumb_compact_options_init, &two);
    ASSERT_OK(rhumb_index_repair(path.c_str(), repaired.c_str(), &repair, nullptr, 0));
    ASSERT_OK(rhumb_index_compact_into(path.c_str(), compacted.c_str(), &compact, nullptr, 0));
    supplied.custom_name = "chebyshev";
    for (const std::string &file : {path, repaired, compacted}) {
        ASSERT_OK(rhumb_index_open(file.c_str(), &supplied, &raw));
        index.reset(raw);
        EXPECT_EQ(search(index.get(), queries, true).distances, truth.distances) << file;
        EXPECT_GE(recall(search(index.get(), queries), truth), 0.95) << file;
    }
}

TEST(Custom, MayReturnNanWithoutHarmToOtherVectors) {
    Random random(choose_seed());
    const ScratchDirectory directory;
    const Pair floats = {RHUMB_METRIC_L2, RHUMB_ELEMENT_F32};
    const Collection collection = generate(random, floats, 300), queries = generate(random, floats, QUERY_COUNT);
    float one = 1;
    const rhumb_open_options supplied = with_chebyshev(rhumb_open_options_init, &one);
    rhumb_index_options options = index_options(12, RHUMB_METRIC_CUSTOM);
    options.open = &supplied;
    rhumb_index *raw = nullptr;
    ASSERT_OK(rhumb_index_create(directory.file("custom").c_str(), &options, &raw));
    const Index index(raw);
    for (uint64_t i = 0; i < 300; i++) {
        std::vector<float> vector(12);
        memcpy(vector.data(), collection.vectors[i].components.data(), 48);
        if (i % 10 == 9) vector[0] = 99;
        ASSERT_OK(rhumb_index_insert(index.get(), i, vector.data()));
    }
    const Answers truth = search(index.get(), queries, true), found = search(index.get(), queries);
    EXPECT_GE(recall(found, truth), 0.95);
    for (size_t i = 0; i < QUERY_COUNT * K; i++) {
        EXPECT_NE(found.keys[i] % 10, 9u) << "what is NaN away is farther than everything else";
        EXPECT_LT(found.distances[i], 200.0f);
    }
    rhumb_verify_report report;
    EXPECT_OK(rhumb_index_verify(index.get(), &report, sizeof report));
}

TEST(VectorsMeasured, OfAnotherKindAreRefused) {
    rhumb_index_options options = index_options(2, RHUMB_METRIC_L2);
    const float vectors[] = {3, 4, 0, 0, NAN, 0};
    float distances[3] = {-1, -1, -1};
    EXPECT_OK(rhumb_vectors_measure(&options, vectors + 2, vectors, 2, distances));
    EXPECT_EQ(distances[0], 5);
    EXPECT_EQ(distances[1], 0);
    EXPECT_OK(rhumb_vectors_measure(&options, vectors, nullptr, 0, nullptr));
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors, vectors, 3, distances), RHUMB_E_NOT_FINITE);
    EXPECT_NE(strstr(rhumb_error_last()->message, "vector 2"), nullptr) << rhumb_error_last()->message;
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors + 4, vectors, 1, distances), RHUMB_E_NOT_FINITE);
    EXPECT_EQ(rhumb_vectors_measure(&options, nullptr, vectors, 1, distances), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors, nullptr, 1, distances), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_vectors_measure(nullptr, vectors, vectors, 1, distances), RHUMB_E_INVALID);
    options.metric = RHUMB_METRIC_CUSTOM;
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors, vectors, 1, distances), RHUMB_E_METRIC);
    options.metric = RHUMB_METRIC_LEVENSHTEIN;
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors, vectors, 1, distances), RHUMB_E_UNSUPPORTED);
    options.dim = 0;
    EXPECT_EQ(rhumb_vectors_measure(&options, vectors, vectors, 1, distances), RHUMB_E_INVALID);
}

} // namespace
