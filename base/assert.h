/* assert.h - two tiers of asserts. Asserts are for bugs of this code; the world (files, callers, disks) gets a
 * status.
 *
 *   RHUMB_ASSERT        always on: cheap checks whose failure means memory or the file is about to be damaged
 *   RHUMB_ASSERT_DEBUG  on unless NDEBUG: checks too costly for hot paths
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

#define RHUMB_ASSERT(expression) ((expression) ? (void)0 : rhumb__assert_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define RHUMB_ASSERT_DEBUG(expression) ((void)0)
#else
#define RHUMB_ASSERT_DEBUG(expression) RHUMB_ASSERT(expression)
#endif

#endif /* RHUMB_BASE_ASSERT_H */
