// collection.cc - see collection.h.
#include "tests/torture/collection.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

namespace torture {

namespace {

bool of_probabilities(rhumb_metric metric) {
    return metric == RHUMB_METRIC_HELLINGER || metric == RHUMB_METRIC_JEFFREYS || metric == RHUMB_METRIC_JENSEN_SHANNON;
}

// Components twice: what is positive of them, then what is negative, so that none is below zero and 0 stays 0.
Row in_two_parts(const Row &row) {
    Row parts;
    for (double component : row) parts.push_back(std::max(component, 0.0));
    for (double component : row) parts.push_back(std::max(-component, 0.0));
    return parts;
}

Row as_probabilities(Row row) {
    double sum = 0;
    for (double component : row) sum += component;
    for (double &component : row) component = sum == 0 ? 1.0 / static_cast<double>(row.size()) : component / sum;
    return row;
}

} // namespace

// Makes the components of a vector of a row.
class Collection::Encoder {
  public:
    Encoder(const Set &set, const Pair &pair, const Rows &rows, Random &random)
        : pair_(pair), projected_(set.projected) {
        for (size_t i = 0; projected_ && i < ambient_dim(); i++) {
            projection_.push_back(gaussian(random, rows[0].size(), 1 / std::sqrt(static_cast<double>(rows[0].size()))));
        }
        double squares = 0, count = 0;
        for (const Row &row : rows) {
            for (double x : projected(row)) {
                most_ = std::max(most_, std::fabs(x));
                squares += x * x;
                count++;
            }
        }
        if (most_ == 0) most_ = 1;
        size_ = squares == 0 ? 1 : std::sqrt(squares / count);
        for (const Row &row : rows) dim_ = std::max(dim_, encode(row).size());
    }

    size_t dim() const { return dim_; }

    Row encode(const Row &row) const {
        const Row x = projected(row);
        if (pair_.element == RHUMB_ELEMENT_B1) return bits(x);
        if (pair_.metric == RHUMB_METRIC_LEVENSHTEIN) return letters(x);
        if (of_probabilities(pair_.metric)) return as_probabilities(in_two_parts(x));
        if (!projected_) return x;
        if (pair_.metric == RHUMB_METRIC_HAMMING) return thirds(x);
        const Row parts =
            pair_.metric == RHUMB_METRIC_JACCARD || pair_.element == RHUMB_ELEMENT_U8 ? in_two_parts(x) : x;
        return rhumb_element_is_float(pair_.element) ? parts : whole(parts);
    }

  private:
    size_t ambient_dim() const {
        if (pair_.element == RHUMB_ELEMENT_B1) return 70;
        if (pair_.metric == RHUMB_METRIC_HAMMING) return 32;
        return pair_.metric == RHUMB_METRIC_LEVENSHTEIN ? 14 : 16;
    }

    Row projected(const Row &row) const {
        if (!projected_) return row;
        Row x(projection_.size());
        for (size_t i = 0; i < x.size(); i++) {
            for (size_t j = 0; j < row.size(); j++) x[i] += projection_[i][j] * row[j];
        }
        return x;
    }

    // One bit per component, or three for numbers of more than two values.
    Row bits(const Row &x) const {
        Row bits;
        for (double component : x) {
            bits.push_back(component > 0);
            for (double bound = 2.5; !projected_ && most_ > 1 && bound < 5; bound += 2)
                bits.push_back(component > bound);
        }
        return bits;
    }

    Row thirds(Row x) const {
        for (double &component : x) component = std::round(std::clamp(component / size_, -1.0, 1.0)) + 1;
        return x;
    }

    // Up to seven different letters; the last component becomes the length.
    Row letters(const Row &x) const {
        Row word;
        const auto letter = [&](double component) {
            return projected_ ? std::clamp(std::round(1.2 * component / size_) + 3, 0.0, 6.0) : std::fabs(component);
        };
        for (double component : x) word.push_back('a' + letter(component));
        if (projected_) {
            word.resize(7 + static_cast<size_t>(letter(x.back())));
        } else {
            while (!word.empty() && word.back() == 'a') word.pop_back();
        }
        return word;
    }

