/* shard_members.h - the members of one shard in memory, when every vector has its slot.
 *
 * They are numbered by their slots, homes before guests: so what is near lies together, and heads come before their
 * copies.
 */
#ifndef RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_MEMBERS_H
#define RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_MEMBERS_H

#include "engine/upkeep/shards/shard_steps.h"

typedef struct rhumb__shard_members {
    uint64_t home_count;
    uint64_t count;
    uint32_t *slots; /* by number */
    uint8_t *rows;   /* by number, the space's row_stride_bytes each */
} rhumb__shard_members;

/* To be freed also after a failure. RHUMB_E_NOMEM, RHUMB_E_IO. */
rhumb_status rhumb__shard_members_read(const rhumb__shard_steps *steps, uint32_t shard,
                                       rhumb__shard_members *members) RHUMB_NODISCARD;

/* The number of the member that has a slot, or UINT64_MAX. */
uint64_t rhumb__shard_members_find(const rhumb__shard_members *members, uint32_t slot);

void rhumb__shard_members_free(rhumb__shard_members *members);

#endif /* RHUMB_ENGINE_UPKEEP_SHARDS_SHARD_MEMBERS_H */
