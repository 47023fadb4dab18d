/* log_message.h - messages to the log callback that the program installs (rhumb_log_set). */
#ifndef RHUMB_BASE_LOG_MESSAGE_H
#define RHUMB_BASE_LOG_MESSAGE_H

#include "include/rhumb_types.h"

/* See rhumb_log_set. */
void rhumb__log_message_set(rhumb_log_fn function, void *context, rhumb_log_level level_max);

/* Passes a message to the callback, if one is installed and wants this level. `path` (may be NULL) precedes the text
 * and names the file that the message is about. The message is one line and is truncated if it is too long. Keeps errno
 * and the thread's error record. Costs one relaxed load when no callback is installed; the arguments are evaluated
 * nevertheless. May be called with locks held, because the callback must not call the library. */
void rhumb__log_message(rhumb_log_level level, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* To be called in a forked child: another thread of the parent may have held the lock. */
void rhumb__log_message_forked(void);

#endif /* RHUMB_BASE_LOG_MESSAGE_H */
