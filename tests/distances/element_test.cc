// Goal: the tables of element types and metrics are complete and agree with the manual, and conversion between element
// types is exact where it says so. Method: names both ways; the tables in rhumb_types.h and storage/FORMAT.md, parsed;
// every 16-bit pattern and the limits of every type, converted and compared with arithmetic in extended precision.
#include <gtest/gtest.h>

#include <cctype>
#include <fstream>
#include <limits>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/vectors.h"

namespace {

using namespace vectors;

std::vector<rhumb_metric> all_named_metrics() {
    std::vector<rhumb_metric> all;
    for (int i = 1; rhumb__metric_name(static_cast<rhumb_metric>(i)) != nullptr; i++) {
        all.push_back(static_cast<rhumb_metric>(i));
    }
    return all;
}

// ---- names ----

TEST(Metric, NamesGoBothWays) {
    for (rhumb_metric metric : all_named_metrics()) {
        const char *name = rhumb__metric_name(metric);
        EXPECT_EQ(rhumb__metric_from_name(name), metric) << name;
    }
    EXPECT_STREQ(rhumb__metric_name(RHUMB_METRIC_L2SQ), "l2sq");
    EXPECT_STREQ(rhumb__metric_name(RHUMB_METRIC_L2), "l2");
    EXPECT_STREQ(rhumb__metric_name(RHUMB_METRIC_IP), "ip");
    EXPECT_STREQ(rhumb__metric_name(RHUMB_METRIC_COSINE), "cosine");
}

TEST(Metric, AcceptsTheNamesOfOtherLibraries) {
    EXPECT_EQ(rhumb__metric_from_name("euclidean"), RHUMB_METRIC_L2);
    EXPECT_EQ(rhumb__metric_from_name("angular"), RHUMB_METRIC_COSINE);
    EXPECT_EQ(rhumb__metric_from_name("dot"), RHUMB_METRIC_IP);
    EXPECT_EQ(rhumb__metric_from_name("manhattan"), RHUMB_METRIC_L1);
}

TEST(Metric, AndElementHaveNoNameForOtherNumbersAndNoNumberForOtherNames) {
    for (const char *name : {"", "l", "l2s", "l2sqq", "L2", " l2", "cosine ", "f", "f3", "f322", "F32"}) {
        EXPECT_EQ(static_cast<int>(rhumb__metric_from_name(name)), 0) << name;
        EXPECT_EQ(static_cast<int>(rhumb__element_from_name(name)), 0) << name;
    }
    EXPECT_EQ(static_cast<int>(rhumb__metric_from_name(nullptr)), 0);
    EXPECT_EQ(static_cast<int>(rhumb__element_from_name(nullptr)), 0);
    for (int number : {-1, 0, 99, 1 << 20}) {
        EXPECT_EQ(rhumb__metric_name(static_cast<rhumb_metric>(number)), nullptr);
        EXPECT_EQ(rhumb__element_name(static_cast<rhumb_element>(number)), nullptr);
        EXPECT_EQ(rhumb__element_bits(static_cast<rhumb_element>(number)), 0u);
        EXPECT_FALSE(rhumb__metric_supports(static_cast<rhumb_metric>(number), F32));
        EXPECT_FALSE(rhumb__metric_supports(RHUMB_METRIC_CUSTOM, static_cast<rhumb_element>(number)));
    }
}

TEST(Element, NamesGoBothWaysAndEndInTheNumberOfBits) {
    EXPECT_GE(all_elements().size(), size_t{B1});
    for (rhumb_element element : all_elements()) {
        const std::string name = rhumb__element_name(element);
        EXPECT_EQ(rhumb__element_from_name(name.c_str()), element) << name;
        EXPECT_EQ(std::to_string(rhumb__element_bits(element)), name.substr(name.find_first_of("0123456789"))) << name;
    }
}

// ---- the manual ----

// Every enumerator is in the library's table: one that is missing there would end all_named_metrics early.
TEST(Manual, NumbersTheMetricsAsTheirTableDoes) {
    std::ifstream manual("include/rhumb_types.h");
    const std::regex enumerator("    RHUMB_METRIC_(\\w+) = (\\d+),?.*");
    size_t metric_count = 0;
    for (std::string line; std::getline(manual, line);) {
        std::smatch match;
        if (!std::regex_match(line, match, enumerator)) continue;
        std::string name = match[1];
        for (char &letter : name) letter = static_cast<char>(std::tolower(letter));
        EXPECT_EQ(rhumb__metric_from_name(name.c_str()), std::stoi(match[2])) << line;
        metric_count++;
    }
    EXPECT_EQ(metric_count, all_named_metrics().size());
}

// Numbers are followed by names, in adjacent cells.
TEST(FormatPage, NumbersMetricsAndElementTypes) {
    std::ifstream page("storage/FORMAT.md");
    const std::regex cells("\\| +(\\d+) \\| (\\w+) +(?=\\|)");
    size_t count = 0;
    for (std::string line; std::getline(page, line);) {
        for (std::sregex_iterator cell(line.begin(), line.end(), cells), end; cell != end; ++cell) {
            const int number = std::stoi((*cell)[1]);
            const std::string name = (*cell)[2];
            const int metric = rhumb__metric_from_name(name.c_str()), element = rhumb__element_from_name(name.c_str());
            if (metric == 0 && element == 0) continue;
            EXPECT_EQ(metric != 0 ? metric : element, number) << name;
            count++;
        }
    }
    EXPECT_EQ(count, all_named_metrics().size() + all_elements().size());
}

// The element types in one line of the table of metrics in rhumb_types.h.
std::set<std::string> elements_in(const std::string &line, const std::set<std::string> &above) {
    if (line.find("the same") != std::string::npos) return above;
    std::set<std::string> found;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
        if (word.back() == ',' || word.back() == ';') word.pop_back();
        if (rhumb__element_from_name(word.c_str()) != 0 || word == "all") found.insert(word);
    }
    return found;
}

