/* log_file.h - the file of a log: its name, and the steps that make it ready for records. Internal to the log.
 *
 * Nothing here takes a lock or keeps state. The caller is the only user of the handle.
 */
#ifndef RHUMB_STORAGE_LOG_LOG_FILE_H
#define RHUMB_STORAGE_LOG_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/io/io.h"
#include "storage/log/log_header.h"
#include "storage/log/log_scan.h"

/* Returns the log's path, which the caller releases (rhumb__free); NULL if there is no memory. */
char *rhumb__log_path_make(const char *index_path);

/* Opens the file; *io_out is NULL when there is none. The failures of rhumb__io_open, except RHUMB_E_NOTFOUND. */
rhumb_status rhumb__log_file_open(const rhumb__io_backend *backend, const char *path, rhumb__io_mode mode,
                                  rhumb__io **io_out) RHUMB_NODISCARD;

/* ---- making the file ready for records ----
 * These three return only when their effect survives a power cut, including the file's name. */

/* Creates and opens the file, with `header` in all copies, for those who may use the index (`access`). It gets its name
 * when it is complete; what an interrupted creation has left under the working name is removed first. RHUMB_E_EXISTS:
 * there is a file of that name by now. RHUMB_E_IO, RHUMB_E_NOSPACE, RHUMB_E_NOMEM, RHUMB_E_FATAL. */
rhumb_status rhumb__log_file_create(const rhumb__io_backend *backend, const char *path, const rhumb__io_access *access,
                                    rhumb__log_header *header, rhumb__io **io_out) RHUMB_NODISCARD;

/* Makes durable what was found at open, cuts off the bytes after it, and makes `header`, with the next generation, the
 * newest. Records that a later one reports as synced are on the disk. The others may be in the page cache only: if the
 * sync of the process that wrote them failed, the kernel has marked the pages clean although they never reached the
 * disk. Writing the same bytes again makes the next sync write them. RHUMB_E_CORRUPT when the records have changed
 * since; RHUMB_E_FULL, RHUMB_E_IO, RHUMB_E_FATAL. */
rhumb_status rhumb__log_file_settle(rhumb__io *io, rhumb__log_header *header,
                                    const rhumb__log_scan *found) RHUMB_NODISCARD;

/* Makes `header`, with the next generation, the newest; syncs the file's name only if `sync_name`. RHUMB_E_FULL,
 * RHUMB_E_IO, RHUMB_E_FATAL. */
rhumb_status rhumb__log_file_advance(rhumb__io *io, rhumb__log_header *header, bool sync_name) RHUMB_NODISCARD;

/* Releases the space before `first_offset`, or, with `empty`, everything but the header. Best effort: space that cannot
 * be released does no harm, and the next cut tries again. */
void rhumb__log_file_trim(rhumb__io *io, uint64_t first_offset, bool empty);

#endif /* RHUMB_STORAGE_LOG_LOG_FILE_H */
