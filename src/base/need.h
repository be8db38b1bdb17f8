/* need.h - assertions about our own promises. Always compiled in; never for input, network, disk. */
#pragma once

/* Prints one line (file, condition, process role, current step), the last log lines, aborts. */
_Noreturn void bug_at(const char *file, int line, const char *what);

#define need(cond) ((cond) ? (void)0 : bug_at(__FILE__, __LINE__, #cond))
#define bug(why)   bug_at(__FILE__, __LINE__, why)

/* Where this process is ("goto", "wait SearchTimeline"); shown in a crash line. Borrowed string
 * that must live for ever (a literal). */
void need_step(const char *step);
