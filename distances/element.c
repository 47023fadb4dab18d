/* element.c - the table of element types. Immutable; a look-up fails by returning NULL or 0. */
#include "distances/element.h"

#define ENTRY(constant, name, kind, exponent, type, value)                                                             \
    [RHUMB_ELEMENT_##constant] = {name, RHUMB__##kind, 8 * sizeof(type), UINT64_C(exponent)},

static const struct rhumb__element_info TABLE[] = {
    RHUMB__NUMBER_ELEMENTS(ENTRY)[RHUMB_ELEMENT_B1] = {"b1", RHUMB__BIT, 1, 0},
};

enum { TABLE_SIZE = sizeof TABLE / sizeof TABLE[0] };

const struct rhumb__element_info *rhumb__element_info(rhumb_element element) {
    return &TABLE[(unsigned)element < TABLE_SIZE ? (unsigned)element : 0];
}

uint32_t rhumb__element_bits(rhumb_element element) { return rhumb__element_info(element)->bits; }

bool rhumb__element_is_float(rhumb_element element) { return rhumb__element_info(element)->kind == RHUMB__FLOAT; }

const char *rhumb__element_name(rhumb_element element) { return rhumb__element_info(element)->name; }

rhumb_element rhumb__element_from_name(const char *name) {
    for (unsigned element = 1; name != NULL && element < TABLE_SIZE; element++) {
        if (strcmp(TABLE[element].name, name) == 0) return (rhumb_element)element;
    }
    return (rhumb_element)0;
}
