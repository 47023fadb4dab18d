/* tile.h - distances from many points to many points, by their codes of 8 bits: what building in bulk spends its time
 * on.
 *
 * A *tile* has the estimates from RHUMB__TILE_ROWS points, its rows, to RHUMB__TILE_COLUMNS others, its columns. Codes
 * are first packed: those of columns into *panels*, in which the digits of all columns at one place lie together, so
 * that a kernel loads a vector of them and multiplies it with one digit of each row. What is summed are integers, and
 * what is made of a sum is done in f32 in one order; so all instruction sets give the same bits, and the estimate from
 * a to b has those of the one from b to a.
 *
 * Under l2, l2sq and cosine an estimate is the squared distance of the decoded vectors (of length 1 under cosine),
 * under ip the linking distance (distances/link_kernels.h). They order pairs of points and are nothing else: a pair
 * whose numbers leave f32 has infinity or NaN, which are within no limit.
 *
 * A tiler is immutable and may be shared by threads. Only rhumb__tiler_init can fail.
 */
#ifndef RHUMB_DISTANCES_TILE_TILE_H
#define RHUMB_DISTANCES_TILE_TILE_H

#include <stddef.h>

#include "base/cpu.h"
#include "distances/code/coder.h"

enum { RHUMB__TILE_ROWS = 6, RHUMB__TILE_COLUMNS = 64, RHUMB__TILE_GROUP_BYTES = 4 };

/* The instructions that kernels of tiles are written for. */
typedef enum rhumb__tile_set {
    RHUMB__TILE_SCALAR,
    RHUMB__TILE_AVX2,
    RHUMB__TILE_AVX512,
    RHUMB__TILE_AVX512_VNNI
} rhumb__tile_set;

enum { RHUMB__TILE_SET_COUNT = RHUMB__TILE_AVX512_VNNI + 1 };

/* What an estimate is made of besides the digits: of one point. */
typedef struct rhumb__tile_constants {
    float origin, step;
    float weighted; /* step times the sum of the digits less their centre */
    float square;   /* step^2 times the sum of their squares; under ip the squared length */
    float root;     /* under ip the square root of the length */
    int32_t bias;   /* what a sum of products has too much, where digits are multiplied as they are */
} rhumb__tile_constants;

/* The same for the columns of a panel. */
typedef struct rhumb__tile_columns {
    float origins[RHUMB__TILE_COLUMNS];
    float steps[RHUMB__TILE_COLUMNS];
    float weighted[RHUMB__TILE_COLUMNS];
    float squares[RHUMB__TILE_COLUMNS];
    float roots[RHUMB__TILE_COLUMNS];
} rhumb__tile_columns;

/* What a tile is computed from. Rows and columns that there are not have limits below everything. */
typedef struct rhumb__tile_source {
    const uint8_t *rows; /* packed, one after another */
    const rhumb__tile_constants *row_constants;
    const uint8_t *panel;
    const rhumb__tile_columns *columns;
    const float *row_limits;    /* of RHUMB__TILE_ROWS */
    const float *column_limits; /* of RHUMB__TILE_COLUMNS */
} rhumb__tile_source;

typedef struct rhumb__tile {
    float estimates[RHUMB__TILE_ROWS][RHUMB__TILE_COLUMNS];
    uint64_t within_row[RHUMB__TILE_ROWS];    /* a bit per column: the estimate is at most the limit of the row */
    uint64_t within_column[RHUMB__TILE_ROWS]; /* a bit per column: it is at most the limit of that column */
} rhumb__tile;

typedef struct rhumb__tiler rhumb__tiler;

typedef void (*rhumb__tile_fn)(const rhumb__tiler *tiler, const rhumb__tile_source *source, rhumb__tile *tile);

struct rhumb__tiler {
    const rhumb__coder *coder;
    bool links_ip;        /* estimates are linking distances */
    bool widened;         /* digits are packed as numbers of 16 bits */
    uint32_t group_count; /* groups of RHUMB__TILE_GROUP_BYTES in a packed point */
    uint32_t point_bytes;
    uint32_t panel_bytes;
    rhumb__tile_fn compute;
};

/* Fills a tiler with sizes and with the kernel for this machine (RHUMB_SIMD lowers the choice). The coder stays the
 * caller's. RHUMB_E_UNSUPPORTED: its digits do not have 8 bits. */
rhumb_status rhumb__tiler_init(rhumb__tiler *tiler, const rhumb__coder *coder) RHUMB_NODISCARD;

/* Packs the code of a row into point_bytes. */
void rhumb__tile_pack_row(const rhumb__tiler *tiler, const void *code, uint8_t *row, rhumb__tile_constants *constants);

/* Packs the codes of the first `count` columns of a panel. The others get unspecified numbers, the same for all sets of
 * instructions. */
void rhumb__tile_pack_panel(const rhumb__tiler *tiler, const void *const *codes, uint32_t count, uint8_t *panel,
                            rhumb__tile_columns *columns);

/* Replaces the kernel by that of `set`, or by plain C where this build has none for it. Does not check the processor.
 * For tests and benchmarks; before anything is packed. */
void rhumb__tiler_use(rhumb__tiler *tiler, rhumb__tile_set set);

/* "scalar", "avx2", "avx512" or "avx512_vnni". */
const char *rhumb__tile_set_name(rhumb__tile_set set);

/* Whether this processor has the instructions, regardless of RHUMB_SIMD. */
bool rhumb__tile_set_runs(rhumb__tile_set set);

#endif /* RHUMB_DISTANCES_TILE_TILE_H */
