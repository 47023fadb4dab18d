// Goal: estimates are as near to the distances between the rows as steps allow: never farther than the bound that
// rounding by half a step has; on average by the bias, and spread by the standard deviation, that error.h expects; so
// that a bound some deviations below an estimate holds as often as it should. And the query's part in all that is
// small. Method: distances in extended precision, over vectors of every float under every metric. Random inputs; the
// seed is printed and RHUMB_SEED repeats it.
#include <functional>

#include "tests/support/codes.h"

extern "C" {
#include "distances/code/error.h"
#include "distances/element.h"
#include "distances/raw.h"
}

namespace {

using namespace codes;

using Numbers = std::vector<long double>;

Numbers numbers_of(const rhumb__space &space, const void *row) {
    std::vector<double> numbers(space.dim); /* holds every float */
    EXPECT_EQ(rhumb__element_convert(space.element, row, RHUMB_ELEMENT_F64, numbers.data(), space.dim), space.dim);
    return {numbers.begin(), numbers.end()};
}

long double dot_of(const Numbers &a, const Numbers &b) {
    long double dot = 0;
    for (size_t i = 0; i < a.size(); i++) dot += a[i] * b[i];
    return dot;
}

long double length_of(const Numbers &a) { return sqrtl(dot_of(a, a)); }

Numbers difference(const Numbers &a, const Numbers &b) {
    Numbers all(a.size());
    for (size_t i = 0; i < a.size(); i++) all[i] = a[i] - b[i];
    return all;
}

// In the terms of rhumb__code_error: the squared distance, minus the dot product, or the cosine's distance.
long double distance_of(rhumb_metric metric, const Numbers &a, const Numbers &b) {
    if (metric == RHUMB_METRIC_IP) return -dot_of(a, b);
    if (metric == RHUMB_METRIC_COSINE) return 1 - dot_of(a, b) / (length_of(a) * length_of(b));
    const Numbers apart = difference(a, b);
    return dot_of(apart, apart);
}

long double distance_of(const rhumb__coder &coder, float raw) {
    const long double sum = rhumb__raw_sum(coder.raw_form, raw);
    if (coder.metric == RHUMB_METRIC_IP) return -sum;
    return coder.metric == RHUMB_METRIC_L2 && coder.element == RHUMB_ELEMENT_F64 ? sum * sum : sum;
}

// A query and a vector, their distance, and its estimate.
class Couple {
  public:
    Couple(const rhumb__coder &coder, const rhumb__space &space, const Bytes &of_query, const Bytes &vector)
        : coder_(coder), query_row_(row_of_bytes(space, of_query)), row_(row_of_bytes(space, vector)),
          query_(query_of(coder, query_row_.data())), code_(code_of(coder, row_.data())),
          query(numbers_of(space, query_row_.data())), vector(numbers_of(space, row_.data())),
          exact(distance_of(space.metric, query, this->vector)),
          exact_raw(space.distance(&space, query_row_.data(), row_.data())),
          estimate(coder.kernels.measure(&coder, query_.data(), code_.data())) {}

    long double error() const { return distance_of(coder_, estimate) - exact; }
    rhumb__code_error expected() const { return rhumb__code_error_of(&coder_, query_.data(), code_.data(), estimate); }
    float least(double deviations) const {
        return rhumb__code_least(&coder_, query_.data(), code_.data(), estimate, deviations);
    }
    // The largest length that the errors of all components can have together, of the vector or of the query.
    long double error_length(bool is_query) const {
        const auto *head = static_cast<const rhumb__code_query *>(query_.data());
        const auto constants = rhumb__code_read_constants(code_.data(), coder_.constants_offset_bytes);
        long double step = is_query ? head->step : constants.step;
        if (coder_.metric == RHUMB_METRIC_COSINE) step *= 1.1L * length_of(is_query ? query : vector);
        return 0.5005L * step * sqrtl(coder_.dim);
    }

  private:
    const rhumb__coder &coder_;
    const GuardedBytes query_row_, row_, query_, code_;

