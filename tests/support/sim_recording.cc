// See sim_recording.h. Reconstruction keeps, per file, the durable content and the list of changes that no sync has
// covered, and moves forward through the history; an image is a copy of the durable content with a part of the list
// applied. Writes hold whole sectors as the page cache held them, so applying one needs no other.
#include "tests/support/sim_recording.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>
#include <utility>

extern "C" {
#include "base/bits.h"
}

namespace rhumb_test {
namespace {

constexpr uint64_t sector_end(uint64_t bytes) {
    return (bytes + kSimSectorBytes - 1) / kSimSectorBytes * kSimSectorBytes;
}

} // namespace

const char *sim_tear_name(SimTear tear) {
    static const char *const names[] = {"all lost", "all kept", "in order", "whole writes", "sectors", "any"};
    return names[static_cast<int>(tear)];
}

std::string sim_directory_of(const std::string &path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// Decides what of the pending changes survives.
class SimRecording::Survival {
  public:
    // `pending` holds the sequence numbers of all pending changes, ascending.
    Survival(SimTear tear, uint64_t seed, const std::vector<uint64_t> &pending)
        : state_(rhumb__mix64(seed ^ UINT64_C(0x51D15C))) {
        static const uint64_t odds[] = {32, 128, 224};
        tear_ = tear == SimTear::kAny ? static_cast<SimTear>(next() % static_cast<uint64_t>(SimTear::kAny)) : tear;
        odds_ = odds[next() % 3];
        const uint64_t kept_count = next() % (pending.size() + 1);
        if (kept_count < pending.size()) first_lost_ = pending[kept_count];
    }

    // Whether a change that happens as a whole or not at all has happened.
    bool keeps(const SimEvent &event) {
        switch (tear_) {
        case SimTear::kAllLost: return false;
        case SimTear::kAllKept: return true;
        case SimTear::kInOrder: return event.sequence < first_lost_;
        default: return coin();
        }
    }

    // Must be called before keeps_sector for the sectors of a write.
    void begin_write(const SimEvent &event) {
        whole_ = tear_ != SimTear::kSectors;
        keep_whole_ = whole_ && keeps(event);
        torn_count_ = 0;
        if (tear_ == SimTear::kInOrder && event.sequence == first_lost_)
            torn_count_ = next() % (event.bytes.size() / kSimSectorBytes + 1);
    }

    // Whether sector `index` of that write reached the disk.
    bool keeps_sector(uint64_t index) {
        if (!whole_) return coin();
        return keep_whole_ || index < torn_count_;
    }

  private:
    uint64_t next() { return rhumb__mix64(state_ += UINT64_C(0x9E3779B97F4A7C15)); }
    bool coin() { return next() % 256 < odds_; }

    SimTear tear_;
    uint64_t state_;
    uint64_t odds_;                    // of 256
    uint64_t first_lost_ = UINT64_MAX; // in order: the first change that is not kept
    bool whole_ = false;               // the write under way is not torn by coins
    bool keep_whole_ = false;          // and all of it is kept
    uint64_t torn_count_ = 0;          // or only this many of its first sectors
};

SimRecording::SimRecording(std::shared_ptr<const SimImage> base, std::map<std::string, uint64_t> base_files,
                           SimHistory history)
    : base_(std::move(base)), base_files_(std::move(base_files)), history_(std::move(history)) {
    rewind();
}

void SimRecording::rewind() {
    at_ = 0;
    files_.clear();
    names_ = base_files_;
    pending_names_.clear();
    for (const auto &[path, id] : base_files_) {
        File &file = files_[id];
        file.durable = base_->files.at(path);
        file.durable_bytes = file.durable.size();
        file.durable.resize(sector_end(file.durable_bytes));
        file.sector_sequence.resize(file.durable.size() / kSimSectorBytes);
    }
}

void SimRecording::advance(uint64_t to_sequence) {
    if (to_sequence < at_) rewind();
    while (at_ < to_sequence && at_ < history_.size()) {
        apply(*history_[at_]);
        at_++;
    }
}

void SimRecording::apply(const SimEvent &event) {
    switch (event.kind) {
    case SimEventKind::kWrite:
    case SimEventKind::kSize:
    case SimEventKind::kPunch: files_[event.file].pending.push_back(&event); break;
    case SimEventKind::kSync:
    case SimEventKind::kLostSync: sync_file(event); break;
    case SimEventKind::kCreate: files_[event.file]; [[fallthrough]];
    case SimEventKind::kRename:
    case SimEventKind::kRemove: pending_names_.push_back(&event); break;
    case SimEventKind::kDirectory: sync_directory(event.path); break;
    }
}

// Clears what a cut or a hole removes, except for sectors with younger content.
void SimRecording::zero_sectors(const File &file, const SimEvent &event, SimBytes *bytes) {
    const uint64_t end = std::min<uint64_t>(event.zero_end, bytes->size());
    for (uint64_t at = event.zero_begin; at < end; at += kSimSectorBytes) {
        const uint64_t sector = at / kSimSectorBytes;
        if (sector < file.sector_sequence.size() && file.sector_sequence[sector] > event.sequence) continue;
        memset(bytes->data() + at, 0, kSimSectorBytes);
    }
}

// Moves a change into the durable content; of a write only the sectors that `sectors` keeps, if given.
void SimRecording::make_durable(File *file, const SimEvent &event, Survival *sectors) {
    if (event.kind == SimEventKind::kWrite) {
        const uint64_t end = event.offset + event.bytes.size();
        if (file->durable.size() < end) {
            file->durable.resize(end);
            file->sector_sequence.resize(end / kSimSectorBytes);
        }
        if (sectors != nullptr) sectors->begin_write(event);
        for (uint64_t done = 0; done < event.bytes.size(); done += kSimSectorBytes) {
            if (sectors != nullptr && !sectors->keeps_sector(done / kSimSectorBytes)) continue;
            uint64_t &sequence = file->sector_sequence[(event.offset + done) / kSimSectorBytes];
            if (sequence > event.sequence) continue;
            sequence = event.sequence;
            memcpy(&file->durable[event.offset + done], &event.bytes[done], kSimSectorBytes);
        }
        return;
    }
    zero_sectors(*file, event, &file->durable);
    for (uint64_t at = event.zero_begin; at < event.zero_end && at < file->durable.size(); at += kSimSectorBytes) {
        uint64_t &sequence = file->sector_sequence[at / kSimSectorBytes];
        sequence = std::max(sequence, event.sequence);
    }
    if (event.kind == SimEventKind::kSize) file->durable_bytes = event.size_bytes;
}

// A sync removes what it covers from the list. One that failed takes the writes off too, but for the sectors that its
// seed chooses they go nowhere; what the file system's journal carries (sizes and holes) is pending as before.
void SimRecording::sync_file(const SimEvent &event) {
    File &file = files_[event.file];
    std::vector<const SimEvent *> still_pending;
    Survival sectors(event.lost_seed == 0 ? SimTear::kAllLost : SimTear::kSectors, event.lost_seed, {});
    for (const SimEvent *change : file.pending) {
        const bool in_flight =
            std::find(event.in_flight.begin(), event.in_flight.end(), change->sequence) != event.in_flight.end();
        if (in_flight || (event.kind == SimEventKind::kLostSync && change->kind != SimEventKind::kWrite))
            still_pending.push_back(change);
        else
            make_durable(&file, *change, event.kind == SimEventKind::kLostSync ? &sectors : nullptr);
    }
    file.pending = std::move(still_pending);
}

namespace {

void rebind(std::map<std::string, uint64_t> *names, const SimEvent &event) {
    if (event.kind != SimEventKind::kCreate) names->erase(event.path);
    if (event.kind == SimEventKind::kCreate) (*names)[event.path] = event.file;
    if (event.kind == SimEventKind::kRename) (*names)[event.path_to] = event.file;
}

const std::string &name_of_record(const SimEvent &event) {
    return event.kind == SimEventKind::kRename ? event.path_to : event.path;
}

} // namespace

void SimRecording::sync_directory(const std::string &directory) {
    std::vector<const SimEvent *> still_pending;
    for (const SimEvent *change : pending_names_) {
        if (sim_directory_of(name_of_record(*change)) == directory)
            rebind(&names_, *change);
        else
            still_pending.push_back(change);
    }
    pending_names_ = std::move(still_pending);
}

// The file as the power cut leaves it.
SimBytes SimRecording::content(const File &file, Survival *survival) {
    SimBytes bytes = file.durable;
    uint64_t size_bytes = file.durable_bytes;
    for (const SimEvent *event : file.pending) {
        if (event->kind != SimEventKind::kWrite) {
            if (!survival->keeps(*event)) continue;
            zero_sectors(file, *event, &bytes);
            if (event->kind == SimEventKind::kSize) size_bytes = event->size_bytes;
            continue;
        }
        survival->begin_write(*event);
        for (uint64_t done = 0; done < event->bytes.size(); done += kSimSectorBytes) {
            if (!survival->keeps_sector(done / kSimSectorBytes)) continue;
            const uint64_t sector = (event->offset + done) / kSimSectorBytes;
            if (sector < file.sector_sequence.size() && file.sector_sequence[sector] > event->sequence) continue;
            if (bytes.size() < event->offset + event->bytes.size()) bytes.resize(event->offset + event->bytes.size());
            memcpy(&bytes[event->offset + done], &event->bytes[done], kSimSectorBytes);
        }
    }
    bytes.resize(size_bytes);
    return bytes;
}

SimImage SimRecording::crash(uint64_t at_sequence, uint64_t seed, SimTear tear) {
    advance(at_sequence);
    std::vector<uint64_t> pending;
    for (const auto &[id, file] : files_)
        for (const SimEvent *event : file.pending) pending.push_back(event->sequence);
    for (const SimEvent *event : pending_names_) pending.push_back(event->sequence);
    std::sort(pending.begin(), pending.end());
    Survival survival(tear, seed, pending);

    // A change of a name can only have happened if all earlier ones of that name did.
    std::map<std::string, uint64_t> names = names_;
    std::set<std::string> stuck;
    for (const SimEvent *event : pending_names_) {
        const std::string &other = name_of_record(*event);
        const bool blocked = stuck.count(event->path) > 0 || stuck.count(other) > 0;
        if (survival.keeps(*event) && !blocked)
            rebind(&names, *event);
        else
            stuck.insert({event->path, other});
    }
    SimImage image;
    for (const auto &[path, id] : names) image.files[path] = content(files_.at(id), &survival);
    return image;
}

std::string SimRecording::describe(uint64_t sequence) const {
    if (sequence == 0) return "the beginning";
    static const char *const names[] = {"write",  "resize", "punch",  "sync",          "failed sync",
                                        "create", "rename", "remove", "sync directory"};
    const SimEvent &event = this->event(sequence);
    std::string text =
        "entry " + std::to_string(sequence) + ": " + names[static_cast<int>(event.kind)] + " " + event.path;
    if (event.kind == SimEventKind::kWrite)
        text += " " + std::to_string(event.bytes.size()) + " bytes of sectors at " + std::to_string(event.offset);
    if (event.kind == SimEventKind::kSize) text += " to " + std::to_string(event.size_bytes);
    if (event.kind == SimEventKind::kPunch)
        text += " from " + std::to_string(event.zero_begin) + " to " + std::to_string(event.zero_end);
    if (event.kind == SimEventKind::kRename) text += " to " + event.path_to;
    return text;
}

bool sim_write_image(const SimImage &image, const std::string &directory) {
    for (const auto &[path, bytes] : image.files) {
        const size_t slash = path.rfind('/');
        const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
        FILE *file = fopen((directory + "/" + name).c_str(), "wb");
        if (file == nullptr) return false;
        const bool written = fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
        if (fclose(file) != 0 || !written) return false;
    }
    return true;
}

} // namespace rhumb_test
