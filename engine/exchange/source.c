/* source.c - see source.h: which format a file has, and what the formats share.
 *
 * Owns nothing; a source owns its files and arrays, whichever format has put them there. No locks.
 */
#include "engine/exchange/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/status.h"
#include "distances/element.h"

/* In the order in which a file is tried: those with a magic number first. */
static const struct {
    rhumb__source_kind kind;
    const rhumb__source_format *format;
} formats[] = {
    {RHUMB__SOURCE_VOYAGER, &rhumb__source_voyager}, {RHUMB__SOURCE_HNSW_RS, &rhumb__source_hnsw_rs},
    {RHUMB__SOURCE_FAISS, &rhumb__source_faiss},     {RHUMB__SOURCE_USEARCH, &rhumb__source_usearch},
    {RHUMB__SOURCE_HNSWLIB, &rhumb__source_hnswlib}, {RHUMB__SOURCE_CHROMA, &rhumb__source_chroma},
    {RHUMB__SOURCE_ANNOY, &rhumb__source_annoy},
};
#define FORMAT_COUNT (sizeof formats / sizeof formats[0])

const rhumb__source_format *rhumb__source_format_of(rhumb__source_kind kind) {
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        if (formats[i].kind == kind) return formats[i].format;
    }
    return NULL;
}

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text);
    const size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

/* What the name says: a folder is Chroma's, and hnsw_rs has two files whose names end in a certain way. */
static rhumb__source_kind kind_of_name(const char *path) {
    struct stat found;
    if (stat(path, &found) == 0) {
        if (S_ISDIR(found.st_mode)) return RHUMB__SOURCE_CHROMA;
        if (ends_with(path, ".hnsw.graph") || ends_with(path, ".hnsw.data")) return RHUMB__SOURCE_HNSW_RS;
        return RHUMB__SOURCE_AUTO;
    }
    char graph_path[4096];
    const int length = snprintf(graph_path, sizeof graph_path, "%s.hnsw.graph", path);
    const bool fits = length > 0 && (size_t)length < sizeof graph_path;
    return fits && stat(graph_path, &found) == 0 ? RHUMB__SOURCE_HNSW_RS : RHUMB__SOURCE_AUTO;
}

/* A file that cannot be read is not recognised; opening it by its format says why. */
static rhumb_status recognise(const char *path, rhumb__source_kind *kind_out) {
    rhumb_error before;
    rhumb__source_file *file = NULL;
    rhumb_status status = rhumb__source_file_open(path, &file);
    if (status != RHUMB_OK) return status;
    rhumb__error_save(&before);
    for (size_t i = 0; i < FORMAT_COUNT && *kind_out == RHUMB__SOURCE_AUTO; i++) {
        if (formats[i].format->recognise != NULL && formats[i].format->recognise(file)) *kind_out = formats[i].kind;
    }
    rhumb__error_restore(&before);
    rhumb__source_file_close(file);
    if (*kind_out != RHUMB__SOURCE_AUTO) return RHUMB_OK;
    return rhumb__fail_at(
        RHUMB_E_UNSUPPORTED, path, 0,
        "the file does not begin as one of hnswlib, Voyager, FAISS, USearch or hnsw_rs does; files of "
        "Annoy have no beginning of their own, so name the format");
}

rhumb_status rhumb__source_open(const rhumb__source_spec *spec, rhumb__source *source) {
    rhumb_status status = RHUMB_OK;
    *source = (rhumb__source){.path = spec->path,
                              .kind = spec->kind,
                              .asked_metric = spec->metric,
                              .asked_element = spec->element,
                              .asked_dim = spec->dim,
                              .entry = RHUMB__SOURCE_NONE};
    if (source->kind == RHUMB__SOURCE_AUTO) source->kind = kind_of_name(spec->path);
    if (source->kind == RHUMB__SOURCE_AUTO) status = recognise(spec->path, &source->kind);
    if (status != RHUMB_OK) return status;
    source->format = rhumb__source_format_of(source->kind);
    status = source->format->open(source);
    if (status == RHUMB_OK && spec->dim != 0 && spec->dim != source->dim) {
        status = rhumb__fail_at(RHUMB_E_INVALID, spec->path, RHUMB_OFFSET_NONE,
                                "dim: %u was asked for, the file has %u", spec->dim, source->dim);
    }
    if (status == RHUMB_OK && spec->element != 0 && spec->element != source->element) {
        status =
            rhumb__fail_at(RHUMB_E_INVALID, spec->path, RHUMB_OFFSET_NONE, "element: %s was asked for, the file has %s",
                           rhumb__element_name(spec->element), rhumb__element_name(source->element));
    }
    return status;
}

void rhumb__source_close(rhumb__source *source) {
    rhumb__source_file_close(source->file);
    rhumb__source_file_close(source->other_file);
    rhumb__source_file_close(source->third_file);
    rhumb__free(source->levels);
    rhumb__free(source->offsets);
    rhumb__free(source->row_buffer);
    rhumb__free(source->state);
    *source = (rhumb__source){.kind = RHUMB__SOURCE_AUTO};
}

void rhumb__source_note(rhumb__source *source, const char *format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const size_t length = strlen(source->notes);
    if (length + strlen(line) + 2 > sizeof source->notes) return;
    snprintf(source->notes + length, sizeof source->notes - length, "%s%s", length > 0 ? "\n" : "", line);
}

rhumb_status rhumb__source_set_count(rhumb__source *source, uint64_t count) {
    if (count > RHUMB__SOURCE_COUNT_MAX) {
        return rhumb__fail_at(RHUMB_E_FULL, source->path, RHUMB_OFFSET_NONE,
                              "the file has %llu vectors, an index can have %u", (unsigned long long)count,
                              RHUMB__SOURCE_COUNT_MAX);
    }
    source->count = (uint32_t)count;
    return RHUMB_OK;
}

rhumb_status rhumb__source_allocate(const rhumb__source *source, uint64_t element_bytes, void *array_out) {
    const uint64_t count = source->count > 0 ? source->count : 1;
    void *array = rhumb__alloc_zeroed(count, element_bytes);
    memcpy(array_out, &array, sizeof array);
    if (array != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading %u vectors of %s", source->count, source->path);
}

rhumb_status rhumb__source_settle_metric(rhumb__source *source, rhumb_metric found) {
    source->metric = source->asked_metric != 0 ? source->asked_metric : found;
    if (source->metric != 0) return RHUMB_OK;
    return rhumb__fail_at(RHUMB_E_INVALID, source->path, RHUMB_OFFSET_NONE,
                          "files of %s do not say which metric they are for; it must be named", source->format->name);
}

uint64_t rhumb__source_vector_bytes(rhumb_element element, uint64_t dim) {
    return (dim * rhumb__element_bits(element) + 7) / 8;
}

rhumb_status rhumb__source_set_dim(rhumb__source *source, uint64_t dim, uint64_t offset) {
    if (dim == 0 || dim > RHUMB_DIM_MAX) {
        return rhumb__fail_at(dim == 0 ? RHUMB_E_CORRUPT : RHUMB_E_UNSUPPORTED, source->file->path, offset,
                              "expected a dimension of 1 to %u, found %llu", RHUMB_DIM_MAX, (unsigned long long)dim);
    }
    source->dim = (uint32_t)dim;
    return RHUMB_OK;
}
