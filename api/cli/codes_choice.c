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
