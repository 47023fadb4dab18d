// See file_image.h.
#include "tests/support/file_image.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

extern "C" {
#include "base/crc32c.h"
}

namespace rhumb_test {
namespace {

constexpr size_t kPieceBytes = 64;

bool is_zero(const uint8_t *bytes, size_t byte_count) {
    return std::all_of(bytes, bytes + byte_count, [](uint8_t byte) { return byte == 0; });
}

uint32_t superblock_crc(rhumb__superblock superblock) {
    superblock.crc = 0;
    return rhumb__crc32c(0, &superblock, sizeof superblock);
}

} // namespace

void FileImage::read(uint64_t offset, void *target, size_t byte_count) const {
    if (offset >= bytes_.size()) return;
    memcpy(target, &bytes_[offset], std::min<uint64_t>(byte_count, bytes_.size() - offset));
}

void FileImage::write(uint64_t offset, const void *source, size_t byte_count) {
    if (offset >= bytes_.size()) return;
    memcpy(&bytes_[offset], source, std::min<uint64_t>(byte_count, bytes_.size() - offset));
}

FileImage FileImage::load(const std::string &path) {
    std::vector<uint8_t> bytes;
    FILE *file = fopen(path.c_str(), "rb");
    if (file == nullptr) return FileImage();
    uint8_t buffer[65536];
    for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;)
        bytes.insert(bytes.end(), buffer, buffer + got);
    fclose(file);
    return FileImage(std::move(bytes));
}

bool FileImage::save(const std::string &path) const {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return false;
    bool well = ftruncate(fd, static_cast<off_t>(bytes_.size())) == 0;
    for (uint64_t offset = 0; well && offset < bytes_.size(); offset += 4096) {
        const size_t count = std::min<size_t>(4096, bytes_.size() - offset);
        if (is_zero(&bytes_[offset], count)) continue;
        well = pwrite(fd, &bytes_[offset], count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count);
    }
    return close(fd) == 0 && well;
}

uint64_t FileImage::superblock_offset(uint32_t slot, uint32_t copy) {
    return slot * uint64_t{RHUMB__SUPERBLOCK_STRIDE} + copy * uint64_t{RHUMB__SUPERBLOCK_COPY_STRIDE};
}

rhumb__superblock FileImage::superblock(uint32_t slot, uint32_t copy) const {
    return get<rhumb__superblock>(superblock_offset(slot, copy));
}

void FileImage::put_superblock(const rhumb__superblock &superblock, uint32_t slot, uint32_t copy) {
    put(superblock_offset(slot, copy), superblock);
}

uint32_t FileImage::newest_slot() const {
    uint32_t newest = 0;
    uint64_t epoch = 0;
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            const rhumb__superblock candidate = superblock(slot, copy);
            if (candidate.magic != RHUMB__MAGIC || candidate.crc != superblock_crc(candidate)) continue;
            if (candidate.epoch < epoch) continue;
            epoch = candidate.epoch;
            newest = slot;
        }
    }
    return newest;
}

uint64_t FileImage::directory_offset() const { return superblock(newest_slot()).directory_offset; }

rhumb__directory_header FileImage::directory_header() const { return get<rhumb__directory_header>(directory_offset()); }

uint64_t FileImage::section_record_offset(uint32_t index) const {
    return directory_offset() + sizeof(rhumb__directory_header) + index * sizeof(rhumb__section_record);
}

void FileImage::make_unknown(uint32_t section_id) {
    const std::vector<rhumb__section_record> records = sections();
    for (uint32_t i = 0; i < records.size(); i++) {
        if (records[i].id != section_id) continue;
        rhumb__section_record record = records[i];
        record.version = 77;
        put<rhumb__section_record>(section_record_offset(i), record);
    }
    mend();
}

uint64_t FileImage::extent_offset(uint32_t index) const {
    return section_record_offset(directory_header().section_count) + index * sizeof(rhumb__extent);
}

std::vector<rhumb__section_record> FileImage::sections() const {
    std::vector<rhumb__section_record> records;
    const uint32_t count = std::min(directory_header().section_count, RHUMB__SECTION_COUNT_MAX);
    for (uint32_t i = 0; i < count; i++) records.push_back(get<rhumb__section_record>(section_record_offset(i)));
    return records;
}

