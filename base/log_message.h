/* log_message.h - what the library tells a function of the caller's while it works (rhumb_log_set). */
#ifndef RHUMB_BASE_LOG_MESSAGE_H
#define RHUMB_BASE_LOG_MESSAGE_H

#include "include/rhumb_types.h"

/* As rhumb_log_set. */
void rhumb__log_message_set(rhumb_log_fn function, void *context, rhumb_log_level level_max);

/* Tells the function, if there is one and it wants this level. `path` (may be NULL) comes first and names the file that
 * the message is about. One line, which is cut if it is too long. Keeps errno and the thread's error record. Costs a
 * relaxed load when nobody listens; the arguments are evaluated all the same. May be called with locks held that the
 * caller's function cannot come to, as it must not call the library. */
void rhumb__log_message(rhumb_log_level level, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif /* RHUMB_BASE_LOG_MESSAGE_H */
