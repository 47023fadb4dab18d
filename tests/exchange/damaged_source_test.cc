// Goal: whatever bytes a source has, importing it ends with a sound index or with a status; of a file that is cut short
// the status says where. Never a crash, and never a new file after a failure. Method: each genuine file cut at lengths
// of all kinds and with single bytes flipped (RHUMB_FULL: at every byte), cut while it is read, with bytes changed at
// random in one or several places, and where memory runs out. Seeds are printed; RHUMB_ITERS sets how often bytes are
// changed.
#include <unistd.h>

#include <random>

extern "C" {
#include "base/alloc.h"
}
#include "tests/exchange/sample_files.h"
#include "tests/support/sanitized.h"

namespace exchange_test {
namespace {

using index_test::Index;
using index_test::ScratchDirectory;

// The files of a sample, as names to be put into a folder of the test's.
std::vector<std::string> files_of(const Sample &sample) {
    if (sample.format == "hnsw_rs") return {sample.name + ".hnsw.graph", sample.name + ".hnsw.data"};
    if (sample.format != "chroma") return {sample.name + ".bin"};
    const std::string folder = sample.name + ".bin/";
    return {folder + "header.bin", folder + "data_level0.bin", folder + "link_lists.bin"};
}

class DamagedSource : public ::testing::TestWithParam<Sample> {
  protected:
    void SetUp() override {
        if (GetParam().format == "chroma") std::filesystem::create_directory(sources_.file(GetParam().name + ".bin"));
        for (const std::string &name : files_of(GetParam())) {
            images_.push_back(index_test::file_bytes(sample_path(name)));
            put(images_.size() - 1, images_.back());
        }
    }
    void put(size_t file, const std::vector<uint8_t> &image) {
        index_test::put_file(sources_.file(files_of(GetParam())[file]), std::string(image.begin(), image.end()));
    }
    // Imports what lies there. A new index is looked at; a failure leaves nothing.
    rhumb_status import() {
        const std::string source =
            sources_.file(GetParam().format == "hnsw_rs" ? GetParam().name : GetParam().name + ".bin");
        rhumb_import_options options = GetParam().options();
        options.format = rhumb_import_format_from_name(GetParam().format.c_str());
        options.thread_count = 1;
        rhumb_import_report report = {};
        const rhumb_status status = rhumb_index_import(source.c_str(), path_.c_str(), &options, &report, sizeof report);
        if (status != RHUMB_OK) {
            EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 0);
            EXPECT_NE(rhumb_error_last()->message[0], '\0');
            return status;
        }
        const Index index = index_test::open(path_, true);
        rhumb_verify_report verified = {};
        EXPECT_OK(rhumb_index_verify(index.get(), &verified, sizeof verified)) << verified.first_error;
        EXPECT_EQ(verified.unreachable_count, 0u);
        std::filesystem::remove(path_);
        return status;
    }

