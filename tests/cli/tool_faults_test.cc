// The tool's manual of exit codes, and what it says about the state of an index, under input/output that fails.
//
// Method: every system call of the tool and of the library goes through a wrapper here (the linker's --wrap), which
// counts and makes the chosen one fail. For each command a child process runs the whole tool in a folder of its own,
// once for every call that it makes. Afterwards the parent looks, without faults: the exit code must be one that the
// help gives for such a failure, an index is there as the command promises, and its working files are gone. EINTR must
// not show at all.
//
// By default a sample of the calls fails, a different one each time (RHUMB_SEED); with RHUMB_ALL_FAULTS set, every one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "api/cli/cli.h"
#include "tests/support/sanitized.h"
#include "tests/support/scratch_files.h"
#include "tests/support/seed.h"

namespace {

// ---- calls that fail ------------------------------------------------------------------------------------------------

struct Shared { // between a child and its parent
    std::atomic<uint64_t> call_count;
    std::atomic<bool> hit;
    char name[32];
};

// What a call is: one that a signal can interrupt and that is to be continued then, which no sync is; one that takes
// room on the disk.
enum Kind { kOther = 1, kInterruptible = 2, kTakesRoom = 4 };

// Which calls fail: the one of a number, and all that follow it if the disk is full from then on.
struct Fault {
    const char *name;
    int os_errno;
    int kinds; // of the calls that are counted, or 0: all
    bool stays;
};

constexpr Fault kIoError = {"EIO", EIO, 0, false}, kNoSpace = {"ENOSPC", ENOSPC, 0, false},
                kNoAccess = {"EACCES", EACCES, 0, false}, kInterruption = {"EINTR", EINTR, kInterruptible, false},
                kFullDisk = {"a full disk", ENOSPC, kTakesRoom, true};

Shared *shared;
uint64_t failing_call; // 0: none
Fault fault;

bool Trips(const char *name, int kinds) {
    if (failing_call == 0 || (fault.kinds != 0 && (fault.kinds & kinds) == 0)) return false;
    const uint64_t number = ++shared->call_count;
    if (number < failing_call || (number > failing_call && !fault.stays)) return false;
    if (number == failing_call) snprintf(shared->name, sizeof shared->name, "%s", name);
    shared->hit = true;
    errno = fault.os_errno;
    return true;
}

} // namespace

#define WRAP(result, name, kinds, failure, parameters, arguments)                                                      \
    extern "C" result __real_##name parameters;                                                                        \
    extern "C" result __wrap_##name parameters { return Trips(#name, kinds) ? failure : __real_##name arguments; }

WRAP(int, fstat, kOther, -1, (int fd, struct stat *file), (fd, file))
WRAP(int, lstat, kOther, -1, (const char *path, struct stat *file), (path, file))
WRAP(int, stat, kOther, -1, (const char *path, struct stat *file), (path, file))
WRAP(ssize_t, pread, kInterruptible, -1, (int fd, void *bytes, size_t count, off_t offset), (fd, bytes, count, offset))
WRAP(ssize_t, read, kInterruptible, -1, (int fd, void *bytes, size_t count), (fd, bytes, count))
WRAP(ssize_t, pwrite, kInterruptible | kTakesRoom, -1, (int fd, const void *bytes, size_t count, off_t offset),
     (fd, bytes, count, offset))
WRAP(ssize_t, write, kInterruptible | kTakesRoom, -1, (int fd, const void *bytes, size_t count), (fd, bytes, count))
WRAP(int, fsync, kOther, -1, (int fd), (fd))
WRAP(int, fdatasync, kOther, -1, (int fd), (fd))
WRAP(int, ftruncate, kInterruptible | kTakesRoom, -1, (int fd, off_t bytes), (fd, bytes))
WRAP(int, fallocate, kInterruptible | kTakesRoom, -1, (int fd, int mode, off_t offset, off_t bytes),
     (fd, mode, offset, bytes))
WRAP(int, rename, kOther, -1, (const char *from, const char *to), (from, to))
WRAP(int, unlink, kOther, -1, (const char *path), (path))
WRAP(void *, mmap, kOther, MAP_FAILED, (void *at, size_t bytes, int access, int flags, int fd, off_t offset),
     (at, bytes, access, flags, fd, offset))

