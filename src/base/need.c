#include "base/need.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(const char *) current_step = "start";

void need_step(const char *step)
{
    atomic_store_explicit(&current_step, step, memory_order_relaxed);
}

/* Straight to the descriptor: stdio may be in any state when a promise is broken. */
static void print(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, p, n);
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

static void print_line(struct span line, void *ctx)
{
    (void)ctx;
    print("  | ", 4);
    print(line.p, line.n);
    print("\n", 1);
}

void bug_at(const char *file, int line, const char *what)
{
    /* A promise may break while another is being reported: the first report counts. */
    static atomic_flag reporting = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&reporting)) {
        char text[512];
        int n = snprintf(text, sizeof text, "bug %s:%d: %s role=%s step=%s\n", file, line, what,
                         log_role(), atomic_load_explicit(&current_step, memory_order_relaxed));
        if (n > 0)
            print(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
        log_last_lines(print_line, NULL);
    }
    abort();
}
