// What the tests of the log share: operations whose payload follows from their LSN, a log that closes itself, what a
// replay saw, and an io backend that writes down what it is asked to do.
#ifndef RHUMB_TESTS_SUPPORT_LOG_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_LOG_TEST_SUPPORT_H

#include <unistd.h>

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/log/log.h"
#include "storage/log/log_examine.h"
#include "tests/support/io_test_support.h"
#include "tests/support/log_image.h"

namespace log_test {

constexpr uint64_t kSecondNs = UINT64_C(1000000000);
constexpr uint64_t kNever = 3600 * kSecondNs; // an interval that does not end during a test

// What the operation of that number says: 8 bytes that tell it apart, and up to 250 more.
inline std::vector<uint8_t> payload_of(uint64_t tag) {
    std::vector<uint8_t> payload(8 + tag * 37 % 251);
    for (size_t i = 0; i < payload.size(); i++) payload[i] = static_cast<uint8_t>(tag * 31 + i * 7);
    memcpy(payload.data(), &tag, 8);
    return payload;
}

struct Operation {
    rhumb__log_type type;
    uint64_t lsn;
    uint64_t batch;
    std::vector<uint8_t> payload;
    bool operator==(const Operation &other) const {
        return type == other.type && lsn == other.lsn && batch == other.batch && payload == other.payload;
    }
};

inline void PrintTo(const Operation &operation, std::ostream *stream) {
    *stream << "type " << operation.type << " lsn " << operation.lsn << " batch " << operation.batch << ", "
            << operation.payload.size() << " bytes";
}

struct Settings {
    uint64_t checkpoint_lsn = 0;
    rhumb_durability durability = RHUMB_DURABILITY_FULL;
    uint64_t interval_ns = kNever;
    bool discard = false;
    uint8_t uuid_byte = 7;
    const rhumb__io_backend *backend = &rhumb__io_plain;
    std::function<void()> announced = [] {}; // called when the index knows of the log
};

inline Settings after(uint64_t checkpoint_lsn) {
    Settings settings;
    settings.checkpoint_lsn = checkpoint_lsn;
    return settings;
}

// What the superblock of the index at that path says of its log; the superblock itself does not exist in these tests.
inline rhumb__log_owner &index_at(const std::string &path) {
    static std::map<std::string, rhumb__log_owner> indexes;
    return indexes[path];
}

inline rhumb__log_owner owner_at(const std::string &path, uint64_t checkpoint_lsn, uint8_t uuid_byte = 7) {
    rhumb__log_owner owner = index_at(path);
    owner.checkpoint_lsn = checkpoint_lsn;
    memset(owner.uuid, uuid_byte, sizeof owner.uuid);
    return owner;
}

// A log that closes itself.
class Log {
  public:
    Log() = default;
    Log(const Log &) = delete;
    Log &operator=(const Log &) = delete;
    ~Log() { rhumb__log_close(log_, false); }

    rhumb_status open(const std::string &index_path, const Settings &settings) {
        rhumb__log_close(log_, false);
        log_ = nullptr;
        rhumb__log_spec spec = {};
        spec.backend = settings.backend;
        spec.index_path = index_path.c_str();
        spec.owner = owner_at(index_path, settings.checkpoint_lsn, settings.uuid_byte);
        index_ = &index_at(index_path);
        announced_ = settings.announced;
        spec.announce = [](void *context, uint64_t history, uint64_t log_lsn, bool expected) {
            const Log *self = static_cast<Log *>(context);
            self->index_->history = history;
            self->index_->log_lsn = log_lsn;
            self->index_->log_expected = expected;
            self->announced_();
            return RHUMB_OK;
        };
        spec.announce_context = this;
        spec.durability = settings.durability;
        spec.interval_ns = settings.interval_ns;
        spec.discard = settings.discard;
        return rhumb__log_open(&spec, &log_);
    }

    rhumb_status close(bool remove = false) {
        rhumb__log *log = log_;
        log_ = nullptr;
        return rhumb__log_close(log, remove);
    }

    // Reserves and appends; 0 when the reservation failed.
    uint64_t append(rhumb__log_type type, uint64_t batch, const std::vector<uint8_t> &payload) {
        const uint32_t byte_count = static_cast<uint32_t>(payload.size());
        if (rhumb__log_reserve(log_, byte_count) != RHUMB_OK) return 0;
        const uint32_t head_bytes = std::min<uint32_t>(byte_count, 8);
        const rhumb__log_operation operation = {
            type, batch, payload.data(), head_bytes, payload.data() + head_bytes, byte_count - head_bytes};
        return rhumb__log_append(log_, &operation);
    }

