// sets.cc - see sets.h.
#include "tests/torture/sets.h"

#include <algorithm>
#include <cmath>

namespace torture {

Row gaussian(Random &random, size_t dim, double scale) {
    std::normal_distribution<double> normal(0, scale);
    Row row(dim);
    for (double &component : row) component = normal(random);
    return row;
}

double uniform(Random &random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

namespace {

constexpr size_t DIM = 12;

Row point(Random &random) { return gaussian(random, DIM); }

Row scaled(Row row, double factor) {
    for (double &component : row) component *= factor;
    return row;
}

Row sum(Row a, const Row &b) {
    for (size_t i = 0; i < a.size(); i++) a[i] += b[i];
    return a;
}

Rows plain(Random &random, size_t count) {
    Rows rows(count);
    for (Row &row : rows) row = point(random);
    return rows;
}

// Turns a share of the rows, at random places, into one row.
Rows with_copies(Random &random, Rows rows, double share, const Row &copy) {
    for (Row &row : rows) {
        if (uniform(random) < share) row = copy;
    }
    return rows;
}

template <int PERCENT> Rows copies(Random &random, size_t count) {
    Rows rows = plain(random, count);
    return with_copies(random, std::move(rows), PERCENT / 100.0, scaled(point(random), 0.3));
}

template <int PERCENT> Rows zeros(Random &random, size_t count) {
    Rows rows = plain(random, count);
    return with_copies(random, std::move(rows), PERCENT / 100.0, Row(DIM));
}

// The copied one has more length than all others, which is what ip answers everything with; or less.
template <int TENTHS> Rows copies_of_length(Random &random, size_t count) {
    Rows rows = plain(random, count);
    return with_copies(random, std::move(rows), 0.3, scaled(point(random), TENTHS / 10.0));
}

// All rows are copies of a few values, which take turns.
template <int VALUES> Rows values(Random &random, size_t count) {
    const Rows all = plain(random, VALUES);
    Rows rows;
    for (size_t i = 0; i < count; i++) rows.push_back(all[i % VALUES]);
    return rows;
}

// The same, one value after the other.
Rows values_in_turn(Random &random, size_t count) {
    const Rows all = plain(random, 20);
    Rows rows;
    for (size_t i = 0; i < count; i++) rows.push_back(all[i * all.size() / count]);
    return rows;
}

Rows pairs(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (size_t i = count / 2; i < count; i++) rows[i] = rows[i - count / 2];
    return rows;
}

// The r-th value has about 1 / r of the copies of the first.
Rows zipf(Random &random, size_t count) {
    const Rows all = plain(random, count / 3 + 1);
    const double most = std::log(static_cast<double>(all.size()));
    Rows rows;
    while (rows.size() < count) rows.push_back(all[static_cast<size_t>(std::exp(uniform(random) * most)) - 1]);
    return rows;
}

Rows copies_first(Random &random, size_t count) {
    Rows rows = plain(random, count);
    std::fill_n(rows.begin(), count / 4, scaled(point(random), 0.3));
    return rows;
}

Rows copies_last(Random &random, size_t count) {
    Rows rows = copies_first(random, count);
    std::reverse(rows.begin(), rows.end());
    return rows;
}

// Copies that differ in their last digits, so that they are not equal, nor at a distance that a user would notice.
Rows near_copies(Random &random, size_t count) {
    const Row centre = point(random);
    Rows rows = plain(random, count);
    for (size_t i = 0; i < count; i += 2) rows[i] = sum(centre, gaussian(random, DIM, 1e-6));
    return rows;
}

// A few directions at many lengths: under cosine all at distance 0 although their bytes differ.
Rows scaled_copies(Random &random, size_t count) {
    const Rows all = plain(random, 30);
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        const double length = i % 2 == 0 ? std::ldexp(1, static_cast<int>(i / 2 % 9) - 4) : 0.1 + uniform(random);
        rows.push_back(i % 3 == 0 ? point(random) : scaled(all[random() % all.size()], length));
    }
    return rows;
}

// ---- clusters and topics ----

Rows around(Random &random, const Rows &centres, size_t count, double deviation, bool in_turn) {
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        const Row &centre = centres[in_turn ? i * centres.size() / count : random() % centres.size()];
        rows.push_back(sum(centre, gaussian(random, DIM, deviation)));
    }
    return rows;
}

Rows clusters(Random &random, size_t count) {
    Rows centres(20);
    for (Row &centre : centres) centre = gaussian(random, DIM, 10);
    return around(random, centres, count, 0.5, false);
}

Rows tight_clusters(Random &random, size_t count) { return around(random, plain(random, 40), count, 1e-3, false); }

Rows clusters_in_turn(Random &random, size_t count) {
    Rows centres(20);
    for (Row &centre : centres) centre = gaussian(random, DIM, 10);
    return around(random, centres, count, 0.5, true);
}

// One in twenty belongs to a topic far from all the rest.
Rows topics(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (size_t i = 0; i < count; i++) {
        if (i % 20 == 0) rows[i] = sum(rows[i], Row(DIM, 30));
    }
    return rows;
}

// ---- order ----

Rows ascending(Random &random, size_t count) {
    Rows rows = plain(random, count);
    std::sort(rows.begin(), rows.end());
    return rows;
}

Rows descending(Random &random, size_t count) {
    Rows rows = ascending(random, count);
    std::reverse(rows.begin(), rows.end());
    return rows;
}

// A walk that goes on, with little noise: like a time series, or numbers that were counted up.
Rows line(Random &random, size_t count) {
    const Row direction = point(random);
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        rows.push_back(sum(scaled(direction, 0.02 * static_cast<double>(i)), gaussian(random, DIM, 0.01)));
    }
    return rows;
}

