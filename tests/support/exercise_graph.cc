// See exercise_graph.h.
#include "tests/support/exercise_graph.h"

#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tests/support/promises.h"

namespace rhumb_test {
namespace {

// Points that are read one by one; walks cover all.
constexpr size_t kAskedCount = 16;
constexpr size_t kCapacity = 5000; // more than a point can have neighbours

void ask_key(std::string *broken, rhumb_index *index, uint64_t key, bool graph_only) {
    uint32_t level = 0;
    const rhumb_status status = rhumb_index_level(index, key, &level);
    // The key table of a damaged file may lack a key that a walk returns.
    if (status == RHUMB_E_NOTFOUND) return;
    if (status != RHUMB_OK) note(broken, "level: " + describe_last());
    static std::vector<uint64_t> keys(kCapacity);
    static std::vector<float> distances(kCapacity);
    for (const uint32_t asked : {UINT32_C(0), std::min(level, RHUMB_LEVEL_MAX), RHUMB_LEVELS_ALL}) {
        size_t count = 0;
        if (rhumb_index_neighbours(index, key, asked, keys.data(), graph_only ? nullptr : distances.data(), kCapacity,
                                   &count) != RHUMB_OK) {
            note(broken, "neighbours: " + describe_last());
            return;
        }
        if (count > kCapacity) note(broken, "more neighbours than there can be");
        if (!graph_only) check_sorted(broken, "neighbours", distances, count);
    }
}

void walk(std::string *broken, rhumb_index *index, bool graph_only) {
    for (const uint32_t level : {0u, 1u}) {
        rhumb_point_cursor *cursor = nullptr;
        if (rhumb_point_cursor_open(index, level, &cursor) != RHUMB_OK) {
            note(broken, "cursor: " + describe_last());
            return;
        }
        size_t asked_count = 0;
        for (size_t count = 1; count > 0;) {
            uint64_t keys[32];
            const void *rows[32];
            uint32_t levels[32];
            if (rhumb_point_cursor_next(cursor, 32, keys, graph_only ? nullptr : rows, levels, &count) != RHUMB_OK) {
                note(broken, "next: " + describe_last());
                break;
            }
            for (size_t i = 0; i < count; i++) {
                volatile uint8_t touched = graph_only ? 0 : *static_cast<const uint8_t *>(rows[i]);
                (void)touched;
                if (asked_count++ < kAskedCount) ask_key(broken, index, keys[i], graph_only);
            }
        }
        rhumb_point_cursor_close(cursor);
    }
    std::vector<uint8_t> metadata(RHUMB_METADATA_BYTES_MAX);
    size_t metadata_bytes = 0;
    if (rhumb_index_metadata_get(index, metadata.data(), metadata.size(), &metadata_bytes) != RHUMB_OK ||
        metadata_bytes > metadata.size()) {
        note(broken, "metadata: " + describe_last());
    }
}

void export_graph(std::string *broken, rhumb_index *index, const std::string &path, bool all_levels) {
    rhumb_topology_options options;
    rhumb_topology_options_init(&options, sizeof options);
    options.all_levels = all_levels;
    options.thread_count = 1;
    unlink(path.c_str());
    unlink((path + "-exporting").c_str());
    const rhumb_status status = rhumb_topology_export(index, path.c_str(), &options, nullptr, 0);
    if (status == RHUMB_OK) {
        const TopologyExercise exercise = exercise_topology(path);
        note(broken, exercise.broken);
        if (exercise.opened != RHUMB_OK || exercise.verified != RHUMB_OK) {
            note(broken, "an exported topology is not sound: " + describe_last());
        }
    } else if (status != RHUMB_E_CORRUPT) {
        note(broken, "export: " + describe_last());
    }
    unlink(path.c_str());
}

// Reads all points by position. Returns whether every answer was sound.
bool view_all(std::string *broken, const rhumb_topology *topology, const rhumb_topology_arrays &arrays) {
    bool sound = true;
    for (uint64_t position = 0; position < arrays.point_count; position++) {
        const uint32_t *neighbours = nullptr;
        const float *distances = nullptr;
        size_t count = 0;
        const rhumb_status status = rhumb_topology_view(topology, position, &neighbours, &distances, &count);
        if (status == RHUMB_E_CORRUPT) sound = false;
        if (status != RHUMB_OK && status != RHUMB_E_CORRUPT) note(broken, "view: " + describe_last());
        if (status != RHUMB_OK) continue;
        // Reads everything that a view points to.
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += neighbours[i];
            if (distances != nullptr) sum += distances[i] > 0;
            sound = sound && neighbours[i] < arrays.point_count;
        }
        volatile uint64_t touched = sum;
        (void)touched;
    }
    return sound;
}

// Looks up some keys, through the calls that take them. Returns whether every answer was sound.
bool ask_keys(std::string *broken, const rhumb_topology *topology, const rhumb_topology_arrays &arrays) {
    bool sound = true;
    std::vector<uint64_t> keys(kCapacity);
    std::vector<float> distances(kCapacity);
    const uint64_t step = arrays.point_count / kAskedCount + 1;
    for (uint64_t position = 0; position < arrays.point_count; position += step) {
        uint64_t found = 0;
        uint32_t level = 0;
        size_t count = 0;
        const uint64_t key = arrays.keys[position];
        const rhumb_status status = rhumb_topology_find(topology, key, &found);
        sound = sound && status == RHUMB_OK && found == position;
        if (status != RHUMB_OK && status != RHUMB_E_NOTFOUND) note(broken, "find: " + describe_last());
        if (status != RHUMB_OK) continue;
        if (rhumb_topology_level(topology, key, &level) != RHUMB_OK) note(broken, "level: " + describe_last());
        const rhumb_status answer = rhumb_topology_neighbours(
            topology, key, keys.data(), arrays.distances == nullptr ? nullptr : distances.data(), kCapacity, &count);
        if (answer == RHUMB_E_CORRUPT) sound = false;
        if (answer != RHUMB_OK && answer != RHUMB_E_CORRUPT) note(broken, "neighbours: " + describe_last());
        if (answer == RHUMB_OK && count > kCapacity) note(broken, "more neighbours than there can be");
    }
    return sound;
}

void walk_topology(std::string *broken, const rhumb_topology *topology, uint64_t point_count) {
    for (const uint32_t level : {0u, 1u, 17u, UINT32_MAX}) {
        uint64_t position = 0;
        uint64_t total = 0;
        for (size_t count = 1; count > 0;) {
            uint64_t keys[32];
            uint32_t levels[32];
            if (rhumb_topology_points(topology, level, &position, 32, keys, levels, &count) != RHUMB_OK) {
                note(broken, "points: " + describe_last());
                return;
            }
            total += count;
        }
        if (total > point_count || (level == 0 && total != point_count)) note(broken, "a walk of another length");
    }
}

} // namespace

