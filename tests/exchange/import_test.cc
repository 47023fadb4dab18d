// Goal: an index that is imported has the vectors, keys and parameters of its source, finds at least as much at the
// same breadth, and reports what its source could not reach. Method: every genuine file in samples/,
// compared with what its own library says of it (vectors, answers to queries) and with a walk over its links that
// make_samples.py has made.
#include <map>

#include "tests/exchange/sample_files.h"

namespace exchange_test {
namespace {

using index_test::Index;
using index_test::ScratchDirectory;

class Import : public ::testing::TestWithParam<Sample> {
  protected:
    void import(const rhumb_import_options &options) {
        ASSERT_OK(rhumb_index_import(GetParam().path().c_str(), path_.c_str(), &options, &report_, sizeof report_));
        index_ = index_test::open(path_, true);
    }
    void import() { import(GetParam().options()); }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("new.rhumb");
    rhumb_import_report report_ = {};
    Index index_;
};

TEST_P(Import, TakesOverWhatTheFileIs) {
    const Sample &sample = GetParam();
    ASSERT_NO_FATAL_FAILURE(import());
    EXPECT_EQ(rhumb_import_format_name(report_.format), sample.format);
    EXPECT_EQ(report_.metric, sample.metric_number());
    EXPECT_EQ(report_.element, sample.element_number());
    EXPECT_EQ(report_.dim, sample.dim);
    EXPECT_EQ(report_.source_count, sample.source_count);
    EXPECT_EQ(report_.deleted_count, sample.deleted_count);
    EXPECT_EQ(report_.count, sample.count);
    EXPECT_EQ(report_.broken_link_count, 0u);
    EXPECT_EQ(report_.levels_kept, report_.has_links);
    const rhumb_index_options created = index_test::created_with(index_);
    EXPECT_EQ(created.metric, sample.metric_number());
    EXPECT_EQ(created.element, sample.element_number());
    EXPECT_EQ(created.dim, sample.dim);
    EXPECT_EQ(created.M, sample.M);
    EXPECT_EQ(created.M0, 2 * sample.M);
    EXPECT_EQ(created.ef_construction, sample.ef_construction);
    EXPECT_NEAR(created.level_scale, 1.0, 1e-12);
    EXPECT_EQ(rhumb_index_count(index_.get()), sample.count);
}

TEST_P(Import, KeepsEveryVectorBitForBit) {
    const Sample &sample = GetParam();
    ASSERT_NO_FATAL_FAILURE(import());
    const std::vector<uint8_t> expected = index_test::file_bytes(sample_path(sample.name + ".vectors"));
    const size_t record_bytes = 8 + sample.row_bytes();
    ASSERT_EQ(expected.size(), sample.count * record_bytes);
    std::vector<uint8_t> vector(sample.row_bytes());
    for (size_t at = 0; at < expected.size(); at += record_bytes) {
        uint64_t key = 0;
        memcpy(&key, expected.data() + at, sizeof key);
        ASSERT_OK(rhumb_index_get_vector(index_.get(), key, vector.data()));
        ASSERT_EQ(memcmp(vector.data(), expected.data() + at + 8, vector.size()), 0) << "key " << key;
    }
}

TEST_P(Import, IsSoundAndReachesEverything) {
    const Sample &sample = GetParam();
    ASSERT_NO_FATAL_FAILURE(import());
    rhumb_verify_report verified = {};
    EXPECT_OK(rhumb_index_verify(index_.get(), &verified, sizeof verified)) << verified.first_error;
    EXPECT_EQ(verified.unreachable_count, 0u);
    EXPECT_EQ(report_.unreachable_count, 0u);
    if (sample.unreachable != "-") {
        EXPECT_EQ(std::to_string(report_.source_unreachable_count), sample.unreachable);
    }
}

// How many of the nearest neighbours of the queries of a sample an index of it finds, and its own library.
struct Found {
    size_t ours = 0, theirs = 0, all = 0;
};

// The answers of both are measured by exact distances, so that equal distances count alike.
void search_samples(const Sample &sample, const Index &index, Found *found_out) {
    const std::vector<uint8_t> queries = index_test::file_bytes(sample_path(sample.name + ".queries"));
    const size_t row_bytes = sample.row_bytes();
    const size_t record_bytes = row_bytes + kAnswers * sizeof(uint64_t);
    ASSERT_EQ(queries.size() % record_bytes, 0u);
    rhumb_search_options narrow;
    rhumb_search_options_init(&narrow, sizeof narrow);
    narrow.ef_search = sample.ef;
    std::vector<uint64_t> keys(sample.count), found(kAnswers), theirs(kAnswers);
    std::vector<float> distances(sample.count);
    size_t ours_count = 0, theirs_count = 0, query_count = 0, key_count = 0, found_count = 0;
    for (size_t at = 0; at < queries.size(); at += record_bytes, query_count++) {
        const uint8_t *query = queries.data() + at;
        memcpy(theirs.data(), query + row_bytes, kAnswers * sizeof(uint64_t));
        ASSERT_OK(rhumb_index_search_exact(index.get(), query, 1, keys.size(), nullptr, keys.data(), distances.data(),
                                           &key_count));
        ASSERT_EQ(key_count, sample.count);
        ASSERT_OK(rhumb_index_search(index.get(), query, kAnswers, &narrow, found.data(), nullptr, &found_count));
        ASSERT_EQ(found_count, kAnswers);
        std::map<uint64_t, float> distance_of;
        for (size_t i = 0; i < keys.size(); i++) distance_of[keys[i]] = distances[i];
        const float farthest = distances[kAnswers - 1];
        for (uint64_t key : found) ours_count += distance_of.at(key) <= farthest;
        for (uint64_t key : theirs) theirs_count += distance_of.count(key) != 0 && distance_of.at(key) <= farthest;
    }
    *found_out = {ours_count, theirs_count, query_count * kAnswers};
}

// A few queries of a small set say little, so single samples may be a little below.
TEST(ImportedGraphs, FindAtLeastWhatTheirSourcesFound) {
    Found sum;
    for (const Sample &sample : all_samples()) {
        if (!std::filesystem::exists(sample_path(sample.name + ".queries"))) continue;
        const ScratchDirectory directory;
        const std::string path = directory.file("new.rhumb");
        rhumb_import_options options = sample.options();
        options.thread_count = 1;
        ASSERT_OK(rhumb_index_import(sample.path().c_str(), path.c_str(), &options, nullptr, 0));
        Found found;
        ASSERT_NO_FATAL_FAILURE(search_samples(sample, index_test::open(path, true), &found));
        ASSERT_GT(found.all, 0u);
        printf("%-18s %zu of %zu, its source %zu\n", sample.name.c_str(), found.ours, found.all, found.theirs);
        EXPECT_GE(found.ours + found.all / 20, found.theirs) << sample.name;
        sum = {sum.ours + found.ours, sum.theirs + found.theirs, sum.all + found.all};
    }
    printf("all: %zu of %zu, the sources %zu\n", sum.ours, sum.all, sum.theirs);
    EXPECT_GT(sum.all, 4000u);
    EXPECT_GE(sum.ours, sum.theirs);
}

TEST_P(Import, MakesTheGraphOfTheVectorsAloneIfAsked) {
    rhumb_import_options options = GetParam().options();
    options.ignore_links = true;
    options.renumber = true;
    options.first_key = 1000000;
    ASSERT_NO_FATAL_FAILURE(import(options));
    EXPECT_FALSE(report_.links_used);
    EXPECT_EQ(report_.relinked_count, report_.count);
    rhumb_verify_report verified = {};
    EXPECT_OK(rhumb_index_verify(index_.get(), &verified, sizeof verified)) << verified.first_error;
    for (uint64_t i = 0; i < report_.count; i++) {
        bool found = false;
        EXPECT_OK(rhumb_index_contains(index_.get(), 1000000 + i, &found));
        EXPECT_TRUE(found) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Samples, Import, ::testing::ValuesIn(all_samples()),
                         [](const auto &sample) { return sample.param.name; });

// ---- what must be said, and what is refused ----

class ImportArguments : public ::testing::Test {
  protected:
    rhumb_status import(const Sample &sample, const rhumb_import_options &options) {
        return rhumb_index_import(sample.path().c_str(), path_.c_str(), &options, nullptr, 0);
    }
    rhumb_status import_image(const std::string &image, const rhumb_import_options &options) {
        index_test::put_file(source_, image);
        return rhumb_index_import(source_.c_str(), path_.c_str(), &options, nullptr, 0);
    }
    std::string image_of(const Sample &sample) {
        const std::vector<uint8_t> bytes = index_test::file_bytes(sample.path());
        return std::string(bytes.begin(), bytes.end());
    }
    bool left_a_file() { return std::distance(std::filesystem::directory_iterator(directory_.path()), {}) > 0; }

    ScratchDirectory directory_, sources_;
    const std::string path_ = directory_.file("new.rhumb");
    const std::string source_ = sources_.file("source.bin");
};

TEST_F(ImportArguments, AMetricThatTheFileDoesNotSayMustBeNamed) {
    for (const char *name : {"hnswlib_l2", "chroma_l2", "annoy_dot"}) {
        const Sample sample = sample_named(name);
        rhumb_import_options options = sample.options();
        options.metric = static_cast<rhumb_metric>(0);
        EXPECT_STATUS(RHUMB_E_INVALID, import(sample, options)) << name;
    }
    EXPECT_FALSE(left_a_file());
}

TEST_F(ImportArguments, WhatIsSaidMayNotContradictTheFile) {
    const Sample sample = sample_named("faiss_hnsw");
    rhumb_import_options options = sample.options();
    options.dim = 7;
    EXPECT_STATUS(RHUMB_E_INVALID, import(sample, options));
    options = sample.options();
    options.element = RHUMB_ELEMENT_U8;
    EXPECT_STATUS(RHUMB_E_INVALID, import(sample, options));
    options = sample.options();
    options.format = RHUMB_IMPORT_USEARCH;
    EXPECT_STATUS(RHUMB_E_CORRUPT, import(sample, options));
    EXPECT_FALSE(left_a_file());
}

TEST_F(ImportArguments, AnotherMetricIsAllowed) {
    const Sample sample = sample_named("faiss_hnsw");
    rhumb_import_options options = sample.options();
    options.metric = RHUMB_METRIC_L2;
    ASSERT_OK(import(sample, options));
    EXPECT_EQ(index_test::created_with(index_test::open(path_, true)).metric, RHUMB_METRIC_L2);
}

TEST_F(ImportArguments, RepeatedAndNegativeKeysAreRefusedWithTheirNumberUnlessRenumbered) {
    const Sample sample = sample_named("faiss_hnsw_ids");
    std::string image = image_of(sample);
    const size_t ids = image.size() - sample.count * 8;
    memcpy(&image[ids + 8], &image[ids], 8); // the second repeats the first
    memset(&image[ids + 40], 0xFF, 8);       // -1
    rhumb_import_options options = sample.options();
    EXPECT_STATUS(RHUMB_E_EXISTS, import_image(image, options));
    EXPECT_NE(std::string(rhumb_error_last()->message).find("2 of 150 keys"), std::string::npos)
        << rhumb_error_last()->message;
    EXPECT_NE(std::string(rhumb_error_last()->message).find("of vector 1;"), std::string::npos);
    EXPECT_FALSE(left_a_file());
    options.renumber = true;
    EXPECT_OK(import_image(image, options));
}

TEST_F(ImportArguments, ABrokenLinkIsCountedAndChangesNothingElse) {
    const Sample sample = sample_named("hnswlib_l2");
    std::string image = image_of(sample);
    const size_t first_list = 96;
    const uint32_t nowhere = 1u << 30;
    memcpy(&image[first_list + 4], &nowhere, 4);
    index_test::put_file(source_, image);
    rhumb_import_report report = {};
    const rhumb_import_options options = sample.options();
    ASSERT_OK(rhumb_index_import(source_.c_str(), path_.c_str(), &options, &report, sizeof report));
    EXPECT_EQ(report.broken_link_count, 1u);
    EXPECT_EQ(report.count, sample.count);
    EXPECT_EQ(report.unreachable_count, 0u);
}

// A graph is cut in two: no list of its second half is named by the first.
TEST_F(ImportArguments, AHalfThatNoLinkLeadsToIsReportedAndReached) {
    const Sample sample = sample_named("hnswlib_cosine");
    std::string image = image_of(sample);
    uint64_t row_bytes = 0;
    uint32_t entry = 0;
    memcpy(&row_bytes, &image[24], 8);
    memcpy(&entry, &image[52], 4);
    const uint64_t half = sample.count / 2;
    const auto half_of = [&](uint64_t position) { return position < half; };
    const auto cut = [&](uint64_t position, size_t at) {
        uint16_t length = 0;
        memcpy(&length, &image[at], 2);
        uint16_t kept = 0;
        for (uint16_t i = 0; i < length; i++) {
            uint32_t neighbour = 0;
            memcpy(&neighbour, &image[at + 4 + 4 * i], 4);
            if (half_of(neighbour) != half_of(position)) continue;
            memcpy(&image[at + 4 + 4 * kept++], &neighbour, 4);
        }
        memcpy(&image[at], &kept, 2);
    };
    size_t at = 96 + sample.count * row_bytes;
    for (uint64_t i = 0; i < sample.count; i++) {
        uint32_t bytes = 0;
        memcpy(&bytes, &image[at], 4);
        cut(i, 96 + i * row_bytes);
        for (size_t list = at + 4; list < at + 4 + bytes; list += 4 + 4 * sample.M) cut(i, list);
        at += 4 + bytes;
    }
    index_test::put_file(source_, image);
    rhumb_import_report report = {};
    const rhumb_import_options options = sample.options();
    ASSERT_OK(rhumb_index_import(source_.c_str(), path_.c_str(), &options, &report, sizeof report));
    EXPECT_GE(report.source_unreachable_count, sample.count - half);
    EXPECT_LT(report.source_unreachable_count, sample.count);
    EXPECT_GE(report.relinked_count, sample.count - half);
    EXPECT_EQ(half_of((report.first_unreachable_key - 5) / 7), !half_of(entry));
    const Index index = index_test::open(path_, true);
    rhumb_verify_report verified = {};
    EXPECT_OK(rhumb_index_verify(index.get(), &verified, sizeof verified)) << verified.first_error;
    EXPECT_EQ(verified.unreachable_count, 0u);
}

TEST_F(ImportArguments, AnExistingFileIsLeftAlone) {
    index_test::put_file(path_, "mine");
    const Sample sample = sample_named("faiss_hnsw");
    EXPECT_STATUS(RHUMB_E_EXISTS, import(sample, sample.options()));
    EXPECT_EQ(index_test::file_bytes(path_).size(), 4u);
}

TEST_F(ImportArguments, ProgressCanStopIt) {
    const Sample sample = sample_named("faiss_hnsw");
    rhumb_import_options options = sample.options();
    options.progress = [](void *, uint64_t, uint64_t) { return false; };
    EXPECT_STATUS(RHUMB_E_CANCELLED, import(sample, options));
    EXPECT_FALSE(left_a_file());
}

TEST_F(ImportArguments, NamesOfFormatsGoBothWays) {
    for (int format = RHUMB_IMPORT_HNSWLIB; format <= RHUMB_IMPORT_ANNOY; format++) {
        const char *name = rhumb_import_format_name(static_cast<rhumb_import_format>(format));
        ASSERT_NE(name, nullptr);
        EXPECT_EQ(rhumb_import_format_from_name(name), format);
    }
    EXPECT_EQ(rhumb_import_format_name(RHUMB_IMPORT_AUTO), nullptr);
    EXPECT_EQ(rhumb_import_format_from_name("scann"), RHUMB_IMPORT_AUTO);
}

} // namespace
} // namespace exchange_test
