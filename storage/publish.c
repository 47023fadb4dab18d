/* publish.c - writing a new version of the file beside the newest one and making it the newest: the checkpoint.
 *
 * The order is what makes it safe, and every step is there for a reason:
 *   1. plan      for each section, new blocks for what has to be written. No block is taken that the two newest
 * versions or a pinned reader use. Space is allocated now, so that a full disk is noticed before anything is written.
 *   2. write     tails of append-only sections behind their published length; changed granules of mutable sections to
 * their new blocks, each chunk copied under its lock; the directory with all checksums.
 *   3. sync      everything the superblock is going to refer to is on the disk.
 *   4. publish   the superblock into the slot of the version before the last; sync. From here on the new version
 * counts.
 *   5. settle    map what was written over the private pages that held it, which gives these back; retire the old
 * blocks.
 *
 * A *granule* is a power of two of chunks, the unit that is rewritten and mapped as one: a chunk in small sections,
 * more in large ones, so that a section never lies in more than some thousand pieces.
 *
 * Invariants: until step 4 nothing that the older versions refer to has changed, so a failure before it costs nothing
 * but the blocks that were taken, which are given back. A granule is dirty whenever memory and newest version may
 * differ. Locking: the whole function runs under the store's publishing lock, which is taken before any chunk lock.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "storage/store.h"

#define GRANULE_COUNT_MAX 2048u
#define COPY_POOL_BYTES (8u << 20)
#define WRITE_BYTES_MAX (64u << 20)

/* What is going to change in one section. */
typedef struct section_plan {
    rhumb__section *section;
    uint64_t row_count;
    uint64_t granule_bytes;
    rhumb__extent_list extents;   /* of the new version */
    rhumb__extent_list taken;     /* blocks taken for it; section_offset has no meaning here */
    rhumb__extent_list rewritten; /* for mutable sections: pieces of the section that go to new blocks */
    uint32_t *checksums;
    uint64_t checksum_count;
} section_plan;

/* A publication under way. */
typedef struct publisher {
    rhumb__store *store;
    rhumb__publication *publication;
    section_plan plans[RHUMB__SECTION_COUNT_MAX];
    uint8_t *pool; /* chunk copies on their way to the file */
    uint64_t pool_used_bytes;
    uint64_t pool_bytes;
    uint8_t *directory_bytes; /* the root, the checksums behind it */
    uint64_t directory_offset;
    uint64_t directory_block_bytes;
    rhumb__superblock superblock;
    uint64_t written_bytes;
} publisher;

/* Takes blocks for a piece of the section. A large piece lies so that large pages can map it: its offset in the file
 * and in the section agree modulo their size, as its address and its offset in the section do. */
static rhumb_status take_blocks(publisher *p, section_plan *plan, uint64_t section_offset, uint64_t bytes,
                                uint64_t *offset_out) {
    const uint64_t alignment = bytes >= RHUMB__LARGE_PAGE_BYTES ? RHUMB__LARGE_PAGE_BYTES : 1;
    rhumb_status status =
        rhumb__file_space_take(&p->store->space, bytes, alignment, section_offset & (alignment - 1), offset_out);
    if (status != RHUMB_OK) return status;
    status = rhumb__extent_list_append(&plan->taken, *offset_out, bytes);
    if (status != RHUMB_OK) rhumb__file_space_give(&p->store->space, *offset_out, bytes);
    return status;
}

/* New extents at the end for what the old ones cannot hold. They grow with the section, by at least a 64th of it, which
 * bounds their number, and in place when the blocks behind the last one are free. */
