// answer.cc - see answer.h.
#include "tests/torture/answer.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace torture {

std::string text(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    return line;
}

Filter::Filter(const std::vector<char> &matching, rhumb_filter_kind kind, bool negate) : matching_(matching) {
    rhumb_filter_init(&filter_, sizeof filter_);
    filter_.kind = kind;
    filter_.negate = negate;
    const uint64_t base = Model::key(0);
    bitmap_.resize((Model::key(matching.size()) - base) / 8 + 1);
    for (size_t number = 0; number < matching.size(); number++) {
        if ((matching[number] != 0) == negate) continue;
        const uint64_t key = Model::key(number);
        keys_.push_back(key);
        bitmap_[(key - base) / 8] |= static_cast<uint8_t>(1 << (key - base) % 8);
    }
    filter_.keys = keys_.data();
    filter_.key_count = keys_.size();
    filter_.bitmap = bitmap_.data();
    filter_.bitmap_bit_count = bitmap_.size() * 8;
    filter_.bitmap_key_base = base;
    filter_.matches = matches;
    filter_.context = this;
}

bool Filter::matches(void *context, uint64_t key) {
    const auto *filter = static_cast<const Filter *>(context);
    const uint64_t number = (key - Model::key(0)) / 3;
    return number < filter->matching_.size() && (filter->matching_[number] != 0) != filter->filter_.negate;
}

std::string wrong_vector(rhumb_index *index, const Collection &collection, const Model &model, size_t number) {
    const size_t bytes = collection.byte_count(model.row(number));
    std::vector<uint8_t> stored(size_t{collection.dim()} * 8);
    rhumb_sequence sequence = {stored.data(), collection.dim()};
    const bool of_sequences = is_sequence(collection.pair());
    void *room = of_sequences ? static_cast<void *>(&sequence) : stored.data();
    const uint64_t key = Model::key(number);
    if (rhumb_index_get_vector(index, key, room) != RHUMB_OK) {
        return text("key %zu: %s", static_cast<size_t>(key), rhumb_error_last()->message);
    }
    const size_t length = collection.numbers(model.row(number)).size();
    const bool same = memcmp(stored.data(), collection.bytes(model.row(number)), bytes) == 0 &&
                      (!of_sequences || sequence.length == length);
    return same ? "" : text("key %zu has another vector", static_cast<size_t>(key));
}

} // namespace torture
