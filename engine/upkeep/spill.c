/* spill.c - see spill.h.
 *
 * A thread writes changed pages to the disk again and again: in a control group whose pages are all changed, the kernel
 * finds none that it can take back at once, and kills the process sooner than it waits for the disk. Without the thread
 * the kernel writes when it likes.
 *
 * Owns the thread and, by the sections, the files. Locks: none; the thread reads what begin has set and nothing
 * changes until it has ended.
 */
#include "engine/upkeep/spill.h"

#include <errno.h>
#include <time.h>

#include "base/bits.h"
#include "base/log_message.h"
#include "base/memory_limit.h"
#include "base/status.h"
#include "base/thread.h"
#include "engine/graph/key_table.h"
#include "storage/section_scratch.h"

/* Mutable sections of a new graph may take this share of the memory that the process may use. */
#define MEMORY_SHARE 8u

/* Between two times that changed pages are written. */
#define PAUSE_NS 100000000

static bool is_spilled(const rhumb__graph *graph, const rhumb__section_info *info) {
    return info->kind == RHUMB__SECTION_MUTABLE && rhumb__section_is_used(info, &graph->params);
}

/* What the mutable sections take. */
static uint64_t mutable_bytes(const rhumb__graph *graph, uint64_t slot_count) {
    /* A node has one upper row in M - 1 on average. */
    const rhumb__counts counts = {.slot_count = slot_count,
                                  .upper_row_count = slot_count / rhumb__max_u64(graph->params.M - 1, 1),
                                  .key_bucket_count = slot_count / RHUMB__KEY_BUCKET_PLACES};
    uint64_t bytes = 0;
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        if (!is_spilled(graph, info)) continue;
        bytes += rhumb__section_row_count(info, &counts) * graph->sections[info->id].row_stride_bytes;
    }
    return bytes;
}

/* Waits for a pause; false: it is time to end. */
static bool pause_or_stop(rhumb__spill *spill) {
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_nsec += PAUSE_NS;
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    while (sem_timedwait(&spill->stopping, &end) != 0) {
        if (errno == ETIMEDOUT) return true;
    }
    return false;
}

static void *spill_main(void *argument) {
    rhumb__spill *spill = argument;
    while (pause_or_stop(spill)) {
        for (uint32_t id = 0; id < RHUMB__SECTION_ID_LIMIT; id++) {
            rhumb__section_scratch_write_out(&spill->graph->sections[id]);
        }
    }
    return NULL;
}

/* Makes the files. Returns whether there is one. */
static bool make_files(rhumb__graph *graph) {
    rhumb_error before;
    bool any = false;
    rhumb__error_save(&before);
    for (const rhumb__section_info *info = rhumb__section_next(NULL); info != NULL; info = rhumb__section_next(info)) {
        if (!is_spilled(graph, info)) continue;
        rhumb__section *section = &graph->sections[info->id];
        if (rhumb__section_scratch_begin(section, graph->store->io, graph->store->path) != RHUMB_OK) {
            rhumb__log_message(RHUMB_LOG_WARNING, graph->store->path, "new lists are kept in memory: %s",
                               rhumb__error_last()->message);
            rhumb__error_restore(&before);
            break;
        }
        any = true;
    }
    return any;
}

void rhumb__spill_begin(rhumb__graph *graph, uint64_t slot_count, rhumb__spill *spill) {
    if (mutable_bytes(graph, slot_count) <= rhumb__memory_limit_bytes() / MEMORY_SHARE) return;
    if (!make_files(graph)) return;
    spill->graph = graph;
    sem_init(&spill->stopping, 0, 0);
    spill->has_thread = rhumb__thread_start(&spill->thread, spill_main, spill) == 0;
}

void rhumb__spill_end(rhumb__spill *spill) {
    if (spill->graph == NULL) return;
    (void)sem_post(&spill->stopping);
    if (spill->has_thread) (void)pthread_join(spill->thread, NULL);
    sem_destroy(&spill->stopping);
    for (uint32_t id = 0; id < RHUMB__SECTION_ID_LIMIT; id++) {
        rhumb__section_scratch_end(&spill->graph->sections[id]);
    }
    spill->graph = NULL;
}
