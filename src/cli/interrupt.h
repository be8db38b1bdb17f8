/* interrupt.h - Ctrl-C and SIGTERM: the first one is a wish, the second ends the program. */
#pragma once

#include <stdbool.h>

/* From now on. */
void interrupt_catch(void);
bool interrupted(void);
/* The exit code of a program that was: 130 by Ctrl-C, 143 by SIGTERM. */
int interrupt_code(void);
