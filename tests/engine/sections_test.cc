// Goal: the table of sections is what storage/FORMAT.md says, and its entries fit together. Method: the page's table is
// read and compared, row by row.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

extern "C" {
#include "engine/graph/sections.h"
}

namespace {

using Cells = std::vector<std::string>;

std::string trim(const std::string &text) {
    const size_t begin = text.find_first_not_of(' ');
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The cells of the first table in section 7 of the page, without its header, by the first.
std::map<std::string, Cells> table_of_the_page() {
    std::map<std::string, Cells> rows;
    std::ifstream page("storage/FORMAT.md");
    EXPECT_TRUE(page.good());
    std::string line;
    while (std::getline(page, line) && line.rfind("## 7.", 0) != 0) {
    }
    while (std::getline(page, line) && line.rfind("|", 0) != 0) {
    }
    for (std::getline(page, line); std::getline(page, line) && line.rfind("|", 0) == 0;) {
        Cells cells;
        std::stringstream stream(line.substr(1));
        for (std::string cell; std::getline(stream, cell, '|');) cells.push_back(trim(cell));
        EXPECT_TRUE(rows.emplace(cells[0], cells).second) << line;
    }
    return rows;
}

std::vector<const rhumb__section_info *> all_sections() {
    std::vector<const rhumb__section_info *> sections;
    const rhumb__section_info *info = nullptr;
    while ((info = rhumb__section_next(info)) != nullptr) sections.push_back(info);
    return sections;
}

const char *rows_as_on_the_page(rhumb__row_unit unit) {
    switch (unit) {
    case RHUMB__ROW_SLOT: return "slot_count";
    case RHUMB__ROW_SLOT_BITS: return "slot_count / 512, rounded up";
    case RHUMB__ROW_SLOT_TIES: return "slot_count / 8, rounded up";
    case RHUMB__ROW_UPPER_LIST: return "upper_row_count";
    case RHUMB__ROW_KEY_BUCKET: return "key_bucket_count";
    case RHUMB__ROW_KEY_OVERFLOW: return "key_overflow_count";
    }
    return "";
}

TEST(Sections, AreThoseOfThePage) {
    const std::map<std::string, Cells> page = table_of_the_page();
    EXPECT_EQ(page.size(), all_sections().size());
    for (const rhumb__section_info *info : all_sections()) {
        const auto row = page.find(std::to_string(info->id));
        ASSERT_NE(row, page.end()) << info->name;
        const Cells &cells = row->second;
        ASSERT_EQ(cells.size(), 7u) << info->name;
        EXPECT_EQ(cells[1], info->name);
        EXPECT_EQ(cells[2], info->kind == RHUMB__SECTION_APPEND ? "append-only" : "mutable") << info->name;
        EXPECT_EQ(cells[3], info->derived ? "derived" : "required") << info->name;
        EXPECT_EQ(cells[4] == "0", info->codec == nullptr) << info->name;
        EXPECT_EQ(cells[6], rows_as_on_the_page(info->unit)) << info->name;
    }
}

TEST(Sections, AreFoundByTheirIds) {
    std::set<std::string> names;
    for (const rhumb__section_info *info : all_sections()) {
        EXPECT_EQ(rhumb__section_find(info->id), info);
        EXPECT_EQ(info, &rhumb__sections[info->id]);
        EXPECT_TRUE(names.insert(info->name).second) << info->name;
        EXPECT_TRUE(info->filter == nullptr || info->kind == RHUMB__SECTION_MUTABLE) << info->name;
    }
    for (const uint32_t id : {0u, RHUMB__SECTION_ID_LIMIT - 1, RHUMB__SECTION_ID_LIMIT, UINT32_MAX}) {
        EXPECT_EQ(rhumb__section_find(id), nullptr) << id;
    }
}

TEST(Sections, HaveRoomForTheSlotsOfTheirRows) {
    rhumb__counts counts = {};
    for (const uint64_t slot_count : {0, 1, 7, 8, 9, 511, 512, 513}) {
        counts.slot_count = slot_count;
        for (const rhumb__section_info *info : all_sections()) {
            const uint64_t row_count = rhumb__section_row_count(info, &counts);
            EXPECT_LE(row_count, rhumb__section_row_limit(info)) << info->name;
            EXPECT_GE(rhumb__section_slot_capacity(info, row_count), slot_count) << info->name;
        }
    }
}

} // namespace
