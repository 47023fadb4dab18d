// Goal: rhumb_index_info_get describes a file as its handles do, also with a writer and readers, keeps nothing, and
// says what it can of damaged files. Method: sound indexes in every state, compared with the statistics of a handle;
// random damage, under which every answer must come, and what is called known must be what the sound file says.
#include <fcntl.h>
#include <unistd.h>

#include <map>

#include "tests/support/index_test_support.h"
#include "tests/support/seed.h"

namespace index_test {
namespace {

constexpr uint32_t kAll =
    RHUMB_INFO_VERSION | RHUMB_INFO_CONTENT | RHUMB_INFO_SPACE | RHUMB_INFO_LOG | RHUMB_INFO_WRITER | RHUMB_INFO_PINS;

class Info : public ::testing::Test {
  protected:
    rhumb_index_info info() {
        rhumb_index_info found = {};
        EXPECT_OK(rhumb_index_info_get(path_.c_str(), &found, sizeof found));
        EXPECT_EQ(found.size, sizeof found);
        return found;
    }
    std::map<std::string, rhumb_section_info> sections() {
        rhumb_section_info found[RHUMB_SECTION_COUNT_MAX] = {};
        size_t count = 0;
        EXPECT_OK(rhumb_index_sections_get(path_.c_str(), found, sizeof found[0], RHUMB_SECTION_COUNT_MAX, &count));
        std::map<std::string, rhumb_section_info> by_name;
        for (size_t i = 0; i < count; i++) by_name[found[i].name] = found[i];
        EXPECT_EQ(by_name.size(), count);
        return by_name;
    }
    Index build(size_t count) {
        rhumb_index_options options = index_options(8, RHUMB_METRIC_COSINE);
        options.M = 5;
        options.seed = 77;
        Index index = create(path_, options);
        EXPECT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors_.components.data(), count, nullptr, nullptr));
        return index;
    }

    ScratchDirectory directory_;
    const std::string path_ = directory_.file("index.rhumb");
    Vectors vectors_ = random_vectors(600, 8, 3);
};

TEST_F(Info, SaysWhatAHandleSays) {
    {
        const Index index = build(500);
        for (uint64_t key = 0; key < 20; key++) ASSERT_OK(rhumb_index_delete(index.get(), key));
        ASSERT_OK(rhumb_index_checkpoint(index.get()));
    }
    const rhumb_index_info found = info();
    EXPECT_EQ(found.known, kAll);
    EXPECT_EQ(found.problem_count, 0u) << found.first_problem;
    EXPECT_FALSE(found.writer_open);
    EXPECT_EQ(found.pin_count, 0u);
    EXPECT_FALSE(found.log_present);
    EXPECT_EQ(found.log_pending_count, 0u);
    const Index reader = open(path_, true);
    const rhumb_index_stats expected = stats(reader);
    EXPECT_EQ(memcmp(found.uuid, expected.uuid, sizeof found.uuid), 0);
    EXPECT_EQ(found.format_version, expected.format_version);
    EXPECT_EQ(found.creator_version, expected.creator_version);
    EXPECT_EQ(found.created_unix_ns, expected.created_unix_ns);
    EXPECT_EQ(found.epoch, expected.epoch);
    EXPECT_EQ(found.count, 480u);
    EXPECT_EQ(found.deleted_count, expected.slot_count - expected.count);
    EXPECT_EQ(found.level_top, expected.level_top);
    EXPECT_EQ(found.key_next, expected.key_next);
    EXPECT_EQ(found.lsn, expected.lsn);
    EXPECT_EQ(found.file_bytes, std::filesystem::file_size(path_));
    EXPECT_EQ(found.file_free_bytes, expected.file_free_bytes);
    const rhumb_index_options options = created_with(reader);
    EXPECT_EQ(found.dim, 8u);
    EXPECT_EQ(found.metric, RHUMB_METRIC_COSINE);
    EXPECT_EQ(found.element, options.element);
    EXPECT_EQ(found.M, 5u);
    EXPECT_EQ(found.M0, options.M0);
    EXPECT_EQ(found.ef_construction, options.ef_construction);
    EXPECT_EQ(found.ef_search, options.ef_search);
    EXPECT_EQ(found.level_max, options.level_max);
    EXPECT_EQ(found.level_scale, options.level_scale);
    EXPECT_EQ(found.seed, 77u);
    EXPECT_STREQ(found.custom_name, "");
}

