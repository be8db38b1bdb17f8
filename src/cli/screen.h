/* screen.h - a terminal as a whole screen, and as it was before however the program ends.
 *
 * While it is open: the other screen, no cursor, no wrapping, keys without Enter and without echo. Ctrl-C, SIGTERM,
 * SIGHUP, SIGQUIT and an abort give the terminal back and then end the program as they would without us; Ctrl-Z gives
 * it back for as long as the program is stopped. */
#pragma once

#include "base/span.h"

/* False: standard input and output are no terminal. */
bool screen_open(void);
void screen_close(void);
void screen_size(size_t *out_columns, size_t *out_rows);
/* Lines of a frame; what does not fit is not shown. */
void screen_draw(struct span frame);
/* A key, or 0 when none came in time, when the window has another size or the program was continued. */
char screen_key(int timeout_ms);
