// Readers of matrix files: what is written comes back, and whatever bytes a file has, the answer is rows or an error.
//
// Method: each format's files are written here byte by byte (HDF5 by libhdf5), independently of the readers, and
// compared with the matrix they were made from. Hostile files are made from good ones: cut at every length, and every
// byte of the header set to every value. The test is worth most under AddressSanitizer, where a read or write beyond a
// buffer ends it.
#include "api/cli/dataset/dataset.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/dataset_test_support.h"

namespace {

using dataset_test::Bytes;
using dataset_test::Matrix;
using dataset_test::Opened;
using dataset_test::TempFile;

// ---- what is written comes back
// --------------------------------------------------------------------------------------

struct FormatCase {
    const char *extension;
    rhumb_element element;
    Bytes (*write)(const Matrix &);
};

const FormatCase kFormats[] = {
    {"fvecs", RHUMB_ELEMENT_F32, dataset_test::Vecs<float>},   {"bvecs", RHUMB_ELEMENT_U8, dataset_test::Vecs<uint8_t>},
    {"ivecs", RHUMB_ELEMENT_I32, dataset_test::Vecs<int32_t>}, {"fbin", RHUMB_ELEMENT_F32, dataset_test::Bin<float>},
    {"u8bin", RHUMB_ELEMENT_U8, dataset_test::Bin<uint8_t>},   {"i8bin", RHUMB_ELEMENT_I8, dataset_test::Bin<int8_t>},
    {"ibin", RHUMB_ELEMENT_I32, dataset_test::Bin<int32_t>},   {"npy", RHUMB_ELEMENT_F32, dataset_test::Npy<float>},
};

class EveryFormat : public testing::TestWithParam<FormatCase> {};

TEST_P(EveryFormat, GivesBackWhatWasWritten) {
    const Matrix matrix = dataset_test::SmallIntegers(17, 5);
    const TempFile file(GetParam().write(matrix), GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    const dataset_info *info = dataset_info_get(opened.dataset);
    EXPECT_EQ(17u, info->row_count);
    EXPECT_EQ(5u, info->dim);
    EXPECT_EQ(GetParam().element, info->element);
    EXPECT_STREQ("", info->distance);
    EXPECT_EQ(matrix.values, opened.ReadAll());
}

TEST_P(EveryFormat, GivesTheSameInBatchesOfAnySize) {
    const Matrix matrix = dataset_test::SmallIntegers(23, 3);
    const TempFile file(GetParam().write(matrix), GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    for (size_t batch = 1; batch <= 23; batch++) {
        std::vector<float> rows(23 * 3, -1.0f);
        for (size_t first = 0; first < 23; first += batch) {
            const size_t count = std::min(batch, 23 - first);
            ASSERT_EQ(DATASET_OK, dataset_read_f32(opened.dataset, first, count, &rows[first * 3], &opened.error))
                << opened.error.message;
        }
        EXPECT_EQ(matrix.values, rows) << "batches of " << batch;
    }
}

// The numbers are small and not negative, so the first byte of an integer is all of it.
TEST_P(EveryFormat, GivesTheComponentsAsTheyLieInTheFile) {
    const Matrix matrix = dataset_test::SmallIntegers(1500, 257);
    const TempFile file(GetParam().write(matrix), GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    const rhumb_element element = dataset_info_get(opened.dataset)->element;
    const size_t bytes = dataset_element_bytes(element);
    for (size_t batch : {1500u, 1499u, 700u}) {
        std::vector<unsigned char> rows(1500 * 257 * bytes);
        for (size_t first = 0; first < 1500; first += batch) {
            ASSERT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, first, std::min<size_t>(batch, 1500 - first),
                                                   &rows[first * 257 * bytes], &opened.error))
                << opened.error.message;
        }
        for (size_t i = 0; i < matrix.values.size(); i++) {
            if (element == RHUMB_ELEMENT_F32) {
                ASSERT_EQ(0, memcmp(&rows[i * bytes], &matrix.values[i], bytes)) << i;
            } else if (!rhumb_element_is_float(element)) {
                ASSERT_EQ(matrix.values[i], rows[i * bytes]) << i;
            }
        }
    }
}

TEST_P(EveryFormat, ConvertsMoreRowsThanItsScratchHolds) {
    const Matrix matrix = dataset_test::SmallIntegers(1500, 257);
    const TempFile file(GetParam().write(matrix), GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    EXPECT_EQ(matrix.values, opened.ReadAll());
}

TEST_P(EveryFormat, RefusesRowsThatAreNotThere) {
    const TempFile file(GetParam().write(dataset_test::SmallIntegers(4, 2)), GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    float row[8];
    EXPECT_EQ(DATASET_E_INVALID, dataset_read_f32(opened.dataset, 4, 1, row, &opened.error));
    EXPECT_EQ(DATASET_E_INVALID, dataset_read_f32(opened.dataset, 3, 2, row, &opened.error));
    EXPECT_EQ(DATASET_E_INVALID, dataset_read_f32(opened.dataset, UINT64_MAX, 2, row, &opened.error));
    EXPECT_EQ(DATASET_OK, dataset_read_f32(opened.dataset, 4, 0, row, &opened.error));
    EXPECT_EQ(DATASET_E_INVALID, dataset_read_raw(opened.dataset, 4, 1, row, &opened.error));
}

TEST_P(EveryFormat, TellsWhenTheFileShrinksAfterOpening) {
    const Bytes bytes = GetParam().write(dataset_test::SmallIntegers(6, 4));
    const TempFile file(bytes, GetParam().extension);
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    ASSERT_EQ(0, truncate(file.path().c_str(), static_cast<off_t>(bytes.size() - 3)));
    float rows[24];
    EXPECT_EQ(DATASET_E_CONTENT, dataset_read_f32(opened.dataset, 0, 6, rows, &opened.error));
    EXPECT_EQ(bytes.size() - 3, opened.error.file_offset);
    EXPECT_NE(nullptr, strstr(opened.error.message, file.path().c_str())) << opened.error.message;
}

// ---- hostile files
// ----------------------------------------------------------------------------------------------------

// A file that opens must be backed by its bytes, and all of its rows must be readable or refused.
void ExpectHarmless(const TempFile &file, const std::string &what) {
    Opened opened(file.path());
    if (opened.status != DATASET_OK) {
        EXPECT_EQ(DATASET_E_CONTENT, opened.status) << what << ": " << opened.error.message;
        EXPECT_NE(nullptr, strstr(opened.error.message, file.path().c_str())) << what << ": " << opened.error.message;
        return;
    }
    const dataset_info *info = dataset_info_get(opened.dataset);
    const uint64_t row_bytes = info->dim * dataset_element_bytes(info->element);
    ASSERT_GE(info->dim, 1u) << what;
    if (info->row_count == 0) return;
    ASSERT_LE(info->row_count, info->file_bytes / row_bytes) << what;
    std::vector<float> row(info->dim);
    for (uint64_t i = 0; i < info->row_count; i++) {
        const dataset_status status = dataset_read_f32(opened.dataset, i, 1, row.data(), &opened.error);
        ASSERT_TRUE(status == DATASET_OK || status == DATASET_E_CONTENT) << what << ": " << opened.error.message;
    }
}

TEST_P(EveryFormat, SurvivesEveryValueOfEveryHeaderByte) {
    const Bytes good = GetParam().write(dataset_test::SmallIntegers(3, 4));
    const size_t header_bytes = std::min<size_t>(good.size(), strcmp(GetParam().extension, "npy") == 0 ? 128 : 32);
    const TempFile file(good, GetParam().extension);
    for (size_t i = 0; i < header_bytes; i++)
        for (int value = 0; value < 256; value++) {
            Bytes bytes = good;
            bytes[i] = static_cast<unsigned char>(value);
            file.Rewrite(bytes);
            ExpectHarmless(file, "byte " + std::to_string(i) + " = " + std::to_string(value));
            if (HasFatalFailure()) return;
        }
}

TEST_P(EveryFormat, RefusesAFileCutAnywhereButBetweenRowsThatNobodyCounts) {
    const Bytes good = GetParam().write(dataset_test::SmallIntegers(3, 4));
    const bool has_no_count = strstr(GetParam().extension, "vecs") != nullptr;
    const size_t row_bytes = good.size() / 3;
    const TempFile file(good, GetParam().extension);
    for (size_t length = 0; length < good.size(); length++) {
        file.Rewrite(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(length)));
        Opened opened(file.path());
        if (has_no_count && length > 0 && length % row_bytes == 0) {
            ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
            EXPECT_EQ(length / row_bytes, dataset_info_get(opened.dataset)->row_count);
        } else {
            EXPECT_EQ(DATASET_E_CONTENT, opened.status) << "cut to " << length << " bytes";
        }
    }
}

TEST_P(EveryFormat, RefusesBytesBehindTheRows) {
    Bytes bytes = GetParam().write(dataset_test::SmallIntegers(3, 4));
    bytes.push_back(0);
    const TempFile file(bytes, GetParam().extension);
    EXPECT_EQ(DATASET_E_CONTENT, Opened(file.path()).status);
}

INSTANTIATE_TEST_SUITE_P(Dataset, EveryFormat, testing::ValuesIn(kFormats),
                         [](const auto &info) { return std::string(info.param.extension); });

TEST(DatasetVecs, NamesTheRowWhoseLengthDiffers) {
    Bytes bytes = dataset_test::Vecs<float>(dataset_test::SmallIntegers(4, 3));
    bytes[2 * 16] = 4;
    const TempFile file(bytes, "fvecs");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    float rows[12];
    EXPECT_EQ(DATASET_OK, dataset_read_f32(opened.dataset, 0, 2, rows, &opened.error));
    EXPECT_EQ(DATASET_E_CONTENT, dataset_read_f32(opened.dataset, 0, 4, rows, &opened.error));
    EXPECT_EQ(32u, opened.error.file_offset);
    EXPECT_NE(nullptr, strstr(opened.error.message, "row 2")) << opened.error.message;
}

TEST(DatasetVecs, RefusesALengthThatTheFileDoesNotBack) {
    for (const uint32_t dim : {0u, 5u, DATASET_DIM_MAX, DATASET_DIM_MAX + 1, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        Bytes bytes = dataset_test::Vecs<float>(dataset_test::SmallIntegers(1, 4));
        memcpy(bytes.data(), &dim, sizeof dim);
        const TempFile file(bytes, "fvecs");
        EXPECT_EQ(DATASET_E_CONTENT, Opened(file.path()).status) << dim;
    }
}

TEST(DatasetBin, RefusesCountsThatTheFileDoesNotBack) {
    for (const uint32_t count : {0u, 2u, 4u, 0x40000000u, 0xFFFFFFFFu}) {
        Bytes bytes = dataset_test::Bin<float>(dataset_test::SmallIntegers(3, 4));
        memcpy(bytes.data(), &count, sizeof count);
        const TempFile file(bytes, "fbin");
        EXPECT_EQ(DATASET_E_CONTENT, Opened(file.path()).status) << count;
    }
}

TEST(DatasetBin, HasMatricesWithoutRows) {
    Matrix empty = dataset_test::SmallIntegers(0, 7);
    const TempFile file(dataset_test::Bin<float>(empty), "fbin");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    EXPECT_EQ(0u, dataset_info_get(opened.dataset)->row_count);
    EXPECT_EQ(7u, dataset_info_get(opened.dataset)->dim);
}

TEST(DatasetIbin, HoldsDistancesBehindTheIds) {
    const Matrix ids = dataset_test::SmallIntegers(4, 3);
    Bytes bytes = dataset_test::Bin<int32_t>(ids);
    for (int i = 0; i < 12; i++) dataset_test::Append(&bytes, 0.25f * static_cast<float>(i));
    const TempFile file(bytes, "ibin");
    Opened neighbors(file.path(), DATASET_PART_NEIGHBORS);
    Opened distances(file.path(), DATASET_PART_DISTANCES);
    ASSERT_EQ(DATASET_OK, neighbors.status) << neighbors.error.message;
    ASSERT_EQ(DATASET_OK, distances.status) << distances.error.message;
    EXPECT_EQ(ids.values, neighbors.ReadAll());
    EXPECT_EQ(2.75f, distances.ReadAll().back());
    EXPECT_EQ(0.0f, distances.ReadAll().front());
}

TEST(DatasetIbin, SaysThatItHasNoDistances) {
    const TempFile file(dataset_test::Bin<int32_t>(dataset_test::SmallIntegers(4, 3)), "ibin");
    EXPECT_EQ(DATASET_E_ABSENT, Opened(file.path(), DATASET_PART_DISTANCES).status);
    EXPECT_EQ(DATASET_OK, Opened(file.path(), DATASET_PART_NEIGHBORS).status);
}

// ---- conversions
// ------------------------------------------------------------------------------------------------------

template <typename T>
void ExpectNpyValues(const char *descr, const std::vector<T> &values, std::vector<float> expected) {
    Bytes bytes = dataset_test::NpyHeader(1, descr, "False", "(" + std::to_string(values.size()) + ",)");
    for (const T value : values) dataset_test::Append(&bytes, value);
    const TempFile file(bytes, "npy");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    EXPECT_EQ(1u, dataset_info_get(opened.dataset)->dim);
    EXPECT_EQ(expected, opened.ReadAll()) << descr;
}

TEST(DatasetNpy, ConvertsEveryElementType) {
    ExpectNpyValues<float>("<f4", {1.5f, -2.25f}, {1.5f, -2.25f});
    ExpectNpyValues<double>("<f8", {1.5, 1e300, -0.1}, {1.5f, INFINITY, -0.1f});
    ExpectNpyValues<int8_t>("|i1", {-128, 127}, {-128, 127});
    ExpectNpyValues<int8_t>("<i1", {-1}, {-1});
    ExpectNpyValues<uint8_t>("|u1", {0, 255}, {0, 255});
    ExpectNpyValues<int16_t>("<i2", {-32768, 7}, {-32768, 7});
    ExpectNpyValues<uint16_t>("<u2", {65535}, {65535});
    ExpectNpyValues<int32_t>("<i4", {INT32_MIN, 7}, {-2147483648.0f, 7});
    ExpectNpyValues<uint32_t>("<u4", {0x80000000u}, {2147483648.0f});
    ExpectNpyValues<int64_t>("<i8", {INT64_MIN, -5}, {-9223372036854775808.0f, -5});
    ExpectNpyValues<uint64_t>("<u8", {UINT64_MAX}, {18446744073709551616.0f});
}

TEST(DatasetNpy, ConvertsHalves) {
    // 1, -2, the largest, the smallest normal, the smallest subnormal, the largest subnormal, -0, infinity
    ExpectNpyValues<uint16_t>("<f2", {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x0001, 0x03FF, 0x8000, 0x7C00},
                              {1.0f, -2.0f, 65504.0f, 0x1p-14f, 0x1p-24f, 1023 * 0x1p-24f, -0.0f, INFINITY});
    Bytes bytes = dataset_test::NpyHeader(1, "<f2", "False", "(1,)");
    dataset_test::Append<uint16_t>(&bytes, 0x7E00);
    const TempFile file(bytes, "npy");
    EXPECT_TRUE(std::isnan(Opened(file.path()).ReadAll().at(0)));
}

TEST(Dataset, ReadsIntegersAsKeys) {
    Bytes bytes = dataset_test::NpyHeader(1, "<i4", "False", "(3, 1)");
    for (const int32_t value : {5, -1, INT32_MAX}) dataset_test::Append(&bytes, value);
    const TempFile file(bytes, "npy");
    Opened opened(file.path());
    uint64_t keys[3];
    ASSERT_EQ(DATASET_OK, dataset_read_u64(opened.dataset, 0, 3, keys, &opened.error)) << opened.error.message;
    EXPECT_EQ(5u, keys[0]);
    EXPECT_EQ(UINT64_MAX, keys[1]) << "-1 is how files say 'none'";
    EXPECT_EQ(static_cast<uint64_t>(INT32_MAX), keys[2]);
}

TEST(Dataset, RefusesFloatsAsKeysAndAsNeighbours) {
    const TempFile file(dataset_test::Npy<float>(dataset_test::SmallIntegers(2, 2)), "npy");
    Opened opened(file.path());
    uint64_t keys[4];
    EXPECT_EQ(DATASET_E_INVALID, dataset_read_u64(opened.dataset, 0, 2, keys, &opened.error));
    EXPECT_EQ(DATASET_E_CONTENT, Opened(file.path(), DATASET_PART_NEIGHBORS).status);
    EXPECT_EQ(DATASET_E_ABSENT, Opened(file.path(), DATASET_PART_DISTANCES).status);
}

// ---- npy headers
// ------------------------------------------------------------------------------------------------------

dataset_status OpenNpy(const Bytes &bytes, std::string *message) {
    const TempFile file(bytes, "npy");
    Opened opened(file.path());
    *message = opened.status == DATASET_OK ? "" : opened.error.message;
    return opened.status;
}

TEST(DatasetNpy, UnderstandsAllThreeVersions) {
    for (const int version : {1, 2, 3}) {
        Bytes bytes = dataset_test::NpyHeader(version, "<f4", "False", "(2, 3)");
        for (int i = 0; i < 6; i++) dataset_test::Append(&bytes, static_cast<float>(i));
        const TempFile file(bytes, "npy");
        Opened opened(file.path());
        ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
        EXPECT_EQ(5.0f, opened.ReadAll().back());
    }
}

TEST(DatasetNpy, UnderstandsKeysInAnyOrderAndEitherQuotes) {
    std::string message;
    const Bytes rows(24, 0);
    for (const char *text : {"{\"shape\":(2,3),\"descr\":\"<f4\",\"fortran_order\":False}\n",
                             "{ 'fortran_order' : False , 'shape' : ( 2 , 3 , ) , 'descr' : '<f4' , }      \n"}) {
        Bytes bytes = dataset_test::NpyRaw(1, text);
        bytes.insert(bytes.end(), rows.begin(), rows.end());
        EXPECT_EQ(DATASET_OK, OpenNpy(bytes, &message)) << text << message;
    }
}

TEST(DatasetNpy, RefusesWhatItCannotReadAndSaysWhy) {
    const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", "Fortran"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", "big-endian"},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 3), }", "<c8"},
        {"{'descr': '|f4', 'fortran_order': False, 'shape': (2, 3), }", "|f4"},
        {"{'descr': '', 'fortran_order': False, 'shape': (2, 3), }", "descr"},
        {"{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2, 3), }", "structured"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 3), }", "fortran_order"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1), }", "two axes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", "single number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6), }", "tuple"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", "numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551616, 3), }", "numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 3), }", "rows"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }", "columns"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 99999999999), }", "columns"},
        {"{'descr': '<f4', 'fortran_order': False, }", "lacks"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}", "keys"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } x", "nothing but spaces"},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3), }", "','"},
        {"['descr']", "dict"},
        {"", "dict"},
    };
    for (const auto &one : cases) {
        Bytes bytes = dataset_test::NpyRaw(1, one.text);
        bytes.resize(bytes.size() + 24);
        std::string message;
        EXPECT_EQ(DATASET_E_CONTENT, OpenNpy(bytes, &message)) << one.text;
        EXPECT_NE(std::string::npos, message.find(one.message)) << one.text << " gave " << message;
    }
}

