#include "cli/interrupt.h"

#include "cli/inside.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts, last;

int interrupt_code(void)
{
    return last == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
}

static void on_interrupt(int signum)
{
    last = signum;
    if (++interrupts > 1)
        _exit(interrupt_code());
}

void interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
    return interrupts > 0;
}
