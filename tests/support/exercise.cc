// See exercise.h.
#include "tests/support/exercise.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/promises.h"
#include "tests/support/small_index.h"

namespace rhumb_test {
namespace {

constexpr size_t kNearest = 8;
constexpr uint64_t kFirstKey = UINT64_C(0xABCDEF0000000000);

void note(Exercise *exercise, const std::string &what) { rhumb_test::note(&exercise->broken, what); }

// Checks the status of an opening, and that the message names the file. A file can say that there is a log of it.
void check_refusal(Exercise *exercise, const std::string &path) {
    const rhumb_error *error = rhumb_error_last();
    if (!is_refusal(exercise->opened) && exercise->opened != RHUMB_E_READONLY && exercise->opened != RHUMB_E_LOG) {
        note(exercise, "opening failed with " + describe_last());
        return;
    }
    if (error->status != exercise->opened) note(exercise, "the record has another status: " + describe_last());
    if (error->message[0] == '\0') note(exercise, "no message");
    // A long path keeps its end.
    const std::string name = path.substr(path.rfind('/') + 1);
    if (strstr(error->path, name.c_str()) == nullptr) note(exercise, "the path is missing: " + describe_last());
}

void check_found(Exercise *exercise, const char *what, const std::vector<float> &distances, size_t found_count) {
    check_sorted(&exercise->broken, what, distances, found_count);
    for (size_t i = found_count; i < distances.size(); i++) {
        if (!std::isinf(distances[i])) note(exercise, std::string(what) + ": a distance where nothing was found");
    }
}

// Searches with each kind of filter, within a radius, and with an iterator to its end.
void search_otherwise(Exercise *exercise, rhumb_index *index, const float *query) {
    std::vector<uint64_t> keys(kNearest);
    std::vector<float> distances(kNearest);
    size_t found_count = 0;
    rhumb_filter filter;
    rhumb_filter_init(&filter, sizeof filter);
    filter.kind = RHUMB_FILTER_CALLBACK;
    filter.matches = [](void *, uint64_t key) { return key % 3 != 0; };
    rhumb_search_options options;
    rhumb_search_options_init(&options, sizeof options);
    options.filter = &filter;
    for (const rhumb_filter_plan plan : {RHUMB_FILTER_PLAN_EXACT, RHUMB_FILTER_PLAN_BRIDGE, RHUMB_FILTER_PLAN_WALK}) {
        filter.plan = plan;
        if (rhumb_index_search(index, query, kNearest, &options, keys.data(), distances.data(), &found_count) !=
            RHUMB_OK) {
            note(exercise, "filtered search: " + describe_last());
        }
        check_found(exercise, "filtered search", distances, found_count);
    }
    filter.plan = RHUMB_FILTER_PLAN_AUTO;
    if (rhumb_index_search_radius(index, query, INFINITY, kNearest, nullptr, keys.data(), distances.data(),
                                  &found_count) != RHUMB_OK) {
        note(exercise, "radius: " + describe_last());
    }
    check_found(exercise, "radius", distances, found_count);
    rhumb_iterator *iterator = nullptr;
    if (rhumb_iterator_open(index, query, &options, &iterator) != RHUMB_OK) {
        note(exercise, "iterator: " + describe_last());
        return;
    }
    do {
        if (rhumb_iterator_next(iterator, kNearest, keys.data(), nullptr, &found_count) != RHUMB_OK) {
            note(exercise, "iterator: " + describe_last());
            break;
        }
    } while (found_count == kNearest);
    rhumb_iterator_close(iterator);
}

void read_everything(Exercise *exercise, rhumb_index *index) {
    rhumb_index_stats stats;
    rhumb_index_options options;
    if (rhumb_index_stats_get(index, &stats, sizeof stats) != RHUMB_OK ||
        rhumb_index_options_get(index, &options, sizeof options) != RHUMB_OK) {
        note(exercise, "stats: " + describe_last());
        return;
    }
    const Vectors queries(options.dim, 99);
    std::vector<float> vector(options.dim);
    for (uint64_t i = 0; i < 3; i++) {
        std::vector<uint64_t> keys(kNearest);
        std::vector<float> distances(kNearest);
        size_t found_count = 0;
        rhumb_search_options options;
        rhumb_search_options_init(&options, sizeof options);
        options.thread_count = 1;
        options.ef_search = static_cast<uint32_t>(8 << (2 * i));
        const std::vector<float> query = queries.vector(i);
        if (rhumb_index_search(index, query.data(), kNearest, &options, keys.data(), distances.data(), &found_count) !=
            RHUMB_OK) {
            note(exercise, "search: " + describe_last());
            return;
        }
        check_found(exercise, "search", distances, found_count);
        for (size_t k = 0; k < found_count; k++) {
            // The key table of a damaged file may lack a key that a search returns; no other inconsistency is allowed.
            const rhumb_status status = rhumb_index_get_vector(index, keys[k], vector.data());
            if (status != RHUMB_OK && status != RHUMB_E_NOTFOUND) note(exercise, "get: " + describe_last());
        }
        if (rhumb_index_search_exact(index, query.data(), 1, kNearest, &options, keys.data(), distances.data(),
                                     &found_count) != RHUMB_OK) {
            note(exercise, "exact search: " + describe_last());
            return;
        }
        check_found(exercise, "exact search", distances, found_count);
        bool found = false;
        if (rhumb_index_contains(index, kFirstKey + i, &found) != RHUMB_OK)
            note(exercise, "contains: " + describe_last());
    }
    search_otherwise(exercise, index, queries.vector(0).data());
    exercise->verified = verify_index(index, &exercise->report);
    if (exercise->verified != RHUMB_OK && exercise->verified != RHUMB_E_CORRUPT) {
        note(exercise, "verify: " + describe_last());
    }
    if (exercise->verified == RHUMB_E_CORRUPT && exercise->report.first_error[0] == '\0') {
        note(exercise, "verify found errors and does not name the first");
    }
}

} // namespace

Exercise exercise_reading(const std::string &path) {
    Exercise exercise;
    Index index;
    exercise.opened = open_index(path, true, &index);
    if (exercise.opened != RHUMB_OK) {
        check_refusal(&exercise, path);
        return exercise;
    }
    read_everything(&exercise, index);
    return exercise;
}

Exercise exercise_writing(const std::string &path, uint32_t insert_count, rhumb_durability durability) {
    Exercise exercise;
    Index index;
    exercise.opened = open_index(path, false, &index, durability);
    if (exercise.opened != RHUMB_OK) {
        check_refusal(&exercise, path);
        return exercise;
    }
    read_everything(&exercise, index);
    rhumb_index_options options;
    if (rhumb_index_options_get(index, &options, sizeof options) != RHUMB_OK) return exercise;
    const Vectors vectors(options.dim, 7);
    for (uint32_t i = 0; i < insert_count; i++) {
        const rhumb_status status = rhumb_index_insert(index, kFirstKey + i, vectors.vector(i).data());
        if (status != RHUMB_OK && status != RHUMB_E_EXISTS && status != RHUMB_E_FULL) {
            note(&exercise, "insert: " + describe_last());
        }
    }
    const uint64_t count = rhumb_index_count(index);
    if (rhumb_index_checkpoint(index) != RHUMB_OK) {
        if (rhumb_error_last()->status != RHUMB_E_FULL) note(&exercise, "checkpoint: " + describe_last());
        (void)index.close();
        return exercise;
    }
    if (index.close() != RHUMB_OK) note(&exercise, "close: " + describe_last());
    if (open_index(path, true, &index) != RHUMB_OK) {
        note(&exercise, "after a checkpoint the file does not open: " + describe_last());
        return exercise;
    }
    if (rhumb_index_count(index) != count) note(&exercise, "after a checkpoint the file has another count");
    Exercise again;
    read_everything(&again, index);
    if (!again.broken.empty()) note(&exercise, "after a checkpoint: " + again.broken);
    return exercise;
}

} // namespace rhumb_test
