/* publish_write.c - step 2 of a publication: writes the rows to the file, and computes the checksums of the plans.
 *
 * Append-only rows are written from the section itself, because they do not change: the publishing lock keeps renewals
 * away. Chunks of mutable sections are copied under their lock, passed to the client's filter, and written from the
 * copy. So searches never wait, and writers at most for the copying of one chunk. Sections that are to be copied first
 * hold up others of the client's until they have been: they go before all others, and at full speed; the rest pays for
 * that with a later start.
 *
 * Owns the pool of copies, whose bytes stay unchanged until the next drain. Locking: the store's publishing lock is
 * held; one chunk's lock at a time. A failure may leave writes in flight; publish.c waits for them and rolls back.
 */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "storage/publish/publisher.h"
#include "storage/renewal.h"

/* The pool takes this share of the memory that the process may use. */
#define COPY_POOL_SHARE 16u
#define COPY_POOL_BYTES_MIN (UINT64_C(1) << 20)
#define COPY_POOL_BYTES_MAX (UINT64_C(8) << 20)

#define WRITE_BYTES_MAX (64u << 20)

/* Chunks that no large page ends with are copied in runs of so much, at most, that one does. */
#define RUN_BYTES_MAX (16u << 20)

/* How soon a hurry is noticed. */
#define WAIT_STEP_NS UINT64_C(10000000)

void rhumb__publish_keep_to_rate(const rhumb__publisher *p) {
    const rhumb__publication *publication = p->publication;
    if (publication->bytes_per_second == 0 || p->unpaced) return;
    const uint64_t due_ns = (uint64_t)((double)p->written_bytes / (double)publication->bytes_per_second * 1e9);
    for (;;) {
        const uint64_t spent_ns = rhumb__clock_now_ns() - p->begin_ns;
        /* Nothing else is read because of it, so relaxed is enough. */
        const bool hurry = publication->hurry != NULL && atomic_load_explicit(publication->hurry, memory_order_relaxed);
        if (spent_ns >= due_ns || hurry) return;
        const uint64_t wait_ns = rhumb__min_u64(due_ns - spent_ns, WAIT_STEP_NS);
        nanosleep(&(struct timespec){.tv_nsec = (long)wait_ns}, NULL);
    }
}

rhumb_status rhumb__publish_write_range(rhumb__publisher *p, const rhumb__section_plan *plan, const uint8_t *memory,
                                        uint64_t section_offset, uint64_t bytes) {
    const bool is_rated = p->publication->bytes_per_second != 0;
    RHUMB_ASSERT_DEBUG(section_offset + bytes <= plan->extents.bytes);
    while (bytes > 0) {
        rhumb__extent run =
            rhumb__extent_list_run(&plan->extents, section_offset, rhumb__min_u64(bytes, WRITE_BYTES_MAX));
        const uint64_t page_left_bytes = RHUMB__LARGE_PAGE_BYTES - run.file_offset % RHUMB__LARGE_PAGE_BYTES;
        if (is_rated) run.bytes = rhumb__min_u64(run.bytes, page_left_bytes);
        rhumb_status status = rhumb__io_write(p->store->io, memory, run.bytes, run.file_offset);
        if (status != RHUMB_OK) return status;
        p->written_bytes += run.bytes;
        rhumb__publish_keep_to_rate(p);
        memory += run.bytes;
        section_offset += run.bytes;
        bytes -= run.bytes;
    }
    return RHUMB_OK;
}

/* The chunks of a range that moves have renewed rows, or the checksums that they had. */
static void renew_checksums(rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        if (!rhumb__renewal_is_needed(section, offset, offset + chunk_bytes)) continue;
        plan->checksums[offset / chunk_bytes] =
            rhumb__crc32c(0, section->base + offset, rhumb__min_u64(chunk_bytes, end - offset));
    }
}

