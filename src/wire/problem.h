/* problem.h - RFC 9457 problem documents. Pure writer.
 *
 * `code` is the contract with machines ("not_found"); title and detail are for people and may
 * be reworded. The type is "urn:fulmar:problem:" and the code with hyphens; every code is
 * explained in docs/reference/http-api.md. */
#pragma once

#include "base/span.h"

struct problem_error { /* one refused member of the request */
    /* JSON Pointer into the body ("/limit"), or the query parameter's name */
    struct span pointer;
    const char *code;   /* "unknown_field" */
    struct span detail; /* one sentence */
};

struct problem {
    int status;
    const char *code;
    struct span detail;     /* one sentence; no internal paths or addresses */
    struct span request_id; /* may be empty */
    const char *hint;       /* what to do; may be NULL */
    const struct problem_error *errors;
    size_t error_count;
    bool retryable; /* the same request may work later */
};

void problem_write(struct buf *out, const struct problem *p);
/* The registered phrase of a status ("Not Found"); "Error" for one we never send. */
const char *problem_title(int status);
