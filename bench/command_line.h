// command_line.h - what the programs do with their arguments.
#ifndef RHUMB_BENCH_COMMAND_LINE_H
#define RHUMB_BENCH_COMMAND_LINE_H

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

// The parts of a list with commas; empty ones are left out.
std::vector<std::string> split(const std::string &text);

// A number from 1 to a thousand million. Throws std::invalid_argument that names the option.
size_t parse_number(const std::string &option, const std::string &text);
std::vector<size_t> parse_numbers(const std::string &option, const std::string &text); // with commas

} // namespace bench

#endif // RHUMB_BENCH_COMMAND_LINE_H
