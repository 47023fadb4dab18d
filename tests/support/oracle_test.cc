// Goal: the oracle agrees with an index that did what was recorded, finds the prefix that an index holds, and notices
// every kind of difference, on which all campaigns with it rely. Method: small indexes, on which some of the recorded
// operations are not carried out, or others are.
#include "tests/support/oracle.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/support/io_sim.h"
#include "tests/support/small_index.h"

namespace {

using namespace rhumb_test;
using Kind = Oracle::Kind;

constexpr uint32_t kDim = 12;

class OracleTest : public ::testing::TestWithParam<rhumb_metric> {
  protected:
    void SetUp() override {
        sim_reset();
        rhumb__io_backend_set_default(&io_sim_backend);
        IndexShape shape;
        shape.dim = kDim;
        shape.metric = GetParam();
        ASSERT_EQ(create_index("/sim/a.rhumb", shape, &index_), RHUMB_OK);
    }
    void TearDown() override {
        EXPECT_EQ(index_.close(), RHUMB_OK);
        rhumb__io_backend_set_default(nullptr);
    }

    // Records an entry and carries it out.
    void perform(Kind kind, uint64_t key, uint64_t vector, uint32_t lane = 0) {
        const std::vector<float> components = vectors_.vector(vector);
        rhumb_status status = RHUMB_OK;
        switch (kind) {
        case Kind::kInsert:
            oracle_.insert(key, components, lane);
            status = rhumb_index_insert(index_, key, components.data());
            break;
        case Kind::kUpsert:
            oracle_.upsert(key, components, lane);
            status = rhumb_index_upsert(index_, key, components.data());
            break;
        case Kind::kDelete:
            oracle_.erase(key, lane);
            status = rhumb_index_delete(index_, key);
            break;
        }
        ASSERT_EQ(status, RHUMB_OK) << rhumb_error_last()->message;
    }

    void perform_some() {
        for (uint64_t key = 0; key < 60; key++) perform(Kind::kInsert, key, key);
        for (uint64_t key = 0; key < 60; key += 4) perform(Kind::kDelete, key, 0);
        for (uint64_t key = 1; key < 60; key += 5) perform(Kind::kUpsert, key, 100 + key);
        perform(Kind::kInsert, 4, 200);
    }

