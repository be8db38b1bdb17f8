/* One program, several processes: the first word says which. */
#include "browser/launch.h"
#include "cli/cli.h"
#include "main/roles.h"
#include "os/faults.h"
#include "os/spawn.h"
#include "worker/worker.h"

#include <string.h>

static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
} roles[] = {
    {"serve", supervisor_main}, {"@node", node_main},     {"@egress", egress_main},
    {"@worker", worker_main},   {"@launch", launch_main},
};

int main(int argc, char **argv)
{
    fault_map();
    spawn_init();
    for (size_t i = 0; argc > 1 && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(argv[1], roles[i].word) == 0)
            return roles[i].run(argc, argv);
    return cli_main(argc, argv);
}
