// Goal: a merge gives one sound index that has exactly the live vectors of its sources under their keys, finds them as
// well as an index that was built from all would, on any number of threads the same, and changes no source; what does
// not go together is refused, and leaves no file. Method: sources of random sizes, options, deletes, replaced and equal
// vectors and common keys, against a model of what they hold and an exact search. Random inputs; the seed is printed
// and RHUMB_SEED repeats it.
#include "tests/support/index_test_support.h"

#include <map>
#include <time.h>

extern "C" {
#include "base/memory_limit.h"
}

namespace index_test {
namespace {

constexpr uint32_t kDim = 16;

rhumb_merge_options merge_options(uint32_t thread_count = 0) {
    rhumb_merge_options options;
    rhumb_merge_options_init(&options, sizeof options);
    options.thread_count = thread_count;
    return options;
}

rhumb_status try_merge(const std::vector<std::string> &paths, const std::string &new_path,
                       const rhumb_merge_options &options, rhumb_merge_report *report) {
    std::vector<const char *> texts;
    for (const std::string &path : paths) texts.push_back(path.c_str());
    *report = {};
    return rhumb_index_merge_into(texts.data(), texts.size(), new_path.c_str(), &options, report, sizeof *report);
}

using Model = std::map<uint64_t, std::vector<float>>; // the live vectors of an index

class Merge : public ::testing::Test {
  protected:
    ~Merge() override { rhumb__memory_limit_override(0); }

    std::string source_path(size_t i) const { return directory_.file("source" + std::to_string(i) + ".rhumb"); }

    std::vector<std::string> source_paths(size_t count) const {
        std::vector<std::string> paths;
        for (size_t i = 0; i < count; i++) paths.push_back(source_path(i));
        return paths;
    }

    // An index of these vectors under the keys first_key, first_key + 1...
    void make_source(size_t i, const Vectors &vectors, uint64_t first_key, const rhumb_index_options &options,
                     uint32_t thread_count = 2) const {
        const Index index = create_with_durability(source_path(i), options, RHUMB_DURABILITY_NONE);
        insert_all(index, vectors, first_key, thread_count);
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }

    rhumb_merge_report merge(size_t source_count, const rhumb_merge_options &options = merge_options()) {
        std::filesystem::remove(new_path_);
        rhumb_merge_report report;
        EXPECT_OK(try_merge(source_paths(source_count), new_path_, options, &report));
        EXPECT_EQ(report.unreachable_count, 0u);
        return report;
    }

    void expect_refused(rhumb_status status, const std::vector<std::string> &paths, const rhumb_merge_options &options,
                        const std::vector<std::string> &said) {
        rhumb_merge_report report;
        EXPECT_STATUS(status, try_merge(paths, new_path_, options, &report));
        for (const std::string &text : said)
            EXPECT_NE(std::string(rhumb_error_last()->message).find(text), std::string::npos) << last_error();
        EXPECT_FALSE(std::filesystem::exists(new_path_));
        EXPECT_FALSE(std::filesystem::exists(new_path_ + "-merging"));
        EXPECT_FALSE(std::filesystem::exists(new_path_ + "-wal"));
    }

    // The new index has exactly these vectors.
    void expect_holds(const Model &model) const {
        const Index index = open(new_path_, true);
        ASSERT_EQ(rhumb_index_count(index.get()), model.size());
        EXPECT_EQ(stats(index).slot_count, model.size());
        expect_sound(index);
        for (const auto &[key, vector] : model) {
            std::vector<float> stored(vector.size());
            ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data())) << key;
            ASSERT_EQ(memcmp(stored.data(), vector.data(), vector.size() * sizeof(float)), 0) << key;
        }
    }

    ScratchDirectory directory_;
    const std::string new_path_ = directory_.file("merged.rhumb");
};

Vectors part_of(const Vectors &vectors, size_t begin, size_t end) {
    return {vectors.dim, {vectors.row(begin), vectors.row(begin) + (end - begin) * vectors.dim}};
}

// ---- what it has ----

struct Source {
    Model live;
    uint64_t dead_count = 0;
};