std::string exercise_graph(const std::string &path, const std::string &topology_path) {
    std::string broken;
    for (const bool graph_only : {false, true}) {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.read_only = true;
        options.graph_only = graph_only;
        rhumb_index *index = nullptr;
        const rhumb_status status = rhumb_index_open(path.c_str(), &options, &index);
        if (status != RHUMB_OK) {
            if (!is_refusal(status)) note(&broken, "opening: " + describe_last());
            continue;
        }
        walk(&broken, index, graph_only);
        if (!graph_only) export_graph(&broken, index, topology_path, rhumb_index_count(index) % 4 != 0);
        if (rhumb_index_close(index) != RHUMB_OK) note(&broken, "close: " + describe_last());
    }
    return broken;
}

TopologyExercise exercise_topology(const std::string &path) {
    TopologyExercise exercise;
    rhumb_topology *topology = nullptr;
    exercise.opened = rhumb_topology_open(path.c_str(), &topology);
    if (exercise.opened != RHUMB_OK) {
        const rhumb_status status = exercise.opened;
        if (!is_refusal(status) || rhumb_error_last()->status != status || rhumb_error_last()->path[0] == '\0') {
            note(&exercise.broken, "opening: " + describe_last());
        }
        return exercise;
    }
    rhumb_topology_arrays arrays = {};
    rhumb_topology_stats stats = {};
    rhumb_topology_report report = {};
    if (rhumb_topology_arrays_get(topology, &arrays, sizeof arrays) != RHUMB_OK ||
        rhumb_topology_stats_get(topology, &stats, sizeof stats) != RHUMB_OK) {
        note(&exercise.broken, "stats: " + describe_last());
    }
    const bool views_sound = view_all(&exercise.broken, topology, arrays);
    const bool keys_sound = ask_keys(&exercise.broken, topology, arrays);
    walk_topology(&exercise.broken, topology, arrays.point_count);
    exercise.verified = rhumb_topology_verify(topology, &report, sizeof report);
    if (exercise.verified == RHUMB_OK && !(views_sound && keys_sound)) {
        note(&exercise.broken, "it verifies, but did not answer everything");
    }
    if (exercise.verified != RHUMB_OK && exercise.verified != RHUMB_E_CORRUPT) {
        note(&exercise.broken, "verify: " + describe_last());
    }
    if (exercise.verified == RHUMB_E_CORRUPT && report.first_error[0] == '\0') {
        note(&exercise.broken, "verify found errors and does not name the first");
    }
    rhumb_topology_close(topology);
    return exercise;
}

} // namespace rhumb_test
