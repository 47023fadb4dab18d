/* interrupt.h - the wish to stop: SIGINT (Ctrl-C) and SIGTERM set a flag that long commands look at.
 *
 * A second signal ends the process at once, in the way signals do. A signal that was ignored when the program began
 * stays ignored, as nohup and shells with background jobs expect.
 */
#ifndef RHUMB_CLI_INTERRUPT_H
#define RHUMB_CLI_INTERRUPT_H

#include <stdbool.h>

/* For commands that look at the flag; all others leave signals as they are. */
void interrupt_install(void);
bool interrupt_requested(void);

#endif /* RHUMB_CLI_INTERRUPT_H */
