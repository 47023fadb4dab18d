/* checkpoint.c - see checkpoint.h.
 *
 * A version is a number of slots: C. It holds the slots below C whole and knows nothing of those above. To get there
 * while inserts go on:
 *   1. Under append_lock, read C and all counts that belong to it. Inserts from now on get slots from C up.
 *   2. Wait until the inserts below C have finished. They were under way, so this takes as long as one insert does.
 *   3. Hold up deletes and upserts, which reach back below C, and the growth of the key table: a split moves entries
 * between chunks, of which one may be copied already. Inserts go on in the buckets as they are.
 *   4. The store copies chunk by chunk under the chunk's lock; the filter below removes from each copy what belongs to
 * slots from C up. A chunk that lost something that way stays dirty, because memory has more than the file. A list that
 * lost a link to a slot above C may have dropped another for it when it was pruned, so the image's list can be a link
 * shorter than it might be. It is still a sound list.
 *
 * Locks: checkpoint_lock, then removal_lock, then key_table.split_lock, then what the store takes.
 */
#include "engine/checkpoint.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/status.h"
#include "engine/insert.h"
#include "engine/tombstones.h"

static bool is_zero(const uint8_t *bytes, size_t bytes_count) {
    for (size_t i = 0; i < bytes_count; i++) {
        if (bytes[i] != 0) return false;
    }
    return true;
}

/* Removes slots from `slot_limit` up from a list of the copy; the rest moves together. */
static bool filter_list(uint32_t *slots, uint32_t capacity, uint64_t slot_limit) {
    uint32_t kept_count = 0;
    uint32_t count = 0;
    for (; count < capacity && slots[count] != RHUMB__SLOT_NONE; count++) {
        if (slots[count] < slot_limit) slots[kept_count++] = slots[count];
    }
    for (uint32_t i = kept_count; i < count; i++) slots[i] = RHUMB__SLOT_NONE;
    return kept_count != count;
}

static bool filter_bucket(rhumb__key_bucket *bucket, const rhumb__counts *counts) {
    bool changed = false;
    const uint32_t count = bucket->count < RHUMB__KEY_BUCKET_PLACES ? bucket->count : RHUMB__KEY_BUCKET_PLACES;
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (bucket->slots[i] >= counts->slot_count) continue;
        bucket->slots[kept_count] = bucket->slots[i];
        bucket->tags[kept_count] = bucket->tags[i];
        kept_count++;
    }
    if (kept_count != bucket->count) {
        memset(bucket->slots + kept_count, 0, (RHUMB__KEY_BUCKET_PLACES - kept_count) * sizeof(uint32_t));
        memset(bucket->tags + kept_count, 0, RHUMB__KEY_BUCKET_PLACES - kept_count);
        bucket->count = kept_count;
        changed = true;
    }
    if (bucket->next > counts->key_overflow_count) {
        bucket->next = 0;
        changed = true;
    }
    return changed;
}

/* The store's filter: what the version does not know is taken out of the copy. The store itself clears rows behind the
 * published ones; they count as a change when they were in use. */
static bool filter_rows(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                        uint64_t row_count) {
    const rhumb__counts *counts = context;
    bool changed = false;
    for (uint64_t i = 0; i < row_count; i++) {
        uint8_t *row = rows + i * section->row_stride_bytes;
        uint64_t row_limit = 0;
        switch (section->spec.id) {
        case RHUMB__SECTION_LISTS0: row_limit = counts->slot_count; break;
        case RHUMB__SECTION_LISTS_UPPER: row_limit = counts->upper_row_count; break;
        case RHUMB__SECTION_TOMBSTONES: row_limit = rhumb__tombstone_row_count(counts->slot_count); break;
        case RHUMB__SECTION_KEY_BUCKETS: row_limit = counts->key_bucket_count; break;
        default: row_limit = counts->key_overflow_count; break;
        }
        if (first_row + i >= row_limit) {
            changed = changed || !is_zero(row, section->row_stride_bytes);
            continue;
        }
        /* No node from slot_count up can have been deleted: deletes wait while a version is copied. */
        if (section->spec.id == RHUMB__SECTION_TOMBSTONES) continue;
        if (section->spec.id == RHUMB__SECTION_LISTS0 || section->spec.id == RHUMB__SECTION_LISTS_UPPER) {
            changed = filter_list((uint32_t *)row, (uint32_t)(section->row_stride_bytes / sizeof(uint32_t)),
                                  counts->slot_count) ||
                      changed;
        } else {
            changed = filter_bucket((rhumb__key_bucket *)row, counts) || changed;
        }
    }
    return changed;
}

