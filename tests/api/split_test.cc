// Goal: a compaction into a new file with a filter takes over exactly the keys that match, keeps options and metadata,
// and finds them as well as an index that was built from them. Method: filters of every kind and of shares from none to
// all, at random and by region, in every order, compared with a fresh build.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

constexpr uint32_t kDim = 16;
constexpr size_t kCount = 3000;

class Split : public ::testing::Test {
  protected:
    static rhumb_index_options build_options() {
        rhumb_index_options options = index_options(kDim);
        options.M = 8;
        options.ef_construction = 80;
        return options;
    }
    void SetUp() override {
        const Index index = create(path_, build_options());
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), kCount, nullptr, nullptr));
        ASSERT_OK(rhumb_index_metadata_set(index.get(), "model 7", 7));
    }
    static rhumb_filter of_keys(const std::vector<uint64_t> &keys) {
        rhumb_filter filter;
        rhumb_filter_init(&filter, sizeof filter);
        filter.kind = RHUMB_FILTER_KEYS;
        filter.keys = keys.data();
        filter.key_count = keys.size();
        return filter;
    }
    rhumb_status try_split(const rhumb_filter *filter, rhumb_compact_report *report,
                           rhumb_order order = RHUMB_ORDER_DEFAULT) {
        std::filesystem::remove(new_path_);
        rhumb_compact_options options;
        rhumb_compact_options_init(&options, sizeof options);
        options.filter = filter;
        options.order = order;
        return rhumb_index_compact_into(path_.c_str(), new_path_.c_str(), &options, report, sizeof *report);
    }
    rhumb_compact_report split(const rhumb_filter &filter, rhumb_order order = RHUMB_ORDER_DEFAULT) {
        rhumb_compact_report report = {};
        EXPECT_OK(try_split(&filter, &report, order));
        return report;
    }
    void expect_holds(const std::vector<uint64_t> &keys) {
        const Index index = open(new_path_, true);
        ASSERT_EQ(rhumb_index_count(index.get()), keys.size());
        EXPECT_EQ(stats(index).slot_count, keys.size());
        EXPECT_EQ(stats(index).key_next, kCount);
        for (const uint64_t key : keys) {
            std::vector<float> stored(kDim);
            ASSERT_OK(rhumb_index_get_vector(index.get(), key, stored.data()));
            ASSERT_EQ(memcmp(stored.data(), vectors_.row(key), kDim * sizeof(float)), 0);
        }
        EXPECT_EQ(expect_sound(index).unreachable_count, 0u);
        char metadata[16] = "";
        size_t bytes_count = 0;
        ASSERT_OK(rhumb_index_metadata_get(index.get(), metadata, sizeof metadata, &bytes_count));
        EXPECT_EQ(std::string(metadata, bytes_count), "model 7");
        EXPECT_EQ(created_with(index).M, 8u);
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const std::string new_path_ = directory_.file("split.rhumb");
    Vectors vectors_ = clustered_vectors(kCount, kDim, 30, 200, 201);
};

TEST_F(Split, FindsAsMuchAsAFreshIndexWhateverTheShare) {
    const Vectors queries = clustered_vectors(300, kDim, 30, 200, 202);
    std::mt19937_64 random(7);
    for (const double share : {0.05, 0.3, 0.8}) {
        for (const bool by_region : {false, true}) {
            std::vector<uint64_t> keys;
            for (uint64_t key = 0; key < kCount; key++) {
                const bool in = by_region ? vectors_.row(key)[0] < -1 + 2 * share
                                          : static_cast<double>(random() % 1000) < share * 1000;
                if (in) keys.push_back(key);
            }
            if (keys.size() < 20) continue;
            const rhumb_compact_report report = split(of_keys(keys));
            EXPECT_EQ(report.count, keys.size());
            EXPECT_EQ(report.left_out_count, kCount - keys.size());
            EXPECT_EQ(report.dropped_count, 0u);
            expect_holds(keys);
            const Index fresh = create(directory_.file("fresh.rhumb"), build_options());
            Vectors rest = {kDim, {}};
            for (const uint64_t key : keys) {
                rest.components.insert(rest.components.end(), vectors_.row(key), vectors_.row(key) + kDim);
            }
            ASSERT_OK(rhumb_index_insert_batch(fresh.get(), keys.data(), rest.components.data(), keys.size(), nullptr,
                                               nullptr));
            const Index index = open(new_path_, true);
            const double found = recall(index, queries, 10, 20), expected = recall(fresh, queries, 10, 20);
            printf("share %.2f%s, %zu keys: recall %.4f, fresh %.4f\n", share, by_region ? " by region" : "",
                   keys.size(), found, expected);
            EXPECT_GE(found, expected - 0.01);
            std::filesystem::remove(directory_.file("fresh.rhumb"));
        }
    }
}

