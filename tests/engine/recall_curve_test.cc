// Goal: a recall curve is in the file what it was in memory, damage of its record is a missing curve and nothing else,
// and the ef that is chosen by it is the smallest that reached the recall. Method: curves of chosen numbers, each bit
// of a record flipped, and records that contradict themselves under a right checksum.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

extern "C" {
#include "base/crc32c.h"
#include "engine/graph/recall_curve.h"
}

namespace {

// A curve whose row of k 10 reaches 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99 and ends there.
rhumb__recall_curve made() {
    rhumb__recall_curve curve = {};
    curve.live_count = 1000;
    curve.lsn = 1200;
    curve.change_count = 7;
    curve.query_count = 100;
    const double recalls[] = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99};
    for (auto &row : curve.shares) {
        for (uint16_t &share : row) share = RHUMB__RECALL_UNKNOWN;
        for (size_t i = 0; i < std::size(recalls); i++)
            row[i] = static_cast<uint16_t>(recalls[i] * RHUMB__RECALL_WHOLE + 0.5);
    }
    return curve;
}

std::vector<uint8_t> encoded(const rhumb__recall_curve &curve) {
    std::vector<uint8_t> client(RHUMB__CLIENT_BYTES, 0xEE);
    rhumb__recall_curve_encode(&curve, client.data());
    return client;
}

bool decodes(const std::vector<uint8_t> &client) {
    rhumb__recall_curve curve;
    rhumb__recall_curve_decode(client.data(), &curve);
    return curve.query_count > 0;
}

// Writes a number into the record, and the checksum that fits.
template <typename T> std::vector<uint8_t> with(std::vector<uint8_t> client, size_t offset, T value) {
    uint8_t *record = client.data() + RHUMB__RECALL_CLIENT_OFFSET;
    memcpy(record + offset, &value, sizeof value);
    const uint32_t crc = rhumb__crc32c(0, record + 4, RHUMB__RECALL_CLIENT_BYTES - 4);
    memcpy(record, &crc, sizeof crc);
    return client;
}

TEST(RecallCurve, IsReadAsItWasWritten) {
    const rhumb__recall_curve curve = made();
    const std::vector<uint8_t> client = encoded(curve);
    rhumb__recall_curve read;
    rhumb__recall_curve_decode(client.data(), &read);
    EXPECT_EQ(read.live_count, curve.live_count);
    EXPECT_EQ(read.lsn, curve.lsn);
    EXPECT_EQ(read.change_count, curve.change_count);
    EXPECT_EQ(read.query_count, curve.query_count);
    EXPECT_EQ(memcmp(read.shares, curve.shares, sizeof curve.shares), 0);
    // Nothing around the record was written.
    EXPECT_EQ(client[RHUMB__RECALL_CLIENT_OFFSET - 1], 0xEE);
    EXPECT_EQ(client[RHUMB__RECALL_CLIENT_OFFSET + RHUMB__RECALL_CLIENT_BYTES], 0xEE);
}

TEST(RecallCurve, ThatIsMissingIsZeros) {
    const rhumb__recall_curve none = {};
    const std::vector<uint8_t> client = encoded(none);
    for (uint32_t i = 0; i < RHUMB__RECALL_CLIENT_BYTES; i++) ASSERT_EQ(client[RHUMB__RECALL_CLIENT_OFFSET + i], 0);
    EXPECT_FALSE(decodes(client));
}

