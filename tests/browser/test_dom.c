/* What watches a page (the pack's expression "watch"), in real Chromium: every recorded page hands over
 * exactly the records that are expected of it, once each; a list that shows only a part of itself loses
 * none; and no script of a page can put words into its mouth.
 *
 * FULMAR_FIXTURES names the recordings (default ../shared/fixtures/x); without them only the project's own
 * pages (tests/data/shapes/dom) are read. */
#include "extract/pack.h"
#include "extract/shown.h"

#include "../lib/grade.h"
#include "../lib/chromium.h"
#include "../lib/pack.h"

enum { MESSAGES_MAX = 400, BY_HAND = 0, OWN, REAL, SYNTHETIC, FOLDERS };

static const char *folders[FOLDERS]; /* /0/NAME is NAME in folders[0]; NULL: there is none */
static struct pack *pack;

/* ---- the origin ---- */

enum { STATUS_ID = 30 };
static const char status_head[] = "/status/"; /* /status/ID/FOLDER/NAME: the page of a thread */

static const char forger[] =
    "<!DOCTYPE html><title>forger</title><body><div data-testid=primaryColumn><section><div>"
    "<div data-testid=cellInnerDiv><h2>nothing here</h2></div></div></section></div>"
    "<iframe srcdoc=\"<script>try{fulmar_hand('forged')}catch(e){}</script>\"></iframe><script>\n"
    "var said = [];\n"
    "function forge(f) { try { f('{\"n\":1,\"html\":\"forged\"}'); said.push('spoke'); } catch (e) { said.push('refused'); } }\n"
    "forge(function (t) { fulmar_hand(t); });\n"
    "forge(function (t) { window.fulmar_hand(t); });\n"
    "forge(function (t) { globalThis.fulmar_watch.more(t); });\n"
    "JSON.stringify = function () { return 'forged'; };\n"
    "window.MutationObserver = function () { document.title = 'seen'; };\n"
    "Document.prototype.querySelector = function () { document.title = 'seen'; return null; };\n"
    "document.documentElement.dataset.said = said.join();\n"
    "</script>";

static void send_page(int fd, struct span body)
{
    char head[200];
    int n =
        snprintf(head, sizeof head,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: "
                 "%zu\r\nConnection: close\r\n\r\n",
                 body.n);
    (void)!write(fd, head, (size_t)n);
    while (body.n) {
        ssize_t sent = write(fd, body.p, body.n);
        if (sent <= 0)
            return;
        body = span_cut(body, (size_t)sent, body.n);
    }
}

static void answer(int fd, struct span head)
{
    struct span rest = head, method, path;
    struct buf body = BUF(FILE_BYTES);
    char name[1024];
    if (!span_next(&rest, ' ', &method) || !span_next(&rest, ' ', &path))
        return;
    if (span_starts(path, span_of(status_head))) {
        path = span_cut(path, sizeof status_head - 1, path.n);
        path = span_cut(path, span_find_char(path, '/'), path.n);
    }
    size_t folder = path.n > 3 && path.p[2] == '/' ? (size_t)(path.p[1] - '0') : FOLDERS;
    if (span_is(path, "/forger")) {
        send_page(fd, span_of(forger));
    } else if (folder < FOLDERS && folders[folder]) {
        snprintf(name, sizeof name, "%s/%.*s", folders[folder], SP(span_cut(path, 3, path.n)));
        send_page(fd, read_file(name, &body));
    } else {
        send_page(fd, SPAN("<title>none</title>"));
    }
    buf_free(&body);
}

/* ---- what a page hands over ---- */

struct gathered {
    struct arena *arena;
    struct reader *reader;
    struct json_parser *events, *messages;
    struct reading all;
    struct record records[FILES_MAX * 10];
    const char *source;
    int64_t number, world;
    int messages_seen, answers;
    bool forged, folded, shut;
};
static struct gathered g;

static bool known_already(const struct record *r)
{
    for (size_t i = 0; i < g.all.count; i++)
        if (r->id.n && g.records[i].kind == r->kind && span_eq(g.records[i].id, r->id))
            return true;
    return false;
}

