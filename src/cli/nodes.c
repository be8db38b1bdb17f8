/* nodes.c - the nodes that share the store of a running service. */
#include "cli/lanes.h"

/* Jobs on its disk alone; "-": it takes none. One that is silent may have taken more since it said so. */
static const char *spooled(struct cli *c, struct json n)
{
    if (!json_is(json_get(n, SPAN("spooled")), JSON_INT))
        return "-";
    return arena_fmt(c->arena, "%lld%s", lanes_number(n, "spooled"),
                     span_is(lanes_text(n, "state"), "silent") ? "+?" : "");
}

static void print_node(struct cli *c, struct json n)
{
    struct json workers = json_get(n, SPAN("workers"));
    printf("%-20s  %-8s  %4lld of %-4lld  %8lld  %-7s  %-20s  %-24s  %s\n",
           cli_printable(c, lanes_text(n, "name")), cli_printable(c, lanes_text(n, "state")),
           lanes_number(workers, "busy"), lanes_number(workers, "all"),
           lanes_number(n, "browsers"), spooled(c, n),
           cli_printable(c, lanes_text(n, "heard_at")), cli_printable(c, lanes_text(n, "host")),
           cli_printable(c, lanes_text(n, "version")));
}

static void print_nodes(struct cli *c, struct json root)
{
    struct json data = json_get(root, SPAN("data"));
    if (json_count(data) == 0) {
        cli_note(c, "no node has said yet that it is there");
        return;
    }
    printf("%-20s  %-8s  %-12s  %8s  %-7s  %-20s  %-24s  %s\n", "NODE", "STATE", "WORKERS BUSY",
           "BROWSERS", "SPOOLED", "HEARD", "HOST", "VERSION");
    for (struct json_iter i = json_each(data); json_next(&i);)
        print_node(c, i.value);
}

int nodes_run(struct cli *c)
{
    struct service service;
    if (c->word_count > 2)
        return cli_usage("nodes", "too many words");
    int code = service_open(&service, c, NULL, NULL);
    if (code)
        return code;
    code = lanes_ask(c, &service, "GET", "/v1/nodes", SPAN_NONE, print_nodes);
    service_close(&service);
    return code;
}