/* Steps 1 to 3, except that split_lock is held by the caller already. */
static void fix_counts(rhumb__graph *graph, rhumb__counts *counts) {
    pthread_mutex_lock(&graph->append_lock);
    *counts = graph->counts;
    pthread_mutex_unlock(&graph->append_lock);
    rhumb__graph_wait_inserted(graph, counts->slot_count);
    counts->dead_count = atomic_load(&graph->dead_count);
    counts->key_bucket_count = atomic_load_explicit(&graph->key_table.bucket_count, memory_order_acquire);
    pthread_mutex_lock(&graph->key_table.overflow_lock);
    counts->key_overflow_count = graph->key_table.overflow_count;
    pthread_mutex_unlock(&graph->key_table.overflow_lock);
}

static rhumb_status publish(rhumb__graph *graph, rhumb__counts *counts) {
    rhumb__publication *publication = rhumb__alloc_zeroed(1, sizeof *publication);
    if (publication == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a checkpoint");
    /* In the order in which graph.c attaches the sections. */
    const uint64_t row_counts[] = {counts->slot_count,         counts->slot_count,
                                   counts->slot_count,         counts->slot_count,
                                   counts->upper_row_count,    counts->key_bucket_count,
                                   counts->key_overflow_count, rhumb__tombstone_row_count(counts->slot_count)};
    memcpy(publication->row_counts, row_counts, sizeof row_counts);
    rhumb__params_encode(&graph->params, counts, publication->client);
    publication->filter = filter_rows;
    publication->filter_context = counts;
    const uint64_t begin_ns = rhumb__clock_now_ns();
    rhumb_status status = rhumb__store_publish(graph->store, publication);
    if (status == RHUMB_OK) {
        graph->published_slot_count = counts->slot_count;
        graph->published_dead_count = counts->dead_count;
        graph->checkpoint_count++;
        graph->checkpoint_bytes = publication->written_bytes;
        graph->checkpoint_ns = rhumb__clock_now_ns() - begin_ns;
    }
    rhumb__free(publication);
    return status;
}

rhumb_status rhumb__checkpoint(rhumb__graph *graph) {
    rhumb_status status = RHUMB_OK;
    rhumb__counts counts;
    pthread_mutex_lock(&graph->checkpoint_lock);
    pthread_rwlock_wrlock(&graph->removal_lock);
    pthread_mutex_lock(&graph->key_table.split_lock);
    fix_counts(graph, &counts);
    if (counts.slot_count != graph->published_slot_count || counts.dead_count != graph->published_dead_count) {
        status = publish(graph, &counts);
    }
    pthread_mutex_unlock(&graph->key_table.split_lock);
    pthread_rwlock_unlock(&graph->removal_lock);
    pthread_mutex_unlock(&graph->checkpoint_lock);
    return status;
}

rhumb_status rhumb__checkpoint_first(rhumb__graph *graph) {
    rhumb__counts counts;
    pthread_mutex_lock(&graph->checkpoint_lock);
    fix_counts(graph, &counts);
    rhumb_status status = publish(graph, &counts);
    pthread_mutex_unlock(&graph->checkpoint_lock);
    return status;
}