/* The account of the page comes with every message; nothing else comes twice. */
static void add(const struct reading *r)
{
    g.all.posts += r->posts;
    g.all.promoted += r->promoted;
    g.all.unavailable += r->unavailable;
    g.all.unparsed += r->unparsed;
    g.all.rejected += r->rejected;
    if (r->posts || r->users || !g.all.count) {
        g.all.sign = r->sign;
        g.all.state = r->state; /* the pack's word */
    }
    for (size_t i = 0; i < r->count; i++) {
        bool again = known_already(&r->records[i]);
        if (again && r->records[i].kind != RECORD_USER)
            differ(g.source, r->records[i].id, "handed over", SPAN("once"), SPAN("twice"));
        if (again)
            continue;
        assert_true(g.all.count < sizeof g.records / sizeof g.records[0]);
        g.records[g.all.count++] = r->records[i];
        g.all.users += r->records[i].kind == RECORD_USER;
    }
}

static void page_event(void *ctx, struct span method, struct span params)
{
    struct json v;
    struct span payload;
    struct shown s;
    struct reading r;
    struct fault f = {0};
    (void)ctx;
    if (!g.events || !span_is(method, "Runtime.bindingCalled"))
        return;
    assert_int_equal(json_parse(g.events, params, &v, NULL), E_OK);
    assert_true(json_text(json_get(v, SPAN("payload")), &payload));
    assert_true(json_int(json_get(v, SPAN("executionContextId")), &g.world));
    g.forged = g.forged || says(payload, "forged");
    if (shown_read(g.messages, payload, &s, &f))
        fail_msg("%s: %.*s", f.words, (int)(payload.n > 300 ? 300 : payload.n), payload.p);
    assert_int_equal(s.number, g.number + 1);
    g.number = s.number;
    g.messages_seen++;
    g.answers += s.answers;
    g.folded = s.folded;
    g.shut = s.shut;
    if (s.html.n) {
        if (reader_document(g.reader, span_of(g.source), 200, SPAN_NONE, s.html,
                            (wall){1786093200000}, g.arena, &r, &f))
            fail_msg("%s", f.words);
        add(&r);
    }
    loop_stop(w.loop);
}

static void gather(const char *source)
{
    g = (struct gathered){.source = source};
    g.arena = arena_new(FILE_BYTES * 4);
    g.reader = reader_new(pack, FILE_BYTES);
    g.messages = json_parser_new(FILE_BYTES);
    g.events = json_parser_new(FILE_BYTES);
    g.all.records = g.records;
}

static void forget(void)
{
    reader_free(&g.reader);
    json_parser_free(&g.events);
    json_parser_free(&g.messages);
    arena_free(&g.arena);
}

/* As node does it for a worker (pool/calls.c). */
static void watch(struct page *p)
{
    struct buf b = BUF(256 * 1024);
    struct json_w w2 = json_w(&b);
    page_ask(p, "Runtime.enable", "{}");
    page_ask(p, "Runtime.addBinding",
             "{\"name\":\"fulmar_hand\",\"executionContextName\":\"fulmar\"}");
    json_open(&w2);
    json_kv_text(&w2, "source", pack_expression(pack, SPAN("watch")));
    json_kv_cstr(&w2, "worldName", "fulmar");
    json_close(&w2);
    buf_add_char(&b, '\0');
    page_ask(p, "Page.addScriptToEvaluateOnNewDocument", b.p);
    buf_free(&b);
}

/* The list is asked for more, and comes to rest. */
static void ask_more(struct page *p)
{
    char params[300];
    int before = g.answers;
    snprintf(params, sizeof params,
             "{\"contextId\":%lld,\"expression\":\"fulmar_watch.more()\"}", (long long)g.world);
    page_ask(p, "Runtime.evaluate", params);
    WAIT_FOR(g.answers > before);
}

static void show(struct page *p, const char *path)
{
    page_open(p);
    watch(p);
    page_go(p, path);
    WAIT_FOR(g.messages_seen > 0);
    ask_more(p);
}

/* ---- recorded pages ---- */

