// Files for one test: a directory that is removed with its content, and whole files read and written without the code
// under test.
#ifndef RHUMB_TESTS_SUPPORT_SCRATCH_FILES_H
#define RHUMB_TESTS_SUPPORT_SCRATCH_FILES_H

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

namespace rhumb_test {

// A directory below TEST_TMPDIR that lives as long as the object.
class ScratchDirectory {
  public:
    ScratchDirectory() {
        const char *root = getenv("TEST_TMPDIR");
        std::string pattern = std::string(root != nullptr ? root : "/tmp") + "/rhumb_XXXXXX";
        if (mkdtemp(pattern.data()) == nullptr) perror(pattern.c_str());
        path_ = pattern;
    }
    ScratchDirectory(const ScratchDirectory &) = delete;
    ScratchDirectory &operator=(const ScratchDirectory &) = delete;
    ~ScratchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string &path() const { return path_; }
    std::string file(const std::string &name) const { return path_ + "/" + name; }

  private:
    std::string path_;
};

// The content of a file; empty when it cannot be read.
inline std::vector<uint8_t> file_bytes(const std::string &path) {
    std::vector<uint8_t> bytes;
    FILE *file = fopen(path.c_str(), "rb");
    if (file == nullptr) return bytes;
    std::vector<uint8_t> buffer(1 << 20);
    for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), file)) > 0;)
        bytes.insert(bytes.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(got));
    fclose(file);
    return bytes;
}

inline void put_file(const std::string &path, const std::string &content) {
    FILE *file = fopen(path.c_str(), "wb");
    ASSERT_NE(file, nullptr) << path;
    ASSERT_EQ(fwrite(content.data(), 1, content.size(), file), content.size()) << path;
    ASSERT_EQ(fclose(file), 0) << path;
}

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_SCRATCH_FILES_H