/* Published rows do not change during a publication, so they are written from the section itself. */
static rhumb_status write_append(rhumb__publisher *p, rhumb__section_plan *plan) {
    const rhumb__section *section = plan->section;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    const uint64_t new_bytes = plan->row_count * section->row_stride_bytes;
    for (uint32_t i = 0; i < plan->moved.count; i++) {
        const uint64_t begin = plan->moved.items[i].begin;
        const uint64_t end = rhumb__min_u64(plan->moved.items[i].end, old_bytes);
        if (begin >= end) continue;
        renew_checksums(plan, begin, end);
        rhumb_status status = rhumb__publish_write_range(p, plan, section->base + begin, begin, end - begin);
        if (status != RHUMB_OK) return status;
    }
    if (new_bytes == old_bytes) return RHUMB_OK;
    /* The checksum of a partly published chunk continues from its previous value: computed from the beginning, it would
     * hide damage that the published rows have suffered since. The plan has the old checksums, and zero for new
     * chunks. */
    for (uint64_t i = old_bytes / section->chunk_bytes; i < plan->checksum_count; i++) {
        const uint64_t begin = rhumb__max_u64(i * section->chunk_bytes, old_bytes);
        const uint64_t end = rhumb__min_u64((i + 1) * section->chunk_bytes, new_bytes);
        plan->checksums[i] = rhumb__crc32c(plan->checksums[i], section->base + begin, end - begin);
    }
    return rhumb__publish_write_range(p, plan, section->base + old_bytes, old_bytes, new_bytes - old_bytes);
}

/* Waits for the writes in flight when the pool is used up. */
rhumb_status rhumb__publish_pool_take(rhumb__publisher *p, uint64_t bytes, uint8_t **buffer_out) {
    rhumb_status status = RHUMB_OK;
    if (p->pool_bytes < bytes) {
        RHUMB_TRY(rhumb__io_drain(p->store->io));
        rhumb__free(p->pool);
        p->pool_bytes = 0;
        const uint64_t share_bytes = rhumb__min_u64(rhumb__memory_limit_bytes() / COPY_POOL_SHARE, COPY_POOL_BYTES_MAX);
        const uint64_t pool_bytes = rhumb__max_u64(rhumb__max_u64(share_bytes, COPY_POOL_BYTES_MIN), bytes);
        p->pool = rhumb__alloc_aligned(pool_bytes, 1, 4096);
        if (p->pool == NULL) {
            status = rhumb__fail(RHUMB_E_NOMEM, "no memory for buffers of %llu bytes", (unsigned long long)pool_bytes);
            goto done;
        }
        p->pool_bytes = pool_bytes;
        p->pool_used_bytes = 0;
    }
    if (p->pool_bytes - p->pool_used_bytes < bytes) {
        RHUMB_TRY(rhumb__io_drain(p->store->io));
        p->pool_used_bytes = 0;
    }
    RHUMB_ASSERT_DEBUG(p->pool_used_bytes + bytes <= p->pool_bytes);
    *buffer_out = p->pool + p->pool_used_bytes;
    p->pool_used_bytes += bytes;
done:
    return status;
}

/* Adds the units in which the copies differ to `set`. */
static void add_different(const rhumb__section *section, const uint8_t *a, const uint8_t *b, rhumb__unit_set *set) {
    const uint64_t unit_bytes = section->unit_bytes;
    for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT; i++) {
        if (memcmp(a + i * unit_bytes, b + i * unit_bytes, unit_bytes) != 0) rhumb__bit_set(set->words, i);
    }
}

void rhumb__publish_copy_chunk(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t offset, uint8_t *copy,
                               rhumb__unit_set *changed_out) {
    const rhumb__section *section = plan->section;
    const uint64_t bytes = section->chunk_bytes;
    const uint64_t index = offset / bytes;
    RHUMB_ASSERT_DEBUG(offset % bytes == 0 && index < plan->checksum_count);
    rhumb__chunk_state *chunk = &section->chunks[index];
    rhumb__unit_set different = {{0}};
    rhumb__section_lock_chunk(section, chunk);
    memcpy(copy, section->base + offset, bytes);
    memcpy(p->raw, copy, bytes);
    *changed_out = chunk->dirty;
    chunk->dirty = (rhumb__unit_set){{0}};
    rhumb__mutex_unlock(&chunk->lock);
    const uint64_t first_row = index * section->chunk_row_count;
    const bool filtered =
        p->publication->filter != NULL &&
        p->publication->filter(p->publication->context, section, first_row, copy, section->chunk_row_count);
    /* The checksum covers only published rows, as in append-only sections; the copy has zeros after them. */
    const uint64_t published_bytes = plan->row_count * section->row_stride_bytes;
    const uint64_t used_bytes = rhumb__min_u64(bytes, published_bytes - offset);
    memset(copy + used_bytes, 0, bytes - used_bytes);
    /* A unit that is not as memory has it waits for the next version. */
    if (filtered || used_bytes < bytes) add_different(section, copy, p->raw, &different);
    if (!rhumb__unit_set_is_empty(&different)) {
        rhumb__section_lock_chunk(section, chunk);
        for (uint32_t i = 0; i < RHUMB__PATCH_UNIT_COUNT / 64; i++) {
            chunk->dirty.words[i] |= different.words[i];
            changed_out->words[i] |= different.words[i];
        }
        rhumb__mutex_unlock(&chunk->lock);
    }
    plan->checksums[index] = rhumb__crc32c(0, copy, used_bytes);
}

