/* publish_patch.c - patches: how a version holds a few changed rows without the granules around them.
 *
 * The patches of a version lie together in its *area*. A publication usually continues the area: it writes the units
 * that have changed behind the patches of the version before, which keep their bytes. When the area is full, or a
 * granule with patches moves, it is written from scratch, to other blocks, with those patches that still count. When it
 * is full, granules whose pages are mostly patched move; in the others, units are written *in place*, to the blocks
 * where the section has them, and need no patch any more. Readers do not see that, because every version that can be
 * read still has the same bytes as a patch: the newest two, and those that readers pin. So this is done with patches
 * that both versions on the disk have, and only if no older version is pinned. A checksum is that of a chunk with its
 * patches; it stays right whether a unit has been written in place or not.
 *
 * Rows after the published ones are written to the room that their granule has: no version refers to it yet.
 *
 * Invariants: a unit that differs from the blocks of its section has a patch; the last one in the area counts. No patch
 * is in a granule that has moved after it. Owns the patch plan. Locking: the store's publishing lock is held; one
 * chunk's lock at a time. A failure before the sync leaves the store's area as it was, and every unit either as it was
 * or as its patch has it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/frame/file_locks.h"
#include "storage/publish/publisher.h"
#include "storage/reclaim.h"

/* Patches take at most this share of the mutable sections. */
#define AREA_SHARE 4u

/* How much dearer a patch is in the end than its bytes: it is written again, in place or with its granule. */
#define PATCH_COST_FACTOR 4u

/* ---- choosing ---- */

/* A publication that keeps patches would hold so much. */
typedef struct load {
    uint64_t page_count;
    uint64_t new_count; /* units that get a patch, at most, and the bytes that these take */
    uint64_t new_bytes;
    bool moves_patched; /* a granule that has patches moves */
} load;

static uint64_t patch_bytes(const rhumb__section *section, uint64_t unit_count) {
    return unit_count * (sizeof(rhumb__patch_header) + section->unit_bytes);
}

/* Moves the granules with patches of which much has changed, if that is worth writing all other patches again. */
static void move_much_changed(rhumb__publisher *p) {
    uint64_t patch_cost_bytes = 0;
    uint64_t move_cost_bytes = p->store->patch_area.used_bytes;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->section_count; i++) {
            rhumb__section_plan *plan = &p->plans[i];
            for (uint64_t k = 0; k < plan->granule_count; k++) {
                rhumb__granule *granule = &plan->granules[k];
                if (!granule->much_changed || granule->action != RHUMB__GRANULE_PATCHED) continue;
                if (pass == 1) granule->action = RHUMB__GRANULE_MOVES;
                patch_cost_bytes += PATCH_COST_FACTOR * patch_bytes(plan->section, granule->dirty_count);
                move_cost_bytes += plan->granule_bytes;
            }
        }
        if (pass == 0 && patch_cost_bytes < move_cost_bytes) return;
    }
}

static load sum_up(const rhumb__publisher *p) {
    load sum = {0};
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__section_plan *plan = &p->plans[i];
        for (uint64_t k = 0; k < plan->granule_count; k++) {
            const rhumb__granule *granule = &plan->granules[k];
            if (granule->action == RHUMB__GRANULE_MOVES) {
                sum.moves_patched = sum.moves_patched || granule->patched_count > 0;
                continue;
            }
            sum.page_count += granule->page_count;
            /* One more for the unit with the first of the new rows. */
            if (granule->action == RHUMB__GRANULE_STAYS) continue;
            sum.new_count += (uint64_t)granule->dirty_count + 1;
            sum.new_bytes += patch_bytes(plan->section, (uint64_t)granule->dirty_count + 1);
        }
    }
    return sum;
}

/* Moves granules that have patches or get some: all of them, or those of which half the pages would be patched. */
static void move_granules(rhumb__publisher *p, bool all) {
    for (uint32_t i = 0; i < p->section_count; i++) {
        rhumb__section_plan *plan = &p->plans[i];
        for (uint64_t k = 0; k < plan->granule_count; k++) {
            rhumb__granule *granule = &plan->granules[k];
            const bool stays = granule->action == RHUMB__GRANULE_STAYS && granule->patched_count == 0;
            const uint64_t page_count = plan->granule_bytes / RHUMB__PAGE_BYTES;
            if (!stays && (all || granule->page_count >= page_count / 2)) granule->action = RHUMB__GRANULE_MOVES;
        }
    }
}

