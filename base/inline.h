/* inline.h - functions that are inlined into every caller: parts of a kernel or of a walk's loop, whose constant
 * arguments the compiler is to fold.
 */
#ifndef RHUMB_BASE_INLINE_H
#define RHUMB_BASE_INLINE_H

#define RHUMB__INLINE static inline __attribute__((always_inline))

#endif /* RHUMB_BASE_INLINE_H */
