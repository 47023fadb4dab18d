// Goal: a code has the layout that code.h says and stands for the vector up to half a step; an estimate is the raw
// distance between the decoded vectors, the same bits for every set of instructions and in every form; no byte after a
// code is read; and no vector and no bytes of a damaged code make an estimate NaN or infinite. Method: decoding by the
// layout alone, in extended precision; codes and queries that end at an inaccessible page. Linked once with the kernels
// of this processor and once with emulated ones of all sets, at fewer dimensions with RHUMB_FEW_DIMS. Random inputs;
// the seed is printed and RHUMB_SEED repeats it.
#include <algorithm>
#include <limits>
#include <numeric>

#include "tests/support/codes.h"

extern "C" {
#include "base/status.h"
#include "distances/raw.h"
}

namespace {

using namespace codes;

// Calls body(space, bits) for every kind of coder of a dimension.
template <typename Body> void for_each_kind(uint32_t dim, const Body &body) {
    for (rhumb_metric metric : METRICS) {
        for (rhumb_element element : FLOATS) {
            for (uint32_t bits : WIDTHS) body(space_of(metric, element, dim), bits);
        }
    }
}

// The same for small dimensions; for a few kinds, all of f32, of others.
template <typename Body> void for_some_kinds(Random &random, uint32_t dim, const Body &body) {
    for_each_kind(dim, [&](const rhumb__space &space, uint32_t bits) {
        if (dim <= 32 || (space.element == RHUMB_ELEMENT_F32 && random() % 2 == 0)) body(space, bits);
    });
}

std::string name_of(const rhumb__coder &coder) {
    return std::string(rhumb__metric_name(coder.metric)) + " " + rhumb__element_name(coder.element) + " dim " +
           std::to_string(coder.dim) + " bits " + std::to_string(coder.bits);
}

// All to 300, which covers every kind of tail, and some larger ones.
std::vector<uint32_t> dims_to_test() {
    if (getenv("RHUMB_FEW_DIMS") != nullptr)
        return {1, 2, 7, 16, 31, 33, 63, 64, 65, 100, 127, 128, 129, 191, 200, 300};
    std::vector<uint32_t> dims(300);
    std::iota(dims.begin(), dims.end(), 1);
    for (uint32_t dim : {384u, 511u, 777u, 784u, 1025u, 2048u}) dims.push_back(dim);
    return dims;
}

// What an estimate is to be: what the metric sums, and how far arithmetic in double may move it.
struct Exact {
    long double sum, tolerance;
};

Exact exact(const rhumb__coder &coder, const void *query, const void *code) {
    const auto *head = static_cast<const rhumb__code_query *>(query);
    const rhumb__code_constants constants = rhumb__code_read_constants(code, coder.constants_offset_bytes);
    const std::vector<long double> x = decode_query(coder, query), y = decode(coder, code);
    long double squares = 0, dot = 0;
    for (uint32_t i = 0; i < coder.dim; i++) {
        squares += (x[i] - y[i]) * (x[i] - y[i]);
        dot += x[i] * y[i];
    }
    const long double weight_max = coder.bits == 8 ? 1023 : 127, digit_max = coder.bits == 8 ? 128 : 8;
    const long double width_x = weight_max * head->step, width_y = digit_max * constants.step;
    const long double x_max = fabsl(head->origin) + width_x, y_max = fabsl(constants.origin) + width_y;
    const long double apart = fabsl(static_cast<long double>(head->origin) - constants.origin) + width_x + width_y;
    const long double roundoff = coder.dim * 0x1p-48L;
    switch (coder.metric) {
    case RHUMB_METRIC_IP: return {dot, roundoff * x_max * y_max};
    case RHUMB_METRIC_COSINE: return {1 - dot, roundoff * x_max * y_max};
    case RHUMB_METRIC_L2:
        if (coder.raw_form == RHUMB__RAW_WIDE_SUM) {
            const long double root = sqrtl(squares);
            return {root, root == 0 ? sqrtl(roundoff) * apart : roundoff * apart * apart / root};
        }
        break;
    default: break;
    }
    return {squares, roundoff * apart * apart};
}

void expect_estimate(const rhumb__coder &coder, const void *query, const void *code, float estimate) {
    const Exact expected = exact(coder, query, code);
    ASSERT_LE(std::fabs(estimate), FLT_MAX);
    /* 2^-24 of rounding to f32, up to 2^-12 of packing beyond the range of double. */
    const long double found = rhumb__raw_sum(coder.raw_form, estimate), size = fabsl(expected.sum);
    const bool is_packed = size > 0x1p96L || size < 0x1p-96L || coder.raw_form == RHUMB__RAW_WIDE_DOT;
    /* The smallest product of two f64, where packing begins, is read as 0. */
    const long double last = coder.metric == RHUMB_METRIC_COSINE     ? 0x1p-24L
                             : coder.raw_form == RHUMB__RAW_WIDE_DOT ? 0x1p-2148L
                                                                     : 0;
    ASSERT_LE(fabsl(found - expected.sum), expected.tolerance + (is_packed ? 0x1p-12L : 0x1p-23L) * size + last)
        << name_of(coder) << " found " << found << " expected " << expected.sum;
}

float measure(const rhumb__coder &coder, const GuardedBytes &query, const GuardedBytes &code) {
    return coder.kernels.measure(&coder, query.data(), code.data());
}

// ---- layout ----

TEST(Codes, HaveTheLayoutOfTheManual) {
    Random random(choose_seed());
    for (uint32_t dim : dims_to_test()) {
        for (uint32_t bits : WIDTHS) {
            const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, dim);
            const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
            const uint32_t digits_bytes = bits == 8 ? dim : dim / 128 * 64 + (dim % 128 + 1) / 2;
            ASSERT_EQ(coder.digits_bytes, digits_bytes);
            ASSERT_EQ(coder.constants_offset_bytes, (digits_bytes + 7) / 8 * 8);
            ASSERT_EQ(coder.code_bytes, coder.constants_offset_bytes + 24);
            ASSERT_GE(coder.code_stride_bytes, coder.code_bytes);
            ASSERT_EQ(coder.code_stride_bytes % 8, 0u);

            const GuardedBytes row = row_of_bytes(space, random_numbers(random, RHUMB_ELEMENT_F32, dim));
            const GuardedBytes code = code_of(coder, row.data());
            const auto *bytes = static_cast<const uint8_t *>(code.data());
            int64_t sum = 0, squares = 0;
            const int centre = bits == 8 ? 128 : 8;
            for (uint32_t i = 0; i < dim; i++) {
                const uint32_t left = std::min(dim - i / 128 * 128, 128u), half = (left + 1) / 2;
                const uint8_t byte = bytes[bits == 8 ? i : i / 128 * 64 + i % 128 % half];
                const int number = (bits == 8 ? byte : i % 128 < half ? byte & 15 : byte >> 4) - centre;
                sum += number;
                squares += number * number;
            }
            const rhumb__code_constants constants = rhumb__code_read_constants(bytes, coder.constants_offset_bytes);
            ASSERT_EQ(constants.sum, sum) << name_of(coder);
            ASSERT_EQ(constants.squares, squares) << name_of(coder);
            for (uint32_t i = digits_bytes; i < coder.constants_offset_bytes; i++) ASSERT_EQ(bytes[i], 0);
            if (bits == 4 && dim % 2 == 1) {
                ASSERT_EQ(bytes[digits_bytes - 1] >> 4, 0);
            }
        }
    }
}

