// Goal: estimates are right on average, and as precise as the method is known to be: in mean relative error, in the
// correlation with true distances within a row, which is what a search orders neighbours by, and against the deviation
// that the method has in theory. Method: rows of clustered Gaussian vectors; true distances in double. Random inputs;
// the seed is printed and RHUMB_SEED repeats it.
#include <numeric>

#include "tests/support/lanes.h"
#include "tests/support/sanitized.h"

namespace {

using namespace lanes;

// A query, a node and 16 neighbours of the node, all of one cluster.
struct Row {
    Vector query, node;
    std::vector<Vector> neighbours;
};

Vector around(Random &random, const Vector &centre, float deviation) {
    Vector v = random_vector(random, static_cast<uint32_t>(centre.size()), deviation);
    for (size_t i = 0; i < v.size(); i++) v[i] += centre[i];
    return v;
}

// The deviation within a cluster is up to that of the centres; it differs from neighbour to neighbour, so that a row
// has nearer and farther ones. Nodes on the way to a query are nearer to the middle than most.
std::vector<Row> rows_of(Random &random, uint32_t dim, size_t count) {
    std::vector<Row> rows(count);
    for (Row &row : rows) {
        const Vector centre = random_vector(random, dim);
        row.query = around(random, centre, 0.6f);
        row.node = around(random, centre, 0.3f);
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            row.neighbours.push_back(around(random, centre, 0.3f + 0.7f * float(random() % 1000) / 1000.0f));
        }
    }
    return rows;
}

template <typename Change> void change_all(std::vector<Row> *rows, const Change &change) {
    for (Row &row : *rows) {
        change(&row.query);
        change(&row.node);
        for (Vector &neighbour : row.neighbours) change(&neighbour);
    }
}

struct Quality {
    double error = 0;       // mean of |estimate - true| / true, of squared distances
    double bias = 0;        // mean of (estimate - true) / true
    double correlation = 0; // mean over rows
    double deviation = 0;   // root of the mean square of errors, relative to deviation_of
};

// How much an estimate of |q - x|^2 deviates in theory, for a code z with <r, z> / |r| |z| = quotient: only what is
// orthogonal to r, of q - c as of z, makes errors, and any two such directions are equally likely.
double deviation_of(const Row &row, const Vector &neighbour, double quotient, double padded_dim) {
    double r_square = 0, y_square = 0, product = 0;
    for (size_t i = 0; i < neighbour.size(); i++) {
        const double r = double(neighbour[i]) - double(row.node[i]), y = double(row.query[i]) - double(row.node[i]);
        r_square += r * r;
        y_square += y * y;
        product += r * y;
    }
    const double orthogonal = y_square - product * product / r_square;
    return 2 * std::sqrt(r_square * orthogonal * (1 / (quotient * quotient) - 1) / (padded_dim - 1));
}

double correlation(const std::vector<double> &a, const std::vector<double> &b) {
    const double n = double(a.size()), mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n,
                 mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
    double products = 0, squares_a = 0, squares_b = 0;
    for (size_t i = 0; i < a.size(); i++) {
        products += (a[i] - mean_a) * (b[i] - mean_b);
        squares_a += (a[i] - mean_a) * (a[i] - mean_a);
        squares_b += (b[i] - mean_b) * (b[i] - mean_b);
    }
    return products / std::sqrt(squares_a * squares_b);
}

std::vector<float> estimates_of(const rhumb__lane_space &in, const Row &row) {
    std::vector<Vector> neighbours;
    for (const Vector &neighbour : row.neighbours) neighbours.push_back(rotated(in, neighbour));
    const GuardedBytes block = block_of(in, rotated(in, row.node), neighbours);
    const Query query(in, rotated(in, row.query));
    const double g = distance(in.form, row.query, row.node);
    const Scanned scanned = scan(query.query, block.data(), static_cast<float>(g));
    return {scanned.estimates.begin(), scanned.estimates.end()};
}

// The mean quotients of codes of a normal distribution: sqrt(2 / pi), and that of four equal steps.
double quotient_of(uint32_t bits) { return bits == 1 ? 0.7979 : 0.9388; }

// Errors of either form are taken relative to the squared distance, which a dot product is half of.
Quality quality_of(rhumb__lane_spec spec, const std::vector<Row> &rows) {
    Quality quality;
    double squares = 0;
    const double weight = 1.0 / double(rows.size() * kLanes);
    for (size_t i = 0; i < rows.size(); i++) {
        const Row &row = rows[i];
        spec.seed = i;
        const rhumb__lane_space in = space_of(spec);
        const std::vector<float> estimates = estimates_of(in, row);
        std::vector<double> found, expected;
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            found.push_back(estimates[lane]);
            expected.push_back(distance(spec.form, row.query, row.neighbours[lane]));
            const double error = (found[lane] - expected[lane]) * (spec.form == RHUMB__LANE_DOT ? 2 : 1);
            const double square = squared_distance(row.query, row.neighbours[lane]);
            const double deviation =
                deviation_of(row, row.neighbours[lane], quotient_of(spec.bits), in.rotation.padded_dim);
            quality.error += std::fabs(error) / square * weight;
            quality.bias += error / square * weight;
            squares += error * error / (deviation * deviation) * weight;
        }
        quality.correlation += correlation(found, expected) / double(rows.size());
    }
    quality.deviation = std::sqrt(squares);
    printf("dim %u padded %u bits %u form %d: error %.2f%% bias %.2f%% correlation %.4f deviation %.3f\n", spec.dim,
           spec.padded_dim, spec.bits, spec.form, 100 * quality.error, 100 * quality.bias, quality.correlation,
           quality.deviation);
    return quality;
}

