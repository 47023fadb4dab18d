// Whether this is built with a sanitizer, which makes everything take ten times as long. Samples may then be smaller:
// the plain run has the larger one.
#ifndef RHUMB_TESTS_SUPPORT_SANITIZED_H
#define RHUMB_TESTS_SUPPORT_SANITIZED_H

namespace rhumb_test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

} // namespace rhumb_test

#endif // RHUMB_TESTS_SUPPORT_SANITIZED_H
