/* Lists over HTTP: in which order, what of each row, and where they go on. How many: test_http_counts.c. */
#include "../lib/asked.h"

#include "store/nodes.h"

static char id[ID_TEXT];

static const char *submit(const char *members)
{
    char body[512], text[512];
    snprintf(body, sizeof body, "{\"kind\":\"posts\",\"target\":\"@nasa\"%s}", members);
    struct answer_of a = ask("POST", "/v1/jobs", body);
    if (a.status != 202)
        fail_msg("%d: %.*s", a.status, SP(buf_span(&a.body)));
    member(&a.body, "id", text);
    span_copy(span_of(text), id, sizeof id);
    buf_free(&a.body);
    return id;
}

static void act(const char *job, const char *what, int status)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s/%s", job, what);
    EXPECT("POST", path, "", status, NULL);
}

static void delete (const char *job)
{
    char path[128];
    snprintf(path, sizeof path, "/v1/jobs/%s", job);
    EXPECT("DELETE", path, "", 204, NULL);
}

/* A page of one job: just this one; where it goes on. */
static void page(const char *query, const char *job, char cursor[512])
{
    char path[800], text[512];
    snprintf(path, sizeof path, "/v1/jobs?limit=1&%s%s%s", query, *cursor ? "&cursor=" : "",
             cursor);
    struct answer_of a = ask("GET", path, "");
    if (a.status != 200)
        fail_msg("%s: %.*s", path, SP(buf_span(&a.body)));
    snprintf(text, sizeof text, "\"data\":[{\"object\":\"job\",\"id\":\"%s\"", job);
    if (!contains(&a.body, *job ? text : "\"data\":[]"))
        fail_msg("%s: %.*s", path, SP(buf_span(&a.body)));
    member(&a.body, "page.next_cursor", cursor);
    buf_free(&a.body);
}

static void says(const char *path, int status, const char *code, const char *words)
{
    struct answer_of a = ask("GET", path, "");
    char is[512];
    member(&a.body, "code", is);
    if (a.status != status || strcmp(is, code) != 0 || !contains(&a.body, words))
        fail_msg("%s: wanted %d %s %s, got %d: %.*s", path, status, code, words, a.status,
                 SP(buf_span(&a.body)));
    buf_free(&a.body);
}

/* ---- orders and cursors ---- */

static void jobs_are_listed_in_the_order_of_their_ends(void **state)
{
    (void)state;
    char a[ID_TEXT], b[ID_TEXT], c[ID_TEXT], cursor[512] = "", path[800];
    memcpy(a, submit(",\"tenant\":\"ended\""), sizeof a);
    memcpy(b, submit(",\"tenant\":\"ended\""), sizeof b);
    memcpy(c, submit(",\"tenant\":\"ended\""), sizeof c);
    act(b, "cancel", 200);
    usleep(3000);
    act(a, "cancel", 200);
    page("tenant=ended&sort=-finished_at", a, cursor);
    act(a, "retry", 202); /* the cursor stands where it had ended */
    page("tenant=ended&sort=-finished_at", b, cursor);
    assert_string_equal(cursor, "null");
    *cursor = '\0';
    page("tenant=ended&sort=finished_at&state=cancelled,ready", b, cursor);
    snprintf(path, sizeof path, "/v1/jobs?sort=finished_at&after=%s", c);
    says(path, 409, "conflict_state", "has not ended");
    says("/v1/jobs?sort=finished_at&state=ready", 400, "bad_parameter", "jobs that have ended");
    says("/v1/jobs?sort=finish", 400, "bad_parameter",
         "sort is none of -created_at, created_at, -finished_at, finished_at");
    *cursor = '\0';
    page("tenant=ended", c, cursor);
    page("tenant=ended", b, cursor);
    act(c, "cancel", 200);
}

