/* nameless_file.h - files without a name, which are gone when they are closed or the process ends, however that ends.
 */
#ifndef RHUMB_BASE_NAMELESS_FILE_H
#define RHUMB_BASE_NAMELESS_FILE_H

/* Makes a file without a name in the folder that has `path`. Returns its descriptor, or -1 with errno. Thread-safe. */
int rhumb__nameless_file_open(const char *path);

#endif /* RHUMB_BASE_NAMELESS_FILE_H */
