/* source.h - an index of another library as the importer sees it: vectors, keys, levels and lists by their position in
 * the file. Each format has one file that fills this in.
 *
 * A format's open function reads the header and whatever is needed to find everything else, checks all of it against
 * the length of the file, and allocates at most some bytes per vector that the file can hold. Positions of neighbours
 * are handed on as they are: the importer compares them with `count`.
 *
 * Threads: a source is for one thread.
 */
#ifndef RHUMB_ENGINE_EXCHANGE_SOURCE_H
#define RHUMB_ENGINE_EXCHANGE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/exchange/source_file.h"
#include "include/rhumb_types.h"

#define RHUMB__SOURCE_NONE UINT32_MAX       /* no position */
#define RHUMB__SOURCE_LIST_MAX 65536u       /* the longest list that is read */
#define RHUMB__SOURCE_COUNT_MAX 2147483647u /* rhumb's own limit */

/* The numbers are those of rhumb_import_format. */
typedef enum rhumb__source_kind {
    RHUMB__SOURCE_AUTO = 0,
    RHUMB__SOURCE_HNSWLIB = 1,
    RHUMB__SOURCE_CHROMA = 2,
    RHUMB__SOURCE_VOYAGER = 3,
    RHUMB__SOURCE_FAISS = 4,
    RHUMB__SOURCE_USEARCH = 5,
    RHUMB__SOURCE_HNSW_RS = 6,
    RHUMB__SOURCE_ANNOY = 7
} rhumb__source_kind;

#define RHUMB__SOURCE_KIND_COUNT 8u

/* One vector. */
typedef struct rhumb__source_row {
    const void *vector; /* components of the source's element type, at any address; valid until the next row */
    uint64_t key;
    bool has_key; /* false: there is a number, and it cannot be a key */
    bool deleted;
    bool absent; /* a position without a vector */
} rhumb__source_row;

typedef struct rhumb__source rhumb__source;

typedef struct rhumb__source_format {
    const char *name;
    /* Whether a file looks like one of this format. NULL: the content does not say it. */
    bool (*recognise)(rhumb__source_file *file);
    rhumb_status (*open)(rhumb__source *source);
    rhumb_status (*row)(rhumb__source *source, uint32_t index, rhumb__source_row *row_out);
    /* Reads the list of a node on a level; at most RHUMB__SOURCE_LIST_MAX neighbours. Not called without links. */
    rhumb_status (*list)(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                         uint32_t *count_out);
} rhumb__source_format;

struct rhumb__source {
    const rhumb__source_format *format;
    rhumb__source_kind kind;
    const char *path; /* as the caller named it */

    /* What the caller says, where the file does not: 0 is nothing. */
    rhumb_metric asked_metric;
    rhumb_element asked_element;
    uint32_t asked_dim;

    /* What open finds. */
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;
    uint32_t count;
    bool has_links;
    bool lists_above; /* nodes have lists on all levels, also above their own, and the source walks them */
    uint32_t M;
    uint32_t M0;
    uint32_t ef_construction;
    double level_scale; /* 0: 1 */
    uint32_t entry;     /* RHUMB__SOURCE_NONE: there is no entry point */
    uint8_t *levels;    /* by position; NULL without links */
    char described[96]; /* what the file is, in a few words */
    char notes[1024];   /* what is not carried over, a line each */

    /* What the format needs. */
    rhumb__source_file *file;
    rhumb__source_file *other_file;
    rhumb__source_file *third_file;
    uint64_t *offsets; /* by position; NULL or of the format's meaning */
    void *row_buffer;  /* for a row that is converted */
    void *state;       /* allocated by open, of one block */
};

/* What a caller says of a source. */
typedef struct rhumb__source_spec {
    const char *path;
    rhumb__source_kind kind;
    rhumb_metric metric;
    rhumb_element element;
    uint32_t dim;
} rhumb__source_spec;

/* Opens a source, of the kind that its beginning shows unless one is given. RHUMB_E_UNSUPPORTED: the kind cannot be
 * recognised, or the file has what rhumb cannot have. RHUMB_E_INVALID: the caller must say what the file does not, or
 * says otherwise. RHUMB_E_CORRUPT, RHUMB_E_TRUNCATED, RHUMB_E_FULL, and what opening a file returns. The source is to
 * be closed in every case. */
rhumb_status rhumb__source_open(const rhumb__source_spec *spec, rhumb__source *source) RHUMB_NODISCARD;

void rhumb__source_close(rhumb__source *source);

/* The format with that number, or NULL. */
const rhumb__source_format *rhumb__source_format_of(rhumb__source_kind kind);

/* ---- for the formats ---- */

extern const rhumb__source_format rhumb__source_hnswlib, rhumb__source_chroma, rhumb__source_voyager,
    rhumb__source_faiss, rhumb__source_usearch, rhumb__source_hnsw_rs, rhumb__source_annoy;

/* Adds a line to the notes; what has no room is left out. */
void rhumb__source_note(rhumb__source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Checks and sets the number of vectors, of which each takes at least one byte of the file. RHUMB_E_FULL. */
rhumb_status rhumb__source_set_count(rhumb__source *source, uint64_t count) RHUMB_NODISCARD;

/* Allocates an array with an element for each vector. RHUMB_E_NOMEM. */
rhumb_status rhumb__source_allocate(const rhumb__source *source, uint64_t element_bytes,
                                    void *array_out) RHUMB_NODISCARD;

/* Settles the metric: `found` is what the file says, 0 if it says nothing. Then the caller must say it; otherwise the
 * caller may. RHUMB_E_INVALID. */
rhumb_status rhumb__source_settle_metric(rhumb__source *source, rhumb_metric found) RHUMB_NODISCARD;

/* Bytes of a vector of `dim` components. */
uint64_t rhumb__source_vector_bytes(rhumb_element element, uint64_t dim);

/* Checks `dim`, which is at least 1. RHUMB_E_UNSUPPORTED: more than rhumb has. RHUMB_E_CORRUPT. */
rhumb_status rhumb__source_set_dim(rhumb__source *source, uint64_t dim, uint64_t offset) RHUMB_NODISCARD;

/* hnswlib's own layout, which Chroma and Voyager put into other files. */
typedef struct rhumb__hnswlib_place {
    rhumb__source_file *header;
    uint64_t header_offset;
    rhumb__source_file *rows;
    uint64_t rows_offset;
    uint64_t row_count_in_file; /* 0: as many as there are vectors, followed by the links in the same file */
    rhumb__source_file *links;
    uint32_t hidden_count; /* components at the end of each vector that are the library's own */
} rhumb__hnswlib_place;

/* Reads it. The source's metric is settled; its element type is set. */
rhumb_status rhumb__hnswlib_open_at(rhumb__source *source, const rhumb__hnswlib_place *place) RHUMB_NODISCARD;
rhumb_status rhumb__hnswlib_row(rhumb__source *source, uint32_t index, rhumb__source_row *row_out) RHUMB_NODISCARD;
rhumb_status rhumb__hnswlib_list(rhumb__source *source, uint32_t index, uint32_t level, uint32_t *neighbours,
                                 uint32_t *count_out) RHUMB_NODISCARD;

#endif /* RHUMB_ENGINE_EXCHANGE_SOURCE_H */
