/* store_harness.c - see store_harness.h. Owns the store and the sections that are attached to it; adds no lock. */
#include "tests/support/store_harness.h"

#include <stdlib.h>
#include <string.h>

#include "storage/publish/publish.h"
#include "storage/reclaim.h"
#include "storage/renewal.h"
#include "storage/store.h"
#include "storage/store_stats.h"
#include "storage/store_verify.h"

struct store_harness {
    rhumb__store *store;
    rhumb__section sections[STORE_HARNESS_SECTIONS_MAX];
    uint32_t section_count;
};

static rhumb_status attach_all(store_harness *harness, const store_harness_spec *specs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const rhumb__section_spec spec = {
            .id = specs[i].id,
            .kind = specs[i].is_mutable ? RHUMB__SECTION_MUTABLE : RHUMB__SECTION_APPEND,
            .codec = 7,
            .version = specs[i].version,
            .required = !specs[i].optional,
            .row_stride_bytes = specs[i].row_stride_bytes,
            .row_limit = specs[i].row_limit,
        };
        const rhumb_status status = rhumb__store_attach(harness->store, &spec, &harness->sections[i]);
        if (status != RHUMB_OK) return status;
        harness->section_count++;
    }
    return rhumb__store_attach_finish(harness->store);
}

rhumb_status store_harness_create(const rhumb__io_backend *backend, const char *path, const store_harness_spec *specs,
                                  uint32_t count, store_harness **harness_out) {
    store_harness *harness = calloc(1, sizeof *harness);
    const rhumb__store_creation creation = {.place = {.backend = backend, .path = path, .suffix = "-creating"},
                                            .creator_version = 1};
    rhumb_status status = rhumb__store_create(&creation, &harness->store);
    if (status == RHUMB_OK) {
        status = attach_all(harness, specs, count);
        if (status != RHUMB_OK) {
            rhumb__store_abandon(harness->store);
            harness->store = NULL;
        }
    }
    if (status != RHUMB_OK) {
        store_harness_close(harness);
        return status;
    }
    *harness_out = harness;
    return RHUMB_OK;
}

rhumb_status store_harness_open(const rhumb__io_backend *backend, const char *path, bool writable,
                                const store_harness_spec *specs, uint32_t count, store_harness **harness_out) {
    store_harness *harness = calloc(1, sizeof *harness);
    rhumb_status status = rhumb__store_open(backend, path, writable, &harness->store);
    if (status == RHUMB_OK) status = attach_all(harness, specs, count);
    if (status != RHUMB_OK) {
        store_harness_close(harness);
        return status;
    }
    *harness_out = harness;
    return RHUMB_OK;
}

void store_harness_set_patch_limits(uint64_t bytes_max, uint64_t page_count_max) {
    const rhumb__patch_limits limits = {bytes_max, page_count_max};
    rhumb__store_set_patch_limits(bytes_max == 0 ? NULL : &limits);
}

void store_harness_close(store_harness *harness) {
    if (harness == NULL) return;
    rhumb__store_close(harness->store);
    free(harness);
}

rhumb_status store_harness_ensure(store_harness *harness, uint32_t section, uint64_t row_count) {
    return rhumb__section_ensure(&harness->sections[section], row_count);
}

const uint8_t *store_harness_row(const store_harness *harness, uint32_t section, uint64_t row) {
    return rhumb__section_row(&harness->sections[section], row);
}

void store_harness_write(store_harness *harness, uint32_t section, uint64_t row, const uint8_t *bytes) {
    rhumb__section *target = &harness->sections[section];
    const bool is_mutable = target->spec.kind == RHUMB__SECTION_MUTABLE;
    if (is_mutable) {
        rhumb__section_lock(target, row);
        rhumb__section_mark_dirty(target, row);
    }
    memcpy(rhumb__section_row(target, row), bytes, target->row_stride_bytes);
    if (is_mutable) rhumb__section_unlock(target, row);
}

rhumb_status store_harness_renew(store_harness *harness, uint32_t section, uint64_t row, const uint8_t *bytes) {
    rhumb__section *target = &harness->sections[section];
    const rhumb_status status = rhumb__renewal_begin(harness->store, target);
    if (status != RHUMB_OK) return status;
    rhumb__renewal_write(target, row, bytes);
    rhumb__renewal_end(harness->store);
    return RHUMB_OK;
}

typedef struct filter_call {
    const store_harness *harness;
    store_harness_filter filter;
    void *context;
} filter_call;

static bool call_filter(void *context, const rhumb__section *section, uint64_t first_row, uint8_t *rows,
                        uint64_t row_count) {
    const filter_call *call = context;
    return call->filter(call->context, (uint32_t)(section - call->harness->sections), first_row, rows, row_count);
}