// Makes a source by random operations, and returns what it holds.
Source random_source(const std::string &path, std::mt19937_64 &random, const rhumb_index_options &options,
                     uint64_t key_limit) {
    Source source;
    const Index index = create_with_durability(path, options, RHUMB_DURABILITY_NONE);
    const size_t operation_count = random() % 4 == 0 ? random() % 3 : random() % 900;
    const uint64_t seed = random();
    const Vectors fresh = clustered_vectors(operation_count + 1, options.dim, 12, 77, seed);
    const uint32_t equal_percent = random() % 3 == 0 ? 40 : 0, delete_percent = random() % 3 * 25;
    for (size_t i = 0; i < operation_count; i++) {
        std::vector<float> vector(fresh.row(i), fresh.row(i) + options.dim);
        if (random() % 100 < equal_percent) std::fill(vector.begin(), vector.end(), float(1 + random() % 4));
        const uint64_t key = random() % key_limit;
        EXPECT_OK(rhumb_index_upsert(index.get(), key, vector.data()));
        source.live[key] = vector;
        if (random() % 100 >= delete_percent) continue;
        const auto victim = std::next(source.live.begin(), static_cast<long>(random() % source.live.size()));
        EXPECT_OK(rhumb_index_delete(index.get(), victim->first));
        source.live.erase(victim);
    }
    EXPECT_OK(rhumb_index_checkpoint(index.get()));
    source.dead_count = stats(index).slot_count - source.live.size();
    return source;
}

TEST_F(Merge, HasExactlyWhatItsSourcesHave) {
    std::mt19937_64 random(choose_seed());
    const int round_count = rhumb_test::kSanitized ? 8 : 40;
    for (int round = 0; round < round_count; round++) {
        SCOPED_TRACE("round " + std::to_string(round));
        const size_t source_count = 1 + random() % 5;
        rhumb_index_options options = index_options(kDim, random() % 2 == 0 ? RHUMB_METRIC_L2 : RHUMB_METRIC_IP);
        const uint64_t key_limit = random() % 2 == 0 ? 2000 : UINT64_C(1) << 62;
        const bool last = random() % 2 == 0;
        std::vector<Source> sources;
        Model expected;
        uint64_t live_count = 0, dead_count = 0;
        for (size_t i = 0; i < source_count; i++) {
            std::filesystem::remove(source_path(i));
            options.M = 2 + static_cast<uint32_t>(random() % 12);
            options.M0 = 0;
            options.ef_construction = 40;
            options.codes = random() % 2 == 0 ? RHUMB_CODES_8BIT : RHUMB_CODES_NONE;
            options.level_max = random() % 3 == 0 ? 1 : 16;
            sources.push_back(random_source(source_path(i), random, options, key_limit));
            live_count += sources.back().live.size();
            dead_count += sources.back().dead_count;
        }
        for (const Source &source : sources) {
            for (const auto &[key, vector] : source.live) {
                if (last || expected.count(key) == 0) expected[key] = vector;
            }
        }
        rhumb_merge_options merging = merge_options(static_cast<uint32_t>(random() % 4));
        merging.duplicates = last ? RHUMB_DUPLICATES_LAST : RHUMB_DUPLICATES_FIRST;
        if (random() % 2 == 0) merging.M = 2 + static_cast<uint32_t>(random() % 20);
        if (random() % 3 == 0) merging.codes = RHUMB_CODES_4BIT;
        const rhumb_merge_report report = merge(source_count, merging);
        EXPECT_EQ(report.count, expected.size());
        EXPECT_EQ(report.dropped_count, dead_count);
        EXPECT_EQ(report.duplicate_count, live_count - expected.size());
        ASSERT_NO_FATAL_FAILURE(expect_holds(expected));
        if (HasFailure()) return;
    }
}

// ---- what it finds ----

// The merge finds no less than an index that was built from all vectors, at several ef.
void compare(const Index &merged, const Index &whole, const Vectors &queries, double allowed) {
    for (const uint32_t ef : {16u, 32u, 100u}) {
        const double found = recall(merged, queries, 10, ef), expected = recall(whole, queries, 10, ef);
        printf("ef %u: recall@10 %.4f, of a whole index %.4f\n", ef, found, expected);
        EXPECT_GE(found, expected - allowed) << "ef " << ef;
    }
}

