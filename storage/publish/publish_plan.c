/* publish_plan.c - step 1 of a publication: takes the blocks that everything is going to be written to.
 *
 * Append-only sections keep their extents and get more at the end; granules with renewed rows move to new blocks
 * (renewal.h). Mutable sections are examined granule by granule: one of which much has changed moves; one of which
 * little has changed stays and is patched (publish_patch.c); the others stay as they are. With pull_down, parts of
 * either kind of section that would stay near the end of the file are moved as well, to lower offsets only.
 *
 * Invariants: the extents of a plan cover its rows; each of its blocks is either one of the section's or in `taken`.
 * Locking: the store's publishing lock is held; each chunk's lock is taken to read its dirty marks. A granule that
 * becomes dirty after that waits for the next version. A failure leaves the blocks in `taken`, and roll_back makes them
 * free.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "storage/publish/publisher.h"
#include "storage/renewal.h"

#define GRANULE_COUNT_MAX 2048u

/* A granule moves when at least this share of its units has changed: with so many, hardly a page has none of them. */
#define MOVE_SHARE 8u

/* Parts that are pulled down are at most this long, so that they fit into more than one free run. */
#define PULL_DOWN_BYTES_MAX (UINT64_C(64) << 20)

/* Takes blocks for a range of the section. A large range is placed so that large pages can map it: its offsets in the
 * file and in the section agree modulo their size, as its address and its offset in the section do. */
static rhumb_status take_blocks(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t section_offset, uint64_t bytes,
                                uint64_t *offset_out) {
    const uint64_t alignment = bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 1;
    rhumb_status status =
        rhumb__file_space_take(&p->store->space, bytes, alignment, section_offset & (alignment - 1), offset_out);
    if (status != RHUMB_OK) return status;
    status = rhumb__extent_list_append(&plan->taken, *offset_out, bytes);
    if (status != RHUMB_OK) rhumb__file_space_give(&p->store->space, *offset_out, bytes);
    return status;
}

static rhumb_status note_moved(rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    rhumb__range_list *moved = &plan->moved;
    if (moved->count == moved->capacity) {
        const uint32_t capacity = moved->capacity == 0 ? 8 : moved->capacity * 2;
        rhumb__range *items = rhumb__alloc_resize(moved->items, capacity, sizeof *items);
        if (items == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %u ranges", capacity);
        moved->items = items;
        moved->capacity = capacity;
    }
    moved->items[moved->count++] = (rhumb__range){begin, end};
    return RHUMB_OK;
}

static bool is_to_be_pulled_down(const rhumb__publisher *p, const rhumb__extent *run) {
    return p->publication->pull_down && run->file_offset + run->bytes > p->pull_down_bytes;
}

/* Takes free blocks at a lower offset than `run`, if there are any; otherwise *offset_out stays as it is. */
static bool take_lower(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t section_offset,
                       const rhumb__extent *run, uint64_t *offset_out) {
    const uint64_t alignment = run->bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 1;
    rhumb__file_space *space = &p->store->space;
    uint64_t offset = 0;
    if (rhumb__file_space_take(space, run->bytes, alignment, section_offset & (alignment - 1), &offset) != RHUMB_OK) {
        return false;
    }
    if (offset < run->file_offset && rhumb__extent_list_append(&plan->taken, offset, run->bytes) == RHUMB_OK) {
        *offset_out = offset;
        return true;
    }
    rhumb__file_space_give(space, offset, run->bytes);
    return false;
}

/* Plans [begin, end) to stay where it is, except for parts that are to be pulled down: those move to free blocks at
 * lower offsets, if there are any. A part consists of whole units of `unit_bytes`, each of which must be contiguous in
 * the file; `begin` is a multiple of it, `end` may lie within the last unit. */
static rhumb_status keep_or_pull_down(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t begin, uint64_t end,
                                      uint64_t unit_bytes) {
    const uint64_t part_bytes_max = rhumb__max_u64(PULL_DOWN_BYTES_MAX / unit_bytes, 1) * unit_bytes;
    rhumb_status status = RHUMB_OK;
    while (begin < end) {
        rhumb__extent run =
            rhumb__extent_list_run(&plan->section->extents, begin, rhumb__min_u64(end - begin, part_bytes_max));
        if (begin + run.bytes < end) run.bytes -= run.bytes % unit_bytes;
        RHUMB_ASSERT(run.bytes > 0);
        uint64_t offset = run.file_offset;
        if (is_to_be_pulled_down(p, &run) && take_lower(p, plan, begin, &run, &offset)) {
            RHUMB_TRY(note_moved(plan, begin, begin + run.bytes));
        }
        RHUMB_TRY(rhumb__extent_list_append(&plan->extents, offset, run.bytes));
        begin += run.bytes;
    }
done:
    return status;
}

/* Takes blocks for a range that moves as a whole. */
static rhumb_status plan_moved(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    uint64_t offset = 0;
    rhumb_status status = take_blocks(p, plan, begin, end - begin, &offset);
    if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->extents, offset, end - begin);
    return status == RHUMB_OK ? note_moved(plan, begin, end) : status;
}

