/* users.h - who uses an index and what its log has, as `rhumb info` tells it: once, or again and again. */
#ifndef RHUMB_CLI_USERS_H
#define RHUMB_CLI_USERS_H

#include "api/cli/console/json_writer.h"
#include "include/rhumb.h"

/* Lines for people. What is not known is left out. */
void users_print_log(const rhumb_index_info *info);
void users_print(const rhumb_index_info *info);

/* The member "pins". */
void users_json_pins(struct json_writer *json, const rhumb_index_info *info);

#endif /* RHUMB_CLI_USERS_H */
