/* interrupt.h - Ctrl-C and SIGTERM: the first one is a wish, the second ends the program. */
#pragma once

#include <stdbool.h>

/* From now on. */
void interrupt_catch(void);
bool interrupted(void);