    // The next operation with the payload that belongs to its number; only where one thread appends.
    uint64_t add(uint64_t batch = 0) { return append(RHUMB__LOG_INSERT, batch, payload_of(rhumb__log_lsn(log_) + 1)); }

    // Adds operations and waits for each.
    rhumb_status add_durably(uint64_t count) {
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t lsn = add();
            if (lsn == 0) return rhumb__error_last()->status;
            const rhumb_status status = rhumb__log_wait(log_, lsn);
            if (status != RHUMB_OK) return status;
        }
        return RHUMB_OK;
    }

    // Adds operations that are written together.
    rhumb_status add_group(uint64_t count) {
        for (uint64_t i = 0; i < count; i++) {
            if (add() == 0) return rhumb__error_last()->status;
        }
        return rhumb__log_sync(log_);
    }

    rhumb_status cut_now() {
        const rhumb__log_mark mark = rhumb__log_mark_now(log_);
        return rhumb__log_cut(log_, &mark);
    }

    // What a replay visits.
    std::vector<Operation> replay() {
        std::vector<Operation> seen;
        const auto visit = [](void *context, const rhumb__log_record *record) {
            static_cast<std::vector<Operation> *>(context)->push_back(
                {record->type, record->lsn, record->batch,
                 std::vector<uint8_t>(record->payload, record->payload + record->payload_bytes)});
            return RHUMB_OK;
        };
        EXPECT_EQ(rhumb__log_replay(log_, visit, &seen), RHUMB_OK) << rhumb__error_last()->message;
        EXPECT_EQ(rhumb__log_replay_count(log_), seen.size());
        return seen;
    }

    rhumb__log *get() const { return log_; }
    operator rhumb__log *() const { return log_; }

  private:
    rhumb__log *log_ = nullptr;
    rhumb__log_owner *index_ = nullptr;
    std::function<void()> announced_;
};

// Whether the operations are those of `add` with the numbers first to last, without gaps.
inline ::testing::AssertionResult is_range(const std::vector<Operation> &seen, uint64_t first, uint64_t last) {
    if (seen.size() != last + 1 - first) {
        return ::testing::AssertionFailure() << seen.size() << " operations instead of " << first << " to " << last;
    }
    for (uint64_t i = 0; i < seen.size(); i++) {
        const Operation expected = {RHUMB__LOG_INSERT, first + i, 0, payload_of(first + i)};
        if (!(seen[i] == expected)) {
            return ::testing::AssertionFailure()
                   << "at " << i << ": " << ::testing::PrintToString(seen[i]) << " instead of " << first + i;
        }
    }
    return ::testing::AssertionSuccess();
}

class LogTest : public ::testing::Test {
  protected:
    // What a new process finds there.
    std::vector<Operation> replay_again(uint64_t checkpoint_lsn) {
        Log log;
        const rhumb_status status = log.open(path_, after(checkpoint_lsn));
        EXPECT_EQ(status, RHUMB_OK) << rhumb__error_last()->message;
        return status == RHUMB_OK ? log.replay() : std::vector<Operation>();
    }

    rhumb__log_report examine(uint64_t checkpoint_lsn, uint8_t uuid_byte = 7) {
        const rhumb__log_owner owner = owner_at(path_, checkpoint_lsn, uuid_byte);
        rhumb__log_report report;
        EXPECT_EQ(rhumb__log_examine(&rhumb__io_plain, path_.c_str(), &owner, false, &report), RHUMB_OK)
            << rhumb__error_last()->message;
        return report;
    }

    bool file_exists() const { return access(log_path_.c_str(), F_OK) == 0; }

    io_test::ScratchDirectory directory_;
    std::string path_ = directory_.file("index.rhumb");
    std::string log_path_ = path_ + "-wal";
};

// ---- a backend that writes down what it is asked to do ----

struct Event {
    std::string call; // "open", "resize", "punch", "write", "sync", "sync_directory", "take_name" or "remove"
    uint64_t offset;  // or size
    uint64_t byte_count;
};

