// Vectors in lines of JSON: what is written comes back, to the last bit; whatever else a line holds is refused with its
// line and column, and hostile bytes are rows or an error. Also bools of NumPy, keys, and rows of unequal length.
//
// Method: texts are written here and compared with literal numbers. Hostile files are made from a good one: cut at
// every length, and every byte set to many values. The test is worth most under AddressSanitizer.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "api/cli/dataset/dataset.h"
#include "tests/support/dataset_test_support.h"
#include "tests/support/sanitized.h"
#include "tests/support/seed.h"

namespace {

using dataset_test::Bytes;
using dataset_test::Opened;
using dataset_test::TempFile;

Bytes Text(const std::string &text) { return Bytes(text.begin(), text.end()); }

// The error of opening and reading all of a text; "" if there is none.
std::string ErrorOf(const std::string &text) {
    const TempFile file(Text(text), "jsonl");
    Opened opened(file.path());
    if (opened.status != DATASET_OK) return opened.error.message;
    const dataset_info *info = dataset_info_get(opened.dataset);
    std::vector<double> rows(info->row_count * info->dim);
    if (dataset_read_raw(opened.dataset, 0, info->row_count, rows.data(), &opened.error) != DATASET_OK)
        return opened.error.message;
    std::vector<uint64_t> keys(info->row_count);
    if (info->has_keys &&
        dataset_read_keys(opened.dataset, 0, info->row_count, keys.data(), &opened.error) != DATASET_OK)
        return opened.error.message;
    return "";
}

TEST(DatasetJsonl, GivesVectorsAndKeys) {
    const TempFile file(Text("{\"key\": 7, \"vector\": [1, -2.5e-3, 0]}\n"
                             "\t{ \"vector\" :[1E2,3.0 , 0.1 ] , \"key\":18446744073709551614 } \r\n"
                             "{\"key\":0,\"vector\":[-0,9007199254740992,1e-310]}"),
                        "jsonl");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    const dataset_info *info = dataset_info_get(opened.dataset);
    EXPECT_EQ(3u, info->row_count);
    EXPECT_EQ(3u, info->dim);
    EXPECT_EQ(RHUMB_ELEMENT_F64, info->element);
    EXPECT_TRUE(info->has_keys);
    std::vector<double> rows(9);
    ASSERT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, 0, 3, rows.data(), &opened.error)) << opened.error.message;
    EXPECT_EQ((std::vector<double>{1, -2.5e-3, 0, 1e2, 3, 0.1, -0.0, 9007199254740992, 1e-310}), rows);
    std::vector<uint64_t> keys(3);
    ASSERT_EQ(DATASET_OK, dataset_read_keys(opened.dataset, 0, 3, keys.data(), &opened.error));
    EXPECT_EQ((std::vector<uint64_t>{7, UINT64_MAX - 1, 0}), keys);
    std::vector<float> last(3);
    ASSERT_EQ(DATASET_OK, dataset_read_f32(opened.dataset, 1, 1, last.data(), &opened.error));
    EXPECT_EQ((std::vector<float>{100, 3, 0.1f}), last);
}

TEST(DatasetJsonl, BringsEveryNumberBack) {
    const uint64_t seed = rhumb_test::choose_seed();
    std::mt19937_64 random(seed);
    std::string text;
    std::vector<double> expected;
    for (int row = 0; row < 300; row++) {
        text += "{\"vector\": [";
        for (int i = 0; i < 5; i++) {
            double value;
            do {
                const uint64_t bits = random();
                memcpy(&value, &bits, sizeof value);
            } while (!std::isfinite(value));
            char number[40];
            snprintf(number, sizeof number, "%s%.17g", i ? ", " : "", value);
            text += number;
            expected.push_back(value);
        }
        text += "]}\n";
    }
    const TempFile file(Text(text), "jsonl");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    std::vector<double> rows(expected.size());
    ASSERT_EQ(DATASET_OK, dataset_read_raw(opened.dataset, 0, 300, rows.data(), &opened.error));
    EXPECT_EQ(0, memcmp(expected.data(), rows.data(), rows.size() * sizeof(double))) << "RHUMB_SEED=" << seed;
}

