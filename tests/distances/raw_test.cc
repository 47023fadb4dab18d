// Goal: packing keeps the order of all numbers that sums can be, loses no more bits than raw.h says, and leaves sums of
// an ordinary size as they are. Method: ascending numbers over the whole range of exponents, dense at the seams, and
// the way back. Random inputs; the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>

#include "tests/support/rows.h"
#include "tests/support/vectors.h"

extern "C" {
#include "distances/raw.h"
}

namespace {

using vectors::Random;

struct Form {
    enum rhumb__raw_form form;
    int low, high; /* exponents of the smallest and of the largest sum */
    bool is_dot;
};

constexpr Form FORMS[] = {
    {RHUMB__RAW_SUM, -298, 275, false},       {RHUMB__RAW_SQUARE, -298, 275, false},
    {RHUMB__RAW_DOT, -298, 275, true},        {RHUMB__RAW_WIDE_SUM, -2148, 2067, false},
    {RHUMB__RAW_WIDE_DOT, -2148, 2067, true},
};

// Numbers of every exponent and those next to powers of two and next to 1, ascending.
std::vector<long double> ascending(Random &random, const Form &form) {
    std::vector<long double> all = {0.0L};
    for (int exponent = form.low; exponent <= form.high; exponent++) {
        const long double power = std::ldexp(1.0L, exponent);
        for (long double factor : {1.0L - 0x1p-30L, 1.0L, 1.0L + 0x1p-30L, 1.0L + random.uniform()}) {
            if (exponent < form.high || factor < 1.0L) all.push_back(power * factor);
            if (exponent > -53 && exponent < 0) all.push_back(1.0L + power * factor);
            if (exponent > -53 && exponent < 0) all.push_back(1.0L - power * factor);
        }
    }
    for (size_t i = all.size(); form.is_dot && i-- > 1;) all.push_back(-all[i]);
    std::sort(all.begin(), all.end());
    return all;
}

TEST(Raw, IsMonotoneAndFinite) {
    Random random(choose_seed());
    for (const Form &form : FORMS) {
        float before = form.is_dot ? INFINITY : -1.0f;
        for (long double value : ascending(random, form)) {
            const float raw = rhumb__raw_pack(form.form, value);
            ASSERT_LE(std::fabs(raw), FLT_MAX);
            ASSERT_TRUE(form.is_dot ? raw <= before : raw >= before) << form.form << " " << value;
            ASSERT_TRUE(raw == 0.0f || std::fabs(raw) >= FLT_MIN) << value;
            ASSERT_EQ(raw == 0.0f, value == 0.0L) << value;
            before = raw;
        }
    }
}

TEST(Raw, TellsNumbersApartThatDifferBySomeBits) {
    Random random(choose_seed());
    for (const Form &form : FORMS) {
        const bool is_wide = form.form == RHUMB__RAW_WIDE_SUM || form.form == RHUMB__RAW_WIDE_DOT;
        for (int exponent = form.low + 1; exponent < form.high; exponent++) {
            const long double bits = !is_wide                              ? 0x1p-20L
                                     : exponent > 1023 || exponent < -1024 ? 0x1p-12L
                                     : exponent < -448                     ? 0x1p-15L
                                                                           : 0x1p-17L;
            const long double value = std::ldexp(1.0L + random.uniform() / 2, exponent);
            ASSERT_NE(rhumb__raw_pack(form.form, value), rhumb__raw_pack(form.form, value * (1 + bits))) << value;
            if (form.is_dot) {
                ASSERT_NE(rhumb__raw_pack(form.form, -value), rhumb__raw_pack(form.form, -value * (1 + bits))) << value;
            }
        }
    }
}

TEST(Raw, ComesBackAsPreciselyAsF32HoldsIt) {
    Random random(choose_seed());
    for (const Form &form : FORMS) {
        const bool is_wide = form.form == RHUMB__RAW_WIDE_SUM || form.form == RHUMB__RAW_WIDE_DOT;
        for (long double value : ascending(random, form)) {
            const long double own = form.is_dot ? 1.0L - value : form.form == RHUMB__RAW_SQUARE ? sqrtl(value) : value;
            if (fabsl(own) > FLT_MAX) continue;
            const long double found = rhumb__raw_unpack(form.form, rhumb__raw_pack(form.form, value));
            /* Near 1 a dot product of f32 has no more bits than its terms. */
            const long double size = form.form == RHUMB__RAW_DOT ? std::max(fabsl(own), fabsl(value)) : fabsl(own);
            const long double tolerance = is_wide ? 0x1p-23L : 0x1p-21L;
            const bool is_lost = form.form == RHUMB__RAW_WIDE_DOT && fabsl(own) < 0x1p-36L;
            ASSERT_LE(fabsl(found - own), size * (is_lost ? 0x1p-17L : tolerance) + 0x1p-150L)
                << form.form << " " << own;
        }
    }
}

TEST(Raw, ComesBackAsTheSum) {
    Random random(choose_seed());
    for (const Form &form : FORMS) {
        const bool is_wide = form.form == RHUMB__RAW_WIDE_SUM || form.form == RHUMB__RAW_WIDE_DOT;
        for (long double value : ascending(random, form)) {
            const long double size = fabsl(value);
            if (size < std::ldexp(1.0L, form.low + 1)) continue; /* where the table begins, and 0 */
            const bool is_extreme = size >= 0x1p1023L || size < 0x1p-448L;
            const long double tolerance = !is_wide ? 0x1p-20L : is_extreme ? 0x1p-12L : 0x1p-17L;
            const long double found = rhumb__raw_sum(form.form, rhumb__raw_pack(form.form, value));
            ASSERT_LE(fabsl(found - value), tolerance * size) << form.form << " " << value;
        }
    }
}

TEST(Raw, IsTheSumItselfWhereThatIsOfAnOrdinarySize) {
    Random random(choose_seed());
    for (const Form &form : FORMS) {
        if (form.form == RHUMB__RAW_WIDE_DOT) continue;
        for (int exponent = -96; exponent < 96; exponent++) {
            const float sum = std::ldexp(1.0f + static_cast<float>(random() % 8388608) / 8388608.0f, exponent);
            const float raw = form.is_dot ? -sum : sum;
            ASSERT_EQ(rhumb__raw_pack(form.form, static_cast<long double>(sum)), raw);
            ASSERT_EQ(rhumb__raw_of(form.form, static_cast<double>(sum)), raw);
        }
        for (float seam : {0x1p-96f, 0x1p96f}) {
            EXPECT_EQ(std::fabs(rhumb__raw_pack(form.form, static_cast<long double>(seam))), seam);
        }
    }
}

// Where the table of dot products goes on with that of 1 - dot.
TEST(Raw, IsContinuousWhereADotProductIsAHalf) {
    const float below = rhumb__raw_pack(RHUMB__RAW_WIDE_DOT, 0.5L - 0x1p-30L);
    const float at = rhumb__raw_pack(RHUMB__RAW_WIDE_DOT, 0.5L),
                above = rhumb__raw_pack(RHUMB__RAW_WIDE_DOT, 0.5L + 0x1p-30L);
    EXPECT_GE(below, at);
    EXPECT_LE(below, std::nextafter(at, 0.0f));
    EXPECT_LE(above, at);
    EXPECT_GE(above, std::nextafter(at, -FLT_MAX));
}

TEST(Raw, OfNoNumberSortsAfterEverything) {
    for (const Form &form : FORMS) {
        EXPECT_EQ(rhumb__raw_pack(form.form, NAN), FLT_MAX);
        EXPECT_EQ(rhumb__raw_pack(form.form, INFINITY), form.is_dot ? -FLT_MAX : FLT_MAX);
        EXPECT_EQ(rhumb__raw_pack(form.form, -INFINITY), FLT_MAX);
        EXPECT_LT(rhumb__raw_pack(form.form, std::ldexp(form.is_dot ? -1.0L : 1.0L, form.high)), FLT_MAX);
    }
}

} // namespace