TEST_F(Merge, FindsAsMuchAsAnIndexOfTheWhole) {
    constexpr size_t kCount = rhumb_test::kSanitized ? 2000 : 6000;
    const uint64_t seed = choose_seed();
    const Vectors vectors = clustered_vectors(kCount, kDim, 60, seed, seed + 1);
    const Vectors queries = clustered_vectors(400, kDim, 60, seed, seed + 2);
    for (const rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_COSINE, RHUMB_METRIC_IP}) {
        for (const std::vector<size_t> &cuts : std::vector<std::vector<size_t>>{
                 {0, kCount / 2, kCount}, {0, kCount / 10, kCount}, {0, kCount / 4, kCount / 4, kCount / 2, kCount}}) {
            SCOPED_TRACE(std::string(rhumb_metric_name(metric)) + ", " + std::to_string(cuts.size() - 1) + " sources");
            const rhumb_index_options options = index_options(kDim, metric);
            for (size_t i = 0; i + 1 < cuts.size(); i++) {
                std::filesystem::remove(source_path(i));
                ASSERT_NO_FATAL_FAILURE(make_source(i, part_of(vectors, cuts[i], cuts[i + 1]), cuts[i], options));
            }
            std::filesystem::remove(source_path(9));
            ASSERT_NO_FATAL_FAILURE(make_source(9, vectors, 0, options));
            EXPECT_EQ(merge(cuts.size() - 1).count, kCount);
            const Index merged = open(new_path_, true), whole = open(source_path(9), true);
            expect_sound(merged);
            ASSERT_NO_FATAL_FAILURE(compare(merged, whole, queries, 0.02));
        }
    }
}