static rhumb_status plan_append(publisher *p, section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t have_bytes = section->extents.bytes;
    const uint64_t need_bytes = rhumb__round_up(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    rhumb_status status = rhumb__extent_list_append_range(&plan->extents, &section->extents, 0, have_bytes);
    if (status != RHUMB_OK || need_bytes <= have_bytes) return status;
    const uint64_t share_bytes =
        rhumb__max_u64(rhumb__floor_power_of_two(have_bytes / 64), (uint64_t)RHUMB__BLOCK_BYTES);
    const uint64_t bytes = rhumb__max_u64(need_bytes - have_bytes, rhumb__round_down(share_bytes, RHUMB__BLOCK_BYTES));
    uint64_t offset = 0;
    if (have_bytes > 0) {
        const rhumb__extent_item *last = &section->extents.items[section->extents.count - 1];
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

static bool granule_is_dirty(const rhumb__section *section, uint64_t begin, uint64_t end) {
    bool dirty = false;
    for (uint64_t offset = begin; offset < end && !dirty; offset += section->chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / section->chunk_bytes];
        pthread_mutex_lock(&chunk->lock);
        dirty = chunk->dirty;
        pthread_mutex_unlock(&chunk->lock);
    }
    return dirty;
}

/* Sorts the granules into those that stay where they are and those that move, and finds room for each run of moving
 * ones. */
static rhumb_status plan_mutable(publisher *p, section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    const uint64_t end_bytes = plan->checksum_count * chunk_bytes;
    plan->granule_bytes = chunk_bytes;
    while (end_bytes / plan->granule_bytes > GRANULE_COUNT_MAX) plan->granule_bytes *= 2;
    /* Checksums cover published rows, so a chunk that gets more of them gets a new one, even if nobody touched it. */
    const bool grows = plan->row_count > section->published_row_count;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    uint64_t begin = 0;
    while (begin < end_bytes) {
        /* Extend [begin, end) over all granules that share the fate of the first. */
        bool moves = false;
        uint64_t end = begin;
        while (end < end_bytes) {
            const uint64_t granule_end = rhumb__min_u64(end + plan->granule_bytes, end_bytes);
            const bool granule_moves = granule_end > section->extents.bytes || (grows && granule_end > old_bytes) ||
                                       !rhumb__extent_list_is_contiguous(&section->extents, end, granule_end - end) ||
                                       granule_is_dirty(section, end, granule_end);
            if (end == begin) moves = granule_moves;
            if (granule_moves != moves) break;
            end = granule_end;
        }
        rhumb_status status;
        if (moves) {
            uint64_t offset = 0;
            status = take_blocks(p, plan, begin, end - begin, &offset);
            if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->extents, offset, end - begin);
            /* The list of moving pieces abuses file_offset for the place in the section, so that touching pieces join.
             */
            if (status == RHUMB_OK) status = rhumb__extent_list_append(&plan->rewritten, begin, end - begin);
        } else {
            status = rhumb__extent_list_append_range(&plan->extents, &section->extents, begin, end - begin);
        }
        if (status != RHUMB_OK) return status;
        begin = end;
    }
    return RHUMB_OK;
}

static rhumb_status plan_section(publisher *p, uint32_t index) {
    section_plan *plan = &p->plans[index];
    rhumb__section *section = p->store->sections[index];
    plan->section = section;
    plan->row_count = p->publication->row_counts[index];
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
    return section->spec.kind == RHUMB__SECTION_APPEND ? plan_append(p, plan) : plan_mutable(p, plan);
}

/* Makes the file system set the blocks aside. */
static rhumb_status allocate_taken(publisher *p) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < p->store->section_count; i++) {
        const rhumb__extent_list *taken = &p->plans[i].taken;
        for (uint32_t k = 0; k < taken->count; k++) {
            RHUMB_TRY(rhumb__io_allocate(p->store->io, taken->items[k].file_offset, taken->items[k].bytes));
        }
    }
done:
    return status;
}

/* Writes `bytes` of memory to the place that the new extents give them. The memory must stay unchanged until the next
 * drain. */
