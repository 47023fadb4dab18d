/* main.c - `rhumb`. All of it is in tool.c, which tests call as well. */
#include "cli.h"

int main(int argc, char **argv) { return cli_main(argc, argv); }