TEST(Codes, BeginOnCacheLinesWhereThatIsCheap) {
    for (const auto &[dim, bits, stride] :
         {std::array<uint32_t, 3>{100, 8, 128}, {384, 8, 448}, {784, 8, 832}, {784, 4, 448}, {100, 4, 80}}) {
        const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, dim);
        EXPECT_EQ(coder_for(space, bits, RHUMB__CODE_SCALAR).code_stride_bytes, stride);
    }
}

// Under cosine the vector has the length 1.
TEST(Codes, StandForTheVectorUpToHalfAStep) {
    Random random(choose_seed());
    for (uint32_t dim : {1u, 2u, 3u, 50u, 128u, 129u, 400u}) {
        for_each_kind(dim, [&](const rhumb__space &space, uint32_t bits) {
            const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
            for (double offset : {0.0, 3.0, -100.0}) {
                const Bytes vector = random_numbers(random, space.element, dim, 1.0, offset);
                const GuardedBytes row = row_of_bytes(space, vector), code = code_of(coder, row.data());
                const std::vector<long double> decoded = decode(coder, code.data());
                long double length = 1, decoded_square = 0;
                const long double step = rhumb__code_read_constants(code.data(), coder.constants_offset_bytes).step;
                if (space.metric == RHUMB_METRIC_COSINE) {
                    /* The decoded vector before it was normalised: its own length over that of the vector's. */
                    long double own = 0, square = 0;
                    for (uint32_t i = 0; i < dim; i++) {
                        const long double x = vectors::component(space.element, vector, i);
                        square += x * x;
                        own += x * decoded[i];
                        decoded_square += decoded[i] * decoded[i];
                    }
                    ASSERT_NEAR(decoded_square, 1, square == 0 ? 1 : dim * 1e-14 * (1 + offset * offset))
                        << name_of(coder);
                    length = own == 0 ? 1 : square / own;
                }
                for (uint32_t i = 0; i < dim; i++) {
                    const long double x = vectors::component(space.element, vector, i);
                    const long double slack =
                        space.metric == RHUMB_METRIC_COSINE ? 0.03L * (fabsl(x) + 1) : 1e-15L * fabsl(x);
                    ASSERT_NEAR(decoded[i] * length, x, 0.5005L * step * length + slack)
                        << name_of(coder) << " component " << i;
                }
            }
        });
    }
}

