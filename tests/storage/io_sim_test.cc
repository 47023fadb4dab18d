// Goal: the simulated disk keeps what a disk must keep, and loses, tears and reorders what it may, with each outcome
// for some seed; otherwise it is a backend like any other. Method: small files whose bytes identify the write they are
// from, and images over many seeds; a random workload is compared with snapshots of the page cache (RHUMB_SEED).
#include "tests/support/io_sim.h"

#include <sys/mman.h>

#include <set>
#include <thread>

#include "tests/support/io_test_support.h"

namespace {

using namespace rhumb_test;
using io_test::choose_seed;
using io_test::Handle;
using io_test::ScratchDirectory;

constexpr uint64_t kSector = kSimSectorBytes;
constexpr uint64_t kSeedCount = 300;
constexpr const char *kPath = "/sim/data";

SimBytes filled(uint64_t count, char value) { return SimBytes(count, static_cast<uint8_t>(value)); }

// One letter per sector: what it is full of, '0' for zeros, '?' when it is mixed.
std::string letters(const SimBytes &bytes) {
    std::string text;
    for (size_t at = 0; at < bytes.size(); at += kSector) {
        const size_t end = std::min<size_t>(bytes.size(), at + kSector);
        char letter = bytes[at] == 0 ? '0' : static_cast<char>(bytes[at]);
        for (size_t i = at; i < end; i++) {
            if (bytes[i] != bytes[at]) letter = '?';
        }
        text += letter;
    }
    return text;
}

class SimDisk : public ::testing::Test {
  protected:
    void SetUp() override { sim_reset(); }
    void TearDown() override { EXPECT_EQ(sim_violation(), ""); }

    // Writes sectors of one letter and waits.
    static void put(rhumb__io *io, uint64_t sector, uint64_t sector_count, char letter) {
        const SimBytes bytes = filled(sector_count * kSector, letter);
        ASSERT_EQ(rhumb__io_write(io, bytes.data(), bytes.size(), sector * kSector), RHUMB_OK);
        ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    }

    static void make_durable(rhumb__io *io) {
        ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
        ASSERT_EQ(rhumb__io_sync_directory(&io_sim_backend, io->path), RHUMB_OK);
    }

    // All that a power cut at `at` may leave of a file, as letters; "-" where there is no file.
    static std::set<std::string> outcomes(SimTear tear, uint64_t at, const std::string &path = kPath) {
        SimRecording recording = sim_recording();
        std::set<std::string> found;
        for (uint64_t seed = 0; seed < kSeedCount; seed++) {
            const SimImage image = recording.crash(at, seed, tear);
            const auto file = image.files.find(path);
            found.insert(file == image.files.end() ? "-" : letters(file->second));
        }
        return found;
    }
    static std::set<std::string> outcomes(SimTear tear) { return outcomes(tear, sim_position()); }
};

using Outcomes = std::set<std::string>;

TEST_F(SimDisk, KeepsWhatWasSyncedUnderEveryTear) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 4, 'a');
    put(io, 2, 4, 'b');
    make_durable(io);
    const uint64_t durable_at = sim_position();
    put(io, 0, 6, 'c');
    for (const SimTear tear : {SimTear::kAllLost, SimTear::kAllKept, SimTear::kInOrder, SimTear::kWholeWrites,
                               SimTear::kSectors, SimTear::kAny})
        EXPECT_EQ(outcomes(tear, durable_at), Outcomes{"aabbbb"}) << sim_tear_name(tear);
    EXPECT_EQ(outcomes(SimTear::kAllLost), Outcomes{"aabbbb"});
    EXPECT_EQ(outcomes(SimTear::kAllKept), Outcomes{"cccccc"});
}

TEST_F(SimDisk, LosesTearsAndReordersWhatWasNotSynced) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 3, 'o');
    make_durable(io);
    put(io, 0, 2, 'a');
    put(io, 1, 2, 'b');
    // Every sector may hold any of its writes, and nothing else.
    Outcomes all;
    for (const char first : {'o', 'a'})
        for (const char second : {'o', 'a', 'b'})
            for (const char third : {'o', 'b'}) all.insert({first, second, third});
    EXPECT_EQ(outcomes(SimTear::kSectors), all);
    EXPECT_EQ(outcomes(SimTear::kWholeWrites), (Outcomes{"ooo", "aao", "obb", "abb"}));
    EXPECT_EQ(outcomes(SimTear::kInOrder), (Outcomes{"ooo", "aoo", "aao", "abo", "abb"}));
    for (const std::string &outcome : outcomes(SimTear::kAny)) EXPECT_EQ(all.count(outcome), 1u) << outcome;
}

