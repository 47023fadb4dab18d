// Goal: both io backends keep the contract of storage/io/io.h on a healthy disk, and refuse what they must. Method:
// every test runs once per backend on real files; what was written is read back without the code under test. The round
// trip is randomised (RHUMB_SEED).
#include "tests/support/io_test_support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <thread>

extern "C" {
#include "base/alloc.h"
}

namespace io_test {
namespace {

INSTANTIATE_TEST_SUITE_P(Backends, IoBackend, ::testing::Values("plain", "uring"), backend_name);

struct Part {
    size_t offset;
    size_t count;
};

// Cuts [0, total) into parts of 0 bytes to 5 MiB, small and large ones alike often, with a gap here and there, in any
// order.
std::vector<Part> cut_randomly(size_t total, std::mt19937_64 &random) {
    std::vector<Part> parts;
    for (size_t offset = 0; offset < total;) {
        const size_t limit = random() % 2 == 0 ? 5 * kMiB : 9 * kKiB;
        const size_t count = std::min(total - offset, static_cast<size_t>(random() % (limit + 1)));
        parts.push_back({offset, count});
        offset += count + (random() % 4 == 0 ? random() % 5000 : 0);
    }
    std::shuffle(parts.begin(), parts.end(), random);
    return parts;
}

// Whether the range has bytes, is allocated, is a hole, or is not there at all.
TEST_P(IoBackend, KeepsItsBytesWhenTheyAreGathered) {
    Handle io(backend_, directory_.file("gathered"), RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(3 * kMiB, 1);
    ASSERT_EQ(rhumb__io_allocate(io, 0, 8 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_resize(io, 10 * kMiB), RHUMB_OK);
    for (uint64_t offset = 0; offset < 16 * kMiB; offset += 2 * kMiB) rhumb__io_gather(io, offset, 2 * kMiB);
    rhumb__io_gather(io, kMiB, 2 * kMiB);
    ASSERT_EQ(rhumb__io_write(io, source.data(), kMiB, 5 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
    std::vector<uint8_t> expected(10 * kMiB), found(10 * kMiB);
    std::copy(source.begin(), source.end(), expected.begin());
    std::copy_n(source.begin(), kMiB, expected.begin() + 5 * kMiB);
    ASSERT_EQ(rhumb__io_read(io, found.data(), found.size(), 0), RHUMB_OK);
    EXPECT_TRUE(found == expected);
    uint64_t size_bytes = 0;
    ASSERT_EQ(rhumb__io_size(io, &size_bytes), RHUMB_OK);
    EXPECT_EQ(size_bytes, 10 * kMiB);
}

TEST_P(IoBackend, ReadsBackWhatWasWrittenInAnyOrder) {
    const uint64_t seed = choose_seed();
    std::mt19937_64 random(seed);
    for (int round = 0; round < 3; round++) {
        const std::string path = directory_.file("round" + std::to_string(round));
        Handle io(backend_, path, RHUMB__IO_CREATE);
        ASSERT_EQ(io.status(), RHUMB_OK);
        EXPECT_STREQ(io->backend->name, GetParam());
        const std::vector<uint8_t> source = random_bytes(16 * kMiB, random());
        std::vector<uint8_t> expected;
        for (const Part &part : cut_randomly(source.size(), random)) {
            ASSERT_EQ(rhumb__io_write(io, &source[part.offset], part.count, part.offset), RHUMB_OK);
            if (part.count == 0) continue;
            if (expected.size() < part.offset + part.count) expected.resize(part.offset + part.count);
            std::copy_n(&source[part.offset], part.count, &expected[part.offset]);
            if (random() % 8 == 0) {
                ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
            }
        }
        ASSERT_EQ(random() % 2 == 0 ? rhumb__io_drain(io) : rhumb__io_sync(io), RHUMB_OK);

        uint64_t size_bytes = 0;
        ASSERT_EQ(rhumb__io_size(io, &size_bytes), RHUMB_OK);
        ASSERT_EQ(size_bytes, expected.size());
        EXPECT_TRUE(file_bytes(path) == expected);
        std::vector<uint8_t> found(expected.size());
        ASSERT_EQ(rhumb__io_read(io, found.data(), found.size(), 0), RHUMB_OK);
        EXPECT_TRUE(found == expected);
    }
}

TEST_P(IoBackend, AcceptsManyMoreWritesThanItsQueueHolds) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(200000, 1);
    for (size_t offset = 0; offset < source.size(); offset += 100)
        ASSERT_EQ(rhumb__io_write(io, &source[offset], 100, offset), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_TRUE(file_bytes(path_) == source);
}

TEST_P(IoBackend, KeepsWritesWhoseThreadHasEnded) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(24 * kMiB, 2);
    std::thread([&] { ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK); }).join();
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_TRUE(file_bytes(path_) == source);
}

TEST_P(IoBackend, CloseWaitsForQueuedWrites) {
    const std::vector<uint8_t> source = random_bytes(8 * kMiB, 3);
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    io.close();
    EXPECT_TRUE(file_bytes(path_) == source);
}

// Whether the file system under `directory` allocates and punches.
bool file_system_gives_back(const ScratchDirectory &directory) {
    const int probe = open(directory.file("probe").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    const bool does =
        fallocate(probe, 0, 0, 4096) == 0 && fallocate(probe, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0;
    ::close(probe);
    return does;
}

TEST_P(IoBackend, SizeCallsWaitForQueuedWrites) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(6 * kMiB, 4);
    uint64_t size_bytes = 0;
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_size(io, &size_bytes), RHUMB_OK);
    EXPECT_EQ(size_bytes, source.size());

    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_punch(io, 0, 6 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    if (file_system_gives_back(directory_)) {
        EXPECT_TRUE(file_bytes(path_) == std::vector<uint8_t>(6 * kMiB)) << "a write was carried out after the punch";
    }
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 6 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_resize(io, kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_EQ(file_bytes(path_).size(), kMiB);
}

TEST_P(IoBackend, RefusesWritesOutsideItsLimits) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const uint8_t byte = 7;
    EXPECT_EQ(rhumb__io_write(io, &byte, RHUMB__IO_WRITE_BYTES_MAX + 1, 0), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_write(io, &byte, 1, INT64_MAX), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_write(io, &byte, 1, UINT64_MAX), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_resize(io, UINT64_C(1) << 63), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_allocate(io, UINT64_MAX, 2), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_punch(io, 1, UINT64_MAX), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK) << "a refused write is not a failed one";
    EXPECT_TRUE(file_bytes(path_).empty());
}

TEST_P(IoBackend, ReportsReadsPastTheEndAsTruncated) {
    put_file(path_, std::string(1000, 'x'));
    Handle io(backend_, path_, RHUMB__IO_READ);
    ASSERT_EQ(io.status(), RHUMB_OK);
    std::vector<uint8_t> bytes(2000);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 1000, 0), RHUMB_OK);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 0, 5000), RHUMB_OK);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 101, 900), RHUMB_E_TRUNCATED);
    EXPECT_EQ(rhumb__error_last()->file_offset, 1000u);
    EXPECT_EQ(path_, rhumb__error_last()->path);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 1, 1000), RHUMB_E_TRUNCATED);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 1, INT64_MAX), RHUMB_E_TRUNCATED);
    EXPECT_EQ(rhumb__io_read(io, bytes.data(), 2000, UINT64_MAX - 5), RHUMB_E_TRUNCATED);
}