static rhumb_status add_live(rhumb__patch_plan *patches, const rhumb__live_unit *unit) {
    if (patches->live_count == patches->live_capacity) {
        const uint32_t capacity = patches->live_capacity == 0 ? 256 : patches->live_capacity * 2;
        rhumb__live_unit *live = rhumb__alloc_resize(patches->live, capacity, sizeof *live);
        if (live == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u patches", capacity);
        patches->live = live;
        patches->live_capacity = capacity;
    }
    patches->live[patches->live_count++] = *unit;
    return RHUMB_OK;
}

/* Leaves in plan->patched the units whose patches still count: not those of granules that move, nor those that have
 * changed since, which get other patches. */
static void keep_counting(rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_count = section->checksum_count;
    for (uint64_t i = 0; i < chunk_count; i++) {
        rhumb__unit_set *set = &plan->patched[i];
        const rhumb__granule_action action = rhumb__publish_granule(plan, i * section->chunk_bytes)->action;
        if (rhumb__unit_set_is_empty(set) || action == RHUMB__GRANULE_STAYS) continue;
        rhumb__unit_set dropped;
        memset(&dropped, 0xFF, sizeof dropped);
        if (action == RHUMB__GRANULE_PATCHED) {
            rhumb__section_lock_chunk(section, &section->chunks[i]);
            dropped = section->chunks[i].dirty;
            rhumb__mutex_unlock(&section->chunks[i].lock);
        }
        for (uint32_t k = 0; k < RHUMB__PATCH_UNIT_COUNT / 64; k++) set->words[k] &= ~dropped.words[k];
    }
}

static const rhumb__patch_header *header_at(const rhumb__patch_area *area, uint64_t at, rhumb__patch_header *header) {
    memcpy(header, area->bytes + at, sizeof *header);
    return header;
}

/* The plan of the section with that id, or UINT32_MAX. */
static uint32_t find_plan(const rhumb__publisher *p, uint32_t section_id) {
    for (uint32_t i = 0; i < p->section_count; i++) {
        if (p->plans[i].section->spec.id == section_id && p->plans[i].patched != NULL) return i;
    }
    return UINT32_MAX;
}

/* Lists the units of one patch that are in plan->patched, and takes them out of it. */
static rhumb_status collect_patch(rhumb__publisher *p, uint64_t at, uint64_t epoch) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_header header;
    header_at(&p->store->patch_area, at, &header);
    const uint32_t index = find_plan(p, header.section_id);
    if (index == UINT32_MAX) return RHUMB_OK;
    const rhumb__section_plan *plan = &p->plans[index];
    const uint64_t unit_bytes = plan->section->unit_bytes;
    rhumb__unit_set *set = &plan->patched[header.section_offset / plan->section->chunk_bytes];
    for (uint64_t done = 0; done < header.bytes; done += unit_bytes) {
        const uint64_t unit = (header.section_offset + done) / unit_bytes;
        uint64_t *word = &set->words[unit % RHUMB__PATCH_UNIT_COUNT / 64];
        const uint64_t bit = UINT64_C(1) << unit % 64;
        if ((*word & bit) == 0) continue;
        *word &= ~bit;
        const rhumb__live_unit live = {.data = p->store->patch_area.bytes + at + sizeof header + done,
                                       .epoch = epoch,
                                       .unit = unit,
                                       .plan_index = index};
        RHUMB_TRY(add_live(&p->patches, &live));
    }
done:
    return status;
}