  public:
    const Numbers query, vector;
    const long double exact;
    const float exact_raw, estimate;
};

// Calls body for every kind of coder, on the kernels of this processor.
void for_each_coder(uint32_t dim, const std::function<void(const rhumb__coder &, const rhumb__space &)> &body) {
    for (rhumb_metric metric : METRICS) {
        for (rhumb_element element : FLOATS) {
            for (uint32_t bits : WIDTHS) {
                rhumb__space space;
                rhumb__coder coder;
                ASSERT_EQ(space_init(&space, metric, element, dim), RHUMB_OK);
                ASSERT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
                body(coder, space);
            }
        }
    }
}

std::string name_of(const rhumb__coder &coder) {
    return std::string(rhumb__metric_name(coder.metric)) + " " + rhumb__element_name(coder.element) + " dim " +
           std::to_string(coder.dim) + " bits " + std::to_string(coder.bits);
}

TEST(CodeErrors, AreWithinWhatHalfAStepCanDo) {
    Random random(choose_seed());
    for (uint32_t dim : {1u, 2u, 9u, 64u, 130u}) {
        for_each_coder(dim, [&](const rhumb__coder &coder, const rhumb__space &space) {
            for (int round = 0; round < 20; round++) {
                const double offset = 3 * random.uniform(), scale = 0.1 + random.uniform();
                const Couple couple(coder, space, random_numbers(random, space.element, dim, 1, offset),
                                    random_numbers(random, space.element, dim, scale, offset));
                const long double a = couple.error_length(true), b = couple.error_length(false);
                long double bound;
                if (space.metric == RHUMB_METRIC_IP) {
                    bound = length_of(couple.query) * b + length_of(couple.vector) * a + a * b;
                } else if (space.metric == RHUMB_METRIC_COSINE) {
                    bound = 2 * (a / length_of(couple.query) + b / length_of(couple.vector));
                } else {
                    bound = (a + b) * (2 * sqrtl(couple.exact) + a + b);
                }
                ASSERT_LE(fabsl(couple.error()), bound + 1e-6L * (fabsl(couple.exact) + 1)) << name_of(coder);
            }
        });
    }
}

// Errors over many couples, in units of what is expected of each.
struct Spread {
    double mean, deviation; /* of (error - bias) / deviation */
    double bias_share;      /* the mean error as a share of the mean bias */
};

Spread spread_of(const rhumb__coder &coder, const rhumb__space &space, Random &random, double nearness) {
    const int count = 200;
    double sum = 0, squares = 0, errors = 0, biases = 0;
    for (int i = 0; i < count; i++) {
        std::vector<double> query(space.dim), vector(space.dim);
        for (uint32_t k = 0; k < space.dim; k++) {
            query[k] = random_number(random);
            vector[k] = nearness * query[k] + (1 - nearness) * random_number(random);
        }
        const Couple couple(coder, space, bytes_of(space.element, query), bytes_of(space.element, vector));
        const rhumb__code_error expected = couple.expected();
        const double unit = static_cast<double>((couple.error() - expected.bias) / expected.deviation);
        sum += unit;
        squares += unit * unit;
        errors += static_cast<double>(couple.error());
        biases += static_cast<double>(expected.bias);
    }
    return {sum / count, std::sqrt(squares / count), errors / biases};
}

// 200 couples: the mean is known to 0.07, the deviation to 5%.
TEST(CodeErrors, HaveTheExpectedMeanAndDeviation) {
    Random random(choose_seed());
    for (uint32_t dim : {32u, 250u}) {
        for_each_coder(dim, [&](const rhumb__coder &coder, const rhumb__space &space) {
            if (space.element != RHUMB_ELEMENT_F32 && dim != 32) return; /* the long ones take seconds */
            for (double nearness : {0.0, 0.7}) {
                /* bf16 has steps of its own, which those of 8 bits do not look random next to. */
                if (space.element == RHUMB_ELEMENT_BF16 && coder.bits == 8) continue;
                const Spread spread = spread_of(coder, space, random, nearness);
                EXPECT_NEAR(spread.mean, 0, 0.35) << name_of(coder) << " nearness " << nearness;
                EXPECT_NEAR(spread.deviation, 1, 0.35) << name_of(coder) << " nearness " << nearness;
            }
        });
    }
}

// Calls body(space, coder) for vectors of 400 f32 under the metrics that are distances.
template <typename Body> void for_each_of_distances(const Body &body) {
    for (rhumb_metric metric : {RHUMB_METRIC_L2SQ, RHUMB_METRIC_L2, RHUMB_METRIC_COSINE}) {
        const rhumb__space space = space_of(metric, RHUMB_ELEMENT_F32, 400);
        for (uint32_t bits : WIDTHS) {
            rhumb__coder coder;
            ASSERT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
            body(space, coder);
        }
    }
}

// Near vectors, whose squared distances digits of 4 bits make larger by a tenth.
TEST(CodeErrors, HaveABiasThatCanBeSubtracted) {
    Random random(choose_seed());
    for_each_of_distances([&](const rhumb__space &space, const rhumb__coder &coder) {
        EXPECT_NEAR(spread_of(coder, space, random, 0.95).bias_share, 1, coder.bits == 8 ? 0.4 : 0.05)
            << name_of(coder);
    });
}

// At distance 0 an estimate is but the square of the errors, whose own variance is then all that there is.
TEST(CodeErrors, OfEqualVectorsHaveTheExpectedMeanAndDeviation) {
    Random random(choose_seed());
    for_each_of_distances([&](const rhumb__space &space, const rhumb__coder &coder) {
        const Spread spread = spread_of(coder, space, random, 1);
        EXPECT_NEAR(spread.mean, 0, 0.35) << name_of(coder);
        EXPECT_NEAR(spread.deviation, 1, 0.35) << name_of(coder);
    });
}

TEST(CodeErrors, LeaveTheDistanceAboveABoundOfSomeDeviations) {
    Random random(choose_seed());
    for_each_coder(100, [&](const rhumb__coder &coder, const rhumb__space &space) {
        int above_none = 0, above_three = 0;
        const int count = 200;
        for (int i = 0; i < count; i++) {
            const Couple couple(coder, space, random_numbers(random, space.element, 100),
                                random_numbers(random, space.element, 100));
            ASSERT_LT(couple.least(4), couple.least(1));
            above_none += couple.exact_raw >= couple.least(0);
            above_three += couple.exact_raw >= couple.least(3);
        }
        EXPECT_NEAR(above_none, count / 2, count / 4) << name_of(coder);
        EXPECT_GE(above_three, count - 4) << name_of(coder);
    });
}

TEST(CodeErrors, OfDamagedCodesExcludeNothing) {
    Random random(choose_seed());
    for_each_coder(50, [&](const rhumb__coder &coder, const rhumb__space &space) {
        const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, 50));
        const GuardedBytes query = query_of(coder, row.data()), code(coder.code_bytes);
        for (int round = 0; round < 200; round++) {
            for (uint32_t i = 0; i < coder.code_bytes; i++)
                static_cast<uint8_t *>(code.data())[i] = static_cast<uint8_t>(random());
            const double strange[] = {NAN, INFINITY, -INFINITY, DBL_MAX, DBL_TRUE_MIN, -1.0};
            memcpy(static_cast<char *>(code.data()) + coder.constants_offset_bytes + 8 * (random() % 2),
                   &strange[random() % 6], 8);
            const float estimate = coder.kernels.measure(&coder, query.data(), code.data());
            const float least = rhumb__code_least(&coder, query.data(), code.data(), estimate, 3);
            ASSERT_LE(std::fabs(least), FLT_MAX) << name_of(coder);
            ASSERT_LE(least, estimate) << name_of(coder);
        }
    });
}