// One at a time; usable by several threads.
class Recorder {
  public:
    Recorder() {
        current() = this;
        backend_ = rhumb__io_plain;
        backend_.name = "recorder";
        backend_.open = open;
        backend_.close = close;
        backend_.size = [](rhumb__io *io, uint64_t *bytes) { return rhumb__io_size(inner(io), bytes); };
        backend_.resize = resize;
        backend_.punch = punch;
        backend_.read = [](rhumb__io *io, void *bytes, size_t count, uint64_t offset) {
            return rhumb__io_read(inner(io), bytes, count, offset);
        };
        backend_.write = write;
        backend_.drain = [](rhumb__io *io) { return rhumb__io_drain(inner(io)); };
        backend_.sync = sync;
        backend_.sync_directory = sync_directory;
        backend_.remove = remove;
        backend_.take_name = take_name;
        backend_.is_at = [](rhumb__io *io, const char *path, bool *is_at) {
            return rhumb__io_is_at(inner(io), path, is_at);
        };
        backend_.access_get = nullptr;
        backend_.access_set = nullptr;
    }
    ~Recorder() { current() = nullptr; }

    const rhumb__io_backend *backend() const { return &backend_; }
    void delay_sync(std::chrono::microseconds delay) { sync_delay_ = delay; }

    // What has happened since the last call.
    std::vector<Event> take() {
        std::lock_guard<std::mutex> guard(mutex_);
        std::vector<Event> events;
        events.swap(events_);
        return events;
    }

  private:
    struct RecordedHandle {
        rhumb__io io;
        rhumb__io *inner;
    };

    static Recorder *&current() {
        static Recorder *recorder = nullptr;
        return recorder;
    }
    static rhumb__io *inner(rhumb__io *io) { return reinterpret_cast<RecordedHandle *>(io)->inner; }
    static void note(const char *call, uint64_t offset = 0, uint64_t byte_count = 0) {
        std::lock_guard<std::mutex> guard(current()->mutex_);
        current()->events_.push_back({call, offset, byte_count});
    }

    static rhumb_status open(const char *path, rhumb__io_mode mode, rhumb__io **io_out) {
        rhumb__io *opened = nullptr;
        const rhumb_status status = rhumb__io_open(&rhumb__io_plain, path, mode, &opened);
        if (status != RHUMB_OK) return status;
        note("open");
        RecordedHandle *handle = new RecordedHandle{{&current()->backend_, opened->path, false, {}, 0}, opened};
        *io_out = &handle->io;
        return RHUMB_OK;
    }
    static void close(rhumb__io *io) {
        rhumb__io_close(inner(io));
        delete reinterpret_cast<RecordedHandle *>(io);
    }
    static rhumb_status resize(rhumb__io *io, uint64_t byte_count) {
        note("resize", byte_count);
        return rhumb__io_resize(inner(io), byte_count);
    }
    static rhumb_status punch(rhumb__io *io, uint64_t offset, uint64_t byte_count) {
        note("punch", offset, byte_count);
        return rhumb__io_punch(inner(io), offset, byte_count);
    }
    static rhumb_status write(rhumb__io *io, const void *bytes, size_t byte_count, uint64_t offset) {
        note("write", offset, byte_count);
        return rhumb__io_write(inner(io), bytes, byte_count, offset);
    }
    static rhumb_status sync(rhumb__io *io) {
        std::this_thread::sleep_for(current()->sync_delay_);
        note("sync");
        return rhumb__io_drain(inner(io));
    }
    static rhumb_status sync_directory(const char *) {
        note("sync_directory");
        return RHUMB_OK;
    }
    static rhumb_status take_name(rhumb__io *io, const char *path) {
        note("take_name");
        const rhumb_status status = rhumb__io_take_name(inner(io), path);
        io->path = inner(io)->path;
        return status;
    }
    static rhumb_status remove(const char *path) {
        note("remove");
        return rhumb__io_remove(&rhumb__io_plain, path);
    }

    rhumb__io_backend backend_;
    std::chrono::microseconds sync_delay_{0};
    std::mutex mutex_;
    std::vector<Event> events_;
};

// "write sync write sync_directory ..."
inline std::string calls_of(const std::vector<Event> &events) {
    std::string text;
    for (const Event &event : events) text += (text.empty() ? "" : " ") + event.call;
    return text;
}

} // namespace log_test

#endif // RHUMB_TESTS_SUPPORT_LOG_TEST_SUPPORT_H