    Index index_;
    Vectors vectors_{kDim, 7};
    Oracle oracle_{kDim, GetParam(), 2};
};

INSTANTIATE_TEST_SUITE_P(Metrics, OracleTest,
                         ::testing::Values(RHUMB_METRIC_L2, RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE),
                         [](const auto &info) { return std::string(rhumb_metric_name(info.param)); });

TEST_P(OracleTest, AgreesWithWhatWasDone) {
    EXPECT_EQ(oracle_.compare(index_, oracle_.counts()), "") << "nothing yet";
    perform_some();
    EXPECT_EQ(oracle_.compare(index_, oracle_.counts(), 30), "");
    EXPECT_EQ(oracle_.state(oracle_.counts()).size(), rhumb_index_count(index_));
    oracle_.insert(2, vectors_.vector(9));
    oracle_.erase(0);
    EXPECT_EQ(oracle_.compare(index_, oracle_.counts()), "") << "entries that would fail have no effect";
}

TEST_P(OracleTest, FindsThePrefixThatTheIndexHolds) {
    perform_some();
    const Oracle::Prefix held = oracle_.counts();
    for (uint64_t key = 100; key < 110; key++) oracle_.insert(key, vectors_.vector(key));
    Oracle::Prefix found;
    EXPECT_EQ(oracle_.find_prefix(index_, {0, 0}, oracle_.counts(), &found), "");
    EXPECT_EQ(found, held);
    EXPECT_NE(oracle_.find_prefix(index_, {held[0] + 1, 0}, oracle_.counts(), &found), "") << "something is lost";
    EXPECT_NE(oracle_.find_prefix(index_, {0, 0}, {held[0] - 1, 0}, &found), "") << "something is too much";
    oracle_.rebase(held);
    EXPECT_EQ(oracle_.counts(), (Oracle::Prefix{0, 0}));
    EXPECT_EQ(oracle_.compare(index_, {0, 0}), "");
    perform(Kind::kInsert, 100, 3);
    EXPECT_EQ(oracle_.compare(index_, {1, 0}), "");
    oracle_.erase(100);
    oracle_.withdraw();
    EXPECT_EQ(oracle_.count(), 1u);
    EXPECT_EQ(oracle_.compare(index_, oracle_.counts()), "");
}

TEST_P(OracleTest, AcceptsABatchWholeOrNotAtAll) {
    perform_some();
    const uint64_t before = oracle_.count();
    std::vector<Oracle::Operation> batch;
    for (uint64_t key = 300; key < 305; key++)
        batch.push_back(Oracle::operation(Kind::kInsert, key, vectors_.vector(key)));
    EXPECT_EQ(oracle_.batch(batch), before + 1);
    Oracle::Prefix found;
    EXPECT_EQ(oracle_.find_prefix(index_, {before, 0}, oracle_.counts(), &found), "");
    EXPECT_EQ(found[0], before);
    for (uint64_t key = 300; key < 304; key++)
        ASSERT_EQ(rhumb_index_insert(index_, key, vectors_.vector(key).data()), RHUMB_OK);
    EXPECT_NE(oracle_.find_prefix(index_, {0, 0}, oracle_.counts(), &found), "") << "a part of the batch";
    ASSERT_EQ(rhumb_index_insert(index_, 304, vectors_.vector(304).data()), RHUMB_OK);
    EXPECT_EQ(oracle_.find_prefix(index_, {0, 0}, oracle_.counts(), &found), "");
    EXPECT_EQ(found[0], before + 1);
}

TEST_P(OracleTest, JudgesLanesEachForItself) {
    for (uint64_t i = 0; i < 20; i++) {
        perform(Kind::kInsert, i, i, 0);
        perform(Kind::kInsert, 1000 + i, i, 1);
    }
    oracle_.insert(20, vectors_.vector(20), 0);
    perform(Kind::kDelete, 1003, 0, 1);
    Oracle::Prefix found;
    EXPECT_EQ(oracle_.find_prefix(index_, {5, 20}, oracle_.counts(), &found), "");
    EXPECT_EQ(found, (Oracle::Prefix{20, 21}));
    ASSERT_EQ(rhumb_index_delete(index_, 5), RHUMB_OK);
    EXPECT_NE(oracle_.find_prefix(index_, {5, 20}, oracle_.counts(), &found), "");
}

TEST_P(OracleTest, NoticesEveryDifference) {
    perform_some();
    const Oracle::Prefix held = oracle_.counts();
    ASSERT_EQ(rhumb_index_insert(index_, 12345, vectors_.vector(1).data()), RHUMB_OK);
    EXPECT_NE(oracle_.compare(index_, held).find("counts"), std::string::npos) << "a key that no operation used";
    ASSERT_EQ(rhumb_index_delete(index_, 12345), RHUMB_OK);
    EXPECT_EQ(oracle_.compare(index_, held), "");
    ASSERT_EQ(rhumb_index_delete(index_, 3), RHUMB_OK);
    EXPECT_NE(oracle_.compare(index_, held).find("key 3 is missing"), std::string::npos);
    std::vector<float> vector = vectors_.vector(3);
    vector[kDim - 1] += 1e-6f;
    ASSERT_EQ(rhumb_index_insert(index_, 3, vector.data()), RHUMB_OK);
    EXPECT_NE(oracle_.compare(index_, held).find("key 3 has another vector"), std::string::npos);
    ASSERT_EQ(rhumb_index_upsert(index_, 3, vectors_.vector(3).data()), RHUMB_OK);
    ASSERT_EQ(rhumb_index_insert(index_, 8, vectors_.vector(8).data()), RHUMB_OK);
    EXPECT_NE(oracle_.compare(index_, held).find("key 8 should not be there"), std::string::npos);
}

} // namespace