TEST_F(Split, TakesFiltersOfEveryKindInEveryOrder) {
    std::vector<uint64_t> keys, others;
    std::vector<uint8_t> bits(kCount / 8 + 1);
    for (uint64_t key = 0; key < kCount; key++) {
        (key % 5 == 2 ? keys : others).push_back(key);
        if (key % 5 == 2) bits[key / 8] |= static_cast<uint8_t>(1u << key % 8);
    }
    rhumb_filter filter = of_keys(keys);
    filter.plan = RHUMB_FILTER_PLAN_EXACT; // means nothing here
    for (const rhumb_order order : {RHUMB_ORDER_KEEP, RHUMB_ORDER_BREADTH, RHUMB_ORDER_RCM, RHUMB_ORDER_WINDOW}) {
        EXPECT_EQ(split(filter, order).count, keys.size());
        expect_holds(keys);
    }
    filter.negate = true;
    split(filter);
    expect_holds(others);
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_BITMAP;
    filter.bitmap = bits.data();
    filter.bitmap_bit_count = kCount;
    split(filter);
    expect_holds(keys);
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = [](void *, uint64_t key) { return key % 5 == 2; };
    split(filter);
    expect_holds(keys);
}

TEST_F(Split, NothingAllAndOneKeyAreFine) {
    rhumb_filter filter = of_keys({});
    EXPECT_EQ(split(filter).left_out_count, kCount);
    {
        const Index index = open(new_path_, false);
        EXPECT_EQ(rhumb_index_count(index.get()), 0u);
        expect_sound(index);
        ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.row(0), 1, nullptr, nullptr));
        EXPECT_TRUE(contains(index, kCount)) << "keys go on above the largest ever inserted";
    }
    filter.negate = true;
    EXPECT_EQ(split(filter).left_out_count, 0u);
    EXPECT_EQ(rhumb_index_count(open(new_path_, true).get()), kCount);
    const std::vector<uint64_t> one = {2321, 999999};
    split(of_keys(one));
    expect_holds({2321});
}

// Equal vectors are one node of the graph and copies of it; any of them may be left out.
TEST_F(Split, GroupsOfEqualVectorsLoseHeadsAndCopies) {
    {
        const Index index = open_without_log(path_);
        for (uint64_t key = 0; key < kCount; key += 3) { // three to a group
            ASSERT_OK(rhumb_index_upsert(index.get(), key + 1, vectors_.row(key)));
            ASSERT_OK(rhumb_index_upsert(index.get(), key + 2, vectors_.row(key)));
            memcpy(vectors_.row(key + 1), vectors_.row(key), kDim * sizeof(float));
            memcpy(vectors_.row(key + 2), vectors_.row(key), kDim * sizeof(float));
        }
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    std::mt19937_64 random(11);
    std::vector<uint64_t> keys;
    for (uint64_t key = 0; key < kCount; key++) {
        if (random() % 2 == 0) keys.push_back(key);
    }
    split(of_keys(keys));
    expect_holds(keys);
    const Index index = open(new_path_, true);
    for (size_t i = 0; i < keys.size(); i += 7) {
        const Answer answer = search(index, vectors_.row(keys[i]), 1);
        ASSERT_EQ(answer.found_count, 1u);
        EXPECT_EQ(answer.distances[0], 0.0f);
    }
}

TEST_F(Split, WrongFiltersAreRefused) {
    rhumb_compact_report report = {};
    std::vector<uint64_t> keys(20000);
    for (size_t i = 0; i < keys.size(); i++) keys[i] = i;
    std::swap(keys[15001], keys[15002]); // a search would not notice
    rhumb_filter filter = of_keys(keys);
    EXPECT_EQ(try_split(&filter, &report), RHUMB_E_INVALID);
    rhumb_filter_init(&filter, sizeof filter);
    EXPECT_EQ(try_split(&filter, &report), RHUMB_E_INVALID) << "no kind";
    EXPECT_FALSE(std::filesystem::exists(new_path_));
    const Index index = open(path_, false);
    rhumb_compact_options options;
    rhumb_compact_options_init(&options, sizeof options);
    options.filter = &filter;
    EXPECT_EQ(rhumb_index_compact(index.get(), &options, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_count(index.get()), kCount);
}

} // namespace
} // namespace index_test
