// contact_sheet.h - a PNG picture of searches among images: each query next to the images that were found.
#ifndef RHUMB_BENCH_CONTACT_SHEET_H
#define RHUMB_BENCH_CONTACT_SHEET_H

#include <cstdint>
#include <string>
#include <vector>

#include "bench/dataset.h"

namespace bench {

struct SheetRow {
    size_t query;             // row of the test set
    std::vector<int64_t> ids; // rows of the training set, nearest first; all rows of a sheet have equally many
};

// Draws images of side x side pixels (side * side is the data set's dimension, values 0 to 255, light on dark) with the
// distance under each, and where the data set has labels, the label's name next to the query and a mark under each
// neighbour that shows whether its label is the same. `label_names` may be empty. Throws std::runtime_error.
void write_contact_sheet(const std::string &path, const Dataset &dataset, size_t side,
                         const std::vector<std::string> &label_names, const std::vector<SheetRow> &rows);

} // namespace bench

#endif // RHUMB_BENCH_CONTACT_SHEET_H
