/* fields.h - fulmar site fields: where the fields of a site's records came from. */
#pragma once

#include "cli/inside.h"

/* Asks the running service and prints a table, or its JSON. An exit code. */
int fields_show(struct cli *c, const char *site);