/* Lists the newest patch of every unit in plan->patched, which is empty afterwards. */
static rhumb_status collect_live(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    const rhumb__patch_area *area = &p->store->patch_area;
    uint64_t *positions = rhumb__alloc_zeroed((uint64_t)area->count + 1, sizeof *positions);
    if (positions == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u patches", area->count);
    for (uint32_t i = 0; i < area->count; i++) {
        rhumb__patch_header header;
        positions[i + 1] = positions[i] + sizeof header + header_at(area, positions[i], &header)->bytes;
    }
    uint32_t mark = area->mark_count;
    for (uint32_t i = area->count; i > 0; i--) {
        while (mark > 1 && area->marks[mark - 2].end >= positions[i]) mark--;
        RHUMB_TRY(collect_patch(p, positions[i - 1], area->marks[mark - 1].epoch));
    }
done:
    rhumb__free(positions);
    return status;
}

/* By what happens to the unit; those that keep a patch by the version that added it. */
static int compare_live(const void *a, const void *b) {
    const rhumb__live_unit *left = a;
    const rhumb__live_unit *right = b;
    if (left->in_place != right->in_place) return left->in_place ? 1 : -1;
    if (!left->in_place && left->epoch != right->epoch) return left->epoch < right->epoch ? -1 : 1;
    if (left->plan_index != right->plan_index) return left->plan_index < right->plan_index ? -1 : 1;
    return (left->unit > right->unit) - (left->unit < right->unit);
}

/* Whether a version is pinned that is older than the two on the disk. If that is unknown, it may be. */
static bool older_is_pinned(const rhumb__publisher *p) {
    bool pinned = false;
    if (p->superblock.epoch <= 3) return false;
    return rhumb__version_pins_test(p->store->io, 1, p->superblock.epoch - 3, &pinned) != RHUMB_OK || pinned;
}

/* The most bytes of patches: more than a share of what they are for would cost more than writing that. */
static uint64_t area_bytes_max(const rhumb__publisher *p) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < p->section_count; i++) bytes += p->plans[i].granule_count * p->plans[i].granule_bytes;
    return rhumb__min_u64(p->store->patch_limits.bytes_max, bytes / AREA_SHARE);
}

/* Determines which live units may be written in place. */
static void divide_live(rhumb__publisher *p, bool full) {
    const bool possible = full && !older_is_pinned(p);
    for (uint32_t i = 0; i < p->patches.live_count; i++) {
        rhumb__live_unit *unit = &p->patches.live[i];
        unit->in_place = possible && unit->epoch + 2 <= p->superblock.epoch;
    }
    if (p->patches.live_count > 0) {
        qsort(p->patches.live, p->patches.live_count, sizeof *p->patches.live, compare_live);
    }
}

/* Whether the patches that remain and those that are added are too many. A page has at least one of them, so their
 * number bounds that of pages. */
static bool is_too_much(const rhumb__publisher *p, const load *sum) {
    uint64_t count = sum->new_count;
    uint64_t bytes = sum->new_bytes;
    for (uint32_t i = 0; i < p->patches.live_count && !p->patches.live[i].in_place; i++) {
        count++;
        bytes += patch_bytes(p->plans[p->patches.live[i].plan_index].section, 1);
    }
    return bytes > area_bytes_max(p) || count > 2 * p->store->patch_limits.page_count_max;
}

/* For each mutable section that has or gets patches, a copy of the list of those that there are. */
static rhumb_status copy_patched(rhumb__publisher *p) {
    for (uint32_t i = 0; i < p->section_count; i++) {
        rhumb__section_plan *plan = &p->plans[i];
        bool wanted = plan->granule_count > 0 && plan->section->patched != NULL;
        for (uint64_t k = 0; k < plan->granule_count && !wanted; k++) {
            wanted = plan->granules[k].action == RHUMB__GRANULE_PATCHED;
        }
        if (!wanted) continue;
        plan->patched = rhumb__alloc_zeroed(plan->checksum_count, sizeof *plan->patched);
        if (plan->patched == NULL) {
            return rhumb__fail(RHUMB_E_NOMEM, "no memory for the units of %llu chunks",
                               (unsigned long long)plan->checksum_count);
        }
        if (plan->section->patched == NULL) continue;
        memcpy(plan->patched, plan->section->patched, plan->section->checksum_count * sizeof *plan->patched);
    }
    return RHUMB_OK;
}