TEST(DatasetJsonl, RefusesWhatIsNotItsFormWithLineAndColumn) {
    const std::string good = "{\"vector\": [1, 2]}\n";
    const struct {
        const char *line, *place;
    } cases[] = {
        {"{\"vector\": [1, NaN]}", "line 2, column 16"},
        {"{\"vector\": [1, -Infinity]}", "line 2, column 16"},
        {"{\"vector\": [1, 0x10]}", "line 2, column 16"},
        {"{\"vector\": [1, 01]}", "line 2, column 16"},
        {"{\"vector\": [1, .5]}", "line 2, column 16"},
        {"{\"vector\": [1, 5.]}", "line 2, column 16"},
        {"{\"vector\": [1, +5]}", "line 2, column 16"},
        {"{\"vector\": [1, 1e]}", "line 2, column 16"},
        {"{\"vector\": [1, 1e999]}", "line 2, column 16"},
        {"{\"vector\": [1, 9007199254740993]}", "line 2, column 16"},
        {"{\"vector\": [1, \"2\"]}", "line 2, column 16"},
        {"{\"vector\": [1, 2,]}", "line 2, column 18"},
        {"{\"vector\": [1, 2]} x", "line 2, column 20"},
        {"{\"vector\": [1, 2]", "line 2, column 18"},
        {"{\"vector\": [1, 2], \"vector\": [1, 2]}", "line 2, column 29"},
        {"{\"vector\": [1, 2], \"id\": 3}", "line 2, column 20"},
        {"{\"vector\": [1, 2], \"key\": 3}", "has a key, unlike line 1"},
        {"{\"vector\": [1, 2, 3]}", "(line 2) has 3 components"},
        {"{\"key\": 3, \"key\": 4, \"vector\": [1, 2]}", "line 2, column 18"},
        {"{\"key\": -3, \"vector\": [1, 2]}", "line 2, column 9"},
        {"{\"key\": 1.0, \"vector\": [1, 2]}", "line 2, column 9"},
        {"{\"key\": 18446744073709551615, \"vector\": [1, 2]}", "line 2, column 9"},
        {"{\"key\": 18446744073709551616, \"vector\": [1, 2]}", "line 2, column 9"},
        {"[1, 2, 3, 4, 5, 6]", "line 2, column 1"},
        {"", "line 2 has 1 bytes"},
    };
    for (const auto &one : cases) {
        const std::string error = ErrorOf(good + one.line + "\n" + good);
        EXPECT_NE(std::string::npos, error.find(one.place)) << one.line << ": " << error;
    }
    EXPECT_EQ("", ErrorOf(good + good));
    EXPECT_NE("", ErrorOf(""));
    EXPECT_NE("", ErrorOf("{\"vector\": [], \"key\": 7}\n"));
    EXPECT_NE("", ErrorOf(good + std::string("{\"vector\": [1, 2]\0}", 19) + "\n"));
}

TEST(DatasetJsonl, BoundsTheLengthOfALine) {
    const std::string line = "{\"vector\": [" + std::string((32u << 20) + 1, ' ') + "1]}\n";
    EXPECT_NE(std::string::npos, ErrorOf(line).find("line 1 has")) << ErrorOf(line);
}

TEST(DatasetJsonl, IsRowsOrAnErrorWhateverBytesItHas) {
    const std::string good = "{\"key\": 12, \"vector\": [1.5e1, -2]}\n{\"vector\":[0,3],\"key\":1}\n";
    for (size_t length = 0; length < good.size(); length++) ErrorOf(good.substr(0, length));
    const int step = rhumb_test::kSanitized ? 17 : 5;
    for (size_t place = 0; place < good.size(); place++)
        for (int value = 0; value < 256; value += step) {
            std::string changed = good;
            changed[place] = static_cast<char>(value);
            ErrorOf(changed);
        }
}

