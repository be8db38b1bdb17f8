/* place.h - what a path of a map led to: a value of a JSON answer, or what an XPath found in a
 * document. Fields, conversions and counters are the same for both. */
#pragma once

#include "base/json.h"
#include "extract/html.h"

struct place {
    struct json json;
    const struct html_found *html; /* NULL: nothing found, or a JSON map */
};

static inline bool place_is_there(struct place p)
{
    return p.json.doc || p.html;
}

/* The first node an XPath found; {NULL} when it found none. */
static inline struct html_node place_node(struct place p)
{
    return p.html && p.html->count ? p.html->nodes[0] : (struct html_node){NULL};
}