/* Adds bytes to the new area. */
static rhumb_status add_bytes(rhumb__publisher *p, const void *bytes, uint64_t count) {
    rhumb__patch_area *area = &p->patches.area;
    if (area->used_bytes + count > area->capacity_bytes) {
        const uint64_t capacity = rhumb__max_u64(area->used_bytes + count, area->capacity_bytes * 2);
        uint8_t *grown = rhumb__alloc_resize(area->bytes, capacity, 1);
        if (grown == NULL) {
            return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of patches", (unsigned long long)capacity);
        }
        area->bytes = grown;
        area->capacity_bytes = capacity;
        if (!p->patches.from_scratch) {
            p->store->patch_area.bytes = grown;
            p->store->patch_area.capacity_bytes = capacity;
        }
    }
    memcpy(area->bytes + area->used_bytes, bytes, count);
    area->used_bytes += count;
    return RHUMB_OK;
}

static rhumb_status add_header(rhumb__publisher *p, const rhumb__section *section, uint64_t section_offset,
                               uint64_t bytes) {
    const rhumb__patch_header header = {
        .section_id = section->spec.id, .bytes = (uint32_t)bytes, .section_offset = section_offset};
    p->patches.area.count++;
    return add_bytes(p, &header, sizeof header);
}

/* Notes that the patches up to the end of the new area were added by the version of `epoch` or before. */
static rhumb_status add_mark(rhumb__publisher *p, uint64_t epoch) {
    rhumb__patch_area *area = &p->patches.area;
    if (area->mark_count > 0 && area->marks[area->mark_count - 1].end == area->used_bytes) return RHUMB_OK;
    if (area->used_bytes == 0) return RHUMB_OK;
    if (area->mark_count == area->mark_capacity) {
        const uint32_t capacity = area->mark_capacity == 0 ? 8 : area->mark_capacity * 2;
        rhumb__patch_mark *marks = rhumb__alloc_resize(area->marks, capacity, sizeof *marks);
        if (marks == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u versions", capacity);
        area->marks = marks;
        area->mark_capacity = capacity;
        if (!p->patches.from_scratch) {
            p->store->patch_area.marks = marks;
            p->store->patch_area.mark_capacity = capacity;
        }
    }
    area->marks[area->mark_count++] = (rhumb__patch_mark){epoch, area->used_bytes};
    return RHUMB_OK;
}

/* The number of live units from number `first` on that are neighbours in one chunk and are treated alike. */
static uint32_t live_run(const rhumb__patch_plan *patches, uint32_t first) {
    const rhumb__live_unit *begin = &patches->live[first];
    uint32_t count = 1;
    while (first + count < patches->live_count) {
        const rhumb__live_unit *next = begin + count;
        if (next->in_place != begin->in_place || next->plan_index != begin->plan_index ||
            (!next->in_place && next->epoch != begin->epoch) || next->unit != begin->unit + count ||
            next->unit % RHUMB__PATCH_UNIT_COUNT == 0) {
            break;
        }
        count++;
    }
    return count;
}

static void note_patched(const rhumb__section_plan *plan, uint64_t unit) {
    rhumb__bit_set(plan->patched[unit / RHUMB__PATCH_UNIT_COUNT].words, unit % RHUMB__PATCH_UNIT_COUNT);
}

/* Begins an area from scratch, with the patches that remain. */
static rhumb_status begin_area(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_plan *patches = &p->patches;
    for (uint32_t i = 0; i < patches->live_count && !patches->live[i].in_place;) {
        const rhumb__live_unit *first = &patches->live[i];
        const rhumb__section_plan *plan = &p->plans[first->plan_index];
        const uint64_t unit_bytes = plan->section->unit_bytes;
        const uint32_t count = live_run(patches, i);
        RHUMB_TRY(add_header(p, plan->section, first->unit * unit_bytes, count * unit_bytes));
        for (uint32_t k = 0; k < count; k++) {
            RHUMB_TRY(add_bytes(p, first[k].data, unit_bytes));
            note_patched(plan, first[k].unit);
        }
        i += count;
        const bool ends = i == patches->live_count || patches->live[i].in_place;
        if (ends || patches->live[i].epoch != first->epoch) RHUMB_TRY(add_mark(p, first->epoch));
    }
done:
    return status;
}

rhumb_status rhumb__publish_patches_choose(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_plan *patches = &p->patches;
    const rhumb__patch_area *old = &p->store->patch_area;
    move_much_changed(p);
    load sum = sum_up(p);
    const bool full =
        old->used_bytes + sum.new_bytes > area_bytes_max(p) || sum.page_count > p->store->patch_limits.page_count_max;
    /* What is pulled down is copied from memory, as it is with its patches. */
    const bool merge = p->merge || p->publication->pull_down;
    if (merge || full) {
        move_granules(p, merge);
        sum = sum_up(p);
    }
    patches->from_scratch = full || merge || sum.moves_patched || old->stale;
    RHUMB_TRY(copy_patched(p));
    if (!patches->from_scratch) {
        patches->area = *old;
        goto done;
    }
    for (uint32_t i = 0; i < p->section_count; i++) {
        if (p->plans[i].patched != NULL && p->plans[i].section->patched != NULL) keep_counting(&p->plans[i]);
    }
    RHUMB_TRY(collect_live(p));
    divide_live(p, full);
    if (full && is_too_much(p, &sum)) {
        move_granules(p, true);
        patches->live_count = 0;
    }
    RHUMB_TRY(begin_area(p));
done:
    return status;
}

/* ---- copying ---- */

static rhumb_status add_copied(rhumb__publisher *p, uint32_t plan_index, uint64_t chunk, const rhumb__unit_set *units) {
    rhumb__patch_plan *patches = &p->patches;
    if (patches->copied_count == patches->copied_capacity) {
        const uint32_t capacity = patches->copied_capacity == 0 ? 64 : patches->copied_capacity * 2;
        rhumb__copied_chunk *copied = rhumb__alloc_resize(patches->copied, capacity, sizeof *copied);
        if (copied == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u chunks", capacity);
        patches->copied = copied;
        patches->copied_capacity = capacity;
    }
    patches->copied[patches->copied_count++] = (rhumb__copied_chunk){plan_index, chunk, *units};
    return RHUMB_OK;
}

/* Adds patches for the units in `set`, from a copy of the chunk at `offset`. */
static rhumb_status add_patches(rhumb__publisher *p, const rhumb__section_plan *plan, uint64_t offset,
                                const uint8_t *copy, const rhumb__unit_set *set) {
    rhumb_status status = RHUMB_OK;
    const uint64_t unit_bytes = plan->section->unit_bytes;
    for (uint32_t begin = 0; begin < RHUMB__PATCH_UNIT_COUNT; begin++) {
        if (!rhumb__bit_get(set->words, begin)) continue;
        uint32_t end = begin;
        for (; end < RHUMB__PATCH_UNIT_COUNT && rhumb__bit_get(set->words, end); end++) {
            note_patched(plan, offset / unit_bytes + end);
        }
        RHUMB_TRY(add_header(p, plan->section, offset + begin * unit_bytes, (end - begin) * unit_bytes));
        RHUMB_TRY(add_bytes(p, copy + begin * unit_bytes, (end - begin) * unit_bytes));
        begin = end;
    }
    if (p->patches.area.used_bytes <= RHUMB__PATCH_AREA_BYTES_MAX) goto done;
    p->patches.overflow = true;
    status = rhumb__fail(RHUMB_E_FULL, "%llu bytes of patches", (unsigned long long)p->patches.area.used_bytes);
done:
    return status;
}

/* Copies a chunk of a patched granule, if there is anything to copy. The list of copied chunks grows first, so that the
 * chunk is in it by the time that its marks are cleared. */
static rhumb_status copy_patched_chunk(rhumb__publisher *p, uint32_t plan_index, uint64_t offset) {
    rhumb_status status = RHUMB_OK;
    rhumb__section_plan *plan = &p->plans[plan_index];
    const rhumb__section *section = plan->section;
    const uint64_t chunk_end = offset + section->chunk_bytes;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    const uint64_t new_end = rhumb__publish_unit_end(section, plan->row_count);
    const uint64_t old_end = rhumb__publish_unit_end(section, section->published_row_count);
    const bool grows = plan->row_count > section->published_row_count && old_bytes < chunk_end;
    const rhumb__unit_set old_units = rhumb__publish_units_before(section, offset, old_end);
    const rhumb__unit_set none = {{0}};
    rhumb__chunk_state *chunk = &section->chunks[offset / section->chunk_bytes];
    uint8_t *copy = NULL;
    uint64_t changed = 0;
    rhumb__section_lock_chunk(section, chunk);
    for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT / 64; i++) changed |= chunk->dirty.words[i] & old_units.words[i];
    rhumb__mutex_unlock(&chunk->lock);
    if (changed == 0 && !grows) return RHUMB_OK;

    RHUMB_TRY(add_copied(p, plan_index, offset / section->chunk_bytes, &none));
    RHUMB_TRY(rhumb__publish_pool_take(p, section->chunk_bytes, &copy));
    rhumb__unit_set *units = &p->patches.copied[p->patches.copied_count - 1].units;
    rhumb__publish_copy_chunk(p, plan, offset, copy, units);
    rhumb__unit_set set = *units;
    /* A unit that is only partly published gets new rows. */
    if (grows && old_end > old_bytes && old_end > offset) {
        rhumb__bit_set(set.words, (old_end - offset) / section->unit_bytes - 1);
    }
    for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT / 64; i++) set.words[i] &= old_units.words[i];
    RHUMB_TRY(add_patches(p, plan, offset, copy, &set));
    const uint64_t begin = rhumb__max_u64(old_end, offset);
    const uint64_t end = rhumb__min_u64(new_end, chunk_end);
    if (begin < end) status = rhumb__publish_write_range(p, plan, copy + (begin - offset), begin, end - begin);
done:
    return status;
}

