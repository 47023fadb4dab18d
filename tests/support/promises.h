// What the exercises of files of unknown content share: the first promise that was not kept.
#ifndef RHUMB_TESTS_SUPPORT_PROMISES_H
#define RHUMB_TESTS_SUPPORT_PROMISES_H

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "include/rhumb.h"

namespace rhumb_test {

// Keeps the first that is noted.
inline void note(std::string *broken, const std::string &what) {
    if (broken->empty()) *broken = what;
}

inline std::string describe_last() {
    const rhumb_error *error = rhumb_error_last();
    return std::string(rhumb_status_name(error->status)) + " \"" + error->message + "\"";
}

// The statuses that opening a damaged file may return.
inline bool is_refusal(rhumb_status status) {
    return status == RHUMB_E_CORRUPT || status == RHUMB_E_VERSION || status == RHUMB_E_TRUNCATED ||
           status == RHUMB_E_NOT_AN_INDEX;
}

// That the first `count` distances are numbers, nearest first.
inline void check_sorted(std::string *broken, const char *what, const std::vector<float> &distances, size_t count) {
    for (size_t i = 0; i < std::min(count, distances.size()); i++) {
        if (std::isnan(distances[i])) note(broken, std::string(what) + ": a distance that is not a number");
        if (i > 0 && distances[i] < distances[i - 1]) note(broken, std::string(what) + ": distances out of order");
    }
}

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_PROMISES_H
