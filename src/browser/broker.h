/* broker.h - who asked what, until when, and to whom an answer or event belongs.
 *
 * Ids are ours, so that a late answer to a question given up is recognised and dropped. Each
 * call is answered exactly once: by the browser, by its deadline, or by broker_end_*(). */
#pragma once

#include "loop/loop.h"
#include "wire/cdp.h"

struct broker;
/* The answer: E_OK with JSON of "result"; E_PROTOCOL with JSON of "error"; else no bytes. */
typedef void broker_answer(void *ctx, uint32_t tag, err e, struct span payload);

struct broker *broker_new(struct loop *l, size_t calls_max,
                          err (*send)(void *ctx, struct span command),
                          void (*on_event)(void *ctx, const struct cdp_message *event),
                          void *ctx);
void broker_free(struct broker **b); /* not from inside an answer; forgets what is open */
/* One message of the browser. */
void broker_take(struct broker *b, struct span text);
/* owner groups calls for broker_end_owner(). E_BUSY when calls_max are open, else what send
 * said. */
MUST_USE err broker_call(struct broker *b, const void *owner, struct span session,
                         const char *method, struct span params, int64_t timeout_ms,
                         broker_answer *on_answer, void *ctx, uint32_t tag);
void broker_end_owner(struct broker *b, const void *owner,
                      err why); /* answers its open calls with why */
void broker_forget_owner(struct broker *b, const void *owner); /* they are never answered */
void broker_end_all(struct broker *b, err why);