class LaneEstimates : public testing::Test {
  protected:
    Random random{choose_seed()};
};

// The mean of many estimates over rotations is within 5 of its deviations of the truth.
TEST_F(LaneEstimates, AreRightOnAverageOverRotations) {
    const uint32_t dim = 100, rotations = rhumb_test::kSanitized ? 300 : 1500;
    for (const FormAndBits &what : all_forms_and_bits()) {
        const Row row = rows_of(random, dim, 1)[0];
        std::array<double, kLanes> sums = {}, squares = {};
        for (uint32_t i = 0; i < rotations; i++) {
            const std::vector<float> estimates =
                estimates_of(space_of(spec_of(what.form, dim, what.bits, random())), row);
            for (uint32_t lane = 0; lane < kLanes; lane++) {
                const double error = estimates[lane] - distance(what.form, row.query, row.neighbours[lane]);
                sums[lane] += error / rotations;
                squares[lane] += error * error / rotations;
            }
        }
        for (uint32_t lane = 0; lane < kLanes; lane++) {
            EXPECT_LT(std::fabs(sums[lane]), 5 * std::sqrt(squares[lane] / rotations))
                << "bits " << what.bits << " form " << what.form << " lane " << lane;
        }
    }
}

// With one bit, rows like these have errors of 6.5, 3.7 and 2.6% (as have words, sentences and images of about these
// dimensions); with two, less than half.
TEST_F(LaneEstimates, AreAsPreciseAsTheMethod) {
    for (uint32_t dim : {128u, 384u, 800u}) {
        const std::vector<Row> rows = rows_of(random, dim, 100);
        const Quality one = quality_of(spec_of(RHUMB__LANE_L2SQ, dim, 1, 0), rows);
        const Quality two = quality_of(spec_of(RHUMB__LANE_L2SQ, dim, 2, 0), rows);
        EXPECT_NEAR(one.deviation, 1, 0.1) << "dim " << dim;
        EXPECT_NEAR(two.deviation, 1, 0.1) << "dim " << dim;
        EXPECT_NEAR(one.error * std::sqrt(dim), 0.71, 0.08) << "dim " << dim;
        EXPECT_NEAR(two.error * std::sqrt(dim), 0.345, 0.04) << "dim " << dim;
        EXPECT_LT(std::fabs(one.bias), 0.2 * one.error) << "dim " << dim;
        EXPECT_LT(std::fabs(two.bias), 0.2 * two.error) << "dim " << dim;
        EXPECT_GT(one.correlation, dim == 128 ? 0.93 : 0.97) << "dim " << dim;
        EXPECT_GT(two.correlation, dim == 128 ? 0.98 : 0.99) << "dim " << dim;
    }
}

TEST_F(LaneEstimates, AreAsPreciseForDotProducts) {
    std::vector<Row> rows = rows_of(random, 384, 100);
    change_all(&rows, [](Vector *v) {
        const float norm = static_cast<float>(std::sqrt(dot(*v, *v)));
        for (float &component : *v) component /= norm;
    });
    for (uint32_t bits : {1u, 2u}) {
        const Quality squares = quality_of(spec_of(RHUMB__LANE_L2SQ, 384, bits, 0), rows);
        const Quality dots = quality_of(spec_of(RHUMB__LANE_DOT, 384, bits, 0), rows);
        EXPECT_NEAR(dots.deviation, 1, 0.1) << "bits " << bits;
        EXPECT_NEAR(dots.error, squares.error, 0.05 * squares.error) << "bits " << bits;
        EXPECT_NEAR(dots.correlation, squares.correlation, 0.005) << "bits " << bits;
    }
}

// Dot products of vectors that are not normalised: the node's distance and the lanes leave out nothing.
TEST_F(LaneEstimates, AreAsPreciseForDotProductsOfAnyLength) {
    const std::vector<Row> rows = rows_of(random, 384, 100);
    for (uint32_t bits : {1u, 2u}) {
        EXPECT_NEAR(quality_of(spec_of(RHUMB__LANE_DOT, 384, bits, 0), rows).deviation, 1, 0.1) << "bits " << bits;
    }
}

// Vectors far from the origin, as images are: what the query's length costs is in the 8 bits of its table.
TEST_F(LaneEstimates, LoseLittleFarFromTheOrigin) {
    const std::vector<Row> near_rows = rows_of(random, 384, 100);
    std::vector<Row> far_rows = near_rows;
    change_all(&far_rows, [](Vector *v) {
        for (float &component : *v) component += 10.0f;
    });
    for (uint32_t bits : {1u, 2u}) {
        const rhumb__lane_spec spec = spec_of(RHUMB__LANE_L2SQ, 384, bits, 0);
        const double near_error = quality_of(spec, near_rows).error, far_error = quality_of(spec, far_rows).error;
        EXPECT_LT(far_error, near_error * (bits == 1 ? 1.08 : 1.22)) << "bits " << bits;
    }
}

TEST_F(LaneEstimates, GainFromMoreComponents) {
    const std::vector<Row> rows = rows_of(random, 100, 100);
    rhumb__lane_spec spec = spec_of(RHUMB__LANE_L2SQ, 100, 1, 0);
    const double smallest = quality_of(spec, rows).error;
    spec.padded_dim = 192;
    EXPECT_LT(quality_of(spec, rows).error, 0.85 * smallest); // sqrt(112 / 192) is 0.76
}

} // namespace