std::vector<rhumb__extent> FileImage::extents(const rhumb__section_record &section) const {
    std::vector<rhumb__extent> found;
    const uint64_t first = extent_offset(section.extent_first);
    for (uint64_t i = 0; i < section.extent_count && found.size() < 4096; i++) {
        const uint64_t offset = first + i * sizeof(rhumb__extent);
        if (offset >= bytes_.size()) break;
        found.push_back(get<rhumb__extent>(offset));
    }
    return found;
}

std::vector<FileImage::Patch> FileImage::patches() const {
    std::vector<Patch> found;
    const rhumb__directory_header header = directory_header();
    if (header.patch_offset > bytes_.size() || header.patch_bytes > bytes_.size() - header.patch_offset) return found;
    const uint64_t end = header.patch_offset + header.patch_bytes;
    for (uint64_t at = header.patch_offset; end - at >= sizeof(rhumb__patch_header);) {
        const auto patch = get<rhumb__patch_header>(at);
        at += sizeof patch;
        if (patch.bytes == 0 || patch.bytes > end - at) break;
        found.push_back({patch.section_id, patch.section_offset, patch.bytes, at});
        at += patch.bytes;
    }
    return found;
}

bool FileImage::is_replaced(uint64_t file_offset) const {
    for (const Patch &patch : patches()) {
        for (const rhumb__section_record &section : sections()) {
            if (section.id != patch.section_id) continue;
            const uint64_t begin = locate(extents(section), patch.section_offset);
            if (file_offset >= begin && file_offset - begin < patch.bytes) return true;
        }
    }
    return false;
}

uint64_t FileImage::locate(uint32_t section_id, uint64_t section_offset) const {
    uint64_t place = UINT64_MAX;
    for (const Patch &patch : patches()) {
        const uint64_t within = section_offset - patch.section_offset;
        if (patch.section_id != section_id || section_offset < patch.section_offset || within >= patch.bytes) continue;
        place = patch.file_offset + within;
    }
    if (place != UINT64_MAX) return place;
    for (const rhumb__section_record &section : sections()) {
        if (section.id == section_id) return locate(extents(section), section_offset);
    }
    return UINT64_MAX;
}

uint64_t FileImage::locate(const std::vector<rhumb__extent> &extents, uint64_t section_offset) const {
    for (const rhumb__extent &extent : extents) {
        if (section_offset < extent.bytes) {
            const uint64_t place = extent.file_offset + section_offset;
            return place < bytes_.size() ? place : UINT64_MAX;
        }
        section_offset -= extent.bytes;
    }
    return UINT64_MAX;
}

uint64_t FileImage::row_stride(uint32_t section_id) const {
    for (const rhumb__section_record &section : sections()) {
        if (section.id == section_id) return section.row_stride_bytes;
    }
    return 0;
}

uint64_t FileImage::row_count(uint32_t section_id) const {
    for (const rhumb__section_record &section : sections()) {
        if (section.id == section_id) return section.row_count;
    }
    return 0;
}

uint64_t FileImage::locate_row(uint32_t section_id, uint64_t row) const {
    return locate(section_id, row * row_stride(section_id));
}

std::vector<uint8_t> FileImage::section_bytes(uint32_t section_id) const {
    std::vector<uint8_t> all(row_count(section_id) * row_stride(section_id));
    for (const rhumb__section_record &section : sections()) {
        if (section.id != section_id) continue;
        uint64_t begin = 0;
        for (const rhumb__extent &extent : extents(section)) {
            if (begin < all.size()) read(extent.file_offset, &all[begin], std::min(extent.bytes, all.size() - begin));
            begin += extent.bytes;
        }
    }
    for (const Patch &patch : patches()) {
        if (patch.section_id != section_id || patch.section_offset >= all.size()) continue;
        read(patch.file_offset, &all[patch.section_offset], std::min(patch.bytes, all.size() - patch.section_offset));
    }
    return all;
}

