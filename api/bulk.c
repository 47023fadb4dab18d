/* bulk.c - see bulk.h: options and rows of the interface as those of the engine. Stateless. */
#include "api/bulk.h"

#include "api/options.h"
#include "base/status.h"
#include "engine/build/bulk/plan.h"
#include "engine/upkeep/shards/build_in_shards.h"

static_assert((int)RHUMB__BUILD_ONE_BY_ONE == (int)RHUMB__BULK_NONE &&
                  (int)RHUMB__BUILD_AS_BATCH == (int)RHUMB__BULK_WHOLE &&
                  (int)RHUMB__BUILD_FROM_ROWS == (int)RHUMB__BULK_SHARDED,
              "ways are those of the engine");

rhumb_status rhumb__index_build_way(const rhumb_index_options *options, uint64_t count, rhumb__build_way *way_out) {
    rhumb_status status;
    rhumb__params params;
    rhumb__space space;
    rhumb_open_options open_options;
    RHUMB_TRY(rhumb__creation_take(options, &params, &open_options));
    RHUMB_TRY(rhumb__params_check(&params));
    RHUMB_TRY(rhumb__params_space(&params, NULL, &space));
    *way_out = (rhumb__build_way)rhumb__bulk_way_of(&params, &space, count);
done:
    return status;
}

rhumb_status rhumb__index_build(const char *path, const rhumb_index_options *options, const rhumb__build_rows *rows,
                                const rhumb_batch_options *batch) {
    rhumb_status status;
    rhumb__params params;
    rhumb_open_options open_options;
    const rhumb__row_source source = {.read = rows->read, .context = rows->context, .count = rows->count};
    const rhumb__shard_build build = {.source = &source,
                                      .new_path = path,
                                      .creator_version = rhumb_version(),
                                      .thread_count = batch->thread_count,
                                      .report = batch->progress,
                                      .report_context = batch->progress_context};
    RHUMB_TRY(rhumb__path_check(path, "path"));
    RHUMB_TRY(rhumb__creation_take(options, &params, &open_options));
    status = rhumb__build_in_shards(&build, &params);
done:
    return status;
}
