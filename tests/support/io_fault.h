// An io backend that fails on request: everything goes to the plain backend, except the call that a test has chosen,
// and except syncs, which are counted but not carried out: no test can cut the power, so they would only take time.
//
// Calls are counted from io_fault_arm on. One fault at a time, for all handles of this backend. Threads of the index
// may call while a fault is armed or disarmed, as long as none is failing at that moment.
#ifndef RHUMB_TESTS_SUPPORT_IO_FAULT_H
#define RHUMB_TESTS_SUPPORT_IO_FAULT_H

#include <cstdint>

#include "storage/io/io.h"

namespace rhumb_test {

enum class IoCall {
    kOpen,
    kSize,
    kResize,
    kAllocate,
    kPunch,
    kRead,
    kWrite,
    kDrain,
    kSync,
    kMap,
    kLock,
    kUnlock,
    kLockTest,
    kSyncDirectory,
    kRemove,
    kTakeName,
    kIsAt,
    kCount
};

const char *io_call_name(IoCall call);

constexpr uint32_t io_call_bit(IoCall call) { return UINT32_C(1) << static_cast<int>(call); }
constexpr uint32_t kAllIoCalls = (UINT32_C(1) << static_cast<int>(IoCall::kCount)) - 1;

struct IoFault {
    uint64_t call_number = 0;     // the counted call that fails; 1 is the next. 0: none does
    bool persistent = false;      // every counted call after it fails too
    bool short_write = false;     // a write that fails has written its first half
    int os_errno = 5;             // EIO
    uint32_t calls = kAllIoCalls; // which calls are counted, as io_call_bit
};

// Restarts the count. A write that fails does so as io.h says: its error is reported by the next drain. A sync that
// fails makes its handle RHUMB_E_FATAL for good.
void io_fault_arm(const IoFault &fault);

// Nothing fails any more; counting continues.
void io_fault_disarm();

// Counted calls since io_fault_arm, and the first of them that was made to fail (kCount: none was).
uint64_t io_fault_call_count();
IoCall io_fault_hit();

extern const rhumb__io_backend io_fault_backend;

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_IO_FAULT_H
