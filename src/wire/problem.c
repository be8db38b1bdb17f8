#include "wire/problem.h"

#include "base/json.h"

const char *problem_title(int status)
{
    static const struct {
        int status;
        const char *title;
    } rows[] = {
        {400, "Bad Request"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].title;
    return "Error";
}

static void write_type(struct json_w *w, const char *code)
{
    struct buf type = BUF(128);
    buf_add_text(&type, "urn:fulmar:problem:");
    for (const char *c = code; *c; c++)
        buf_add_char(&type, *c == '_' ? '-' : *c);
    json_kv_text(w, "type", buf_span(&type));
    buf_free(&type);
}

void problem_write(struct buf *out, const struct problem *p)
{
    struct json_w w = json_w(out);
    json_open(&w);
    write_type(&w, p->code);
    json_kv_cstr(&w, "title", problem_title(p->status));
    json_kv_int(&w, "status", p->status);
    json_kv_text(&w, "detail", p->detail);
    json_kv_cstr(&w, "code", p->code);
    if (p->request_id.n)
        json_kv_text(&w, "request_id", p->request_id);
    json_kv_bool(&w, "retryable", p->retryable);
    if (p->error_count) {
        json_key(&w, "errors");
        json_open_array(&w);
        for (size_t i = 0; i < p->error_count; i++) {
            json_open(&w);
            json_kv_text(&w, "pointer", p->errors[i].pointer);
            json_kv_cstr(&w, "code", p->errors[i].code);
            json_kv_text(&w, "detail", p->errors[i].detail);
            json_close(&w);
        }
        json_close_array(&w);
    }
    if (p->hint)
        json_kv_cstr(&w, "hint", p->hint);
    json_close(&w);
    buf_add_char(out, '\n');
}
