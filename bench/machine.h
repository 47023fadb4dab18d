// machine.h - facts about the machine and this process, for the record of a measurement.
#ifndef RHUMB_BENCH_MACHINE_H
#define RHUMB_BENCH_MACHINE_H

#include <cstdint>
#include <string>

namespace bench {

std::string cpu_model();     // "model name" of /proc/cpuinfo, or "unknown"
uint32_t cpu_count();        // processors that this process may run on
uint64_t memory_bytes();     // of the machine
std::string kernel();        // "Linux 6.1.0"
std::string compiler();      // of this file, with the options that matter
std::string utc_date();      // 2026-01-31T12:00:00Z
std::string executable();    // path of this program
std::string source_commit(); // of the tree around the working directory, or "unknown"
std::string debian_package_version(const std::string &package); // "" where dpkg does not know it

struct Resident {
    uint64_t total_bytes = 0;     // pages of this process in memory
    uint64_t anonymous_bytes = 0; // of these, its own; the rest are pages of files, which the page cache has anyway
};
Resident resident();

struct FileSize {
    uint64_t length_bytes = 0;
    uint64_t disk_bytes = 0; // what the file takes, without its holes
};
FileSize file_size(const std::string &path); // throws std::runtime_error
bool file_exists(const std::string &path);

// Bytes that this process has had read from the disk.
uint64_t bytes_read_from_disk();

// How much the kernel reads ahead of the disk /dev/vda, in KB; "unknown" where there is none.
std::string read_ahead_kb();

} // namespace bench

#endif // RHUMB_BENCH_MACHINE_H
