// Goal: tiles are the same bits for every set of instructions and from a to b as from b to a; they are the distances
// of what the codes decode to; and bits say who is within a limit. Method: random vectors of dimensions around the
// sizes of groups and registers, against plain C and against sums in double. The seed is printed and RHUMB_SEED repeats
// it.
#include "tests/support/codes.h"

extern "C" {
#include "distances/tile/tile.h"
}

namespace {

using namespace codes;

constexpr uint32_t kRows = RHUMB__TILE_ROWS, kColumns = RHUMB__TILE_COLUMNS;

// One tile of random vectors: the rows are the first columns too.
struct Sample {
    rhumb__space space;
    rhumb__coder coder;
    std::vector<std::vector<float>> vectors;
    std::vector<std::vector<uint8_t>> codes;
};

void make(Sample &sample, rhumb_metric metric, uint32_t dim, Random &random) {
    sample.space = space_of(metric, RHUMB_ELEMENT_F32, dim);
    ASSERT_EQ(rhumb__coder_init(&sample.coder, &sample.space, 8), RHUMB_OK);
    for (uint32_t i = 0; i < kColumns; i++) {
        std::vector<float> vector(dim), row(sample.space.row_stride_bytes / sizeof(float) + 16);
        for (float &component : vector) component = float(3 * random.uniform() - 1);
        ASSERT_EQ(rhumb__space_prepare(&sample.space, vector.data(), row.data()), RHUMB_OK);
        std::vector<uint8_t> code(sample.coder.code_bytes);
        sample.coder.encoders.encode(&sample.coder, row.data(), code.data());
        sample.vectors.push_back(row);
        sample.codes.push_back(code);
    }
}

rhumb__tile compute(const Sample &sample, rhumb__tile_set set, float limit) {
    rhumb__tiler tiler;
    EXPECT_EQ(rhumb__tiler_init(&tiler, &sample.coder), RHUMB_OK);
    rhumb__tiler_use(&tiler, set);
    std::vector<uint8_t> rows(kRows * tiler.point_bytes), panel(tiler.panel_bytes);
    rhumb__tile_constants constants[kRows];
    rhumb__tile_columns columns;
    std::vector<const void *> codes;
    for (const auto &code : sample.codes) codes.push_back(code.data());
    for (uint32_t r = 0; r < kRows; r++)
        rhumb__tile_pack_row(&tiler, codes[r], rows.data() + r * tiler.point_bytes, &constants[r]);
    rhumb__tile_pack_panel(&tiler, codes.data(), kColumns, panel.data(), &columns);
    const std::vector<float> row_limits(kRows, limit), column_limits(kColumns, 2 * limit);
    const rhumb__tile_source source = {rows.data(), constants,         panel.data(),
                                       &columns,    row_limits.data(), column_limits.data()};
    rhumb__tile tile;
    tiler.compute(&tiler, &source, &tile);
    return tile;
}

TEST(Tile, HasTheSameBitsForAllInstructionsAndBothWays) {
    Random random(choose_seed());
    for (rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
        for (uint32_t dim : {1u, 2u, 3u, 4u, 5u, 31u, 64u, 97u, 784u}) {
            Sample sample;
            make(sample, metric, dim, random);
            const rhumb__tile expected = compute(sample, RHUMB__TILE_SCALAR, 1.0f);
            for (uint32_t a = 0; a < kRows; a++)
                for (uint32_t b = 0; b < kRows; b++) EXPECT_EQ(expected.estimates[a][b], expected.estimates[b][a]);
            for (int i = 0; i < RHUMB__TILE_SET_COUNT; i++) {
                const auto set = static_cast<rhumb__tile_set>(i);
                if (!rhumb__tile_set_runs(set)) continue;
                const rhumb__tile tile = compute(sample, set, 1.0f);
                EXPECT_EQ(memcmp(&tile, &expected, sizeof tile), 0)
                    << rhumb__tile_set_name(set) << ", " << dim << " dimensions";
            }
            for (uint32_t r = 0; r < kRows; r++) {
                for (uint32_t c = 0; c < kColumns; c++) {
                    EXPECT_EQ(expected.within_row[r] >> c & 1, expected.estimates[r][c] <= 1.0f);
                    EXPECT_EQ(expected.within_column[r] >> c & 1, expected.estimates[r][c] <= 2.0f);
                }
            }
        }
    }
}

TEST(Tile, IsNearTheSquaredDistances) {
    Random random(choose_seed());
    for (uint32_t dim : {3u, 96u, 784u}) {
        Sample sample;
        make(sample, RHUMB_METRIC_L2, dim, random);
        const rhumb__tile tile = compute(sample, RHUMB__TILE_SCALAR, 1.0f);
        for (uint32_t r = 0; r < kRows; r++) {
            for (uint32_t c = 0; c < kColumns; c++) {
                double square = 0;
                for (uint32_t i = 0; i < dim; i++) {
                    const double apart = double(sample.vectors[r][i]) - double(sample.vectors[c][i]);
                    square += apart * apart;
                }
                EXPECT_NEAR(tile.estimates[r][c], square, 0.02 * square + 0.001 * dim);
            }
        }
    }
}

} // namespace