/* Moves the granules of an append-only section that have renewed rows, and keeps the others. Writing ahead keeps all:
 * the newest version has the old blocks. */
static rhumb_status keep_or_renew(rhumb__publisher *p, rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    const uint64_t have_bytes = section->extents.bytes;
    const uint64_t granule_bytes = rhumb__renewal_granule_bytes(section);
    rhumb_status status = RHUMB_OK;
    if (p->ahead || section->renewed_bytes == 0) {
        return keep_or_pull_down(p, plan, 0, have_bytes, RHUMB__BLOCK_BYTES);
    }
    for (uint64_t begin = 0, end; begin < have_bytes; begin = end) {
        /* Extend [begin, end) over all granules that move, or stay, like the first. */
        const bool moves = rhumb__renewal_is_needed(section, begin, begin + granule_bytes);
        end = begin + granule_bytes;
        while (end < have_bytes && rhumb__renewal_is_needed(section, end, end + granule_bytes) == moves) {
            end += granule_bytes;
        }
        end = rhumb__min_u64(end, have_bytes);
        RHUMB_TRY(moves ? plan_moved(p, plan, begin, end) : keep_or_pull_down(p, plan, begin, end, RHUMB__BLOCK_BYTES));
    }
done:
    return status;
}

/* By how much the extents of an append-only section grow: with the section, by at least a 64th of it, which bounds
 * their number. Those of a large one end where large pages end, so that the next extent begins with one. */
static uint64_t growth_bytes(uint64_t have_bytes, uint64_t need_bytes) {
    const uint64_t share_bytes = rhumb__max_u64(rhumb__floor_power_of_two(have_bytes / 64), RHUMB__BLOCK_BYTES);
    const uint64_t end_bytes = rhumb__max_u64(need_bytes, have_bytes + share_bytes);
    return have_bytes < RHUMB__WHOLE_PIECES_BYTES_MIN
               ? end_bytes - have_bytes
               : rhumb__round_up(end_bytes, RHUMB__LARGE_PAGE_BYTES) - have_bytes;
}

/* Adds extents at the end for the rows that the present ones cannot hold; the last extent grows in place when the
 * blocks after it are free. */
static rhumb_status plan_append(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t have_bytes = section->extents.bytes;
    const uint64_t need_bytes = rhumb__round_up(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    rhumb_status status = keep_or_renew(p, plan);
    if (status != RHUMB_OK || need_bytes <= have_bytes) return status;
    const uint64_t bytes = growth_bytes(have_bytes, need_bytes);
    uint64_t offset = 0;
    if (have_bytes > 0) {
        const rhumb__extent_item *last = &plan->extents.items[plan->extents.count - 1];
        offset = last->file_offset + last->bytes;
    }
    const bool in_place =
        have_bytes > 0 && (bytes < RHUMB__LARGE_PAGE_BYTES || (offset - have_bytes) % RHUMB__LARGE_PAGE_BYTES == 0);
    if (in_place && rhumb__file_space_take_at(&p->store->space, offset, bytes)) {
        status = rhumb__extent_list_append(&plan->taken, offset, bytes);
        if (status != RHUMB_OK) rhumb__file_space_give(&p->store->space, offset, bytes);
    } else {
        status = take_blocks(p, plan, have_bytes, bytes, &offset);
    }
    if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->extents, offset, bytes);
    return status;
}

/* The pages in which these 32 units lie, at most. */
static uint32_t count_pages(const rhumb__section *section, uint32_t units) {
    const uint32_t unit_page_count = (uint32_t)rhumb__divide_up(section->unit_bytes, RHUMB__PAGE_BYTES);
    const uint32_t count = (uint32_t)__builtin_popcount(units) * unit_page_count;
    return (uint32_t)rhumb__min_u64(count, 32ull * section->unit_bytes / RHUMB__PAGE_BYTES);
}

/* Adds what is to be patched in a chunk to its granule. Units beyond the published rows are no patches: no reader
 * has them yet. */