TEST(RecallCurve, IsMissingIfAnyBitOfItsRecordIsWrong) {
    const std::vector<uint8_t> client = encoded(made());
    ASSERT_TRUE(decodes(client));
    for (uint32_t bit = 0; bit < 8 * RHUMB__RECALL_CLIENT_BYTES; bit++) {
        std::vector<uint8_t> damaged = client;
        damaged[RHUMB__RECALL_CLIENT_OFFSET + bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
        ASSERT_FALSE(decodes(damaged)) << "bit " << bit;
    }
}

TEST(RecallCurve, IsMissingIfItContradictsItselfUnderARightChecksum) {
    const std::vector<uint8_t> client = encoded(made());
    EXPECT_FALSE(decodes(with<uint16_t>(client, 4, 2))) << "a later version";
    EXPECT_FALSE(decodes(with<uint16_t>(client, 6, 0))) << "no queries";
    EXPECT_FALSE(decodes(with<uint64_t>(client, 8, 0))) << "no vectors";
    EXPECT_FALSE(decodes(with<uint64_t>(client, 8, UINT64_C(1) << 31))) << "too many vectors";
    EXPECT_FALSE(decodes(with<uint64_t>(client, 16, UINT64_MAX))) << "an impossible operation";
    EXPECT_FALSE(decodes(with<uint16_t>(client, 32, RHUMB__RECALL_UNKNOWN))) << "a row without a first rung";
    EXPECT_FALSE(decodes(with<uint16_t>(client, 32, RHUMB__RECALL_WHOLE + 1))) << "more than all";
    EXPECT_FALSE(decodes(with<uint16_t>(client, 34, RHUMB__RECALL_UNKNOWN))) << "a hole in a row";
    EXPECT_TRUE(decodes(with<uint16_t>(client, 34, RHUMB__RECALL_WHOLE)));
}

TEST(RecallCurve, ChoosesTheSmallestEfThatReachedTheRecall) {
    const rhumb__recall_curve curve = made();
    for (uint32_t rung = 0; rung < 8; rung++) {
        const double recall = static_cast<double>(curve.shares[1][rung]) / RHUMB__RECALL_WHOLE;
        const rhumb__recall_choice choice = rhumb__recall_curve_choose(&curve, 10, recall);
        EXPECT_EQ(choice.ef, rhumb__recall_rung_ef(1, rung));
        EXPECT_EQ(choice.recall, recall);
    }
    EXPECT_EQ(rhumb__recall_curve_choose(&curve, 10, 1e-9).ef, 10u) << "k at least";
    uint32_t before = 0;
    for (double recall = 0.01; recall < 0.99; recall += 0.001) {
        const uint32_t ef = rhumb__recall_curve_choose(&curve, 10, recall).ef;
        ASSERT_GE(ef, before) << recall;
        before = ef;
    }
}

TEST(RecallCurve, SaysWhatTheLargestEfReachedWhereThatIsLess) {
    const rhumb__recall_curve curve = made();
    const rhumb__recall_choice choice = rhumb__recall_curve_choose(&curve, 10, 0.999);
    EXPECT_EQ(choice.ef, rhumb__recall_rung_ef(1, 7));
    EXPECT_DOUBLE_EQ(choice.recall, 0.99);
}

TEST(RecallCurve, ChoosesBetweenAndBeyondTheKsThatWereMeasured) {
    const rhumb__recall_curve curve = made();
    uint32_t before = 0;
    for (const uint64_t k : {1, 2, 3, 5, 9, 10, 11, 20, 50, 99, 100, 101, 150, 1000, 100000}) {
        const rhumb__recall_choice choice = rhumb__recall_curve_choose(&curve, k, 0.95);
        ASSERT_GE(choice.ef, k);
        ASSERT_GE(choice.ef, before) << k;
        before = choice.ef;
    }
    const uint32_t at_100 = rhumb__recall_curve_choose(&curve, 100, 0.95).ef;
    EXPECT_EQ(rhumb__recall_curve_choose(&curve, 1000, 0.95).ef, 10 * at_100);
    EXPECT_EQ(rhumb__recall_curve_choose(&curve, UINT64_C(1) << 31, 0.95).ef, 1000000u) << "the largest ef there is";
}

TEST(RecallCurve, PassesOverADipOfARow) {
    rhumb__recall_curve curve = made();
    curve.shares[1][3] = curve.shares[1][1];
    EXPECT_EQ(rhumb__recall_curve_choose(&curve, 10, 0.7).ef, rhumb__recall_rung_ef(1, 2));
    EXPECT_EQ(rhumb__recall_curve_choose(&curve, 10, 0.9).ef, rhumb__recall_rung_ef(1, 4));
    EXPECT_GT(rhumb__recall_curve_choose(&curve, 10, 0.8).ef, rhumb__recall_rung_ef(1, 3));
}

TEST(RecallCurve, IsOutdatedAfterManyOperations) {
    const rhumb__recall_curve curve = made();
    EXPECT_EQ(rhumb__recall_curve_change_count(&curve, 1200), 7u);
    EXPECT_EQ(rhumb__recall_curve_change_count(&curve, 1443), 250u);
    EXPECT_FALSE(rhumb__recall_curve_is_outdated(&curve, 1443));
    EXPECT_TRUE(rhumb__recall_curve_is_outdated(&curve, 1444));
}

TEST(RecallCurve, CarriesItsAgeOverToAGraphWithOtherNumbers) {
    rhumb__recall_curve curve = made();
    rhumb__recall_curve_carry(&curve, 1250, 3);
    EXPECT_EQ(curve.lsn, 3u);
    EXPECT_EQ(rhumb__recall_curve_change_count(&curve, 5), 59u);
    rhumb__recall_curve_carry(&curve, UINT64_C(1) << 40, 0);
    EXPECT_EQ(curve.change_count, UINT32_MAX);
}

} // namespace
