/* residency.c - see residency.h. Maps one window of the file after the other and asks for its pages (mincore), which
 * reads none of them. Owns the mapping of a window and its answer, 256 KiB. The kernel tells the owner of a file, and
 * who may write to it; to others all of it seems to be in memory.
 */
#define _GNU_SOURCE
#include "residency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_PAGES (256u * 1024u)

static bool measure_window(int fd, uint64_t offset, size_t bytes, uint64_t page_bytes, unsigned char *pages,
                           uint64_t *resident_bytes) {
    void *window = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
    if (window == MAP_FAILED) return false;
    const bool told = mincore(window, bytes, pages) == 0;
    munmap(window, bytes);
    for (size_t i = 0; told && i < (bytes + page_bytes - 1) / page_bytes; i++)
        if (pages[i] & 1) *resident_bytes += page_bytes;
    return told;
}

bool residency_measure(const char *path, uint64_t *resident_bytes_out) {
    const uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE), window_bytes = WINDOW_PAGES * page_bytes;
    uint64_t resident_bytes = 0;
    struct stat file;
    int fd;
    do fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return false;
    unsigned char *pages = malloc(WINDOW_PAGES);
    bool told = pages && fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    const uint64_t file_bytes = told ? (uint64_t)file.st_size : 0;
    for (uint64_t offset = 0; offset < file_bytes && told; offset += window_bytes) {
        const uint64_t left = file_bytes - offset;
        told = measure_window(fd, offset, (size_t)(left < window_bytes ? left : window_bytes), page_bytes, pages,
                              &resident_bytes);
    }
    free(pages);
    close(fd);
    if (told) *resident_bytes_out = resident_bytes < file_bytes ? resident_bytes : file_bytes;
    return told;
}