// Distances of every size, up to those that need more than a double.
TEST(CodeErrors, AreExpectedAtEveryMagnitude) {
    Random random(choose_seed());
    for (rhumb_metric metric : METRICS) {
        for (uint32_t bits : WIDTHS) {
            for (double scale : {1e-300, 1e-150, 1e-20, 1.0, 1e20, 1e150, 1e300}) {
                rhumb__space space;
                rhumb__coder coder;
                ASSERT_EQ(space_init(&space, metric, RHUMB_ELEMENT_F64, 60), RHUMB_OK);
                ASSERT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
                int held = 0;
                for (int i = 0; i < 50; i++) {
                    const Couple couple(coder, space, random_numbers(random, space.element, 60, scale),
                                        random_numbers(random, space.element, 60, scale));
                    ASSERT_LE(couple.least(4), couple.estimate) << name_of(coder) << " " << scale;
                    held += couple.least(4) <= couple.exact_raw;
                }
                EXPECT_GE(held, 49) << name_of(coder) << " " << scale;
            }
        }
    }
}

// The query's own rounding adds little to that of the vector.
TEST(CodeErrors, AreHardlyThoseOfTheQuery) {
    Random random(choose_seed());
    for (uint32_t bits : WIDTHS) {
        rhumb__space space;
        rhumb__coder coder;
        ASSERT_EQ(space_init(&space, RHUMB_METRIC_IP, RHUMB_ELEMENT_F32, 100), RHUMB_OK);
        ASSERT_EQ(rhumb__coder_init(&coder, &space, bits), RHUMB_OK);
        double squares = 0, squares_of_query = 0;
        for (int i = 0; i < 300; i++) {
            const Couple couple(coder, space, random_numbers(random, space.element, 100),
                                random_numbers(random, space.element, 100));
            const GuardedBytes row = row_of_bytes(space, random_numbers(random, space.element, 100));
            const GuardedBytes query = query_of(coder, row.data());
            const Numbers error = difference(decode_query(coder, query.data()), numbers_of(space, row.data()));
            const double of_query = static_cast<double>(dot_of(error, couple.vector));
            squares += static_cast<double>(couple.error() * couple.error());
            squares_of_query += of_query * of_query;
        }
        EXPECT_LT(squares_of_query, 0.03 * squares) << bits;
    }
}

} // namespace
