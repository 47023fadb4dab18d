/* Backs up an index while a thread inserts into it, then opens the backup and verifies it.
 *
 *   cc live_backup.c -o live_backup -lrhumb -pthread
 *   ./live_backup live.rhumb backup.rhumb
 *
 * A copy of the file by other means, made while it is written, may mix two checkpoints. rhumb_index_compact_into reads
 * one checkpoint, of an index that is open in this or in another process, and writes a compacted copy.
 */
#include <pthread.h>
#include <rhumb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#define DIM 16
#define FIRST_COUNT 2000u

typedef struct writer {
    rhumb_index *index;
    atomic_bool stop;
    bool well;
} writer;

static bool ok(rhumb_status status) {
    if (status == RHUMB_OK) return true;
    fprintf(stderr, "%s: %s\n", rhumb_status_name(status), rhumb_error_last()->message);
    return false;
}

static bool insert(rhumb_index *index, uint64_t key) {
    float vector[DIM];
    uint64_t state = key;
    for (int i = 0; i < DIM; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        vector[i] = (float)(state >> 40) / (float)(1 << 24);
    }
    return ok(rhumb_index_insert(index, key, vector));
}

static void *write_on(void *argument) {
    writer *w = argument;
    for (uint64_t key = FIRST_COUNT; w->well && !atomic_load(&w->stop); key++) w->well = insert(w->index, key);
    return NULL;
}

/* A checkpoint first: what is only in the log is not copied. */
static bool back_up(rhumb_index *index, const char *path, const char *backup_path) {
    rhumb_compact_report report;
    const uint64_t count = rhumb_index_count(index);
    if (!ok(rhumb_index_checkpoint(index))) return false;
    if (!ok(rhumb_index_compact_into(path, backup_path, NULL, &report, sizeof report))) return false;
    printf("all vectors inserted before the backup are in it: %s\n", report.count >= count ? "yes" : "no");
    return report.count >= count;
}

static bool verify(const char *path) {
    rhumb_index *index = NULL;
    rhumb_verify_report report;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    if (!ok(rhumb_index_open(path, &options, &index))) return false;
    bool well = ok(rhumb_index_verify(index, &report, sizeof report));
    well = ok(rhumb_index_close(index)) && well;
    if (well) printf("the backup is undamaged\n");
    return well;
}

/* Backs up while another thread inserts. */
static bool run(writer *w, const char *path, const char *backup_path) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, write_on, w) != 0) {
        fprintf(stderr, "a thread could not be started\n");
        return false;
    }
    const bool well = back_up(w->index, path, backup_path) && verify(backup_path);
    atomic_store(&w->stop, true);
    pthread_join(thread, NULL);
    return well && w->well;
}

int main(int argc, char **argv) {
    const char *path = argc > 1 ? argv[1] : "live.rhumb";
    const char *backup_path = argc > 2 ? argv[2] : "backup.rhumb";
    writer w = {.well = true};
    rhumb_open_options open_options;
    rhumb_open_options_init(&open_options, sizeof open_options);
    open_options.durability = RHUMB_DURABILITY_INTERVAL; /* inserts need not wait for the disk */
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = DIM;
    options.open = &open_options;
    if (!ok(rhumb_index_create(path, &options, &w.index))) return 1;

    bool well = true;
    for (uint64_t key = 0; well && key < FIRST_COUNT; key++) well = insert(w.index, key);
    well = well && run(&w, path, backup_path);
    well = ok(rhumb_index_close(w.index)) && well;
    return well ? 0 : 1;
}