static void examine_chunk(const rhumb__section *section, uint64_t index, rhumb__granule *granule) {
    const uint64_t offset = index * section->chunk_bytes;
    const uint64_t old_end = rhumb__publish_unit_end(section, section->published_row_count);
    const rhumb__unit_set published = rhumb__publish_units_before(section, offset, old_end);
    rhumb__chunk_state *chunk = &section->chunks[index];
    rhumb__section_lock_chunk(section, chunk);
    const rhumb__unit_set dirty = chunk->dirty;
    rhumb__mutex_unlock(&chunk->lock);
    for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT / 64; i++) {
        const uint64_t changed = dirty.words[i] & published.words[i];
        const uint64_t patched = section->patched == NULL || offset >= old_end ? 0 : section->patched[index].words[i];
        const uint64_t either = changed | patched;
        granule->dirty_count += (uint32_t)__builtin_popcountll(changed);
        granule->patched_count += (uint32_t)__builtin_popcountll(patched);
        granule->page_count += count_pages(section, (uint32_t)either);
        granule->page_count += count_pages(section, (uint32_t)(either >> 32));
    }
}

/* Decides about one granule by itself; publish_patch.c has the last word. */
static void examine_granule(const rhumb__section_plan *plan, uint64_t begin, rhumb__granule *granule) {
    const rhumb__section *section = plan->section;
    const rhumb__extent_list *extents = &section->extents;
    const uint64_t chunk_bytes = section->chunk_bytes;
    const uint64_t end = rhumb__min_u64(begin + plan->granule_bytes, plan->checksum_count * chunk_bytes);
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        examine_chunk(section, offset / chunk_bytes, granule);
    }
    const uint64_t kept_end = rhumb__min_u64(begin + plan->granule_bytes, extents->bytes);
    const uint64_t unit_count = (end - begin) / section->unit_bytes;
    const bool grows = plan->row_count > section->published_row_count && end > old_bytes;
    granule->much_changed = granule->dirty_count >= unit_count / MOVE_SHARE;
    if (end > extents->bytes || !rhumb__extent_list_is_contiguous(extents, begin, kept_end - begin) ||
        (granule->much_changed && granule->patched_count == 0)) {
        granule->action = RHUMB__GRANULE_MOVES;
    } else if (granule->dirty_count > 0 || grows) {
        granule->action = RHUMB__GRANULE_PATCHED;
    }
}

static rhumb_status examine_mutable(rhumb__section_plan *plan) {
    const uint64_t chunk_bytes = plan->section->chunk_bytes;
    const uint64_t end_bytes = plan->checksum_count * chunk_bytes;
    plan->granule_bytes = chunk_bytes;
    while (end_bytes / plan->granule_bytes > GRANULE_COUNT_MAX) plan->granule_bytes *= 2;
    plan->granule_count = rhumb__divide_up(end_bytes, plan->granule_bytes);
    plan->granules = rhumb__alloc_zeroed(plan->granule_count, sizeof *plan->granules);
    if (plan->granules == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a list of %llu granules",
                           (unsigned long long)plan->granule_count);
    }
    for (uint64_t i = 0; i < plan->granule_count; i++) {
        examine_granule(plan, i * plan->granule_bytes, &plan->granules[i]);
    }
    return RHUMB_OK;
}

/* A mutable section that grows to `end` gets room for a 64th more, so that its last granule need not move each time; a
 * large one also for the rest of a large page, if granules fill it. */
static uint64_t room_bytes(const rhumb__section_plan *plan, uint64_t end) {
    const uint64_t have_bytes = plan->section->extents.bytes;
    if (plan->checksum_count * plan->section->chunk_bytes <= have_bytes) return 0;
    const uint64_t share_bytes = have_bytes / 64 / plan->granule_bytes * plan->granule_bytes;
    const uint64_t whole_bytes = rhumb__round_up(end + share_bytes, RHUMB__LARGE_PAGE_BYTES) - end;
    const bool is_small = have_bytes < RHUMB__WHOLE_PIECES_BYTES_MIN;
    return is_small || whole_bytes % plan->granule_bytes != 0 ? share_bytes : whole_bytes;
}

/* Keeps the granules that stay, and the room after the last one; takes blocks for each run of those that move. */
static rhumb_status plan_mutable(rhumb__publisher *p, rhumb__section_plan *plan) {
    rhumb_status status = RHUMB_OK;
    const uint64_t granule_bytes = plan->granule_bytes;
    const uint64_t have_bytes = plan->section->extents.bytes;
    const uint64_t end_bytes = plan->granule_count * granule_bytes;
    uint64_t begin = 0;
    while (begin < end_bytes) {
        /* Extend [begin, end) over all granules that move, or stay, like the first. */
        const bool moves = rhumb__publish_granule(plan, begin)->action == RHUMB__GRANULE_MOVES;
        uint64_t end = begin + granule_bytes;
        while (end < end_bytes && (rhumb__publish_granule(plan, end)->action == RHUMB__GRANULE_MOVES) == moves) {
            end += granule_bytes;
        }
        if (moves) {
            RHUMB_TRY(plan_moved(p, plan, begin, end < end_bytes ? end : end + room_bytes(plan, end)));
        } else {
            RHUMB_TRY(keep_or_pull_down(p, plan, begin, rhumb__min_u64(end, have_bytes), granule_bytes));
        }
        begin = end;
    }
    if (plan->extents.bytes < have_bytes) {
        RHUMB_TRY(keep_or_pull_down(p, plan, plan->extents.bytes, have_bytes, RHUMB__BLOCK_BYTES));
    }
done:
    return status;
}

