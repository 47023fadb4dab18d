// The genuine files in samples/: what make_samples.py and make_hnsw_rs.rs say of each.
#ifndef RHUMB_TESTS_EXCHANGE_SAMPLE_FILES_H
#define RHUMB_TESTS_EXCHANGE_SAMPLE_FILES_H

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/index_test_support.h"

namespace exchange_test {

constexpr size_t kAnswers = 10; // for each query of a sample

inline std::string sample_path(const std::string &name) { return "tests/exchange/samples/" + name; }

struct Sample {
    std::string name, format, ask_metric, ask_element;
    uint32_t ask_dim;
    std::string metric, element;
    uint32_t dim;
    uint64_t source_count, deleted_count, count;
    uint32_t M, ef_construction, ef;
    std::string unreachable; // "-": not known

    std::string path() const { return sample_path(name) + (format == "hnsw_rs" ? "" : ".bin"); }
    rhumb_metric metric_number() const { return rhumb_metric_from_name(metric.c_str()); }
    rhumb_element element_number() const { return rhumb_element_from_name(element.c_str()); }

    size_t row_bytes() const {
        const size_t bits = element == "b1"            ? 1
                            : element.substr(1) == "8" ? 8
                            : element == "bf16"        ? 16
                                                       : std::stoul(element.substr(1));
        return (dim * bits + 7) / 8;
    }
    // What the caller must say of such a file.
    rhumb_import_options options() const {
        rhumb_import_options options;
        rhumb_import_options_init(&options, sizeof options);
        if (ask_metric != "-") options.metric = rhumb_metric_from_name(ask_metric.c_str());
        if (ask_element != "-") options.element = rhumb_element_from_name(ask_element.c_str());
        options.dim = ask_dim;
        if (format == "annoy") options.format = RHUMB_IMPORT_ANNOY;
        return options;
    }
};

inline std::vector<Sample> all_samples() {
    std::vector<Sample> samples;
    std::ifstream manifest(sample_path("manifest.txt"));
    for (std::string line; std::getline(manifest, line);) {
        std::istringstream words(line);
        Sample s;
        words >> s.name >> s.format >> s.ask_metric >> s.ask_element >> s.ask_dim >> s.metric >> s.element >> s.dim >>
            s.source_count >> s.deleted_count >> s.count >> s.M >> s.ef_construction >> s.ef >> s.unreachable;
        EXPECT_FALSE(words.fail()) << line;
        samples.push_back(s);
    }
    return samples;
}

inline Sample sample_named(const std::string &name) {
    for (const Sample &sample : all_samples()) {
        if (sample.name == name) return sample;
    }
    ADD_FAILURE() << "no sample " << name;
    return {};
}

} // namespace exchange_test

#endif // RHUMB_TESTS_EXCHANGE_SAMPLE_FILES_H