TEST_F(Info, SeesTheWriterTheLogAndThePins) {
    const Index index = build(100);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    const Index first = open(path_, true), second = open(path_, true);
    const uint64_t pinned = stats(first).epoch;
    for (uint64_t i = 0; i < 30; i++) ASSERT_OK(rhumb_index_insert(index.get(), 1000 + i, vectors_.row(i)));
    rhumb_index_info found = info();
    EXPECT_EQ(found.known, kAll);
    EXPECT_TRUE(found.writer_open);
    EXPECT_TRUE(found.log_present);
    EXPECT_TRUE(found.log_expected);
    EXPECT_GT(found.log_bytes, 30u * 8 * sizeof(float));
    EXPECT_EQ(found.log_pending_count, 30u) << found.first_problem;
    EXPECT_EQ(found.count, 100u) << "of the newest checkpoint";
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    found = info();
    EXPECT_EQ(found.log_pending_count, 0u);
    EXPECT_EQ(found.count, 130u);
    ASSERT_EQ(found.pin_count, 1u);
    EXPECT_EQ(found.pin_epochs[0], pinned);
    EXPECT_LT(found.pin_epochs[0], found.epoch);
    if (found.pin_pid_counts[0] > 0) { // where /proc tells
        EXPECT_EQ(found.pin_pids[0], getpid());
        EXPECT_EQ(found.pin_reader_counts[0], 2u);
    }
    EXPECT_EQ(stats(index).pin_count, 1u);
    EXPECT_EQ(stats(index).pin_epoch_oldest, pinned);
    EXPECT_EQ(stats(first).pin_epoch_oldest, pinned);
    EXPECT_GT(stats(index).process_mapping_count, stats(index).mapping_count);
    // Looking pins nothing, and takes no lock.
    EXPECT_EQ(info().pin_count, 1u);
    ASSERT_OK(rhumb_index_insert(index.get(), 5000, vectors_.row(0)));
}

TEST_F(Info, NamesTheSectionsAndCountsTheirRows) {
    const Index index = build(100);
    ASSERT_OK(rhumb_index_checkpoint(index.get()));
    for (uint64_t i = 0; i < 30; i++) ASSERT_OK(rhumb_index_insert(index.get(), 1000 + i, vectors_.row(i)));
    const auto found = sections();
    ASSERT_EQ(found.count("vectors"), 1u);
    EXPECT_EQ(found.at("vectors").row_count, 100u) << "of the newest checkpoint";
    EXPECT_GE(found.at("vectors").row_bytes, 8 * sizeof(float)); // and what the metric keeps with each
    EXPECT_EQ(found.at("lists0").row_count, 100u);
    uint64_t bytes = 0;
    for (const auto &[name, section] : found) {
        EXPECT_EQ(section.size, sizeof section);
        EXPECT_GE(section.file_bytes, section.row_count * section.row_bytes) << name;
        EXPECT_LE(section.resident_bytes, section.file_bytes) << name;
        bytes += section.file_bytes;
    }
    EXPECT_LT(bytes, std::filesystem::file_size(path_));
    EXPECT_EQ(info().pin_count, 0u) << "looking pins nothing";
}

