/* input.h - opens matrices of rows wherever they come from: files, "-" for the standard input, pipes.
 *
 * The readers need to seek, so what comes from a pipe is first copied, to its end, into a file without a name in the
 * folder TMPDIR, or /tmp, as long as that has room, and at most INPUT_PIPE_BYTES_MAX. The same path opened again is the
 * same copy, so that several parts of one HDF5 file can be read.
 */
#ifndef RHUMB_CLI_INPUT_H
#define RHUMB_CLI_INPUT_H

#include "api/cli/dataset/dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

#define INPUT_PIPE_BYTES_MAX (UINT64_C(64) << 30)

/* dataset_open, for any path. */
enum dataset_status input_open(const char *path, const struct dataset_options *options, struct dataset **dataset_out,
                               struct dataset_error *error);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_INPUT_H */
