#include "cli/ask.h"

#include "base/id.h"
#include "os/clock.h"
#include "os/files.h"
#include "os/secret.h"
#include "os/sign.h"

#include <fcntl.h>

enum {
    LIST_ROWS = 20,
    LIST_MAX = 200,
    BODY_BYTES = 16 * 1024,
    PAYLOAD_MAX = 1024 * 1024,
    SECRET_FILE_MAX = 4096,
    DAY_MS = 86400000,
    AGE_MOST_S = 300 /* as Standard Webhooks advises */
};

/* ---- what is shown ---- */

static const char *types_of(struct ask *a, struct json v)
{
    struct buf text = BUF(2048);
    for (struct json_iter i = json_each(json_get(v, SPAN("types"))); json_next(&i);) {
        struct span type = SPAN_NONE;
        json_text(i.value, &type);
        buf_fmt(&text, "%s%.*s", text.n ? " " : "", SP(type));
    }
    const char *shown = text.n ? cli_printable(a->c, buf_span(&text))
                               : "none: only of jobs whose callback it is";
    buf_free(&text);
    return shown;
}

static void put_row(struct ask *a, struct json v)
{
    printf("%-31s  %-8s  %7lld  %9lld  %5lld  %s\n", ask_shown(a, v, "id"),
           ask_shown(a, v, "status.state"), ask_number(v, "status.pending"),
           ask_number(v, "status.delivered"), ask_number(v, "status.dead"),
           ask_shown(a, v, "url"));
}

static int list(struct ask *a)
{
    static const struct ask_table table = {
        .heading = "WEBHOOK                          STATE     PENDING  DELIVERED   DEAD  URL",
        .when_empty =
            "no webhook; make one: fulmar webhooks add https://receiver.example/fulmar",
        .put_row = put_row,
    };
    return ask_list(a, "/v1/webhooks", &table);
}

static void put_delivery_row(struct ask *a, struct json v)
{
    long long status = ask_number(v, "last_status");
    printf("%-31s  %-9s  %5lld  %6s  %-14s  %-40s  %s\n", ask_shown(a, v, "id"),
           ask_shown(a, v, "state"), ask_number(v, "attempts"),
           status ? arena_fmt(a->c->arena, "%lld", status) : "-", ask_shown(a, v, "type"),
           ask_shown(a, v, "event"), ask_shown(a, v, "why"));
}

static int deliveries(struct ask *a, const char *id)
{
    static const struct ask_table table = {
        .heading =
            "DELIVERY                         STATE      TRIES  STATUS  TYPE            EVENT"
            "                                     WHY",
        .when_empty = "no delivery; fulmar webhooks ping sends one",
        .put_row = put_delivery_row,
    };
    struct cli *c = a->c;
    int64_t limit = LIST_ROWS;
    int code =
        c->limit ? cli_number("webhooks", "limit", c->limit, 1, LIST_MAX, &limit) : EXIT_DONE;
    const char *state = c->state ? arena_fmt(c->arena, "&state=%.20s", c->state) : "";
    return code ? code
                : ask_list(a,
                           arena_fmt(c->arena, "/v1/webhooks/%s/deliveries?limit=%lld%s", id,
                                     (long long)limit, state),
                           &table);
}

static int show(struct ask *a)
{
    struct json v = a->root;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    ask_line(a, "webhook", v, "id");
    ask_line(a, "name", v, "name");
    ask_line(a, "url", v, "url");
    printf("%-12s %s\n", "types", types_of(a, v));
    ask_line(a, "state", v, "status.state");
    ask_line(a, "why", v, "status.reason");
    printf("%-12s %lld delivered, %lld pending, %lld dead, %lld attempts failed\n",
           "deliveries", ask_number(v, "status.delivered"), ask_number(v, "status.pending"),
           ask_number(v, "status.dead"), ask_number(v, "status.failed_attempts"));
    printf("%-12s %lld events are yet to be looked at, %lld were gone before\n", "log",
           ask_number(v, "status.events_behind"), ask_number(v, "status.missed_events"));
    ask_line(a, "failing since", v, "status.failing_since");
    ask_line(a, "rests until", v, "status.rests_until");
    ask_line(a, "last good", v, "status.last_ok_at");
    ask_line(a, "old secret", v, "status.old_secret_until");
    ask_line(a, "secret", v, "secret");
    if (ask_text(v, "secret").n)
        cli_note(a->c, "the secret is shown this once: keep it where the receiver runs");
    return EXIT_DONE;
}