// Vectors whose differences, squares or steps a float or a double does not hold.
TEST(Codes, OfTheLargestAndSmallestNumbersStandForThemToo) {
    Random random(choose_seed());
    constexpr uint32_t dim = 150;
    for (rhumb_element element : {RHUMB_ELEMENT_F32, RHUMB_ELEMENT_F64}) {
        const bool is_f32 = element == RHUMB_ELEMENT_F32;
        const double smallest = is_f32 ? 0x1p-149 : DBL_TRUE_MIN, largest = is_f32 ? 0x1p126 : 0x1p1022;
        for (double scale : {2 * smallest, 50 * smallest, 1e4 * smallest, largest * 0x1p-20, largest}) {
            for (uint32_t bits : WIDTHS) {
                const rhumb__space space = space_of(RHUMB_METRIC_L2, element, dim);
                const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
                const Bytes vector = random_numbers(random, element, dim, scale);
                const GuardedBytes row = row_of_bytes(space, vector);
                const GuardedBytes code = code_of(coder, row.data()), query = query_of(coder, row.data());
                const std::vector<long double> decoded = decode(coder, code.data());
                const std::vector<long double> weighed = decode_query(coder, query.data());
                const long double step = rhumb__code_read_constants(code.data(), coder.constants_offset_bytes).step;
                const long double query_step = static_cast<const rhumb__code_query *>(query.data())->step;
                const long double width = 4 * static_cast<long double>(scale);
                ASSERT_LE(step, width / (bits == 8 ? 255 : 15) + smallest);
                ASSERT_LE(query_step, width / (bits == 8 ? 2046 : 254) + smallest);
                for (uint32_t i = 0; i < dim; i++) {
                    const long double x = vectors::component(element, vector, i), slack = 1e-15L * scale;
                    ASSERT_LE(fabsl(decoded[i] - x), 0.5005L * step + slack) << name_of(coder) << " " << scale;
                    ASSERT_LE(fabsl(weighed[i] - x), 0.5005L * query_step + slack) << name_of(coder) << " " << scale;
                }
            }
        }
    }
}

// ---- sets of instructions and forms ----

