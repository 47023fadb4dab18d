/* salvage.c - see salvage.h.
 *
 * Every number from the file is checked before it is used as an index: slots of buckets and lists against slot_count,
 * chains against the number of overflow rows and a length that no index comes near. A number that is wrong is treated
 * as damage even if the checksum is right. Which sections there must be, and of what shape, is in the table of
 * sections.
 *
 * Owns everything that it has read. Locks: none.
 */
#include "engine/upkeep/repair/salvage.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/bits.h"
#include "base/status.h"
#include "engine/graph/neighbour_list.h"
#include "engine/graph/tombstones.h"

/* Rows of the key table that are read at a time. */
#define BUCKETS_PER_READ 1024u

/* ---- the frame ---- */

/* Checks that the directory has the section that the parameters and the counts of the version ask for. */
static rhumb_status check_section(const rhumb__salvage *salvage, const rhumb__section_info *info) {
    const char *path = salvage->file->path;
    const uint64_t offset = salvage->file->superblock.directory_offset;
    const rhumb__directory_entry *entry = rhumb__salvage_file_entry(salvage->file, info->id);
    if (entry == NULL) return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset, "section %u is missing", info->id);
    const rhumb__section_record *record = &entry->record;
    if (record->codec != rhumb__section_codec(info, &salvage->params) || record->version != info->version) {
        return rhumb__fail_at(RHUMB_E_VERSION, path, offset, "section %u: codec %u version %u is not known here",
                              info->id, record->codec, record->version);
    }
    const uint64_t stride_bytes = info->row_stride_bytes(&salvage->params, &salvage->space);
    const uint64_t row_count = rhumb__section_row_count(info, &salvage->counts);
    if (record->kind == (uint32_t)info->kind && record->row_stride_bytes == stride_bytes &&
        record->row_count == row_count && record->chunk_bytes == rhumb__section_chunk_bytes(info->kind, stride_bytes)) {
        return RHUMB_OK;
    }
    return rhumb__fail_at(RHUMB_E_CORRUPT, path, offset,
                          "section %u: %llu rows of %llu bytes expected, %llu rows of %llu bytes found", info->id,
                          (unsigned long long)row_count, (unsigned long long)stride_bytes,
                          (unsigned long long)record->row_count, (unsigned long long)record->row_stride_bytes);
}

/* The next required section. Derived ones are not salvaged. */
static const rhumb__section_info *next_salvaged(const rhumb__section_info *previous) {
    const rhumb__section_info *info = rhumb__section_next(previous);
    while (info != NULL && info->derived) info = rhumb__section_next(info);
    return info;
}

static rhumb_status check_sections(const rhumb__salvage *salvage) {
    for (const rhumb__section_info *info = next_salvaged(NULL); info != NULL; info = next_salvaged(info)) {
        const rhumb_status status = check_section(salvage, info);
        if (status != RHUMB_OK) return status;
    }
    for (uint32_t i = 0; i < salvage->file->directory->section_count; i++) {
        const rhumb__section_record *record = &salvage->file->directory->entries[i].record;
        if (rhumb__section_find(record->id) != NULL || (record->flags & RHUMB__SECTION_REQUIRED) == 0) continue;
        return rhumb__fail_at(RHUMB_E_VERSION, salvage->file->path, salvage->file->superblock.directory_offset,
                              "the index has a section %u that this version does not know", record->id);
    }
    return RHUMB_OK;
}

static rhumb_status select_version(rhumb__salvage *salvage, uint32_t candidate, const rhumb__custom_metric *custom) {
    rhumb_status status;
    rhumb__salvage_file *file = salvage->file;
    RHUMB_TRY(rhumb__salvage_file_take(file, candidate));
    RHUMB_TRY(rhumb__params_decode(file->superblock.client, file->path, &salvage->params, &salvage->counts));
    RHUMB_TRY(rhumb__params_supply(&salvage->params, custom, file->path));
    RHUMB_TRY(rhumb__params_space(&salvage->params, file->path, &salvage->space));
    if (salvage->counts.key_bucket_count < RHUMB__KEY_BUCKET_COUNT_MIN) {
        status = rhumb__fail_at(RHUMB_E_CORRUPT, file->path, RHUMB_OFFSET_NONE, "a key table of %llu buckets",
                                (unsigned long long)salvage->counts.key_bucket_count);
        goto done;
    }
    status = check_sections(salvage);
done:
    return status;
}

/* Errors that do not mean this version is damaged, so trying the previous one would not help. */
static bool ends_the_choice(rhumb_status status) {
    return status == RHUMB_E_NOMEM || status == RHUMB_E_VERSION || status == RHUMB_E_METRIC;
}

/* Selects the newest version that can be used. A version that a newer library wrote is not damaged, and its owner does
 * not want the one before it. */