static rhumb_status write_range(publisher *p, const section_plan *plan, const uint8_t *memory, uint64_t section_offset,
                                uint64_t bytes) {
    while (bytes > 0) {
        const rhumb__extent_item *item = rhumb__extent_list_find(&plan->extents, section_offset);
        const uint64_t skipped_bytes = section_offset - item->section_offset;
        const uint64_t piece_bytes =
            rhumb__min_u64(rhumb__min_u64(bytes, item->bytes - skipped_bytes), WRITE_BYTES_MAX);
        rhumb_status status = rhumb__io_write(p->store->io, memory, piece_bytes, item->file_offset + skipped_bytes);
        if (status != RHUMB_OK) return status;
        p->written_bytes += piece_bytes;
        memory += piece_bytes;
        section_offset += piece_bytes;
        bytes -= piece_bytes;
    }
    return RHUMB_OK;
}

/* Rows that are published never change again, so they are written from where they are. */
static rhumb_status write_append(publisher *p, section_plan *plan) {
    const rhumb__section *section = plan->section;
    const uint64_t old_bytes = section->published_row_count * section->row_stride_bytes;
    const uint64_t new_bytes = plan->row_count * section->row_stride_bytes;
    if (new_bytes == old_bytes) return RHUMB_OK;
    for (uint64_t i = old_bytes / section->chunk_bytes; i < plan->checksum_count; i++) {
        const uint64_t begin = i * section->chunk_bytes;
        const uint64_t bytes = rhumb__min_u64(section->chunk_bytes, new_bytes - begin);
        plan->checksums[i] = rhumb__crc32c(0, section->base + begin, bytes);
    }
    return write_range(p, plan, section->base + old_bytes, old_bytes, new_bytes - old_bytes);
}

