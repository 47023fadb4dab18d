/* python_calls.c - the C half of python_calls.py: times searches of an index by the C interface.
 *
 *   python_calls INDEX QUERIES DIM K EF THREADS
 *
 * QUERIES is a file of f32 rows. For each line of its input it searches for all queries once, "one" by a call for each,
 * "all" by one call, and prints nanoseconds per query. So it takes turns with another program, pass by pass.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "include/rhumb.h"

typedef struct job {
    rhumb_index *index;
    const float *queries;
    size_t count;
    size_t dim;
    size_t k;
    rhumb_search_options options;
    uint64_t *keys;
    float *distances;
    size_t *found_counts;
} job;

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static void check(rhumb_status status) {
    if (status == RHUMB_OK) return;
    fprintf(stderr, "%s\n", rhumb_error_last()->message);
    exit(1);
}

static void search_each(job *job) {
    for (size_t i = 0; i < job->count; i++) {
        check(rhumb_index_search(job->index, job->queries + i * job->dim, job->k, &job->options, job->keys,
                                 job->distances, job->found_counts));
    }
}

static void search_all(job *job) {
    check(rhumb_index_search_batch(job->index, job->queries, job->count, job->k, &job->options, job->keys,
                                   job->distances, job->found_counts));
}

static double pass_ns(job *job, void (*search)(struct job *job)) {
    const double start_ns = now_ns();
    search(job);
    return (now_ns() - start_ns) / (double)job->count;
}

int main(int argc, char **argv) {
    if (argc != 7) return 2;
    job job = {.dim = strtoul(argv[3], NULL, 10), .k = strtoul(argv[4], NULL, 10)};
    FILE *file = fopen(argv[2], "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return 1;
    const size_t bytes = (size_t)ftell(file);
    float *queries = malloc(bytes);
    rewind(file);
    if (queries == NULL || fread(queries, 1, bytes, file) != bytes) return 1;
    job.queries = queries;
    job.count = bytes / sizeof *queries / job.dim;
    job.keys = malloc(job.count * job.k * sizeof *job.keys);
    job.distances = malloc(job.count * job.k * sizeof *job.distances);
    job.found_counts = malloc(job.count * sizeof *job.found_counts);
    if (job.keys == NULL || job.distances == NULL || job.found_counts == NULL) return 1;
    rhumb_open_options options;
    rhumb_open_options_init(&options, sizeof options);
    options.read_only = true;
    check(rhumb_index_open(argv[1], &options, &job.index));
    rhumb_search_options_init(&job.options, sizeof job.options);
    job.options.ef_search = (uint32_t)strtoul(argv[5], NULL, 10);
    job.options.thread_count = (uint32_t)strtoul(argv[6], NULL, 10);
    search_all(&job);
    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("%.1f\n", pass_ns(&job, strcmp(line, "one\n") == 0 ? search_each : search_all));
        fflush(stdout);
    }
    return 0;
}
