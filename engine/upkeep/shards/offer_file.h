/* offer_file.h - lists that shards offer their members, until all shards have made theirs.
 *
 * An offer is the neighbours that one shard has found for one node, with their distances. What the homes of a shard are
 * offered lies together in a scratch file, in the order in which the shards made it.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_OFFER_FILE_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_OFFER_FILE_H

#include "engine/upkeep/shards/division.h"
#include "storage/scratch_file.h"

/* The beginning of an offer; its candidates follow, by their slots, in room for as many as a list has. */
typedef struct rhumb__offer {
    uint32_t slot; /* of the node */
    uint32_t count;
    rhumb__candidate candidates[];
} rhumb__offer;

typedef struct rhumb__offer_file {
    rhumb__scratch_file file;
    uint64_t offer_bytes;
    uint64_t *begins; /* of each home shard its first offer, and the end of the last, if all that may come do */
    uint64_t *ends;   /* of those that have come */
} rhumb__offer_file;

/* `path` is next to where the file is, and stays. To be closed also after a failure. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__offer_file_open(rhumb__offer_file *file, const char *path, const rhumb__division *division,
                                    uint32_t capacity) RHUMB_NODISCARD;

static inline rhumb__offer *rhumb__offer_at(const rhumb__offer_file *file, uint8_t *offers, uint64_t i) {
    return (rhumb__offer *)(void *)(offers + i * file->offer_bytes);
}

/* Adds offers for homes of a shard. RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__offer_file_add(rhumb__offer_file *file, uint32_t shard, const uint8_t *offers,
                                   uint64_t count) RHUMB_NODISCARD;

/* How many the homes of a shard have been made. */
static inline uint64_t rhumb__offer_file_count(const rhumb__offer_file *file, uint32_t shard) {
    return file->ends[shard] - file->begins[shard];
}

/* Reads all of them. RHUMB_E_IO. */
rhumb_status rhumb__offer_file_read(const rhumb__offer_file *file, uint32_t shard, uint8_t *offers) RHUMB_NODISCARD;

void rhumb__offer_file_close(rhumb__offer_file *file);

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_OFFER_FILE_H */