/* The smallest number of bytes that whole chunks and whole large pages fill; if that is too much, one large page. */
static uint64_t common_bytes(uint64_t chunk_bytes) {
    const uint64_t two_power = rhumb__min_u64(chunk_bytes & (~chunk_bytes + 1), RHUMB__LARGE_PAGE_BYTES);
    const uint64_t bytes = chunk_bytes * (RHUMB__LARGE_PAGE_BYTES / two_power);
    return bytes <= RUN_BYTES_MAX ? bytes : RHUMB__LARGE_PAGE_BYTES;
}

/* Writes adjacent chunks together, up to the next boundary that they have in common with large pages: the page cache
 * can keep, and map, as one unit what is written as one unit. */
static rhumb_status write_mutable_run(rhumb__publisher *p, rhumb__section_plan *plan, uint64_t begin, uint64_t end) {
    const uint64_t chunk_bytes = plan->section->chunk_bytes;
    const uint64_t run_bytes = common_bytes(chunk_bytes);
    while (begin < end) {
        const uint64_t boundary = (begin / run_bytes + 1) * run_bytes;
        uint64_t span_bytes = (boundary - begin) / chunk_bytes * chunk_bytes;
        span_bytes = rhumb__min_u64(rhumb__max_u64(span_bytes, chunk_bytes), end - begin);
        uint8_t *copy = NULL;
        rhumb_status status = rhumb__publish_pool_take(p, span_bytes, &copy);
        if (status != RHUMB_OK) return status;
        for (uint64_t done = 0; done < span_bytes; done += chunk_bytes) {
            rhumb__unit_set changed;
            rhumb__publish_copy_chunk(p, plan, begin + done, copy + done, &changed);
        }
        status = rhumb__publish_write_range(p, plan, copy, begin, span_bytes);
        if (status != RHUMB_OK) return status;
        begin += span_bytes;
    }
    return RHUMB_OK;
}

static rhumb_status write_section(rhumb__publisher *p, rhumb__section_plan *plan) {
    if (plan->checksum_count == 0) return RHUMB_OK;
    if (plan->section->spec.kind == RHUMB__SECTION_APPEND) return write_append(p, plan);
    const uint64_t end = plan->checksum_count * plan->section->chunk_bytes; /* what comes after is room for growth */
    for (uint32_t i = 0; i < plan->moved.count; i++) {
        const rhumb__range range = plan->moved.items[i];
        rhumb_status status = write_mutable_run(p, plan, range.begin, rhumb__min_u64(range.end, end));
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

rhumb_status rhumb__publish_write(rhumb__publisher *p) {
    rhumb_status status = RHUMB_OK;
    /* First, so that little can have changed since the plan was made. */
    p->unpaced = true;
    if (!p->ahead) RHUMB_TRY(rhumb__publish_patches_copy(p));
    for (uint32_t i = 0; i < p->section_count; i++) {
        if (p->sections[i]->spec.copied_first) RHUMB_TRY(write_section(p, &p->plans[i]));
    }
    p->unpaced = false;
    if (p->publication->sections_copied != NULL) p->publication->sections_copied(p->publication->context);
    for (uint32_t i = 0; i < p->section_count; i++) {
        if (!p->sections[i]->spec.copied_first) RHUMB_TRY(write_section(p, &p->plans[i]));
    }
    if (!p->ahead) RHUMB_TRY(rhumb__publish_patches_write(p));
done:
    return status;
}