static void set_row_counts(store_harness *harness, const uint64_t *row_counts) {
    for (uint32_t i = 0; i < harness->section_count; i++) harness->sections[i].next_row_count = row_counts[i];
}

rhumb_status store_harness_publish(store_harness *harness, const uint64_t *row_counts, const uint8_t *client,
                                   store_harness_filter filter, void *context, uint64_t *written_bytes_out) {
    rhumb__publication *publication = calloc(1, sizeof *publication);
    filter_call call = {harness, filter, context};
    set_row_counts(harness, row_counts);
    if (client != NULL) memcpy(publication->client, client, sizeof publication->client);
    if (filter != NULL) {
        publication->filter = call_filter;
        publication->context = &call;
    }
    const rhumb_status status = rhumb__store_publish(harness->store, publication);
    if (status == RHUMB_OK && written_bytes_out != NULL) *written_bytes_out = publication->written_bytes;
    free(publication);
    return status;
}

rhumb_status store_harness_write_ahead(store_harness *harness, const uint64_t *row_counts) {
    rhumb__publication *publication = calloc(1, sizeof *publication);
    set_row_counts(harness, row_counts);
    publication->current_sections = true;
    const rhumb_status status = rhumb__store_write_ahead(harness->store, publication);
    free(publication);
    return status;
}

rhumb_status store_harness_pull_down(store_harness *harness, const uint64_t *row_counts, uint64_t *written_bytes_out) {
    rhumb__publication *publication = calloc(1, sizeof *publication);
    set_row_counts(harness, row_counts);
    publication->pull_down = true;
    const rhumb_status status = rhumb__store_publish(harness->store, publication);
    if (status == RHUMB_OK) *written_bytes_out = publication->written_bytes;
    free(publication);
    return status;
}

rhumb_status store_harness_verify(store_harness *harness, uint64_t *chunk_count_out, uint64_t *error_count_out,
                                  char *first_error) {
    return rhumb__store_verify(harness->store, NULL, chunk_count_out, error_count_out, first_error);
}

rhumb_status store_harness_trim(store_harness *harness, bool *left_out) {
    return rhumb__store_trim(harness->store, left_out);
}

rhumb_status store_harness_has_newer(store_harness *harness, bool *newer_out) {
    return rhumb__store_has_newer(harness->store, newer_out);
}

const rhumb__superblock *store_harness_superblock(const store_harness *harness) { return &harness->store->superblock; }

uint64_t store_harness_row_count(const store_harness *harness, uint32_t section) {
    return harness->sections[section].published_row_count;
}

uint32_t store_harness_chunk_bytes(const store_harness *harness, uint32_t section) {
    return harness->sections[section].chunk_bytes;
}

uint32_t store_harness_extent_count(const store_harness *harness, uint32_t section) {
    return harness->sections[section].extents.count;
}

uint64_t store_harness_dirty_count(const store_harness *harness, uint32_t section) {
    const rhumb__section *target = &harness->sections[section];
    uint64_t count = 0;
    if (target->chunks == NULL) return 0;
    const uint64_t row_count = atomic_load(&target->row_capacity);
    for (uint64_t row = 0; row < row_count; row += target->chunk_row_count) {
        rhumb__section_lock(target, row);
        count += !rhumb__unit_set_is_empty(&rhumb__section_chunk(target, row)->dirty);
        rhumb__section_unlock(target, row);
    }
    return count;
}

uint64_t store_harness_file_end(const store_harness *harness) { return harness->store->space.end; }

uint64_t store_harness_free_bytes(const store_harness *harness) {
    return rhumb__file_space_free_bytes(&harness->store->space);
}

uint64_t store_harness_stats_epoch(store_harness *harness) { return rhumb__store_stats_get(harness->store).epoch; }

uint64_t store_harness_stats_mapping_count(store_harness *harness) {
    return rhumb__store_stats_get(harness->store).mapping_count;
}

rhumb_status store_harness_pins(store_harness *harness, store_harness_pin *pins, uint32_t capacity,
                                uint32_t *count_out) {
    rhumb__store_pin *found = calloc(capacity, sizeof *found);
    const rhumb_status status = rhumb__store_pins(harness->store, found, capacity, count_out);
    for (uint32_t i = 0; status == RHUMB_OK && i < *count_out; i++) {
        pins[i].epoch = found[i].epoch;
        pins[i].reader_count = found[i].reader_count;
        pins[i].pid_count = found[i].pid_count;
        memcpy(pins[i].pids, found[i].pids, sizeof pins[i].pids);
    }
    free(found);
    return status;
}

bool store_harness_failed(const store_harness *harness) { return atomic_load(&harness->store->failed); }