/* A place in the pool for some chunks; waits for the writes in flight when the pool is used up. */
static rhumb_status pool_take(publisher *p, uint64_t bytes, uint8_t **buffer_out) {
    rhumb_status status = RHUMB_OK;
    if (p->pool_bytes < bytes) {
        RHUMB_TRY(rhumb__io_drain(p->store->io));
        rhumb__free(p->pool);
        p->pool_bytes = 0;
        const uint64_t pool_bytes = rhumb__max_u64(COPY_POOL_BYTES, bytes);
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
    *buffer_out = p->pool + p->pool_used_bytes;
    p->pool_used_bytes += bytes;
done:
    return status;
}

/* Copies one chunk under its lock, lets the filter have it, and notes its checksum. */
static void copy_chunk(publisher *p, section_plan *plan, uint64_t offset, uint8_t *copy) {
    const rhumb__section *section = plan->section;
    const uint64_t bytes = section->chunk_bytes;
    const uint64_t index = offset / bytes;
    rhumb__chunk_state *chunk = &section->chunks[index];
    pthread_mutex_lock(&chunk->lock);
    memcpy(copy, section->base + offset, bytes);
    chunk->dirty = false;
    pthread_mutex_unlock(&chunk->lock);
    const uint64_t first_row = index * section->chunk_row_count;
    if (p->publication->filter != NULL &&
        p->publication->filter(p->publication->filter_context, section, first_row, copy, section->chunk_row_count)) {
        pthread_mutex_lock(&chunk->lock);
        chunk->dirty = true;
        pthread_mutex_unlock(&chunk->lock);
    }
    /* Only published rows count for the checksum, as in append-only sections; what is behind them is zero in the copy.
     */
    const uint64_t published_bytes = plan->row_count * section->row_stride_bytes;
    const uint64_t used_bytes = rhumb__min_u64(bytes, published_bytes - offset);
    memset(copy + used_bytes, 0, bytes - used_bytes);
    plan->checksums[index] = rhumb__crc32c(0, copy, used_bytes);
}

/* Chunks that follow each other go to the file together, up to the next boundary of a large page: what is written in
 * one piece is what the page cache can keep, and map, in one piece. */
static rhumb_status write_mutable_run(publisher *p, section_plan *plan, uint64_t begin, uint64_t end) {
    const uint64_t chunk_bytes = plan->section->chunk_bytes;
    while (begin < end) {
        const uint64_t boundary = rhumb__round_up(begin + 1, RHUMB__LARGE_PAGE_BYTES);
        uint64_t span_bytes = rhumb__round_down(boundary - begin, RHUMB__BLOCK_BYTES) / chunk_bytes * chunk_bytes;
        span_bytes = rhumb__min_u64(rhumb__max_u64(span_bytes, chunk_bytes), end - begin);
        uint8_t *copy = NULL;
        rhumb_status status = pool_take(p, span_bytes, &copy);
        if (status != RHUMB_OK) return status;
        for (uint64_t done = 0; done < span_bytes; done += chunk_bytes) copy_chunk(p, plan, begin + done, copy + done);
        status = write_range(p, plan, copy, begin, span_bytes);
        if (status != RHUMB_OK) return status;
        begin += span_bytes;
    }
    return RHUMB_OK;
}

static rhumb_status write_section(publisher *p, section_plan *plan) {
    if (plan->checksum_count == 0) return RHUMB_OK;
    if (plan->section->spec.kind == RHUMB__SECTION_APPEND) return write_append(p, plan);
    for (uint32_t i = 0; i < plan->rewritten.count; i++) {
        const uint64_t begin = plan->rewritten.items[i].file_offset;
        rhumb_status status = write_mutable_run(p, plan, begin, begin + plan->rewritten.items[i].bytes);
        if (status != RHUMB_OK) return status;
    }
    return RHUMB_OK;
}

/* The directory of the new version as bytes: root, then all chunk checksums. The entries borrow the plans' extents. */
static rhumb_status encode_directory(publisher *p, rhumb__directory *directory, uint32_t *root_bytes_out,
                                     uint64_t *bytes_out) {
    uint64_t checksum_count = 0;
    uint32_t checksum_crc = 0;
    directory->epoch = p->superblock.epoch;
    directory->section_count = p->store->section_count;
    for (uint32_t i = 0; i < p->store->section_count; i++) {
        const section_plan *plan = &p->plans[i];
        const rhumb__section_spec *spec = &plan->section->spec;
        rhumb__directory_entry *entry = &directory->entries[i];
        entry->extents = plan->extents;
        entry->record.id = spec->id;
        entry->record.kind = (uint32_t)spec->kind;
        entry->record.flags = spec->required ? RHUMB__SECTION_REQUIRED : 0;
        entry->record.codec = spec->codec;
        entry->record.version = spec->version;
        entry->record.chunk_bytes = plan->section->chunk_bytes;
        entry->record.row_stride_bytes = spec->row_stride_bytes;
        entry->record.row_count = plan->row_count;
        checksum_count += plan->checksum_count;
        checksum_crc = rhumb__crc32c(checksum_crc, plan->checksums, plan->checksum_count * sizeof(uint32_t));
    }
    directory->checksum_crc = checksum_crc;
    uint8_t *root = NULL;
    rhumb_status status = rhumb__directory_encode(directory, &root, root_bytes_out);
    if (status != RHUMB_OK) return status;
    const uint64_t bytes = *root_bytes_out + checksum_count * sizeof(uint32_t);
    p->directory_bytes = rhumb__alloc_resize(root, bytes, 1);
    if (p->directory_bytes == NULL) {
        rhumb__free(root);
        return rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory of %llu bytes", (unsigned long long)bytes);
    }
    p->superblock.root_crc = rhumb__crc32c(0, p->directory_bytes, *root_bytes_out);
    uint8_t *next = p->directory_bytes + *root_bytes_out;
    for (uint32_t i = 0; i < p->store->section_count; i++) {
        const size_t table_bytes = p->plans[i].checksum_count * sizeof(uint32_t);
        if (table_bytes > 0) memcpy(next, p->plans[i].checksums, table_bytes);
        next += table_bytes;
    }
    *bytes_out = bytes;
    return RHUMB_OK;
}

static rhumb_status write_directory(publisher *p) {
    rhumb_status status;
    rhumb__store *store = p->store;
    uint32_t root_bytes = 0;
    uint64_t bytes = 0;
    uint64_t file_bytes = 0;
    rhumb__directory *directory = rhumb__alloc_zeroed(1, sizeof *directory);
    if (directory == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a directory");
    RHUMB_TRY(encode_directory(p, directory, &root_bytes, &bytes));
    const uint64_t block_bytes = rhumb__round_up(bytes, RHUMB__BLOCK_BYTES);
    RHUMB_TRY(rhumb__file_space_take(&store->space, block_bytes, 1, 0, &p->directory_offset));
    p->directory_block_bytes = block_bytes;
    RHUMB_TRY(rhumb__io_allocate(store->io, p->directory_offset, block_bytes));
    /* The last block may be one that the file has a part of only, as after somebody has added bytes to it. */
    RHUMB_TRY(rhumb__io_size(store->io, &file_bytes));
    if (file_bytes < store->space.end) RHUMB_TRY(rhumb__io_resize(store->io, store->space.end));
    RHUMB_TRY(rhumb__io_write(store->io, p->directory_bytes, bytes, p->directory_offset));
    p->written_bytes += bytes;
    p->superblock.directory_offset = p->directory_offset;
    p->superblock.directory_bytes = bytes;
    p->superblock.root_bytes = root_bytes;
    p->superblock.file_bytes = store->space.end;
done:
    rhumb__free(directory); /* not its extents: they are the plans' */
    return status;
}

/* Puts memory that holds the same bytes in the place of a chunk, atomically for everybody who reads it. Afterwards the
 * chunk does not depend on the blocks it was mapped from. The chunk's lock is held. */
static bool detach_chunk(const rhumb__section *section, uint64_t offset) {
    const size_t bytes = section->chunk_bytes;
    void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) return false;
    memcpy(copy, section->base + offset, bytes);
    if (mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, section->base + offset) != MAP_FAILED) return true;
    munmap(copy, bytes);
    return false;
}

