// Goal: a topology file equals the graph of the index for every key; it can be searched by key, walked by position and
// by level, read in place and verified; it appears whole or not at all; damage is an error or found by verification,
// never a crash.
// Method: small indexes with deleted keys compared with their live graph; every byte of a file flipped, every length
// cut; every io call of an export made to fail; exports killed.
#include <fcntl.h>

#include <atomic>
#include <csignal>
#include <map>
#include <thread>

extern "C" {
#include "base/alloc.h"
}
#include "tests/support/index_test_support.h"
#include "tests/support/io_fault.h"

namespace index_test {
namespace {

struct TopologyCloser {
    void operator()(rhumb_topology *topology) const { rhumb_topology_close(topology); }
};
using Topology = std::unique_ptr<rhumb_topology, TopologyCloser>;

Topology open_topology(const std::string &path) {
    rhumb_topology *topology = nullptr;
    EXPECT_OK(rhumb_topology_open(path.c_str(), &topology));
    return Topology(topology);
}

rhumb_status try_open_topology(const std::string &path) {
    rhumb_topology *topology = nullptr;
    const rhumb_status status = rhumb_topology_open(path.c_str(), &topology);
    if (status == RHUMB_OK) rhumb_topology_close(topology);
    return status;
}

rhumb_status verify(const Topology &topology, rhumb_topology_report *report) {
    *report = {};
    return rhumb_topology_verify(topology.get(), report, sizeof *report);
}

class TopologyFile : public ::testing::Test {
  protected:
    static constexpr uint32_t kDim = 8;

    static uint64_t key_of(size_t i) { return i * UINT64_C(0x9E3779B97F4A7C15); } // in no order; 0 among them
    static bool deleted(size_t i) { return i % 4 == 1; }
    Index build(size_t count, rhumb_metric metric = RHUMB_METRIC_L2) {
        rhumb_index_options options = index_options(kDim, metric);
        options.M = 4;
        options.ef_construction = 30;
        Index index = create_with_durability(path_, options, RHUMB_DURABILITY_NONE);
        for (size_t i = 0; i < count; i++) EXPECT_OK(rhumb_index_insert(index.get(), key_of(i), vectors_.row(i)));
        for (size_t i = 0; i < count; i++) {
            if (!deleted(i)) continue;
            EXPECT_OK(rhumb_index_delete(index.get(), key_of(i)));
        }
        return index;
    }
    static rhumb_topology_options export_options(bool all_levels = false, bool with_distances = true) {
        rhumb_topology_options options;
        rhumb_topology_options_init(&options, sizeof options);
        options.all_levels = all_levels;
        options.with_distances = with_distances;
        return options;
    }
    rhumb_status write(rhumb_index *index, const rhumb_topology_options &options,
                       rhumb_topology_stats *stats = nullptr) {
        return rhumb_topology_export(index, topology_path_.c_str(), &options, stats, sizeof *stats);
    }
    bool no_file() const { return access(topology_path_.c_str(), F_OK) != 0 && no_working_file(); }
    bool no_working_file() const { return access((topology_path_ + "-exporting").c_str(), F_OK) != 0; }

    struct Neighbours {
        std::vector<uint64_t> keys;
        std::vector<float> distances;
        bool operator==(const Neighbours &other) const { return keys == other.keys && distances == other.distances; }
    };
    static Neighbours of_index(rhumb_index *index, uint64_t key, uint32_t level) {
        Neighbours result = {std::vector<uint64_t>(200), std::vector<float>(200)};
        size_t count = 0;
        EXPECT_OK(rhumb_index_neighbours(index, key, level, result.keys.data(), result.distances.data(), 200, &count));
        result.keys.resize(count);
        result.distances.resize(count);
        return result;
    }
    static Neighbours of_file(const Topology &topology, uint64_t key, bool with_distances) {
        Neighbours result = {std::vector<uint64_t>(200), std::vector<float>(200)};
        size_t count = 0;
        EXPECT_OK(rhumb_topology_neighbours(topology.get(), key, result.keys.data(),
                                            with_distances ? result.distances.data() : nullptr, 200, &count));
        result.keys.resize(count);
        result.distances.resize(count);
        return result;
    }