// One that lies apart, and one in which most has been deleted.
TEST_F(Merge, FindsWhatLiesApartAndWhatDeletesHaveLeft) {
    constexpr size_t kCount = rhumb_test::kSanitized ? 1500 : 6000;
    const uint64_t seed = choose_seed();
    Vectors vectors = clustered_vectors(2 * kCount, kDim, 40, seed, seed + 1);
    Vectors queries = clustered_vectors(300, kDim, 40, seed, seed + 2);
    for (size_t i = kCount; i < 2 * kCount; i++) vectors.row(i)[0] += 50;
    for (size_t i = 0; i < queries.count(); i += 2) queries.row(i)[0] += 50;
    ASSERT_NO_FATAL_FAILURE(make_source(0, part_of(vectors, 0, kCount), 0, index_options(kDim)));
    ASSERT_NO_FATAL_FAILURE(make_source(1, part_of(vectors, kCount, 2 * kCount), kCount, index_options(kDim)));
    merge(2);
    {
        const Index merged = open(new_path_, true);
        EXPECT_GE(recall(merged, queries, 10, 64), 0.98);
        expect_sound(merged);
    }
    {
        rhumb_open_options open_options;
        rhumb_open_options_init(&open_options, sizeof open_options);
        open_options.durability = RHUMB_DURABILITY_NONE;
        open_options.compact_dead_share = 1;
        const Index index = open_as(source_path(0), open_options);
        for (size_t i = 0; i < kCount; i++) {
            if (i % 5 == 0) continue;
            ASSERT_OK(rhumb_index_delete(index.get(), i));
        }
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    EXPECT_EQ(merge(2).dropped_count, kCount - kCount / 5);
    const Index merged = open(new_path_, true);
    EXPECT_GE(recall(merged, queries, 10, 64), 0.98);
    expect_sound(merged);
}

// Half of the vectors of one are in the other too, under other keys.
TEST_F(Merge, MakesEqualVectorsOfTwoSourcesOneGroup) {
    constexpr size_t kCount = rhumb_test::kSanitized ? 800 : 4000;
    const uint64_t seed = choose_seed();
    const Vectors vectors = random_vectors(3 * kCount / 2, kDim, seed);
    const Vectors queries = random_vectors(300, kDim, seed + 1);
    for (const bool swapped : {false, true}) {
        std::filesystem::remove(source_path(0));
        std::filesystem::remove(source_path(1));
        ASSERT_NO_FATAL_FAILURE(make_source(swapped ? 1 : 0, part_of(vectors, 0, kCount), 0, index_options(kDim)));
        ASSERT_NO_FATAL_FAILURE(
            make_source(swapped ? 0 : 1, part_of(vectors, kCount / 2, 3 * kCount / 2), 100000, index_options(kDim)));
        EXPECT_EQ(merge(2).count, 2 * kCount);
        const Index merged = open(new_path_, true);
        expect_sound(merged);
        EXPECT_GE(recall(merged, queries, 10, 200), 0.98);
        for (size_t i = kCount / 2; i < kCount; i += 7) {
            const Answer answer = search(merged, vectors.row(i), 2);
            ASSERT_EQ(std::set<uint64_t>(answer.keys.begin(), answer.keys.end()),
                      (std::set<uint64_t>{i, 100000 + i - kCount / 2}));
            EXPECT_EQ(answer.distances[1], 0.0f);
        }
    }
}

// Vectors of a few values, each a changed copy of an earlier one: many are equal, in both sources too, and many equally
// far from each other.
std::vector<int32_t> descended_values(std::mt19937_64 &random, size_t count, uint32_t dim) {
    std::vector<int32_t> values;
    for (size_t i = 0; i < count; i++) {
        const size_t origin = i < 3 ? 0 : random() % i * dim;
        for (uint32_t at = 0; at < dim; at++)
            values.push_back(i < 3 ? static_cast<int32_t>(random() % 1000000) : values[origin + at]);
        for (uint32_t change = 0; i >= 3 && change < 1 + dim / 4; change++)
            values[i * dim + random() % dim] = static_cast<int32_t>(random() % 3);
    }
    return values;
}

// A search of one source's nodes in the other once ended among nodes of its own where many vectors are in both.
TEST_F(Merge, FindsAsMuchWhereManyVectorsAreInBothSources) {
    constexpr size_t kCount = 600, kQueries = 200, kK = 10;
    constexpr uint32_t kValues = 8;
    std::mt19937_64 random(choose_seed());
    rhumb_index_options options = index_options(kValues, RHUMB_METRIC_HAMMING);
    options.element = RHUMB_ELEMENT_I32;
    for (size_t round = 0; round < (rhumb_test::kSanitized ? 5 : 25); round++) {
        SCOPED_TRACE("round " + std::to_string(round));
        const std::vector<int32_t> values = descended_values(random, kCount + kQueries, kValues);
        for (size_t i = 0; i < 2; i++) {
            std::filesystem::remove(source_path(i));
            const Index source = create_with_durability(source_path(i), options, RHUMB_DURABILITY_NONE);
            for (size_t key = i * kCount / 2; key < (i + 1) * kCount / 2; key++)
                ASSERT_OK(rhumb_index_insert(source.get(), key, &values[key * kValues]));
            ASSERT_OK(rhumb_index_checkpoint(source.get()));
        }
        merge(2);
        const Index merged = open(new_path_, true);
        expect_sound(merged);
        std::vector<uint64_t> keys(kQueries * kK);
        std::vector<float> found(kQueries * kK), truth(kQueries * kK);
        const rhumb_search_options searching = search_options(20);
        const int32_t *queries = &values[kCount * kValues];
        ASSERT_OK(rhumb_index_search_batch(merged.get(), queries, kQueries, kK, &searching, keys.data(), found.data(),
                                           nullptr));
        ASSERT_OK(rhumb_index_search_exact(merged.get(), queries, kQueries, kK, &searching, keys.data(), truth.data(),
                                           nullptr));
        size_t hit_count = 0;
        for (size_t i = 0; i < kQueries * kK; i++) hit_count += found[i] <= truth[i / kK * kK + kK - 1];
        EXPECT_GE(static_cast<double>(hit_count) / (kQueries * kK), 0.98);
    }
}

// Vectors are read from the files, and nodes get few candidates.
TEST_F(Merge, WorksWhereMemoryCannotHoldTheSources) {
    constexpr size_t kCount = rhumb_test::kSanitized ? 1500 : 5000;
    const Vectors vectors = random_vectors(2 * kCount, kDim, 1);
    for (size_t i = 0; i < 2; i++) {
        ASSERT_NO_FATAL_FAILURE(
            make_source(i, part_of(vectors, i * kCount, (i + 1) * kCount), i * kCount, index_options(kDim)));
    }
    rhumb__memory_limit_override(UINT64_C(256) << 10);
    merge(2);
    rhumb__memory_limit_override(0);
    Model model;
    for (size_t i = 0; i < 2 * kCount; i++) model[i] = {vectors.row(i), vectors.row(i) + kDim};
    expect_holds(model);
    EXPECT_GE(recall(open(new_path_, true), random_vectors(100, kDim, 2), 10, 200), 0.95);
}

TEST_F(Merge, IsTheSameOnAnyNumberOfThreads) {
    std::mt19937_64 random(choose_seed());
    rhumb_index_options options = index_options(kDim);
    options.codes = RHUMB_CODES_8BIT;
    for (size_t i = 0; i < 3; i++) random_source(source_path(i), random, options, 1000000);
    ASSERT_NO_FATAL_FAILURE(make_source(3, random_vectors(3000, kDim, random()), 2000000, options));
    const Vectors queries = random_vectors(200, kDim, random());
    std::vector<Answer> first;
    uint64_t first_link_count = 0;
    rhumb_merge_options merging = merge_options();
    merging.duplicates = RHUMB_DUPLICATES_FIRST;
    for (const uint32_t thread_count : {1u, 2u, 5u}) {
        merging.thread_count = thread_count;
        merge(4, merging);
        const Index merged = open(new_path_, true);
        const uint64_t link_count = expect_sound(merged).link_count;
        std::vector<Answer> answers;
        for (size_t i = 0; i < queries.count(); i++) answers.push_back(search(merged, queries.row(i), 10, 12));
        if (first.empty()) {
            first = answers;
            first_link_count = link_count;
        }
        EXPECT_TRUE(answers == first) << thread_count << " threads";
        EXPECT_EQ(link_count, first_link_count) << thread_count << " threads";
    }
}

// ---- options ----

TEST_F(Merge, TakesOptionsAndMetadataOfTheFirstSourceUnlessItIsToldOthers) {
    rhumb_index_options options = index_options(kDim);
    options.M = 6;
    options.M0 = 11;
    options.ef_construction = 33;
    options.ef_search = 44;
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(300, kDim, 1), 0, options));
    options.M = 20;
    options.M0 = 0;
    ASSERT_NO_FATAL_FAILURE(make_source(1, random_vectors(300, kDim, 2), 5000, options));
    ASSERT_OK(rhumb_index_metadata_set(open(source_path(0), false).get(), "model 7", 7));
    merge(2);
    {
        const Index merged = open(new_path_, false);
        const rhumb_index_options made = created_with(merged);
        EXPECT_EQ(made.M, 6u);
        EXPECT_EQ(made.M0, 11u);
        EXPECT_EQ(made.ef_construction, 33u);
        EXPECT_EQ(made.ef_search, 44u);
        char metadata[16] = "";
        size_t bytes_count = 0;
        ASSERT_OK(rhumb_index_metadata_get(merged.get(), metadata, sizeof metadata, &bytes_count));
        EXPECT_EQ(std::string(metadata, bytes_count), "model 7");
        EXPECT_EQ(stats(merged).key_next, 5300u);
        const std::vector<float> zero(kDim);
        ASSERT_OK(rhumb_index_insert_batch(merged.get(), nullptr, zero.data(), 1, nullptr, nullptr));
        EXPECT_TRUE(contains(merged, 5300)) << "keys go on above the largest of all sources";
        expect_sound(merged);
    }
    rhumb_merge_options merging = merge_options();
    merging.M = 9;
    merging.ef_construction = 77;
    merging.codes = RHUMB_CODES_8BIT;
    merging.fused = RHUMB_FUSED_1BIT;
    merge(2, merging);
    const Index merged = open(new_path_, true);
    const rhumb_index_options made = created_with(merged);
    EXPECT_EQ(made.M, 9u);
    EXPECT_EQ(made.M0, 18u);
    EXPECT_EQ(made.ef_construction, 77u);
    EXPECT_EQ(made.codes, RHUMB_CODES_8BIT);
    EXPECT_EQ(made.fused, RHUMB_FUSED_1BIT);
    EXPECT_GE(recall(merged, random_vectors(50, kDim, 3), 10, 100), 0.97);
    expect_sound(merged);
}