static void a_cursor_is_of_one_list(void **state)
{
    (void)state;
    static const struct {
        const char *query, *words;
    } others[] = {
        {"tenant=other", "with another tenant:"},
        {"tenant=kept&state=cancelled", "with another state:"},
        {"tenant=kept&label.team=press", "with another label:"},
        {"tenant=kept&created_after=2020-01-01", "with another created_after:"},
        {"tenant=kept&sort=created_at", "with another sort, -created_at:"},
        {"tenant=kept&sort=-finished_at", "with another sort, -created_at:"},
    };
    char first[ID_TEXT], cursor[512] = "", path[800];
    memcpy(first, submit(",\"tenant\":\"kept\""), sizeof first);
    submit(",\"tenant\":\"kept\"");
    page("tenant=kept", id, cursor);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(path, sizeof path, "/v1/jobs?%s&cursor=%s", others[i].query, cursor);
        says(path, 400, "cursor_invalid", others[i].words);
    }
    snprintf(path, sizeof path, "/v1/jobs?tenant=kept&after=%s&cursor=%s", first, cursor);
    says(path, 400, "bad_parameter", "one of cursor and after");
    for (size_t i = 0; cursor[i]; i++) { /* never more than what it was given for */
        char torn[512];
        snprintf(torn, sizeof torn, "%s", cursor);
        torn[i] = torn[i] == '~' ? '!' : '~';
        snprintf(path, sizeof path, "/v1/jobs?tenant=kept&cursor=%s", torn);
        says(path, 400, "cursor_invalid", "as it was given");
        snprintf(path, sizeof path, "/v1/jobs?tenant=kept&cursor=%.*s", (int)i, cursor);
        says(path, 400, "cursor_invalid", "as it was given");
    }
    act(id, "cancel", 200);
    delete (id);
    page("tenant=kept", first, cursor); /* nothing is passed over */
    assert_string_equal(cursor, "null");
}

/* As the version before wrote it: without the number of its job. */
static void a_cursor_of_the_version_before_goes_on(void **state)
{
    (void)state;
    char first[ID_TEXT], last[ID_TEXT], cursor[512] = "", before[512], path[800];
    memcpy(first, submit(",\"tenant\":\"before\""), sizeof first);
    memcpy(last, submit(",\"tenant\":\"before\""), sizeof last);
    page("tenant=before", last, cursor);
    const char *number = strchr(cursor + 2, '.') + 1;
    snprintf(before, sizeof before, "%.*s0%s", (int)(number - cursor), cursor,
             strchr(number, '.'));
    snprintf(path, sizeof path, "/v1/jobs?tenant=before&cursor=%s", before);
    page("tenant=before", first, before);
    act(last, "cancel", 200);
    delete (last);
    says(path, 410, "cursor_expired", "gone");
}

/* ---- rows that are large ---- */

enum { LARGE = 90, LARGE_SPEC = 60 * 1024 };

static void submit_large(void)
{
    static char spec[LARGE_SPEC + 1], ids[LARGE][ID_TEXT];
    snprintf(spec, sizeof spec, "{\"note\":\"%0*d\"}", LARGE_SPEC - 11, 0);
    for (int i = 0; i < LARGE; i++) {
        struct store_op op = {.verb = STORE_ACCEPT};
        snprintf(ids[i], sizeof ids[i], "job_01ARZ3NDEKTSV4RRFFQ69G%04d", i);
        op.in.accept = (struct accept_args){.id = span_of(ids[i]),
                                            .site = SPAN("x"),
                                            .kind = SPAN("posts"),
                                            .target = SPAN("nasa"),
                                            .lane = SPAN("large/x/normal"),
                                            .spec = span_of(spec),
                                            .limit = 1};
        run_op(&op);
        if (op.result)
            fail_msg("%s", op.fault.words);
    }
}

static struct answer_of ask_much(const char *path)
{
    struct client_answer a;
    struct fault f = {0};
    struct client_request q = {
        .method = "GET", .path = path, .timeout_ms = ANSWER_MS, .body_max = 8 << 20};
    if (client_send(client, &q, &a, &f))
        fail_msg("%s: %s", path, f.words);
    return (struct answer_of){a.status, a.body, a.retry_after_s};
}

/* Rows of a page, and where it goes on: empty: nowhere. */
static size_t rows_of(const struct buf *body, char cursor[512])
{
    struct json_parser *p = json_parser_new(8 << 20);
    struct json root;
    struct span next = SPAN_NONE;
    assert_int_equal(json_parse(p, buf_span(body), &root, NULL), E_OK);
    size_t n = json_count(json_get(root, SPAN("data")));
    json_text(json_path(root, "page.next_cursor"), &next);
    span_copy(next, cursor, 512);
    json_parser_free(&p);
    return n;
}

