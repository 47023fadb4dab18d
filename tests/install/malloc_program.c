/* A user's program that works with an index. Prints in which file the functions are that it calls for memory, and those
 * that a C++ library would call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rhumb.h>
#include <stdio.h>
#include <string.h>

static int prints_owner(const char *name) {
    Dl_info where;
    void *function = dlsym(RTLD_DEFAULT, name);
    if (function == NULL) return 1; /* not in this program */
    if (dladdr(function, &where) == 0) return 0;
    printf("%s %s\n", name, where.dli_fname);
    return 1;
}

int main(int argc, char **argv) {
    const char *const names[] = {"malloc",         "calloc", "realloc", "free",  "aligned_alloc",
                                 "posix_memalign", "strdup", "_Znwm",   "_ZdlPv"};
    const float vector[2] = {1, 2};
    rhumb_index_options options;
    rhumb_index *index = NULL;
    if (argc != 2) return 1;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = 2;
    if (rhumb_index_create(argv[1], &options, &index) != RHUMB_OK) return 2;
    if (rhumb_index_insert(index, 1, vector) != RHUMB_OK) return 3;
    if (rhumb_index_close(index) != RHUMB_OK) return 4;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!prints_owner(names[i])) return 5;
    }
    return 0;
}
