// What the tests of the dataset readers share: temporary files, and writers of each format that share no code with
// the readers.
#ifndef RHUMB_TESTS_SUPPORT_DATASET_TEST_SUPPORT_H
#define RHUMB_TESTS_SUPPORT_DATASET_TEST_SUPPORT_H

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "api/cli/dataset/dataset.h"

namespace dataset_test {

using Bytes = std::vector<unsigned char>;

struct Matrix {
    uint32_t row_count;
    uint32_t dim;
    std::vector<float> values;
};

// Values from 0 to 99, which every element type can hold.
inline Matrix SmallIntegers(uint32_t row_count, uint32_t dim) {
    Matrix matrix{row_count, dim, {}};
    for (size_t i = 0; i < static_cast<size_t>(row_count) * dim; i++)
        matrix.values.push_back(static_cast<float>(i * 37 % 100));
    return matrix;
}

template <typename T> void Append(Bytes *bytes, T value) {
    const size_t at = bytes->size();
    bytes->resize(at + sizeof value);
    memcpy(bytes->data() + at, &value, sizeof value);
}

template <typename T> Bytes Vecs(const Matrix &matrix) {
    Bytes bytes;
    for (size_t row = 0; row < matrix.row_count; row++) {
        Append(&bytes, static_cast<int32_t>(matrix.dim));
        for (size_t i = 0; i < matrix.dim; i++) Append(&bytes, static_cast<T>(matrix.values[row * matrix.dim + i]));
    }
    return bytes;
}

template <typename T> Bytes Bin(const Matrix &matrix) {
    Bytes bytes;
    Append(&bytes, matrix.row_count);
    Append(&bytes, matrix.dim);
    for (const float value : matrix.values) Append(&bytes, static_cast<T>(value));
    return bytes;
}

// Magic, version, length and `text`, unchanged.
inline Bytes NpyRaw(int version, const std::string &text) {
    Bytes bytes = {0x93, 'N', 'U', 'M', 'P', 'Y', static_cast<unsigned char>(version), 0};
    if (version == 1)
        Append(&bytes, static_cast<uint16_t>(text.size()));
    else
        Append(&bytes, static_cast<uint32_t>(text.size()));
    bytes.insert(bytes.end(), text.begin(), text.end());
    return bytes;
}

// Writes the header as NumPy does: the rows begin at a multiple of 64.
inline Bytes NpyHeader(int version, const std::string &descr, const std::string &fortran_order,
                       const std::string &shape) {
    std::string text = "{'descr': '" + descr + "', 'fortran_order': " + fortran_order + ", 'shape': " + shape + ", }";
    const size_t fixed_bytes = version == 1 ? 10 : 12;
    while ((fixed_bytes + text.size() + 1) % 64 != 0) text += ' ';
    return NpyRaw(version, text + "\n");
}

template <typename T> Bytes Npy(const Matrix &matrix) {
    Bytes bytes =
        NpyHeader(1, "<f4", "False", "(" + std::to_string(matrix.row_count) + ", " + std::to_string(matrix.dim) + ")");
    for (const float value : matrix.values) Append(&bytes, static_cast<T>(value));
    return bytes;
}

// A path of this process in the directory for temporary files.
inline std::string TempPath(const std::string &name) {
    const char *directory = getenv("TEST_TMPDIR");
    static int counter = 0;
    return std::string(directory ? directory : "/tmp") + "/dataset_test." + std::to_string(getpid()) + "." +
           std::to_string(counter++) + "." + name;
}

// A file that lasts as long as the object.
class TempFile {
  public:
    TempFile(const Bytes &bytes, const std::string &extension) : path_(TempPath("file." + extension)) {
        Rewrite(bytes);
    }
    ~TempFile() { unlink(path_.c_str()); }
    TempFile(const TempFile &) = delete;
    TempFile &operator=(const TempFile &) = delete;

    // In place: the tests that change one byte after the other would otherwise spend their time in the file system's
    // truncation.
    void Rewrite(const Bytes &bytes) const {
        const int file = open(path_.c_str(), O_RDWR | O_CREAT, 0600);
        ASSERT_GE(file, 0) << path_;
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()), pwrite(file, bytes.data(), bytes.size(), 0));
        EXPECT_EQ(0, ftruncate(file, static_cast<off_t>(bytes.size())));
        EXPECT_EQ(0, close(file));
    }
    const std::string &path() const { return path_; }

  private:
    std::string path_;
};

// A dataset that is closed at the end of its scope.
struct Opened {
    explicit Opened(const std::string &path, dataset_part part = DATASET_PART_TRAIN,
                    dataset_format format = DATASET_FORMAT_BY_EXTENSION, const char *hdf5_name = nullptr) {
        const dataset_options options = {format, part, hdf5_name, nullptr};
        status = dataset_open(path.c_str(), &options, &dataset, &error);
        EXPECT_EQ(status == DATASET_OK, dataset != nullptr);
    }
    ~Opened() { dataset_close(dataset); }
    Opened(const Opened &) = delete;
    Opened &operator=(const Opened &) = delete;

    std::vector<float> ReadAll() {
        if (!dataset) return {};
        const dataset_info *info = dataset_info_get(dataset);
        std::vector<float> rows(info->row_count * info->dim);
        EXPECT_EQ(DATASET_OK, dataset_read_f32(dataset, 0, info->row_count, rows.data(), &error)) << error.message;
        return rows;
    }

    struct dataset *dataset = nullptr;
    dataset_error error = {};
    dataset_status status;
};

} // namespace dataset_test

#endif // RHUMB_TESTS_SUPPORT_DATASET_TEST_SUPPORT_H