TEST_P(IoBackend, CreateRefusesAnExistingFileAndOpenAMissingOne) {
    rhumb__io *io = nullptr;
    EXPECT_EQ(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_READ, &io), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_WRITE, &io), RHUMB_E_NOTFOUND);
    EXPECT_EQ(path_, rhumb__error_last()->path);
    EXPECT_EQ(rhumb__io_open(backend_, "", RHUMB__IO_CREATE, &io), RHUMB_E_NOTFOUND);
    put_file(path_, "keep me");
    EXPECT_EQ(rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io), RHUMB_E_EXISTS);
    EXPECT_EQ(io, nullptr);
    EXPECT_EQ(file_bytes(path_).size(), strlen("keep me"));
}

TEST_P(IoBackend, CreatesWithThePermissionsOfTheUmask) {
    const mode_t before = umask(0027);
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    umask(before);
    ASSERT_EQ(io.status(), RHUMB_OK);
    struct stat info = {};
    ASSERT_EQ(stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u);
}

TEST_P(IoBackend, RefusesAnythingButARegularFileWithoutWaiting) {
    const std::string fifo = directory_.file("fifo");
    const std::string socket_path = directory_.file("socket");
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    ASSERT_EQ(mknod(socket_path.c_str(), S_IFSOCK | 0600, 0), 0);

    const std::vector<std::pair<std::string, std::string>> cases = {
        {directory_.path(), "directory"}, {fifo, "fifo"}, {socket_path, "socket"}, {"/dev/null", "device"}};
    for (const auto &[path, kind] : cases) {
        for (rhumb__io_mode mode : {RHUMB__IO_READ, RHUMB__IO_WRITE}) {
            rhumb__io *io = nullptr;
            EXPECT_EQ(rhumb__io_open(backend_, path.c_str(), mode, &io), RHUMB_E_INVALID) << path;
            EXPECT_NE(std::string(rhumb__error_last()->message).find(kind), std::string::npos)
                << rhumb__error_last()->message;
            EXPECT_EQ(path, rhumb__error_last()->path);
        }
    }
}

