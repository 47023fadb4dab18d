/* shard_file.c - see shard_file.h.
 *
 * While it is filled, the homes of each shard are a stream and its guests another. A stream has a buffer, so that the
 * disk gets pieces and not rows. Owns the file and the buffers. Takes no lock: one thread fills it, and afterwards it
 * is only read.
 */
#include "engine/upkeep/shards/shard_file.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

/* Of the source, read at once; and of a shard. */
#define PIECE_BYTES (UINT64_C(4) << 20)

/* A buffer of a stream, if memory allows. */
#define BUFFER_BYTES 65536u

typedef struct stream {
    uint64_t next;  /* member to be written, counted over all shards */
    uint64_t count; /* that are in the buffer, in front of it */
} stream;

typedef struct filling {
    rhumb__shard_file *file;
    const rhumb__shard_fill *fill;
    stream *streams; /* two for each shard: homes, guests */
    uint64_t room;   /* of a buffer, in members */
    uint8_t *rows;
    rhumb__shard_member *members;
    uint8_t *vectors; /* of the piece of the source */
    uint64_t *keys;
    uint64_t piece_count;
} filling;

static uint64_t stride_of(const rhumb__shard_file *file) { return file->space->row_stride_bytes; }

static uint64_t member_count(const rhumb__shard_file *file) { return file->begins[file->division->shard_count]; }

static uint64_t members_at(const rhumb__shard_file *file, uint64_t member) {
    return member_count(file) * stride_of(file) + member * sizeof(rhumb__shard_member);
}

/* ---- filling ---- */

static rhumb_status begin(filling *f) {
    rhumb_status status = RHUMB_OK;
    rhumb__shard_file *file = f->file;
    const rhumb__division *division = file->division;
    const uint64_t stream_count = 2 * (uint64_t)division->shard_count;
    const uint64_t member_bytes = stride_of(file) + sizeof(rhumb__shard_member);
    const uint64_t buffer_bytes = rhumb__min_u64(f->fill->memory_bytes / stream_count, BUFFER_BYTES);
    f->room = rhumb__max_u64(buffer_bytes / member_bytes, 1);
    f->piece_count = rhumb__max_u64(PIECE_BYTES / file->space->caller_bytes, 1);
    f->piece_count = rhumb__min_u64(f->piece_count, division->count);
    file->begins = rhumb__alloc_zeroed(division->shard_count + 1, sizeof *file->begins);
    f->streams = rhumb__alloc_zeroed(stream_count, sizeof *f->streams);
    f->rows = rhumb__alloc_aligned(stream_count, f->room * stride_of(file), 64);
    f->members = rhumb__alloc_zeroed(stream_count, f->room * sizeof *f->members);
    f->vectors = rhumb__alloc_aligned(f->piece_count, file->space->caller_bytes, 64);
    f->keys = rhumb__alloc_zeroed(f->piece_count, sizeof *f->keys);
    if (file->begins == NULL || f->streams == NULL || f->rows == NULL || f->members == NULL || f->vectors == NULL ||
        f->keys == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for writing %u shards", division->shard_count);
        goto done;
    }
    for (uint32_t i = 0; i < division->shard_count; i++) {
        const rhumb__shard *shard = &division->shards[i];
        f->streams[2 * i].next = file->begins[i];
        f->streams[2 * i + 1].next = file->begins[i] + shard->home_count;
        file->begins[i + 1] = file->begins[i] + shard->home_count + shard->guest_count;
    }
    memset(f->rows, 0, stream_count * f->room * stride_of(file)); /* what follows a row in its stride stays zero */
    status = rhumb__scratch_file_open(f->fill->path, &file->file);
done:
    return status;
}

static rhumb_status flush(filling *f, uint64_t index) {
    rhumb_status status = RHUMB_OK;
    stream *s = &f->streams[index];
    rhumb__shard_file *file = f->file;
    if (s->count == 0) return RHUMB_OK;
    const uint8_t *rows = f->rows + index * f->room * stride_of(file);
    RHUMB_TRY(rhumb__scratch_file_write(&file->file, rows, s->count * stride_of(file), s->next * stride_of(file)));
    RHUMB_TRY(rhumb__scratch_file_write(&file->file, f->members + index * f->room,
                                        s->count * sizeof(rhumb__shard_member), members_at(file, s->next)));
    s->next += s->count;
    s->count = 0;
done:
    return status;
}

