/* offer_file.c - see offer_file.h. Owns the file. Takes no lock: one thread uses it. */
#include "engine/upkeep/shards/offer_file.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/status.h"

rhumb_status rhumb__offer_file_open(rhumb__offer_file *file, const char *path, const rhumb__division *division,
                                    uint32_t capacity) {
    file->offer_bytes = sizeof(rhumb__offer) + capacity * sizeof(rhumb__candidate);
    file->begins = rhumb__alloc_zeroed((uint64_t)division->shard_count + 1, sizeof *file->begins);
    file->ends = rhumb__alloc_zeroed(division->shard_count, sizeof *file->ends);
    if (file->begins == NULL || file->ends == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for a scratch file");
    for (uint32_t i = 0; i < division->shard_count; i++) {
        file->ends[i] = file->begins[i];
        file->begins[i + 1] = file->begins[i] + division->shards[i].belonging_count;
    }
    return rhumb__scratch_file_open(path, &file->file);
}

rhumb_status rhumb__offer_file_add(rhumb__offer_file *file, uint32_t shard, const uint8_t *offers, uint64_t count) {
    const uint64_t at = file->ends[shard];
    RHUMB_ASSERT(at + count <= file->begins[shard + 1]);
    file->ends[shard] += count;
    return rhumb__scratch_file_write(&file->file, offers, count * file->offer_bytes, at * file->offer_bytes);
}

rhumb_status rhumb__offer_file_read(const rhumb__offer_file *file, uint32_t shard, uint8_t *offers) {
    const uint64_t offset = file->begins[shard] * file->offer_bytes;
    const uint64_t bytes = rhumb__offer_file_count(file, shard) * file->offer_bytes;
    const rhumb_status status = rhumb__scratch_file_read(&file->file, offers, bytes, offset);
    rhumb__scratch_file_forget(&file->file, offset, bytes);
    return status;
}

void rhumb__offer_file_close(rhumb__offer_file *file) {
    rhumb__scratch_file_close(&file->file);
    rhumb__free(file->begins);
    rhumb__free(file->ends);
    *file = (rhumb__offer_file){0};
}
