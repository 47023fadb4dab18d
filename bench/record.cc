// record.cc - see record.h.
#include "bench/record.h"

#include <cstdio>

#include "bench/machine.h"

namespace bench {

std::string command_text(const std::string &program, int argc, char **argv) {
    std::string text = program;
    for (int i = 1; i < argc; i++) text += std::string(" ") + argv[i];
    return text;
}

void print_record(const std::string &what, const std::string &program, int argc, char **argv) {
    printf("what: %s\n", what.c_str());
    printf("machine: %s, %u processors, %.1f GiB; %s\n", cpu_model().c_str(), cpu_count(),
           static_cast<double>(memory_bytes()) / (1 << 30), kernel().c_str());
    printf("commit: %s\n", source_commit().c_str());
    printf("command: %s\n\n", command_text(program, argc, argv).c_str());
    fflush(stdout);
}

} // namespace bench
