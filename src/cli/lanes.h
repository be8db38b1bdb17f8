/* lanes.h - what queues, breakers, limits and mode share. */
#pragma once

#include "cli/service.h"

/* "/v1/queues/default/x/normal/pause" for QUEUE as people write it, "x/normal" or "press/x/bulk"; in the
 * arena. NULL: not the name of a queue, said. */
const char *lanes_path(struct cli *c, const char *before, const char *name, const char *behind);
/* {"by":…,"reason":…, and what `more` adds}; in the arena. */
struct span lanes_body(struct cli *c, void (*more)(struct cli *c, struct json_w *w));
/* Asks; with --json prints the answer as it is, else gives its root to `show`. An exit code. */
int lanes_ask(struct cli *c, struct service *s, const char *method, const char *path, struct span body,
              void (*show)(struct cli *c, struct json root));
/* Sets a number of a flag as a member; "default" is null. 0 or an exit code. */
int lanes_check_number(const char *verb, const char *flag, const char *text, int64_t min, int64_t max, bool duration);
void lanes_put_number(struct json_w *w, const char *key, const char *text, bool duration);

struct span lanes_text(struct json v, const char *path);
long long lanes_number(struct json v, const char *path);
