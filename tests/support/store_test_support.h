// What the tests of the store share: a set of synthetic sections with a model of their content in memory.
#ifndef RHUMB_TESTS_SUPPORT_STORE_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_STORE_TEST_SUPPORT_H

#include "tests/support/io_test_support.h"
#include "tests/support/store_harness.h"

namespace store_test {

using Rows = std::vector<std::vector<uint8_t>>; // by section: the bytes of its rows, one after the other

// Both kinds, with strides that divide a block, that do not, and that lead to chunks of several blocks.
const std::vector<store_harness_spec> kSpecs = {
    {1, false, 1, false, 8, 1 << 22},  {2, false, 1, false, 3136, 1 << 22}, {3, true, 1, false, 64, 1 << 22},
    {4, true, 1, false, 192, 1 << 22}, {5, true, 1, false, 256, 1 << 22},   {6, true, 1, false, 3136, 1 << 22},
};

class Handle {
  public:
    Handle() = default;
    explicit Handle(store_harness *harness) : harness_(harness) {}
    Handle(Handle &&other) noexcept : harness_(other.harness_) { other.harness_ = nullptr; }
    Handle &operator=(Handle &&other) noexcept {
        std::swap(harness_, other.harness_);
        return *this;
    }
    ~Handle() { store_harness_close(harness_); }
    void close() {
        store_harness_close(harness_);
        harness_ = nullptr;
    }
    operator store_harness *() const { return harness_; }

  private:
    store_harness *harness_ = nullptr;
};

inline Handle create(const rhumb__io_backend *backend, const std::string &path,
                     const std::vector<store_harness_spec> &specs = kSpecs) {
    store_harness *harness = nullptr;
    EXPECT_EQ(store_harness_create(backend, path.c_str(), specs.data(), specs.size(), &harness), RHUMB_OK)
        << rhumb__error_last()->message;
    return Handle(harness);
}

inline Handle open(const rhumb__io_backend *backend, const std::string &path, bool writable,
                   const std::vector<store_harness_spec> &specs = kSpecs) {
    store_harness *harness = nullptr;
    EXPECT_EQ(store_harness_open(backend, path.c_str(), writable, specs.data(), specs.size(), &harness), RHUMB_OK)
        << rhumb__error_last()->message;
    return Handle(harness);
}

// What the sections of a writer should hold.
class Model {
  public:
    explicit Model(uint64_t seed, const std::vector<store_harness_spec> &specs = kSpecs)
        : specs_(specs), random_(seed), rows_(specs.size()) {}

    uint64_t row_count(uint32_t section) const { return rows_[section].size() / specs_[section].row_stride_bytes; }
    std::vector<uint64_t> row_counts() const {
        std::vector<uint64_t> counts;
        for (uint32_t i = 0; i < specs_.size(); i++) counts.push_back(row_count(i));
        return counts;
    }
    const Rows &rows() const { return rows_; }
    std::mt19937_64 &random() { return random_; }

    void append(store_harness *store, uint32_t section, uint64_t count) {
        const uint64_t first = row_count(section);
        ASSERT_EQ(store_harness_ensure(store, section, first + count), RHUMB_OK) << rhumb__error_last()->message;
        rows_[section].resize((first + count) * specs_[section].row_stride_bytes);
        for (uint64_t row = first; row < first + count; row++) store_row(store, section, row);
    }

    // Changes rows of mutable sections, in runs at random places.
    void change(store_harness *store, uint32_t section, uint64_t count) {
        if (!specs_[section].is_mutable || row_count(section) == 0) return;
        while (count > 0) {
            uint64_t row = random_() % row_count(section);
            for (uint64_t run = 1 + random_() % 8; run > 0 && count > 0 && row < row_count(section); run--, count--) {
                store_row(store, section, row++);
            }
        }
    }