TEST_F(SimDisk, WritesSectorsAsThePageCacheHeldThem) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 1, 'o');
    make_durable(io);
    ASSERT_EQ(rhumb__io_write(io, "x", 1, 100), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, "y", 1, 200), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    SimRecording recording = sim_recording();
    std::set<std::pair<char, char>> found;
    for (uint64_t seed = 0; seed < kSeedCount; seed++) {
        const SimBytes bytes = recording.crash(recording.size(), seed, SimTear::kSectors).files.at(kPath);
        EXPECT_EQ(bytes[300], 'o');
        found.insert({static_cast<char>(bytes[100]), static_cast<char>(bytes[200])});
    }
    EXPECT_EQ(found, (std::set<std::pair<char, char>>{{'o', 'o'}, {'x', 'o'}, {'x', 'y'}}));
}

TEST_F(SimDisk, AppliesSizesAndHolesCompletelyOrNotAtAll) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 2, 'o');
    make_durable(io);
    put(io, 2, 2, 'a');
    EXPECT_EQ(outcomes(SimTear::kWholeWrites), (Outcomes{"oo", "oo00", "ooaa"}));
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"oo", "oo00", "ooa0", "oo0a", "ooaa"}));
    EXPECT_EQ(outcomes(SimTear::kInOrder), (Outcomes{"oo", "ooaa"})) << "data first, then the size";
    make_durable(io);
    ASSERT_EQ(rhumb__io_punch(io, kSector, 2 * kSector), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ooaa", "o00a"}));
    put(io, 1, 1, 'b');
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ooaa", "o00a", "ob0a", "obaa"}));
    make_durable(io);
    EXPECT_EQ(outcomes(SimTear::kAny), Outcomes{"ob0a"});
    ASSERT_EQ(rhumb__io_resize(io, kSector), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ob0a", "o"}));
    ASSERT_EQ(rhumb__io_allocate(io, 0, 3 * kSector), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ob0a", "o", "ob0", "o00"}));
    make_durable(io);
    EXPECT_EQ(outcomes(SimTear::kAny), Outcomes{"o00"});
}

TEST_F(SimDisk, NamesNeedTheirDirectorySynced) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 1, 'a');
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"-", "a"})) << "its content is safe, its name is not";
    ASSERT_EQ(rhumb__io_sync_directory(&io_sim_backend, "/other/data"), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"-", "a"}));
    ASSERT_EQ(rhumb__io_sync_directory(&io_sim_backend, kPath), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), Outcomes{"a"});
    io.close();
    ASSERT_EQ(rhumb__io_remove(&io_sim_backend, kPath), RHUMB_OK);
    EXPECT_FALSE(sim_file_exists(kPath));
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"-", "a"}));
    EXPECT_EQ(outcomes(SimTear::kAllLost), Outcomes{"a"});
    ASSERT_EQ(rhumb__io_sync_directory(&io_sim_backend, kPath), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), Outcomes{"-"});
}

TEST_F(SimDisk, ARenameTakesAFreeNameInOneStep) {
    const std::string from = "/sim/new";
    Handle io(&io_sim_backend, from, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 1, 'b');
    make_durable(io);
    {
        Handle other(&io_sim_backend, kPath, RHUMB__IO_CREATE);
        ASSERT_EQ(other.status(), RHUMB_OK);
        EXPECT_EQ(rhumb__io_take_name(io, kPath), RHUMB_E_EXISTS);
        bool is_at = true;
        EXPECT_EQ(rhumb__io_is_at(io, kPath, &is_at), RHUMB_OK);
        EXPECT_FALSE(is_at);
        ASSERT_EQ(rhumb__io_remove(&io_sim_backend, kPath), RHUMB_OK);
        ASSERT_EQ(rhumb__io_sync_directory(&io_sim_backend, kPath), RHUMB_OK);
    }
    ASSERT_EQ(rhumb__io_take_name(io, kPath), RHUMB_OK);
    EXPECT_EQ(letters(sim_file_bytes(kPath)), "b");
    EXPECT_FALSE(sim_file_exists(from));
    // A new file of the old name can only be there if the rename is.
    Handle newest_io(&io_sim_backend, from, RHUMB__IO_CREATE);
    ASSERT_EQ(newest_io.status(), RHUMB_OK);
    put(newest_io, 0, 1, 'c');
    ASSERT_EQ(rhumb__io_sync(newest_io), RHUMB_OK);
    std::set<std::string> found;
    SimRecording recording = sim_recording();
    for (uint64_t seed = 0; seed < kSeedCount; seed++) {
        const SimImage image = recording.crash(recording.size(), seed, SimTear::kSectors);
        const auto shown = [&image](const std::string &path) {
            return image.files.count(path) ? letters(image.files.at(path)) : "-";
        };
        found.insert(shown(kPath) + shown(from));
    }
    EXPECT_EQ(found, (std::set<std::string>{"-b", "b-", "bc"}));
}