TEST_F(Info, CountsThePagesOfASectionThatAreInMemory) {
    build(600).reset();
    const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(fsync(fd), 0);
    ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    uint64_t resident_bytes = 0;
    for (const auto &[name, section] : sections()) resident_bytes += section.resident_bytes;
    if (resident_bytes > 0) {
        ::close(fd);
        GTEST_SKIP() << "the file system keeps its files in memory";
    }
    std::vector<char> all(std::filesystem::file_size(path_));
    EXPECT_EQ(pread(fd, all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
    ::close(fd);
    for (const auto &[name, section] : sections()) EXPECT_EQ(section.resident_bytes, section.file_bytes) << name;
}

TEST_F(Info, SectionsThatHaveNoRoomAreCounted) {
    build(10).reset();
    const size_t all_count = sections().size();
    const size_t cut_size = offsetof(rhumb_section_info, row_count);
    std::vector<uint8_t> bytes(3 * sizeof(rhumb_section_info), 0xEE);
    auto *cut = reinterpret_cast<rhumb_section_info *>(bytes.data());
    size_t count = 0;
    EXPECT_OK(rhumb_index_sections_get(path_.c_str(), cut, cut_size, 2, &count));
    EXPECT_EQ(count, all_count);
    for (size_t i = 2 * cut_size; i < bytes.size(); i++) ASSERT_EQ(bytes[i], 0xEE);
    EXPECT_STREQ(reinterpret_cast<rhumb_section_info *>(bytes.data() + cut_size)->name, "keys");
    EXPECT_EQ(rhumb_index_sections_get(path_.c_str(), nullptr, sizeof *cut, 2, &count), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_sections_get(path_.c_str(), cut, 3, 2, &count), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_sections_get(path_.c_str(), cut, sizeof *cut, 2, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_sections_get("", cut, sizeof *cut, 2, &count), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_sections_get((path_ + "-none").c_str(), cut, sizeof *cut, 2, &count), RHUMB_E_NOTFOUND);
}

TEST_F(Info, ASmallerStructAndWrongArguments) {
    build(10).reset();
    std::vector<uint8_t> bytes(sizeof(rhumb_index_info), 0xEE);
    auto *cut = reinterpret_cast<rhumb_index_info *>(bytes.data());
    const size_t cut_size = offsetof(rhumb_index_info, count);
    EXPECT_OK(rhumb_index_info_get(path_.c_str(), cut, cut_size));
    EXPECT_EQ(cut->dim, 8u);
    for (size_t i = cut_size; i < bytes.size(); i++) ASSERT_EQ(bytes[i], 0xEE);
    EXPECT_EQ(rhumb_index_info_get(path_.c_str(), nullptr, sizeof *cut), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_info_get(path_.c_str(), cut, 3), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_info_get(nullptr, cut, sizeof *cut), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_info_get("", cut, sizeof *cut), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_info_get((path_ + "-none").c_str(), cut, sizeof *cut), RHUMB_E_NOTFOUND);
    EXPECT_EQ(rhumb_index_info_get("/dev/null", cut, sizeof *cut), RHUMB_E_INVALID);
    std::ofstream(path_) << std::string(100000, 'x');
    EXPECT_EQ(rhumb_index_info_get(path_.c_str(), cut, sizeof *cut), RHUMB_E_NOT_AN_INDEX);
}

TEST_F(Info, WorksOnDamagedFilesAsFarAsItCan) {
    build(200).reset();
    const rhumb_index_info sound = info();
    std::string bytes;
    {
        std::ifstream file(path_, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(file), {});
    }
    std::mt19937_64 random(rhumb_test::choose_seed());
    size_t told_count = 0;
    for (int round = 0; round < 300; round++) {
        std::string damaged = bytes;
        const size_t length = round % 5 == 0 ? random() % damaged.size() : damaged.size();
        damaged.resize(length);
        const size_t run = 1 + random() % (random() % 2 == 0 ? 64 : 65536);
        const size_t begin = random() % std::max<size_t>(random() % 2 == 0 ? 140000 : length, 1);
        for (size_t i = begin; i < begin + run && i < length; i++) damaged[i] = static_cast<char>(random());
        std::ofstream(path_, std::ios::binary | std::ios::trunc).write(damaged.data(), static_cast<long>(length));
        rhumb_index_info found = {};
        rhumb_section_info sections[RHUMB_SECTION_COUNT_MAX] = {};
        size_t section_count = 0;
        const rhumb_status told =
            rhumb_index_sections_get(path_.c_str(), sections, sizeof sections[0], 4, &section_count);
        EXPECT_EQ(sections[4].size, 0u);
        EXPECT_EQ(told == RHUMB_OK, section_count > 0);
        const rhumb_status status = rhumb_index_info_get(path_.c_str(), &found, sizeof found);
        if (status != RHUMB_OK) {
            EXPECT_TRUE(status == RHUMB_E_NOT_AN_INDEX || status == RHUMB_E_VERSION) << status;
            continue;
        }
        EXPECT_EQ(found.file_bytes, length);
        EXPECT_EQ(found.problem_count > 0, found.first_problem[0] != '\0');
        if (length < bytes.size() && found.known != kAll) {
            EXPECT_GT(found.problem_count, 0u);
        }
        if ((found.known & RHUMB_INFO_VERSION) == 0) continue;
        told_count++;
        EXPECT_EQ(memcmp(found.uuid, sound.uuid, sizeof sound.uuid), 0);
        if (found.epoch == sound.epoch && (found.known & RHUMB_INFO_CONTENT) != 0) {
            EXPECT_EQ(found.count, 200u);
            EXPECT_EQ(found.seed, 77u);
        }
    }
    EXPECT_GT(told_count, 100u);
}

} // namespace
} // namespace index_test
