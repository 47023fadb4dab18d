// The bytes of a log file in memory, to be looked at and damaged: where its headers and records are, and checksums that
// can be made right again afterwards, so that damage reaches the checks behind the checksums.
//
// Knows the format from storage/frame/format.h alone and shares no code with storage/. All functions take any bytes.
#ifndef RHUMB_TESTS_SUPPORT_LOG_IMAGE_H
#define RHUMB_TESTS_SUPPORT_LOG_IMAGE_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "storage/frame/format.h"

extern "C" {
#include "base/crc32c.h"
}

namespace log_test {

class LogImage {
  public:
    struct Place {
        uint64_t offset;
        uint64_t byte_count; // with header and padding
        rhumb__log_record_header header;
    };

    LogImage() = default;
    explicit LogImage(std::vector<uint8_t> content) : bytes(std::move(content)) {}

    static LogImage load(const std::string &path) {
        LogImage image;
        FILE *file = fopen(path.c_str(), "rb");
        if (file == nullptr) return image;
        uint8_t buffer[4096];
        for (size_t got; (got = fread(buffer, 1, sizeof buffer, file)) > 0;)
            image.bytes.insert(image.bytes.end(), buffer, buffer + got);
        fclose(file);
        return image;
    }

    bool save(const std::string &path) const {
        FILE *file = fopen(path.c_str(), "wb");
        if (file == nullptr) return false;
        const bool written = fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
        return fclose(file) == 0 && written;
    }

    static uint64_t header_offset(uint32_t slot, uint32_t copy) {
        return slot * uint64_t{RHUMB__LOG_HEADER_BYTES} + copy * uint64_t{RHUMB__LOG_COPY_STRIDE};
    }

    template <typename T> T get(uint64_t offset) const {
        T value{};
        if (offset <= bytes.size() && sizeof value <= bytes.size() - offset)
            memcpy(&value, &bytes[offset], sizeof value);
        return value;
    }

    template <typename T> void put(uint64_t offset, const T &value) {
        if (offset <= bytes.size() && sizeof value <= bytes.size() - offset)
            memcpy(&bytes[offset], &value, sizeof value);
    }

    rhumb__log_header header(uint32_t slot, uint32_t copy) const {
        return get<rhumb__log_header>(header_offset(slot, copy));
    }

    // With the right checksum.
    void put_header(rhumb__log_header header, uint32_t slot, uint32_t copy) {
        header.crc = 0;
        header.crc = rhumb__crc32c(0, &header, sizeof header);
        put(header_offset(slot, copy), header);
    }

    static bool counts(rhumb__log_header header) {
        const uint32_t crc = header.crc;
        header.crc = 0;
        return header.magic == RHUMB__LOG_MAGIC && rhumb__crc32c(0, &header, sizeof header) == crc;
    }

    // The header that a reader would take; zeros when there is none.
    rhumb__log_header newest() const {
        rhumb__log_header best{};
        for (uint32_t i = 0; i < 4; i++) {
            const rhumb__log_header candidate = header(i / 2, i % 2);
            if (counts(candidate) && candidate.generation >= best.generation) best = candidate;
        }
        return best;
    }

    // Where records should be, going by their lengths alone.
    std::vector<Place> records() const {
        std::vector<Place> places;
        uint64_t offset = newest().first_offset;
        while (offset <= bytes.size() && sizeof(rhumb__log_record_header) <= bytes.size() - offset) {
            Place place = {offset, 0, get<rhumb__log_record_header>(offset)};
            place.byte_count = (sizeof place.header + place.header.payload_bytes + UINT64_C(7)) / 8 * 8;
            if (place.header.lsn == 0 || place.byte_count > bytes.size() - offset) break;
            places.push_back(place);
            offset += place.byte_count;
        }
        return places;
    }

    // The right checksum of a record that lies inside the file.
    uint32_t record_crc(const Place &place) const {
        const uint64_t salt = newest().salt;
        return rhumb__crc32c(static_cast<uint32_t>(salt ^ salt >> 32), &bytes[place.offset + 4], place.byte_count - 4);
    }

    void mend_headers() {
        for (uint32_t i = 0; i < 4; i++) put_header(header(i / 2, i % 2), i / 2, i % 2);
    }

    // Makes the checksums of all records right; with `chain`, what they say of each other too.
    void mend_records(bool chain) {
        uint32_t crc = newest().first_previous_crc;
        for (const Place &place : records()) {
            if (chain) put(place.offset + offsetof(rhumb__log_record_header, previous_crc), crc);
            crc = record_crc(place);
            put(place.offset, crc);
        }
    }

    std::vector<uint8_t> bytes;
};

} // namespace log_test

#endif // RHUMB_TESTS_SUPPORT_LOG_IMAGE_H
