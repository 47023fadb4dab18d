// Uses an index file of unknown content in every way, and checks that the library keeps its promises: an error that
// names the file, or consistent answers, and after a successful checkpoint a file that opens.
#ifndef RHUMB_TESTS_SUPPORT_EXERCISE_H
#define RHUMB_TESTS_SUPPORT_EXERCISE_H

#include <cstdint>
#include <string>

#include "include/rhumb.h"

namespace rhumb_test {

struct Exercise {
    rhumb_status opened = RHUMB_OK;   // status of opening
    rhumb_status verified = RHUMB_OK; // status of verify, if it was opened
    rhumb_verify_report report = {};
    std::string broken; // the first promise that was not kept, or ""
};

// Opens the file read-only; searches, looks keys up, verifies.
Exercise exercise_reading(const std::string &path);

// Opens the file for writing; all of the above, then `insert_count` inserts and a checkpoint, and opens it again. With
// durability none the path need not be in a folder that could hold a log.
Exercise exercise_writing(const std::string &path, uint32_t insert_count,
                          rhumb_durability durability = RHUMB_DURABILITY_NONE);

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_EXERCISE_H