TEST(Codes, AndQueriesHaveTheSameBytesInEverySet) {
    Random random(choose_seed());
    for (uint32_t dim : dims_to_test()) {
        for_some_kinds(random, dim, [&](const rhumb__space &space, uint32_t bits) {
            const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, dim));
            const rhumb__coder scalar = coder_for(space, bits, RHUMB__CODE_SCALAR);
            const GuardedBytes code = code_of(scalar, row.data()), query = query_of(scalar, row.data());
            for (rhumb__code_set set : sets_to_test()) {
                const rhumb__coder coder = coder_for(space, bits, set);
                const GuardedBytes other = code_of(coder, row.data()), other_query = query_of(coder, row.data());
                ASSERT_EQ(memcmp(code.data(), other.data(), coder.code_bytes), 0)
                    << name_of(coder) << " " << rhumb__code_set_name(set);
                ASSERT_EQ(memcmp(query.data(), other_query.data(), coder.query_bytes), 0)
                    << name_of(coder) << " " << rhumb__code_set_name(set);
            }
        });
    }
}

TEST(Codes, GiveTheEstimatesOfTheDecodedVectorsInEverySet) {
    Random random(choose_seed());
    std::vector<uint32_t> dims = dims_to_test();
    for (uint32_t dim : {4096u, 8193u, 16000u, static_cast<uint32_t>(RHUMB_DIM_MAX)}) dims.push_back(dim);
    for (uint32_t dim : dims) {
        for_some_kinds(random, dim, [&](const rhumb__space &space, uint32_t bits) {
            const double offset = random() % 2 == 0 ? 0 : 1000 * random.uniform();
            const rhumb__coder scalar = coder_for(space, bits, RHUMB__CODE_SCALAR);
            const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, dim, 1, offset));
            const GuardedBytes other = row_of_bytes(space, random_numbers(random, space.element, dim, 3, offset));
            const GuardedBytes query = query_of(scalar, row.data()), code = code_of(scalar, other.data());
            const float expected = measure(scalar, query, code);
            /* Decoding is slow; it is done for a quarter of the larger ones. */
            if (dim <= 64 || random() % 4 == 0) expect_estimate(scalar, query.data(), code.data(), expected);
            for (rhumb__code_set set : sets_to_test()) {
                const rhumb__coder coder = coder_for(space, bits, set);
                ASSERT_EQ(bits_of(measure(coder, query, code)), bits_of(expected))
                    << name_of(coder) << " " << rhumb__code_set_name(set);
            }
        });
        ASSERT_FALSE(HasFailure());
    }
}

// Digits and weights of the largest size: the most that sums have to hold.
TEST(Codes, SumTheLargestDigitsAndWeightsExactly) {
    constexpr uint32_t dim = RHUMB_DIM_MAX;
    for (rhumb_metric metric : {RHUMB_METRIC_L2SQ, RHUMB_METRIC_IP}) {
        const rhumb__space space = space_of(metric, RHUMB_ELEMENT_F32, dim);
        for (float sign : {1.0f, -1.0f}) {
            std::vector<float> vector(dim, 1.0f), of_query(dim, sign);
            vector[77] = -1.0f;
            of_query[78] = -sign;
            const GuardedBytes row = row_of(space, vector), query_row = row_of(space, of_query);
            for (uint32_t bits : WIDTHS) {
                for (rhumb__code_set set : sets_to_test()) {
                    const rhumb__coder coder = coder_for(space, bits, set);
                    const GuardedBytes code = code_of(coder, row.data()), query = query_of(coder, query_row.data());
                    expect_estimate(coder, query.data(), code.data(), measure(coder, query, code));
                    const GuardedBytes &same = code;
                    const void *four[4] = {code.data(), code.data(), same.data(), code.data()};
                    float distances[4];
                    coder.kernels.measure_many(&coder, query.data(), four, 4, distances);
                    ASSERT_EQ(bits_of(distances[3]), bits_of(measure(coder, query, code)));
                }
            }
        }
    }
}