/* Maps one granule that moved from its new blocks; chunks that have changed meanwhile keep their memory. Returns
 * whether nothing depends on the old blocks any more. Locks the granule's chunks in ascending order. */
static bool settle_granule(publisher *p, const section_plan *plan, uint64_t begin, uint64_t end) {
    const rhumb__section *section = plan->section;
    const uint64_t chunk_bytes = section->chunk_bytes;
    bool settled = true;
    bool all_clean = true;
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        rhumb__chunk_state *chunk = &section->chunks[offset / chunk_bytes];
        pthread_mutex_lock(&chunk->lock);
        all_clean = all_clean && !chunk->dirty;
    }
    const uint64_t step_bytes = all_clean ? end - begin : chunk_bytes;
    for (uint64_t offset = begin; offset < end; offset += step_bytes) {
        if (!all_clean && section->chunks[offset / chunk_bytes].dirty) {
            settled = detach_chunk(section, offset) && settled;
            continue;
        }
        const rhumb__extent_item *item = rhumb__extent_list_find(&plan->extents, offset);
        const uint64_t file_offset = item->file_offset + (offset - item->section_offset);
        settled = rhumb__io_map(p->store->io, section->base + offset, step_bytes, file_offset, RHUMB__IO_MAP_PRIVATE) ==
                      RHUMB_OK &&
                  settled;
    }
    for (uint64_t offset = begin; offset < end; offset += chunk_bytes) {
        pthread_mutex_unlock(&section->chunks[offset / chunk_bytes].lock);
    }
    return settled;
}

static void retire_range(publisher *p, const rhumb__extent_list *extents, uint64_t begin, uint64_t end) {
    end = rhumb__min_u64(end, extents->bytes);
    while (begin < end) {
        const rhumb__extent_item *item = rhumb__extent_list_find(extents, begin);
        const uint64_t skipped_bytes = begin - item->section_offset;
        const uint64_t bytes = rhumb__min_u64(end - begin, item->bytes - skipped_bytes);
        rhumb__store_retire(p->store, p->superblock.epoch - 1, item->file_offset + skipped_bytes, bytes);
        begin += bytes;
    }
}