/* What capture asks a page that brings nothing: the same word as is read out of the recorded page. */
static void compare_words(struct page *p, const char *label, struct json expect)
{
    struct buf b = BUF(256 * 1024);
    struct json_w w2 = json_w(&b);
    struct span want = SPAN("ok"), text = SPAN("");
    struct json v;
    json_open(&w2);
    json_kv_text(&w2, "expression", pack_expression(pack, SPAN("state")));
    json_close(&w2);
    buf_add_char(&b, '\0');
    assert_int_equal(json_parse(record_parser, page_ask(p, "Runtime.evaluate", b.p), &v, NULL),
                     E_OK);
    if (!json_text(json_path(v, "result.value"), &text))
        fail_msg("%s: the expression 'state' returned no text", label);
    struct page_sign said = reader_page_sign(pack, SPAN("https://x.com/nasa"), 200, text);
    json_text(json_get(expect, SPAN("state")), &want);
    compared++;
    if (!span_eq(want, said.state.n ? said.state : SPAN("ok")))
        differ(label, SPAN("page"), "words", want, said.state);
    buf_free(&b);
}

static void check_page(int folder, const char *name)
{
    char path[1024], label[512], url[600];
    struct buf text = BUF(FILE_BYTES);
    struct json expect;
    struct page p = {0};
    snprintf(path, sizeof path, "%s/%s", folders[folder], name);
    snprintf(label, sizeof label, "%s", name);
    snprintf(url, sizeof url, "/%d/%s", folder, name);
    if (!load_expectation(path, &text, &expect))
        return;
    gather("dom");
    show(&p, url);
    files++;
    posts += g.all.posts;
    users += g.all.users;
    compare_page(label, expect, &g.all);
    compare_words(&p, label, expect);
    page_close(&p);
    forget();
    buf_free(&text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_folder(int folder)
{
    char *names[FILES_MAX];
    size_t n = 0;
    DIR *d = opendir(folders[folder]);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e && n < FILES_MAX; e = readdir(d))
        if (span_ends(span_of(e->d_name), SPAN(".html")))
            names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof names[0], by_name);
    for (size_t i = 0; i < n; i++) {
        check_page(folder, names[i]);
        free(names[i]);
    }
}

static void recorded_pages(void **state)
{
    static const char *const names[FOLDERS] = {"our own, by hand", "our own, of every shape",
                                               "real pages", "made of real posts"};
    (void)state;
    struct browsers_config c = usual();
    world_open(&c);
    table_head("pages in Chromium");
    for (int i = 0; i < FOLDERS; i++) {
        if (folders[i])
            check_folder(i);
        table_row(names[i]);
    }
    world_close();
    table_end();
    if (!folders[REAL])
        printf("skipped: no recordings of real pages\n");
    assert_true(all.files >= 25);
    assert_int_equal(differences, 0);
}

/* A list shows a part of itself at a time, and takes the rest out of the page. */
static void move_through(int folder)
{
    char path[1024], params[1024], first[64];
    struct buf text = BUF(FILE_BYTES);
    struct json expect;
    struct page p = {0};
    snprintf(path, sizeof path, "%s/scroll_UNION.html", folders[folder]);
    assert_true(load_expectation(path, &text, &expect));
    gather("dom");
    snprintf(first, sizeof first, "/%d/scroll_01.html", folder);
    show(&p, first);
    for (int i = 2; i <= (int)json_count(json_get(expect, SPAN("sources"))); i++) {
        snprintf(
            params, sizeof params,
            "{\"awaitPromise\":true,\"expression\":\"fetch('/%d/scroll_%02d.html').then(r => r.text()).then(t => "
            "{ const cell = '[data-testid=cellInnerDiv]', from = new DOMParser().parseFromString(t, 'text/html')"
            ".querySelector(cell).parentNode; document.querySelector(cell).parentNode.replaceChildren("
            "...from.childNodes); })\"}",
            folder, i);
        page_ask(&p, "Runtime.evaluate", params);
        if (i % 2) /* every other part is gone before anybody had time to look */
            ask_more(&p);
    }
    ask_more(&p);
    struct json want = json_get(expect, SPAN("posts"));
    assert_int_equal(g.all.posts, json_count(want));
    for (size_t i = 0, at = 0; i < json_count(want); i++, at++) {
        struct span id;
        take(&g.all, RECORD_POST, &at);
        assert_true(json_text(json_path(json_at(want, i), "id"), &id));
        if (!span_eq(id, g.records[at].id))
            differ("scroll_UNION", id, "order", id, g.records[at].id);
    }
    page_close(&p);
    forget();
    buf_free(&text);
}