TEST(DatasetNpy, RefusesHeadersThatClaimToBeLong) {
    std::string message;
    for (const uint32_t length : {4097u, 65536u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
        Bytes bytes = dataset_test::NpyHeader(2, "<f4", "False", "(1, 1)");
        memcpy(bytes.data() + 8, &length, sizeof length);
        EXPECT_EQ(DATASET_E_CONTENT, OpenNpy(bytes, &message)) << length;
    }
}

// ---- files and names
// --------------------------------------------------------------------------------------------------

TEST(Dataset, KnowsFormatsByExtension) {
    EXPECT_EQ(DATASET_FORMAT_HDF5, dataset_format_from_path("a.b/sift-128-euclidean.hdf5"));
    EXPECT_EQ(DATASET_FORMAT_HDF5, dataset_format_from_path("X.H5"));
    EXPECT_EQ(DATASET_FORMAT_U8BIN, dataset_format_from_path("base.1B.u8bin"));
    EXPECT_EQ(DATASET_FORMAT_BY_EXTENSION, dataset_format_from_path("dir.npy/file"));
    EXPECT_EQ(DATASET_FORMAT_BY_EXTENSION, dataset_format_from_path("file."));
    EXPECT_EQ(DATASET_FORMAT_BY_EXTENSION, dataset_format_from_path("file.txt"));
    for (int format = DATASET_FORMAT_HDF5; format <= DATASET_FORMAT_NPY; format++) {
        const dataset_format one = static_cast<dataset_format>(format);
        EXPECT_EQ(one, dataset_format_from_name(dataset_format_name(one)));
    }
}

TEST(Dataset, TakesAFormatThatTheExtensionDoesNotSay) {
    const TempFile file(dataset_test::Bin<uint8_t>(dataset_test::SmallIntegers(2, 2)), "data");
    EXPECT_EQ(DATASET_E_INVALID, Opened(file.path()).status);
    EXPECT_EQ(DATASET_OK, Opened(file.path(), DATASET_PART_TRAIN, DATASET_FORMAT_U8BIN).status);
}

TEST(Dataset, RefusesWhatIsNoRegularFile) {
    const std::string directory = dataset_test::TempPath("directory.npy");
    ASSERT_EQ(0, mkdir(directory.c_str(), 0700));
    EXPECT_EQ(DATASET_E_OPEN, Opened(directory).status);
    rmdir(directory.c_str());
    const std::string fifo = dataset_test::TempPath("fifo.npy");
    ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
    EXPECT_EQ(DATASET_E_OPEN, Opened(fifo).status) << "and does not wait for a writer";
    unlink(fifo.c_str());
    EXPECT_EQ(DATASET_E_OPEN, Opened(dataset_test::TempPath("absent.npy")).status);
}

} // namespace
