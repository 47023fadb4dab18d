// The HDF5 reader: the files of ann-benchmarks in every storage layout, and refusal of what would lead out of the file
// or take memory that the file does not back.
//
// Method: files are written with libhdf5 here. Cut files are tried at every length. Changed bytes are not: what libhdf5
// does with those is beyond the reader (see dataset.h).
#include <gtest/gtest.h>
#include <hdf5/serial/hdf5.h>

#include <fstream>
#include <iterator>

#include "api/cli/dataset/dataset.h"
#include "tests/support/dataset_test_support.h"

namespace {

using dataset_test::Bytes;
using dataset_test::Matrix;
using dataset_test::Opened;
using dataset_test::TempFile;

// A new HDF5 file, removed at the end.
class HdfFile {
  public:
    HdfFile() : path_(dataset_test::TempPath("file.hdf5")) {
        file_ = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        EXPECT_GE(file_, 0);
    }
    ~HdfFile() {
        Close();
        unlink(path_.c_str());
    }
    void Close() {
        if (file_ >= 0) H5Fclose(file_);
        file_ = -1;
    }
    hid_t id() const { return file_; }
    const std::string &path() const { return path_; }

    // Writes `values` as a dataset of `extent`; `properties` is closed.
    void Write(const char *name, hid_t type, const std::vector<hsize_t> &extent, hid_t memory_type, const void *values,
               hid_t properties = H5P_DEFAULT) {
        const hid_t space = H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr);
        const hid_t matrix = H5Dcreate2(file_, name, type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
        EXPECT_GE(matrix, 0);
        if (values) {
            EXPECT_GE(H5Dwrite(matrix, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
        }
        H5Dclose(matrix);
        H5Sclose(space);
        if (properties != H5P_DEFAULT) H5Pclose(properties);
    }

    void WriteFloats(const char *name, const Matrix &matrix, hid_t properties = H5P_DEFAULT) {
        Write(name, H5T_IEEE_F32LE, {matrix.row_count, matrix.dim}, H5T_NATIVE_FLOAT, matrix.values.data(), properties);
    }

    void WriteAttribute(const char *name, const char *text, bool is_variable) {
        const hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, is_variable ? H5T_VARIABLE : strlen(text));
        if (is_variable) H5Tset_cset(type, H5T_CSET_UTF8);
        const hid_t space = H5Screate(H5S_SCALAR);
        const hid_t attribute = H5Acreate2(file_, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        EXPECT_GE(H5Awrite(attribute, type, is_variable ? static_cast<const void *>(&text) : text), 0);
        H5Aclose(attribute);
        H5Sclose(space);
        H5Tclose(type);
    }

  private:
    std::string path_;
    hid_t file_;
};

hid_t Chunked(hsize_t rows, hsize_t columns, bool compressed) {
    const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[2] = {rows, columns};
    H5Pset_chunk(properties, 2, chunk);
    if (compressed) H5Pset_deflate(properties, 4);
    return properties;
}

dataset_status StatusOf(HdfFile *file, std::string *message = nullptr) {
    file->Close();
    Opened opened(file->path());
    if (message && opened.status != DATASET_OK) *message = opened.error.message;
    return opened.status;
}

TEST(DatasetHdf5, GivesBackEachPart) {
    HdfFile file;
    const Matrix train = dataset_test::SmallIntegers(20, 6), test = dataset_test::SmallIntegers(5, 6);
    const std::vector<int32_t> ids = {3, 1, -1, 7, 8, 9, 10, 11, 12, 0};
    const std::vector<double> distances = {0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5};
    file.WriteFloats("train", train);
    file.WriteFloats("test", test);
    file.Write("neighbors", H5T_STD_I32LE, {5, 2}, H5T_NATIVE_INT32, ids.data());
    file.Write("distances", H5T_IEEE_F64LE, {5, 2}, H5T_NATIVE_DOUBLE, distances.data());
    file.WriteAttribute("distance", "euclidean", true);
    file.Close();

    EXPECT_EQ(train.values, Opened(file.path()).ReadAll());
    EXPECT_EQ(test.values, Opened(file.path(), DATASET_PART_TEST).ReadAll());
    EXPECT_EQ(test.values, Opened(file.path(), DATASET_PART_TRAIN, DATASET_FORMAT_BY_EXTENSION, "test").ReadAll());
    EXPECT_EQ(std::vector<float>(distances.begin(), distances.end()),
              Opened(file.path(), DATASET_PART_DISTANCES).ReadAll());
    Opened neighbors(file.path(), DATASET_PART_NEIGHBORS);
    ASSERT_EQ(DATASET_OK, neighbors.status) << neighbors.error.message;
    EXPECT_EQ(RHUMB_ELEMENT_I32, dataset_info_get(neighbors.dataset)->element);
    EXPECT_STREQ("euclidean", dataset_info_get(neighbors.dataset)->distance);
    uint64_t keys[4];
    ASSERT_EQ(DATASET_OK, dataset_read_u64(neighbors.dataset, 1, 2, keys, &neighbors.error));
    EXPECT_EQ(UINT64_MAX, keys[0]);
    EXPECT_EQ(7u, keys[1]);
    EXPECT_EQ(9u, keys[3]);
}

TEST(DatasetHdf5, ReadsEveryLayoutInBatches) {
    const Matrix matrix = dataset_test::SmallIntegers(33, 5);
    for (int layout = 0; layout < 4; layout++) {
        HdfFile file;
        hid_t properties = H5P_DEFAULT;
        if (layout == 1) properties = Chunked(7, 5, false);
        if (layout == 2) properties = Chunked(10, 2, true);
        if (layout == 3) {
            properties = H5Pcreate(H5P_DATASET_CREATE);
            H5Pset_layout(properties, H5D_COMPACT);
        }
        file.WriteFloats("train", matrix, properties);
        file.Close();
        Opened opened(file.path());
        ASSERT_EQ(DATASET_OK, opened.status) << layout << ": " << opened.error.message;
        std::vector<float> rows(33 * 5);
        for (size_t first = 0; first < 33; first += 4)
            ASSERT_EQ(DATASET_OK, dataset_read_f32(opened.dataset, first, std::min<size_t>(4, 33 - first),
                                                   &rows[first * 5], &opened.error))
                << opened.error.message;
        EXPECT_EQ(matrix.values, rows) << layout;
        std::vector<float> raw(33 * 5);
        EXPECT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, 0, 33, raw.data(), &opened.error));
        EXPECT_EQ(matrix.values, raw) << layout;
    }
}

// A float of 16 bits with the given fields; sign in the highest bit, fraction in the lowest.
hid_t SmallFloat(size_t exponent_bits, size_t bias) {
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    const size_t fraction_bits = 15 - exponent_bits;
    H5Tset_fields(type, 15, fraction_bits, exponent_bits, 0, fraction_bits);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, bias);
    return type;
}

