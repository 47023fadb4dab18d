/* chroma.c - the folder in which Chroma keeps the vectors of a segment: hnswlib's layout in three files.
 *
 *   header.bin       i32 version 1, then hnswlib's header
 *   data_level0.bin  rows, as many as the header's max_elements
 *   link_lists.bin   the lists of upper levels
 *   length.bin       lengths, which are not read
 *
 * Texts, ids and metadata are in Chroma's database, and are not read either. No locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/status.h"
#include "engine/exchange/source.h"

#define VERSION_BYTES 4u
#define MAX_ELEMENTS_OFFSET 12u
#define PATH_BYTES_MAX 4096u

static rhumb_status open_part(const rhumb__source *source, const char *name, rhumb__source_file **file_out) {
    char path[PATH_BYTES_MAX];
    const int length = snprintf(path, sizeof path, "%s/%s", source->path, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        return rhumb__fail_at(RHUMB_E_INVALID, source->path, RHUMB_OFFSET_NONE, "the name of the folder is too long");
    }
    return rhumb__source_file_open(path, file_out);
}

static rhumb_status open_chroma(rhumb__source *source) {
    rhumb_status status;
    const uint8_t *view = NULL;
    RHUMB_TRY(rhumb__source_settle_metric(source, 0));
    source->element = RHUMB_ELEMENT_F32;
    RHUMB_TRY(open_part(source, "header.bin", &source->file));
    RHUMB_TRY(open_part(source, "data_level0.bin", &source->other_file));
    RHUMB_TRY(open_part(source, "link_lists.bin", &source->third_file));
    RHUMB_TRY(rhumb__source_file_view(source->file, RHUMB__SOURCE_NUMBERS, 0, MAX_ELEMENTS_OFFSET + 8, &view));
    const uint32_t version = rhumb__load_u32(view);
    const uint64_t max_elements = rhumb__load_u64(view + MAX_ELEMENTS_OFFSET);
    if (version != 1) {
        status = rhumb__fail_at(RHUMB_E_UNSUPPORTED, source->file->path, 0,
                                "expected version 1 of Chroma's layout, found %u", version);
        goto done;
    }
    const rhumb__hnswlib_place place = {.header = source->file,
                                        .header_offset = VERSION_BYTES,
                                        .rows = source->other_file,
                                        .row_count_in_file = max_elements,
                                        .links = source->third_file};
    if (max_elements == 0) {
        status = rhumb__source_file_fail(source->file, MAX_ELEMENTS_OFFSET, "expected room for a vector at least");
        goto done;
    }
    RHUMB_TRY(rhumb__hnswlib_open_at(source, &place));
    strcpy(source->described, "Chroma");
    rhumb__source_note(source, "texts, ids and metadata stay in Chroma's database; keys are its numbers of vectors");
    if (source->metric == RHUMB_METRIC_COSINE) {
        rhumb__source_note(source, "Chroma keeps vectors under cosine at length 1: their own lengths are lost");
    }
done:
    return status;
}

const rhumb__source_format rhumb__source_chroma = {
    .name = "chroma",
    .open = open_chroma,
    .row = rhumb__hnswlib_row,
    .list = rhumb__hnswlib_list,
};