static rhumb_status select_newest(rhumb__salvage *salvage, const rhumb__custom_metric *custom) {
    rhumb_error first;
    rhumb_error before;
    rhumb_status status = RHUMB_OK;
    rhumb__error_save(&before);
    first = before;
    for (uint32_t i = 0; i < salvage->file->versions.count; i++) {
        status = select_version(salvage, i, custom);
        if (status == RHUMB_OK || ends_the_choice(status)) break;
        if (i == 0) rhumb__error_save(&first);
        salvage->older = true;
    }
    if (ends_the_choice(status)) return status;
    if (status != RHUMB_OK) {
        rhumb__error_restore(&first);
        return first.status;
    }
    if (salvage->older) {
        snprintf(salvage->version_note, sizeof salvage->version_note, "the newest version cannot be used: %.400s",
                 first.message);
    } else if (salvage->file->versions.newest_lost) {
        salvage->older = true;
        snprintf(salvage->version_note, sizeof salvage->version_note,
                 "the other superblock is damaged; it may have been that of a newer version");
    } else if (salvage->file->versions.damaged_count > 0) {
        snprintf(salvage->version_note, sizeof salvage->version_note,
                 "a copy of a superblock, at byte %llu, is damaged; the other one has been used",
                 (unsigned long long)salvage->file->versions.damaged_offset);
    }
    rhumb__error_restore(&before);
    return RHUMB_OK;
}

