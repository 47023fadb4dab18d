/* page_probe.c - see page_probe.h. One thread; owns the graph it opens. */
#include "bench/page_probe.h"

#include <stdlib.h>

#include "base/bits.h"
#include "engine/open.h"
#include "engine/search/search.h"
#include "engine/search/walk/scratch.h"

#define PAGE_BYTES 4096u

/* One bit per page of a section, and which are set, to clear them again. */
typedef struct page_set {
    uint64_t *bits;
    uint64_t *pages;
    size_t count;
} page_set;

static void touch(page_set *set, const rhumb__section *section, uint64_t row, uint64_t bytes) {
    const uint64_t begin = row * section->row_stride_bytes;
    for (uint64_t page = begin / PAGE_BYTES; page <= (begin + bytes - 1) / PAGE_BYTES; page++) {
        if (rhumb__bit_get(set->bits, page)) continue;
        rhumb__bit_set(set->bits, page);
        set->pages[set->count++] = page;
    }
}

static size_t drain(page_set *set) {
    const size_t count = set->count;
    while (set->count > 0) {
        const uint64_t page = set->pages[--set->count];
        set->bits[page / 64] &= ~(UINT64_C(1) << (page % 64));
    }
    return count;
}

static void set_init(page_set *set, const rhumb__section *section, uint64_t rows) {
    const uint64_t page_count = rows * section->row_stride_bytes / PAGE_BYTES + 2;
    set->bits = calloc(page_count / 64 + 1, sizeof *set->bits);
    set->pages = calloc(page_count, sizeof *set->pages);
    set->count = 0;
}

double page_probe(const char *index_path, const float *queries, size_t query_count, uint32_t k, uint32_t ef) {
    rhumb__graph *graph = NULL;
    rhumb__scratch *scratch = NULL;
    rhumb__scratch_pool pool;
    if (rhumb__engine_open(index_path, NULL, NULL, &graph) != RHUMB_OK) return -1;
    rhumb__scratch_pool_init(&pool, graph);
    page_set vectors, lists;
    set_init(&vectors, &graph->sections[RHUMB__SECTION_VECTORS], graph->counts.slot_count);
    set_init(&lists, &graph->sections[RHUMB__SECTION_LISTS0], graph->counts.slot_count);
    uint64_t *keys = calloc(k, sizeof *keys);
    double total = 0;
    rhumb_status status = rhumb__scratch_take(&pool, &scratch);
    for (size_t q = 0; q < query_count && status == RHUMB_OK; q++) {
        const rhumb__request request = {.query = queries + q * graph->params.dim, .ef = ef};
        rhumb__answer answer = {.keys = keys, .capacity = k};
        status = rhumb__search_run(scratch, &request, &answer);
        if (status != RHUMB_OK) break;
        for (uint64_t word = 0; word < scratch->visited.word_count; word++) {
            const rhumb__visited_word visited = scratch->visited.words[word];
            if (visited.search != scratch->visited.search) continue;
            for (uint64_t bits = visited.bits; bits != 0; bits &= bits - 1) {
                touch(&vectors, &graph->sections[RHUMB__SECTION_VECTORS], word * 64 + (uint64_t)__builtin_ctzll(bits),
                      graph->space.row_bytes);
            }
        }
        for (uint32_t i = 0; i < scratch->pool.count; i++) {
            const rhumb__candidate candidate = scratch->pool.entries[i];
            if ((candidate.slot_mark & RHUMB__CANDIDATE_EXPANDED) == 0) continue;
            touch(&lists, &graph->sections[RHUMB__SECTION_LISTS0], rhumb__candidate_slot(candidate),
                  graph->params.M0 * sizeof(uint32_t));
        }
        total += (double)(drain(&vectors) + drain(&lists));
    }
    if (scratch != NULL) rhumb__scratch_give(scratch);
    rhumb__scratch_pool_destroy(&pool);
    rhumb__engine_close(graph);
    free(vectors.bits);
    free(vectors.pages);
    free(lists.bits);
    free(lists.pages);
    free(keys);
    return status == RHUMB_OK && query_count > 0 ? total / (double)query_count : -1;
}