rhumb_status rhumb__publish_patches_copy(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < p->section_count; i++) {
        rhumb__section_plan *plan = &p->plans[i];
        for (uint64_t k = 0; k < plan->granule_count; k++) {
            if (plan->granules[k].action != RHUMB__GRANULE_PATCHED) continue;
            const uint64_t begin = k * plan->granule_bytes;
            const uint64_t end =
                rhumb__min_u64(begin + plan->granule_bytes, plan->checksum_count * plan->section->chunk_bytes);
            for (uint64_t offset = begin; offset < end; offset += plan->section->chunk_bytes) {
                RHUMB_TRY(copy_patched_chunk(p, i, offset));
            }
        }
    }
    status = add_mark(p, p->superblock.epoch);
done:
    return status;
}

/* ---- writing ---- */

/* Takes blocks for the whole area, with as much room again. */
static rhumb_status take_area(rhumb__publisher *p) {
    rhumb_status status;
    rhumb__patch_area *area = &p->patches.area;
    const uint64_t wanted = rhumb__max_u64(area->used_bytes, rhumb__min_u64(2 * area->used_bytes, area_bytes_max(p)));
    const uint64_t bytes = rhumb__round_up(wanted, RHUMB__BLOCK_BYTES);
    RHUMB_TRY(rhumb__file_space_take(&p->store->space, bytes, 1, 0, &p->patches.taken_offset));
    p->patches.taken_bytes = bytes;
    area->file_offset = p->patches.taken_offset;
    area->room_bytes = bytes;
    status = rhumb__io_allocate(p->store->io, area->file_offset, bytes);
done:
    return status;
}

