// Goal: a list of extents maps every byte of a section to its offset in the file. Method: a table with the offset of
// every block is the model.
#include "tests/support/io_test_support.h"

extern "C" {
#include "base/alloc.h"
#include "storage/frame/extent_list.h"
#include "storage/frame/format.h"
}

namespace {

constexpr uint64_t kBlock = RHUMB__BLOCK_BYTES;

class List {
  public:
    ~List() { rhumb__extent_list_clear(&value); }
    rhumb__extent_list value = {};
};

// Random extents; about half of them continue the previous one in the file.
std::vector<uint64_t> fill(List *target, std::mt19937_64 *random, uint32_t extent_count) {
    std::vector<uint64_t> places;
    for (uint32_t i = 0; i < extent_count; i++) {
        const uint64_t count = 1 + (*random)() % 5;
        const bool continues = !places.empty() && (*random)() % 2 == 0;
        const uint64_t first = continues ? places.back() + 1 : 1000 * (1 + (*random)() % 1000);
        EXPECT_EQ(rhumb__extent_list_append(&target->value, first * kBlock, count * kBlock), RHUMB_OK);
        for (uint64_t k = 0; k < count; k++) places.push_back(first + k);
    }
    return places;
}

void expect_maps(const rhumb__extent_list &list, const std::vector<uint64_t> &places) {
    ASSERT_EQ(list.bytes, places.size() * kBlock);
    uint64_t offset = 0;
    for (uint32_t i = 0; i < list.count; i++) {
        ASSERT_EQ(list.items[i].section_offset, offset);
        ASSERT_GT(list.items[i].bytes, 0u);
        if (i > 0) {
            ASSERT_NE(list.items[i].file_offset, list.items[i - 1].file_offset + list.items[i - 1].bytes)
                << "two items that continue each other should be merged";
        }
        offset += list.items[i].bytes;
    }
    ASSERT_EQ(offset, list.bytes);
    for (uint64_t block = 0; block < places.size(); block++) {
        for (const uint64_t byte : {block * kBlock, block * kBlock + kBlock - 1}) {
            const rhumb__extent_item *item = rhumb__extent_list_find(&list, byte);
            ASSERT_LE(item->section_offset, byte);
            ASSERT_LT(byte, item->section_offset + item->bytes);
            ASSERT_EQ(item->file_offset + (byte - item->section_offset), places[block] * kBlock + byte % kBlock);
        }
    }
}

TEST(ExtentList, FindsTheOffsetOfEveryByte) {
    std::mt19937_64 random(io_test::choose_seed());
    for (int round = 0; round < 100; round++) {
        List list;
        const std::vector<uint64_t> places = fill(&list, &random, 1 + random() % 60);
        ASSERT_NO_FATAL_FAILURE(expect_maps(list.value, places));
    }
}

TEST(ExtentList, AppendsAnyPartOfAnother) {
    std::mt19937_64 random(io_test::choose_seed());
    for (int round = 0; round < 300; round++) {
        List source;
        List list;
        const std::vector<uint64_t> places = fill(&source, &random, 1 + random() % 30);
        std::vector<uint64_t> expected = fill(&list, &random, random() % 3);
        const uint64_t first = random() % places.size();
        const uint64_t count = random() % (places.size() - first + 1);
        ASSERT_EQ(rhumb__extent_list_append_range(&list.value, &source.value, first * kBlock, count * kBlock),
                  RHUMB_OK);
        expected.insert(expected.end(), places.begin() + first, places.begin() + first + count);
        ASSERT_NO_FATAL_FAILURE(expect_maps(list.value, expected));
    }
}

TEST(ExtentList, ReportsWhatIsContiguous) {
    std::mt19937_64 random(io_test::choose_seed());
    for (int round = 0; round < 50; round++) {
        List list;
        const std::vector<uint64_t> places = fill(&list, &random, 1 + random() % 20);
        for (uint64_t first = 0; first < places.size(); first++) {
            for (uint64_t count = 1; first + count <= places.size(); count++) {
                const bool contiguous = places[first + count - 1] == places[first] + count - 1;
                ASSERT_EQ(rhumb__extent_list_is_contiguous(&list.value, first * kBlock, count * kBlock), contiguous);
            }
        }
    }
}

TEST(ExtentList, IgnoresAnEmptyExtent) {
    List list;
    EXPECT_EQ(rhumb__extent_list_append(&list.value, kBlock, 0), RHUMB_OK);
    EXPECT_EQ(list.value.count, 0u);
    EXPECT_EQ(list.value.bytes, 0u);
}

TEST(ExtentList, StaysAsItWasWithoutMemory) {
    List list;
    ASSERT_EQ(rhumb__extent_list_append(&list.value, kBlock, kBlock), RHUMB_OK);
    while (list.value.count < list.value.capacity) {
        ASSERT_EQ(rhumb__extent_list_append(&list.value, 3 * kBlock * (list.value.count + 1), kBlock), RHUMB_OK);
    }
    const uint64_t bytes = list.value.bytes;
    rhumb__alloc_fail_after(1, true);
    EXPECT_EQ(rhumb__extent_list_append(&list.value, 1000 * kBlock, kBlock), RHUMB_E_NOMEM);
    rhumb__alloc_fail_after(0, false);
    EXPECT_EQ(list.value.bytes, bytes);
    EXPECT_EQ(rhumb__extent_list_append(&list.value, 1000 * kBlock, kBlock), RHUMB_OK);
    EXPECT_EQ(list.value.bytes, bytes + kBlock);
}

} // namespace
