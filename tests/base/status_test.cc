// Goal: the record of a failure says what, where and why, per thread, and whatever texts it is given it stays well
// formed. Method: failures are recorded with ordinary, overlong and hostile texts and read back.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>

extern "C" {
#include "base/status.h"
}

namespace {

TEST(Status, FailRecordsTheMessageAndReturnsTheStatus) {
    EXPECT_EQ(rhumb__fail(RHUMB_E_INVALID, "dim is %d, must be 1 to %d", 0, 65535), RHUMB_E_INVALID);
    const rhumb_error *record = rhumb__error_last();
    EXPECT_EQ(record->status, RHUMB_E_INVALID);
    EXPECT_STREQ(record->message, "dim is 0, must be 1 to 65535");
    EXPECT_EQ(record->os_errno, 0);
    EXPECT_EQ(record->file_offset, RHUMB_OFFSET_NONE);
    EXPECT_STREQ(record->path, "");
}

TEST(Status, FailAtRecordsPathAndOffset) {
    EXPECT_EQ(rhumb__fail_at(RHUMB_E_CORRUPT, "a.rhumb", 4096, "bad magic"), RHUMB_E_CORRUPT);
    EXPECT_STREQ(rhumb__error_last()->path, "a.rhumb");
    EXPECT_EQ(rhumb__error_last()->file_offset, 4096u);
    EXPECT_EQ(rhumb__fail_at(RHUMB_E_CORRUPT, nullptr, RHUMB_OFFSET_NONE, "no path"), RHUMB_E_CORRUPT);
    EXPECT_STREQ(rhumb__error_last()->path, "");
}

TEST(Status, ALaterFailureReplacesThePreviousOne) {
    (void)rhumb__fail_errno(EIO, "a.rhumb", 10, "reading");
    (void)rhumb__fail(RHUMB_E_FULL, "full");
    EXPECT_STREQ(rhumb__error_last()->path, "");
    EXPECT_EQ(rhumb__error_last()->os_errno, 0);
    EXPECT_EQ(rhumb__error_last()->file_offset, RHUMB_OFFSET_NONE);
    EXPECT_STREQ(rhumb__error_last()->message, "full");
}

TEST(Status, ErrnoChoosesTheStatusAndExplainsItself) {
    EXPECT_EQ(rhumb__fail_errno(ENOSPC, "f", 0, "x"), RHUMB_E_NOSPACE);
    EXPECT_EQ(rhumb__fail_errno(EDQUOT, "f", 0, "x"), RHUMB_E_NOSPACE);
    EXPECT_EQ(rhumb__fail_errno(ENOMEM, "f", 0, "x"), RHUMB_E_NOMEM);
    EXPECT_EQ(rhumb__fail_errno(ENOENT, "f", 0, "x"), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb__fail_errno(EEXIST, "f", 0, "x"), RHUMB_E_EXISTS);
    EXPECT_EQ(rhumb__fail_errno(EIO, "f", 12, "reading %u bytes", 99u), RHUMB_E_IO);
    EXPECT_EQ(rhumb__error_last()->os_errno, EIO);
    EXPECT_EQ(rhumb__error_last()->file_offset, 12u);
    EXPECT_EQ(std::string(rhumb__error_last()->message), std::string("reading 99 bytes: ") + strerror(EIO));
}

TEST(Status, AnUnknownErrnoIsStillANumberInTheMessage) {
    EXPECT_EQ(rhumb__fail_errno(123456, "f", 0, "odd"), RHUMB_E_IO);
    EXPECT_NE(std::string(rhumb__error_last()->message).find("123456"), std::string::npos);
}

TEST(Status, ALongPathKeepsItsEnd) {
    const std::string just_fits(255, 'a');
    (void)rhumb__fail_at(RHUMB_E_IO, just_fits.c_str(), 0, "x");
    EXPECT_EQ(rhumb__error_last()->path, just_fits);
    for (size_t length : {256u, 300u, 5000u}) {
        std::string path(length, 'd');
        path.replace(length - 10, 10, "/end.rhumb");
        (void)rhumb__fail_at(RHUMB_E_IO, path.c_str(), 0, "x");
        const std::string kept = rhumb__error_last()->path;
        EXPECT_EQ(kept, "..." + path.substr(length - 252)) << length;
        EXPECT_EQ(kept.size(), 255u);
    }
}

TEST(Status, ALongMessageIsCut) {
    const std::string text(2000, 'm');
    (void)rhumb__fail_errno(EIO, "f", 0, "%s", text.c_str());
    EXPECT_EQ(std::string(rhumb__error_last()->message), std::string(511, 'm'));
}

TEST(Status, AMessageIsOneLineWhateverItQuotes) {
    (void)rhumb__fail(RHUMB_E_INVALID, "no metric is called \"%s\"", "a\nb\r\x1b[2J\x7f\tü");
    EXPECT_STREQ(rhumb__error_last()->message, "no metric is called \"a?b??[2J??ü\"");
}

TEST(Status, AMessageMayQuoteThePreviousOne) {
    (void)rhumb__fail_at(RHUMB_E_IO, "inner.rhumb", 1, "inner");
    (void)rhumb__fail_at(RHUMB_E_CORRUPT, rhumb__error_last()->path, 2, "outer (%s)", rhumb__error_last()->message);
    EXPECT_STREQ(rhumb__error_last()->message, "outer (inner)");
    EXPECT_STREQ(rhumb__error_last()->path, "inner.rhumb");
}

TEST(Status, EachThreadHasItsOwnRecord) {
    (void)rhumb__fail(RHUMB_E_FULL, "of the main thread");
    rhumb_error carried = {};
    std::thread worker([&carried] {
        EXPECT_EQ(rhumb__error_last()->status, RHUMB_OK);
        EXPECT_STREQ(rhumb__error_last()->message, "");
        EXPECT_EQ(rhumb__error_last()->file_offset, RHUMB_OFFSET_NONE);
        (void)rhumb__fail_at(RHUMB_E_CORRUPT, "w.rhumb", 7, "of the worker");
        rhumb__error_save(&carried);
    });
    worker.join();
    EXPECT_STREQ(rhumb__error_last()->message, "of the main thread");
    rhumb__error_restore(&carried);
    EXPECT_EQ(rhumb__error_last()->status, RHUMB_E_CORRUPT);
    EXPECT_STREQ(rhumb__error_last()->message, "of the worker");
    EXPECT_STREQ(rhumb__error_last()->path, "w.rhumb");
    EXPECT_EQ(rhumb__error_last()->file_offset, 7u);
}

TEST(Status, NamesEveryStatusAndNoOtherNumber) {
    EXPECT_STREQ(rhumb__status_name(RHUMB_OK), "RHUMB_OK");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_INVALID), "RHUMB_E_INVALID");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_NOT_AN_INDEX), "RHUMB_E_NOT_AN_INDEX");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_NOT_FINITE), "RHUMB_E_NOT_FINITE");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_DOMAIN), "RHUMB_E_DOMAIN");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_METRIC), "RHUMB_E_METRIC");
    EXPECT_STREQ(rhumb__status_name(RHUMB_E_LOG), "RHUMB_E_LOG");
    int named_count = 0;
    for (int number = -60; number <= 5; number++) {
        if (strcmp(rhumb__status_name(static_cast<rhumb_status>(number)), "RHUMB_E_UNKNOWN") != 0) named_count++;
    }
    EXPECT_EQ(named_count, 23);
}

} // namespace