TEST_F(Merge, OfEmptyIndexesIsEmptyAndOfOneIsACopy) {
    for (size_t i = 0; i < 3; i++) create(source_path(i), index_options(kDim));
    EXPECT_EQ(merge(3).count, 0u);
    expect_holds({});
    const Vectors vectors = random_vectors(200, kDim, 1);
    std::filesystem::remove(source_path(1));
    ASSERT_NO_FATAL_FAILURE(make_source(1, vectors, 7, index_options(kDim)));
    Model model;
    for (size_t i = 0; i < 200; i++) model[7 + i] = {vectors.row(i), vectors.row(i) + kDim};
    EXPECT_EQ(merge(3).count, 200u);
    expect_holds(model);
    std::filesystem::rename(source_path(1), source_path(0));
    EXPECT_EQ(merge(1).count, 200u);
    expect_holds(model);
}

// ---- refusals ----

TEST_F(Merge, RefusesAKeyOfTwoSourcesAndNamesTheFirst) {
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(100, kDim, 1), 0, index_options(kDim)));
    // By one thread, so that the first key of the file is the least.
    ASSERT_NO_FATAL_FAILURE(make_source(1, random_vectors(100, kDim, 2), 70, index_options(kDim), 1));
    expect_refused(RHUMB_E_EXISTS, source_paths(2), merge_options(), {"key 70", "source0"});
    EXPECT_NE(std::string(rhumb_error_last()->path).find("source1"), std::string::npos);
    ASSERT_OK(rhumb_index_delete(open(source_path(0), false).get(), 70));
    expect_refused(RHUMB_E_EXISTS, source_paths(2), merge_options(), {"key 71"});
    expect_refused(RHUMB_E_EXISTS, {source_path(0), source_path(0)}, merge_options(), {"key 0"});
}