TEST(Codes, AreMeasuredAlikeOneByOneByAddressAndBySlot) {
    Random random(choose_seed());
    constexpr size_t stored = 23;
    for (uint32_t dim : {1u, 5u, 33u, 64u, 100u, 128u, 150u, 300u, 784u}) {
        for (uint32_t bits : WIDTHS) {
            for (rhumb__code_set set : sets_to_test()) {
                const rhumb_metric metric = METRICS[random() % 4];
                const rhumb__space space = space_of(metric, RHUMB_ELEMENT_F32, dim);
                const rhumb__coder coder = coder_for(space, bits, set);
                /* Ends with the last byte of the last code. */
                const GuardedBytes array((stored - 1) * coder.code_stride_bytes + coder.code_bytes);
                for (size_t i = 0; i < stored; i++) {
                    const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, dim));
                    coder.encoders.encode(&coder, row.data(),
                                          static_cast<char *>(array.data()) + i * coder.code_stride_bytes);
                }
                const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, dim));
                const GuardedBytes query = query_of(coder, row.data());
                std::vector<uint32_t> slots;
                std::vector<const void *> addresses;
                for (size_t count = 0; count <= 40; count++) {
                    const GuardedBytes many(count * sizeof(float)), by_slot(count * sizeof(float));
                    const GuardedBytes slot_list(count * sizeof slots[0]), address_list(count * sizeof addresses[0]);
                    std::copy(slots.begin(), slots.end(), static_cast<uint32_t *>(slot_list.data()));
                    std::copy(addresses.begin(), addresses.end(), static_cast<const void **>(address_list.data()));
                    const rhumb__code_slots list = {array.data(), static_cast<uint32_t *>(slot_list.data()), count};
                    coder.kernels.measure_many(&coder, query.data(), static_cast<void **>(address_list.data()), count,
                                               many.floats());
                    coder.kernels.measure_slots(&coder, query.data(), &list, by_slot.floats());
                    for (size_t i = 0; i < count; i++) {
                        const float one = coder.kernels.measure(&coder, query.data(), addresses[i]);
                        ASSERT_EQ(bits_of(many.floats()[i]), bits_of(one))
                            << name_of(coder) << " " << i << "/" << count;
                        ASSERT_EQ(bits_of(by_slot.floats()[i]), bits_of(one)) << name_of(coder) << " " << i;
                    }
                    slots.push_back(count == 0 ? stored - 1 : static_cast<uint32_t>(random() % stored));
                    addresses.push_back(static_cast<char *>(array.data()) + slots.back() * coder.code_stride_bytes);
                }
            }
        }
    }
}

TEST(Codes, DoNotDependOnAlignment) {
    Random random(choose_seed());
    const rhumb__space space = space_of(RHUMB_METRIC_L2, RHUMB_ELEMENT_F32, 150);
    alignas(64) static char memory[1024];
    for (uint32_t bits : WIDTHS) {
        const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, 150));
        const GuardedBytes other = row_of_bytes(space, random_numbers(random, space.element, 150));
        for (rhumb__code_set set : sets_to_test()) {
            const rhumb__coder coder = coder_for(space, bits, set);
            const GuardedBytes query = query_of(coder, other.data()), code = code_of(coder, row.data());
            for (size_t shift = 0; shift < 64; shift++) {
                coder.encoders.encode(&coder, row.data(), memory + shift);
                ASSERT_EQ(memcmp(memory + shift, code.data(), coder.code_bytes), 0);
                ASSERT_EQ(bits_of(coder.kernels.measure(&coder, query.data(), memory + shift)),
                          bits_of(measure(coder, query, code)));
            }
        }
    }
}

// ---- unusual vectors ----

