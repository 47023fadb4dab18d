// The history of a simulated disk (see io_sim.h), and what a power cut at any position of it could have left.
//
// THE FAULT MODEL. A power cut right after entry S of the history leaves:
//   - of every file at least what a sync had covered by S. A sync covers the changes whose completion has been waited
//   for:
//     those of its own handle, which it drains first, and those that other handles have drained. It covers the file's
//     content and size, not its name.
//   - of the changes that no sync had covered, any part, in any order. A write is cut into sectors of 512 bytes; each
//     holds what it held before, or what any of the pending writes made of it, not necessarily the last. Sectors are
//     never torn within, and writing one does no harm to its neighbours. A sector is written as a whole, as the page
//     cache held it at the time, so the bytes next to a small write are written with it.
//   - a size change, and a punched hole, as a whole or not at all, and without regard to the writes around: a file may
//     have its new size with zeros where data is missing, or data but the old size, which cuts the data.
//   - a name that was created, renamed or removed as before or after, until the directory is synced (for a rename: the
//     directory of the new name). Syncing the file does not help its name, though on most file systems it would.
//     Changes of one name happen in their order, as every journal keeps it; those of different names in any.
//
// A recording is immutable except for the position where reconstruction stopped last: one thread at a time may call
// crash, which is fastest in ascending order of `at_sequence`.
#ifndef RHUMB_TESTS_SUPPORT_SIM_RECORDING_H
#define RHUMB_TESTS_SUPPORT_SIM_RECORDING_H

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rhumb_test {

constexpr uint64_t kSimSectorBytes = 512;

using SimBytes = std::vector<uint8_t>;

// What a power cut does to changes that no sync has covered.
enum class SimTear {
    kAllLost,     // none of them happened
    kAllKept,     // all of them happened: as if only the process had died
    kInOrder,     // a prefix of them, over all files, and of the first that is missing perhaps its first sectors
    kWholeWrites, // any of them, each as a whole
    kSectors,     // any of them, each sector for itself
    kAny          // one of the above, by the seed
};

const char *sim_tear_name(SimTear tear);

// The content of the disk: every name with its bytes.
struct SimImage {
    std::map<std::string, SimBytes> files;
    bool operator==(const SimImage &other) const { return files == other.files; }
};

enum class SimEventKind {
    kWrite,     // `bytes`, whole sectors, at `offset`
    kSize,      // the file's size is `size_bytes`; whole sectors in [zero_begin, zero_end) read as zeros (when cut)
    kPunch,     // whole sectors in [zero_begin, zero_end) read as zeros
    kSync,      // covers everything before of the file but `in_flight`
    kLostSync,  // failed: what it should have covered is lost, see io_sim.h
    kCreate,    // `path` is the file
    kRename,    // `path` is `path_to` now
    kRemove,    // `path` does not exist any more
    kDirectory, // covers changes of names in directory `path`
};

struct SimEvent {
    SimEventKind kind = SimEventKind::kWrite;
    uint64_t sequence = 0;
    uint64_t file = 0;
    uint64_t offset = 0;
    SimBytes bytes;
    uint64_t size_bytes = 0;
    uint64_t zero_begin = 0;
    uint64_t zero_end = 0;
    std::vector<uint64_t> in_flight; // of a sync: sequence numbers of writes that it does not cover
    uint64_t lost_seed = 0;          // of a lost sync: chooses sectors that reached the disk all the same; 0: none did
    std::string path;                // of the file too, for messages
    std::string path_to;
};

using SimHistory = std::vector<std::shared_ptr<const SimEvent>>;

// The directory of a path as the disk knows it: everything before the last slash.
std::string sim_directory_of(const std::string &path);

class SimRecording {
  public:
    // A disk that held `base`, durably, with files numbered as in `base_files`, and then lived through `history`, whose
    // entries are numbered from 1.
    SimRecording(std::shared_ptr<const SimImage> base, std::map<std::string, uint64_t> base_files, SimHistory history);

    // The number of entries, which is the sequence number of the last.
    uint64_t size() const { return history_.size(); }

    // What a power cut right after entry `at_sequence` (0: before the first) leaves; a function of its arguments.
    SimImage crash(uint64_t at_sequence, uint64_t seed, SimTear tear);

    // One line on an entry, for messages.
    std::string describe(uint64_t sequence) const;
    const SimEvent &event(uint64_t sequence) const { return *history_.at(sequence - 1); }

  private:
    struct File {
        SimBytes durable;                      // whole sectors; after durable_bytes only zeros
        uint64_t durable_bytes = 0;            // the size that is durable
        std::vector<uint64_t> sector_sequence; // the entry that a sector's durable content is from
        std::vector<const SimEvent *> pending; // writes, sizes and punches, in their order
    };
    class Survival;

    void rewind();
    void advance(uint64_t to_sequence);
    void apply(const SimEvent &event);
    static void make_durable(File *file, const SimEvent &event, Survival *sectors);
    void sync_file(const SimEvent &event);
    void sync_directory(const std::string &directory);
    static void zero_sectors(const File &file, const SimEvent &event, SimBytes *bytes);
    static SimBytes content(const File &file, Survival *survival);

    std::shared_ptr<const SimImage> base_;
    std::map<std::string, uint64_t> base_files_;
    SimHistory history_;
    // The state after entry at_, except for what no sync has covered.
    uint64_t at_ = 0;
    std::map<uint64_t, File> files_;
    std::map<std::string, uint64_t> names_;
    std::vector<const SimEvent *> pending_names_;
};

// Writes the files of an image into a real directory, under the last part of their names, for inspection. Returns
// whether that succeeded.
bool sim_write_image(const SimImage &image, const std::string &directory);

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_SIM_RECORDING_H
