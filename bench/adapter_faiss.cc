// adapter_faiss.cc - FAISS's IndexHNSWFlat behind the benchmark's interface.
//
// FAISS has no call for a single query: each call allocates its work area. Queries are therefore passed in blocks as
// large as the driver has, which suits FAISS best. OpenMP is limited to one thread for searches, because the driver has
// threads of its own.
#include <omp.h>
#include <stdexcept>
#include <vector>

#include <faiss/Index.h>
#include <faiss/IndexHNSW.h>
#include <faiss/index_io.h>

#include "bench/adapter.h"

namespace bench {
namespace {

class FaissAdapter : public Adapter {
  public:
    FaissAdapter(size_t dim, bool cosine) : dim_(dim), cosine_(cosine) {}

    std::string version() const override {
        return "FAISS " + std::to_string(FAISS_VERSION_MAJOR) + "." + std::to_string(FAISS_VERSION_MINOR) + "." +
               std::to_string(FAISS_VERSION_PATCH);
    }

    bool wants_unit_queries() const override { return true; }

    void build(const Dataset &dataset, const BuildParameters &parameters, const std::string &,
               const Progress &progress) override {
        index_ = std::make_unique<faiss::IndexHNSWFlat>(static_cast<int>(dim_), static_cast<int>(parameters.M),
                                                        cosine_ ? faiss::METRIC_INNER_PRODUCT : faiss::METRIC_L2);
        index_->hnsw.efConstruction = static_cast<int>(parameters.ef_construction);
        omp_set_num_threads(static_cast<int>(parameters.thread_count));
        std::vector<float> unit;
        const float *rows = dataset.train.data();
        if (cosine_) {
            unit.resize(dataset.train.size());
            for (size_t i = 0; i < dataset.train_count; i++)
                normalise(dataset.train_row(i), dim_, unit.data() + i * dim_);
            rows = unit.data();
        }
        // All rows in one call, which is how FAISS builds best: it sorts them by level, top first.
        index_->add(static_cast<faiss::Index::idx_t>(dataset.train_count), rows);
        if (progress) progress(dataset.train_count, dataset.train_count);
    }

    void save(const std::string &path) override { faiss::write_index(index_.get(), path.c_str()); }

    void load(const std::string &path) override {
        std::unique_ptr<faiss::Index> any(faiss::read_index(path.c_str()));
        auto *index = dynamic_cast<faiss::IndexHNSWFlat *>(any.get());
        if (index == nullptr) throw std::runtime_error(path + ": not an IndexHNSWFlat of FAISS");
        any.release();
        index_.reset(index);
    }

    void set_ef(size_t ef) override { index_->hnsw.efSearch = static_cast<int>(ef); }

    void search(const float *queries, size_t count, size_t k, int64_t *ids) override {
        omp_set_num_threads(1); // of the calling thread
        thread_local std::vector<float> distances;
        distances.resize(count * k);
        index_->search(static_cast<faiss::Index::idx_t>(count), queries, static_cast<faiss::Index::idx_t>(k),
                       distances.data(), ids);
    }

  private:
    size_t dim_;
    bool cosine_;
    std::unique_ptr<faiss::IndexHNSWFlat> index_;
};

} // namespace

std::unique_ptr<Adapter> make_faiss(size_t dim, bool cosine) { return std::make_unique<FaissAdapter>(dim, cosine); }

} // namespace bench
