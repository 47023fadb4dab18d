/* shard_steps.h - what is done with each shard of a whole, one after the other: its homes get their slots; when every
 * vector has one, its members are offered lists; and when all offers are there, its homes choose among theirs.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_STEPS_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_STEPS_H

#include "engine/graph/graph.h"
#include "engine/upkeep/shards/offer_file.h"
#include "engine/upkeep/shards/shard_file.h"

typedef struct rhumb__shard_steps {
    rhumb__graph *graph; /* no other thread knows it */
    const rhumb__shard_file *file;
    rhumb__offer_file *offers;
    uint32_t *slots;       /* by row of the source */
    uint32_t *first_slots; /* of the homes of each shard, and the end of the last */
    uint32_t thread_count;
    rhumb__progress *progress;
    uint64_t unwritten_count; /* vectors that are placed and not written ahead */
    uint64_t written_bytes;
} rhumb__shard_steps;

/* Places the homes of a shard: near ones get slots that follow each other, and copies of a vector come after all heads
 * of the shard and hang on theirs. What is placed is written ahead. RHUMB_E_EXISTS: a key is there twice.
 * RHUMB_E_NOMEM, RHUMB_E_FULL, RHUMB_E_CANCELLED, RHUMB_E_IO, RHUMB_E_NOSPACE. */
rhumb_status rhumb__shard_place(rhumb__shard_steps *steps, uint32_t shard) RHUMB_NODISCARD;

/* Plans the lists of level 0 of a shard, and offers them to its members. RHUMB_E_NOMEM, RHUMB_E_CANCELLED, RHUMB_E_IO,
 * RHUMB_E_NOSPACE. */
rhumb_status rhumb__shard_offer(rhumb__shard_steps *steps, uint32_t shard) RHUMB_NODISCARD;

/* Gives the homes of a shard the best of what they are offered, and links of the level above. RHUMB_E_NOMEM,
 * RHUMB_E_CANCELLED, RHUMB_E_IO. */
rhumb_status rhumb__shard_choose(rhumb__shard_steps *steps, uint32_t shard) RHUMB_NODISCARD;

/* Of the steps within: their progress is not that of the caller. */
rhumb__bulk_run rhumb__shard_run(const rhumb__shard_steps *steps);

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_STEPS_H */