// From far away inwards, each nearer to all than those before it.
Rows spiral(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (size_t i = 0; i < count; i++) rows[i] = scaled(rows[i], std::pow(0.998, static_cast<double>(i)));
    return rows;
}

// ---- lengths and sizes of numbers ----

Rows lognormal(Random &random, size_t count) {
    std::normal_distribution<double> normal;
    Rows rows = plain(random, count);
    for (Row &row : rows) row = scaled(row, std::exp(normal(random)));
    return rows;
}

Rows lognormal_copies(Random &random, size_t count) {
    const Rows all = lognormal(random, count / 10 + 1);
    Rows rows;
    for (size_t i = 0; i < count; i++) rows.push_back(all[random() % all.size()]);
    return rows;
}

// One in a hundred is a thousand times as long as the others.
Rows outliers(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (size_t i = 50; i < count; i += 100) rows[i] = scaled(rows[i], 1000);
    return rows;
}

// Their squares are 0 in f32, and their distances are not.
Rows tiny_numbers(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (Row &row : rows) row = scaled(row, 1e-25);
    return rows;
}

// Their squares are infinite in f32, and their distances are not.
Rows huge_numbers(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (Row &row : rows) row = scaled(row, 1e25);
    return rows;
}

Rows mixed_numbers(Random &random, size_t count) {
    Rows rows = plain(random, count);
    for (Row &row : rows) row = scaled(row, std::pow(10.0, static_cast<double>(random() % 5) * 12 - 24));
    return rows;
}

// ---- few distinct values ----

// One of twelve, and one of five.
Rows categories(Random &random, size_t count) {
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        Row row(17);
        row[random() % 12] = 1;
        row[12 + random() % 5] = 1;
        rows.push_back(std::move(row));
    }
    return rows;
}

Rows one_hot(Random &random, size_t count) {
    Rows rows(count, Row(24));
    for (Row &row : rows) row[random() % row.size()] = 1;
    return rows;
}

Rows ratings(Random &random, size_t count) {
    Rows rows(count, Row(4));
    for (Row &row : rows) {
        for (double &rating : row) rating = static_cast<double>(1 + std::max(random() % 5, random() % 5));
    }
    return rows;
}

Rows grid(Random &random, size_t count) {
    Rows rows(count, Row(3));
    for (Row &row : rows) {
        for (double &place : row) place = static_cast<double>(random() % 8);
    }
    return rows;
}