static int show_delivery(struct ask *a)
{
    struct json v = a->root;
    if (a->c->json) {
        ask_print(a);
        return EXIT_DONE;
    }
    printf("%s  %s  %s\n", ask_shown(a, v, "id"), ask_shown(a, v, "state"),
           ask_shown(a, v, "event"));
    cli_note(a->c, "what becomes of it: fulmar webhooks deliveries %s",
             ask_shown(a, v, "webhook"));
    return EXIT_DONE;
}

/* ---- what is sent ---- */

/* Of a file, or of standard input; *out_secret lies in the buf. */
static int read_secret(struct cli *c, struct buf *out, struct span *out_secret)
{
    struct fault f = {0};
    err e = strcmp(c->secret, "-") == 0
                ? files_read_input(out, &f)
                : files_read(AT_FDCWD, c->secret, SECRET_FILE_MAX, out, &f);
    *out_secret = span_trim(buf_span(out));
    if (!e && sign_secret_valid(*out_secret))
        return EXIT_DONE;
    cli_say("%s", e ? f.words
                    : "the file holds no secret: \"whsec_\" and the base64 of 24 to 64 bytes");
    return e ? cli_exit_of(e) : EXIT_DATA;
}

static int put_secret(struct cli *c, struct json_w *w)
{
    struct buf secret = BUF(2 * SECRET_FILE_MAX);
    struct span text;
    int code = c->secret ? read_secret(c, &secret, &text) : EXIT_DONE;
    if (!code && c->secret)
        json_kv_text(w, "secret", text);
    secret_wipe_buf(&secret);
    return code;
}

static void put_types(struct json_w *w, const char *types)
{
    struct span rest = span_of(types), type;
    json_key(w, "types");
    json_open_array(w);
    if (span_is(rest, "none"))
        rest = SPAN_NONE;
    while (span_next(&rest, ',', &type))
        json_put_text(w, span_trim(type));
    json_close_array(w);
}

static int put_members(struct cli *c, const char *url, const char *action, struct json_w *w)
{
    int64_t overlap_ms = DAY_MS;
    if (url)
        json_kv_cstr(w, "url", url);
    if (c->name)
        json_kv_cstr(w, "name", c->name);
    if (c->types)
        put_types(w, c->types);
    if (strcmp(action, "enable") == 0 || strcmp(action, "disable") == 0)
        json_kv_bool(w, "enabled", action[0] == 'e');
    if (strcmp(action, "replay") == 0)
        json_kv_cstr(w, "from", c->from);
    if (strcmp(action, "rotate") != 0)
        return strcmp(action, "add") == 0 ? put_secret(c, w) : EXIT_DONE;
    int code =
        c->ttl ? cli_duration("webhooks", "ttl", c->ttl, 0, (int64_t)30 * DAY_MS, &overlap_ms)
               : EXIT_DONE;
    json_kv_int(w, "overlap_s", overlap_ms / 1000);
    return code ? code : put_secret(c, w);
}

static int send_body(struct ask *a, const char *method, const char *path, const char *url,
                     const char *action)
{
    struct buf body = BUF(BODY_BYTES);
    struct json_w w = json_w(&body);
    json_open(&w);
    int code = put_members(a->c, url, action, &w);
    json_close(&w);
    if (!code)
        code = ask_send(a, method, path, NULL, buf_span(&body));
    secret_wipe_buf(&body);
    return code ? code : show(a);
}

/* ---- verify: what a receiver got, without a service ---- */

