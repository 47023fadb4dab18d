// Goal: the engine's part of a superblock survives a round trip, and no combination of numbers that contradict each
// other is accepted. Method: random parameters and counts that agree; each of their numbers changed one at a time;
// random bytes, judged by a second implementation of the rules.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include "base/status.h"
#include "engine/graph/params.h"
}

#include "tests/support/index_test_support.h"

namespace {

using Client = std::vector<uint8_t>;

rhumb__params valid_params() {
    rhumb__params params = {};
    params.metric = RHUMB_METRIC_IP;
    params.element = RHUMB_ELEMENT_F32;
    params.dim = 100;
    params.M = 16;
    params.M0 = 32;
    params.ef_construction = 200;
    params.ef_search = 64;
    params.level_max = 16;
    params.level_scale = 1.0;
    params.seed = 397;
    return params;
}

// Counts of nodes by level, and what follows from them.
rhumb__counts counts_of(const std::vector<uint64_t> &level_counts) {
    rhumb__counts counts = {};
    counts.key_bucket_count = 8;
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        const uint64_t count = level < level_counts.size() ? level_counts[level] : 0;
        counts.level_counts[level] = count;
        counts.level_first[level] = count == 0 ? RHUMB__SLOT_NONE : level;
        counts.slot_count += count;
        counts.upper_row_count += count * level;
    }
    return counts;
}

Client encode(const rhumb__params &params, const rhumb__counts &counts) {
    Client client(RHUMB__CLIENT_BYTES, 0xEE);
    rhumb__params_encode(&params, &counts, client.data());
    return client;
}

rhumb_status decode(const Client &client, rhumb__params *params, rhumb__counts *counts) {
    return rhumb__params_decode(client.data(), "file.rhumb", params, counts);
}

rhumb_status decode_status(const Client &client) {
    rhumb__params params;
    rhumb__counts counts;
    return decode(client, &params, &counts);
}

bool counts_agree(const rhumb__params &params, const rhumb__counts &counts) {
    uint64_t nodes = 0, rows = 0, firsts = 0;
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        const uint64_t count = counts.level_counts[level];
        if (count > RHUMB__SLOT_LIMIT || (count > 0 && level > params.level_max)) return false;
        if (count == 0 && counts.level_first[level] != RHUMB__SLOT_NONE) return false;
        if (counts.level_first[level] != RHUMB__SLOT_NONE) {
            if (counts.level_first[level] >= counts.slot_count) return false;
            firsts++;
        }
        nodes += count;
        rows += count * level;
    }
    return nodes == counts.slot_count && rows == counts.upper_row_count && counts.slot_count < RHUMB__SLOT_LIMIT &&
           (firsts > 0) == (nodes > 0) && counts.dead_count <= nodes && counts.copy_count <= nodes &&
           counts.lsn <= UINT64_C(1) << 62;
}

