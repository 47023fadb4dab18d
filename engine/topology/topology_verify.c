/* topology_verify.c - reading a topology file from end to end: its checksums, and every rule of its arrays.
 *
 * Owns one buffer, the checksums, and one bit per point. Takes no lock. Damage is counted, and the first is described;
 * it is not a failure.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/bits.h"
#include "base/crc32c.h"
#include "base/status.h"
#include "engine/search/adjacency.h"
#include "engine/topology/topology.h"
#include "storage/new_file.h"

/* Points between two looks at the clock. */
#define POINTS_PER_REPORT 64u

typedef struct verifier {
    const rhumb__topology *topology;
    rhumb__progress *progress;
    rhumb__topology_verification *result;
    uint8_t *buffer;
    uint32_t *checksums;
    uint64_t *seen; /* one bit per position: among the neighbours of the current point */
} verifier;

static void note_first(verifier *v, const char *format, va_list arguments) {
    if (v->result->first_error[0] != '\0') return;
    vsnprintf(v->result->first_error, sizeof v->result->first_error, format, arguments);
}

static void report_checksum(verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report_checksum(verifier *v, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    v->result->checksum_error_count++;
    note_first(v, format, arguments);
    va_end(arguments);
}

static void report_structure(verifier *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void report_structure(verifier *v, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    v->result->structure_error_count++;
    note_first(v, format, arguments);
    va_end(arguments);
}

static rhumb_status verify_prepare(verifier *v) {
    const rhumb__topology_layout *layout = &v->topology->layout;
    v->buffer = rhumb__alloc_zeroed(RHUMB__ARRAY_CHUNK_BYTES, 1);
    v->checksums = rhumb__alloc_zeroed(layout->checksum_count, sizeof *v->checksums);
    v->seen = rhumb__alloc_zeroed(v->topology->header.point_count / 64 + 1, sizeof *v->seen);
    if (v->buffer != NULL && v->checksums != NULL && v->seen != NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_NOMEM, "no memory for verifying a topology");
}

/* Bytes between arrays are zero, so that damage there is noticed too. */
static rhumb_status check_gap(verifier *v, uint64_t begin, uint64_t end) {
    uint8_t bytes[64] = {0};
    const rhumb_status status = rhumb__io_read(v->topology->io, bytes, end - begin, begin);
    for (uint64_t i = 0; status == RHUMB_OK && i < end - begin; i++) {
        if (bytes[i] == 0) continue;
        report_checksum(v, "byte %llu, between two arrays, is not zero", (unsigned long long)begin + i);
        break;
    }
    return status;
}

static rhumb_status check_array(verifier *v, uint32_t array) {
    rhumb_status status = RHUMB_OK;
    const rhumb__topology_layout *layout = &v->topology->layout;
    const rhumb__topology_place *place = &layout->arrays[array];
    for (uint64_t i = 0; i < place->checksum_count; i++) {
        const uint64_t begin = i * RHUMB__ARRAY_CHUNK_BYTES;
        const uint64_t bytes = rhumb__min_u64(place->bytes - begin, RHUMB__ARRAY_CHUNK_BYTES);
        RHUMB_TRY(rhumb__io_read(v->topology->io, v->buffer, bytes, place->offset + begin));
        v->result->chunk_count++;
        RHUMB_TRY(rhumb__progress_advance(v->progress, 1));
        const uint32_t crc = rhumb__crc32c(0, v->buffer, bytes);
        const uint32_t expected = v->checksums[place->checksum_first + i];
        if (crc == expected) continue;
        report_checksum(v, "%llu bytes at %llu: checksum 0x%08x expected, 0x%08x found", (unsigned long long)bytes,
                        (unsigned long long)place->offset + begin, expected, crc);
    }
    const bool last = array + 1 == RHUMB__TOPOLOGY_ARRAY_COUNT;
    status =
        check_gap(v, place->offset + place->bytes, last ? layout->checksum_offset : layout->arrays[array + 1].offset);
done:
    return status;
}

static rhumb_status check_checksums(verifier *v) {
    rhumb_status status;
    const rhumb__topology_layout *layout = &v->topology->layout;
    const uint64_t bytes = layout->checksum_count * sizeof *v->checksums;
    RHUMB_TRY(rhumb__io_read(v->topology->io, v->checksums, bytes, layout->checksum_offset));
    const uint32_t crc = rhumb__crc32c(0, v->checksums, bytes);
    if (crc != v->topology->header.checksum_crc) {
        report_checksum(v, "the checksums at %llu: checksum 0x%08x expected, 0x%08x found",
                        (unsigned long long)layout->checksum_offset, v->topology->header.checksum_crc, crc);
    }
    for (uint32_t i = 0; i < RHUMB__TOPOLOGY_ARRAY_COUNT; i++) RHUMB_TRY(check_array(v, i));
done:
    return status;
}

static void check_links(verifier *v, uint64_t position, uint64_t begin, uint64_t count) {
    const rhumb__topology *topology = v->topology;
    const uint32_t *neighbours = topology->neighbours + begin;
    for (uint64_t i = 0; i < count; i++) {
        if (neighbours[i] >= topology->header.point_count || neighbours[i] == position ||
            rhumb__bit_get(v->seen, neighbours[i])) {
            report_structure(v, "point %llu: its neighbour %u does not exist, is itself, or is there twice",
                             (unsigned long long)position, neighbours[i]);
            count = i; /* those before it are to be taken out of the set */
            break;
        }
        rhumb__bit_set(v->seen, neighbours[i]);
    }
    for (uint64_t i = 0; i < count; i++) v->seen[neighbours[i] / 64] &= ~(UINT64_C(1) << (neighbours[i] % 64));
    if (topology->distances == NULL) return;
    for (uint64_t i = 0; i < count; i++) {
        const float distance = topology->distances[begin + i];
        /* Written so that NaN is an error too. */
        if (distance == distance && (i == 0 || topology->distances[begin + i - 1] <= distance)) continue;
        report_structure(v, "point %llu: its neighbours are not sorted by distance", (unsigned long long)position);
        return;
    }
}

static rhumb_status check_points(verifier *v) {
    rhumb_status status = RHUMB_OK;
    const rhumb__topology *topology = v->topology;
    const rhumb__topology_header *header = &topology->header;
    uint64_t level_counts[RHUMB__LEVEL_COUNT] = {0};
    rhumb_error before;
    rhumb__error_save(&before);
    for (uint64_t i = 0; i < header->point_count; i++) {
        uint64_t begin = 0;
        uint64_t count = 0;
        if (i > 0 && topology->keys[i - 1] >= topology->keys[i]) {
            report_structure(v, "point %llu: the keys are not sorted", (unsigned long long)i);
        }
        if (topology->levels[i] > RHUMB__LEVEL_MAX) {
            report_structure(v, "point %llu: level %u", (unsigned long long)i, topology->levels[i]);
        } else {
            level_counts[topology->levels[i]]++;
        }
        if (rhumb__topology_range(topology, i, &begin, &count) == RHUMB_OK) {
            check_links(v, i, begin, count);
        } else {
            report_structure(v, "%s", rhumb__error_last()->message);
        }
        if ((i + 1) % POINTS_PER_REPORT == 0) RHUMB_TRY(rhumb__progress_advance(v->progress, POINTS_PER_REPORT));
    }
    rhumb__error_restore(&before);
    if (topology->starts[0] != 0 || topology->starts[header->point_count] != header->link_count) {
        report_structure(v, "the links begin at %llu and end at %llu, of %llu", (unsigned long long)topology->starts[0],
                         (unsigned long long)topology->starts[header->point_count],
                         (unsigned long long)header->link_count);
    }
    if (memcmp(level_counts, header->level_counts, sizeof level_counts) != 0) {
        report_structure(v, "the levels of the points are not as many as the header says");
    }
done:
    return status;
}

rhumb_status rhumb__topology_verify(const rhumb__topology *topology, rhumb__progress *progress,
                                    rhumb__topology_verification *result) {
    rhumb_status status;
    memset(result, 0, sizeof *result);
    verifier v = {.topology = topology, .progress = progress, .result = result};
    progress->total_count = topology->layout.checksum_count + topology->header.point_count + 1;
    RHUMB_TRY(verify_prepare(&v));
    RHUMB_TRY(check_checksums(&v));
    RHUMB_TRY(check_points(&v));
    status = rhumb__progress_report(progress, progress->total_count);
done:
    rhumb__free(v.buffer);
    rhumb__free(v.checksums);
    rhumb__free(v.seen);
    return status;
}
