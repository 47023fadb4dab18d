// What memory the process takes.
#ifndef RHUMB_TESTS_SUPPORT_MEMORY_USE_H
#define RHUMB_TESTS_SUPPORT_MEMORY_USE_H

#include <cstdint>
#include <fstream>
#include <string>

namespace rhumb_test {

// Resident anonymous memory.
inline uint64_t anonymous_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    uint64_t kilobytes = 0;
    while (status >> word && word != "RssAnon:") {
    }
    status >> kilobytes;
    return kilobytes << 10;
}

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_MEMORY_USE_H
