/* bulk.h - what the command line tool asks of an index, and programs cannot: whether a batch would be built in bulk.
 */
#ifndef RHUMB_API_BULK_H
#define RHUMB_API_BULK_H

#include "include/rhumb.h"

/* How many vectors a batch may have to be built in bulk (rhumb_index_insert_batch), as memory and the index are now; 0:
 * none would be. The index is open for writing. */
uint64_t rhumb__index_bulk_max(rhumb_index *index);

#endif /* RHUMB_API_BULK_H */
