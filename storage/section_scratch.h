/* section_scratch.h - the memory of a section that is being built, in a file without a name, so that the kernel can
 * take its pages back.
 *
 * The rows of a new graph have no place in the index before its first version. Lists of an index that is larger than
 * memory are larger than memory themselves, or nearly so, and anonymous memory can only be given back to a swap device.
 * A scratch file lies in the folder of the index, is gone when the process ends, however it ends, and takes as much
 * room on the disk as the section has in memory. A publication maps the section from the index instead, as it does with
 * private pages.
 */
#ifndef RHUMB_STORAGE_SECTION_SCRATCH_H
#define RHUMB_STORAGE_SECTION_SCRATCH_H

#include "storage/section.h"

/* From now on the section, a writer's without rows, grows into a scratch file next to `path`. RHUMB_E_IO: no such file
 * can be made; the section grows in memory, as before. */
rhumb_status rhumb__section_scratch_begin(rhumb__section *section, rhumb__io *io, const char *path) RHUMB_NODISCARD;

/* Puts what has been added to the section's memory, and not been touched, into its scratch file. Its blocks are taken
 * at once, so that no store can find the disk full. Under the section's growth lock. RHUMB_E_NOSPACE, RHUMB_E_IO,
 * RHUMB_E_NOMEM: it cannot be touched, until this is called again and succeeds. */
rhumb_status rhumb__section_scratch_extend(rhumb__section *section) RHUMB_NODISCARD;

/* Begins to write what has changed to the disk, and waits for what was begun before: pages that are written can be
 * taken back at once. Advice only. A section without a scratch file is fine. */
void rhumb__section_scratch_write_out(const rhumb__section *section);

/* From now on the section grows in memory again. What it has stays in the file until it is mapped from elsewhere. A
 * section without a scratch file is fine. */
void rhumb__section_scratch_end(rhumb__section *section);

#endif /* RHUMB_STORAGE_SECTION_SCRATCH_H */