extern "C" int __real_open(const char *path, int flags, ...);
extern "C" int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return Trips("open", kInterruptible) ? -1 : __real_open(path, flags, mode);
}

extern "C" int __real_fcntl(int fd, int command, ...);
extern "C" int __wrap_fcntl(int fd, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return Trips("fcntl", kOther) ? -1 : __real_fcntl(fd, command, argument);
}

namespace {

// ---- one run of the tool --------------------------------------------------------------------------------------------

struct Outcome {
    int exit_code = -1; // 1000 + the signal that has ended it
    bool hit = false;
    std::string call;   // that failed
    std::string output; // of both streams
};

// Runs the tool in `folder` in a child. Calls are counted from its beginning.
Outcome RunTool(const std::string &folder, const std::vector<std::string> &arguments, uint64_t call = 0,
                const Fault &wanted = kIoError) {
    shared->call_count = 0;
    shared->hit = false;
    const std::string output = folder + "/output.txt";
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(folder.c_str()) != 0) _exit(99);
        const int file = __real_open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, STDOUT_FILENO);
        dup2(file, STDERR_FILENO);
        std::vector<char *> argv = {const_cast<char *>("rhumb")};
        for (const std::string &argument : arguments) argv.push_back(const_cast<char *>(argument.c_str()));
        argv.push_back(nullptr);
        fault = wanted;
        failing_call = call;
        const int exit_code = cli_main(static_cast<int>(argv.size()) - 1, argv.data());
        failing_call = 0;
        _exit(exit_code);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    Outcome run;
    run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    run.hit = shared->hit;
    run.call = shared->name;
    const std::vector<uint8_t> bytes = rhumb_test::file_bytes(output);
    run.output.assign(bytes.begin(), bytes.end());
    std::filesystem::remove(output);
    return run;
}

// The number behind `name` in a JSON object on the output of `rhumb info`; -1 if there is none.
int64_t Count(const std::string &folder, const std::string &index, const char *name = "count") {
    const Outcome run = RunTool(folder, {"info", index, "--json"});
    const std::string wanted = std::string("\"") + name + "\":";
    const size_t at = run.output.find(wanted);
    return run.exit_code != 0 || at == std::string::npos ? -1 : atoll(run.output.c_str() + at + wanted.size());
}

// The vectors that an opening for writing finds: it brings in what the log has. -1: it does not open.
int64_t CountAfterRecovery(const std::string &folder, const std::string &index) {
    const Outcome run = RunTool(folder, {"delete", index, "999999", "--ignore-absent"});
    return run.exit_code == 0 ? Count(folder, index) : -1;
}

// ---- the commands ---------------------------------------------------------------------------------------------------

constexpr int64_t kOld = 40, kNew = 30;

struct Command {
    const char *name;
    std::vector<std::string> arguments;
    // Looks at what the run has left; "" if it is right.
    std::function<std::string(const std::string &folder, const Outcome &run)> check;
};

bool Exists(const std::string &folder, const std::string &name) { return std::filesystem::exists(folder + "/" + name); }

std::string Expect(bool right, const std::string &what) { return right ? "" : what; }

// An index that was there has all of a change or none of it, and the exit code tells which.
std::string CheckChange(const std::string &folder, const Outcome &run, int64_t changed) {
    const int64_t count = CountAfterRecovery(folder, "old.rhumb");
    if (run.exit_code == 0 || run.exit_code == 1)
        return Expect(count == changed, "has " + std::to_string(count) + " vectors although all is durable");
    return Expect(count == changed || count == kOld, "has " + std::to_string(count) + " vectors");
}

std::string CheckUnchanged(const std::string &folder, const Outcome &) {
    return Expect(Count(folder, "old.rhumb") == kOld, "the index has changed");
}

std::string CheckMade(const std::string &folder, const Outcome &run, const std::string &path, int64_t count) {
    const bool exists = Exists(folder, path);
    if (run.exit_code == 0) return Expect(Count(folder, path) == count, "the new index is not whole");
    if (run.exit_code == 1) return CheckUnchanged(folder, run); // repaired, and without what could not be read
    if (exists && run.call != "unlink" && Count(folder, path) != count) return "a part of " + path + " is left";
    return CheckUnchanged(folder, run);
}