// A vector of every magnitude with every other, in every set.
TEST(Codes, OfEveryMagnitudeAreMeasuredRightly) {
    Random random(choose_seed());
    constexpr uint32_t dim = 37;
    for_each_kind(dim, [&](const rhumb__space &space, uint32_t bits) {
        std::vector<double> scales = {0x1p-149, 1e-30, 1e-10, 1, 1e10, 1e30, 0x1p126};
        if (space.element == RHUMB_ELEMENT_F64)
            scales = {4 * DBL_TRUE_MIN, 1e-310, 1e-200, 1e-120, 1e-34, 1, 1e16, 1e32, 1e130, 1e200, 0x1p1022};
        if (space.element == RHUMB_ELEMENT_F16) scales = {0x1p-24, 1e-3, 1, 1e4};
        std::vector<GuardedBytes> rows;
        for (double scale : scales) {
            for (double offset : {0.0, 0.9 * scale})
                rows.push_back(row_of_bytes(space, random_numbers(random, space.element, dim, 0.5 * scale, offset)));
        }
        const rhumb__coder scalar = coder_for(space, bits, RHUMB__CODE_SCALAR);
        for (const GuardedBytes &a : rows) {
            const GuardedBytes query = query_of(scalar, a.data());
            for (const GuardedBytes &b : rows) {
                const GuardedBytes code = code_of(scalar, b.data());
                const float expected = measure(scalar, query, code);
                expect_estimate(scalar, query.data(), code.data(), expected);
                ASSERT_FALSE(HasFailure());
                for (rhumb__code_set set : sets_to_test()) {
                    const rhumb__coder coder = coder_for(space, bits, set);
                    ASSERT_EQ(bits_of(measure(coder, query, code)), bits_of(expected)) << name_of(coder);
                }
            }
        }
    });
}

TEST(Codes, OfConstantVectorsAreExact) {
    for (uint32_t dim : {1u, 2u, 64u, 101u}) {
        for_each_kind(dim, [&](const rhumb__space &space, uint32_t bits) {
            const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
            const auto row = [&](double value) {
                Bytes bytes;
                for (uint32_t i = 0; i < dim; i++) vectors::append_number(&bytes, space.element, value);
                return row_of_bytes(space, bytes);
            };
            for (double x : {0.0, -0.0, 1.5, -24.0, 64.0}) {
                for (double y : {0.0, -0.0, 1.5, -3.0, 96.0}) {
                    const GuardedBytes query = query_of(coder, row(x).data()), code = code_of(coder, row(y).data());
                    const long double apart = x - y, square = dim * apart * apart;
                    const bool has_root = space.metric == RHUMB_METRIC_L2 && space.element == RHUMB_ELEMENT_F64;
                    const float found = measure(coder, query, code);
                    if (space.metric == RHUMB_METRIC_COSINE) {
                        ASSERT_NEAR(found, x == 0 || y == 0 ? 1.0 : x * y > 0 ? 0.0 : 2.0, 1e-7) << name_of(coder);
                        continue;
                    }
                    const long double sum = space.metric == RHUMB_METRIC_IP ? dim * static_cast<long double>(x) * y
                                            : has_root                      ? sqrtl(square)
                                                                            : square;
                    ASSERT_EQ(found, rhumb__raw_pack(space.raw_form, sum)) << name_of(coder) << " " << x << " " << y;
                }
            }
        });
    }
}

TEST(Codes, OfTheSameComponentsAreTheSameBytes) {
    const rhumb__space space = space_of(RHUMB_METRIC_IP, RHUMB_ELEMENT_F32, 3);
    for (uint32_t bits : WIDTHS) {
        const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
        for (float last : {0.0f, 1.0f, -1.0f}) {
            const GuardedBytes plus = code_of(coder, row_of(space, {0.0f, 0.0f, last}).data());
            const GuardedBytes minus =
                code_of(coder, row_of(space, {-0.0f, -0.0f, last == 0.0f ? -0.0f : last}).data());
            EXPECT_EQ(memcmp(plus.data(), minus.data(), coder.code_bytes), 0) << last;
        }
    }
}

// ---- damaged files ----

constexpr double STRANGE[] = {std::numeric_limits<double>::quiet_NaN(),
                              std::numeric_limits<double>::infinity(),
                              -std::numeric_limits<double>::infinity(),
                              DBL_MAX,
                              -DBL_MAX,
                              DBL_TRUE_MIN,
                              0.0,
                              1e200,
                              -1e200,
                              1.0};

