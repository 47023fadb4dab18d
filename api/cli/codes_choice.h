/* codes_choice.h - the names that the tool has for the codes of an index (default, none, 4 and 8), and for its fused
 * rows. */
#ifndef RHUMB_CLI_CODES_CHOICE_H
#define RHUMB_CLI_CODES_CHOICE_H

#include "cli.h"

/* Reads the value of --codes; NULL leaves `codes` as it is. CLI_OK or a reported failure. */
int codes_choice_read(struct cli *cli, const char *name, rhumb_codes *codes);

/* "none", "4", "8" or "unknown". */
const char *codes_choice_name(rhumb_codes codes);

/* The same for --fused: default, none, 1 and 2. */
int fused_choice_read(struct cli *cli, const char *name, rhumb_fused *fused);
const char *fused_choice_name(rhumb_fused fused);

#endif /* RHUMB_CLI_CODES_CHOICE_H */