static void a_list_that_moves(void **state)
{
    (void)state;
    struct browsers_config c = usual();
    differences = compared = shown = 0;
    world_open(&c);
    move_through(OWN);
    if (folders[SYNTHETIC])
        move_through(SYNTHETIC);
    world_close();
    assert_int_equal(differences, 0);
}

/* The page of a thread: what stands where, by the post that it is about; a button that opens nothing is given
 * up after some tries, and that is said. */
static void read_thread(int folder, const char *name)
{
    char path[1024], url[1200], focus[STATUS_ID];
    struct buf text = BUF(FILE_BYTES);
    struct json expect;
    struct span id;
    struct page p = {0};
    snprintf(path, sizeof path, "%s/%s", folders[folder], name);
    assert_true(load_expectation(path, &text, &expect));
    assert_true(json_text(json_path(json_at(json_get(expect, SPAN("posts")), 0), "id"), &id));
    span_copy(id, focus, sizeof focus);
    snprintf(url, sizeof url, "%s%s/%d/%s", status_head, focus, folder, name);
    gather("dom_thread");
    reader_focus(g.reader, span_of(focus));
    show(&p, url);
    bool folded = g.folded;
    for (int tries = 0; tries < 6 && g.folded; tries++)
        ask_more(&p);
    assert_false(g.folded);
    assert_int_equal(g.shut, folded);
    files++;
    posts += g.all.posts;
    compare_page(name, expect, &g.all);
    assert_int_equal(g.records[0].section, SECTION_MAIN);
    page_close(&p);
    forget();
    buf_free(&text);
}

static void threads(void **state)
{
    (void)state;
    struct browsers_config c = usual();
    world_open(&c);
    table_head("threads in Chromium");
    read_thread(OWN, "thread.html");
    read_thread(OWN, "thread_poll.html");
    table_row("our own, of every shape");
    if (folders[SYNTHETIC]) {
        read_thread(SYNTHETIC, "status_thread.html");
        read_thread(SYNTHETIC, "status_poll_replies.html");
        table_row("made of real posts");
    }
    world_close();
    table_end();
    assert_int_equal(differences, 0);
}

static void a_page_cannot_speak_for_it(void **state)
{
    (void)state;
    struct page p = {0};
    struct browsers_config c = usual();
    world_open(&c);
    gather("dom");
    show(&p, "/forger");
    page_wait(&p, "document.documentElement.dataset.said", "refused,refused,refused");
    page_wait(&p, "document.title", "forger"); /* and it saw nothing of what watches it */
    ask_more(&p);
    assert_false(g.forged);
    assert_int_equal(g.all.posts, 0);
    page_close(&p);
    forget();
    world_close();
}

/* ---- around all ---- */

static const char *readable(char *room, size_t size, const char *base, const char *below)
{
    snprintf(room, size, "%s%s", base, below);
    return access(room, R_OK | X_OK) == 0 ? room : NULL;
}

static void open_all(void)
{
    static char rooms[FOLDERS][1000];
    const char *fixtures = getenv("FULMAR_FIXTURES");
    pack = open_site("x");
    fixtures = fixtures ? fixtures : "../shared/fixtures/x";
    folders[BY_HAND] =
        readable(rooms[BY_HAND], sizeof rooms[0], "tests/data/shapes", "/dom/by-hand");
    folders[OWN] = readable(rooms[OWN], sizeof rooms[0], "tests/data/shapes", "/dom/synthetic");
    folders[REAL] = readable(rooms[REAL], sizeof rooms[0], fixtures, "/dom/real");
    folders[SYNTHETIC] =
        readable(rooms[SYNTHETIC], sizeof rooms[0], fixtures, "/dom/synthetic");
    assert_true(folders[BY_HAND] && folders[OWN]);
    expect_parser = json_parser_new(FILE_BYTES);
    record_parser = json_parser_new(FILE_BYTES);
}

static int setup_all(void **state)
{
    open_all();
    return setup(state);
}

static int teardown_all(void **state)
{
    json_parser_free(&expect_parser);
    json_parser_free(&record_parser);
    pack_close(&pack);
    return teardown(state);
}

int main(int argc, char **argv)
{
    int code;
    if (!begin(argc, argv, &code))
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_pages),
        cmocka_unit_test(a_list_that_moves),
        cmocka_unit_test(threads),
        cmocka_unit_test(a_page_cannot_speak_for_it),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
