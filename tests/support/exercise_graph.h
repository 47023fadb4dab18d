// Reads the graph of an index file of unknown content, with and without its vectors, and all of a topology file of
// unknown content, and checks that the library keeps its promises.
#ifndef RHUMB_TESTS_SUPPORT_EXERCISE_GRAPH_H
#define RHUMB_TESTS_SUPPORT_EXERCISE_GRAPH_H

#include <string>

#include "include/rhumb.h"

namespace rhumb_test {

// Opens the index read-only and graph_only: cursors, levels, neighbours, metadata. What opens is exported to
// `topology_path`, which is removed again; an export that succeeds must verify. Returns the first promise that was not
// kept, or "".
std::string exercise_graph(const std::string &path, const std::string &topology_path);

struct TopologyExercise {
    rhumb_status opened = RHUMB_OK;
    rhumb_status verified = RHUMB_OK;
    std::string broken; // the first promise that was not kept, or ""
};

// Opens a topology file; looks keys up, walks and views all points, verifies. What verifies must answer everything.
TopologyExercise exercise_topology(const std::string &path);

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_EXERCISE_GRAPH_H