// The halves of 1, -2 and 0.5, from a file of halves, of bf16, and of halves in the other byte order.
TEST(DatasetHdf5, ReadsRawNumbersAsWhatTheyAreWhateverTheirLayout) {
    const float values[] = {1.0f, -2.0f, 0.5f};
    const hid_t half = SmallFloat(5, 15), bf16 = SmallFloat(8, 127), swapped = SmallFloat(5, 15);
    H5Tset_order(swapped, H5T_ORDER_BE);
    for (const hid_t type : {half, bf16, swapped}) {
        HdfFile file;
        file.Write("train", type, {3, 1}, H5T_NATIVE_FLOAT, values);
        file.Close();
        Opened opened(file.path());
        ASSERT_TRUE(opened.dataset) << opened.error.message;
        ASSERT_EQ(RHUMB_ELEMENT_F16, dataset_info_get(opened.dataset)->element);
        std::vector<uint16_t> raw(3);
        EXPECT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, 0, 3, raw.data(), &opened.error));
        EXPECT_EQ(raw, (std::vector<uint16_t>{0x3C00, 0xC000, 0x3800}));
        EXPECT_EQ(std::vector<float>(values, values + 3), opened.ReadAll());
        H5Tclose(type);
    }
    // An integer of 12 bits, four places up in its 16.
    const hid_t narrow = H5Tcopy(H5T_STD_U16LE);
    H5Tset_precision(narrow, 12);
    H5Tset_offset(narrow, 4);
    const std::vector<uint16_t> numbers = {1, 7, 4095};
    HdfFile file;
    file.Write("train", narrow, {3, 1}, H5T_NATIVE_UINT16, numbers.data());
    file.Close();
    Opened opened(file.path());
    ASSERT_TRUE(opened.dataset) << opened.error.message;
    std::vector<uint16_t> raw(3);
    EXPECT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, 0, 3, raw.data(), &opened.error));
    EXPECT_EQ(raw, numbers);
    H5Tclose(narrow);
}

TEST(DatasetHdf5, ReadsFixedDistanceAttributesAndLivesWithoutOne) {
    for (const char *text : {"angular", ""}) {
        HdfFile file;
        file.WriteFloats("train", dataset_test::SmallIntegers(2, 2));
        if (*text) file.WriteAttribute("distance", text, false);
        file.Close();
        Opened opened(file.path());
        ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
        EXPECT_STREQ(text, dataset_info_get(opened.dataset)->distance);
    }
}

