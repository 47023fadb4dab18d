/* curve.h - the recall curve of an index (rhumb_recall.h): measuring it for a command, and printing it.
 */
#ifndef RHUMB_CLI_CURVE_H
#define RHUMB_CLI_CURVE_H

#include "cli.h"

/* Measures, with progress; the options' progress is set here. CLI_OK or a reported failure. */
int curve_measure(struct cli *cli, rhumb_index *index, rhumb_recall_options *options, rhumb_recall_curve *curve);

/* Prints a curve: as the member "recall_curve", or as lines of text, and which ef gives some common recalls. `index`
 * has this curve, or is NULL: then the latter are left out. */
void curve_print(struct cli *cli, const rhumb_recall_curve *curve, rhumb_index *index);

#endif /* RHUMB_CLI_CURVE_H */
