/* topology.c - opening topology files, and finding things in them; see topology.h.
 *
 * The positions of the arrays are derived from point_count, link_count and flags, and their end is file_bytes, which
 * the file must have. So once the header is accepted, every element of every array is in the mapping; the values of
 * elements are checked at each use. Takes no lock.
 */
#include "engine/topology/topology.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/fork.h"
#include "base/status.h"
#include "engine/search/adjacency.h"
#include "storage/new_file.h"

#define ARRAY_ALIGNMENT 64u

bool rhumb__topology_lay_out(const rhumb__topology_header *header, rhumb__topology_layout *layout) {
    const uint64_t point_count = header->point_count;
    const uint64_t link_count = header->link_count;
    /* Below these limits nothing overflows. */
    if (point_count > RHUMB__SLOT_LIMIT || link_count > point_count * RHUMB__ADJACENCY_MAX) return false;
    const bool has_distances = (header->flags & RHUMB__TOPOLOGY_DISTANCES) != 0;
    const uint64_t bytes[RHUMB__TOPOLOGY_ARRAY_COUNT] = {
        [RHUMB__TOPOLOGY_ARRAY_KEYS] = point_count * sizeof(uint64_t),
        [RHUMB__TOPOLOGY_ARRAY_STARTS] = (point_count + 1) * sizeof(uint64_t),
        [RHUMB__TOPOLOGY_ARRAY_LEVELS] = point_count,
        [RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS] = link_count * sizeof(uint32_t),
        [RHUMB__TOPOLOGY_ARRAY_DISTANCES] = has_distances ? link_count * sizeof(float) : 0,
    };
    uint64_t offset = RHUMB__TOPOLOGY_HEADER_BYTES;
    uint64_t checksum_count = 0;
    for (uint32_t i = 0; i < RHUMB__TOPOLOGY_ARRAY_COUNT; i++) {
        rhumb__topology_place *place = &layout->arrays[i];
        place->offset = offset;
        place->bytes = bytes[i];
        place->checksum_first = checksum_count;
        place->checksum_count = rhumb__divide_up(bytes[i], RHUMB__ARRAY_CHUNK_BYTES);
        checksum_count += place->checksum_count;
        offset = rhumb__round_up(offset + bytes[i], ARRAY_ALIGNMENT);
    }
    layout->checksum_offset = offset;
    layout->checksum_count = checksum_count;
    layout->file_bytes = offset + checksum_count * sizeof(uint32_t);
    return true;
}

uint32_t rhumb__topology_header_crc(const rhumb__topology_header *header) {
    return rhumb__crc32c_header(header, sizeof *header, offsetof(rhumb__topology_header, crc));
}

static rhumb_status check_header(const rhumb__topology *topology, const char *path, uint64_t file_bytes) {
    const rhumb__topology_header *header = &topology->header;
    if (header->format_version != RHUMB__TOPOLOGY_FORMAT_VERSION || header->features_incompatible != 0) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offsetof(rhumb__topology_header, format_version),
                              "topology format version %u, features 0x%llx: version %u without features expected",
                              header->format_version, (unsigned long long)header->features_incompatible,
                              RHUMB__TOPOLOGY_FORMAT_VERSION);
    }
    const uint32_t crc = rhumb__topology_header_crc(header);
    if (header->crc != crc) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offsetof(rhumb__topology_header, crc),
                              "checksum of the header: expected 0x%08x, found 0x%08x", header->crc, crc);
    }
    rhumb__topology_layout layout;
    if (!rhumb__topology_lay_out(header, &layout) || layout.file_bytes != header->file_bytes) {
        return rhumb__fail_at(RHUMB_E_CORRUPT, path, offsetof(rhumb__topology_header, point_count),
                              "%llu points and %llu links do not make a file of %llu bytes",
                              (unsigned long long)header->point_count, (unsigned long long)header->link_count,
                              (unsigned long long)header->file_bytes);
    }
    if (file_bytes != header->file_bytes) {
        return rhumb__fail_at(file_bytes < header->file_bytes ? RHUMB_E_TRUNCATED : RHUMB_E_CORRUPT, path,
                              offsetof(rhumb__topology_header, file_bytes),
                              "the file should have %llu bytes, it has %llu", (unsigned long long)header->file_bytes,
                              (unsigned long long)file_bytes);
    }
    return RHUMB_OK;
}