TEST_P(IoBackend, FollowsSymbolicLinks) {
    put_file(path_, "target");
    const std::string link = directory_.file("link");
    ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
    Handle io(backend_, link, RHUMB__IO_WRITE);
    EXPECT_EQ(io.status(), RHUMB_OK);
}

TEST_P(IoBackend, OpensAtVeryLongPaths) {
    std::string folder = directory_.path();
    while (folder.size() < 3500) {
        folder += "/" + std::string(200, 'd');
        ASSERT_EQ(mkdir(folder.c_str(), 0700), 0) << folder.size();
    }
    const std::string path = folder + "/file";
    Handle io(backend_, path, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    EXPECT_EQ(path, io->path);
    EXPECT_EQ(rhumb__io_sync_directory(backend_, path.c_str()), RHUMB_OK);

    rhumb__io *none = nullptr;
    EXPECT_EQ(rhumb__io_open(backend_, std::string(100000, 'p').c_str(), RHUMB__IO_CREATE, &none), RHUMB_E_IO);
    EXPECT_EQ(rhumb__error_last()->os_errno, ENAMETOOLONG);
}

TEST_P(IoBackend, ReadOnlyHandlesChangeNothing) {
    put_file(path_, "content");
    Handle io(backend_, path_, RHUMB__IO_READ);
    ASSERT_EQ(io.status(), RHUMB_OK);
    bool taken = false;
    EXPECT_EQ(rhumb__io_write(io, "x", 1, 0), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_resize(io, 0), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_allocate(io, 0, 100), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_punch(io, 0, 7), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_lock_range(io, 0, 1, RHUMB__IO_LOCK_EXCLUSIVE, &taken), RHUMB_E_READONLY);
    EXPECT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_EQ(file_bytes(path_).size(), strlen("content"));
}

TEST_P(IoBackend, DescriptorsAreBlockingAndClosedOnExec) {
    const size_t count_before = descriptors_of("").size();
    for (rhumb__io_mode mode : {RHUMB__IO_CREATE, RHUMB__IO_WRITE, RHUMB__IO_READ}) {
        Handle io(backend_, path_, mode);
        ASSERT_EQ(io.status(), RHUMB_OK);
        for (int fd : descriptors_of("")) {
            if (fd > STDERR_FILENO && std::vector<int>{fd} == descriptors_of(path_)) {
                EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
                EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            }
        }
        EXPECT_EQ(descriptors_of(path_).size(), 1u);
    }
    EXPECT_EQ(descriptors_of("").size(), count_before);
}

TEST_P(IoBackend, FailedOpensLeaveNothingBehind) {
    const size_t count_before = descriptors_of("").size();
    rhumb__io *io = nullptr;
    for (uint64_t countdown = 1; countdown <= 2; countdown++) {
        rhumb__alloc_fail_after(countdown, true);
        const rhumb_status status = rhumb__io_open(backend_, path_.c_str(), RHUMB__IO_CREATE, &io);
        rhumb__alloc_fail_after(0, false);
        EXPECT_EQ(status, RHUMB_E_NOMEM);
        EXPECT_FALSE(std::filesystem::exists(path_));
    }
    EXPECT_EQ(rhumb__io_open(backend_, directory_.path().c_str(), RHUMB__IO_WRITE, &io), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_open(backend_, "/dev/null", RHUMB__IO_READ, &io), RHUMB_E_INVALID);
    EXPECT_EQ(io, nullptr);
    EXPECT_EQ(descriptors_of("").size(), count_before);
}

TEST_P(IoBackend, ResizeGrowsWithZerosAndCuts) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    ASSERT_EQ(rhumb__io_write(io, "abcdef", 6, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_resize(io, 3), RHUMB_OK);
    ASSERT_EQ(rhumb__io_resize(io, 5), RHUMB_OK);
    EXPECT_EQ(file_bytes(path_), (std::vector<uint8_t>{'a', 'b', 'c', 0, 0}));
}

uint64_t disk_bytes(const std::string &path) {
    struct stat info = {};
    return stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
}

TEST_P(IoBackend, AllocateTakesSpaceAndPunchReleasesIt) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    if (!file_system_gives_back(directory_)) GTEST_SKIP() << "this file system does not allocate and punch";

    const std::vector<uint8_t> source = random_bytes(kMiB, 5);
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_allocate(io, 0, 4 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_allocate(io, 0, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_GE(disk_bytes(path_), 4 * kMiB);
    std::vector<uint8_t> expected = source;
    expected.resize(4 * kMiB);
    EXPECT_TRUE(file_bytes(path_) == expected);

    ASSERT_EQ(rhumb__io_punch(io, kMiB / 2, 2 * kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_punch(io, 100 * kMiB, kMiB), RHUMB_OK);
    ASSERT_EQ(rhumb__io_punch(io, 0, 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_sync(io), RHUMB_OK);
    EXPECT_LT(disk_bytes(path_), 3 * kMiB);
    std::fill(expected.begin() + kMiB / 2, expected.begin() + kMiB, uint8_t{0});
    EXPECT_TRUE(file_bytes(path_) == expected);
}

// An address range to map into, released at the end.
class Reservation {
  public:
    explicit Reservation(size_t bytes)
        : bytes_(bytes), base_(static_cast<uint8_t *>(
                             mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
    ~Reservation() { munmap(base_, bytes_); }
    uint8_t *base() const { return base_; }

  private:
    size_t bytes_;
    uint8_t *base_;
};

TEST_P(IoBackend, MapsSharedOrPrivateAtTheGivenAddress) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(4 * page, 6);
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    Handle reader(backend_, path_, RHUMB__IO_READ);
    ASSERT_EQ(reader.status(), RHUMB_OK);

    Reservation range(4 * page);
    uint8_t *private_page = range.base();
    const uint8_t *shared_page = range.base() + page;
    uint8_t *reader_private_page = range.base() + 2 * page;
    ASSERT_EQ(rhumb__io_map(io, private_page, page, 3 * page, RHUMB__IO_MAP_PRIVATE), RHUMB_OK);
    ASSERT_EQ(rhumb__io_map(reader, range.base() + page, page, 3 * page, RHUMB__IO_MAP_SHARED_READ), RHUMB_OK);
    ASSERT_EQ(rhumb__io_map(reader, reader_private_page, page, 3 * page, RHUMB__IO_MAP_PRIVATE), RHUMB_OK);
    EXPECT_EQ(memcmp(private_page, &source[3 * page], page), 0);
    EXPECT_EQ(memcmp(shared_page, &source[3 * page], page), 0);

    memset(private_page, 'p', page);
    reader_private_page[0] = 'r';
    EXPECT_TRUE(file_bytes(path_) == source) << "a private change reached the file";
    EXPECT_EQ(memcmp(shared_page, &source[3 * page], page), 0);

    ASSERT_EQ(rhumb__io_write(io, source.data(), page, 3 * page), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);
    EXPECT_EQ(memcmp(shared_page, source.data(), page), 0) << "a shared map does not see a later write";
    EXPECT_EQ(private_page[0], 'p');

    ASSERT_EQ(rhumb__io_map(io, private_page, page, 0, RHUMB__IO_MAP_PRIVATE), RHUMB_OK);
    EXPECT_EQ(memcmp(private_page, source.data(), page), 0) << "mapping again replaces";
}

TEST_P(IoBackend, RefusesMappingsThatAreNotWholePages) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    Reservation range(2 * page);
    EXPECT_EQ(rhumb__io_map(io, range.base() + 1, page, 0, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_map(io, range.base(), page - 1, 0, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_map(io, range.base(), page, 512, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_map(io, range.base(), 0, 0, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_map(io, nullptr, page, 0, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb__io_map(io, range.base(), page, UINT64_MAX - page + 1, RHUMB__IO_MAP_PRIVATE), RHUMB_E_INVALID);
}

TEST_P(IoBackend, ReadsMapsAndLockTestsRunConcurrentlyWithAWriter) {
    Handle io(backend_, path_, RHUMB__IO_CREATE);
    ASSERT_EQ(io.status(), RHUMB_OK);
    const std::vector<uint8_t> source = random_bytes(kMiB, 7);
    ASSERT_EQ(rhumb__io_write(io, source.data(), source.size(), 0), RHUMB_OK);
    ASSERT_EQ(rhumb__io_drain(io), RHUMB_OK);

    std::atomic<bool> stop{false};
    std::atomic<uint64_t> failure_count{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; i++) {
        readers.emplace_back([&] {
            std::vector<uint8_t> bytes(kMiB);
            Reservation range(kMiB);
            do {
                bool held = true;
                bool good = rhumb__io_read(io, bytes.data(), bytes.size(), 0) == RHUMB_OK && bytes == source;
                good = good && rhumb__io_map(io, range.base(), kMiB, 0, RHUMB__IO_MAP_SHARED_READ) == RHUMB_OK;
                good = good && memcmp(range.base(), source.data(), kMiB) == 0;
                good = good && rhumb__io_lock_test(io, 0, 1, &held) == RHUMB_OK && !held;
                if (!good) failure_count++;
            } while (!stop);
        });
    }
    for (size_t i = 1; i <= 30; i++) {
        EXPECT_EQ(rhumb__io_write(io, source.data(), source.size(), i * kMiB), RHUMB_OK);
        EXPECT_EQ(i % 10 == 0 ? rhumb__io_sync(io) : rhumb__io_drain(io), RHUMB_OK);
    }
    stop = true;
    for (std::thread &reader : readers) reader.join();
    EXPECT_EQ(failure_count, 0u);
}

// Neither more nor fewer may use a file that is made next to another, not even while it is being made.
TEST_P(IoBackend, AFileIsCreatedForThoseWhoMayUseAnother) {
    put_file(path_, "model");
    const auto permissions_of = [](const std::string &path) {
        struct stat info = {};
        EXPECT_EQ(stat(path.c_str(), &info), 0);
        return info.st_mode & 0777;
    };
    for (const mode_t permissions : {0600, 0640, 0644, 0664, 0400}) {
        const std::string made = directory_.file("made");
        ASSERT_EQ(chmod(path_.c_str(), permissions), 0);
        Handle model(backend_, path_, RHUMB__IO_READ);
        ASSERT_EQ(model.status(), RHUMB_OK);
        const rhumb__io_access access = rhumb__io_access_get(model);
        EXPECT_TRUE(access.known);
        rhumb__io *io = nullptr;
        ASSERT_EQ(rhumb__io_create_like(backend_, made.c_str(), &access, &io), RHUMB_OK);
        EXPECT_EQ(permissions_of(made), permissions);
        rhumb__io_close(io);
        ASSERT_EQ(rhumb__io_remove(backend_, made.c_str()), RHUMB_OK);
    }
    const std::string secret = directory_.file("secret");
    Handle made(backend_, secret, RHUMB__IO_CREATE_PRIVATE);
    EXPECT_EQ(permissions_of(secret), 0600u);
}

TEST_P(IoBackend, RenamesRemovesAndSyncsDirectories) {
    const std::string other = directory_.file("other");
    put_file(path_, "new");
    put_file(other, "not to be replaced");
    {
        Handle io(backend_, path_, RHUMB__IO_WRITE);
        ASSERT_EQ(io.status(), RHUMB_OK);
        bool is_at = false;
        EXPECT_EQ(rhumb__io_take_name(io, other.c_str()), RHUMB_E_EXISTS);
        EXPECT_EQ(file_bytes(other).size(), 18u);
        EXPECT_EQ(rhumb__io_is_at(io, path_.c_str(), &is_at), RHUMB_OK);
        EXPECT_TRUE(is_at);
        EXPECT_EQ(rhumb__io_is_at(io, other.c_str(), &is_at), RHUMB_OK);
        EXPECT_FALSE(is_at);
        EXPECT_EQ(rhumb__io_remove_own(io, other.c_str()), RHUMB_OK);
        EXPECT_TRUE(std::filesystem::exists(other)) << "it is another file";
        EXPECT_EQ(rhumb__io_remove(backend_, other.c_str()), RHUMB_OK);
        EXPECT_EQ(rhumb__io_take_name(io, other.c_str()), RHUMB_OK);
        EXPECT_STREQ(static_cast<rhumb__io *>(io)->path, other.c_str());
        EXPECT_EQ(file_bytes(other).size(), 3u);
        EXPECT_EQ(rhumb__io_is_at(io, path_.c_str(), &is_at), RHUMB_OK);
        EXPECT_FALSE(is_at) << "nothing is there";
        EXPECT_EQ(rhumb__io_remove(backend_, other.c_str()), RHUMB_OK);
        EXPECT_EQ(rhumb__io_take_name(io, path_.c_str()), RHUMB_E_NOTFOUND);
        put_file(other, "of this name again");
    }
    EXPECT_EQ(rhumb__io_sync_directory(backend_, other.c_str()), RHUMB_OK);
    EXPECT_EQ(rhumb__io_remove(backend_, other.c_str()), RHUMB_OK);
    EXPECT_EQ(rhumb__io_remove(backend_, other.c_str()), RHUMB_E_NOTFOUND);
    EXPECT_FALSE(std::filesystem::exists(other));

    EXPECT_EQ(rhumb__io_sync_directory(backend_, "name-without-a-directory"), RHUMB_OK);
    EXPECT_EQ(rhumb__io_sync_directory(backend_, (directory_.path() + "/none/file").c_str()), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb__error_last()->path, directory_.path() + "/none");
}

TEST(Io, ClosesNull) { rhumb__io_close(nullptr); }

TEST(Io, FindsItsBackendsByName) {
    EXPECT_EQ(rhumb__io_backend_named("plain"), &rhumb__io_plain);
    EXPECT_EQ(rhumb__io_backend_named("uring"), &rhumb__io_uring);
    EXPECT_EQ(rhumb__io_backend_named("floppy"), nullptr);
    EXPECT_EQ(rhumb__io_backend_named(""), nullptr);
}

} // namespace
} // namespace io_test
