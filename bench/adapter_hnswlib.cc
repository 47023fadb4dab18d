// adapter_hnswlib.cc - hnswlib behind the benchmark's interface.
//
// hnswlib chooses its kernels by the compiler's macros, so this file must be compiled with -march=native. Its headers
// define functions that are not inline: no other file of a program may include them. Cosine is the inner product of
// unit vectors.
#include <atomic>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include <hnswlib/hnswlib.h>

#include "bench/adapter.h"
#include "bench/machine.h"

namespace bench {
namespace {

class HnswlibAdapter : public Adapter {
  public:
    HnswlibAdapter(size_t dim, bool cosine) : dim_(dim), cosine_(cosine) {
        if (cosine)
            space_ = std::make_unique<hnswlib::InnerProductSpace>(dim);
        else
            space_ = std::make_unique<hnswlib::L2Space>(dim);
    }

    std::string version() const override { return "hnswlib " + debian_package_version("libhnswlib-dev"); }

    bool wants_unit_queries() const override { return true; }

    void build(const Dataset &dataset, const BuildParameters &parameters, const std::string &,
               const Progress &progress) override {
        index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), dataset.train_count, parameters.M,
                                                                   parameters.ef_construction);
        std::atomic<size_t> next_row{0};
        std::mutex mutex; // guards progress and failure
        std::exception_ptr failure;
        auto work = [&](size_t row_limit) {
            std::vector<float> unit(dim_);
            try {
                for (size_t row; (row = next_row.fetch_add(1)) < row_limit;) {
                    const float *vector = dataset.train_row(row);
                    if (cosine_) {
                        normalise(vector, dim_, unit.data());
                        vector = unit.data();
                    }
                    index_->addPoint(vector, row);
                    if (progress && row % 256 == 0) {
                        std::lock_guard<std::mutex> guard(mutex);
                        progress(row, dataset.train_count);
                    }
                }
            } catch (...) {
                std::lock_guard<std::mutex> guard(mutex);
                failure = std::current_exception();
                next_row = dataset.train_count;
            }
        };
        work(1); // the entry point, before there is any concurrency
        next_row = 1;
        std::vector<std::thread> threads;
        for (uint32_t i = 0; i < parameters.thread_count; i++) threads.emplace_back(work, dataset.train_count);
        for (std::thread &thread : threads) thread.join();
        if (failure) std::rethrow_exception(failure);
        if (progress) progress(dataset.train_count, dataset.train_count);
    }

    void save(const std::string &path) override { index_->saveIndex(path); }

    void load(const std::string &path) override {
        index_ = std::make_unique<hnswlib::HierarchicalNSW<float>>(space_.get(), path);
    }

    void set_ef(size_t ef) override { index_->setEf(ef); }

    // This version has no filters, but rows that are marked as deleted are treated as rows that a filter rejects
    // are in later versions: searches pass through them and do not return them.
    bool set_filter(const uint8_t *matches) override {
        marked_.resize(index_->cur_element_count, false);
        for (size_t row = 0; row < marked_.size(); row++) {
            const bool mark = matches != nullptr && matches[row] == 0;
            if (mark == marked_[row]) continue;
            if (mark)
                index_->markDelete(row);
            else
                index_->unmarkDelete(row);
            marked_[row] = mark;
        }
        return true;
    }

    void search(const float *queries, size_t count, size_t k, int64_t *ids) override {
        for (size_t i = 0; i < count; i++) {
            auto found = index_->searchKnn(queries + i * dim_, k); // farthest first
            int64_t *row = ids + i * k;
            for (size_t j = k; j > found.size(); j--) row[j - 1] = -1;
            for (size_t j = found.size(); j > 0; j--, found.pop())
                row[j - 1] = static_cast<int64_t>(found.top().second);
        }
    }

  private:
    size_t dim_;
    bool cosine_;
    std::vector<bool> marked_;
    std::unique_ptr<hnswlib::SpaceInterface<float>> space_;
    std::unique_ptr<hnswlib::HierarchicalNSW<float>> index_;
};

} // namespace

std::unique_ptr<Adapter> make_hnswlib(size_t dim, bool cosine) { return std::make_unique<HnswlibAdapter>(dim, cosine); }

} // namespace bench
