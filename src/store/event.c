#include "store/event.h"

void event_put(struct json_w *w, const struct event_view *e)
{
    char when[WHEN_TEXT];
    const char *subject = span_starts(e->job, SPAN("bat_"))   ? "batch"
                          : span_starts(e->job, SPAN("opr_")) ? "operation"
                                                              : "job";
    json_open(w);
    json_kv_int(w, "seq", e->seq);
    json_kv_cstr(w, "at", when_text_ms((wall){e->at_ms}, when));
    json_kv_text(w, subject, e->job.n ? e->job : SPAN_NONE);
    json_kv_text(w, "event", e->kind);
    json_key(w, "data");
    json_put_raw(w, e->body);
}
