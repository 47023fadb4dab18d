/* A user's program: sees nothing but the installed headers and libraries. Prints the version of the library. */
#include <rhumb.h>
#include <stdio.h>

int main(void) {
    if (rhumb_version() != RHUMB_VERSION_MAJOR * 1000000u + RHUMB_VERSION_MINOR * 1000u + RHUMB_VERSION_PATCH) return 1;
    rhumb_index *index = NULL;
    if (rhumb_index_open("/nonexistent/x.rhumb", NULL, &index) != RHUMB_E_NOTFOUND) return 2;
    printf("%u\n", rhumb_version());
    return 0;
}
