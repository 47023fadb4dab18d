// A simulated disk: an io backend whose files live in memory, which records every change, so that a test can see what a
// power cut at any moment could have left. sim_recording.h defines the fault model.
//
// There is one disk per process. A file is a memfd, the "page cache": every handle opens it with a new open, so that
// reads, maps and locks are the kernel's own, with an open file description per handle. All of the backend may be used
// by any number of threads, as io.h allows; so may the functions here, except for sim_reset and sim_restore, which need
// a disk without handles. Directories need not be made: any path works.
//
//     rhumb__io_backend_set_default(&io_sim_backend);
//     sim_reset();
//     ... use the library on "/sim/a.rhumb"; note sim_position() when something is acknowledged; close ...
//     SimRecording recording = sim_recording();
//     for (uint64_t at = 0; at <= recording.size(); at++) {
//         sim_restore(recording.crash(at, seed, SimTear::kSectors));
//         ... open, check, close; sim_recording() now has the recovery, for cuts in that ...
//     }
//
// Writes are in the page cache and in the history as soon as they are queued, but are in flight until the
// handle has waited for them: a sync of another handle does not cover them.
#ifndef RHUMB_TESTS_SUPPORT_IO_SIM_H
#define RHUMB_TESTS_SUPPORT_IO_SIM_H

#include <cstdint>
#include <string>

#include "storage/io/io.h"
#include "tests/support/sim_recording.h"

namespace rhumb_test {

extern const rhumb__io_backend io_sim_backend;

// An empty disk, no fault armed, no violation noted.
void sim_reset();

// A disk that holds this image, durably, with an empty history. Lies stay armed as they are.
void sim_restore(const SimImage &image);

// How many changes there were since then, which is the sequence number of the last: whatever was acknowledged before
// this call is in every power cut from here on, if it was acknowledged rightly.
uint64_t sim_position();

// The history so far, and what it began with. Handles may be open, and the disk may change afterwards.
SimRecording sim_recording();

// sim_recording().crash(...): for single images, as every call starts from scratch.
SimImage sim_crash(uint64_t at_sequence, uint64_t seed, SimTear tear);

// What programs see now (the page cache), of the disk or of one file, up to `byte_limit` of it. A file that does not
// exist has no bytes.
SimImage sim_image();
SimBytes sim_file_bytes(const std::string &path, uint64_t byte_limit = UINT64_MAX);
bool sim_file_exists(const std::string &path);

// A lying fsync, as Linux does it after a failed write-back: one sync fails (RHUMB_E_FATAL for its handle, for good),
// the writes that it should have covered will never be durable, and yet the page cache continues to show them and later
// syncs, through new handles, succeed: the pages count as clean. Sectors that are written again are dirty again, whole.
// Sizes and holes are in the journal, so the next sync makes those durable.
struct SimLie {
    uint64_t sync_number = 0;    // the counted sync that fails; 1 is the next. 0: none
    std::string path_end;        // only syncs of files whose path ends are counted
    uint64_t survivors_seed = 0; // 0: no write reaches the disk; else: about half of the sectors do
};

// Restarts the count of syncs.
void sim_lie_arm(const SimLie &lie);
uint64_t sim_lie_sync_count();
uint64_t sim_lie_position(); // the sequence number of the sync that lied; 0: none has yet

// What the library did that io.h forbids, or "": bytes changed between write and drain, queued writes that overlap.
std::string sim_violation();
void sim_reset_violation();

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_IO_SIM_H