static rhumb_status read_header(rhumb__topology *topology, const char *path) {
    rhumb_status status;
    uint64_t file_bytes = 0;
    rhumb__topology_header *header = &topology->header;
    RHUMB_TRY(rhumb__io_size(topology->io, &file_bytes));
    RHUMB_TRY(rhumb__io_read(topology->io, header, rhumb__min_u64(file_bytes, sizeof *header), 0));
    if (file_bytes < sizeof header->magic || header->magic != RHUMB__TOPOLOGY_MAGIC) {
        status = rhumb__fail_at(RHUMB_E_NOT_AN_INDEX, path, 0,
                                "not a rhumb topology file: the file begins with other bytes");
        goto done;
    }
    if (file_bytes < sizeof *header) {
        status = rhumb__fail_at(RHUMB_E_TRUNCATED, path, 0, "the header needs %zu bytes, the file has %llu",
                                sizeof *header, (unsigned long long)file_bytes);
        goto done;
    }
    status = check_header(topology, path, file_bytes);
done:
    return status;
}

static const void *array_base(const rhumb__topology *topology, rhumb__topology_array array) {
    return topology->mapping.base + topology->layout.arrays[array].offset;
}

rhumb_status rhumb__topology_open(const char *path, rhumb__topology **topology_out) {
    rhumb_status status;
    rhumb__topology *topology = rhumb__alloc_zeroed(1, sizeof *topology);
    if (topology == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a topology");
    topology->generation = rhumb__fork_generation();
    RHUMB_TRY(rhumb__io_open(NULL, path, RHUMB__IO_READ, &topology->io));
    RHUMB_TRY(read_header(topology, path));
    (void)rhumb__topology_lay_out(&topology->header, &topology->layout); /* read_header has checked it */
    RHUMB_TRY(rhumb__file_mapping_make(topology->io, topology->layout.file_bytes, &topology->mapping));
    topology->keys = array_base(topology, RHUMB__TOPOLOGY_ARRAY_KEYS);
    topology->starts = array_base(topology, RHUMB__TOPOLOGY_ARRAY_STARTS);
    topology->levels = array_base(topology, RHUMB__TOPOLOGY_ARRAY_LEVELS);
    topology->neighbours = array_base(topology, RHUMB__TOPOLOGY_ARRAY_NEIGHBOURS);
    if ((topology->header.flags & RHUMB__TOPOLOGY_DISTANCES) != 0) {
        topology->distances = array_base(topology, RHUMB__TOPOLOGY_ARRAY_DISTANCES);
    }
    *topology_out = topology;
    topology = NULL;
done:
    rhumb__topology_close(topology);
    return status;
}

void rhumb__topology_close(rhumb__topology *topology) {
    if (topology == NULL) return;
    /* A child has not inherited the mapping; something else may be at its address. */
    if (topology->generation == rhumb__fork_generation()) {
        rhumb__file_mapping_drop(&topology->mapping);
    }
    rhumb__io_close(topology->io);
    rhumb__free(topology);
}

rhumb_status rhumb__topology_find(const rhumb__topology *topology, uint64_t key, uint64_t *position_out) {
    const uint64_t *keys = topology->keys;
    uint64_t low = 0;
    uint64_t high = topology->header.point_count;
    /* Keys are often consecutive; then one look is enough. */
    const uint64_t guess = high == 0 ? 0 : key - keys[0];
    if (guess < high && keys[guess] == key) {
        *position_out = guess;
        return RHUMB_OK;
    }
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (keys[middle] < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == topology->header.point_count || keys[low] != key) {
        return rhumb__fail_at(RHUMB_E_NOTFOUND, topology->io->path, RHUMB_OFFSET_NONE,
                              "key %llu is not in the topology", (unsigned long long)key);
    }
    *position_out = low;
    return RHUMB_OK;
}

rhumb_status rhumb__topology_range(const rhumb__topology *topology, uint64_t position, uint64_t *begin_out,
                                   uint64_t *count_out) {
    RHUMB_ASSERT_DEBUG(position < topology->header.point_count);
    const uint64_t begin = topology->starts[position];
    const uint64_t end = topology->starts[position + 1];
    if (begin > end || end > topology->header.link_count || end - begin > RHUMB__ADJACENCY_MAX) {
        const uint64_t offset = topology->layout.arrays[RHUMB__TOPOLOGY_ARRAY_STARTS].offset + position * sizeof begin;
        return rhumb__fail_at(RHUMB_E_CORRUPT, topology->io->path, offset,
                              "point %llu has the links %llu to %llu, of %llu", (unsigned long long)position,
                              (unsigned long long)begin, (unsigned long long)end,
                              (unsigned long long)topology->header.link_count);
    }
    *begin_out = begin;
    *count_out = end - begin;
    return RHUMB_OK;
}