enum { WRITTEN = 1 << 20 /* of the rows of a page */ };
static void a_page_ends_where_its_answer_is_full(void **state)
{
    (void)state;
    char cursor[512] = "", path[800];
    /* Also where less is asked of each row: it is written as a whole before, on the event loop. */
    static const char *const asked[] = {"", "&fields=id,state"};
    submit_large();
    for (size_t i = 0; i < 2; i++) {
        size_t seen = 0, pages = 0;
        do {
            snprintf(path, sizeof path, "/v1/jobs?tenant=large&limit=200%s%s%s", asked[i],
                     *cursor ? "&cursor=" : "", cursor);
            struct answer_of a = ask_much(path);
            if (a.status != 200)
                fail_msg("%d: %.*s", a.status, SP(span_cut(buf_span(&a.body), 0, 300)));
            size_t n = rows_of(&a.body, cursor);
            assert_true(n > 0 && n * LARGE_SPEC < WRITTEN + LARGE_SPEC && ++pages < LARGE);
            seen += n;
            buf_free(&a.body);
        } while (*cursor);
        assert_int_equal(seen, LARGE);
        assert_true(pages > 1);
    }
}

/* ---- what of each ---- */

static void rows_have_what_is_asked_for(void **state)
{
    (void)state;
    submit(",\"tenant\":\"picked\"");
    char row[200], path[300];
    snprintf(row, sizeof row, "\"data\":[{\"id\":\"%s\",\"state\":\"ready\",\"failure\":null}]",
             id);
    struct answer_of a = ask("GET", "/v1/jobs?tenant=picked&fields=failure,id,state", "");
    assert_true(contains(&a.body, row) && contains(&a.body, "\"page\":{\"limit\":50,"));
    buf_free(&a.body);
    snprintf(path, sizeof path, "/v1/jobs?tenant=picked&fields=%%69d%%2Cstate");
    EXPECT("GET", path, "", 200, NULL);
    says("/v1/jobs?fields=id,stat", 400, "bad_parameter",
         "did you mean state; it may name object, id,");
    says("/v1/jobs?fields=", 400, "bad_parameter", "it may name object, id,");
    says("/v1/jobs?fields=id,,state", 400, "bad_parameter", "it may name object");
    says("/v1/jobs?fields=report", 400, "bad_parameter", "it may name object");
    says("/v1/queues?fields=id", 400, "bad_parameter", "it may name object, name, tenant");
    snprintf(path, sizeof path, "/v1/jobs/%s?fields=id", id);
    says(path, 400, "unknown_parameter", "unknown query parameter");
    refused("POST", "/v1/jobs?fields=id", "{}", 400, "", "unknown query parameter");
}

static err run_beat(struct store *s, void *args, struct arena *a, wall now, struct fault *f)
{
    (void)a;
    return store_node_beat(s, args, now, f);
}

/* A row or more of each list, of whatever that takes. */
static void make_rows(char batch[512], char webhook[512])
{
    struct arena *arena = arena_new(1 << 20);
    submit(",\"priority\":9");
    struct lease l = lease_of(id, arena);
    struct store_op op = {.verb = STORE_FINISH};
    op.in.finish = (struct finish_args){
        .id = span_of(l.id), .nonce = l.nonce, .failure = FAILURE_SUSPENDED};
    run_op(&op);
    assert_int_equal(op.result, E_OK);
    if_match = "Idempotency-Key: rows";
    struct answer_of a =
        ask("POST", "/v1/batches", "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@esa\"}]}");
    if_match = NULL;
    assert_int_equal(a.status, 202);
    member(&a.body, "id", batch);
    buf_free(&a.body);
    a = ask("POST", "/v1/webhooks", "{\"url\":\"https://receiver.example/in\"}");
    assert_int_equal(a.status, 201);
    member(&a.body, "id", webhook);
    buf_free(&a.body);
    char path[200];
    snprintf(path, sizeof path, "/v1/webhooks/%s/ping", webhook);
    EXPECT("POST", path, "", 202, NULL);
    EXPECT(
        "POST", "/v1/schedules",
        "{\"name\":\"rows\",\"cron\":\"0 0 1 1 *\",\"job\":{\"kind\":\"posts\",\"target\":\"@esa\"}}",
        201, NULL);
    EXPECT("POST", "/v1/schedules/rows/trigger", "", 202, NULL);
    EXPECT("POST", "/v1/sessions", "{\"name\":\"rows\"}", 201, NULL);
    EXPECT("POST", "/v1/breakers/default/x/normal/open", "{\"reason\":\"drill\"}", 200, NULL);
    EXPECT("POST", "/v1/jobs/actions",
           "{\"action\":\"hold\",\"filter\":{\"tenant\":\"nobody\"}}", 202, NULL);
    struct node_beat beat = {.version = "1", .host = "north", .workers = 2, .started_ms = 1};
    struct store_op says = {.verb = STORE_WRITE, .in.work = {.run = run_beat, .args = &beat}};
    run_op(&says);
    assert_int_equal(says.result, E_OK);
    arena_free(&arena);
}

