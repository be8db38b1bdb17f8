/* shown.h - one message of the pack's expression "watch": what a page shows, as it comes into sight.
 *
 *   {"n":7,"answers":false,"bottom":true,"busy":false,"retry":false,"more":false,"guest":true,
 *    "html":"<div data-testid=\"primaryColumn\">…"}
 *
 * The HTML is a copy of the page without what was handed over before; reader_document() reads it. The
 * message comes from a world of its own inside the page and is believed in nothing but its shape. Pure. */
#pragma once

#include "base/json.h"

enum { SHOWN_HTML_MAX = 2 * 1024 * 1024 };

struct shown {
    int64_t number; /* from 1 in every document; none is left out */
    bool answers;   /* the list was asked for more, and has come to rest */
    bool bottom;    /* the end of what is loaded is in sight */
    bool busy;      /* the list is loading */
    bool retry;     /* the list failed to load and offers to try again */
    bool more;      /* what did not fit comes in the next message */
    bool guest;     /* nobody is logged in */
    /* of a thread: a button for more of it is there, and is pressed when it is asked for
     * more */
    bool folded;
    bool shut;        /* of a thread: one did not open */
    struct span html; /* empty: nothing new; borrows from the parser */
};

/* E_SHAPE when it is no such message, E_TOO_BIG when its HTML is. */
MUST_USE err shown_read(struct json_parser *parser, struct span message, struct shown *out,
                        struct fault *f);
