/* lanes.h - what queues, breakers, limits and mode share. */
#pragma once

#include "cli/service.h"

/* {"by":…,"reason":…, and what `more` adds}; in the arena. */
struct span lanes_body(struct cli *c, void (*more)(struct cli *c, struct json_w *w));
/* Asks; with --json prints the answer as it is, else gives its root to `show`. An exit code. */
int lanes_ask(struct cli *c, struct service *s, const char *method, const char *path,
              struct span body, void (*show)(struct cli *c, struct json root));
/* --weight, --max-running, --every and --burst as members of a body; "default" is null. */
void lanes_put_settings(struct cli *c, struct json_w *w);

struct span lanes_text(struct json v, const char *path);
long long lanes_number(struct json v, const char *path);
/* "/v1/queues/default/x/normal/pause" for a queue as people write it, "x/normal" or "press/x/bulk"; in the
 * arena. NULL: not the name of a queue, said. */
const char *lanes_path(struct cli *c, const char *before, const char *name, const char *behind);
/* An exit code: EXIT_USAGE without --reason, said. */
int lanes_need_reason(const struct cli *c, const char *verb, const char *action);
