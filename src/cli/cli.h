/* cli.h - the command line: every verb that is not a process of the service itself.
 *
 * Data goes to standard output, everything said about it to standard error. Exit codes are in
 * docs/reference/cli.md: 1-19 say how a job ended, 64-78 (sysexits) what is wrong with the
 * call. */
#pragma once

int cli_main(int argc, char **argv);
