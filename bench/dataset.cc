// dataset.cc - reads ann-benchmarks HDF5 files with the C interface of libhdf5.
//
// A file has two-dimensional sets `train`, `test`, `neighbors` and `distances` and the text attribute `distance`; the
// library converts whatever number types they have. Our own files may also have `train_labels` and `test_labels`.
#include "bench/dataset.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include <hdf5/serial/hdf5.h>

namespace bench {
namespace {

// Closes an HDF5 identifier with the function of its kind.
class Handle {
  public:
    Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
    ~Handle() {
        if (id_ >= 0) close_(id_);
    }
    Handle(const Handle &) = delete;
    Handle &operator=(const Handle &) = delete;
    operator hid_t() const { return id_; }

  private:
    hid_t id_;
    herr_t (*close_)(hid_t);
};

[[noreturn]] void fail(const std::string &path, const std::string &what) {
    throw std::runtime_error(path + ": " + what);
}

// The shape of a set of `rank` dimensions; unused ones are 1.
void shape_of(hid_t set, const std::string &path, const char *name, int rank, size_t shape[2]) {
    Handle space(H5Dget_space(set), H5Sclose);
    hsize_t sizes[2] = {1, 1};
    if (H5Sget_simple_extent_ndims(space) != rank || H5Sget_simple_extent_dims(space, sizes, nullptr) != rank)
        fail(path, std::string("set \"") + name + "\" does not have " + std::to_string(rank) + " dimensions");
    shape[0] = sizes[0];
    shape[1] = sizes[1];
}

// Reads a set of `rank` dimensions as `type`, or its shape alone.
template <typename T>
std::vector<T> read_set(hid_t file, const std::string &path, const char *name, hid_t type, int rank, size_t shape[2],
                        DatasetPart part = DatasetPart::all) {
    Handle set(H5Dopen2(file, name, H5P_DEFAULT), H5Dclose);
    if (set < 0) fail(path, std::string("has no set \"") + name + "\"");
    shape_of(set, path, name, rank, shape);
    if (part != DatasetPart::all) return {};
    std::vector<T> values(shape[0] * shape[1]);
    if (H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
        fail(path, std::string("set \"") + name + "\" cannot be read");
    return values;
}

std::string read_text_attribute(hid_t file, const std::string &path, const char *name) {
    Handle attribute(H5Aopen(file, name, H5P_DEFAULT), H5Aclose);
    if (attribute < 0) fail(path, std::string("has no attribute \"") + name + "\"");
    Handle type(H5Aget_type(attribute), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING) fail(path, std::string("attribute \"") + name + "\" is not text");
    if (H5Tis_variable_str(type) > 0) {
        char *text = nullptr;
        Handle memory_type(H5Tcopy(H5T_C_S1), H5Tclose);
        H5Tset_size(memory_type, H5T_VARIABLE);
        H5Tset_cset(memory_type, H5Tget_cset(type));
        if (H5Aread(attribute, memory_type, &text) < 0 || text == nullptr)
            fail(path, std::string("attribute \"") + name + "\" cannot be read");
        std::string result = text;
        H5free_memory(text);
        return result;
    }
    std::string result(H5Tget_size(type), '\0');
    if (H5Aread(attribute, type, result.data()) < 0)
        fail(path, std::string("attribute \"") + name + "\" cannot be read");
    result.resize(std::strlen(result.c_str()));
    return result;
}

std::vector<uint8_t> read_labels(hid_t file, const std::string &path, const char *name, size_t expected_count) {
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0) return {};
    size_t shape[2];
    std::vector<uint8_t> labels = read_set<uint8_t>(file, path, name, H5T_NATIVE_UINT8, 1, shape);
    if (labels.size() != expected_count) fail(path, std::string("set \"") + name + "\" has a wrong length");
    return labels;
}

} // namespace

Dataset read_dataset(const std::string &path, DatasetPart part) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); // messages are ours
    Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
    if (file < 0) fail(path, "cannot be opened as an HDF5 file");

    Dataset dataset;
    size_t begin = path.find_last_of('/') + 1;
    dataset.name = path.substr(begin, path.find_last_of('.') - begin);
    std::string distance = read_text_attribute(file, path, "distance");
    if (distance != "euclidean" && distance != "angular")
        fail(path, "distance is \"" + distance + "\"; only euclidean and angular are known");
    dataset.cosine = distance == "angular";

    size_t train[2], test[2], neighbours[2], distances[2];
    dataset.train = read_set<float>(file, path, "train", H5T_NATIVE_FLOAT, 2, train, part);
    dataset.test = read_set<float>(file, path, "test", H5T_NATIVE_FLOAT, 2, test);
    dataset.neighbours = read_set<int32_t>(file, path, "neighbors", H5T_NATIVE_INT32, 2, neighbours);
    dataset.distances = read_set<float>(file, path, "distances", H5T_NATIVE_FLOAT, 2, distances);
    if (train[0] == 0 || test[0] == 0 || train[1] == 0 || train[1] != test[1] || neighbours[0] != test[0] ||
        distances[0] != test[0] || neighbours[1] != distances[1])
        fail(path, "the shapes of its sets do not fit together");
    for (int32_t row : dataset.neighbours)
        if (row < 0 || static_cast<size_t>(row) >= train[0]) fail(path, "a true neighbour is no row of \"train\"");
    dataset.train_count = train[0];
    dataset.test_count = test[0];
    dataset.dim = train[1];
    dataset.truth_count = neighbours[1];
    dataset.train_labels = read_labels(file, path, "train_labels", train[0]);
    dataset.test_labels = read_labels(file, path, "test_labels", test[0]);
    return dataset;
}

void normalise(const float *vector, size_t dim, float *unit) {
    double sum = 0;
    for (size_t i = 0; i < dim; i++) sum += static_cast<double>(vector[i]) * vector[i];
    double scale = sum > 0 ? 1 / std::sqrt(sum) : 0;
    for (size_t i = 0; i < dim; i++) unit[i] = static_cast<float>(vector[i] * scale);
}

double exact_distance(const Dataset &dataset, const float *a, const float *b) {
    double squares = 0, dot = 0, a_squares = 0, b_squares = 0;
    for (size_t i = 0; i < dataset.dim; i++) {
        double difference = static_cast<double>(a[i]) - b[i];
        squares += difference * difference;
        dot += static_cast<double>(a[i]) * b[i];
        a_squares += static_cast<double>(a[i]) * a[i];
        b_squares += static_cast<double>(b[i]) * b[i];
    }
    if (!dataset.cosine) return std::sqrt(squares);
    return a_squares > 0 && b_squares > 0 ? 1 - dot / std::sqrt(a_squares * b_squares) : 1;
}

} // namespace bench