TEST_F(SimDisk, ASyncDoesNotCoverWritesInFlightOfAnotherHandle) {
    Handle first(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(first.status(), RHUMB_OK);
    put(first, 0, 2, 'o');
    make_durable(first);
    Handle second(&io_sim_backend, kPath, RHUMB__IO_WRITE);
    const SimBytes bytes = filled(kSector, 'a');
    ASSERT_EQ(rhumb__io_write(second, bytes.data(), bytes.size(), 0), RHUMB_OK);
    put(first, 1, 1, 'b');
    ASSERT_EQ(rhumb__io_sync(first), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ob", "ab"}));
    ASSERT_EQ(rhumb__io_drain(second), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"ob", "ab"}));
    ASSERT_EQ(rhumb__io_sync(first), RHUMB_OK);
    EXPECT_EQ(outcomes(SimTear::kSectors), Outcomes{"ab"});
}

TEST_F(SimDisk, ALyingSyncLosesWhatItShouldHaveCovered) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 0, 2, 'o');
    make_durable(io);
    sim_lie_arm({2, "data", 0});
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK) << "the first counted sync is a good one";
    put(io, 0, 3, 'a');
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
    EXPECT_EQ(sim_lie_position(), sim_position());
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL) << "for good";
    EXPECT_EQ(rhumb__io_write(io, "x", 0, 0), RHUMB_OK);
    EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK) << "and nothing else of the handle";
    EXPECT_EQ(letters(sim_file_bytes(kPath)), "aaa") << "the page cache shows it all the same";
    Handle fresh(&io_sim_backend, kPath, RHUMB__IO_WRITE);
    EXPECT_EQ(rhumb__io_sync(fresh), RHUMB_OK);
    EXPECT_EQ(sim_lie_sync_count(), 3u);
    EXPECT_EQ(outcomes(SimTear::kAllKept), Outcomes{"oo0"}) << "but the disk has its size alone";
    ASSERT_EQ(rhumb__io_write(fresh, "x", 1, kSector + 7), RHUMB_OK);
    ASSERT_EQ(rhumb__io_sync(fresh), RHUMB_OK);
    const SimBytes bytes = sim_crash(sim_position(), 1, SimTear::kAllLost).files.at(kPath);
    EXPECT_EQ(bytes[kSector + 7], 'x');
    EXPECT_EQ(bytes[kSector + 8], 'a') << "a sector that is written again is written whole";
    EXPECT_EQ(letters(bytes), "o?0");
}

TEST_F(SimDisk, ALyingSyncMayHaveWrittenAPart) {
    Outcomes found;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        sim_reset();
        Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
        put(io, 0, 2, 'o');
        make_durable(io);
        sim_lie_arm({1, "", seed});
        put(io, 0, 2, 'a');
        ASSERT_EQ(rhumb__io_sync(io), RHUMB_E_FATAL);
        const Outcomes here = outcomes(SimTear::kAny);
        ASSERT_EQ(here.size(), 1u) << "what is lost is decided";
        found.insert(*here.begin());
    }
    EXPECT_EQ(found, (Outcomes{"oo", "ao", "oa", "aa"}));
}

