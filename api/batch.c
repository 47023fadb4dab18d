/* batch.c - batches of inserts, upserts and deletes: argument checks, and the way from a handle to the engine.
 *
 * The three functions differ in how they give their items: as a list of items, or as arrays of keys and vectors. Holds
 * no state and no lock.
 */
#include "api/handle.h"
#include "api/options.h"
#include "base/status.h"
#include "engine/build/batch_write.h"
#include "engine/upkeep/compact/compactor.h"

static_assert((int)RHUMB_WRITE_INSERT == (int)RHUMB__LOG_INSERT && (int)RHUMB_WRITE_UPSERT == (int)RHUMB__LOG_UPSERT &&
                  (int)RHUMB_WRITE_DELETE == (int)RHUMB__LOG_DELETE,
              "kinds are passed on");

/* Where the items come from. */
typedef struct write_source {
    const rhumb_write *writes; /* NULL: from the arrays */
    rhumb__log_type type;
    const uint64_t *keys;
    const uint8_t *vectors; /* NULL for deletes */
    uint64_t vector_bytes;
} write_source;

static rhumb__write write_at(const void *context, uint64_t i) {
    const write_source *source = context;
    if (source->writes == NULL) {
        const void *vector = source->vectors == NULL ? NULL : source->vectors + i * source->vector_bytes;
        return (rhumb__write){source->type, source->keys[i], vector};
    }
    const rhumb_write *write = &source->writes[i];
    return (rhumb__write){(rhumb__log_type)write->kind, write->key, write->vector};
}

static rhumb_status check_write(const rhumb_write *write, size_t i) {
    const char *what = NULL;
    if (write->kind < RHUMB_WRITE_INSERT || write->kind > RHUMB_WRITE_DELETE) what = "kind is none of rhumb_write_kind";
    if (write->reserved != 0) what = "reserved is not 0";
    if (write->kind != RHUMB_WRITE_DELETE && write->vector == NULL) what = "vector is NULL";
    if (what == NULL) return RHUMB_OK;
    return rhumb__fail(RHUMB_E_INVALID, "row %zu (key %llu): %s", i, (unsigned long long)write->key, what);
}

static rhumb_status check_source(const write_source *source, size_t count) {
    rhumb_status status = RHUMB_OK;
    if (count == 0) return RHUMB_OK;
    if (source->writes == NULL) {
        if (source->keys == NULL) return rhumb__fail(RHUMB_E_INVALID, "keys is NULL");
        if (source->type == RHUMB__LOG_DELETE || source->vectors != NULL) return RHUMB_OK;
        return rhumb__fail(RHUMB_E_INVALID, "vectors is NULL");
    }
    for (size_t i = 0; i < count; i++) RHUMB_TRY(check_write(&source->writes[i], i));
done:
    return status;
}

static void give_report(const rhumb__batch_write_result *result, rhumb_write_report *report, size_t report_size) {
    const rhumb_write_report filled = {.size = report_size,
                                       .inserted_count = result->inserted_count,
                                       .replaced_count = result->replaced_count,
                                       .deleted_count = result->deleted_count,
                                       .missing_count = result->missing_count};
    if (report != NULL) rhumb__struct_give(report, report_size, &filled, sizeof filled);
}

/* Sets the length of a vector, which never changes for a handle, and carries out the batch. */
static rhumb_status write_batch(rhumb_index *index, write_source *source, size_t count,
                                const rhumb_batch_options *options, rhumb__batch_write_result *result) {
    rhumb_status status;
    rhumb_batch_options resolved;
    rhumb_batch_options_init(&resolved, sizeof resolved);
    RHUMB_TRY(rhumb__handle_check_writable(index));
    RHUMB_TRY(rhumb__options_take(&resolved, sizeof resolved, options, "rhumb_batch_options"));
    RHUMB_TRY(check_source(source, count));
    if (count == 0) return RHUMB_OK;
    if (source->type != RHUMB__LOG_DELETE) rhumb__compactor_await_room_for_batch(index->writer);
    rhumb__writer_enter(index->writer);
    source->vector_bytes = atomic_load(&index->writer->graph)->space.caller_bytes;
    rhumb__writer_leave(index->writer);
    const rhumb__batch_write_spec spec = {.write = write_at,
                                          .source = source,
                                          .count = count,
                                          .thread_count = resolved.thread_count,
                                          .partial = resolved.partial,
                                          .progress = resolved.progress,
                                          .progress_context = resolved.progress_context};
    status = rhumb__batch_write(index->writer, &index->scratch_pool, &spec, result);
    if (status == RHUMB_OK) status = rhumb__io_check_mappings(index->writer->store->io);
done:
    return status;
}

static rhumb_status write_and_report(rhumb_index *index, write_source *source, size_t count,
                                     const rhumb_batch_options *options, rhumb_write_report *report,
                                     size_t report_size) {
    rhumb_status status;
    rhumb__batch_write_result result = {0};
    if (report != NULL) RHUMB_TRY(rhumb__struct_check(report, report_size, "report"));
    status = write_batch(index, source, count, options, &result);
    give_report(&result, report, report_size);
done:
    return status;
}

rhumb_status rhumb_index_write_batch(rhumb_index *index, const rhumb_write *writes, size_t count,
                                     const rhumb_batch_options *options, rhumb_write_report *report,
                                     size_t report_size) {
    write_source source = {.writes = writes};
    if (writes == NULL && count > 0) return rhumb__fail(RHUMB_E_INVALID, "writes is NULL");
    return write_and_report(index, &source, count, options, report, report_size);
}

rhumb_status rhumb_index_upsert_batch(rhumb_index *index, const uint64_t *keys, const void *vectors, size_t count,
                                      const rhumb_batch_options *options, rhumb_write_report *report,
                                      size_t report_size) {
    write_source source = {.type = RHUMB__LOG_UPSERT, .keys = keys, .vectors = vectors};
    return write_and_report(index, &source, count, options, report, report_size);
}

rhumb_status rhumb_index_delete_batch(rhumb_index *index, const uint64_t *keys, size_t count,
                                      const rhumb_batch_options *options, rhumb_write_report *report,
                                      size_t report_size) {
    write_source source = {.type = RHUMB__LOG_DELETE, .keys = keys};
    return write_and_report(index, &source, count, options, report, report_size);
}
