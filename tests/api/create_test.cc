// Goal: the options of a new index are checked, kept and reported as rhumb.h says, and options structs of other
// versions of the header are understood. Method: every option at and beyond its limits; structs that are cut short or
// longer than the library's.
#include "tests/support/index_test_support.h"

namespace index_test {
namespace {

struct BadOption {
    const char *name; // as the message must name it
    std::function<void(rhumb_index_options &)> spoil;
};

const std::vector<BadOption> &bad_options() {
    static const double infinity = std::numeric_limits<double>::infinity();
    static const std::vector<BadOption> options = {
        {"dim", [](auto &o) { o.dim = 0; }},
        {"dim", [](auto &o) { o.dim = RHUMB_DIM_MAX + 1; }},
        {"metric", [](auto &o) { o.metric = static_cast<rhumb_metric>(0); }},
        {"metric", [](auto &o) { o.metric = static_cast<rhumb_metric>(13); }},
        {"metric", [](auto &o) { o.metric = static_cast<rhumb_metric>(1 << 20); }},
        {"element", [](auto &o) { o.element = static_cast<rhumb_element>(0); }},
        {"element", [](auto &o) { o.element = static_cast<rhumb_element>(14); }},
        {"M:", [](auto &o) { o.M = 0; }},
        {"M:", [](auto &o) { o.M = 1; }},
        {"M:", [](auto &o) { o.M = RHUMB_M_MAX + 1; }},
        {"M:", [](auto &o) { o.M = UINT32_MAX; }},
        {"M0", [](auto &o) { o.M0 = 15; }}, // below M
        {"M0", [](auto &o) { o.M0 = 513; }},
        {"ef_construction", [](auto &o) { o.ef_construction = 0; }},
        {"ef_construction", [](auto &o) { o.ef_construction = 65536; }},
        {"ef_search", [](auto &o) { o.ef_search = 0; }},
        {"ef_search", [](auto &o) { o.ef_search = 1000001; }},
        {"level_max", [](auto &o) { o.level_max = RHUMB_LEVEL_MAX + 1; }},
        {"level_scale", [](auto &o) { o.level_scale = 0.099; }},
        {"level_scale", [](auto &o) { o.level_scale = 2.001; }},
        {"level_scale", [](auto &o) { o.level_scale = -1; }},
        {"level_scale", [](auto &o) { o.level_scale = infinity; }},
        {"level_scale", [](auto &o) { o.level_scale = std::nan(""); }},
    };
    return options;
}

TEST(Create, RefusesOptionsOutOfRangeNamesThemAndLeavesNoFile) {
    ScratchDirectory directory;
    const std::string path = directory.file("refused.rhumb");
    for (const BadOption &bad : bad_options()) {
        rhumb_index_options options = index_options(8);
        bad.spoil(options);
        auto *const untouched = reinterpret_cast<rhumb_index *>(1);
        rhumb_index *index = untouched;
        EXPECT_EQ(rhumb_index_create(path.c_str(), &options, &index), RHUMB_E_INVALID) << bad.name;
        EXPECT_EQ(index, untouched);
        EXPECT_NE(std::string(rhumb_error_last()->message).find(bad.name), std::string::npos)
            << bad.name << " is not in: " << rhumb_error_last()->message;
        EXPECT_FALSE(std::filesystem::exists(path)) << bad.name;
    }
}

TEST(Create, AcceptsTheLimitsOfEveryOptionAndKeepsThem) {
    ScratchDirectory directory;
    rhumb_index_options low = index_options(1, RHUMB_METRIC_L2SQ);
    low.M = 2;
    low.M0 = 2;
    low.ef_construction = 1;
    low.ef_search = 1;
    low.level_max = 0;
    low.level_scale = 0.1;
    low.seed = 0;
    rhumb_index_options high = index_options(RHUMB_DIM_MAX, RHUMB_METRIC_COSINE);
    high.M = RHUMB_M_MAX;
    high.M0 = 512;
    high.ef_construction = 65535;
    high.ef_search = 1000000;
    high.level_max = RHUMB_LEVEL_MAX;
    high.level_scale = 2;
    high.seed = UINT64_MAX;
    high.extend_candidates = true;
    high.keep_pruned = true;
    int number = 0;
    for (const rhumb_index_options &options : {low, high}) {
        const std::string path = directory.file(std::to_string(number++));
        for (int reopened = 0; reopened < 2; reopened++) {
            const Index index = reopened == 0 ? create(path, options) : open(path, true);
            ASSERT_NE(index, nullptr);
            const rhumb_index_options kept = created_with(index);
            EXPECT_EQ(kept.size, sizeof kept);
            EXPECT_EQ(kept.dim, options.dim);
            EXPECT_EQ(kept.metric, options.metric);
            EXPECT_EQ(kept.element, options.element);
            EXPECT_EQ(kept.M, options.M);
            EXPECT_EQ(kept.M0, options.M0);
            EXPECT_EQ(kept.ef_construction, options.ef_construction);
            EXPECT_EQ(kept.ef_search, options.ef_search);
            EXPECT_EQ(kept.level_max, options.level_max);
            EXPECT_EQ(kept.level_scale, options.level_scale);
            EXPECT_EQ(kept.seed, options.seed);
            EXPECT_EQ(kept.extend_candidates, options.extend_candidates);
            EXPECT_EQ(kept.keep_pruned, options.keep_pruned);
        }
    }
}

TEST(Create, ResolvesDefaults) {
    ScratchDirectory directory;
    rhumb_index_options options;
    rhumb_index_options_init(&options, sizeof options);
    options.dim = 3;
    const Index index = create(directory.file("defaults"), options);
    ASSERT_NE(index, nullptr);
    const rhumb_index_options kept = created_with(index);
    EXPECT_EQ(kept.metric, RHUMB_METRIC_L2);
    EXPECT_EQ(kept.element, RHUMB_ELEMENT_F32);
    EXPECT_EQ(kept.M, 16u);
    EXPECT_EQ(kept.M0, 32u);
    EXPECT_EQ(kept.ef_construction, 200u);
    EXPECT_EQ(kept.ef_search, 64u);
    EXPECT_EQ(kept.level_max, 16u);
    EXPECT_EQ(kept.level_scale, 1.0);
    EXPECT_EQ(kept.seed, 397u);
    EXPECT_FALSE(kept.extend_candidates);
    EXPECT_FALSE(kept.keep_pruned);
}

TEST(Create, RefusesAFileThatExistsAndLeavesItAlone) {
    ScratchDirectory directory;
    const std::string text = directory.file("text");
    const std::string indexed = directory.file("index");
    put_file(text, "precious");
    {
        const Index index = create(indexed, index_options(2));
        EXPECT_OK(rhumb_index_insert(index.get(), 7, std::vector<float>{1, 2}.data()));
    }
    for (const std::string &path : {text, indexed}) {
        const std::vector<uint8_t> before = file_bytes(path);
        const rhumb_index_options options = index_options(2);
        rhumb_index *index = nullptr;
        EXPECT_EQ(rhumb_index_create(path.c_str(), &options, &index), RHUMB_E_EXISTS);
        EXPECT_EQ(index, nullptr);
        EXPECT_EQ(file_bytes(path), before);
    }
    // Nor does it matter that a handle has it open.
    const Index holder = open(indexed, false);
    const rhumb_index_options options = index_options(2);
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_create(indexed.c_str(), &options, &index), RHUMB_E_EXISTS);
    EXPECT_TRUE(contains(holder, 7));
}

TEST(Create, TheFileIsWholeWhenItReturns) {
    ScratchDirectory directory;
    const std::string path = directory.file("whole");
    const Index writer = create(path, index_options(4));
    const Index reader = open(path, true);
    ASSERT_NE(reader, nullptr);
    EXPECT_EQ(rhumb_index_count(reader.get()), 0u);
    expect_sound(reader);
    EXPECT_EQ(search(reader, std::vector<float>(4).data(), 3).found_count, 0u);
}

TEST(Create, RefusesMissingArgumentsAndFolders) {
    ScratchDirectory directory;
    const std::string path = directory.file("x");
    const rhumb_index_options options = index_options(2);
    rhumb_index *index = nullptr;
    EXPECT_EQ(rhumb_index_create(nullptr, &options, &index), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_create("", &options, &index), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_create(path.c_str(), &options, nullptr), RHUMB_E_INVALID);
    EXPECT_EQ(rhumb_index_create(path.c_str(), nullptr, &index), RHUMB_E_INVALID) << "dim has no default";
    EXPECT_NE(std::string(rhumb_error_last()->message).find("dim"), std::string::npos);
    EXPECT_EQ(rhumb_index_create(directory.file("no/such/folder").c_str(), &options, &index), RHUMB_E_NOTFOUND);
    EXPECT_EQ(index, nullptr);
    EXPECT_FALSE(std::filesystem::exists(path));
}

// ---- structs of other sizes ----

TEST(OptionsSize, AnOlderStructLeavesTheFieldsItLacksAtTheirDefaults) {
    ScratchDirectory directory;
    rhumb_index_options options = index_options(5, RHUMB_METRIC_IP);
    options.M = 9;
    options.ef_construction = 77; // after the end of the struct, as given by its size
    options.size = offsetof(rhumb_index_options, ef_construction);
    const Index index = create(directory.file("older"), options);
    ASSERT_NE(index, nullptr);
    const rhumb_index_options kept = created_with(index);
    EXPECT_EQ(kept.dim, 5u);
    EXPECT_EQ(kept.metric, RHUMB_METRIC_IP);
    EXPECT_EQ(kept.M, 9u);
    EXPECT_EQ(kept.ef_construction, 200u);
    EXPECT_EQ(kept.seed, 397u);
}

TEST(OptionsSize, InitWritesNoMoreThanTheCallerHas) {
    rhumb_index_options options;
    memset(&options, 0xEE, sizeof options);
    rhumb_index_options_init(&options, offsetof(rhumb_index_options, M));
    EXPECT_EQ(options.size, offsetof(rhumb_index_options, M));
    EXPECT_EQ(options.metric, RHUMB_METRIC_L2);
    EXPECT_EQ(options.M, 0xEEEEEEEEu);
}

// A struct of a later version: the library's, and a field that it does not know.
template <typename Options> struct Later {
    Options known;
    uint64_t unknown;
};

// Runs `call` with structs of several sizes and expects the answers that the manual gives.
template <typename Options>
void expect_size_rules(void (*init)(Options *, size_t), const std::function<void(Options &)> &fill,
                       const std::function<rhumb_status(const Options *)> &call) {
    Later<Options> later;
    init(&later.known, sizeof later);
    EXPECT_EQ(later.known.size, sizeof later);
    EXPECT_EQ(later.unknown, 0u) << "init clears what it does not know";
    fill(later.known);
    EXPECT_OK(call(&later.known)) << "unknown bytes that are zero ask for nothing";
    later.unknown = UINT64_C(1) << 63;
    EXPECT_EQ(call(&later.known), RHUMB_E_INVALID) << "an unknown wish must not be passed over in silence";
    for (size_t size : {size_t{0}, size_t{1}, sizeof(size_t) - 1, size_t{1} << 40, SIZE_MAX}) {
        Options options;
        init(&options, sizeof options);
        fill(options);
        options.size = size;
        EXPECT_EQ(call(&options), RHUMB_E_INVALID) << size;
        EXPECT_NE(std::string(rhumb_error_last()->message).find("size"), std::string::npos);
    }
}

TEST(OptionsSize, RulesHoldForEveryStruct) {
    ScratchDirectory directory;
    const std::string path = directory.file("index");
    const std::vector<float> vector = {1, 2};
    expect_size_rules<rhumb_index_options>(
        rhumb_index_options_init, [](auto &o) { o.dim = 2; },
        [&](const rhumb_index_options *options) {
            std::filesystem::remove(path);
            rhumb_index *index = nullptr;
            const rhumb_status status = rhumb_index_create(path.c_str(), options, &index);
            EXPECT_OK(rhumb_index_close(index));
            return status;
        });
    std::filesystem::remove(path);
    { const Index made = create(path, index_options(2)); }
    expect_size_rules<rhumb_open_options>(
        rhumb_open_options_init, [](auto &o) { o.read_only = true; },
        [&](const rhumb_open_options *options) {
            rhumb_index *index = nullptr;
            const rhumb_status status = rhumb_index_open(path.c_str(), options, &index);
            EXPECT_OK(rhumb_index_close(index));
            return status;
        });
    const Index index = open(path, false);
    uint64_t next_key = 0;
    expect_size_rules<rhumb_batch_options>(
        rhumb_batch_options_init, [](auto &o) { o.thread_count = 1; },
        [&](const rhumb_batch_options *options) {
            const uint64_t key = next_key++;
            return rhumb_index_insert_batch(index.get(), &key, vector.data(), 1, options, nullptr);
        });
    expect_size_rules<rhumb_search_options>(
        rhumb_search_options_init, [](auto &o) { o.ef_search = 5; },
        [&](const rhumb_search_options *options) {
            uint64_t key;
            return rhumb_index_search(index.get(), vector.data(), 1, options, &key, nullptr, nullptr);
        });
}

// ---- names and versions ----

TEST(Names, MetricsAndElementsAreFoundByTheirNames) {
    for (rhumb_metric metric : all_metrics()) EXPECT_EQ(rhumb_metric_from_name(rhumb_metric_name(metric)), metric);
    EXPECT_STREQ(rhumb_metric_name(RHUMB_METRIC_L2SQ), "l2sq");
    EXPECT_STREQ(rhumb_metric_name(RHUMB_METRIC_L2), "l2");
    EXPECT_STREQ(rhumb_metric_name(RHUMB_METRIC_IP), "ip");
    EXPECT_STREQ(rhumb_metric_name(RHUMB_METRIC_COSINE), "cosine");
    EXPECT_EQ(rhumb_metric_from_name("euclidean"), RHUMB_METRIC_L2);
    EXPECT_EQ(rhumb_metric_from_name("angular"), RHUMB_METRIC_COSINE);
    EXPECT_EQ(rhumb_metric_from_name("dot"), RHUMB_METRIC_IP);
    for (const char *name : {"", "L3", "l2 ", "cosin", "cosines"}) EXPECT_EQ(rhumb_metric_from_name(name), 0) << name;
    EXPECT_EQ(rhumb_metric_from_name(nullptr), 0);
    EXPECT_EQ(rhumb_metric_name(static_cast<rhumb_metric>(0)), nullptr);
    EXPECT_EQ(rhumb_metric_name(static_cast<rhumb_metric>(999)), nullptr);

    EXPECT_STREQ(rhumb_element_name(RHUMB_ELEMENT_F32), "f32");
    EXPECT_EQ(rhumb_element_from_name("f32"), RHUMB_ELEMENT_F32);
    EXPECT_EQ(rhumb_element_from_name("f33"), 0);
    EXPECT_EQ(rhumb_element_from_name(nullptr), 0);
    EXPECT_EQ(rhumb_element_name(static_cast<rhumb_element>(0)), nullptr);
}

TEST(Names, StatusesAreNamedLikeTheirConstants) {
    EXPECT_STREQ(rhumb_status_name(RHUMB_OK), "RHUMB_OK");
    EXPECT_STREQ(rhumb_status_name(RHUMB_E_CORRUPT), "RHUMB_E_CORRUPT");
    EXPECT_STREQ(rhumb_status_name(RHUMB_E_NOT_FINITE), "RHUMB_E_NOT_FINITE");
    EXPECT_STREQ(rhumb_status_name(static_cast<rhumb_status>(-9999)), "RHUMB_E_UNKNOWN");
}

TEST(Names, TheVersionIsThatOfTheHeader) {
    EXPECT_EQ(rhumb_version(), RHUMB_VERSION_MAJOR * 1000000u + RHUMB_VERSION_MINOR * 1000u + RHUMB_VERSION_PATCH);
    EXPECT_GE(rhumb_format_version(), 1u);
}

} // namespace
} // namespace index_test
