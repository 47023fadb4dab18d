/* carry.c - see carry.h.
 *
 * Owns the list. Locking: its own lock, innermost, for a few instructions, and sometimes while the list grows.
 */
#include "engine/build/carry.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

static bool has_room(rhumb__carry *carry) {
    rhumb__mutex_assert_held(&carry->lock);
    RHUMB_ASSERT_DEBUG(carry->count <= carry->capacity);
    if (carry->count < carry->capacity) return true;
    const uint64_t capacity = carry->capacity == 0 ? 1024 : carry->capacity * 2;
    rhumb__carry_item *items = rhumb__alloc_resize(carry->items, capacity, sizeof *items);
    if (items == NULL) return false;
    carry->items = items;
    carry->capacity = capacity;
    return true;
}

void rhumb__carry_note(rhumb__carry *carry, const rhumb__carry_item *item) {
    RHUMB_ASSERT_DEBUG(item->type == RHUMB__LOG_INSERT || item->type == RHUMB__LOG_UPSERT ||
                       item->type == RHUMB__LOG_DELETE);
    if (!atomic_load_explicit(&carry->recording, memory_order_relaxed)) return;
    RHUMB_ASSERT_DEBUG(item->lsn != 0);
    rhumb__mutex_lock(&carry->lock);
    carry->lost = carry->lost || !has_room(carry);
    if (!carry->lost) {
        carry->items[carry->count++] = *item;
    }
    rhumb__mutex_unlock(&carry->lock);
}

rhumb_status rhumb__carry_take(rhumb__carry *carry, rhumb__carry_item **items_out, uint64_t *count_out) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_lock(&carry->lock);
    if (carry->lost) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory to note what changes during a compaction");
    } else {
        *items_out = carry->items;
        *count_out = carry->count;
        carry->items = NULL;
        carry->count = 0;
        carry->capacity = 0;
    }
    rhumb__mutex_unlock(&carry->lock);
    return status;
}

uint64_t rhumb__carry_count(rhumb__carry *carry) {
    rhumb__mutex_lock(&carry->lock);
    const uint64_t count = carry->count;
    rhumb__mutex_unlock(&carry->lock);
    return count;
}

void rhumb__carry_clear(rhumb__carry *carry) {
    rhumb__mutex_lock(&carry->lock);
    rhumb__free(carry->items);
    carry->items = NULL;
    carry->count = 0;
    carry->capacity = 0;
    carry->lost = false;
    rhumb__mutex_unlock(&carry->lock);
}
