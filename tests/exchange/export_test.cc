// Goal: an index that is written for hnswlib has the same vectors, keys, levels and links there, and what hnswlib could
// not have is refused. Method: exports are read by the importer, which reads genuine files (import_test.cc), and by a
// few offsets of the layout; export_real_test.cc has hnswlib itself read them.
#include <set>

#include "tests/exchange/sample_files.h"

namespace exchange_test {
namespace {

using index_test::Index;
using index_test::ScratchDirectory;

class Export : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 6;

    Index make(rhumb_metric metric, rhumb_element element = RHUMB_ELEMENT_F32) {
        rhumb_index_options options = index_test::index_options(kDim, metric);
        options.element = element;
        options.M = 5;
        options.ef_construction = 40;
        return index_test::create_with_durability(directory_.file("index.rhumb"), options, RHUMB_DURABILITY_NONE);
    }
    // `count` vectors of which every third is one of four values.
    index_test::Vectors grouped(size_t count) {
        index_test::Vectors vectors = index_test::random_vectors(count, kDim, 397);
        for (size_t i = 0; i < count; i += 3) memcpy(vectors.row(i), vectors.row(1 + i % 4), kDim * sizeof(float));
        return vectors;
    }
    void insert(const Index &index, const index_test::Vectors &vectors) {
        for (size_t i = 0; i < vectors.count(); i++) {
            ASSERT_OK(rhumb_index_insert(index.get(), 10 + 3 * i, vectors.row(i)));
        }
    }
    rhumb_status export_index(const Index &index) { return rhumb_index_export(index.get(), out_.c_str(), nullptr); }
    Index import(const char *metric, rhumb_import_report *report) {
        rhumb_import_options options;
        rhumb_import_options_init(&options, sizeof options);
        options.metric = rhumb_metric_from_name(metric);
        EXPECT_OK(
            rhumb_index_import(out_.c_str(), directory_.file("back.rhumb").c_str(), &options, report, sizeof *report));
        return index_test::open(directory_.file("back.rhumb"), true);
    }

