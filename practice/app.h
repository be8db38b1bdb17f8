/* app.h - the web app: one page for every address, and its script.
 *
 * The script asks for GraphQL-shaped JSON and shows it in a virtualised list with the test ids
 * of the real site. It never asks again by itself after a failure; a person presses Retry. */
#pragma once

#include "base/span.h"

extern const char app_index_page[], app_login_page[], app_locked_page[], app_panel_page[];
extern const char app_loop_page[], app_memory_page[], app_event_page[], app_crash_page[];
extern const char app_style[], app_script[];

#define APP_RENAMED "V9" /* at the end of a renamed call */
struct app_op {
    const char *name;  /* "UserTweets" */
    char query_id[24]; /* 22 characters */
};
struct app_meta {
    bool logged_in;
    bool drift;               /* the test ids of posts have other names */
    int mutation;             /* of the page (mutate.h): one test id has another name; 0 none */
    bool guest;               /* visitors are shown posts without their threads */
    bool alert;               /* a dialog opens before anything else */
    bool renamed;             /* the calls of the API have other names */
    bool pictures_far;        /* at the addresses of the real site */
    int64_t pictures_late_ms; /* a sign that they are loading stands in their place so long */
    const struct app_op *ops;
    size_t op_count;
};
void app_add_page(struct buf *out, const struct app_meta *meta);