// A grid in its own order, row by row, again and again.
Rows grid_in_order(Random &random, size_t count) {
    (void)random;
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        rows.push_back({static_cast<double>(i % 20), static_cast<double>(i / 20 % 20), 1});
    }
    return rows;
}

// Sparse bits, of which many are equal and some are empty.
Rows equal_bits(Random &random, size_t count) {
    Rows all(40, Row(50));
    for (size_t i = 1; i < all.size(); i++) {
        for (double &bit : all[i]) bit = random() % 6 == 0;
    }
    Rows rows;
    for (size_t i = 0; i < count; i++) {
        Row row = all[random() % all.size()];
        if (i % 3 == 0) row[random() % row.size()] = 1;
        rows.push_back(std::move(row));
    }
    return rows;
}

// Zeros with and without a sign, and ones: equal numbers whose bytes differ.
Rows signed_zeros(Random &random, size_t count) {
    Rows rows(count, Row(10));
    for (Row &row : rows) {
        for (double &component : row) component = random() % 8 == 0 ? 1.0 : random() % 2 == 0 ? 0.0 : -0.0;
    }
    return rows;
}

} // namespace

const std::vector<Set> &all_sets() {
    static const std::vector<Set> sets = {
        {"plain", true, Holds::ALL, plain},
        {"copies_1", true, Holds::ALL, copies<1>},
        {"copies_10", true, Holds::ALL, copies<10>},
        {"copies_50", true, Holds::ALL, copies<50>},
        {"copies_90", true, Holds::ALL, copies<90>},
        {"copies_99", true, Holds::ALL, copies<99>},
        {"copies_100", true, Holds::ALL, copies<100>},
        {"values_5", true, Holds::ALL, values<5>},
        {"values_10", true, Holds::ALL, values<10>},
        {"values_100", true, Holds::ALL, values<100>},
        {"values_in_turn", true, Holds::ALL, values_in_turn},
        {"pairs", true, Holds::ALL, pairs},
        {"zipf", true, Holds::ALL, zipf},
        {"zeros_30", true, Holds::ALL, zeros<30>},
        {"zeros_90", true, Holds::ALL, zeros<90>},
        {"long_copies", true, Holds::ALL, copies_of_length<40>},
        {"short_copies", true, Holds::ALL, copies_of_length<1>},
        {"copies_first", true, Holds::ALL, copies_first},
        {"copies_last", true, Holds::ALL, copies_last},
        {"near_copies", true, Holds::FLOATS, near_copies},
        {"scaled_copies", true, Holds::FLOATS, scaled_copies},
        {"clusters", true, Holds::ALL, clusters},
        {"tight_clusters", true, Holds::ALL, tight_clusters},
        {"clusters_in_turn", true, Holds::ALL, clusters_in_turn},
        {"topics", true, Holds::ALL, topics},
        {"ascending", true, Holds::ALL, ascending},
        {"descending", true, Holds::ALL, descending},
        {"line", true, Holds::ALL, line},
        {"spiral", true, Holds::FLOATS, spiral},
        {"lognormal", true, Holds::ALL, lognormal},
        {"lognormal_copies", true, Holds::ALL, lognormal_copies},
        {"outliers", true, Holds::FLOATS, outliers},
        {"tiny_numbers", true, Holds::F32_DISTANCES, tiny_numbers},
        {"huge_numbers", true, Holds::F32_DISTANCES, huge_numbers},
        {"mixed_numbers", true, Holds::F32_DISTANCES, mixed_numbers},
        {"categories", false, Holds::ALL, categories},
        {"one_hot", false, Holds::ALL, one_hot},
        {"ratings", false, Holds::ALL, ratings},
        {"grid", false, Holds::ALL, grid},
        {"grid_in_order", false, Holds::ALL, grid_in_order},
        {"equal_bits", false, Holds::ALL, equal_bits},
        {"signed_zeros", false, Holds::FLOATS, signed_zeros},
    };
    return sets;
}

} // namespace torture
