/* cdp.h - the envelope of DevTools messages. Pure.
 *
 * A message is one JSON object (the NUL that ends it on the pipe is not part of it):
 *   {"id":7,"result":{…},"sessionId":"…"}                   answer
 *   {"id":7,"error":{"code":-32000,"message":"…"},"sessionId":"…"}   refusal
 *   {"method":"Page.loadEventFired","params":{…},"sessionId":"…"}    event
 * Only the envelope is read; params and results stay bytes. Chromium writes the members in this
 * order, so both ends of a message are enough; anything else is read member by member. */
#pragma once

#include "base/span.h"

enum { CDP_SESSION_MAX = 64, CDP_DEPTH_MAX = 200 };

struct cdp_message {
    bool answer;         /* has an id */
    int64_t id;          /* of an answer */
    bool refused;        /* an answer with "error" */
    struct span method;  /* of an event; empty for answers */
    struct span session; /* empty: the browser itself */
    struct span payload; /* JSON of "result", "error" or "params"; empty when there is none */
};
/* Spans borrow from text. E_PROTOCOL when it is no such message. A payload is skipped, not
 * checked. */
MUST_USE err cdp_read(struct span text, struct cdp_message *out);

/* JSON value of a member of one object, found without a tree. Keys are compared as they stand,
 * unescaped. false when it is not there or the object cannot be read. */
bool cdp_member(struct span object, const char *key, struct span *out_value);
/* The text of a member that is a string, as it stands in the JSON (escapes kept). */
bool cdp_member_text(struct span object, const char *key, struct span *out_text);
bool cdp_member_int(struct span object, const char *key, int64_t *out_value);
/* Takes the first value out of what is left of an array (start with the whole array). */
bool cdp_next_item(struct span *rest, struct span *out_value);

/* {"id":…,"method":…,"params":…,"sessionId":…}; params is trusted JSON (an object) or empty. */
void cdp_add_command(struct buf *out, uint32_t id, struct span session, const char *method,
                     struct span params);