static rhumb_status write_area(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_area *area = &p->patches.area;
    uint64_t written = p->patches.from_scratch ? 0 : p->store->patch_area.used_bytes;
    if (area->used_bytes == written) return RHUMB_OK;
    area->crc =
        rhumb__crc32c(p->patches.from_scratch ? 0 : area->crc, area->bytes + written, area->used_bytes - written);
    if (area->used_bytes > area->room_bytes) {
        RHUMB_TRY(take_area(p));
        written = 0;
    }
    RHUMB_TRY(
        rhumb__io_write(p->store->io, area->bytes + written, area->used_bytes - written, area->file_offset + written));
    p->written_bytes += area->used_bytes - written;
    rhumb__publish_keep_to_rate(p);
done:
    return status;
}

/* Writes units to their places. The system writes whole pages for them, and these are counted. */
static rhumb_status write_in_place(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    rhumb__patch_plan *patches = &p->patches;
    uint32_t first = 0;
    uint64_t bytes = 0;
    while (first < patches->live_count && !patches->live[first].in_place) first++;
    for (uint32_t i = first; i < patches->live_count; i++) {
        bytes += p->plans[patches->live[i].plan_index].section->unit_bytes;
    }
    if (bytes == 0) return RHUMB_OK;
    patches->in_place_bytes = rhumb__alloc_aligned(bytes, 1, 64);
    if (patches->in_place_bytes == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu bytes of rows", (unsigned long long)bytes);
    }
    uint8_t *copy = patches->in_place_bytes;
    for (uint32_t i = first; i < patches->live_count;) {
        const rhumb__live_unit *unit = &patches->live[i];
        const rhumb__section_plan *plan = &p->plans[unit->plan_index];
        const uint64_t unit_bytes = plan->section->unit_bytes;
        const uint32_t count = live_run(patches, i);
        for (uint32_t k = 0; k < count; k++) memcpy(copy + k * unit_bytes, unit[k].data, unit_bytes);
        const uint64_t begin = unit->unit * unit_bytes;
        const uint64_t end = begin + count * unit_bytes;
        RHUMB_TRY(rhumb__publish_write_range(p, plan, copy, begin, end - begin));
        const bool same_page = i > first && unit[-1].plan_index == unit->plan_index &&
                               ((unit[-1].unit + 1) * unit_bytes - 1) / RHUMB__PAGE_BYTES == begin / RHUMB__PAGE_BYTES;
        const uint64_t page_count = (end - 1) / RHUMB__PAGE_BYTES - begin / RHUMB__PAGE_BYTES + (same_page ? 0 : 1);
        p->written_bytes += page_count * RHUMB__PAGE_BYTES - (end - begin);
        copy += count * unit_bytes;
        i += count;
    }
done:
    return status;
}