TEST(Manual, ListsTheElementTypesThatEachMetricMeasures) {
    std::ifstream manual("include/rhumb_types.h");
    std::set<std::string> above;
    size_t metric_count = 0;
    for (std::string line; std::getline(manual, line);) {
        if (line.compare(0, 5, " *   ") != 0) continue;
        std::string name;
        std::istringstream(line.substr(5)) >> name;
        const rhumb_metric metric = rhumb__metric_from_name(name.c_str());
        if (static_cast<int>(metric) == 0 || name != rhumb__metric_name(metric)) continue;
        above = elements_in(line, above);
        if (above.empty()) continue; /* the name begins a line of prose */
        metric_count++;
        for (rhumb_element element : all_elements()) {
            EXPECT_EQ(above.count("all") + above.count(rhumb__element_name(element)) > 0,
                      rhumb__metric_supports(metric, element))
                << name << " " << rhumb__element_name(element);
        }
    }
    EXPECT_EQ(metric_count, all_named_metrics().size());
}

// ---- conversion ----

// The component that `bytes` of one type becomes in another; no bytes if that type does not hold it.
Bytes converted(rhumb_element from, const Bytes &bytes, rhumb_element to) {
    Bytes result(rhumb__element_bits(to) / 8);
    if (rhumb__element_convert(from, bytes.data(), to, result.data(), 1) != 1) result.clear();
    return result;
}

Bytes bytes_of(uint64_t bits, rhumb_element element) {
    Bytes bytes(8);
    memcpy(bytes.data(), &bits, 8);
    bytes.resize(rhumb__element_bits(element) / 8);
    return bytes;
}

TEST(Convert, IsExactForEverySixteenBitPatternAndBack) {
    for (rhumb_element from : {F16, BF16, I16, U16}) {
        const uint64_t exponent = rhumb__element_info(from)->exponent_mask;
        for (uint64_t bits = 0; bits < 65536; bits++) {
            if (exponent != 0 && (bits & exponent) == exponent) continue;
            const Bytes bytes = bytes_of(bits, from), wide = converted(from, bytes, F64);
            ASSERT_EQ(component(F64, wide, 0), component(from, bytes, 0)) << bits;
            ASSERT_EQ(converted(F64, wide, from), bytes) << bits;
        }
    }
}

TEST(Convert, KeepsInfinitiesAndNan) {
    const struct {
        rhumb_element element;
        uint64_t infinity, nan;
    } cases[] = {{F16, 0x7C00, 0x7E00}, {BF16, 0x7F80, 0x7FC0}, {F32, 0x7F800000, 0x7FC00000}};
    for (const auto &one : cases) {
        const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
        uint32_t bits = 0;
        ASSERT_EQ(rhumb__element_convert(F64, &infinity, one.element, &bits, 1), 1u);
        EXPECT_EQ(bits, one.infinity);
        ASSERT_EQ(rhumb__element_convert(F64, &nan, one.element, &bits, 1), 1u);
        EXPECT_EQ(bits, one.nan);
        double back = 0;
        ASSERT_EQ(rhumb__element_convert(one.element, &bits, F64, &back, 1), 1u);
        EXPECT_TRUE(std::isnan(back));
    }
}

