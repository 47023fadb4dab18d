// The seed of a randomised test.
#ifndef RHUMB_TESTS_SUPPORT_SEED_H
#define RHUMB_TESTS_SUPPORT_SEED_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace rhumb_test {

// RHUMB_SEED, or a random number when that is not set. Prints it either way, so that a run can be repeated.
inline uint64_t choose_seed() {
    const char *text = getenv("RHUMB_SEED");
    const uint64_t seed = text != nullptr ? strtoull(text, nullptr, 0) : std::random_device{}();
    printf("RHUMB_SEED=%llu\n", static_cast<unsigned long long>(seed));
    return seed;
}

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_SEED_H