std::vector<Command> Commands() {
    return {
        {"build",
         {"build", "new.rhumb", "new.npy", "-t", "1"},
         [](const std::string &folder, const Outcome &run) { return CheckMade(folder, run, "new.rhumb", kNew); }},
        {"build_force",
         {"build", "old.rhumb", "new.npy", "-t", "1", "--force"},
         [](const std::string &folder, const Outcome &run) {
             const int64_t count = CountAfterRecovery(folder, "old.rhumb");
             if (run.exit_code == 0) return Expect(count == kNew, "the index is not the new one");
             const bool is_told = run.output.find("is the new index") != std::string::npos;
             return Expect(count == (is_told ? kNew : kOld), "has " + std::to_string(count) + " vectors");
         }},
        {"add",
         {"add", "old.rhumb", "new.npy", "-t", "1"},
         [](const std::string &folder, const Outcome &run) {
             std::string wrong = CheckChange(folder, run, kOld + kNew);
             if (!wrong.empty()) return wrong;
             const Outcome again = RunTool(folder, {"add", "old.rhumb", "new.npy", "-t", "1"});
             return Expect(again.exit_code == 0 && Count(folder, "old.rhumb") == kOld + kNew,
                           "running it again does not make it whole: " + again.output);
         }},
        {"upsert",
         {"upsert", "old.rhumb", "new.jsonl", "-t", "1"},
         [](const std::string &folder, const Outcome &run) {
             std::string wrong = CheckChange(folder, run, kOld + kNew);
             if (!wrong.empty()) return wrong;
             const Outcome again = RunTool(folder, {"upsert", "old.rhumb", "new.jsonl"});
             return Expect(again.exit_code == 0 && Count(folder, "old.rhumb") == kOld + kNew,
                           "running it again does not make it whole: " + again.output);
         }},
        {"delete",
         {"delete", "old.rhumb", "3"},
         [](const std::string &folder, const Outcome &run) { return CheckChange(folder, run, kOld - 1); }},
        {"search",
         {"search", "old.rhumb", "new.npy", "-k", "2", "-t", "1", "--out", "keys.npy"},
         [](const std::string &folder, const Outcome &run) {
             if (Exists(folder, "keys.npy") != (run.exit_code == 0)) return std::string("results without success");
             return Expect(!Exists(folder, "keys.npy.partial") || run.call == "unlink", "a partial file is left");
         }},
        {"get", {"get", "old.rhumb", "3"}, CheckUnchanged},
        {"export", {"export", "old.rhumb", "--out", "all.fvecs", "--out-keys", "all_keys.npy"}, CheckUnchanged},
        {"info", {"info", "old.rhumb"}, CheckUnchanged},
        {"verify", {"verify", "old.rhumb"}, CheckUnchanged},
        {"repair",
         {"repair", "old.rhumb", "--into", "repaired.rhumb", "-t", "1"},
         [](const std::string &folder, const Outcome &run) { return CheckMade(folder, run, "repaired.rhumb", kOld); }},
        {"compact", {"compact", "old.rhumb", "-t", "1"}, CheckUnchanged},
        {"compact_into",
         {"compact", "old.rhumb", "--into", "compacted.rhumb", "-t", "1"},
         [](const std::string &folder, const Outcome &run) { return CheckMade(folder, run, "compacted.rhumb", kOld); }},
        {"merge",
         {"merge", "old.rhumb", "--into", "merged.rhumb", "-t", "1"},
         [](const std::string &folder, const Outcome &run) { return CheckMade(folder, run, "merged.rhumb", kOld); }},
        {"topology", {"topology", "old.rhumb", "--out", "old.topology", "-t", "1", "--check"}, CheckUnchanged},
    };
}

// Exit codes that the help gives for a failure of the machine.
bool IsDocumented(const Command &command, const Outcome &run, const Fault &failed) {
    if (run.exit_code == 0) return true; // what has failed was not needed
    const std::string name = command.name;
    if (failed.os_errno == EINTR) return false;
    const bool has_log = name == "add" || name == "upsert" || name == "delete";
    // What a repair cannot read is damaged, and what cannot be read is a problem of the index that is described.
    if (run.exit_code == 1) return has_log || name == "repair" || name == "info";
    // A file that may not be read is one that cannot be opened.
    if (run.exit_code == 3) return failed.os_errno == EACCES && run.call == "open";
    return run.exit_code == 5;
}

