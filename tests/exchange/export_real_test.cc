// Goal: hnswlib itself reads what is exported, and has the same vectors and neighbours. Needs libhnswlib-dev, so it is
// built by name: bazel test //tests/exchange:export_real_test. Method: the loaded index is compared with the exported
// one vector by vector and list by list, and both answer the same queries.
#include <hnswlib/hnswlib.h>

#include <set>

#include "tests/exchange/sample_files.h"

namespace exchange_test {
namespace {

using index_test::Index;

TEST(ExportToRealHnswlib, HasTheSameVectorsNeighboursAndAnswers) {
    constexpr uint32_t kDim = 12;
    constexpr size_t kCount = 3000, kQueryCount = 100, kK = 10;
    const index_test::ScratchDirectory directory;
    rhumb_index_options options = index_test::index_options(kDim, RHUMB_METRIC_L2SQ);
    options.M = 8;
    options.ef_construction = 60;
    const Index index =
        index_test::create_with_durability(directory.file("index.rhumb"), options, RHUMB_DURABILITY_NONE);
    index_test::Vectors vectors = index_test::random_vectors(kCount, kDim, 397);
    for (size_t i = 100; i < 200; i++) memcpy(vectors.row(i), vectors.row(i % 7), kDim * sizeof(float));
    for (size_t i = 0; i < kCount; i++) ASSERT_OK(rhumb_index_insert(index.get(), 2 * i + 1, vectors.row(i)));
    const std::string path = directory.file("out.bin");
    ASSERT_OK(rhumb_index_export(index.get(), path.c_str(), nullptr));

    hnswlib::L2Space space(kDim);
    hnswlib::HierarchicalNSW<float> loaded(&space, path);
    ASSERT_EQ(loaded.cur_element_count, kCount);
    EXPECT_EQ(loaded.ef_construction_, 60u);
    for (uint32_t i = 0; i < kCount; i++) {
        const uint64_t key = loaded.getExternalLabel(i);
        float vector[kDim];
        ASSERT_OK(rhumb_index_get_vector(index.get(), key, vector));
        ASSERT_EQ(memcmp(vector, loaded.getDataByInternalId(i), sizeof vector), 0) << key;
        const auto *list = loaded.get_linklist0(i);
        const uint32_t *slots = reinterpret_cast<const uint32_t *>(list + 1);
        std::set<uint64_t> theirs;
        for (uint32_t k = 0; k < loaded.getListCount(const_cast<unsigned int *>(list)); k++) {
            theirs.insert(loaded.getExternalLabel(slots[k]));
        }
        std::vector<uint64_t> keys(64);
        size_t count = 0;
        ASSERT_OK(rhumb_index_neighbours(index.get(), key, 0, keys.data(), nullptr, keys.size(), &count));
        keys.resize(count);
        if (i >= 200) { // groups of equal vectors are shown with as many members as a list has room for
            ASSERT_EQ(theirs, std::set<uint64_t>(keys.begin(), keys.end())) << key;
        }
    }

    const index_test::Vectors queries = index_test::random_vectors(kQueryCount, kDim, 398);
    loaded.setEf(100);
    size_t same_count = 0;
    for (size_t q = 0; q < kQueryCount; q++) {
        std::vector<uint64_t> keys(kK);
        size_t count = 0;
        ASSERT_OK(rhumb_index_search_exact(index.get(), queries.row(q), 1, kK, nullptr, keys.data(), nullptr, &count));
        const std::set<uint64_t> right(keys.begin(), keys.end());
        auto found = loaded.searchKnn(queries.row(q), kK);
        for (; !found.empty(); found.pop()) same_count += right.count(found.top().second);
    }
    printf("hnswlib's recall@10 at ef 100: %.4f\n", static_cast<double>(same_count) / (kQueryCount * kK));
    EXPECT_GE(same_count, kQueryCount * kK * 95 / 100);
}

} // namespace
} // namespace exchange_test