    // Compares everything in the file with the index.
    void expect_equal(rhumb_index *index, const Topology &topology, size_t count, bool all_levels, bool has_distances) {
        const uint32_t level_asked = all_levels ? RHUMB_LEVELS_ALL : 0;
        rhumb_topology_stats stats = {};
        rhumb_topology_arrays arrays = {};
        ASSERT_OK(rhumb_topology_stats_get(topology.get(), &stats, sizeof stats));
        ASSERT_OK(rhumb_topology_arrays_get(topology.get(), &arrays, sizeof arrays));
        EXPECT_EQ(stats.point_count, rhumb_index_count(index));
        EXPECT_EQ(rhumb_topology_count(topology.get()), stats.point_count);
        EXPECT_EQ(stats.all_levels, all_levels);
        EXPECT_EQ(stats.has_distances, has_distances);
        EXPECT_EQ(arrays.distances != nullptr, has_distances);
        uint64_t link_count = 0;
        std::map<uint32_t, uint64_t> level_counts;
        for (size_t i = 0; i < count; i++) {
            uint64_t position = 0;
            uint32_t level = 99, expected_level = 98;
            const rhumb_status status = rhumb_topology_find(topology.get(), key_of(i), &position);
            ASSERT_EQ(status, deleted(i) ? RHUMB_E_NOTFOUND : RHUMB_OK) << i;
            if (status != RHUMB_OK) continue;
            ASSERT_EQ(arrays.keys[position], key_of(i));
            ASSERT_OK(rhumb_topology_level(topology.get(), key_of(i), &level));
            ASSERT_OK(rhumb_index_level(index, key_of(i), &expected_level));
            ASSERT_EQ(level, expected_level);
            level_counts[level]++;
            Neighbours expected = of_index(index, key_of(i), level_asked);
            if (!has_distances) expected.distances.assign(expected.distances.size(), 0);
            ASSERT_TRUE(of_file(topology, key_of(i), has_distances) == expected) << i;
            // The same, in place.
            const uint32_t *row = nullptr;
            const float *distances = nullptr;
            size_t row_count = 0;
            ASSERT_OK(rhumb_topology_view(topology.get(), position, &row, &distances, &row_count));
            ASSERT_EQ(row_count, expected.keys.size());
            ASSERT_EQ(row, arrays.neighbours + arrays.starts[position]);
            for (size_t k = 0; k < row_count; k++) ASSERT_EQ(arrays.keys[row[k]], expected.keys[k]);
            link_count += row_count;
        }
        EXPECT_EQ(link_count, stats.link_count);
        for (uint32_t level = 0; level <= RHUMB_LEVEL_MAX; level++) {
            EXPECT_EQ(stats.level_counts[level], level_counts[level]);
            uint64_t position = 0, expected_count = 0, found_count = 0, last_key = 0;
            for (uint32_t above = level; above <= RHUMB_LEVEL_MAX; above++) expected_count += level_counts[above];
            for (size_t part_count = 1; part_count > 0;) {
                uint64_t keys[7];
                uint32_t levels[7];
                ASSERT_OK(rhumb_topology_points(topology.get(), level, &position, 7, keys, levels, &part_count));
                for (size_t i = 0; i < part_count; i++) {
                    ASSERT_GE(levels[i], level);
                    ASSERT_TRUE(found_count == 0 || keys[i] > last_key);
                    last_key = keys[i];
                    found_count++;
                }
            }
            EXPECT_EQ(found_count, expected_count);
        }
        rhumb_topology_report report;
        EXPECT_OK(verify(topology, &report)) << report.first_error;
        EXPECT_EQ(report.checksum_error_count + report.structure_error_count, 0u);
        EXPECT_GT(report.chunk_count, 0u);
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    const std::string topology_path_ = directory_.file("graph.topology");
    const Vectors vectors_ = random_vectors(1500, kDim, 21);
};

TEST_F(TopologyFile, EqualsTheLiveGraph) {
    for (const rhumb_metric metric : {RHUMB_METRIC_L2, RHUMB_METRIC_IP, RHUMB_METRIC_COSINE}) {
        std::filesystem::remove(path_);
        const size_t count = metric == RHUMB_METRIC_L2 ? 900 : 300;
        const Index writer = build(count, metric);
        for (int form = 0; form < 4; form++) {
            const bool all_levels = form % 2 == 1, with_distances = form < 2;
            std::filesystem::remove(topology_path_);
            rhumb_topology_stats written = {};
            // The writer's own graph, in the first forms with changes that no checkpoint has yet; then a reader's.
            const Index reader = form < 2 ? nullptr : open(path_, true);
            rhumb_index *index = form < 2 ? writer.get() : reader.get();
            ASSERT_OK(write(index, export_options(all_levels, with_distances), &written));
            EXPECT_TRUE(no_working_file());
            EXPECT_EQ(written.file_bytes, std::filesystem::file_size(topology_path_));
            EXPECT_EQ(memcmp(written.uuid, stats(writer).uuid, sizeof written.uuid), 0);
            EXPECT_EQ(written.epoch, stats(writer).epoch);
            EXPECT_EQ(written.metric, metric);
            const Topology topology = open_topology(topology_path_);
            ASSERT_NO_FATAL_FAILURE(expect_equal(index, topology, count, all_levels, with_distances));
            if (with_distances) continue;
            float distance;
            uint64_t key;
            size_t found = 0;
            EXPECT_EQ(rhumb_topology_neighbours(topology.get(), key_of(0), &key, &distance, 1, &found),
                      RHUMB_E_UNSUPPORTED);
        }
    }
}

TEST_F(TopologyFile, OfEmptyAndTinyGraphsIsValid) {
    for (const size_t count : {0u, 1u, 2u, 3u}) { // of one and of two, the second one is deleted
        std::filesystem::remove(path_);
        std::filesystem::remove(topology_path_);
        const Index index = build(count);
        ASSERT_OK(write(index.get(), export_options(true)));
        const Topology topology = open_topology(topology_path_);
        ASSERT_NO_FATAL_FAILURE(expect_equal(index.get(), topology, count, true, true));
        uint64_t position = 0;
        const uint32_t *row = nullptr;
        size_t row_count = 0;
        EXPECT_EQ(rhumb_topology_find(topology.get(), 12345, &position), RHUMB_E_NOTFOUND);
        EXPECT_EQ(rhumb_topology_find(topology.get(), UINT64_MAX, &position), RHUMB_E_NOTFOUND);
        EXPECT_EQ(rhumb_topology_view(topology.get(), rhumb_topology_count(topology.get()), &row, nullptr, &row_count),
                  RHUMB_E_INVALID);
    }
}

TEST_F(TopologyFile, KeysAreFoundWhereverTheyLie) {
    const Index index = create(path_, index_options(kDim));
    std::vector<uint64_t> keys = {0, 1, 2, 1000, 1001, UINT64_MAX / 2, UINT64_MAX - 2, UINT64_MAX - 1};
    for (size_t i = 0; i < keys.size(); i++) ASSERT_OK(rhumb_index_insert(index.get(), keys[i], vectors_.row(i)));
    ASSERT_OK(write(index.get(), export_options()));
    const Topology topology = open_topology(topology_path_);
    for (size_t i = 0; i < keys.size(); i++) {
        uint64_t position = 99;
        ASSERT_OK(rhumb_topology_find(topology.get(), keys[i], &position));
        EXPECT_EQ(position, i);
        for (const uint64_t other : {keys[i] + 1, keys[i] - 1}) {
            const bool there = std::find(keys.begin(), keys.end(), other) != keys.end();
            EXPECT_EQ(rhumb_topology_find(topology.get(), other, &position), there ? RHUMB_OK : RHUMB_E_NOTFOUND);
        }
        EXPECT_TRUE(of_file(topology, keys[i], true) == of_index(index.get(), keys[i], 0));
    }
}

TEST_F(TopologyFile, IsWrittenWhileAWriterContinues) {
    const Index index = build(1500);
    std::atomic<bool> stop{false};
    std::thread other([&] {
        for (size_t i = 0; !stop; i++) {
            (void)!rhumb_index_upsert(index.get(), key_of(i % 1500), vectors_.row(i % 1500));
            if (i % 5 == 0) (void)!rhumb_index_delete(index.get(), key_of(i * 7 % 1500));
        }
    });
    for (int round = 0; round < 5; round++) {
        std::filesystem::remove(topology_path_);
        rhumb_topology_stats written = {};
        ASSERT_OK(write(index.get(), export_options(true), &written));
        const Topology topology = open_topology(topology_path_);
        rhumb_topology_report report;
        EXPECT_OK(verify(topology, &report)) << report.first_error;
        EXPECT_GT(written.point_count, 1000u);
    }
    stop = true;
    other.join();
}

TEST_F(TopologyFile, RefusesToReplaceAFileAndToOpenOtherFiles) {
    const Index index = build(50);
    ASSERT_OK(write(index.get(), export_options()));
    const std::vector<uint8_t> before = file_bytes(topology_path_);
    EXPECT_EQ(write(index.get(), export_options()), RHUMB_E_EXISTS);
    EXPECT_EQ(file_bytes(topology_path_), before);
    std::filesystem::remove(topology_path_);
    put_file(topology_path_ + "-exporting", "somebody's notes");
    EXPECT_EQ(write(index.get(), export_options()), RHUMB_E_EXISTS);
    EXPECT_FALSE(no_working_file()) << "it is not one of ours";
    put_file(topology_path_ + "-exporting", ""); // what an export leaves that was killed
    ASSERT_OK(write(index.get(), export_options()));
    EXPECT_TRUE(no_working_file());
    std::filesystem::remove(topology_path_);
    EXPECT_EQ(rhumb_topology_export(index.get(), "/nonexistent/x", nullptr, nullptr, 0), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb_topology_export(index.get(), "", nullptr, nullptr, 0), RHUMB_E_INVALID);
    EXPECT_EQ(write(open_graph_only(path_).get(), export_options()), RHUMB_E_UNSUPPORTED);
    EXPECT_TRUE(no_file());
    EXPECT_EQ(try_open_topology(path_), RHUMB_E_NOT_AN_INDEX) << "an index is no topology";
    EXPECT_EQ(try_open_topology(directory_.path()), RHUMB_E_INVALID);
    EXPECT_EQ(try_open_topology(topology_path_), RHUMB_E_NOTFOUND);
    put_file(topology_path_, "");
    EXPECT_EQ(try_open_topology(topology_path_), RHUMB_E_NOT_AN_INDEX);
    std::filesystem::remove(topology_path_);
    rhumb_topology_options cancelling = export_options();
    cancelling.progress = [](void *, uint64_t, uint64_t) { return false; };
    EXPECT_EQ(write(index.get(), cancelling), RHUMB_E_CANCELLED);
    EXPECT_TRUE(no_file());
}

// Restores a byte of a file at the end of a scope.
struct Restore {
    int file;
    off_t offset;
    uint8_t byte;
    ~Restore() { EXPECT_EQ(pwrite(file, &byte, 1, offset), 1); }
};

TEST_F(TopologyFile, EveryFlippedByteAndEveryCutIsFound) {
    constexpr size_t kSmall = 28;
    for (const bool with_distances : {true, false}) {
        std::filesystem::remove(path_);
        std::filesystem::remove(topology_path_);
        ASSERT_OK(write(build(kSmall).get(), export_options(true, with_distances)));
        const std::vector<uint8_t> whole = file_bytes(topology_path_);
        const std::string path = directory_.file("damaged");
        const auto put = [&](const std::vector<uint8_t> &bytes) {
            put_file(path, std::string(bytes.begin(), bytes.end()));
        };
        put(whole);
        const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        ASSERT_GE(file, 0);
        for (size_t i = 0; i < whole.size(); i += i >= 300 && i < 4000 ? 37 : 1) { // most of the header is reserved
            const uint8_t byte = static_cast<uint8_t>(whole[i] ^ (1 + i % 255));
            ASSERT_EQ(pwrite(file, &byte, 1, static_cast<off_t>(i)), 1);
            const Restore restore = {file, static_cast<off_t>(i), whole[i]};
            rhumb_topology *opened = nullptr;
            const rhumb_status status = rhumb_topology_open(path.c_str(), &opened);
            const Topology topology(opened);
            if (i < 4096) {
                const bool right =
                    i < 8 ? status == RHUMB_E_NOT_AN_INDEX : status == RHUMB_E_CORRUPT || status == RHUMB_E_VERSION;
                ASSERT_TRUE(right) << i << " " << last_error();
                continue;
            }
            ASSERT_OK(status) << i;
            rhumb_topology_report report;
            ASSERT_EQ(verify(topology, &report), RHUMB_E_CORRUPT) << i;
            ASSERT_GT(report.checksum_error_count, 0u) << i;
            ASSERT_STRNE(report.first_error, "");
            // It answers, or returns an error.
            for (size_t k = 0; k < kSmall; k++) {
                uint64_t keys[200];
                size_t count = 0;
                const rhumb_status answer =
                    rhumb_topology_neighbours(topology.get(), key_of(k), keys, nullptr, 200, &count);
                ASSERT_TRUE(answer == RHUMB_OK || answer == RHUMB_E_NOTFOUND || answer == RHUMB_E_CORRUPT) << i;
            }
        }
        ::close(file);
        for (size_t length = whole.size() - 1; length > 0; length -= std::min<size_t>(length, length < 4090 ? 89 : 7)) {
            std::filesystem::resize_file(path, length);
            ASSERT_EQ(try_open_topology(path), length < 8 ? RHUMB_E_NOT_AN_INDEX : RHUMB_E_TRUNCATED) << length;
        }
        std::vector<uint8_t> longer = whole;
        longer.push_back(0);
        put(longer);
        EXPECT_EQ(try_open_topology(path), RHUMB_E_CORRUPT);
    }
}

TEST_F(TopologyFile, AFailureOfTheDiskLeavesNoFile) {
    build(300).reset();
    for (const bool persistent : {false, true}) {
        for (uint64_t number = 1;; number++) {
            const Index index = open(path_, true);
            rhumb_topology_options options = export_options();
            options.thread_count = 1;
            rhumb__io_backend_set_default(&rhumb_test::io_fault_backend);
            rhumb_test::IoFault fault;
            fault.call_number = number;
            fault.persistent = persistent;
            rhumb_test::io_fault_arm(fault);
            const rhumb_status status = write(index.get(), options);
            const rhumb_test::IoCall hit = rhumb_test::io_fault_hit();
            rhumb_test::io_fault_arm(rhumb_test::IoFault());
            rhumb__io_backend_set_default(nullptr);
            if (status == RHUMB_OK) {
                ASSERT_EQ(open_topology(topology_path_) != nullptr, true);
                std::filesystem::remove(topology_path_);
                if (hit == rhumb_test::IoCall::kCount) break;
                continue;
            }
            ASSERT_TRUE(status == RHUMB_E_IO || status == RHUMB_E_FATAL) << last_error();
            // When the disk keeps failing, the unfinished file cannot be removed either; it has another name.
            ASSERT_TRUE(persistent
                            ? access(topology_path_.c_str(), F_OK) != 0 || hit == rhumb_test::IoCall::kSyncDirectory
                            : no_file())
                << number;
            std::filesystem::remove(topology_path_);
            std::filesystem::remove(topology_path_ + "-exporting");
            ASSERT_LT(number, 1000u);
        }
    }
}

TEST_F(TopologyFile, ARefusedAllocationLeavesNoFile) {
    build(300).reset();
    const Index index = open(path_, true);
    rhumb_topology_options options = export_options();
    options.thread_count = 1;
    uint64_t failure_count = 0;
    for (uint64_t number = 1;; number++) {
        ASSERT_LT(number, 1000u);
        rhumb__alloc_fail_after(number, false);
        rhumb_topology *topology = nullptr;
        rhumb_topology_report report = {};
        const rhumb_status written = write(index.get(), options);
        rhumb_status status = written;
        if (status == RHUMB_OK) status = rhumb_topology_open(topology_path_.c_str(), &topology);
        if (status == RHUMB_OK) status = rhumb_topology_verify(topology, &report, sizeof report);
        rhumb_topology_close(topology);
        const bool reached = rhumb__alloc_request_count() >= number;
        rhumb__alloc_fail_after(0, false);
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << last_error();
        failure_count += status != RHUMB_OK;
        ASSERT_TRUE(written == RHUMB_OK || no_file()) << number;
        std::filesystem::remove(topology_path_);
        if (!reached) break;
    }
    EXPECT_GT(failure_count, 10u);
}

TEST_F(TopologyFile, AKillLeavesAWholeFileOrNone) {
    build(1500).reset();
    const uint64_t seed = choose_seed();
    std::mt19937_64 random(seed);
    int whole_count = 0;
    for (int round = 0; round < 20; round++) {
        const pid_t child = fork();
        if (child == 0) {
            const Index index = open(path_, true);
            const rhumb_status status = write(index.get(), export_options(true));
            pause();
            _exit(status == RHUMB_OK ? 0 : 1);
        }
        usleep(static_cast<useconds_t>(random() % 40000));
        kill(child, SIGKILL);
        int state = 0;
        waitpid(child, &state, 0);
        ASSERT_TRUE(WIFSIGNALED(state));
        if (access(topology_path_.c_str(), F_OK) == 0) {
            whole_count++;
            const Topology topology = open_topology(topology_path_);
            rhumb_topology_report report;
            EXPECT_OK(verify(topology, &report)) << report.first_error;
        }
        std::filesystem::remove(topology_path_);
        std::filesystem::remove(topology_path_ + "-exporting");
    }
    printf("%d of 20 were whole\n", whole_count);
}

} // namespace
} // namespace index_test