class EveryCommand : public testing::TestWithParam<size_t> {
  public:
    static void SetUpTestSuite() {
        setenv("RHUMB_IO", "plain", 0); // the ring's calls do not go through the C library
        shared = static_cast<Shared *>(
            __real_mmap(nullptr, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
        base = new rhumb_test::ScratchDirectory();
        WriteRows(kOld, 0, "old.jsonl");
        WriteRows(kNew, 1000, "new.jsonl");
        const std::string folder = base->path();
        ASSERT_EQ(0, RunTool(folder, {"build", "old.rhumb", "old.jsonl", "-t", "1", "--M", "4"}).exit_code);
        ASSERT_EQ(0, RunTool(folder, {"build", "new.rhumb", "new.jsonl", "-t", "1", "--M", "4"}).exit_code);
        ASSERT_EQ(0, RunTool(folder, {"export", "new.rhumb", "--out", "new.npy"}).exit_code);
        for (const char *name : {"old.jsonl", "new.rhumb"}) std::filesystem::remove(folder + "/" + name);
    }
    static void TearDownTestSuite() { delete base; }

  protected:
    static void WriteRows(int64_t count, int64_t first_key, const char *name) {
        FILE *file = fopen(base->file(name).c_str(), "w");
        for (int64_t i = 0; i < count; i++)
            fprintf(file, "{\"key\": %lld, \"vector\": [%g, %g, %g]}\n", static_cast<long long>(first_key + i),
                    0.25 * static_cast<double>(i + first_key), static_cast<double>(i * i % 17), -1.5);
        fclose(file);
    }

    // A folder with the inputs and an index, as each run finds it.
    struct Folder {
        rhumb_test::ScratchDirectory scratch;
        Folder() {
            for (const char *name : {"old.rhumb", "new.npy", "new.jsonl"})
                std::filesystem::copy_file(base->file(name), scratch.file(name));
        }
    };

    // Makes calls number first, first + step, ... fail, until the command makes no more.
    void FailCalls(const Command &command, uint64_t first, uint64_t step, const Fault &wanted) {
        for (uint64_t call = first;; call += step) {
            Folder folder;
            const Outcome run = RunTool(folder.scratch.path(), command.arguments, call, wanted);
            const std::string where = std::string(command.name) + ", call " + std::to_string(call) + " (" + run.call +
                                      ") fails with " + wanted.name + ": ";
            if (!run.hit) {
                EXPECT_EQ(0, run.exit_code) << where << run.output;
                return;
            }
            EXPECT_TRUE(IsDocumented(command, run, wanted))
                << where << "exit code " << run.exit_code << ", " << run.output;
            EXPECT_EQ("", command.check(folder.scratch.path(), run))
                << where << "exit code " << run.exit_code << ", " << run.output;
            if (HasFailure() && getenv("RHUMB_ALL_FAULTS") == nullptr) return;
        }
    }

    static rhumb_test::ScratchDirectory *base;
};

rhumb_test::ScratchDirectory *EveryCommand::base;

TEST_P(EveryCommand, EndsAsItsManualSaysWhateverFails) {
    const Command command = Commands()[GetParam()];
    const uint64_t seed = rhumb_test::choose_seed();
    SCOPED_TRACE("RHUMB_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed + GetParam());
    const bool all = getenv("RHUMB_ALL_FAULTS") != nullptr;
    const uint64_t step = all ? 1 : rhumb_test::kSanitized ? 131 : 37;
    for (const Fault &wanted : {kIoError, kNoSpace, kNoAccess, kInterruption, kFullDisk})
        FailCalls(command, 1 + random() % step, step, wanted);
}

INSTANTIATE_TEST_SUITE_P(Tool, EveryCommand, testing::Range<size_t>(0, Commands().size()),
                         [](const testing::TestParamInfo<size_t> &info) { return Commands()[info.param].name; });

} // namespace
