/* salvage.h - reads a damaged index: which slots hold a vector that can be saved, and under which key.
 *
 * A slot can be saved if it is alive and its vector and its key are in intact chunks. Two things can substitute for a
 * damaged chunk. Where the tombstones are damaged, the key table decides: a slot that it leads to is alive; a slot that
 * an intact bucket should have and does not have is dead; the others are *doubtful*, and saved. Where a chunk of keys
 * is damaged, a key that an intact bucket confirms (its number and eight bits of the hash agree) is accepted
 * *unproved*; a wrong key passes with a probability of at most 1 in 2,048.
 *
 * If the table of chunk checksums is damaged, nothing can be proved. Then a vector is accepted if it is finite and the
 * rest of its row is as it should be, and a key unless the key table has the slot where another key belongs; slots on
 * which tombstones and key table disagree are doubtful.
 *
 * Memory: about 9 bytes per slot. For one thread.
 */
#ifndef RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_H
#define RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_H

#include "engine/graph/graph.h"
#include "engine/upkeep/repair/salvage_file.h"

typedef struct rhumb__salvage {
    rhumb__salvage_file *file;
    rhumb__params params;
    rhumb__counts counts;
    rhumb__space space;
    rhumb__salvage_section sections[RHUMB__SECTION_ID_LIMIT]; /* by id; derived ones are not read */
    bool older;             /* the version is not the newest that there was, or need not be */
    char version_note[512]; /* why, or "" */

    uint64_t *keys;       /* of all slots; 0 where a key cannot be read */
    uint64_t *tombstones; /* as in the file */
    uint64_t *listed;     /* one bit per slot: a row of the key table that can be trusted lists it */
    uint64_t *keyed;      /* one bit per slot: such a row lists it where its key belongs */
    uint64_t *broken;     /* one bit per bucket: a part of it cannot be trusted */
    bool table_broken;    /* at least one bucket is broken */
} rhumb__salvage;

typedef enum rhumb__salvage_fate {
    RHUMB__SALVAGE_DEAD = 0, /* deleted; nothing is lost */
    RHUMB__SALVAGE_SAVED = 1,
    RHUMB__SALVAGE_LOST_VECTOR = 2,
    RHUMB__SALVAGE_LOST_KEY = 3 /* the vector is intact, but its key is unknown */
} rhumb__salvage_fate;

typedef struct rhumb__salvage_verdict {
    rhumb__salvage_fate fate;
    bool doubtful; /* it may have been deleted, or replaced */
    bool unproved; /* no checksum confirms it */
} rhumb__salvage_verdict;

/* Opens a file and selects the newest version whose frame can be used. `custom` may be NULL. RHUMB_E_METRIC: it is not
 * the function that the custom metric of the index needs. RHUMB_E_VERSION, RHUMB_E_NOMEM, what rhumb__salvage_file_open
 * returns; when no version can be used, the failure of the newest one. */
rhumb_status rhumb__salvage_open(const char *path, const rhumb__custom_metric *custom,
                                 rhumb__salvage **salvage_out) RHUMB_NODISCARD;

/* Checks all chunks and reads keys, tombstones and key table. Call it once, before the functions below. `progress` is
 * advanced by one for each chunk. RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_CANCELLED. */
rhumb_status rhumb__salvage_load(rhumb__salvage *salvage, rhumb__progress *progress) RHUMB_NODISCARD;

/* The chunks that loading checks. */
uint64_t rhumb__salvage_chunk_count(const rhumb__salvage *salvage);

/* Judges a slot; `stored_row` is its row of the vectors section as it was read. If the slot can be saved, `row`
 * (row_bytes of the space) gets its row as it should be. */
rhumb__salvage_verdict rhumb__salvage_judge(const rhumb__salvage *salvage, uint32_t slot, const uint8_t *stored_row,
                                            uint8_t *row);

/* Copies the entries of a row of lists0 to `slots` (room for M0). Returns false when the row is in a damaged chunk or
 * cannot be the neighbour list of that slot. */
bool rhumb__salvage_read_list(const rhumb__salvage *salvage, uint32_t slot, const uint32_t *stored_row, uint32_t *slots,
                              uint32_t *count_out);

/* Reads rows of a section; bytes that cannot be read are zeros. RHUMB_E_IO. */
rhumb_status rhumb__salvage_read_rows(rhumb__salvage *salvage, uint32_t section_id, uint64_t first_row,
                                      uint64_t row_count, void *rows) RHUMB_NODISCARD;

/* NULL is fine. */
void rhumb__salvage_close(rhumb__salvage *salvage);

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_H */