// The processor's own conversion is the reference.
TEST(Convert, RoundsToTheNearestFloatTiesToEven) {
    Random random(7);
    for (int round = 0; round < 200000; round++) {
        const uint64_t bits = random();
        double value;
        memcpy(&value, &bits, sizeof value);
        if (std::isnan(value)) continue;
        if (round % 2 == 0) value = std::ldexp(static_cast<double>(bits >> 40), static_cast<int>(bits % 300) - 174);
        const auto expected = static_cast<float>(value);
        float found = 0;
        ASSERT_EQ(rhumb__element_convert(F64, &value, F32, &found, 1), 1u);
        ASSERT_EQ(memcmp(&found, &expected, sizeof found), 0) << value;
    }
    const struct {
        double value;
        uint64_t bits;
    } halves[] = {{0, 0},
                  {-0.0, 0x8000},
                  {1 + 0x1p-11, 0x3C00},
                  {1 + 0x3p-11, 0x3C02},
                  {65504, 0x7BFF},
                  {65519.99, 0x7BFF},
                  {65520, 0x7C00},
                  {-1e300, 0xFC00},
                  {0x1p-24, 1},
                  {0x1p-25, 0},
                  {0x1.8p-25, 1},
                  {0x1.FFFp-15, 0x0400},
                  {0x1p-14, 0x0400},
                  {-0x1.FF8p-15, 0x83FF},
                  {1e-320, 0}};
    for (const auto &half : halves) {
        uint16_t bits = 0xABCD;
        ASSERT_EQ(rhumb__element_convert(F64, &half.value, F16, &bits, 1), 1u);
        EXPECT_EQ(bits, half.bits) << half.value;
    }
}

// Each limit of each integer type, and the numbers next to it, into every other type.
TEST(Convert, StopsAtIntegersThatTheTargetDoesNotHold) {
    for (rhumb_element from : all_elements()) {
        if (is_float(from) || from == B1) continue;
        for (rhumb_element limits_of : all_elements()) {
            if (limits_of == B1) continue;
            const int bits = static_cast<int>(rhumb__element_bits(limits_of));
            for (int shift : {bits - 1, bits, bits / 2, 8, 11, 24, 53}) {
                for (uint64_t offset : {-1, 0, 1}) {
                    for (uint64_t sign : {1, -1}) {
                        const uint64_t number = ((shift < 64 ? uint64_t{1} << shift : 0) + offset) * sign;
                        const Bytes bytes = bytes_of(number, from);
                        const long double value = component(from, bytes, 0);
                        for (rhumb_element to : all_elements()) {
                            if (to == B1) continue;
                            const Bytes found = converted(from, bytes, to);
                            if (!found.empty()) {
                                ASSERT_EQ(component(to, found, 0), value) << rhumb__element_name(to);
                                continue;
                            }
                            const auto width = static_cast<int>(rhumb__element_bits(to));
                            const bool is_negative = value < 0;
                            if (is_float(to)) {
                                /* Every integer with as few digits as the float has is exact. */
                                const int digits = __builtin_ctzll(rhumb__element_info(to)->exponent_mask) + 1;
                                ASSERT_GT(std::fabs(value), std::ldexp(1.0L, digits)) << rhumb__element_name(to);
                            } else if (is_signed_integer(to)) {
                                ASSERT_TRUE(value >= std::ldexp(1.0L, width - 1) ||
                                            value < -std::ldexp(1.0L, width - 1));
                            } else {
                                ASSERT_TRUE(is_negative || value >= std::ldexp(1.0L, width));
                            }
                        }
                    }
                }
            }
        }
    }
}

TEST(Convert, StopsAtFractionsForIntegers) {
    const double values[] = {3, -7, 2.5, 4};
    int8_t found[4] = {};
    EXPECT_EQ(rhumb__element_convert(F64, values, I8, found, 4), 2u);
    EXPECT_EQ(found[0], 3);
    EXPECT_EQ(found[1], -7);
    EXPECT_EQ(found[2], 0);
    const double strange[] = {std::nan(""), std::numeric_limits<double>::infinity(), 128, -129};
    for (double one : strange) EXPECT_EQ(rhumb__element_convert(F64, &one, I8, found, 1), 0u) << one;
}

TEST(Convert, DoesNotConvertBitsOrUnknownTypes) {
    uint64_t bytes = 1, target = 0;
    EXPECT_EQ(rhumb__element_convert(B1, &bytes, U8, &target, 8), 0u);
    EXPECT_EQ(rhumb__element_convert(U8, &bytes, B1, &target, 8), 0u);
    EXPECT_EQ(rhumb__element_convert(static_cast<rhumb_element>(99), &bytes, U8, &target, 8), 0u);
}

} // namespace
