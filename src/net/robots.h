/* robots.h - what a site asks of robots (RFC 9309). Pure. */
#pragma once

#include "base/span.h"

enum { ROBOTS_READ_MAX = 512 * 1024 }; /* what comes after it is not read */

/* May `agent` ("Fulmar") ask for `path` (path and query of a URL, "/a?b=c")? The longest rule of
 * the groups that name the agent counts, else of those for "*"; of two as long the one that allows.
 * '*' is any text, '$' at the end the end. A text without rules for us allows everything. */
bool robots_allow(struct span robots_txt, struct span agent, struct span path);
