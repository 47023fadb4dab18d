// command_line.cc - see command_line.h.
#include "bench/command_line.h"

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace bench {

std::vector<std::string> split(const std::string &text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');)
        if (!part.empty()) parts.push_back(part);
    return parts;
}

size_t parse_number(const std::string &option, const std::string &text) {
    char *end = nullptr;
    errno = 0;
    unsigned long long value = std::strtoull(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || text[0] == '-' || errno != 0 || value == 0 || value > 1000000000)
        throw std::invalid_argument(option + ": expected a positive number, found \"" + text + "\"");
    return static_cast<size_t>(value);
}

std::vector<size_t> parse_numbers(const std::string &option, const std::string &text) {
    std::vector<size_t> numbers;
    for (const std::string &part : split(text)) numbers.push_back(parse_number(option, part));
    return numbers;
}

} // namespace bench
