// adapter_rhumb.cc - rhumb behind the benchmark's interface: its public header and nothing else.
//
// The index is created with a writing handle and searched through a read-only one, as a service would.
#include <stdexcept>
#include <vector>

#include "api/rhumb.h"
#include "bench/adapter.h"

namespace bench {
namespace {

void check(rhumb_status status, const char *what) {
    if (status == RHUMB_OK) return;
    throw std::runtime_error(std::string("rhumb: ") + what + ": " + rhumb_status_name(status) + ": " +
                             rhumb_error_last()->message);
}

bool report_progress(void *context, uint64_t done, uint64_t total) {
    const Progress &progress = *static_cast<const Progress *>(context);
    if (progress) progress(done, total);
    return true;
}

class RhumbAdapter : public Adapter {
  public:
    RhumbAdapter(size_t dim, bool cosine) : dim_(dim), cosine_(cosine) {
        rhumb_search_options_init(&search_options_, sizeof search_options_);
    }

    ~RhumbAdapter() override {
        // A failure here would concern unsaved changes; save() has closed the handle of an index that was built.
        if (index_ != nullptr && rhumb_index_close(index_) != RHUMB_OK) return;
    }

    std::string version() const override {
        uint32_t version = rhumb_version();
        return "rhumb " + std::to_string(version / 1000000) + "." + std::to_string(version / 1000 % 1000) + "." +
               std::to_string(version % 1000);
    }

    bool wants_unit_queries() const override { return false; }

    void build(const Dataset &dataset, const BuildParameters &parameters, const std::string &path,
               const Progress &progress) override {
        rhumb_index_options options;
        rhumb_index_options_init(&options, sizeof options);
        options.dim = static_cast<uint32_t>(dim_);
        options.metric = cosine_ ? RHUMB_METRIC_COSINE : RHUMB_METRIC_L2;
        options.M = parameters.M;
        options.ef_construction = parameters.ef_construction;
        rhumb_open_options open;
        rhumb_open_options_init(&open, sizeof open);
        open.durability = RHUMB_DURABILITY_NONE; // the peers have no log either
        options.open = &open;
        check(rhumb_index_create(path.c_str(), &options, &index_), "create");
        rhumb_batch_options batch;
        rhumb_batch_options_init(&batch, sizeof batch);
        batch.thread_count = parameters.thread_count;
        batch.progress = report_progress;
        batch.progress_context = const_cast<Progress *>(&progress);
        check(rhumb_index_insert_batch(index_, nullptr, dataset.train.data(), dataset.train_count, &batch, nullptr),
              "insert");
    }

    void save(const std::string &) override {
        rhumb_index *index = index_;
        index_ = nullptr;
        check(rhumb_index_close(index), "close");
    }

    void load(const std::string &path) override {
        rhumb_open_options options;
        rhumb_open_options_init(&options, sizeof options);
        options.read_only = true;
        check(rhumb_index_open(path.c_str(), &options, &index_), "open");
    }

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
    size_t dim_;
    bool cosine_;
    rhumb_index *index_ = nullptr;
    rhumb_search_options search_options_;
};

} // namespace

std::unique_ptr<Adapter> make_rhumb(size_t dim, bool cosine) { return std::make_unique<RhumbAdapter>(dim, cosine); }

} // namespace bench
