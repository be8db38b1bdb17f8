/* help.h - what --help and `fulmar help` print: all of it from the table of commands. */
#pragma once

#include <stdio.h>

void help_short(FILE *to); /* eight lines */
/* Of all, of a verb that there is, or of one of its actions; NULL: not named. */
void help_print(const char *verb, const char *action);
