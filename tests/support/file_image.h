// The bytes of an index file in memory, for tests that damage it: finds the parts of the file, and corrects the
// checksums afterwards, so that the damage reaches the checks after those of the checksums.
//
// Knows the format from storage/frame/format.h alone and shares no code with storage/. All functions accept any bytes:
// they return nothing for places that do not exist, and correct the checksums of what they find.
#ifndef RHUMB_TESTS_SUPPORT_FILE_IMAGE_H
#define RHUMB_TESTS_SUPPORT_FILE_IMAGE_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/frame/format.h"

namespace rhumb_test {

class FileImage {
  public:
    FileImage() = default;
    explicit FileImage(std::vector<uint8_t> bytes) : bytes_(std::move(bytes)) {}
    static FileImage load(const std::string &path);
    bool save(const std::string &path) const; // holes stay holes

    std::vector<uint8_t> &bytes() { return bytes_; }
    const std::vector<uint8_t> &bytes() const { return bytes_; }

    // Where the copies of a superblock begin.
    static uint64_t superblock_offset(uint32_t slot, uint32_t copy);
    // The slot that a reader would take: the newest whose checksum is right; 0 when there is none.
    uint32_t newest_slot() const;
    rhumb__superblock superblock(uint32_t slot, uint32_t copy = 0) const;
    void put_superblock(const rhumb__superblock &superblock, uint32_t slot, uint32_t copy);

    // The directory that the newest superblock points to.
    uint64_t directory_offset() const;
    rhumb__directory_header directory_header() const;
    std::vector<rhumb__section_record> sections() const;
    std::vector<rhumb__extent> extents(const rhumb__section_record &section) const;
    uint64_t section_record_offset(uint32_t index) const;
    // Gives a section the version of a library that knows better, so that this one does not know it, and mends.
    void make_unknown(uint32_t section_id);
    uint64_t extent_offset(uint32_t index) const;

    struct Patch {
        uint32_t section_id;
        uint64_t section_offset;
        uint64_t bytes;
        uint64_t file_offset; // of its bytes, after its header
    };
    // The patches of the newest version, in their order; those up to the first that goes beyond their end.
    std::vector<Patch> patches() const;
    // Whether the byte at this place in the file belongs to a part of a section that a patch replaces.
    bool is_replaced(uint64_t file_offset) const;

    // The place in the file of a byte of a section, in its last patch if it has one, or UINT64_MAX.
    uint64_t locate(uint32_t section_id, uint64_t section_offset) const;
    uint64_t row_stride(uint32_t section_id) const; // 0 when there is no such section
    uint64_t row_count(uint32_t section_id) const;
    uint64_t locate_row(uint32_t section_id, uint64_t row) const;

    // All rows of a section, with its patches.
    std::vector<uint8_t> section_bytes(uint32_t section_id) const;

    template <typename T> T get(uint64_t offset) const {
        T value{};
        read(offset, &value, sizeof value);
        return value;
    }
    template <typename T> void put(uint64_t offset, const T &value) { write(offset, &value, sizeof value); }

    // Corrects the checksums: of the chunks and of the patches (with the table's own), of the root, of the four
    // superblocks.
    void mend_chunks();
    void mend_root();
    void mend_superblocks();
    void mend() {
        mend_chunks();
        mend_root();
        mend_superblocks();
    }

    // A short form for corpora: the length, and the runs of 64 bytes that are not zero.
    std::vector<uint8_t> pack() const;
    static FileImage unpack(const uint8_t *bytes, size_t byte_count, uint64_t length_max);

  private:
    uint64_t locate(const std::vector<rhumb__extent> &extents, uint64_t section_offset) const;
    void read(uint64_t offset, void *target, size_t byte_count) const;
    void write(uint64_t offset, const void *source, size_t byte_count);
    std::vector<uint8_t> bytes_;
};

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_FILE_IMAGE_H
