/* options.h - structs that cross the interface: how callers' options are read, how callers' structs are filled, and the
 * checks of arguments that several functions share.
 *
 * Everything here is stateless and fails with RHUMB_E_INVALID alone.
 */
#ifndef RHUMB_API_OPTIONS_H
#define RHUMB_API_OPTIONS_H

#include "base/progress.h"
#include "engine/graph/params.h"
#include "include/rhumb.h"

/* Fails for NULL and "". `name` is the argument's name. */
rhumb_status rhumb__path_check(const char *path, const char *name) RHUMB_NODISCARD;

/* Copies a caller's options over the defaults in `target`: as many bytes as the caller's struct has. A struct that is
 * larger than this library's must be zero after the fields that this library knows. NULL leaves the defaults. `name` is
 * that of the struct's type. */
rhumb_status rhumb__options_take(void *target, size_t target_bytes, const void *options,
                                 const char *name) RHUMB_NODISCARD;

/* Fails for a caller's struct that is to be filled if it is NULL, too small for its own size field,
 * or larger than any struct of the interface will be. */
rhumb_status rhumb__struct_check(const void *target, size_t size, const char *name) RHUMB_NODISCARD;

/* Copies a struct that this library has filled into a caller's struct of `size` bytes: as many bytes as both have, and
 * zeros to the end of a larger one. */
void rhumb__struct_give(void *target, size_t size, const void *filled, size_t filled_bytes);

/* Reads the custom metric of a caller's options: name and function, or neither. */
rhumb_status rhumb__custom_take(const char *name, rhumb_distance_fn distance, void *context,
                                rhumb__custom_metric *custom_out) RHUMB_NODISCARD;

/* The same of the options of opening. */
rhumb_status rhumb__open_custom_take(const rhumb_open_options *options,
                                     rhumb__custom_metric *custom_out) RHUMB_NODISCARD;

/* Resolves the options of a new index into parameters and the options it is opened with. */
rhumb_status rhumb__creation_take(const rhumb_index_options *options, rhumb__params *params,
                                  rhumb_open_options *open_options) RHUMB_NODISCARD;

/* Resolves the defaults of opening and checks ranges. NULL stands for the defaults. */
rhumb_status rhumb__open_options_take(const rhumb_open_options *options, rhumb_open_options *resolved) RHUMB_NODISCARD;

/* Reads a caller's options for verifying; NULL stands for the defaults. The total of `progress` is not set yet. */
rhumb_status rhumb__verify_options_take(const rhumb_verify_options *options, rhumb__progress *progress) RHUMB_NODISCARD;

/* Sets the codes and fused rows of an index, given all of its other parameters. RHUMB_E_INVALID: there is no such
 * choice. What rhumb__params_check and rhumb__params_space return. */
rhumb_status rhumb__derived_resolve(rhumb_codes codes, rhumb_fused fused, rhumb__params *params) RHUMB_NODISCARD;

/* The engine's parameters for options whose defaults are resolved; without a custom metric and
 * without codes. */
rhumb__params rhumb__params_from_options(const rhumb_index_options *options);

/* Fails for a number that is none of the choices. */
rhumb_status rhumb__derived_check(rhumb_codes codes, rhumb_fused fused) RHUMB_NODISCARD;

/* The codes and the fused rows that an index has. */
rhumb_codes rhumb__codes_of(const rhumb__params *params);
rhumb_fused rhumb__fused_of(const rhumb__params *params);

/* The inverse: the options that an index was created with, `open` being NULL. */
rhumb_index_options rhumb__options_from_params(const rhumb__params *params);

#endif /* RHUMB_API_OPTIONS_H */
