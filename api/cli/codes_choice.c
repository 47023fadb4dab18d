/* codes_choice.c - see codes_choice.h. Constants and pure functions. */
#include "codes_choice.h"

#include <string.h>

static const struct {
    const char *name;
    rhumb_codes codes;
} CHOICES[] = {
    {"default", RHUMB_CODES_DEFAULT},
    {"none", RHUMB_CODES_NONE},
    {"4", RHUMB_CODES_4BIT},
    {"8", RHUMB_CODES_8BIT},
};

enum { CHOICE_COUNT = sizeof CHOICES / sizeof CHOICES[0] };

int codes_choice_read(struct cli *cli, const char *name, rhumb_codes *codes) {
    if (!name) return CLI_OK;
    for (size_t i = 0; i < CHOICE_COUNT; i++) {
        if (strcmp(CHOICES[i].name, name) != 0) continue;
        *codes = CHOICES[i].codes;
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--codes must be default, none, 4 or 8; found '%s'", name);
}

const char *codes_choice_name(rhumb_codes codes) {
    for (size_t i = 0; i < CHOICE_COUNT; i++) {
        if (CHOICES[i].codes == codes) return CHOICES[i].name;
    }
    return "unknown";
}

static const char *const FUSED_NAMES[] = {
    [RHUMB_FUSED_DEFAULT] = "default", [RHUMB_FUSED_1BIT] = "1", [RHUMB_FUSED_2BIT] = "2", [RHUMB_FUSED_NONE] = "none"};

enum { FUSED_COUNT = sizeof FUSED_NAMES / sizeof FUSED_NAMES[0] };

int fused_choice_read(struct cli *cli, const char *name, rhumb_fused *fused) {
    if (!name) return CLI_OK;
    for (unsigned i = 0; i < FUSED_COUNT; i++) {
        if (strcmp(FUSED_NAMES[i], name) != 0) continue;
        *fused = (rhumb_fused)i;
        return CLI_OK;
    }
    return cli_fail(cli, CLI_USAGE, "--fused must be default, none, 1 or 2; found '%s'", name);
}

const char *fused_choice_name(rhumb_fused fused) {
    return (unsigned)fused < FUSED_COUNT ? FUSED_NAMES[fused] : "unknown";
}