TEST(DatasetBool, IsBytesOfZeroAndOne) {
    Bytes bytes = dataset_test::NpyHeader(1, "|b1", "False", "(2, 3)");
    for (const unsigned char value : {1, 0, 1, 0, 0, 1}) bytes.push_back(value);
    const TempFile file(bytes, "npy");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    EXPECT_TRUE(dataset_info_get(opened.dataset)->is_bool);
    EXPECT_EQ(RHUMB_ELEMENT_U8, dataset_info_get(opened.dataset)->element);
    EXPECT_EQ((std::vector<float>{1, 0, 1, 0, 0, 1}), opened.ReadAll());
    bytes.back() = 2;
    file.Rewrite(bytes);
    Opened bad(file.path());
    std::vector<unsigned char> rows(6);
    EXPECT_EQ(DATASET_E_CONTENT, dataset_read_raw(bad.dataset, 0, 2, rows.data(), &bad.error));
    EXPECT_NE(nullptr, strstr(bad.error.message, "row 1 has 2 as component 2")) << bad.error.message;
}

template <typename T> void ExpectKeys(const char *descr, const std::vector<T> &values, const char *refused) {
    Bytes bytes = dataset_test::NpyHeader(1, descr, "False", "(" + std::to_string(values.size()) + ",)");
    for (const T value : values) dataset_test::Append(&bytes, value);
    const TempFile file(bytes, "npy");
    Opened opened(file.path());
    ASSERT_EQ(DATASET_OK, opened.status) << opened.error.message;
    std::vector<uint64_t> keys(values.size());
    const dataset_status status = dataset_read_keys(opened.dataset, 0, keys.size(), keys.data(), &opened.error);
    EXPECT_EQ(refused ? DATASET_E_CONTENT : DATASET_OK, status);
    if (!refused) return;
    EXPECT_NE(nullptr, strstr(opened.error.message, refused)) << opened.error.message;
}

TEST(DatasetKeys, AreNeitherNegativeNorTheMarkOfNone) {
    ExpectKeys<int64_t>("<i8", {0, INT64_MAX}, nullptr);
    ExpectKeys<int64_t>("<i8", {0, -1}, "row 1 has the key -1");
    ExpectKeys<int8_t>("|i1", {5, -128}, "row 1 has the key -128");
    ExpectKeys<uint64_t>("<u8", {UINT64_MAX - 1}, nullptr);
    ExpectKeys<uint64_t>("<u8", {3, UINT64_MAX}, "row 1 has the key 18446744073709551615");
    ExpectKeys<uint8_t>("|u1", {255}, nullptr);
}

TEST(DatasetVecs, NamesTheRowThatIsLongerOrShorter) {
    for (const uint32_t odd : {1u, 5u, 6u, 100u}) {
        Bytes bytes;
        for (uint32_t row = 0; row < 50; row++) {
            const uint32_t dim = row == 40 ? odd : 4;
            dataset_test::Append(&bytes, dim);
            for (uint32_t i = 0; i < dim; i++) dataset_test::Append(&bytes, 1.0f);
        }
        const TempFile file(bytes, "fvecs");
        Opened opened(file.path());
        std::string error = opened.error.message;
        std::vector<float> rows(bytes.size());
        if (opened.status == DATASET_OK &&
            dataset_read_f32(opened.dataset, 0, dataset_info_get(opened.dataset)->row_count, rows.data(),
                             &opened.error) != DATASET_OK)
            error = opened.error.message;
        const std::string wanted = "row 40 says that it has " + std::to_string(odd) + " components";
        EXPECT_NE(std::string::npos, error.find(wanted)) << error;
    }
}

} // namespace
