/* interrupt.h - the wish to stop: SIGINT (Ctrl-C) and SIGTERM set a flag that commands look at.
 *
 * A second signal ends the process at once, in the way signals do. A signal that was ignored when the program began
 * stays ignored, as nohup and shells with background jobs expect.
 *
 * A call of the library that cannot be stopped, and that changes nothing on the disk, is left alone for a moment
 * and then abandoned with the process: interrupt_call_begin says what is to be reported and removed before.
 */
#ifndef RHUMB_CLI_INTERRUPT_H
#define RHUMB_CLI_INTERRUPT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Takes over the two signals. */
void interrupt_install(void);
bool interrupt_requested(void);

/* Between these two, an interruption that has waited for about half a second calls abandon(context) on a thread of its
 * own, which must end the process. The caller must be inside the library then, and holds nothing that `abandon` uses.
 * */
void interrupt_call_begin(void (*abandon)(void *context), void *context);
void interrupt_call_end(void);

#ifdef __cplusplus
}
#endif

#endif /* RHUMB_CLI_INTERRUPT_H */