/* Full blocks of published rows are mapped from the file. What cannot be mapped stays in private memory, which is as
 * right. */
static void settle_append(publisher *p, section_plan *plan) {
    rhumb__section *section = plan->section;
    const uint64_t end = rhumb__round_down(plan->row_count * section->row_stride_bytes, RHUMB__BLOCK_BYTES);
    uint64_t begin = section->settled_bytes;
    while (begin < end) {
        const rhumb__extent_item *item = rhumb__extent_list_find(&plan->extents, begin);
        const uint64_t skipped_bytes = begin - item->section_offset;
        const uint64_t bytes = rhumb__min_u64(end - begin, item->bytes - skipped_bytes);
        if (rhumb__io_map(p->store->io, section->base + begin, bytes, item->file_offset + skipped_bytes,
                          RHUMB__IO_MAP_PRIVATE) != RHUMB_OK) {
            break;
        }
        begin += bytes;
    }
    section->settled_bytes = begin;
}

static void settle_section(publisher *p, section_plan *plan) {
    rhumb__section *section = plan->section;
    if (section->spec.kind == RHUMB__SECTION_APPEND) {
        settle_append(p, plan);
    } else {
        for (uint32_t i = 0; i < plan->rewritten.count; i++) {
            const uint64_t end = plan->rewritten.items[i].file_offset + plan->rewritten.items[i].bytes;
            for (uint64_t begin = plan->rewritten.items[i].file_offset; begin < end;) {
                const uint64_t granule_end = rhumb__min_u64(begin + plan->granule_bytes, end);
                /* Blocks that memory still depends on are not given away; the next open finds them. */
                if (settle_granule(p, plan, begin, granule_end)) {
                    retire_range(p, &section->extents, begin, granule_end);
                }
                begin = granule_end;
            }
        }
    }
    rhumb__extent_list_clear(&section->extents);
    section->extents = plan->extents;
    plan->extents = (rhumb__extent_list){0};
    rhumb__free(section->checksums);
    section->checksums = plan->checksums;
    plan->checksums = NULL;
    section->checksum_count = plan->checksum_count;
    section->published_row_count = plan->row_count;
}

/* After a failure: nothing refers to the blocks that were taken, and everything that was copied counts as changed
 * again. */
static void roll_back(publisher *p) {
    for (uint32_t i = 0; i < p->store->section_count; i++) {
        section_plan *plan = &p->plans[i];
        for (uint32_t k = 0; k < plan->rewritten.count; k++) {
            const uint64_t begin = plan->rewritten.items[k].file_offset;
            const uint64_t end = begin + plan->rewritten.items[k].bytes;
            for (uint64_t offset = begin; offset < end; offset += plan->section->chunk_bytes) {
                rhumb__chunk_state *chunk = &plan->section->chunks[offset / plan->section->chunk_bytes];
                pthread_mutex_lock(&chunk->lock);
                chunk->dirty = true;
                pthread_mutex_unlock(&chunk->lock);
            }
        }
        for (uint32_t k = 0; k < plan->taken.count; k++) {
            rhumb__file_space_give(&p->store->space, plan->taken.items[k].file_offset, plan->taken.items[k].bytes);
        }
    }
    rhumb__file_space_give(&p->store->space, p->directory_offset, p->directory_block_bytes);
}

static void publisher_free(publisher *p) {
    if (p == NULL) return;
    for (uint32_t i = 0; i < RHUMB__SECTION_COUNT_MAX; i++) {
        rhumb__extent_list_clear(&p->plans[i].extents);
        rhumb__extent_list_clear(&p->plans[i].taken);
        rhumb__extent_list_clear(&p->plans[i].rewritten);
        rhumb__free(p->plans[i].checksums);
    }
    rhumb__free(p->pool);
    rhumb__free(p->directory_bytes);
    rhumb__free(p);
}