TEST_F(SimDisk, ARestoredImageIsADiskWithAHistoryOfItsOwn) {
    {
        Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
        put(io, 0, 2, 'a');
        make_durable(io);
        put(io, 0, 1, 'b');
    }
    SimRecording before = sim_recording();
    const SimImage image = before.crash(before.size(), 0, SimTear::kAllLost);
    sim_restore(image);
    EXPECT_EQ(sim_position(), 0u);
    EXPECT_TRUE(sim_image() == image);
    Handle io(&io_sim_backend, kPath, RHUMB__IO_WRITE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    put(io, 1, 1, 'c');
    EXPECT_EQ(outcomes(SimTear::kSectors), (Outcomes{"aa", "ac"}));
    EXPECT_EQ(letters(before.crash(before.size(), 0, SimTear::kAllKept).files.at(kPath)), "ba")
        << "an earlier recording stays what it was";
    EXPECT_NE(before.describe(2).find("write /sim/data 1024 bytes"), std::string::npos) << before.describe(2);

    const ScratchDirectory directory;
    ASSERT_TRUE(sim_write_image(sim_image(), directory.path()));
    EXPECT_EQ(letters(io_test::file_bytes(directory.file("data"))), "ac");
}

// ---- a backend like any other ----

TEST_F(SimDisk, OpensAndFailsLikeAFile) {
    rhumb__io *none = nullptr;
    EXPECT_EQ(rhumb__io_open(&io_sim_backend, kPath, RHUMB__IO_READ, &none), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb__io_open(&io_sim_backend, "", RHUMB__IO_CREATE, &none), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb__io_remove(&io_sim_backend, kPath), RHUMB_E_NOTFOUND);
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    EXPECT_EQ(rhumb__io_open(&io_sim_backend, kPath, RHUMB__IO_CREATE, &none), RHUMB_E_EXISTS);
    put(io, 0, 1, 'a');
    Handle reader(&io_sim_backend, kPath, RHUMB__IO_READ);
    ASSERT_EQ(reader.status(), RHUMB_OK);
    const uint64_t position = sim_position();
    EXPECT_EQ(rhumb__io_write(reader, "x", 1, 0), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_resize(reader, 0), RHUMB_E_READONLY);
    EXPECT_EQ(sim_position(), position);
    uint8_t bytes[2];
    EXPECT_EQ(rhumb__io_read(reader, bytes, 2, kSector - 1), RHUMB_E_TRUNCATED);
    EXPECT_STREQ(rhumb__error_last()->path, kPath);
    ASSERT_EQ(rhumb__io_remove(&io_sim_backend, kPath), RHUMB_OK);
    EXPECT_EQ(rhumb__io_read(reader, bytes, 2, 0), RHUMB_OK) << "an open file outlives its name";
}

TEST_F(SimDisk, LocksBelongToHandles) {
    Handle writer(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    Handle reader(&io_sim_backend, kPath, RHUMB__IO_READ);
    bool taken = false;
    bool held = false;
    ASSERT_EQ(rhumb__io_lock_range(reader, 100, 1, RHUMB__IO_LOCK_SHARED, &taken), RHUMB_OK);
    EXPECT_TRUE(taken);
    ASSERT_EQ(rhumb__io_lock_test(writer, 0, 200, &held), RHUMB_OK);
    EXPECT_TRUE(held);
    ASSERT_EQ(rhumb__io_lock_test(reader, 0, 200, &held), RHUMB_OK);
    EXPECT_FALSE(held) << "one's own lock is no obstacle";
    ASSERT_EQ(rhumb__io_lock_range(writer, 100, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken), RHUMB_OK);
    EXPECT_FALSE(taken);
    reader.close();
    ASSERT_EQ(rhumb__io_lock_range(writer, 100, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken), RHUMB_OK);
    EXPECT_TRUE(taken) << "closing gave the other one back";
}

TEST_F(SimDisk, MapsShowThePageCacheAndPrivateOnesKeepTheirChanges) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    Handle writer(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    put(writer, 0, 2 * page / kSector, 'a');
    Handle reader(&io_sim_backend, kPath, RHUMB__IO_READ);
    void *range = mmap(nullptr, 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(range, MAP_FAILED);
    uint8_t *owned = static_cast<uint8_t *>(range);
    const uint8_t *shared = owned + page;
    ASSERT_EQ(rhumb__io_map(writer, owned, page, page, RHUMB__IO_MAP_PRIVATE), RHUMB_OK);
    ASSERT_EQ(rhumb__io_map(reader, owned + page, page, page, RHUMB__IO_MAP_SHARED_READ), RHUMB_OK);
    owned[0] = 'x';
    EXPECT_EQ(shared[0], 'a');
    put(writer, page / kSector, 1, 'b');
    EXPECT_EQ(shared[0], 'b');
    EXPECT_EQ(owned[0], 'x');
    munmap(range, 2 * page);
}

TEST_F(SimDisk, ReportsBreachesOfTheContract) {
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    SimBytes bytes = filled(kSector, 'a');
    ASSERT_EQ(rhumb__io_write(io, bytes.data(), bytes.size(), 0), RHUMB_OK);
    bytes[5] = 'x';
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_NE(sim_violation().find("changed before the drain"), std::string::npos) << sim_violation();
    sim_reset_violation();
    ASSERT_EQ(rhumb__io_write(io, bytes.data(), bytes.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, bytes.data(), bytes.size(), kSector), RHUMB_OK);
    EXPECT_EQ(sim_violation(), "");
    ASSERT_EQ(rhumb__io_write(io, bytes.data(), 1, kSector - 1), RHUMB_OK);
    EXPECT_NE(sim_violation().find("overlaps"), std::string::npos) << sim_violation();
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    sim_reset_violation();
}

// ---- at random ----

// After each step of a random workload, what the page cache held.
struct Step {
    uint64_t position;
    SimBytes bytes;
    bool sync;
};

std::vector<Step> random_workload(rhumb__io *io, std::mt19937_64 &random, int step_count) {
    std::vector<Step> steps;
    for (int i = 0; i < step_count; i++) {
        const uint64_t offset = random() % (40 * kSector);
        const uint64_t count = 1 + random() % (6 * kSector);
        const SimBytes bytes = io_test::random_bytes(count, random());
        const uint64_t kind = random() % 16;
        rhumb_status status = RHUMB_OK;
        if (kind < 10) status = rhumb__io_write(io, bytes.data(), count, offset);
        if (kind == 10) status = rhumb__io_resize(io, offset);
        if (kind == 11) status = rhumb__io_allocate(io, offset, count);
        if (kind == 12 || kind == 13) status = rhumb__io_punch(io, offset, count);
        EXPECT_EQ(status, RHUMB_OK);
        EXPECT_EQ(kind > 13 ? rhumb__io_sync(io) : rhumb__io_drain(io), RHUMB_OK);
        steps.push_back({sim_position(), sim_file_bytes(kPath), kind > 13});
    }
    return steps;
}

TEST_F(SimDisk, EverySectorIsFromTheTimeSinceTheLastSync) {
    const uint64_t seed = choose_seed();
    std::mt19937_64 random(seed);
    Handle io(&io_sim_backend, kPath, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    make_durable(io);
    std::vector<Step> steps = {{sim_position(), {}, true}};
    for (Step &step : random_workload(io, random, 150)) steps.push_back(std::move(step));
    SimRecording recording = sim_recording();
    for (int round = 0; round < 400; round++) {
        const size_t last = random() % steps.size();
        size_t first = last;
        while (!steps[first].sync) first--;
        const uint64_t image_seed = random();
        const SimBytes image = recording.crash(steps[last].position, image_seed, SimTear::kAny).files.at(kPath);
        EXPECT_TRUE(image == sim_crash(steps[last].position, image_seed, SimTear::kAny).files.at(kPath));
        bool size_known = false;
        for (size_t i = first; i <= last; i++) size_known = size_known || steps[i].bytes.size() == image.size();
        ASSERT_TRUE(size_known) << image.size() << " bytes";
        for (size_t at = 0; at < image.size(); at += kSector) {
            const size_t end = std::min<size_t>(image.size(), at + kSector);
            bool known = false;
            for (size_t i = first; i <= last && !known; i++) {
                SimBytes then = steps[i].bytes;
                then.resize(std::max<size_t>(then.size(), end));
                known =
                    std::equal(image.begin() + static_cast<ptrdiff_t>(at), image.begin() + static_cast<ptrdiff_t>(end),
                               then.begin() + static_cast<ptrdiff_t>(at));
            }
            ASSERT_TRUE(known) << "sector " << at / kSector << " after " << recording.describe(steps[last].position);
        }
    }
}

TEST_F(SimDisk, ServesManyThreadsAtOnce) {
    constexpr int kThreadCount = 4;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreadCount; t++) {
        threads.emplace_back([t] {
            const std::string path = "/sim/thread" + std::to_string(t);
            Handle io(&io_sim_backend, path, RHUMB__IO_CREATE);
            ASSERT_EQ(io.status(), RHUMB_OK);
            for (uint64_t i = 0; i < 50; i++) {
                put(io, i % 7, 2, static_cast<char>('a' + t));
                if (i % 5 == 0) make_durable(io);
                SimBytes bytes(kSector);
                ASSERT_EQ(rhumb__io_read(io, bytes.data(), bytes.size(), i % 7 * kSector), RHUMB_OK);
                ASSERT_EQ(letters(bytes), std::string(1, static_cast<char>('a' + t)));
                if (i == 25) sim_crash(sim_position(), i, SimTear::kAny);
            }
            make_durable(io);
        });
    }
    for (std::thread &thread : threads) thread.join();
    const SimImage image = sim_crash(sim_position(), 1, SimTear::kAllLost);
    EXPECT_TRUE(image == sim_image());
    EXPECT_EQ(image.files.size(), static_cast<size_t>(kThreadCount));
}

} // namespace
