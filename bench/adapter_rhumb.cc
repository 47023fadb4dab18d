// adapter_rhumb.cc - rhumb behind the benchmark's interface: its public header and nothing else.
//
// The index is created with a writing handle and searched through a read-only one, as a service would.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "bench/adapter.h"
#include "bench/rhumb_index.h"
#include "include/rhumb.h"

namespace bench {
namespace {

bool report_progress(void *context, uint64_t done, uint64_t total) {
    const Progress &progress = *static_cast<const Progress *>(context);
    if (progress) progress(done, total);
    return true;
}

struct Variant {
    const char *name;
    rhumb_codes codes;
    rhumb_fused fused;
    bool compacts = false; // after the build
    bool singly = false;   // each vector is an insert of its own
};

const Variant variants[] = {
    {"rhumb", RHUMB_CODES_DEFAULT, RHUMB_FUSED_DEFAULT},
    {"rhumb-plain", RHUMB_CODES_NONE, RHUMB_FUSED_NONE},
    {"rhumb-4bit", RHUMB_CODES_4BIT, RHUMB_FUSED_DEFAULT},
    {"rhumb-compact", RHUMB_CODES_DEFAULT, RHUMB_FUSED_NONE, true},
    {"rhumb-rows1", RHUMB_CODES_DEFAULT, RHUMB_FUSED_1BIT, true},
    {"rhumb-rows2", RHUMB_CODES_DEFAULT, RHUMB_FUSED_2BIT, true},
    {"rhumb-4bit-rows1", RHUMB_CODES_4BIT, RHUMB_FUSED_1BIT, true},
    {"rhumb-4bit-rows2", RHUMB_CODES_4BIT, RHUMB_FUSED_2BIT, true},
    {"rhumb-singly", RHUMB_CODES_DEFAULT, RHUMB_FUSED_DEFAULT, false, true},
};

class RhumbAdapter : public Adapter {
  public:
    RhumbAdapter(size_t dim, const Variant &variant) : dim_(dim), variant_(variant) {
        rhumb_search_options_init(&search_options_, sizeof search_options_);
    }

    std::string version() const override {
        uint32_t version = rhumb_version();
        return std::string(variant_.name) + " " + std::to_string(version / 1000000) + "." +
               std::to_string(version / 1000 % 1000) + "." + std::to_string(version % 1000);
    }

    bool wants_unit_queries() const override { return false; }

    void build(const Dataset &dataset, const BuildParameters &parameters, const std::string &path,
               const Progress &progress) override {
        IndexSettings settings(dataset);
        settings.M = parameters.M;
        settings.ef_construction = parameters.ef_construction;
        settings.codes = variant_.codes;
        settings.fused = variant_.fused;
        settings.durability = RHUMB_DURABILITY_NONE; // the peers have no log either
        index_ = RhumbIndex(path, settings);
        if (variant_.singly) {
            insert_singly(dataset, parameters.thread_count, progress);
            return;
        }
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = parameters.thread_count;
        batch.progress = report_progress;
        batch.progress_context = const_cast<Progress *>(&progress);
        check(rhumb_index_insert_batch(index_, nullptr, dataset.train.data(), dataset.train_count, &batch, nullptr),
              "insert");
    }

    void save(const std::string &) override {
        if (variant_.compacts) check(rhumb_index_compact(index_, nullptr, nullptr, 0), "compact");
        index_.close();
    }

    void load(const std::string &path) override { index_ = RhumbIndex::open_read_only(path); }

    void set_ef(size_t ef) override { search_options_.ef_search = static_cast<uint32_t>(ef); }

    void search(const float *queries, size_t count, size_t k, int64_t *ids) override {
        // Keys that were not found are UINT64_MAX, which is the -1 that the caller expects.
        static_assert(sizeof(int64_t) == sizeof(uint64_t), "keys are written in place");
        for (size_t i = 0; i < count; i++)
            check(rhumb_index_search(index_, queries + i * dim_, k, &search_options_,
                                     reinterpret_cast<uint64_t *>(ids + i * k), nullptr, nullptr),
                  "search");
    }

  private:
    void insert_singly(const Dataset &dataset, uint32_t thread_count, const Progress &progress) const {
        std::atomic<uint64_t> next{0};
        std::vector<std::thread> threads;
        for (uint32_t t = 0; t < thread_count; t++) {
            threads.emplace_back([&, t] {
                for (uint64_t key = next++; key < dataset.train_count; key = next++) {
                    check(rhumb_index_insert(index_, key, dataset.train.data() + key * dim_), "insert");
                    if (t == 0 && progress && key % 1024 == 0) progress(key, dataset.train_count);
                }
            });
        }
        for (std::thread &thread : threads) thread.join();
    }

    size_t dim_;
    Variant variant_;
    RhumbIndex index_;
    rhumb_search_options search_options_;
};

} // namespace

std::unique_ptr<Adapter> make_rhumb(size_t dim, bool) { return std::make_unique<RhumbAdapter>(dim, variants[0]); }

std::unique_ptr<Adapter> make_rhumb_variant(const std::string &name, size_t dim) {
    for (const Variant &variant : variants)
        if (name == variant.name) return std::make_unique<RhumbAdapter>(dim, variant);
    return nullptr;
}

} // namespace bench
