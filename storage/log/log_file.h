/* log_file.h - the file of a log: its name, and the steps that make it ready for records. Internal to the log.
 *
 * Nothing here takes a lock or keeps state. The caller has the handle to itself.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_FILE_H
#define RHUMB_STORAGE_LOG_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/io/io.h"
#include "storage/log/log_header.h"
#include "storage/log/log_scan.h"

/* The log's path, allocated (rhumb__free); NULL without memory. */
char *rhumb__log_path_make(const char *index_path);

/* Opens the file; *io_out is NULL when there is none. What rhumb__io_open returns, except RHUMB_E_NOTFOUND. */
rhumb_status rhumb__log_file_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                                  rhumb__io **io_out) RHUMB_NODISCARD;

/* ---- making the file ready for records ----
 * All three return only when what they did survives a power cut, the file's name included if `sync_name`. */

/* Creates the file, in the place of what a creation that was cut short has left, and opens it. */
rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, bool remove_leftover,
                                    rhumb__log_header *header, rhumb__io **io_out) RHUMB_NODISCARD;

/* Makes durable what was found at open, and cuts off what is behind it. What was found may be in the page cache only:
 * if the sync of whoever wrote it failed, the kernel has forgotten that it never got to the disk. Writing the same
 * bytes again is what makes the next sync carry them. */
rhumb_status rhumb__log_file_settle(rhumb__io *io, rhumb__log_header *header,
                                    const rhumb__log_scan *found) RHUMB_NODISCARD;

/* Makes `header`, with the next generation, the newest. */
rhumb_status rhumb__log_file_advance(rhumb__io *io, rhumb__log_header *header, bool sync_name) RHUMB_NODISCARD;

/* Gives back what lies before `first_offset`, or, with `empty`, everything but the header. Best effort: what cannot be
 * given back is in nobody's way, and the next cut tries again. */
void rhumb__log_file_trim(rhumb__io *io, uint64_t first_offset, bool empty);

#endif /* RHUMB_STORAGE_LOG_LOG_FILE_H */