TEST_F(Merge, RefusesWhatDoesNotGoTogetherAndSaysBothValues) {
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(10, kDim, 1), 0, index_options(kDim)));
    ASSERT_NO_FATAL_FAILURE(make_source(1, random_vectors(10, kDim + 1, 2), 100, index_options(kDim + 1)));
    expect_refused(RHUMB_E_INVALID, source_paths(2), merge_options(), {"16", "17", "source0"});
    std::filesystem::remove(source_path(1));
    create(source_path(1), index_options(kDim, RHUMB_METRIC_COSINE));
    expect_refused(RHUMB_E_INVALID, source_paths(2), merge_options(), {"metric", "cosine", "l2"});
    std::filesystem::remove(source_path(1));
    rhumb_index_options options = index_options(kDim);
    options.element = RHUMB_ELEMENT_F16;
    create(source_path(1), options);
    expect_refused(RHUMB_E_INVALID, source_paths(2), merge_options(), {"element", "f16", "f32"});
}

TEST_F(Merge, RefusesWrongArgumentsAndMissingOrDamagedSources) {
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(50, kDim, 1), 0, index_options(kDim)));
    rhumb_merge_options options = merge_options();
    expect_refused(RHUMB_E_INVALID, {}, options, {"paths"});
    expect_refused(RHUMB_E_INVALID, {source_path(0), ""}, options, {"paths"});
    expect_refused(RHUMB_E_INVALID, std::vector<std::string>(1025, source_path(0)), options, {"1024"});
    EXPECT_EQ(rhumb_index_merge_into(nullptr, 1, new_path_.c_str(), nullptr, nullptr, 0), RHUMB_E_INVALID);
    expect_refused(RHUMB_E_NOTFOUND, source_paths(2), options, {});
    put_file(source_path(1), std::string(5000, 'x'));
    expect_refused(RHUMB_E_NOT_AN_INDEX, source_paths(2), options, {});
    options.duplicates = static_cast<rhumb_duplicates>(9);
    expect_refused(RHUMB_E_INVALID, source_paths(1), options, {"duplicates"});
    options = merge_options();
    options.M = 1;
    expect_refused(RHUMB_E_INVALID, source_paths(1), options, {"M"});
    options.M = 300;
    expect_refused(RHUMB_E_INVALID, source_paths(1), options, {"M"});
    options.M = 0;
    options.M0 = 5;
    expect_refused(RHUMB_E_INVALID, source_paths(1), options, {"M0"});
    options = merge_options();
    options.codes = static_cast<rhumb_codes>(5);
    expect_refused(RHUMB_E_INVALID, source_paths(1), options, {"codes"});
}