TEST(Params, SurviveARoundTrip) {
    std::mt19937_64 random(index_test::choose_seed());
    for (int round = 0; round < 500; round++) {
        rhumb__params params = valid_params();
        params.metric = static_cast<rhumb_metric>(1 + random() % 4);
        params.dim = 1 + static_cast<uint32_t>(random() % 65535);
        params.M = 2 + static_cast<uint32_t>(random() % 255);
        params.M0 = params.M + static_cast<uint32_t>(random() % (513 - params.M));
        params.ef_construction = 1 + static_cast<uint32_t>(random() % 65535);
        params.ef_search = 1 + static_cast<uint32_t>(random() % 1000000);
        params.level_max = static_cast<uint32_t>(random() % 17);
        params.level_scale = 0.1 + static_cast<double>(random() % 1900) / 1000;
        params.seed = random();
        params.extend_candidates = random() % 2 == 0;
        params.keep_pruned = random() % 2 == 0;
        params.normalise = random() % 2 == 0;
        if (random() % 2 == 0) {
            params.metric = RHUMB_METRIC_CUSTOM;
            memset(params.custom.name, 'x', 1 + random() % 63);
        }
        std::vector<uint64_t> level_counts(params.level_max + 1);
        for (uint64_t &count : level_counts) count = random() % 4 == 0 ? 0 : 20 + random() % 1000000;
        rhumb__counts counts = counts_of(level_counts);
        counts.key_overflow_count = random() % 1000;
        counts.dead_count = random() % (counts.slot_count + 1);
        counts.copy_count = random() % (counts.slot_count + 1);
        // All nodes of a level may be copies, but not all of all levels.
        if (counts.level_counts[0] > 0) {
            for (uint32_t level = 1; level < RHUMB__LEVEL_COUNT; level++) {
                if (random() % 4 == 0) counts.level_first[level] = RHUMB__SLOT_NONE;
            }
        }
        rhumb__params params_back;
        rhumb__counts counts_back;
        const Client client = encode(params, counts);
        ASSERT_EQ(decode(client, &params_back, &counts_back), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_EQ(encode(params_back, counts_back), client);
        EXPECT_EQ(params_back.level_scale, params.level_scale);
        EXPECT_EQ(params_back.seed, params.seed);
        EXPECT_EQ(params_back.extend_candidates, params.extend_candidates);
        EXPECT_EQ(params_back.keep_pruned, params.keep_pruned);
        EXPECT_EQ(params_back.normalise, params.normalise);
        EXPECT_STREQ(params_back.custom.name, params.custom.name);
        EXPECT_EQ(memcmp(counts_back.level_counts, counts.level_counts, sizeof counts.level_counts), 0);
        EXPECT_EQ(memcmp(counts_back.level_first, counts.level_first, sizeof counts.level_first), 0);
        EXPECT_EQ(counts_back.slot_count, counts.slot_count);
        EXPECT_EQ(counts_back.dead_count, counts.dead_count);
        EXPECT_EQ(counts_back.copy_count, counts.copy_count);
    }
}

TEST(Params, TheRecordIsZeroAfterItsEnd) {
    rhumb__counts counts = counts_of({10, 3});
    counts.copy_count = UINT64_C(0x1122334455667788);
    const Client client = encode(valid_params(), counts);
    for (size_t i = 296; i < 384; i++) ASSERT_EQ(client[i], 0) << i;
    for (size_t i = 384; i < 392; i++) ASSERT_EQ(client[i], 0x88 - 0x11 * (i - 384)) << i;
    for (size_t i = 392; i < client.size(); i++) ASSERT_EQ(client[i], 0) << i;
}

TEST(Params, ACustomMetricHasANameThatEnds) {
    rhumb__params params = valid_params();
    params.metric = RHUMB_METRIC_CUSTOM;
    EXPECT_EQ(rhumb__params_check(&params), RHUMB_E_INVALID);
    EXPECT_EQ(decode_status(encode(params, counts_of({10}))), RHUMB_E_CORRUPT) << "no name";
    memset(params.custom.name, 'x', sizeof params.custom.name);
    EXPECT_EQ(decode_status(encode(params, counts_of({10}))), RHUMB_E_CORRUPT) << "64 bytes without a zero";
    params.custom.name[63] = '\0';
    EXPECT_EQ(decode_status(encode(params, counts_of({10}))), RHUMB_OK);
    params.metric = RHUMB_METRIC_L2;
    rhumb__counts counts;
    ASSERT_EQ(decode(encode(params, counts_of({10})), &params, &counts), RHUMB_OK);
    EXPECT_STREQ(params.custom.name, "") << "reserved where the metric is not custom";
}

TEST(Params, EveryNumberOutOfRangeIsRefused) {
    const std::vector<std::function<void(rhumb__params &)>> spoilers = {
        [](auto &p) { p.dim = 0; },
        [](auto &p) { p.dim = 65536; },
        [](auto &p) { p.M = 1; },
        [](auto &p) { p.M = 257; },
        [](auto &p) { p.M0 = 15; },
        [](auto &p) { p.M0 = 513; },
        [](auto &p) { p.M0 = UINT32_MAX; },
        [](auto &p) { p.ef_construction = 0; },
        [](auto &p) { p.ef_construction = 65536; },
        [](auto &p) { p.ef_search = 0; },
        [](auto &p) { p.ef_search = 1000001; },
        [](auto &p) { p.level_max = 17; },
        [](auto &p) { p.level_scale = 0; },
        [](auto &p) { p.level_scale = -1; },
        [](auto &p) { p.level_scale = 2.1; },
        [](auto &p) { p.level_scale = std::nan(""); },
        [](auto &p) { p.level_scale = HUGE_VAL; },
    };
    for (size_t i = 0; i < spoilers.size(); i++) {
        rhumb__params params = valid_params();
        spoilers[i](params);
        EXPECT_EQ(rhumb__params_check(&params), RHUMB_E_INVALID) << i;
        EXPECT_EQ(decode_status(encode(params, counts_of({10}))), RHUMB_E_CORRUPT) << i;
        EXPECT_STREQ(rhumb__error_last()->path, "file.rhumb");
    }
}

TEST(Params, EveryCountThatContradictsTheOthersIsRefused) {
    const rhumb__params params = valid_params();
    const rhumb__counts sound = counts_of({1000, 60, 0, 4});
    ASSERT_EQ(decode_status(encode(params, sound)), RHUMB_OK) << rhumb__error_last()->message;
    const std::vector<uint64_t> values = {0,
                                          1,
                                          3,
                                          5,
                                          59,
                                          61,
                                          999,
                                          1001,
                                          1063,
                                          1065,
                                          UINT32_MAX,
                                          UINT64_MAX,
                                          UINT64_C(1) << 31,
                                          (UINT64_C(1) << 31) - 1,
                                          UINT64_C(1) << 32,
                                          UINT64_C(1) << 63};
    const auto expect_refused = [&](const rhumb__counts &counts, const std::string &what) {
        ASSERT_FALSE(counts_agree(params, counts)) << what;
        EXPECT_EQ(decode_status(encode(params, counts)), RHUMB_E_CORRUPT) << what;
    };
    for (uint64_t value : values) {
        rhumb__counts counts = sound;
        counts.slot_count = value;
        if (value != sound.slot_count) expect_refused(counts, "slot count " + std::to_string(value));
        counts = sound;
        counts.upper_row_count = value;
        if (value != sound.upper_row_count) expect_refused(counts, "upper rows " + std::to_string(value));
        for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
            counts = sound;
            counts.level_counts[level] = value;
            if (value != sound.level_counts[level]) expect_refused(counts, "level count " + std::to_string(value));
        }
    }
    for (uint32_t level = 0; level < RHUMB__LEVEL_COUNT; level++) {
        rhumb__counts counts = sound;
        counts.level_first[level] = sound.slot_count; // the first that does not exist
        expect_refused(counts, "first of level " + std::to_string(level));
        if (sound.level_counts[level] > 0) continue;
        counts.level_first[level] = 0;
        expect_refused(counts, "first of level " + std::to_string(level));
    }
    rhumb__counts headless = sound;
    for (const uint32_t level : {3u, 1u}) {
        headless.level_first[level] = RHUMB__SLOT_NONE;
        EXPECT_EQ(decode_status(encode(params, headless)), RHUMB_OK) << "all nodes of level " << level << " are copies";
    }
    headless.level_first[0] = RHUMB__SLOT_NONE;
    expect_refused(headless, "no node to begin at");
    for (const uint64_t too_many : {sound.slot_count + 1, UINT64_C(1) << 32, UINT64_MAX}) {
        rhumb__counts counts = sound;
        counts.copy_count = too_many;
        expect_refused(counts, "copies " + std::to_string(too_many));
        counts = sound;
        counts.dead_count = too_many;
        expect_refused(counts, "deleted " + std::to_string(too_many));
    }
    // Nodes above the highest level; more slots than there may be; sums that come out right by overflow.
    rhumb__params low = params;
    low.level_max = 2;
    EXPECT_EQ(decode_status(encode(low, sound)), RHUMB_E_CORRUPT);
    expect_refused(counts_of({UINT64_C(1) << 31}), "too many slots");
    rhumb__counts overflow = counts_of({1});
    overflow.level_counts[0] = UINT64_MAX - 9;
    overflow.level_counts[1] = 11;
    overflow.level_first[1] = 0;
    overflow.slot_count = 1;
    overflow.upper_row_count = 11;
    expect_refused(overflow, "a sum that overflows");
}

