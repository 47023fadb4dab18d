// record.h - the record that begins the output of every benchmark, so that a result file says where it comes from.
#ifndef RHUMB_BENCH_RECORD_H
#define RHUMB_BENCH_RECORD_H

#include <string>

namespace bench {

// The command as it was typed.
std::string command_text(const std::string &program, int argc, char **argv);

// Prints what was measured, the machine, the commit of the tree in which the program runs, and the command, in the form
// that tools/results_index.py reads.
void print_record(const std::string &what, const std::string &program, int argc, char **argv);

} // namespace bench

#endif // RHUMB_BENCH_RECORD_H