TEST(DatasetHdf5, TakesOneAxisAsOneColumn) {
    HdfFile file;
    const uint64_t keys[3] = {7, UINT64_MAX - 1, 9};
    file.Write("train", H5T_STD_U64LE, {3}, H5T_NATIVE_UINT64, keys);
    file.Close();
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    uint64_t found[2];
    ASSERT_EQ(DATASET_OK, dataset_read_u64(opened.dataset, 1, 2, found, &opened.error)) << opened.error.message;
    EXPECT_EQ(UINT64_MAX - 1, found[0]);
    EXPECT_EQ(9u, found[1]);
}

TEST(DatasetHdf5, SaysWhichPartIsAbsent) {
    HdfFile file;
    file.WriteFloats("train", dataset_test::SmallIntegers(2, 2));
    file.Close();
    Opened opened(file.path(), DATASET_PART_DISTANCES);
    EXPECT_EQ(DATASET_E_ABSENT, opened.status);
    EXPECT_NE(nullptr, strstr(opened.error.message, "distances")) << opened.error.message;
}

TEST(DatasetHdf5, RefusesShapesAndTypesThatAreNoMatrix) {
    const std::vector<float> values(8, 1.0f);
    {
        HdfFile file;
        file.Write("train", H5T_IEEE_F32LE, {2, 2, 2}, H5T_NATIVE_FLOAT, values.data());
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        const hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, 4);
        file.Write("train", type, {2, 2}, type, values.data());
        H5Tclose(type);
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        H5Gclose(H5Gcreate2(file.id(), "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
}

TEST(DatasetHdf5, RefusesRowsThatAreNotStored) {
    // An extent costs nothing in HDF5: these files are small, and claim to hold gigabytes of fill values.
    {
        HdfFile file;
        file.Write("train", H5T_IEEE_F32LE, {100000, 1000}, H5T_NATIVE_FLOAT, nullptr);
        std::string message;
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file, &message));
        EXPECT_NE(std::string::npos, message.find("not stored")) << message;
    }
    {
        HdfFile file;
        file.Write("train", H5T_IEEE_F32LE, {hsize_t{1} << 50, 1000}, H5T_NATIVE_FLOAT, nullptr, Chunked(10, 10, true));
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        file.Write("train", H5T_IEEE_F32LE, {100, 10}, H5T_NATIVE_FLOAT, nullptr, Chunked(10, 10, false));
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        file.Write("train", H5T_IEEE_F32LE, {40000, 1000}, H5T_NATIVE_FLOAT, nullptr, Chunked(40000, 1000, true));
        std::string message;
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file, &message));
        EXPECT_NE(std::string::npos, message.find("chunks")) << message;
    }
}

TEST(DatasetHdf5, RefusesToBeLedOutOfTheFile) {
    HdfFile other;
    other.WriteFloats("train", dataset_test::SmallIntegers(2, 2));
    other.Close();
    {
        HdfFile file;
        H5Lcreate_external(other.path().c_str(), "train", file.id(), "train", H5P_DEFAULT, H5P_DEFAULT);
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        file.WriteFloats("elsewhere", dataset_test::SmallIntegers(2, 2));
        H5Lcreate_soft("/elsewhere", file.id(), "train", H5P_DEFAULT, H5P_DEFAULT);
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_external(properties, other.path().c_str(), 0, 16);
        file.Write("train", H5T_IEEE_F32LE, {2, 2}, H5T_NATIVE_FLOAT, nullptr, properties);
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    {
        HdfFile file;
        const hsize_t extent[2] = {2, 2};
        const hid_t space = H5Screate_simple(2, extent, nullptr);
        const hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_virtual(properties, space, other.path().c_str(), "train", space);
        H5Sclose(space);
        file.Write("train", H5T_IEEE_F32LE, {2, 2}, H5T_NATIVE_FLOAT, nullptr, properties);
        EXPECT_EQ(DATASET_E_CONTENT, StatusOf(&file));
    }
    EXPECT_EQ(DATASET_E_INVALID,
              Opened(other.path(), DATASET_PART_TRAIN, DATASET_FORMAT_BY_EXTENSION, "group/train").status);
}

TEST(DatasetHdf5, RefusesAFileCutAnywhere) {
    HdfFile file;
    file.WriteFloats("train", dataset_test::SmallIntegers(4, 4));
    file.Close();
    std::ifstream stream(file.path(), std::ios::binary);
    const Bytes good{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    ASSERT_GT(good.size(), 100u);
    const TempFile cut(good, "hdf5");
    ASSERT_EQ(DATASET_OK, Opened(cut.path()).status);
    for (size_t length = 0; length < good.size(); length += length < 600 ? 1 : 61) {
        cut.Rewrite(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(length)));
        ASSERT_EQ(DATASET_E_CONTENT, Opened(cut.path()).status) << "cut to " << length << " of " << good.size();
    }
}

} // namespace
