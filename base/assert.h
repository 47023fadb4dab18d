/* assert.h - two tiers of asserts. Asserts are for bugs of this code; what comes from files, callers and disks gets a
 * status.
 *
 *   RHUMB_ASSERT        always on: cheap checks whose failure means memory or the file is about to be damaged
 *   RHUMB_ASSERT_DEBUG  on unless NDEBUG: checks that are too costly for hot paths
 */
#ifndef RHUMB_BASE_ASSERT_H
#define RHUMB_BASE_ASSERT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Writes one line to standard error and aborts. The one place where the library does either. */
__attribute__((noreturn)) void rhumb__assert_failed(const char *expression, const char *file, int line);

#ifdef __cplusplus
}
#endif

/* Each assert turns its expression into text itself. Passed on as an argument first, the expression would have its own
 * macros, such as atomic_load, expanded, and the message would be unreadable. */
#define RHUMB__ASSERT_TEXT(expression, text) ((expression) ? (void)0 : rhumb__assert_failed(text, __FILE__, __LINE__))

#define RHUMB_ASSERT(expression) RHUMB__ASSERT_TEXT(expression, #expression)

#ifdef NDEBUG
#define RHUMB_ASSERT_DEBUG(expression) ((void)0)
#else
#define RHUMB_ASSERT_DEBUG(expression) RHUMB__ASSERT_TEXT(expression, #expression)
#endif

#endif /* RHUMB_BASE_ASSERT_H */