void FileImage::mend_chunks() {
    const uint32_t slot = newest_slot();
    const rhumb__superblock superblock = this->superblock(slot);
    const uint64_t table = superblock.directory_offset + superblock.root_bytes;
    const std::vector<Patch> patches = this->patches();
    for (const rhumb__section_record &section : sections()) {
        if (section.chunk_bytes < RHUMB__BLOCK_BYTES || section.chunk_bytes > (UINT32_C(16) << 20)) continue;
        // The bytes that the rows take according to the record, limited by the extents.
        uint64_t published = section.row_stride_bytes * section.row_count;
        uint64_t covered = 0;
        const std::vector<rhumb__extent> extents = this->extents(section);
        for (const rhumb__extent &extent : extents) covered += std::min<uint64_t>(extent.bytes, bytes_.size());
        published = std::min({published, covered, uint64_t{bytes_.size()}});
        std::vector<uint8_t> chunk;
        for (uint64_t begin = 0, i = 0; begin < published; begin += section.chunk_bytes, i++) {
            chunk.assign(std::min<uint64_t>(section.chunk_bytes, published - begin), 0);
            for (uint64_t k = 0; k < chunk.size(); k += 4096) {
                const uint64_t place = locate(extents, begin + k);
                if (place == UINT64_MAX) continue;
                read(place, &chunk[k], std::min<size_t>(4096, chunk.size() - k));
            }
            for (const Patch &patch : patches) {
                if (patch.section_id != section.id || patch.section_offset < begin) continue;
                if (patch.section_offset - begin >= chunk.size()) continue;
                const uint64_t within = patch.section_offset - begin;
                read(patch.file_offset, &chunk[within], std::min<uint64_t>(patch.bytes, chunk.size() - within));
            }
            put(table + (section.checksum_first + i) * sizeof(uint32_t), rhumb__crc32c(0, chunk.data(), chunk.size()));
        }
    }
    const uint64_t directory = superblock.directory_offset;
    rhumb__directory_header header = directory_header();
    if (header.patch_offset <= bytes_.size() && header.patch_bytes <= bytes_.size() - header.patch_offset) {
        header.patch_crc = rhumb__crc32c(0, bytes_.data() + header.patch_offset, header.patch_bytes);
        put(directory, header);
    }
    if (table >= bytes_.size() || header.checksum_count > (bytes_.size() - table) / sizeof(uint32_t)) return;
    header.checksum_crc = rhumb__crc32c(0, bytes_.data() + table, header.checksum_count * sizeof(uint32_t));
    put(directory, header);
}

void FileImage::mend_root() {
    const uint32_t slot = newest_slot();
    for (uint32_t copy = 0; copy < 2; copy++) {
        rhumb__superblock superblock = this->superblock(slot, copy);
        if (superblock.directory_offset >= bytes_.size()) continue;
        if (superblock.root_bytes > bytes_.size() - superblock.directory_offset) continue;
        superblock.root_crc = rhumb__crc32c(0, bytes_.data() + superblock.directory_offset, superblock.root_bytes);
        put_superblock(superblock, slot, copy);
    }
}

void FileImage::mend_superblocks() {
    for (uint32_t slot = 0; slot < 2; slot++) {
        for (uint32_t copy = 0; copy < 2; copy++) {
            rhumb__superblock superblock = this->superblock(slot, copy);
            if (superblock.magic != RHUMB__MAGIC) continue;
            superblock.crc = superblock_crc(superblock);
            put_superblock(superblock, slot, copy);
        }
    }
}

std::vector<uint8_t> FileImage::pack() const {
    const uint32_t length = static_cast<uint32_t>(bytes_.size());
    std::vector<uint8_t> packed(sizeof length);
    memcpy(packed.data(), &length, sizeof length);
    for (uint32_t piece = 0; uint64_t{piece} * kPieceBytes < bytes_.size(); piece++) {
        uint8_t content[kPieceBytes] = {};
        read(uint64_t{piece} * kPieceBytes, content, sizeof content);
        if (is_zero(content, sizeof content)) continue;
        const uint8_t *number = reinterpret_cast<const uint8_t *>(&piece);
        packed.insert(packed.end(), number, number + sizeof piece);
        packed.insert(packed.end(), content, content + sizeof content);
    }
    return packed;
}

FileImage FileImage::unpack(const uint8_t *bytes, size_t byte_count, uint64_t length_max) {
    FileImage image;
    uint32_t length = 0;
    if (byte_count < sizeof length) return image;
    memcpy(&length, bytes, sizeof length);
    image.bytes_.resize(std::min<uint64_t>(length, length_max));
    for (size_t at = sizeof length; at + 4 <= byte_count; at += 4 + kPieceBytes) {
        uint32_t piece = 0;
        memcpy(&piece, bytes + at, sizeof piece);
        image.write(uint64_t{piece} * kPieceBytes, bytes + at + 4, std::min(kPieceBytes, byte_count - at - 4));
    }
    return image;
}

} // namespace rhumb_test
