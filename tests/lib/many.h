/* many.h - thousands of jobs. */
#pragma once

#include "net/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

enum { MANY_AT_ONCE = 2000 }; /* in a request, which has its time on a slow machine as well */

/* The jobs from number `from` on, until `to`, in turn of each of these tenants (NULL ends them); each is another one. */
static inline void submit_slice(struct client *with, int from, int to,
                                const char *const *tenants)
{
    struct buf body = BUF(1 << 20);
    struct client_answer a;
    struct fault f = {0};
    char all[64];
    int count = 0;
    while (tenants[count])
        count++;
    for (int i = from; i < to; i++)
        buf_fmt(&body,
                "{\"kind\":\"posts\",\"target\":\"@nasa\",\"tenant\":\"%s\",\"limit\":%d}\n",
                tenants[i % count], i + 1);
    struct client_request q = {
        .method = "POST",
        .path = "/v1/jobs/bulk",
        .body = buf_span(&body),
        .headers = {"Content-Type: application/x-ndjson", "Accept: application/x-ndjson"},
        .timeout_ms = 60 * 1000,
        .body_max = 16 << 20};
    if (client_send(with, &q, &a, &f))
        fail_msg("%s", f.words);
    snprintf(all, sizeof all, "\"accepted\":%d,", to - from);
    if (span_find(buf_span(&a.body), span_of(all)) == a.body.n)
        fail_msg("%.*s", SP(span_cut(buf_span(&a.body), 0, 300)));
    buf_free(&a.body);
    buf_free(&body);
}

static inline void submit_many(struct client *with, int n, const char *const *tenants)
{
    for (int from = 0; from < n; from += MANY_AT_ONCE)
        submit_slice(with, from, from + MANY_AT_ONCE < n ? from + MANY_AT_ONCE : n, tenants);
}
