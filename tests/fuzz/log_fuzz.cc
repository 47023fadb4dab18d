// Any bytes as a log file: an error that names the file, or operations in the order of their numbers, and a log that
// accepts more, can be cut, and returns what was appended. rhumb__log_examine reports the same without changing
// anything. Never a crash, a hang, or memory in proportion to a number in the file.
//
// The input is the LSN of a checkpoint (8 bytes) and a packed image (tests/support/file_image.h). The mutator changes
// fields where they are, moves records about, and corrects the checksums most of the time. Build and run with
//     bazel run --config=fuzz //tests/fuzz:log_fuzz -- -max_total_time=300 -timeout=20 $PWD/tests/fuzz/corpus/log
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include "storage/log/log.h"
#include "storage/log/log_examine.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/file_image.h"
#include "tests/support/io_fault.h"
#include "tests/support/log_image.h"

extern "C" {
#include "base/status.h"
}

namespace {

using log_test::LogImage;
using rhumb_test::FileImage;

constexpr uint64_t kLengthMax = UINT64_C(1) << 20;
constexpr uint64_t kCheckpointMax = UINT64_C(1) << 60;

// Aborts, which reports a broken promise to libFuzzer.
void require(bool promise, const char *what) {
    if (promise) return;
    fprintf(stderr, "broken: %s (last error: %s)\n", what, rhumb__error_last()->message);
    abort();
}

// A folder in memory if possible; it is removed with the process.
class Folder {
  public:
    Folder() {
        const char *root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        std::string pattern = std::string(root) + "/rhumb_log_fuzz_XXXXXX";
        require(mkdtemp(pattern.data()) != nullptr, "a folder");
        index_path = pattern + "/index";
        log_path = index_path + "-wal";
        folder_ = pattern;
    }
    ~Folder() {
        unlink(log_path.c_str());
        rmdir(folder_.c_str());
    }
    std::string index_path;
    std::string log_path;