TEST(Codes, OfArbitraryBytesStillSort) {
    Random random(choose_seed());
    for (int round = 0; round < 100; round++) {
        const uint32_t dim = 1 + static_cast<uint32_t>(random() % 300);
        for_each_kind(dim, [&](const rhumb__space &space, uint32_t bits) {
            const rhumb__coder scalar = coder_for(space, bits, RHUMB__CODE_SCALAR);
            const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, dim));
            const GuardedBytes query = query_of(scalar, row.data()), code(scalar.code_bytes);
            auto *bytes = static_cast<uint8_t *>(code.data());
            for (uint32_t i = 0; i < scalar.code_bytes; i++) bytes[i] = static_cast<uint8_t>(random());
            for (int constant = 0; constant < 2; constant++) {
                const double *strange = &STRANGE[random() % (sizeof STRANGE / sizeof STRANGE[0])];
                if (random() % 2 == 0)
                    memcpy(bytes + scalar.constants_offset_bytes + 8 * constant, strange, sizeof *strange);
            }
            const float expected = measure(scalar, query, code);
            ASSERT_LE(std::fabs(expected), FLT_MAX) << name_of(scalar);
            ASSERT_GE(expected, space.metric == RHUMB_METRIC_IP ? -FLT_MAX : 0.0f);
            ASSERT_LE(expected, space.metric == RHUMB_METRIC_COSINE ? 2.0f : FLT_MAX);
            for (rhumb__code_set set : sets_to_test()) {
                const rhumb__coder coder = coder_for(space, bits, set);
                ASSERT_EQ(bits_of(measure(coder, query, code)), bits_of(expected))
                    << name_of(coder) << " " << rhumb__code_set_name(set);
            }
        });
        if (HasFailure()) break;
    }
}

TEST(Codes, WithNanAmongTheirConstantsAreTheFarthest) {
    Random random(choose_seed());
    for_each_kind(50, [&](const rhumb__space &space, uint32_t bits) {
        const rhumb__coder coder = coder_for(space, bits, RHUMB__CODE_SCALAR);
        const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, 50));
        const GuardedBytes query = query_of(coder, row.data());
        for (int constant = 0; constant < 2; constant++) {
            const GuardedBytes code = code_of(coder, row.data());
            memcpy(static_cast<char *>(code.data()) + coder.constants_offset_bytes + 8 * constant, &STRANGE[0], 8);
            EXPECT_EQ(measure(coder, query, code), space.metric == RHUMB_METRIC_COSINE ? 2.0f : FLT_MAX);
        }
    });
}

// A row that is not finite can only come from a damaged file.
TEST(Codes, OfRowsThatAreNotFiniteAreTheFarthest) {
    Random random(choose_seed());
    for_each_kind(50, [&](const rhumb__space &space, uint32_t bits) {
        const GuardedBytes good = row_of_bytes(space, random_numbers(random, space.element, 50));
        const size_t bytes = rhumb__element_bits(space.element) / 8;
        for (double strange : {STRANGE[0], STRANGE[1], STRANGE[2]}) {
            const GuardedBytes bad = row_of_bytes(space, random_numbers(random, space.element, 50));
            rhumb__element_convert(RHUMB_ELEMENT_F64, &strange, space.element,
                                   static_cast<char *>(bad.data()) + bytes * (random() % 50), 1);
            const float worst = space.metric == RHUMB_METRIC_COSINE ? 2.0f : FLT_MAX;
            for (rhumb__code_set set : sets_to_test()) {
                const rhumb__coder coder = coder_for(space, bits, set);
                const GuardedBytes code = code_of(coder, bad.data());
                ASSERT_EQ(memcmp(code.data(), code_of(coder_for(space, bits, RHUMB__CODE_SCALAR), bad.data()).data(),
                                 coder.code_bytes),
                          0);
                ASSERT_EQ(measure(coder, query_of(coder, good.data()), code), worst) << name_of(coder);
                ASSERT_EQ(measure(coder, query_of(coder, bad.data()), code_of(coder, good.data())), worst);
            }
        }
    });
}

} // namespace