TEST(Params, AnotherVersionOfTheRecordIsRefusedAsSuch) {
    Client client = encode(valid_params(), counts_of({10}));
    for (const uint8_t version : {0, 1, 3, 255}) {
        client[0] = version;
        EXPECT_EQ(decode_status(client), RHUMB_E_VERSION) << int{version};
    }
    client[0] = 2;
    EXPECT_EQ(decode_status(client), RHUMB_OK);
}

TEST(Params, BytesChangedAtRandomAreAcceptedOnlyIfTheyStillAgree) {
    std::mt19937_64 random(index_test::choose_seed());
    const Client sound = encode(valid_params(), counts_of({1000, 60, 0, 4}));
    size_t refused_count = 0;
    for (int round = 0; round < 100000; round++) {
        Client client = sound;
        const size_t change_count = 1 + random() % 3;
        for (size_t i = 0; i < change_count; i++) client[4 + random() % 388] = static_cast<uint8_t>(random());
        rhumb__params params;
        rhumb__counts counts;
        if (decode(client, &params, &counts) != RHUMB_OK) {
            refused_count++;
            continue;
        }
        ASSERT_EQ(rhumb__params_check(&params), RHUMB_OK);
        ASSERT_TRUE(counts_agree(params, counts));
    }
    EXPECT_GT(refused_count, 50000u) << "most of the record is counts";
}