    ScratchDirectory directory_;
    const std::string out_ = directory_.file("out.bin");
};

TEST_F(Export, ComesBackWithVectorsKeysAndLevels) {
    for (const char *metric : {"l2", "ip"}) {
        std::filesystem::remove(out_);
        std::filesystem::remove(directory_.file("back.rhumb"));
        std::filesystem::remove(directory_.file("index.rhumb"));
        const index_test::Vectors vectors = index_test::random_vectors(500, kDim, 398);
        const Index index = make(rhumb_metric_from_name(metric));
        ASSERT_NO_FATAL_FAILURE(insert(index, vectors));
        ASSERT_OK(export_index(index));
        rhumb_import_report report = {};
        const Index back = import(metric, &report);
        EXPECT_EQ(report.count, 500u);
        EXPECT_EQ(report.broken_link_count, 0u);
        EXPECT_EQ(report.source_unreachable_count, 0u);
        EXPECT_EQ(report.relinked_count, 0u) << "every list is complete";
        EXPECT_TRUE(report.levels_kept);
        EXPECT_EQ(report.M, 5u);
        EXPECT_EQ(report.M0, 10u);
        EXPECT_EQ(report.ef_construction, 40u);
        for (size_t i = 0; i < vectors.count(); i++) {
            float vector[kDim];
            ASSERT_OK(rhumb_index_get_vector(back.get(), 10 + 3 * i, vector));
            ASSERT_EQ(memcmp(vector, vectors.row(i), sizeof vector), 0);
        }
        EXPECT_EQ(index_test::stats(back).level_top, index_test::stats(index).level_top);
    }
}

TEST_F(Export, KeepsEveryLinkOfLevelZero) {
    const index_test::Vectors vectors = index_test::random_vectors(300, kDim, 399);
    const Index index = make(RHUMB_METRIC_L2);
    ASSERT_NO_FATAL_FAILURE(insert(index, vectors));
    ASSERT_OK(export_index(index));
    const std::vector<uint8_t> image = index_test::file_bytes(out_);
    uint64_t row_bytes = 0;
    memcpy(&row_bytes, &image[24], 8);
    ASSERT_EQ(row_bytes, 4 + 4 * 10 + 4 * kDim + 8);
    const auto key_of = [&](uint32_t slot) {
        uint64_t key = 0;
        memcpy(&key, &image[96 + slot * row_bytes + row_bytes - 8], 8);
        return key;
    };
    for (uint32_t slot = 0; slot < 300; slot++) {
        uint16_t length = 0;
        memcpy(&length, &image[96 + slot * row_bytes], 2);
        std::set<uint64_t> written;
        for (uint16_t i = 0; i < length; i++) {
            uint32_t neighbour = 0;
            memcpy(&neighbour, &image[96 + slot * row_bytes + 4 + 4 * i], 4);
            written.insert(key_of(neighbour));
        }
        std::vector<uint64_t> keys(64);
        size_t count = 0;
        ASSERT_OK(rhumb_index_neighbours(index.get(), key_of(slot), 0, keys.data(), nullptr, keys.size(), &count));
        keys.resize(count);
        EXPECT_EQ(written, std::set<uint64_t>(keys.begin(), keys.end())) << "slot " << slot;
    }
}

TEST_F(Export, EqualVectorsAreReachedToo) {
    const index_test::Vectors vectors = grouped(600);
    const Index index = make(RHUMB_METRIC_L2);
    ASSERT_NO_FATAL_FAILURE(insert(index, vectors));
    ASSERT_OK(export_index(index));
    rhumb_import_report report = {};
    const Index back = import("l2", &report);
    EXPECT_EQ(report.count, 600u);
    EXPECT_EQ(report.source_unreachable_count, 0u);
    EXPECT_EQ(report.broken_link_count, 0u);
    rhumb_verify_report verified = {};
    EXPECT_OK(rhumb_index_verify(back.get(), &verified, sizeof verified)) << verified.first_error;
}

TEST_F(Export, VectorsUnderCosineGetLengthOne) {
    const index_test::Vectors vectors = index_test::random_vectors(50, kDim, 400);
    const Index index = make(RHUMB_METRIC_COSINE);
    ASSERT_NO_FATAL_FAILURE(insert(index, vectors));
    ASSERT_OK(export_index(index));
    rhumb_import_report report = {};
    const Index back = import("cosine", &report);
    for (size_t i = 0; i < vectors.count(); i++) {
        float vector[kDim];
        ASSERT_OK(rhumb_index_get_vector(back.get(), 10 + 3 * i, vector));
        double length = 0, dot = 0, own = 0;
        for (uint32_t k = 0; k < kDim; k++) {
            length += static_cast<double>(vector[k]) * vector[k];
            dot += static_cast<double>(vector[k]) * vectors.row(i)[k];
            own += static_cast<double>(vectors.row(i)[k]) * vectors.row(i)[k];
        }
        EXPECT_NEAR(length, 1.0, 1e-6);
        EXPECT_NEAR(dot, std::sqrt(own), 1e-5);
    }
}

TEST_F(Export, OtherElementTypesBecomeFloats) {
    const Index index = make(RHUMB_METRIC_L2, RHUMB_ELEMENT_I8);
    for (uint64_t i = 0; i < 20; i++) {
        const int8_t vector[kDim] = {static_cast<int8_t>(i), -3, 4, 127, -128, static_cast<int8_t>(-i)};
        ASSERT_OK(rhumb_index_insert(index.get(), i, vector));
    }
    ASSERT_OK(export_index(index));
    rhumb_import_report report = {};
    const Index back = import("l2", &report);
    float vector[kDim];
    ASSERT_OK(rhumb_index_get_vector(back.get(), 7, vector));
    EXPECT_EQ(std::vector<float>(vector, vector + kDim), (std::vector<float>{7, -3, 4, 127, -128, -7}));
}

TEST_F(Export, AnEmptyIndexIsAFileLikeAnyOther) {
    const Index index = make(RHUMB_METRIC_L2);
    ASSERT_OK(export_index(index));
    EXPECT_EQ(index_test::file_bytes(out_).size(), 96u);
    rhumb_import_report report = {};
    (void)import("l2", &report);
    EXPECT_EQ(report.count, 0u);
}

TEST_F(Export, WhatHnswlibCannotHaveIsRefused) {
    {
        const Index index = make(RHUMB_METRIC_L1);
        EXPECT_STATUS(RHUMB_E_UNSUPPORTED, export_index(index));
    }
    std::filesystem::remove(directory_.file("index.rhumb"));
    const index_test::Vectors vectors = index_test::random_vectors(20, kDim, 401);
    const Index index = make(RHUMB_METRIC_L2);
    ASSERT_NO_FATAL_FAILURE(insert(index, vectors));
    ASSERT_OK(rhumb_index_delete(index.get(), 10));
    EXPECT_STATUS(RHUMB_E_UNSUPPORTED, export_index(index));
    EXPECT_NE(std::string(rhumb_error_last()->message).find("1 deleted"), std::string::npos);
    ASSERT_OK(rhumb_index_compact(index.get(), nullptr, nullptr, 0));
    ASSERT_OK(export_index(index));
    EXPECT_STATUS(RHUMB_E_EXISTS, export_index(index));
    rhumb_export_options options;
    rhumb_export_options_init(&options, sizeof options);
    options.progress = [](void *, uint64_t, uint64_t) { return false; };
    const std::string other = directory_.file("other.bin");
    EXPECT_STATUS(RHUMB_E_CANCELLED, rhumb_index_export(index.get(), other.c_str(), &options));
    EXPECT_FALSE(std::filesystem::exists(other));
    options.format = static_cast<rhumb_export_format>(9);
    EXPECT_STATUS(RHUMB_E_INVALID, rhumb_index_export(index.get(), other.c_str(), &options));
}

} // namespace
} // namespace exchange_test