rhumb_status rhumb__salvage_open(const char *path, const rhumb__custom_metric *custom, rhumb__salvage **salvage_out) {
    rhumb_status status;
    rhumb__salvage *salvage = rhumb__alloc_zeroed(1, sizeof *salvage);
    if (salvage == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for reading a damaged index");
    RHUMB_TRY(rhumb__salvage_file_open(path, &salvage->file));
    RHUMB_TRY(select_newest(salvage, custom));
    *salvage_out = salvage;
    salvage = NULL;
done:
    rhumb__salvage_close(salvage);
    return status;
}

void rhumb__salvage_close(rhumb__salvage *salvage) {
    if (salvage == NULL) return;
    for (uint32_t id = 0; id < RHUMB__SECTION_ID_LIMIT; id++) rhumb__salvage_section_clear(&salvage->sections[id]);
    rhumb__salvage_file_close(salvage->file);
    rhumb__free(salvage->keys);
    rhumb__free(salvage->tombstones);
    rhumb__free(salvage->listed);
    rhumb__free(salvage->keyed);
    rhumb__free(salvage->broken);
    rhumb__free(salvage);
}

/* ---- rows ---- */

static bool row_intact(const rhumb__salvage *salvage, uint32_t id, uint64_t row) {
    const rhumb__salvage_section *section = &salvage->sections[id];
    RHUMB_ASSERT_DEBUG(section->entry != NULL && row < section->entry->record.row_count);
    const uint64_t stride = section->entry->record.row_stride_bytes;
    return rhumb__salvage_section_intact(section, row * stride, stride);
}

static bool row_readable(const rhumb__salvage *salvage, uint32_t id, uint64_t row) {
    const rhumb__salvage_section *section = &salvage->sections[id];
    RHUMB_ASSERT_DEBUG(section->entry != NULL && row < section->entry->record.row_count);
    const uint64_t stride = section->entry->record.row_stride_bytes;
    return rhumb__salvage_section_readable(section, row * stride, stride);
}

rhumb_status rhumb__salvage_read_rows(rhumb__salvage *salvage, uint32_t section_id, uint64_t first_row,
                                      uint64_t row_count, void *rows) {
    const rhumb__salvage_section *section = &salvage->sections[section_id];
    const uint64_t stride = section->entry->record.row_stride_bytes;
    return rhumb__salvage_section_read(salvage->file, section, first_row * stride, row_count * stride, rows);
}

/* Reads a whole section into memory, *rows_out, which stays NULL when the section has no rows. */
static rhumb_status load_section(rhumb__salvage *salvage, uint32_t id, void *rows_out) {
    const uint64_t row_count = salvage->sections[id].entry->record.row_count;
    if (row_count == 0) return RHUMB_OK;
    void *rows = rhumb__alloc_zeroed(row_count, salvage->sections[id].entry->record.row_stride_bytes);
    if (rows == NULL) return rhumb__fail(RHUMB_E_NOMEM, "no memory for section %u", id);
    memcpy(rows_out, &rows, sizeof rows);
    return rhumb__salvage_read_rows(salvage, id, 0, row_count, rows);
}

/* ---- the key table ---- */

static uint64_t key_hash(const rhumb__salvage *salvage, uint64_t key) {
    return rhumb__key_table_hash(rhumb__key_table_salt(salvage->params.seed), key);
}

/* Notes the slots of one row. Returns whether the row is possible. */
static bool note_row(rhumb__salvage *salvage, uint64_t bucket, const rhumb__key_bucket *row) {
    if (row->count > RHUMB__KEY_BUCKET_PLACES || row->next > salvage->counts.key_overflow_count) return false;
    for (uint32_t i = 0; i < row->count; i++) {
        const uint32_t slot = row->slots[i];
        if (slot >= salvage->counts.slot_count) return false;
        rhumb__bit_set(salvage->listed, slot);
        const uint64_t hash = key_hash(salvage, salvage->keys[slot]);
        if (!row_readable(salvage, RHUMB__SECTION_KEYS, slot) || row->tags[i] != rhumb__key_table_tag(hash) ||
            rhumb__key_table_bucket(hash, salvage->counts.key_bucket_count) != bucket) {
            continue;
        }
        rhumb__bit_set(salvage->keyed, slot);
    }
    return true;
}

/* Follows the chain of a bucket as far as it can be trusted: no two chains have a row in common, and none leads back to
 * its own. `passed` has a bit for each overflow row. */
static void note_bucket(rhumb__salvage *salvage, uint64_t bucket, const rhumb__key_bucket *row,
                        const rhumb__key_bucket *overflow, uint64_t *passed) {
    bool sound = row_intact(salvage, RHUMB__SECTION_KEY_BUCKETS, bucket) && note_row(salvage, bucket, row);
    while (sound && row->next != 0) {
        const uint32_t index = row->next - 1;
        row = &overflow[index];
        sound = !rhumb__bit_get(passed, index) && row_intact(salvage, RHUMB__SECTION_KEY_OVERFLOW, index) &&
                note_row(salvage, bucket, row);
        rhumb__bit_set(passed, index);
    }
    if (sound) return;
    rhumb__bit_set(salvage->broken, bucket);
    salvage->table_broken = true;
}

static rhumb_status note_table(rhumb__salvage *salvage) {
    rhumb_status status;
    rhumb__key_bucket *overflow = NULL;
    uint64_t *passed = rhumb__alloc_zeroed(salvage->counts.key_overflow_count / 64 + 1, sizeof *passed);
    const uint64_t bucket_count = salvage->counts.key_bucket_count;
    const uint64_t slot_words = rhumb__max_u64(rhumb__divide_up(salvage->counts.slot_count, 64), 1);
    rhumb__key_bucket *rows = rhumb__alloc_zeroed(BUCKETS_PER_READ, sizeof *rows);
    salvage->listed = rhumb__alloc_zeroed(slot_words, sizeof(uint64_t));
    salvage->keyed = rhumb__alloc_zeroed(slot_words, sizeof(uint64_t));
    salvage->broken = rhumb__alloc_zeroed(rhumb__divide_up(bucket_count, 64), sizeof(uint64_t));
    if (rows == NULL || passed == NULL || salvage->listed == NULL || salvage->keyed == NULL ||
        salvage->broken == NULL) {
        status = rhumb__fail(RHUMB_E_NOMEM, "no memory for scanning the key table");
        goto done;
    }
    RHUMB_TRY(load_section(salvage, RHUMB__SECTION_KEY_OVERFLOW, &overflow));
    for (uint64_t first = 0; first < bucket_count; first += BUCKETS_PER_READ) {
        const uint64_t count = rhumb__min_u64(bucket_count - first, BUCKETS_PER_READ);
        RHUMB_TRY(rhumb__salvage_read_rows(salvage, RHUMB__SECTION_KEY_BUCKETS, first, count, rows));
        for (uint64_t i = 0; i < count; i++) note_bucket(salvage, first + i, &rows[i], overflow, passed);
    }
done:
    rhumb__free(overflow);
    rhumb__free(passed);
    rhumb__free(rows);
    return status;
}

uint64_t rhumb__salvage_chunk_count(const rhumb__salvage *salvage) {
    uint64_t count = 0;
    for (const rhumb__section_info *info = next_salvaged(NULL); info != NULL; info = next_salvaged(info)) {
        count += rhumb__section_record_chunk_count(&rhumb__salvage_file_entry(salvage->file, info->id)->record);
    }
    return count;
}

rhumb_status rhumb__salvage_load(rhumb__salvage *salvage, rhumb__progress *progress) {
    rhumb_status status;
    for (const rhumb__section_info *info = next_salvaged(NULL); info != NULL; info = next_salvaged(info)) {
        RHUMB_TRY(rhumb__salvage_section_check(salvage->file, rhumb__salvage_file_entry(salvage->file, info->id),
                                               progress, &salvage->sections[info->id]));
    }
    RHUMB_TRY(load_section(salvage, RHUMB__SECTION_KEYS, &salvage->keys));
    RHUMB_TRY(load_section(salvage, RHUMB__SECTION_TOMBSTONES, &salvage->tombstones));
    status = note_table(salvage);
done:
    return status;
}

/* ---- judging ---- */

/* Whether a slot is alive according to the key table, where the tombstones cannot be trusted. */
static bool is_alive_by_table(const rhumb__salvage *salvage, uint32_t slot, bool *doubtful_out) {
    const bool listed = rhumb__bit_get(salvage->listed, slot);
    if (salvage->file->checksums_lost) {
        *doubtful_out = !listed;
        return true;
    }
    const bool key_intact = row_intact(salvage, RHUMB__SECTION_KEYS, slot);
    if (rhumb__bit_get(salvage->keyed, slot) || (listed && !key_intact)) return true;
    if (!salvage->table_broken) return false;
    const uint64_t hash = key_hash(salvage, salvage->keys[slot]);
    const uint64_t bucket = rhumb__key_table_bucket(hash, salvage->counts.key_bucket_count);
    if (key_intact && !rhumb__bit_get(salvage->broken, bucket)) return false;
    *doubtful_out = true;
    return true;
}

static bool is_alive(const rhumb__salvage *salvage, uint32_t slot, bool *doubtful_out) {
    const uint64_t row = slot / RHUMB__TOMBSTONE_ROW_SLOTS;
    if (!row_intact(salvage, RHUMB__SECTION_TOMBSTONES, row)) return is_alive_by_table(salvage, slot, doubtful_out);
    const bool alive = !rhumb__bit_get(salvage->tombstones, slot);
    if (!salvage->file->checksums_lost) return alive;
    const bool listed = rhumb__bit_get(salvage->listed, slot);
    *doubtful_out = alive != listed;
    return alive || listed;
}

static bool has_key(const rhumb__salvage *salvage, uint32_t slot, bool *unproved_out) {
    if (salvage->keys[slot] == RHUMB_KEY_NONE) return false;
    if (rhumb__bit_get(salvage->keyed, slot)) {
        *unproved_out = *unproved_out || !row_intact(salvage, RHUMB__SECTION_KEYS, slot);
        return true;
    }
    if (!row_intact(salvage, RHUMB__SECTION_KEYS, slot)) return false;
    return !salvage->file->checksums_lost || !rhumb__bit_get(salvage->listed, slot);
}

static bool has_vector(const rhumb__salvage *salvage, uint32_t slot, const uint8_t *stored_row, uint8_t *row) {
    const rhumb__space *space = &salvage->space;
    rhumb_error before;
    if (!row_intact(salvage, RHUMB__SECTION_VECTORS, slot)) return false;
    rhumb__error_save(&before);
    if (rhumb__space_restore(space, stored_row, row) != RHUMB_OK) {
        rhumb__error_restore(&before);
        return false;
    }
    if (!salvage->file->checksums_lost) return true;
    if (memcmp(stored_row, row, space->row_bytes) != 0) return false;
    for (uint32_t i = space->row_bytes; i < space->row_stride_bytes; i++) {
        if (stored_row[i] != 0) return false;
    }
    return true;
}

rhumb__salvage_verdict rhumb__salvage_judge(const rhumb__salvage *salvage, uint32_t slot, const uint8_t *stored_row,
                                            uint8_t *row) {
    RHUMB_ASSERT_DEBUG(slot < salvage->counts.slot_count);
    rhumb__salvage_verdict verdict = {.unproved = salvage->file->checksums_lost};
    if (!is_alive(salvage, slot, &verdict.doubtful)) return verdict;
    if (!has_vector(salvage, slot, stored_row, row)) {
        verdict.fate = RHUMB__SALVAGE_LOST_VECTOR;
    } else if (!has_key(salvage, slot, &verdict.unproved)) {
        verdict.fate = RHUMB__SALVAGE_LOST_KEY;
    } else {
        verdict.fate = RHUMB__SALVAGE_SAVED;
    }
    return verdict;
}

bool rhumb__salvage_read_list(const rhumb__salvage *salvage, uint32_t slot, const uint32_t *stored_row, uint32_t *slots,
                              uint32_t *count_out) {
    const uint32_t capacity = salvage->params.M0;
    uint32_t count = 0;
    if (!row_intact(salvage, RHUMB__SECTION_LISTS0, slot)) return false;
    for (; count < capacity && stored_row[count] != RHUMB__SLOT_NONE; count++) {
        const uint32_t neighbour = stored_row[count];
        if (neighbour >= salvage->counts.slot_count || neighbour == slot) return false;
        if (rhumb__slots_contain(slots, count, neighbour)) return false;
        slots[count] = neighbour;
    }
    for (uint32_t i = count; i < capacity; i++) {
        if (stored_row[i] != RHUMB__SLOT_NONE) return false;
    }
    *count_out = count;
    return true;
}