static int verify(struct cli *c)
{
    struct buf secret = BUF(2 * SECRET_FILE_MAX), body = BUF(PAYLOAD_MAX);
    struct span text;
    struct fault f = {0};
    int64_t at_s = 0;
    bool same = false;
    if (c->word_count != 5 || !c->secret || !span_int(span_of(c->words[3]), &at_s))
        return cli_usage(
            "webhooks",
            "verify needs --secret FILE and the headers webhook-id, webhook-timestamp and "
            "webhook-signature; the body comes from standard input");
    int code = strcmp(c->secret, "-") == 0
                   ? cli_usage("webhooks", "standard input is the body: name a file")
                   : read_secret(c, &secret, &text);
    if (!code && files_read_input(&body, &f)) {
        cli_say("%s", f.words);
        code = EXIT_IO;
    }
    if (!code)
        same = sign_verify(text, span_of(c->words[2]), at_s, buf_span(&body),
                           span_of(c->words[4]));
    secret_wipe_buf(&secret);
    buf_free(&body);
    if (code)
        return code;
    int64_t age_s = clock_wall().ms / 1000 - at_s;
    if (!same)
        cli_say("none of the signatures is of this secret, id, time and body");
    else if (age_s > AGE_MOST_S || age_s < -AGE_MOST_S)
        cli_say(
            "it is from the holder of this secret, but its time is %lld seconds from now: somebody may send an old one "
            "again",
            (long long)(age_s < 0 ? -age_s : age_s));
    else
        cli_note(c, "it is from the holder of this secret, and as it was sent");
    return same && age_s <= AGE_MOST_S && age_s >= -AGE_MOST_S ? EXIT_DONE : EXIT_DATA;
}

/* ---- the verb ---- */

static int run(struct ask *a, const char *action, const char *id)
{
    static const struct {
        const char *action, *method, *path;
    } rows[] = {{"set", "PATCH", ""},
                {"enable", "PATCH", ""},
                {"disable", "PATCH", ""},
                {"replay", "POST", "/replay"},
                {"rotate", "POST", "/rotate-secret"}};
    struct cli *c = a->c;
    a->match = true;
    if (strcmp(action, "list") == 0)
        return list(a);
    if (strcmp(action, "add") == 0)
        return send_body(a, "POST", "/v1/webhooks", id, action);
    if (strcmp(action, "deliveries") == 0)
        return deliveries(a, id);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(action, rows[i].action) == 0)
            return send_body(a, rows[i].method,
                             arena_fmt(c->arena, "/v1/webhooks/%s%s", id, rows[i].path), c->url,
                             action);
    int code;
    if (strcmp(action, "redeliver") == 0)
        code =
            ask_send(a, "POST", arena_fmt(c->arena, "/v1/webhooks/deliveries/%s/redeliver", id),
                     NULL, SPAN_NONE);
    else if (strcmp(action, "ping") == 0)
        code = ask_send(a, "POST", arena_fmt(c->arena, "/v1/webhooks/%s/ping", id), NULL,
                        SPAN_NONE);
    else if (strcmp(action, "remove") == 0)
        return ask_send(a, "DELETE", arena_fmt(c->arena, "/v1/webhooks/%s", id), NULL,
                        SPAN_NONE);
    else {
        code = ask_send(a, "GET", arena_fmt(c->arena, "/v1/webhooks/%s", id), NULL, SPAN_NONE);
        return code ? code : show(a);
    }
    return code ? code : show_delivery(a);
}

/* What the action is about: a webhook, a delivery, a URL or nothing. */
static int check_words(struct cli *c, const char *action, const char **out_id)
{
    int code = EXIT_DONE;
    *out_id = c->word_count > 2 ? c->words[2] : NULL;
    if (strcmp(action, "list") == 0)
        return c->word_count > 2 ? cli_usage("webhooks", "too many words") : EXIT_DONE;
    if (strcmp(action, "add") == 0)
        return c->word_count == 3 ? EXIT_DONE
                                  : cli_usage("webhooks", "add needs the URL of the receiver");
    if (strcmp(action, "redeliver") == 0)
        *out_id = ask_id(c, "webhooks", "dlv", "delivery", &code);
    else
        *out_id = ask_id(c, "webhooks", "whk", "webhook", &code);
    if (!code && strcmp(action, "replay") == 0 && !c->from)
        code = cli_usage("webhooks", "replay needs --from DATE");
    if (!code && strcmp(action, "set") == 0 && !c->url && !c->name && !c->types)
        code = cli_usage("webhooks", "say what to set: --url, --types, --name");
    return code;
}

int webhooks_run(struct cli *c)
{
    const char *action = c->action, *id;
    struct ask a;
    if (strcmp(action, "verify") == 0)
        return verify(c);
    int code = check_words(c, action, &id);
    if (!code)
        code = ask_open(&a, c);
    if (code)
        return code;
    code = run(&a, action, id);
    ask_close(&a);
    return code;
}