  private:
    std::string folder_;
};

const Folder &folder() {
    static const Folder instance;
    return instance;
}

struct Seen {
    uint64_t checkpoint_lsn;
    uint64_t count;
    uint64_t last_lsn;
    uint64_t sum; // so that every byte is read
};

rhumb_status see(void *context, const rhumb__log_record *record) {
    Seen *seen = static_cast<Seen *>(context);
    require(record->lsn > seen->last_lsn, "operations in order");
    // Of what lies before the checkpoint only batches that it divides, and deletes.
    require(record->lsn > seen->checkpoint_lsn || record->batch != 0 || record->type == RHUMB__LOG_DELETE,
            "operations behind the checkpoint");
    require(record->type >= RHUMB__LOG_INSERT && record->type <= RHUMB__LOG_DELETE, "operations only");
    require(record->payload_bytes <= RHUMB__LOG_PAYLOAD_BYTES_MAX, "payloads within the limit");
    for (uint32_t i = 0; i < record->payload_bytes; i++) seen->sum += record->payload[i];
    seen->last_lsn = record->lsn;
    seen->count++;
    return RHUMB_OK;
}

rhumb__log_owner index_says; // the superblock's word on the log, which announcements change

rhumb_status announce(void *, uint64_t history, uint64_t log_lsn, bool expected) {
    index_says.history = history;
    index_says.log_lsn = log_lsn;
    index_says.log_expected = expected;
    return RHUMB_OK;
}

rhumb__log_owner owner(uint64_t checkpoint_lsn) {
    rhumb__log_owner owner = index_says;
    memset(owner.uuid, 7, sizeof owner.uuid);
    owner.checkpoint_lsn = checkpoint_lsn;
    return owner;
}

rhumb_status open_log(uint64_t checkpoint_lsn, rhumb__log **log_out) {
    rhumb__log_spec spec = {};
    spec.backend = &rhumb_test::io_fault_backend; // its syncs cost nothing
    spec.index_path = folder().index_path.c_str();
    spec.owner = owner(checkpoint_lsn);
    spec.announce = announce;
    spec.durability = RHUMB_DURABILITY_FULL;
    return rhumb__log_open(&spec, log_out);
}

Seen replay(rhumb__log *log, uint64_t checkpoint_lsn) {
    Seen seen = {checkpoint_lsn, 0, 0, 0};
    require(rhumb__log_replay(log, see, &seen) == RHUMB_OK, "a replay of what was found valid");
    require(seen.count == rhumb__log_replay_count(log), "as many operations as it said");
    require(seen.last_lsn <= rhumb__log_lsn(log), "numbers that have been given out");
    return seen;
}

// Whether a write succeeded; it may fail only because generations or operations have reached their last number.
bool went_well(rhumb_status status, const char *what) {
    const bool at_the_end =
        (status == RHUMB_E_FATAL && strstr(rhumb__error_last()->message, "is the last there can be") != nullptr) ||
        (status == RHUMB_E_FULL && strstr(rhumb__error_last()->message, "among the last there can be") != nullptr);
    require(status == RHUMB_OK || at_the_end, what);
    return status == RHUMB_OK;
}

bool add(rhumb__log *log, uint32_t payload_bytes) {
    static const uint8_t payload[1000] = {1, 2, 3};
    if (!went_well(rhumb__log_reserve(log, payload_bytes), "room")) return false;
    const rhumb__log_operation operation = {RHUMB__LOG_UPSERT, 0, payload, payload_bytes, nullptr, 0};
    const uint64_t lsn = rhumb__log_append(log, &operation);
    return went_well(rhumb__log_wait(log, lsn), "a durable operation");
}

// Checks that found operations stay, that new ones are appended after them, and that a cut removes exactly what it
// should.
void go_on(rhumb__log *log, uint64_t checkpoint_lsn) {
    const Seen before = replay(log, checkpoint_lsn);
    if (!add(log, 100) || !add(log, 0)) {
        (void)went_well(rhumb__log_close(log, false), "a close");
        return;
    }
    require(rhumb__log_close(log, false) == RHUMB_OK, "a close");
    require(open_log(checkpoint_lsn, &log) == RHUMB_OK, "an open after writing");
    require(replay(log, checkpoint_lsn).count == before.count + 2, "all that was there, and two more");
    const rhumb__log_mark mark = rhumb__log_mark_now(log);
    const bool cut = add(log, 999) && went_well(rhumb__log_cut(log, &mark), "a cut");
    (void)went_well(rhumb__log_close(log, true), "a close");
    if (!cut) return;
    require(open_log(mark.lsn, &log) == RHUMB_OK, "an open after a cut");
    require(replay(log, mark.lsn).count == 1, "what came behind the cut");
    require(rhumb__log_close(log, false) == RHUMB_OK, "a close");
}

// A number that is likely to matter: small, extreme, or near the present one.
uint64_t interesting(std::mt19937 *random, uint64_t now) {
    const auto pick = [&](uint32_t limit) { return static_cast<uint64_t>((*random)() % limit); };
    switch (pick(8)) {
    case 0: return pick(12);
    case 1: return UINT64_MAX - pick(3);
    case 2: return now + 1 - 2 * pick(2);
    case 3: return now ^ UINT64_C(1) << pick(64);
    case 4: return UINT64_C(1) << pick(64);
    case 5: return now + 8 * pick(50);
    case 6: return RHUMB__LOG_RECORDS_OFFSET + 8 * pick(100);
    default: return RHUMB__LOG_PAYLOAD_BYTES_MAX + 1 - pick(3);
    }
}

void change_field(std::mt19937 *random, LogImage *image, uint64_t base, uint64_t field_bytes) {
    const uint64_t place = base + (*random)() % (field_bytes / 4) * 4;
    if ((*random)() % 2 == 0) {
        image->put<uint64_t>(place, interesting(random, image->get<uint64_t>(place)));
    } else {
        image->put<uint32_t>(place, static_cast<uint32_t>(interesting(random, image->get<uint32_t>(place))));
    }
}

// Puts a copy of one record in the place of the bytes at another one's.
void copy_record(std::mt19937 *random, LogImage *image, const std::vector<LogImage::Place> &records) {
    const LogImage::Place &from = records[(*random)() % records.size()];
    const uint64_t to = records[(*random)() % records.size()].offset;
    const std::vector<uint8_t> copy(image->bytes.begin() + static_cast<ptrdiff_t>(from.offset),
                                    image->bytes.begin() + static_cast<ptrdiff_t>(from.offset + from.byte_count));
    if (image->bytes.size() < to + copy.size() && to + copy.size() <= kLengthMax) {
        image->bytes.resize(to + copy.size());
    }
    if (to + copy.size() <= image->bytes.size()) memcpy(&image->bytes[to], copy.data(), copy.size());
}

void mutate(std::mt19937 *random, LogImage *image) {
    const std::vector<LogImage::Place> records = image->records();
    switch ((*random)() % 8) {
    case 0: {
        const uint64_t header = LogImage::header_offset((*random)() % 2, (*random)() % 2);
        change_field(random, image, header, offsetof(rhumb__log_header, history_lsn) + 8);
        break;
    }
    case 1: image->bytes.resize((*random)() % (image->bytes.size() + 100)); break;
    case 2:
    case 3:
        if (!records.empty()) copy_record(random, image, records);
        break;
    default:
        if (!records.empty()) {
            const LogImage::Place &record = records[(*random)() % records.size()];
            change_field(random, image, record.offset, sizeof record.header);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t byte_count) {
    if (byte_count < 8) return 0;
    uint64_t checkpoint_lsn;
    memcpy(&checkpoint_lsn, bytes, 8);
    checkpoint_lsn %= kCheckpointMax;
    const FileImage image = FileImage::unpack(bytes + 8, byte_count - 8, kLengthMax);
    require(image.save(folder().log_path), "a file");

    // The index mostly knows the log's history, or the one before.
    const rhumb__log_header newest = LogImage(image.bytes()).newest();
    index_says = {};
    index_says.history = checkpoint_lsn % 3 == 0 ? newest.previous_history : newest.history;
    index_says.log_expected = checkpoint_lsn % 5 == 1;
    index_says.log_lsn = checkpoint_lsn + checkpoint_lsn % 4;
    const rhumb__log_owner index = owner(checkpoint_lsn);
    rhumb__log_report report;
    const rhumb_status examined =
        rhumb__log_examine(&rhumb__io_plain, folder().index_path.c_str(), &index, false, &report);
    require(examined == RHUMB_OK, "an examination of any bytes");
    rhumb__log *log = nullptr;
    const rhumb_status opened = open_log(checkpoint_lsn, &log);
    require((opened == RHUMB_OK) == (report.error_count == 0), "opening and examining agree");
    if (opened == RHUMB_OK) {
        require(rhumb__log_replay_count(log) == report.pending_count, "both count the same");
        go_on(log, checkpoint_lsn);
    } else {
        require(opened == RHUMB_E_LOG || opened == RHUMB_E_CORRUPT || opened == RHUMB_E_VERSION, "a reason");
        require(folder().log_path == rhumb__error_last()->path, "the file's name");
        require(strcmp(report.first_error, rhumb__error_last()->message) == 0, "the same reason");
    }
    return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t byte_count, size_t byte_count_max, unsigned int seed) {
    std::mt19937 random(seed);
    if (byte_count < 8 || random() % 16 == 0) return LLVMFuzzerMutate(bytes, byte_count, byte_count_max);
    uint64_t checkpoint_lsn;
    memcpy(&checkpoint_lsn, bytes, 8);
    if (random() % 4 == 0) checkpoint_lsn = interesting(&random, checkpoint_lsn);
    LogImage image(FileImage::unpack(bytes + 8, byte_count - 8, kLengthMax).bytes());
    for (uint32_t i = 0; i < 1u << random() % 5; i++) mutate(&random, &image);
    if (random() % 8 != 0) image.mend_headers();
    if (random() % 8 != 0) image.mend_records(random() % 4 != 0);
    const std::vector<uint8_t> packed = FileImage(image.bytes).pack();
    if (packed.size() + 8 > byte_count_max) return LLVMFuzzerMutate(bytes, byte_count, byte_count_max);
    memcpy(bytes, &checkpoint_lsn, 8);
    memcpy(bytes + 8, packed.data(), packed.size());
    return packed.size() + 8;
}