static bool is_among(struct span names, struct span name)
{
    struct span one;
    while (span_next(&names, ',', &one))
        if (span_eq(one, name))
            return true;
    return false;
}

/* Names of all rows, each once, with commas between; how many. */
static size_t names_of_rows(const struct buf *body, char out[2048])
{
    struct json_parser *p = json_parser_new(ANSWER_BYTES);
    struct json root;
    size_t n = 0, used = 0;
    out[0] = '\0';
    assert_int_equal(json_parse(p, buf_span(body), &root, NULL), E_OK);
    for (struct json_iter row = json_each(json_get(root, SPAN("data"))); json_next(&row);)
        for (struct json_iter i = json_each(row.value); json_next(&i);) {
            if (is_among(span_of(out), i.key))
                continue;
            used +=
                (size_t)snprintf(out + used, 2048 - used, "%s%.*s", n++ ? "," : "", SP(i.key));
        }
    json_parser_free(&p);
    return n;
}

/* The names that a refusal says, and those of all rows, are the same, in the same number. */
static void each_list_knows_the_names_of_its_rows(void **state)
{
    (void)state;
    char batch[512], webhook[512];
    make_rows(batch, webhook);
    const struct {
        const char *path, *of, *what;
    } lists[] = {
        {"/v1/jobs", "", ""},
        {"/v1/jobs/", id, "/attempts"},
        {"/v1/batches", "", ""},
        {"/v1/batches/", batch, "/jobs"},
        {"/v1/schedules", "", ""},
        {"/v1/schedules/", "rows", "/runs"},
        {"/v1/queues", "", ""},
        {"/v1/breakers", "", ""},
        {"/v1/dead-letters", "", ""},
        {"/v1/operations", "", ""},
        {"/v1/sessions", "", ""},
        {"/v1/webhooks", "", ""},
        {"/v1/webhooks/", webhook, "/deliveries"},
        {"/v1/workers", "", ""},
        {"/v1/browsers", "", ""},
        {"/v1/nodes", "", ""},
    };
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        char path[800], full[3000], names[2048] = "";
        snprintf(path, sizeof path, "%s%s%s", lists[i].path, lists[i].of, lists[i].what);
        struct answer_of all = ask("GET", path, "");
        size_t n = names_of_rows(&all.body, names);
        if (all.status != 200 || n < 4)
            fail_msg("%s: %d %.*s", path, all.status, SP(buf_span(&all.body)));
        snprintf(full, sizeof full, "%s?fields=%s", path, names);
        struct answer_of same = ask("GET", full, "");
        if (same.status != 200)
            fail_msg("%s: %.*s", full, SP(buf_span(&same.body)));
        buf_free(&same.body);
        snprintf(full, sizeof full, "%s?fields=none", path);
        struct answer_of no = ask("GET", full, "");
        assert_int_equal(no.status, 400);
        size_t known = 1, at = span_find(buf_span(&no.body), SPAN("it may name"));
        for (; at < no.body.n && no.body.p[at] != '"'; at++)
            known += no.body.p[at] == ',';
        if (known != n)
            fail_msg("%s has %zu members, %zu are known: %s; %.*s", path, n, known, names,
                     SP(buf_span(&no.body)));
        buf_free(&no.body);
        snprintf(full, sizeof full, "%s?fields=%.*s", path, (int)strcspn(names, ","), names);
        struct answer_of one = ask("GET", full, "");
        assert_int_equal(names_of_rows(&one.body, names), 1);
        buf_free(&one.body);
        buf_free(&all.body);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_listed_in_the_order_of_their_ends),
        cmocka_unit_test(a_cursor_is_of_one_list),
        cmocka_unit_test(a_cursor_of_the_version_before_goes_on),
        cmocka_unit_test(rows_have_what_is_asked_for),
        cmocka_unit_test(each_list_knows_the_names_of_its_rows),
        cmocka_unit_test(a_page_ends_where_its_answer_is_full),
    };
    return cmocka_run_group_tests(tests, asked_start, asked_stop);
}