    ScratchDirectory directory_, sources_;
    const std::string path_ = directory_.file("new.rhumb");
    std::vector<std::vector<uint8_t>> images_;
};

// Annoy's rows have no end that is marked: a file cut between rows is a file of Annoy.
TEST_P(DamagedSource, CutAtAnyByteIsAnErrorThatSaysWhere) {
    const Sample &sample = GetParam();
    // All lengths of one small sample; of the others samples, which are others in each run.
    const bool all = getenv("RHUMB_FULL") != nullptr || (sample.name == "hnswlib_one" && !rhumb_test::kSanitized);
    const size_t step = all ? 1 : 61;
    const size_t begin = all ? 0 : rhumb_test::choose_seed() % step;
    for (size_t file = 0; file < images_.size(); file++) {
        for (size_t bytes = begin; bytes < images_[file].size(); bytes += step) {
            std::vector<uint8_t> image = images_[file];
            image.resize(bytes);
            put(file, image);
            const rhumb_status status = import();
            if (sample.format == "annoy" && status == RHUMB_OK) continue;
            ASSERT_TRUE(status == RHUMB_E_TRUNCATED || status == RHUMB_E_CORRUPT || status == RHUMB_E_UNSUPPORTED)
                << files_of(sample)[file] << " cut to " << bytes << ": " << index_test::last_error();
            ASSERT_NE(rhumb_error_last()->file_offset, UINT64_MAX) << bytes << ": " << index_test::last_error();
            ASSERT_LE(rhumb_error_last()->file_offset, images_[file].size());
        }
        put(file, images_[file]);
    }
}

TEST_P(DamagedSource, EachFlippedByteGivesAStatusOrASoundIndex) {
    const Sample &sample = GetParam();
    const bool all = getenv("RHUMB_FULL") != nullptr;
    const size_t step = all ? 1 : 15877; // an import syncs, so a few of each sample
    const size_t begin = all ? 0 : rhumb_test::choose_seed() % step;
    for (size_t file = 0; file < images_.size(); file++) {
        for (size_t at = begin; at < images_[file].size(); at += step) {
            std::vector<uint8_t> image = images_[file];
            image[at] ^= 0xFF;
            put(file, image);
            import();
            ASSERT_FALSE(HasFailure()) << files_of(sample)[file] << " flipped at " << at;
        }
        put(file, images_[file]);
    }
}

TEST_P(DamagedSource, ChangedBytesGiveAStatusOrASoundIndex) {
    std::mt19937_64 random(rhumb_test::choose_seed());
    size_t imported_count = 0;
    const char *rounds = getenv("RHUMB_ITERS");
    const size_t round_count = rounds != nullptr ? strtoul(rounds, nullptr, 10) : rhumb_test::kSanitized ? 20 : 40;
    for (size_t round = 0; round < round_count; round++) {
        const size_t file = random() % images_.size();
        std::vector<uint8_t> image = images_[file];
        if (image.empty()) continue;
        const size_t change_count = size_t{1} << random() % 6;
        // Headers matter most.
        const size_t limit = random() % 2 == 0 ? std::min<size_t>(image.size(), 256) : image.size();
        for (size_t i = 0; i < change_count; i++) {
            uint8_t *byte = &image[random() % limit];
            *byte =
                random() % 3 == 0 ? static_cast<uint8_t>(random()) : *byte ^ static_cast<uint8_t>(1 << random() % 8);
        }
        put(file, image);
        imported_count += import() == RHUMB_OK;
        put(file, images_[file]);
        ASSERT_FALSE(HasFailure()) << "round " << round;
    }
    printf("%zu of %zu imported\n", imported_count, round_count);
}

// What is behind the next window is gone when it is read.
TEST(ShrinkingSource, IsAnErrorThatSaysWhere) {
    const ScratchDirectory directory, sources;
    const std::string index_path = directory.file("index.rhumb"), source = sources.file("source.bin");
    rhumb_index_options created = index_test::index_options(64);
    const Index index = index_test::create_with_durability(index_path, created, RHUMB_DURABILITY_NONE);
    const index_test::Vectors vectors = index_test::random_vectors(5000, 64, 397);
    ASSERT_OK(rhumb_index_insert_batch(index.get(), nullptr, vectors.components.data(), 5000, nullptr, nullptr));
    ASSERT_OK(rhumb_index_export(index.get(), source.c_str(), nullptr));
    rhumb_import_options options;
    rhumb_import_options_init(&options, sizeof options);
    options.metric = RHUMB_METRIC_L2;
    std::string cut_path = source;
    options.progress_context = &cut_path;
    options.progress = [](void *context, uint64_t, uint64_t) {
        return truncate(static_cast<std::string *>(context)->c_str(), 100000) == 0;
    };
    const std::string new_path = directory.file("new.rhumb");
    EXPECT_STATUS(RHUMB_E_TRUNCATED, rhumb_index_import(source.c_str(), new_path.c_str(), &options, nullptr, 0));
    EXPECT_GE(rhumb_error_last()->file_offset, 100000u);
    EXPECT_LT(rhumb_error_last()->file_offset, UINT64_MAX);
    EXPECT_FALSE(std::filesystem::exists(new_path));
}

// Each request for memory fails once, in an import of each format.
TEST_P(DamagedSource, WithoutMemoryIsAStatus) {
    const std::set<std::string> names = {"annoy_dot",  "chroma_l2",  "faiss_sq8",   "hnsw_rs_v4",
                                         "hnswlib_l2", "usearch_b1", "voyager_e4m3"};
    if (names.count(GetParam().name) == 0) return;
    bool imported = false;
    const uint64_t step = getenv("RHUMB_FULL") != nullptr ? 1 : 3;
    for (uint64_t countdown = 1; countdown < 5000 && !imported; countdown += step) {
        rhumb__alloc_fail_after(countdown, false);
        const std::string source =
            sources_.file(GetParam().format == "hnsw_rs" ? GetParam().name : GetParam().name + ".bin");
        rhumb_import_options options = GetParam().options();
        options.thread_count = 1;
        const rhumb_status status = rhumb_index_import(source.c_str(), path_.c_str(), &options, nullptr, 0);
        imported = rhumb__alloc_request_count() < countdown;
        rhumb__alloc_fail_after(0, false);
        ASSERT_TRUE(status == RHUMB_OK || status == RHUMB_E_NOMEM) << countdown << ": " << index_test::last_error();
        if (status == RHUMB_OK) std::filesystem::remove(path_);
        ASSERT_FALSE(std::filesystem::exists(path_)) << countdown;
    }
    EXPECT_TRUE(imported);
}

INSTANTIATE_TEST_SUITE_P(Samples, DamagedSource, ::testing::ValuesIn(all_samples()),
                         [](const auto &sample) { return sample.param.name; });

} // namespace
} // namespace exchange_test
