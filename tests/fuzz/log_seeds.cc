// Writes the seeds of log_fuzz into a folder: short logs of different shapes, packed, after a checkpoint's LSN.
//     bazel run //tests/fuzz:log_seeds -- $PWD/tests/fuzz/corpus/log
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "storage/log/log.h"
#include "tests/support/file_image.h"

extern "C" {
#include "base/status.h"
}

namespace {

using rhumb_test::FileImage;

bool failed = false;

uint64_t append(rhumb__log *log, rhumb__log_type type, uint64_t batch, uint32_t byte_count, bool wait) {
    static const uint8_t payload[400] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
    failed = failed || rhumb__log_reserve(log, byte_count) != RHUMB_OK;
    if (failed) return 0;
    const rhumb__log_operation operation = {type, batch, payload, byte_count, nullptr, 0};
    const uint64_t lsn = rhumb__log_append(log, &operation);
    failed = failed || (wait && rhumb__log_wait(log, lsn) != RHUMB_OK);
    return lsn;
}

void cut(rhumb__log *log, const rhumb__log_mark &mark) { failed = failed || rhumb__log_cut(log, &mark) != RHUMB_OK; }

void write_operations(rhumb__log *log) {
    for (uint32_t i = 0; i < 6; i++) {
        append(log, static_cast<rhumb__log_type>(RHUMB__LOG_INSERT + i % 3), 0, i * 20, true);
    }
}

void write_batches(rhumb__log *log) {
    const uint64_t first = append(log, RHUMB__LOG_BATCH_BEGIN, 0, 0, false);
    const uint64_t second = append(log, RHUMB__LOG_BATCH_BEGIN, 0, 0, false);
    append(log, RHUMB__LOG_INSERT, first, 24, false);
    append(log, RHUMB__LOG_DELETE, second, 8, true);
    append(log, RHUMB__LOG_BATCH_COMMIT, second, 0, true);
    append(log, RHUMB__LOG_INSERT, first, 24, true);
}

void write_changes(rhumb__log *log) {
    write_operations(log);
    const uint64_t batch = append(log, RHUMB__LOG_BATCH_BEGIN, 0, 0, false);
    append(log, RHUMB__LOG_INSERT, batch, 24, false);
    append(log, RHUMB__LOG_UPSERT, batch, 24, false);
    append(log, RHUMB__LOG_DELETE, batch, 8, false);
    append(log, RHUMB__LOG_BATCH_COMMIT, batch, 0, true);
    append(log, RHUMB__LOG_UPSERT, 0, 24, true);
}

// With a checkpoint after its first vector.
void write_divided(rhumb__log *log) {
    const uint64_t batch = append(log, RHUMB__LOG_BATCH_BEGIN, 0, 0, false);
    append(log, RHUMB__LOG_INSERT, batch, 24, true);
    append(log, RHUMB__LOG_DELETE, 0, 8, true);
    append(log, RHUMB__LOG_INSERT, batch, 24, true);
    append(log, RHUMB__LOG_BATCH_COMMIT, batch, 0, true);
    append(log, RHUMB__LOG_UPSERT, 0, 24, true);
}

void write_and_cut(rhumb__log *log) {
    write_operations(log);
    const rhumb__log_mark mark = rhumb__log_mark_now(log);
    write_batches(log);
    cut(log, mark);
    append(log, RHUMB__LOG_UPSERT, 0, 16, true);
}

void write_and_restart(rhumb__log *log) {
    write_operations(log);
    cut(log, rhumb__log_mark_now(log));
    append(log, RHUMB__LOG_UPSERT, 0, 16, true);
    append(log, RHUMB__LOG_UPSERT, 0, 400, true);
}

struct Seed {
    const char *name;
    uint64_t checkpoint_lsn;
    void (*write)(rhumb__log *log);
};

const Seed kSeeds[] = {
    {"operations", 0, write_operations}, {"behind", 3, write_operations},     {"batches", 0, write_batches},
    {"cut", 6, write_and_cut},           {"restarted", 6, write_and_restart}, {"divided", 3, write_divided},
    {"changes", 4, write_changes},
};

} // namespace

int main(int argument_count, char **arguments) {
    if (argument_count != 2) {
        fprintf(stderr, "log_seeds FOLDER\n");
        return 2;
    }
    for (const Seed &seed : kSeeds) {
        const std::string path = std::string(arguments[1]) + "/" + seed.name;
        const std::string log_path = path + "-wal";
        unlink(log_path.c_str());
        rhumb__log_spec spec = {};
        spec.index_path = path.c_str();
        memset(spec.owner.uuid, 7, sizeof spec.owner.uuid);
        rhumb__log *log = nullptr;
        failed = rhumb__log_open(&spec, &log) != RHUMB_OK;
        if (!failed) seed.write(log);
        failed = rhumb__log_close(log, false) != RHUMB_OK || failed;
        const std::vector<uint8_t> packed = FileImage::load(log_path).pack();
        unlink(log_path.c_str());
        FILE *file = fopen(path.c_str(), "wb");
        failed = failed || file == nullptr || fwrite(&seed.checkpoint_lsn, 8, 1, file) != 1 ||
                 fwrite(packed.data(), 1, packed.size(), file) != packed.size();
        if (file == nullptr || fclose(file) != 0 || failed) {
            fprintf(stderr, "%s: %s\n", path.c_str(), rhumb__error_last()->message);
            return 1;
        }
        printf("%s: %zu bytes\n", seed.name, packed.size() + 8);
    }
    return 0;
}
