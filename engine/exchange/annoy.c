/* annoy.c - files of Annoy: rows of one size without a header. The first rows are the vectors, by their number; then
 * come the nodes of the trees, which are not read. The last row is the root of a tree, and says how many vectors there
 * are.
 *
 *   angular               i32 number of descendants, 8 bytes, f32 components
 *   euclidean, manhattan  i32, 4 + 8 bytes, f32 components
 *   dot                   i32, 8 bytes, f32, f32 components
 *   hamming               i32, 8 + 4 bytes, words of 64 bits
 *
 * Metric and dimension must be said by the caller. A row with no descendants is a number that was never used. No locks.
 */
#include <string.h>

#include "base/status.h"
#include "engine/exchange/source.h"

typedef struct annoy_layout {
    uint64_t head_bytes;
    uint64_t row_bytes;
} annoy_layout;

static annoy_layout layout_of(const rhumb__source *source) {
    const bool is_angular = source->metric == RHUMB_METRIC_COSINE;
    const uint64_t head_bytes = is_angular ? 12 : 16;
    const uint64_t vector_bytes = source->element == RHUMB_ELEMENT_B1 ? ((uint64_t)source->dim + 63) / 64 * 8
                                                                      : (uint64_t)source->dim * sizeof(float);
    return (annoy_layout){head_bytes, head_bytes + vector_bytes};
}

static rhumb_status check_asked(rhumb__source *source) {
    rhumb_status status = rhumb__source_settle_metric(source, 0);
    if (status != RHUMB_OK) return status;
    switch (source->metric) {
    case RHUMB_METRIC_COSINE:
    case RHUMB_METRIC_L2:
    case RHUMB_METRIC_L2SQ:
    case RHUMB_METRIC_L1:
    case RHUMB_METRIC_IP: source->element = RHUMB_ELEMENT_F32; break;
    case RHUMB_METRIC_HAMMING: source->element = RHUMB_ELEMENT_B1; break;
    default:
        return rhumb__fail_at(
            RHUMB_E_INVALID, source->path, RHUMB_OFFSET_NONE,
            "Annoy measures by cosine (angular), l2 (euclidean), l1 (manhattan), ip (dot) or hamming");
    }
    if (source->asked_dim == 0) {
        return rhumb__fail_at(RHUMB_E_INVALID, source->path, RHUMB_OFFSET_NONE,
                              "files of Annoy do not say their dimension; it must be named");
    }
    return rhumb__source_set_dim(source, source->asked_dim, RHUMB_OFFSET_NONE);
}

static rhumb_status open_annoy(rhumb__source *source) {
    rhumb_status status;
    const uint8_t *view = NULL;
    RHUMB_TRY(rhumb__source_file_open(source->path, &source->file));
    RHUMB_TRY(check_asked(source));
    const annoy_layout layout = layout_of(source);
    const uint64_t row_count = source->file->bytes / layout.row_bytes;
    if (row_count == 0 || source->file->bytes % layout.row_bytes != 0) {
        status = rhumb__source_file_fail(source->file, row_count * layout.row_bytes,
                                         "the file has %llu bytes, which are not rows of %llu; metric or dimension may "
                                         "be others",
                                         (unsigned long long)source->file->bytes, (unsigned long long)layout.row_bytes);
        goto done;
    }
    const uint64_t last = (row_count - 1) * layout.row_bytes;
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, last, sizeof(uint32_t), &view));
    const uint64_t count = rhumb__load_u32(view);
    if (count >= row_count) {
        status =
            rhumb__source_file_fail(source->file, last, "the last row has %llu vectors below it, the file %llu rows",
                                    (unsigned long long)count, (unsigned long long)row_count);
        goto done;
    }
    RHUMB_TRY(rhumb__source_set_count(source, count));
    strcpy(source->described, "Annoy");
    rhumb__source_note(source, "Annoy's trees are not carried over: the graph is made from the vectors");
done:
    return status;
}

static rhumb_status row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) {
    const annoy_layout layout = layout_of(source);
    const uint8_t *view = NULL;
    const uint64_t offset = index * layout.row_bytes;
    const rhumb_status status =
        rhumb__source_file_view(source->file, RHUMB__SOURCE_ROWS, offset, layout.row_bytes, &view);
    if (status != RHUMB_OK) return status;
    const uint32_t descendant_count = rhumb__load_u32(view);
    if (descendant_count > 1) {
        return rhumb__source_file_fail(source->file, offset,
                                       "row %u should be a vector, and has %u descendants; metric or dimension may be "
                                       "others",
                                       index, descendant_count);
    }
    *row_out = (rhumb__source_row){
        .vector = view + layout.head_bytes, .key = index, .has_key = true, .absent = descendant_count == 0};
    return RHUMB_OK;
}

const rhumb__source_format rhumb__source_annoy = {.name = "annoy", .open = open_annoy, .row = row};