    Row whole(Row x) const {
        const double factor = (pair_.element == RHUMB_ELEMENT_I16 ? 10000 : 120) / most_;
        const double bound = pair_.element == RHUMB_ELEMENT_I16 ? 32767 : 127; // changed rows may be the largest
        for (double &component : x) component = std::clamp(std::round(component * factor), -bound, bound);
        return x;
    }

    Pair pair_;
    bool projected_;
    std::vector<Row> projection_;
    double most_ = 0, size_ = 1; // the largest component, and the root of the mean square
    size_t dim_ = 0;
};

Collection::Collection(const Set &set, const Pair &pair, size_t count, size_t query_count, uint64_t seed)
    : pair_(pair), count_(count), query_count_(query_count) {
    Random random(seed);
    const Rows all = set.generate(random, count + query_count);
    Rows rows, fresh;
    const size_t every = all.size() / query_count;
    for (size_t i = 0; i < all.size(); i++) {
        const bool is_query = i % every == every / 2 && fresh.size() < query_count;
        (is_query ? fresh : rows).push_back(all[i]);
    }
    const Encoder encoder(set, pair, rows, random);
    dim_ = static_cast<uint32_t>(encoder.dim());
    if (is_sequence(pair)) dim_ += 4; // longer than any row, as a bound is
    for (const Row &row : rows) add(encoder, row);
    for (const Row &row : fresh) add(encoder, row);
    for (size_t i = 0; i < query_count; i++) {
        Row row = rows[random() % count];
        const Row &other = rows[random() % count];
        for (double &component : row) component *= set.projected ? 0.9 + 0.2 * uniform(random) : 1;
        const size_t place = random() % row.size();
        row[place] = set.projected ? (row[place] + other[place]) / 2 : other[place];
        add(encoder, row);
    }
    for (size_t row = 0; row < bytes_.size() && is_sequence(pair); row++) {
        sequences_.push_back({bytes_[row].data(), static_cast<uint32_t>(numbers_[row].size())});
    }
    std::map<std::vector<uint8_t>, size_t> known;
    for (const auto &bytes : bytes_) values_.push_back(known.emplace(bytes, known.size()).first->second);
}

void Collection::add(const Encoder &encoder, const Row &row) {
    std::vector<double> numbers = encoder.encode(row);
    std::vector<uint8_t> bytes;
    if (pair_.element == RHUMB_ELEMENT_B1) {
        numbers.resize(dim_);
        bytes.resize((dim_ + 7) / 8);
        for (size_t i = 0; i < dim_; i++) bytes[i / 8] |= static_cast<uint8_t>(static_cast<int>(numbers[i]) << i % 8);
    } else {
        bytes.resize(numbers.size() * rhumb_element_bits(pair_.element) / 8);
        const size_t count = numbers.size();
        if (rhumb_element_convert(RHUMB_ELEMENT_F64, numbers.data(), pair_.element, bytes.data(), count) != count ||
            rhumb_element_convert(pair_.element, bytes.data(), RHUMB_ELEMENT_F64, numbers.data(), count) != count) {
            abort(); // an error of the encoder: the element type cannot hold what it made
        }
    }
    bytes_.push_back(std::move(bytes));
    numbers_.push_back(std::move(numbers));
}

const void *Collection::vectors(const std::vector<size_t> &rows) const {
    thread_local std::vector<uint8_t> matrix;
    thread_local std::vector<rhumb_sequence> sequences;
    matrix.clear();
    sequences.clear();
    for (size_t row : rows) {
        if (is_sequence(pair_)) {
            sequences.push_back(sequences_[row]);
        } else {
            matrix.insert(matrix.end(), bytes_[row].begin(), bytes_[row].end());
        }
    }
    return is_sequence(pair_) ? static_cast<const void *>(sequences.data()) : matrix.data();
}

std::vector<size_t> Collection::region(size_t centre, size_t count) const {
    std::vector<std::pair<double, size_t>> near;
    for (size_t row = 0; row < count_; row++) near.emplace_back(measure(centre, row).value, row);
    std::sort(near.begin(), near.end());
    std::vector<size_t> rows;
    for (size_t i = 0; i < count && i < near.size(); i++) rows.push_back(near[i].second);
    return rows;
}

} // namespace torture
