#include "cli/interrupt.h"

#include "cli/inside.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signum)
{
    (void)signum;
    if (++interrupts > 1)
        _exit(EXIT_INTERRUPTED);
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