TEST(Levels, FallOffByMAndAreCutOff) {
    constexpr uint32_t slot_count = 200000;
    for (uint32_t M : {2u, 16u, 256u}) {
        for (double scale : {0.5, 1.0, 2.0}) {
            rhumb__params params = valid_params();
            params.M = M;
            params.level_scale = scale;
            std::vector<double> at_least(18);
            for (uint32_t slot = 0; slot < slot_count; slot++) {
                const uint32_t level = rhumb__params_level(&params, slot);
                ASSERT_LE(level, 16u);
                for (uint32_t i = 0; i <= level; i++) at_least[i] += 1.0 / slot_count;
            }
            // floor(-ln U * scale / ln M) is at least i with probability M^(-i / scale).
            for (uint32_t i = 1; i <= 3; i++) {
                const double expected = std::pow(M, -static_cast<double>(i) / scale);
                EXPECT_NEAR(at_least[i], expected, 6 * std::sqrt(expected / slot_count)) << M << ' ' << scale;
            }
            params.level_max = 1;
            for (uint32_t slot = 0; slot < 5000; slot++) ASSERT_LE(rhumb__params_level(&params, slot), 1u);
        }
    }
}

TEST(Levels, DependOnSeedAndSlotAlone) {
    rhumb__params params = valid_params();
    params.M = 4;
    std::vector<uint32_t> first, again, other;
    for (uint32_t slot = 0; slot < 1000; slot++) first.push_back(rhumb__params_level(&params, slot));
    params.ef_construction = 9;
    for (uint32_t slot = 0; slot < 1000; slot++) again.push_back(rhumb__params_level(&params, slot));
    params.seed++;
    for (uint32_t slot = 0; slot < 1000; slot++) other.push_back(rhumb__params_level(&params, slot));
    EXPECT_EQ(first, again);
    EXPECT_NE(first, other);
}

} // namespace