TEST_F(Merge, LeavesAnIndexThatIsThereAlone) {
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(50, kDim, 1), 0, index_options(kDim)));
    ASSERT_NO_FATAL_FAILURE(make_source(1, random_vectors(60, kDim, 2), 100, index_options(kDim)));
    const auto before = file_bytes(source_path(1));
    rhumb_merge_report report;
    EXPECT_STATUS(RHUMB_E_EXISTS, try_merge({source_path(0)}, source_path(1), merge_options(), &report));
    EXPECT_STATUS(RHUMB_E_EXISTS, try_merge(source_paths(2), source_path(1), merge_options(), &report));
    EXPECT_EQ(file_bytes(source_path(1)), before);
}

// ---- sources in use ----

TEST_F(Merge, ReadsSourcesThatAreBeingWrittenTo) {
    const Vectors vectors = random_vectors(1000, kDim, 1);
    const Index writer = create(source_path(0), index_options(kDim));
    insert_all(writer, part_of(vectors, 0, 500));
    ASSERT_OK(rhumb_index_checkpoint(writer.get()));
    insert_all(writer, part_of(vectors, 500, 600), 500); // in the log alone
    ASSERT_NO_FATAL_FAILURE(make_source(1, part_of(vectors, 600, 1000), 600, index_options(kDim)));
    const Index reader = open(source_path(1), true);
    EXPECT_EQ(merge(2).count, 900u);
    ASSERT_OK(rhumb_index_delete(writer.get(), 3));
    expect_sound(writer);
    expect_sound(reader);
    EXPECT_EQ(rhumb_index_count(writer.get()), 599u);
    expect_sound(open(new_path_, false));
}

TEST_F(Merge, StopsWhereProgressSaysSoAndLeavesNoFile) {
    ASSERT_NO_FATAL_FAILURE(make_source(0, random_vectors(400, kDim, 1), 0, index_options(kDim)));
    ASSERT_NO_FATAL_FAILURE(make_source(1, random_vectors(400, kDim, 2), 5000, index_options(kDim)));
    struct Progress {
        uint64_t call_count = 0, last_count = 0, stop_at = UINT64_MAX;
    };
    uint64_t stop_count = 0;
    for (uint64_t stop_at = 0;; stop_at = 3 * stop_at + 1) {
        Progress progress;
        progress.stop_at = stop_at;
        rhumb_merge_options options = merge_options(2);
        options.progress_context = &progress;
        options.progress = [](void *context, uint64_t done_count, uint64_t total_count) {
            Progress *p = static_cast<Progress *>(context);
            EXPECT_GE(done_count, p->last_count);
            EXPECT_LE(done_count, total_count);
            p->last_count = done_count;
            const timespec pause = {0, 101000000}; // reports are a tenth of a second apart
            nanosleep(&pause, nullptr);
            return p->call_count++ < p->stop_at;
        };
        rhumb_merge_report report;
        const rhumb_status status = try_merge(source_paths(2), new_path_, options, &report);
        if (status == RHUMB_OK) break;
        ASSERT_EQ(status, RHUMB_E_CANCELLED) << last_error();
        ASSERT_FALSE(std::filesystem::exists(new_path_));
        ASSERT_FALSE(std::filesystem::exists(new_path_ + "-merging"));
        stop_count++;
    }
    EXPECT_GT(stop_count, 2u);
    EXPECT_EQ(rhumb_index_count(open(new_path_, true).get()), 800u);
}

} // namespace
} // namespace index_test
