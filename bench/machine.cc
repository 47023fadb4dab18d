// machine.cc - reads /proc and asks the system; what cannot be determined is left empty or zero.
#include "bench/machine.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <stdexcept>

#include <sched.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace bench {
namespace {

// The text after "key:" in a file of such lines.
std::string value_of(const char *path, const std::string &key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, key.size(), key) != 0) continue;
        size_t colon = line.find(':');
        if (colon == std::string::npos) continue;
        size_t begin = line.find_first_not_of(" \t", colon + 1);
        return begin == std::string::npos ? "" : line.substr(begin);
    }
    return "";
}

// The first line that a shell command prints, without its end; "" if there is none.
std::string first_line_of(const std::string &command) {
    std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
    char text[128] = "";
    if (!pipe || fgets(text, sizeof text, pipe.get()) == nullptr) return "";
    text[strcspn(text, "\n")] = '\0';
    return text;
}

uint64_t kilobytes_of(const char *path, const std::string &key) {
    return std::strtoull(value_of(path, key).c_str(), nullptr, 10) * 1024;
}

} // namespace

std::string cpu_model() {
    std::string model = value_of("/proc/cpuinfo", "model name");
    return model.empty() ? "unknown" : model;
}

uint32_t cpu_count() {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<uint32_t>(CPU_COUNT(&set)) : 1;
}

uint64_t memory_bytes() { return kilobytes_of("/proc/meminfo", "MemTotal"); }

std::string kernel() {
    utsname name;
    return uname(&name) == 0 ? std::string(name.sysname) + " " + name.release : "unknown";
}

std::string compiler() {
#if defined(__clang__)
    std::string text = "clang " __clang_version__;
#else
    std::string text = "gcc " __VERSION__;
#endif
    text += ", peers with -O3 -march=native";
#if defined(__AVX512F__)
    text += " (AVX-512)";
#elif defined(__AVX2__)
    text += " (AVX2)";
#endif
    return text;
}

std::string utc_date() {
    time_t now = time(nullptr);
    tm parts;
    char text[32];
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

std::string executable() {
    std::array<char, 4096> path;
    ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
    return length > 0 ? std::string(path.data(), static_cast<size_t>(length)) : "";
}

// Bazel's `run` names the tree. Elsewhere the working directory may be any, hence the look for a file of rhumb's.
std::string source_commit() {
    std::string commit =
        first_line_of("cd \"${BUILD_WORKSPACE_DIRECTORY:-.}\" && git ls-files --error-unmatch :/include/rhumb.h "
                      ">/dev/null 2>&1 && git describe --always --dirty --exclude='*' 2>/dev/null");
    return commit.empty() ? "unknown" : commit;
}

std::string debian_package_version(const std::string &package) {
    return first_line_of("dpkg-query -W -f '${Version}' " + package + " 2>/dev/null");
}

Resident resident() {
    Resident resident;
    resident.total_bytes = kilobytes_of("/proc/self/status", "VmRSS");
    resident.anonymous_bytes = kilobytes_of("/proc/self/status", "RssAnon");
    return resident;
}

FileSize file_size(const std::string &path) {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) throw std::runtime_error(path + ": " + std::strerror(errno));
    return {static_cast<uint64_t>(status.st_size), static_cast<uint64_t>(status.st_blocks) * 512};
}

bool file_exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

uint64_t bytes_read_from_disk() {
    std::ifstream io("/proc/self/io");
    std::string name;
    uint64_t value = 0;
    while (io >> name >> value) {
        if (name == "read_bytes:") return value;
    }
    return 0;
}

std::string read_ahead_kb() {
    std::ifstream setting("/sys/block/vda/queue/read_ahead_kb");
    std::string text = "unknown";
    setting >> text;
    return text;
}

} // namespace bench