static rhumb_status add(filling *f, uint64_t index, const void *row, rhumb__shard_member member) {
    stream *s = &f->streams[index];
    const uint64_t at = index * f->room + s->count;
    memcpy(f->rows + at * stride_of(f->file), row, f->file->space->row_bytes);
    f->members[at] = member;
    s->count++;
    return s->count == f->room ? flush(f, index) : RHUMB_OK;
}

/* Adds the row of a vector to its shards. */
static rhumb_status add_everywhere(filling *f, const void *row, rhumb__shard_member member) {
    rhumb_status status = RHUMB_OK;
    uint32_t shards[RHUMB__DIVISION_SHARDS_MAX];
    const uint32_t count = rhumb__division_shards(f->file->division, member.row, shards);
    for (uint32_t i = 0; i < count; i++) {
        RHUMB_TRY(add(f, 2 * (uint64_t)shards[i] + (i == 0 ? 0 : 1), row, member));
    }
done:
    return status;
}

static rhumb_status add_all(filling *f) {
    rhumb_status status = RHUMB_OK;
    const rhumb__row_source *source = f->fill->source;
    const rhumb__space *space = f->file->space;
    uint8_t *row = rhumb__alloc_aligned(space->row_stride_bytes, 1, 64);
    if (row == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a row");
    for (uint64_t first = 0; first < source->count; first += f->piece_count) {
        const uint64_t count = rhumb__min_u64(source->count - first, f->piece_count);
        RHUMB_TRY(source->read(source->context, first, count, f->vectors, f->keys));
        for (uint64_t i = 0; i < count; i++) {
            RHUMB_TRY(rhumb__space_prepare(space, f->vectors + i * space->caller_bytes, row));
            RHUMB_TRY(add_everywhere(f, row, (rhumb__shard_member){.key = f->keys[i], .row = first + i}));
        }
        RHUMB_TRY(rhumb__progress_advance(f->fill->progress, count));
    }
    for (uint64_t i = 0; i < 2 * (uint64_t)f->file->division->shard_count; i++) RHUMB_TRY(flush(f, i));
done:
    rhumb__free(row);
    return status;
}

rhumb_status rhumb__shard_file_fill(rhumb__shard_file *file, const rhumb__shard_fill *fill) {
    filling f = {.file = file, .fill = fill};
    rhumb_status status = begin(&f);
    if (status == RHUMB_OK) status = add_all(&f);
    rhumb__free(f.streams);
    rhumb__free(f.rows);
    rhumb__free(f.members);
    rhumb__free(f.vectors);
    rhumb__free(f.keys);
    return status;
}

/* ---- reading ---- */

rhumb_status rhumb__shard_file_members(const rhumb__shard_file *file, uint32_t shard, rhumb__shard_member *members) {
    const uint64_t begin = file->begins[shard];
    return rhumb__scratch_file_read(&file->file, members, (file->begins[shard + 1] - begin) * sizeof *members,
                                    members_at(file, begin));
}

rhumb_status rhumb__shard_file_rows(const rhumb__shard_file *file, uint32_t shard, uint64_t count,
                                    const uint32_t *places, uint8_t *rows) {
    rhumb_status status = RHUMB_OK;
    const uint64_t stride = stride_of(file);
    const uint64_t begin_bytes = file->begins[shard] * stride;
    const uint64_t piece_count = rhumb__max_u64(PIECE_BYTES / 4 / stride, 1);
    if (places == NULL) return rhumb__scratch_file_read(&file->file, rows, count * stride, begin_bytes);
    uint8_t *piece = rhumb__alloc_aligned(piece_count, stride, 64);
    if (piece == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a shard");
    for (uint64_t first = 0; first < count; first += piece_count) {
        const uint64_t rest_count = rhumb__min_u64(count - first, piece_count);
        RHUMB_TRY(rhumb__scratch_file_read(&file->file, piece, rest_count * stride, begin_bytes + first * stride));
        for (uint64_t i = 0; i < rest_count; i++) {
            memcpy(rows + places[first + i] * stride, piece + i * stride, stride);
        }
    }
    rhumb__scratch_file_forget(&file->file, begin_bytes, count * stride);
done:
    rhumb__free(piece);
    return status;
}

void rhumb__shard_file_close(rhumb__shard_file *file) {
    rhumb__scratch_file_close(&file->file);
    rhumb__free(file->begins);
    *file = (rhumb__shard_file){0};
}
