// Goal: both forms of CRC-32C are right and the same, for every length, alignment and way of cutting the input.
// Method: the vectors of RFC 3720, a bit-by-bit model, and comparison of the two forms around the sizes at which the
// fast one changes its stride. Randomised tests print their seed and take RHUMB_SEED.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

extern "C" {
#include "base/crc32c.h"
}

namespace {

uint64_t choose_seed() {
    const char *text = getenv("RHUMB_SEED");
    uint64_t seed = text != nullptr ? strtoull(text, nullptr, 0) : std::random_device{}();
    printf("RHUMB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

std::vector<unsigned char> random_bytes(size_t count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<unsigned char> bytes(count);
    for (unsigned char &byte : bytes) byte = static_cast<unsigned char>(random());
    return bytes;
}

uint32_t model_crc32c(uint32_t crc, const unsigned char *bytes, size_t count) {
    crc = ~crc;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
    }
    return ~crc;
}

void expect_both(uint32_t expected, const std::vector<unsigned char> &bytes) {
    EXPECT_EQ(rhumb__crc32c(0, bytes.data(), bytes.size()), expected);
    EXPECT_EQ(rhumb__crc32c_software(0, bytes.data(), bytes.size()), expected);
}

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
    expect_both(0x8A9136AAu, std::vector<unsigned char>(32, 0x00));
    expect_both(0x62A8AB43u, std::vector<unsigned char>(32, 0xFF));
    std::vector<unsigned char> rising(32), falling(32);
    for (unsigned i = 0; i < 32; i++) {
        rising[i] = static_cast<unsigned char>(i);
        falling[i] = static_cast<unsigned char>(31 - i);
    }
    expect_both(0x46DD794Eu, rising);
    expect_both(0x113FDB5Cu, falling);
    expect_both(0xE3069283u, {'1', '2', '3', '4', '5', '6', '7', '8', '9'});
}

TEST(Crc32c, AnEmptyBufferLeavesTheChecksumUnchanged) {
    EXPECT_EQ(rhumb__crc32c(0, nullptr, 0), 0u);
    EXPECT_EQ(rhumb__crc32c(0x12345678u, nullptr, 0), 0x12345678u);
    EXPECT_EQ(rhumb__crc32c_software(0x12345678u, nullptr, 0), 0x12345678u);
}

TEST(Crc32c, MatchesTheBitwiseModelAtEveryShortLengthAndAlignment) {
    const uint64_t seed = choose_seed();
    const std::vector<unsigned char> bytes = random_bytes(300, seed);
    for (size_t begin = 0; begin < 16; begin++) {
        for (size_t count = 0; count + begin <= bytes.size(); count++) {
            const uint32_t start = static_cast<uint32_t>(seed * (count + 1));
            const uint32_t expected = model_crc32c(start, bytes.data() + begin, count);
            ASSERT_EQ(rhumb__crc32c(start, bytes.data() + begin, count), expected) << begin << "+" << count;
            ASSERT_EQ(rhumb__crc32c_software(start, bytes.data() + begin, count), expected) << begin << "+" << count;
        }
    }
}

TEST(Crc32c, TheTwoFormsAgreeAroundTheStridesOfTheFastOne) {
    const std::vector<unsigned char> bytes = random_bytes(200000, choose_seed());
    for (size_t stride : {768u, 1536u, 4096u, 12288u, 24576u, 65536u, 196608u}) {
        for (size_t count = stride - 17; count <= stride + 17; count++) {
            for (size_t begin : {0u, 1u, 7u}) {
                ASSERT_EQ(rhumb__crc32c(7, bytes.data() + begin, count),
                          rhumb__crc32c_software(7, bytes.data() + begin, count))
                    << begin << "+" << count;
            }
        }
    }
}

TEST(Crc32c, ContinuesAcrossSplits) {
    const uint64_t seed = choose_seed();
    const std::vector<unsigned char> bytes = random_bytes(50000, seed);
    const uint32_t whole = model_crc32c(0, bytes.data(), bytes.size());
    std::mt19937_64 random(seed + 1);
    for (int round = 0; round < 200; round++) {
        const size_t first = random() % (bytes.size() + 1);
        const size_t second = first + random() % (bytes.size() + 1 - first);
        uint32_t crc = rhumb__crc32c(0, bytes.data(), first);
        crc = rhumb__crc32c_software(crc, bytes.data() + first, second - first);
        crc = rhumb__crc32c(crc, bytes.data() + second, bytes.size() - second);
        ASSERT_EQ(crc, whole) << "split at " << first << " and " << second;
    }
}

TEST(Crc32c, DetectsEverySingleBitFlip) {
    std::vector<unsigned char> bytes = random_bytes(1000, choose_seed());
    const uint32_t whole = rhumb__crc32c(0, bytes.data(), bytes.size());
    for (size_t bit = 0; bit < bytes.size() * 8; bit++) {
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        ASSERT_NE(rhumb__crc32c(0, bytes.data(), bytes.size()), whole) << "bit " << bit;
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
    }
}

TEST(Crc32c, FirstUseMayHappenInManyThreadsAtOnce) {
    const std::vector<unsigned char> bytes(1000, 0x5A);
    const uint32_t expected = model_crc32c(0, bytes.data(), bytes.size());
    std::vector<uint32_t> found(8);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < found.size(); i++) {
        threads.emplace_back([&bytes, &found, i] {
            found[i] = i % 2 == 0 ? rhumb__crc32c(0, bytes.data(), bytes.size())
                                  : rhumb__crc32c_software(0, bytes.data(), bytes.size());
        });
    }
    for (std::thread &thread : threads) thread.join();
    for (uint32_t crc : found) EXPECT_EQ(crc, expected);
}

} // namespace