rhumb_status rhumb__publish_patches_write(rhumb__publisher *p) {
    const rhumb_status status = write_area(p);
    return status == RHUMB_OK ? write_in_place(p) : status;
}

/* ---- the end ---- */

void rhumb__publish_patches_roll_back(rhumb__publisher *p) {
    rhumb__patch_plan *patches = &p->patches;
    for (uint32_t i = 0; i < patches->copied_count; i++) {
        const rhumb__copied_chunk *copied = &patches->copied[i];
        const rhumb__section *section = p->plans[copied->plan_index].section;
        rhumb__chunk_state *chunk = &section->chunks[copied->chunk];
        rhumb__section_lock_chunk(section, chunk);
        for (uint32_t k = 0; k < RHUMB__PATCH_UNIT_COUNT / 64; k++) chunk->dirty.words[k] |= copied->units.words[k];
        rhumb__mutex_unlock(&chunk->lock);
    }
    rhumb__file_space_give(&p->store->space, patches->taken_offset, patches->taken_bytes);
    if (patches->from_scratch) {
        rhumb__free(patches->area.bytes);
        rhumb__free(patches->area.marks);
    }
    patches->area = (rhumb__patch_area){0};
}

void rhumb__publish_patches_settle(rhumb__publisher *p) {
    rhumb__patch_area *area = &p->store->patch_area;
    rhumb__patch_area *next = &p->patches.area;
    if (area->room_bytes > 0 && (next->file_offset != area->file_offset || next->room_bytes == 0)) {
        rhumb__store_retire(p->store, p->superblock.epoch - 1, area->file_offset, area->room_bytes);
    }
    if (p->patches.from_scratch) {
        rhumb__free(area->bytes);
        rhumb__free(area->marks);
    }
    *area = *next;
    *next = (rhumb__patch_area){0};
}