/* Steps 1 and 2. */
static rhumb_status write_version(publisher *p) {
    rhumb_status status = RHUMB_OK;
    for (uint32_t i = 0; i < p->store->section_count; i++) RHUMB_TRY(plan_section(p, i));
    RHUMB_TRY(allocate_taken(p));
    for (uint32_t i = 0; i < p->store->section_count; i++) RHUMB_TRY(write_section(p, &p->plans[i]));
    RHUMB_TRY(write_directory(p));
    RHUMB_TRY(rhumb__io_drain(p->store->io));
done:
    /* Buffers may still be on their way to the file; they must not be released before they have arrived. */
    if (status != RHUMB_OK) {
        rhumb_error cause;
        rhumb__error_save(&cause);
        if (rhumb__io_drain(p->store->io) != RHUMB_OK) rhumb__error_restore(&cause);
    }
    return status;
}

/* Steps 3 and 4. What fails here leaves it open which version the disk holds, so the handle writes no more. Only the
 * first version is another matter: its file is going to be removed. */
static rhumb_status make_newest(publisher *p) {
    rhumb_status status;
    rhumb__io *io = p->store->io;
    /* If the sync of the version that was found at open had failed, it might be in the page cache only, and the disk
     * still have the version whose blocks are being reused. Written again, it is durable before the next one begins. */
    if (p->store->superblock_found) RHUMB_TRY(rhumb__superblock_write(io, &p->store->superblock));
    RHUMB_TRY(rhumb__io_sync(io));
    p->store->superblock_found = false;
    RHUMB_TRY(rhumb__superblock_write(io, &p->superblock));
    RHUMB_TRY(rhumb__io_sync(io));
    if (!p->store->has_version) RHUMB_TRY(rhumb__io_sync_directory(io->backend, p->store->path));
done:
    if (status != RHUMB_OK) atomic_store(&p->store->failed, true);
    if (status != RHUMB_OK && p->store->has_version) {
        rhumb_error cause;
        rhumb_error error;
        rhumb__error_save(&cause);
        status = rhumb__fail_at(RHUMB_E_FATAL, p->store->path, cause.file_offset,
                                "a version could not be made durable, nothing more will be written: %s", cause.message);
        rhumb__error_save(&error);
        error.os_errno = cause.os_errno;
        rhumb__error_restore(&error);
    }
    return status;
}

rhumb_status rhumb__store_publish(rhumb__store *store, rhumb__publication *publication) {
    rhumb_status status;
    RHUMB_ASSERT(store->writable);
    publisher *p = rhumb__alloc_zeroed(1, sizeof *p);
    if (p == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a checkpoint");
    pthread_mutex_lock(&store->publish_lock);
    if (atomic_load(&store->failed)) {
        status = rhumb__fail_at(RHUMB_E_FATAL, store->path, RHUMB_OFFSET_NONE,
                                "an earlier failure to make a version durable forbids further writing");
        goto done;
    }
    if (store->superblock.epoch >= RHUMB__EPOCH_MAX) {
        status = rhumb__fail_at(RHUMB_E_FULL, store->path, RHUMB_OFFSET_NONE, "epoch %llu is the last there can be",
                                (unsigned long long)store->superblock.epoch);
        goto done;
    }
    p->store = store;
    p->publication = publication;
    p->superblock = store->superblock;
    p->superblock.epoch = store->superblock.epoch + 1;
    memcpy(p->superblock.client, publication->client, sizeof p->superblock.client);
    rhumb__store_reclaim(store);
    status = write_version(p);
    if (status != RHUMB_OK) {
        roll_back(p);
        goto done;
    }
    RHUMB_TRY(make_newest(p));
    for (uint32_t i = 0; i < store->section_count; i++) settle_section(p, &p->plans[i]);
    rhumb__store_retire(store, store->superblock.epoch, store->directory_offset, store->directory_bytes);
    store->directory_offset = p->directory_offset;
    store->directory_bytes = p->directory_block_bytes;
    store->superblock = p->superblock;
    store->has_version = true;
    publication->written_bytes = p->written_bytes;
done:
    pthread_mutex_unlock(&store->publish_lock);
    publisher_free(p);
    return status;
}