/* The rows that are published, or written ahead, by this publication. */
static uint64_t rows_to_write(const rhumb__publisher *p, const rhumb__section *section) {
    if (!p->ahead || !p->publication->whole_pieces) return section->next_row_count;
    const uint64_t stride_bytes = section->row_stride_bytes;
    const uint64_t bytes = rhumb__round_down(section->next_row_count * stride_bytes, RHUMB__LARGE_PAGE_BYTES);
    return rhumb__max_u64(bytes / stride_bytes, section->published_row_count);
}

static rhumb_status plan_section(rhumb__publisher *p, uint32_t index) {
    rhumb__section_plan *plan = &p->plans[index];
    rhumb__section *section = p->sections[index];
    plan->section = section;
    if (rhumb__publish_skips(p, section)) return RHUMB_OK;
    plan->row_count = rows_to_write(p, section);
    RHUMB_ASSERT(plan->row_count >= section->published_row_count);
    RHUMB_ASSERT(plan->row_count <= atomic_load_explicit(&section->row_capacity, memory_order_relaxed));
    plan->checksum_count = rhumb__divide_up(plan->row_count * section->row_stride_bytes, section->chunk_bytes);
    if (plan->checksum_count == 0) return RHUMB_OK;
    plan->checksums = rhumb__alloc_zeroed(plan->checksum_count, sizeof *plan->checksums);
    if (plan->checksums == NULL) {
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for %llu checksums", (unsigned long long)plan->checksum_count);
    }
    if (section->checksum_count > 0) {
        memcpy(plan->checksums, section->checksums, section->checksum_count * sizeof *plan->checksums);
    }
    return section->spec.kind == RHUMB__SECTION_MUTABLE ? examine_mutable(plan) : RHUMB_OK;
}

static rhumb_status plan_blocks(rhumb__publisher *p, rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    if (plan->checksum_count == 0) return RHUMB_OK;
    const rhumb_status status =
        section->spec.kind == RHUMB__SECTION_APPEND ? plan_append(p, plan) : plan_mutable(p, plan);
    RHUMB_ASSERT_DEBUG(status != RHUMB_OK || plan->extents.bytes >= plan->row_count * section->row_stride_bytes);
    return status;
}

/* Allocates the taken blocks in the file system. */
static rhumb_status allocate_taken(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__extent_list *taken = &p->plans[i].taken;
        for (uint32_t k = 0; k < taken->count; k++) {
            RHUMB_TRY(rhumb__io_allocate(p->store->io, taken->items[k].file_offset, taken->items[k].bytes));
        }
    }
done:
    return status;
}

/* The end of the file if all sections were packed, with an allowance for the gaps that large pages leave. */
static uint64_t packed_end(const rhumb__publisher *p) {
    uint64_t bytes = RHUMB__CONTENT_OFFSET;
    for (uint32_t i = 0; i < p->section_count; i++) {
        const rhumb__section *section = p->sections[i];
        const uint64_t section_bytes = section->next_row_count * section->row_stride_bytes;
        bytes += rhumb__round_up(section_bytes, section->chunk_bytes) + RHUMB__BLOCK_BYTES;
        if (section_bytes >= RHUMB__LARGE_PAGE_BYTES) bytes += RHUMB__LARGE_PAGE_BYTES;
    }
    return bytes;
}

/* Memory for one chunk of any mutable section. */
static rhumb_status take_raw(rhumb__publisher *p) {
    uint64_t bytes = RHUMB__BLOCK_BYTES;
    for (uint32_t i = 0; i < p->section_count; i++) bytes = rhumb__max_u64(bytes, p->sections[i]->chunk_bytes);
    rhumb__free(p->raw);
    p->raw = rhumb__alloc_aligned(bytes, 1, 4096);
    if (p->raw != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for a chunk of %llu bytes", (unsigned long long)bytes);
}

rhumb_status rhumb__publish_plan(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    rhumb__mutex_assert_held(&p->store->publish_lock);
    p->pull_down_bytes = packed_end(p);
    for (uint32_t i = 0; i < p->section_count; i++) RHUMB_TRY(plan_section(p, i));
    if (!p->ahead) RHUMB_TRY(rhumb__publish_patches_choose(p));
    for (uint32_t i = 0; i < p->section_count; i++) RHUMB_TRY(plan_blocks(p, &p->plans[i]));
    if (!p->ahead) RHUMB_TRY(take_raw(p));
    RHUMB_TRY(allocate_taken(p));
    rhumb__publish_make_large(p);
done:
    return status;
}
