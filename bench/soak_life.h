// soak_life.h - the lives of the processes of a soak: what they do to an index until they are killed, and the check, at
// the next opening, that every acknowledged operation is there and every batch whole.
//
// Each vector says by its first component which version of its key it is. A process notes in shared memory, which
// survives it, the version that it is about to write and the version that was acknowledged.
#ifndef RHUMB_BENCH_SOAK_LIFE_H
#define RHUMB_BENCH_SOAK_LIFE_H

#include <atomic>
#include <cstdint>
#include <string>

namespace bench {

constexpr uint32_t kSoakHotKeys = 10;      // replaced all the time
constexpr uint32_t kSoakSpreadKeys = 5000; // replaced at random
constexpr uint32_t kSoakBatchRows = 1000;
constexpr uint32_t kSoakBatchKept = 10; // batches that are in the index at a time; the older ones are deleted
constexpr uint32_t kSoakSmallIndexes = 200;
constexpr uint32_t kSoakSmallKeys = 20; // of each small index

struct SoakVersion {
    std::atomic<uint32_t> begun{0};
    std::atomic<uint32_t> acknowledged{0};
};

// In memory that the processes share.
struct SoakProgress {
    SoakVersion hot[kSoakHotKeys];
    SoakVersion spread[kSoakSpreadKeys];
    SoakVersion small[kSoakSmallIndexes * kSoakSmallKeys];
    std::atomic<uint64_t> batch_begun{0}; // number of the newest batch; they are numbered from 1
    std::atomic<uint64_t> batch_acknowledged{0};
    std::atomic<uint64_t> batch_dropped{0}; // the batches up to this one have been deleted, each as one

    std::atomic<uint64_t> lives{0}; // openings that the checks have passed
    std::atomic<uint64_t> operations{0};
    std::atomic<uint64_t> faults{0}; // what the checks have found
    std::atomic<uint64_t> open_max_ns{0};
    std::atomic<uint64_t> hot_median_ns{0}; // of the last 1,000 replacements of hot keys
    std::atomic<uint64_t> contains_median_ns{0};
};

// Writes to one index with three threads, until it is killed. Never returns.
[[noreturn]] void soak_writer(const std::string &path, SoakProgress *progress);

// Writes to kSoakSmallIndexes indexes in `directory`, all open at once, until it is killed. Never returns.
[[noreturn]] void soak_small_writer(const std::string &directory, SoakProgress *progress);

// Opens the index for reading and searches it once a second, always in the version that it found. Never returns.
[[noreturn]] void soak_reader(const std::string &path, SoakProgress *progress);

// The check of a writer's opening, and the index closed again, so that a verifier can look at it.
void soak_check(const std::string &path, SoakProgress *progress);

} // namespace bench

#endif // RHUMB_BENCH_SOAK_LIFE_H
