/* hot_pages.h - the list of the pages of an index that were in memory when it was saved, so that a later opening can
 * read those again first, where memory cannot hold all of them.
 *
 * The list is a small file next to the index, NAME-hot: a bit for each page of each section (FORMAT.md, section 16).
 * It is derived data: an index without it, or with a damaged or an old one, is as good as any, and whatever it says
 * only chooses which pages are read.
 *
 * Threads: saving takes the publishing lock. The other functions are for one thread.
 */
#ifndef RHUMB_STORAGE_HOT_PAGES_H
#define RHUMB_STORAGE_HOT_PAGES_H

#include "storage/store.h"

#define RHUMB__HOT_PAGES_SUFFIX "-hot"

typedef struct rhumb__hot_pages rhumb__hot_pages;

/* Writes the list of the pages of all mapped sections that are in memory now; a reader may too. The system tells the
 * owner of the file and those who may write to it. RHUMB_E_READONLY: the store was opened without locks, as a file that
 * nothing changes. RHUMB_E_EXISTS: a file of that name is something else. RHUMB_E_NOMEM, RHUMB_E_IO, RHUMB_E_NOSPACE.
 */
rhumb_status rhumb__hot_pages_save(rhumb__store *store) RHUMB_NODISCARD;

/* Saves it if memory cannot hold the index, after a checkpoint and before closing. What fails leaves no list. */
void rhumb__hot_pages_keep(rhumb__store *store);

/* Reads the list of a store's file. NULL: there is none that is whole and of this index, or no memory for it. */
rhumb__hot_pages *rhumb__hot_pages_read(const rhumb__store *store);

/* Pages of a section that follow each other; within its mapped bytes. */
typedef struct rhumb__hot_run {
    uint64_t section_offset;
    uint64_t bytes;
} rhumb__hot_run;

/* Finds the first run of a section that begins at byte `from` or after it. False: there is none. */
bool rhumb__hot_pages_next(const rhumb__hot_pages *pages, const rhumb__section *section, uint64_t from,
                           rhumb__hot_run *run_out);

/* NULL is fine. */
void rhumb__hot_pages_free(rhumb__hot_pages *pages);

#endif /* RHUMB_STORAGE_HOT_PAGES_H */
