/* visited.h - the set of slots that a search has visited. Clearing it is one addition, whatever the size of the index.
 *
 * A word holds one bit for each of 64 slots and the number of the search that wrote it last; bits that another search
 * wrote are taken as 0. That makes a quarter of a byte per slot (VSAG's visited list has the same shape). Belongs to
 * one thread at a time.
 */
#ifndef RHUMB_ENGINE_SEARCH_WALK_VISITED_H
#define RHUMB_ENGINE_SEARCH_WALK_VISITED_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

typedef struct rhumb__visited_word {
    uint64_t bits;
    uint64_t search;
} rhumb__visited_word;

typedef struct rhumb__visited {
    rhumb__visited_word *words;
    uint64_t word_count;
    uint64_t search; /* never 0 after the first clear, so zeroed words belong to no search */
} rhumb__visited;

/* Empties the set. */
static inline void rhumb__visited_clear(rhumb__visited *visited) { visited->search++; }

/* Makes room for slots below `slot_limit`, and keeps what is in the set. RHUMB_E_NOMEM. */
static inline rhumb_status rhumb__visited_reserve(rhumb__visited *visited, uint64_t slot_limit) {
    const uint64_t needed_count = slot_limit / 64 + 1;
    if (needed_count <= visited->word_count) return RHUMB_OK;
    const uint64_t word_count = needed_count + needed_count / 2;
    rhumb__visited_word *words = rhumb__alloc_resize(visited->words, word_count, sizeof *words);
    if (words == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a set of visited slots");
    memset(words + visited->word_count, 0, (word_count - visited->word_count) * sizeof *words);
    visited->words = words;
    visited->word_count = word_count;
    return RHUMB_OK;
}

/* Adds a slot, for which there is room; returns whether it was in the set already. */
static inline bool rhumb__visited_add(const rhumb__visited *visited, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot / 64 < visited->word_count);
    rhumb__visited_word *word = &visited->words[slot / 64];
    const uint64_t bit = UINT64_C(1) << (slot % 64);
    const uint64_t bits = word->search == visited->search ? word->bits : 0;
    word->search = visited->search;
    word->bits = bits | bit;
    return (bits & bit) != 0;
}

/* Takes a slot, for which there is room, out of the set; returns whether it was in it. */
static inline bool rhumb__visited_remove(const rhumb__visited *visited, uint32_t slot) {
    RHUMB_ASSERT_DEBUG(slot / 64 < visited->word_count);
    rhumb__visited_word *word = &visited->words[slot / 64];
    const uint64_t bit = UINT64_C(1) << (slot % 64);
    if (word->search != visited->search || (word->bits & bit) == 0) return false;
    word->bits &= ~bit;
    return true;
}

#endif /* RHUMB_ENGINE_SEARCH_WALK_VISITED_H */