    // Writes rows of append-only sections again, at random places. A store that has failed stays as it is.
    void renew(store_harness *store, uint32_t section, uint64_t count) {
        if (specs_[section].is_mutable || row_count(section) == 0) return;
        const uint64_t stride = specs_[section].row_stride_bytes;
        for (; count > 0; count--) {
            const uint64_t row = random_() % row_count(section);
            const std::vector<uint8_t> bytes = random_row(stride);
            if (store_harness_renew(store, section, row, bytes.data()) != RHUMB_OK) return;
            memcpy(&rows_[section][row * stride], bytes.data(), stride);
        }
    }

    // A random step of a store's life.
    void change_row(store_harness *store, uint32_t section, uint64_t row) { store_row(store, section, row); }

    void step(store_harness *store) {
        for (uint32_t section = 0; section < specs_.size(); section++) {
            const uint64_t bytes = specs_[section].row_stride_bytes;
            if (random_() % 3 == 0) append(store, section, random_() % (40000 / bytes + 2));
            if (random_() % 2 == 0) change(store, section, random_() % 20);
            if (random_() % 4 == 0) renew(store, section, random_() % 10);
        }
    }

    rhumb_status publish(store_harness *store, uint64_t *written_bytes = nullptr) const {
        return store_harness_publish(store, row_counts().data(), nullptr, nullptr, nullptr, written_bytes);
    }
    rhumb_status write_ahead(store_harness *store) const {
        return store_harness_write_ahead(store, row_counts().data());
    }

  private:
    void store_row(store_harness *store, uint32_t section, uint64_t row) {
        const uint64_t stride = specs_[section].row_stride_bytes;
        const std::vector<uint8_t> bytes = random_row(stride);
        memcpy(&rows_[section][row * stride], bytes.data(), stride);
        store_harness_write(store, section, row, bytes.data());
    }
    std::vector<uint8_t> random_row(uint64_t stride) {
        std::vector<uint8_t> bytes(stride);
        const uint64_t base = random_();
        for (uint64_t i = 0; i < stride; i += 8) {
            const uint64_t word = (base + i) * UINT64_C(0x9E3779B97F4A7C15);
            memcpy(&bytes[i], &word, 8);
        }
        return bytes;
    }

    std::vector<store_harness_spec> specs_;
    std::mt19937_64 random_;
    Rows rows_;
};

// Whether a handle shows a version with exactly these rows.
inline ::testing::AssertionResult holds(store_harness *store, const Rows &rows,
                                        const std::vector<store_harness_spec> &specs = kSpecs) {
    for (uint32_t i = 0; i < rows.size(); i++) {
        const uint64_t stride = specs[i].row_stride_bytes;
        if (store_harness_row_count(store, i) * stride != rows[i].size()) {
            return ::testing::AssertionFailure()
                   << "section " << specs[i].id << " has " << store_harness_row_count(store, i) << " rows, not "
                   << rows[i].size() / stride;
        }
        if (rows[i].empty() || memcmp(store_harness_row(store, i, 0), rows[i].data(), rows[i].size()) == 0) continue;
        for (uint64_t row = 0; row * stride < rows[i].size(); row++) {
            if (memcmp(store_harness_row(store, i, row), &rows[i][row * stride], stride) != 0) {
                return ::testing::AssertionFailure() << "section " << specs[i].id << ", row " << row << " differs";
            }
        }
    }
    return ::testing::AssertionSuccess();
}

inline ::testing::AssertionResult is_whole(store_harness *store) {
    uint64_t chunk_count = 0;
    uint64_t error_count = 0;
    char first_error[512];
    if (store_harness_verify(store, &chunk_count, &error_count, first_error) != RHUMB_OK) {
        return ::testing::AssertionFailure() << rhumb__error_last()->message;
    }
    if (error_count == 0) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << error_count << " of " << chunk_count << " chunks: " << first_error;
}

} // namespace store_test

#endif // RHUMB_TESTS_SUPPORT_STORE_TEST_SUPPORT_H
