/* salvage.h - what a damaged index still says: which of its slots hold a vector that can be saved, and under which key.
 *
 * A slot can be saved if its vector and its key are in intact chunks and it is alive. Two things can stand in for a
 * damaged chunk. Where the tombstones are damaged, the key table tells: a slot that it leads to is alive, one that an
 * intact bucket should have and has not is dead; about the others there is *doubt*, and they are taken. Where a chunk
 * of keys is damaged, a key that an intact bucket confirms (its number and eight bits of the hash agree) is taken
 * without *proof*; a wrong key passes with a probability of at most 1 in 2,048.
 *
 * If the table of chunk checksums is damaged, nothing can be proved. Then a vector is taken if it is finite, and what
 * its row holds besides is as it should be; a key, unless the key table has the slot where another key belongs; and
 * there is doubt about slots on which tombstones and key table disagree.
 *
 * Memory: some 9 bytes per slot. For one thread.
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
    rhumb__salvage_section sections[RHUMB__SECTION_ID_LIMIT]; /* by id; derived ones stay empty */
    bool older;             /* the version is not the newest that there was, or need not be */
    char version_note[512]; /* why, or "" */

    uint64_t *keys;       /* of all slots; 0 where they cannot be read */
    uint64_t *tombstones; /* as in the file */
    uint64_t *listed;     /* one bit per slot: some row of the key table that can be trusted has it... */
    uint64_t *keyed;      /* ...and it is where its key belongs */
    uint64_t *broken;     /* one bit per bucket: a part of it cannot be trusted */
    bool table_broken;    /* some bucket is */
} rhumb__salvage;

typedef enum rhumb__salvage_fate {
    RHUMB__SALVAGE_DEAD = 0, /* deleted; nothing is lost */
    RHUMB__SALVAGE_SAVED = 1,
    RHUMB__SALVAGE_LOST_VECTOR = 2,
    RHUMB__SALVAGE_LOST_KEY = 3 /* the vector is there, but nobody knows whose it is */
} rhumb__salvage_fate;

typedef struct rhumb__salvage_verdict {
    rhumb__salvage_fate fate;
    bool doubtful; /* it may have been deleted, or replaced */
    bool unproved; /* no checksum says that it is what it was */
} rhumb__salvage_verdict;

/* Opens a file and takes the newest version whose frame can be used. What rhumb__salvage_file_open returns; RHUMB_E_*
 * of the newest version when none can be used; RHUMB_E_VERSION; RHUMB_E_METRIC: `custom`, which may be NULL, is not the
 * function that its custom metric needs; RHUMB_E_NOMEM. */
rhumb_status rhumb__salvage_open(const char *path, const rhumb__custom_metric *custom,
                                 rhumb__salvage **salvage_out) RHUMB_NODISCARD;

/* Checks all chunks and reads keys, tombstones and key table. To be called once, before what follows. */
rhumb_status rhumb__salvage_load(rhumb__salvage *salvage) RHUMB_NODISCARD;

/* Judges a slot, whose row of the vectors section the caller has read. If it is saved, its row as it should be is in
 * `row` (row_bytes of the space). */
rhumb__salvage_verdict rhumb__salvage_judge(const rhumb__salvage *salvage, uint32_t slot, const uint8_t *stored_row,
                                            uint8_t *row);

/* Takes the entries out of a row of lists0 into `slots` (room for M0). False when the row can be no neighbour list of
 * that slot, or is in a damaged chunk. */
bool rhumb__salvage_read_list(const rhumb__salvage *salvage, uint32_t slot, const uint32_t *stored_row, uint32_t *slots,
                              uint32_t *count_out);

/* Reads rows of a section; zeros where the disk cannot. RHUMB_E_IO. */
rhumb_status rhumb__salvage_read_rows(rhumb__salvage *salvage, uint32_t section_id, uint64_t first_row,
                                      uint64_t row_count, void *rows) RHUMB_NODISCARD;

/* NULL is fine. */
void rhumb__salvage_close(rhumb__salvage *salvage);

#endif /* RHUMB_ENGINE_UPKEEP_REPAIR_SALVAGE_H */
