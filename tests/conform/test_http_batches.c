/* /v1/batches, /v1/dead-letters, /v1/operations and …/retry over HTTP: a real server, a real store. */
#include "../lib/service.h"

#include "base/json.h"
#include "net/client.h"
#include "os/random.h"

enum { ANSWER_MAX = 32 * 1024 * 1024 };

static struct client *client;
static struct json_parser *parser;
static struct client_answer answer;
static struct json root;

/* One request; its answer is `answer`, its JSON `root`. */
__attribute__((format(printf, 4, 5))) static int ask(const char *method, const char *path,
                                                     const char *key, const char *fmt, ...)
{
    char header[300];
    struct buf body = BUF(4 * 1024 * 1024);
    struct fault f = {0};
    if (fmt) {
        va_list ap;
        va_start(ap, fmt);
        buf_vfmt(&body, fmt, ap);
        va_end(ap);
    }
    snprintf(header, sizeof header, "Idempotency-Key: %s", key ? key : "");
    struct client_request q = {.method = method,
                               .path = path,
                               .body = buf_span(&body),
                               .timeout_ms = 20000,
                               .body_max = ANSWER_MAX};
    if (key)
        q.headers[0] = header;
    buf_free(&answer.body);
    err e = client_send(client, &q, &answer, &f);
    if (e)
        fail_msg("%s %s: %s", method, path, f.words);
    buf_free(&body);
    root = JSON_MISSING;
    if (answer.body.n && json_parse(parser, buf_span(&answer.body), &root, NULL))
        root = JSON_MISSING; /* NDJSON */
    return answer.status;
}

#define MUST(status, ...)                                                                      \
    do {                                                                                       \
        int got_ = ask(__VA_ARGS__);                                                           \
        if (got_ != (status))                                                                  \
            fail_msg("answered %d, not %d: %.*s", got_, status,                                \
                     SP(span_cut(buf_span(&answer.body), 0, 600)));                            \
    } while (0)

static char *text_at(const char *path)
{
    static char texts[8][300];
    static int n;
    struct span text = SPAN("");
    json_text(json_path(root, path), &text);
    return span_copy(text, texts[n++ % 8], sizeof texts[0]);
}

static int64_t number_at(const char *path)
{
    int64_t n = -1;
    json_int(json_path(root, path), &n);
    return n;
}

static const char *error_pointer(size_t i)
{
    static char text[200];
    struct span pointer = SPAN("");
    json_text(json_get(json_at(json_get(root, SPAN("errors")), i), SPAN("pointer")), &pointer);
    return span_copy(pointer, text, sizeof text);
}

static bool says(const char *words)
{
    return span_find(buf_span(&answer.body), span_of(words)) < answer.body.n;
}

static const char *new_key(void)
{
    static char key[40];
    snprintf(key, sizeof key, "k%llx", (unsigned long long)random_u64());
    return key;
}

/* ---- jobs, from the store's side ---- */

/* Ends every job that can start: one whose target begins with "bad" fails. Those that succeed have a
 * record: of its own, or the same one where the target begins with "same". */
static int work_all(void)
{
    int n = 0;
    struct arena *a = arena_new(1 << 20);
    for (;; n++) {
        arena_reset(a);
        struct store_op op = {.verb = STORE_RESERVE, .arena = a};
        op.in.reserve = (struct reserve_args){.random = random_u64() | 1, .needs = NEEDS_PAGE};
        run_op(&op);
        if (op.result)
            break;
        struct lease l = op.out.lease;
        bool bad = span_starts(l.target, SPAN("bad"));
        const char *record = span_starts(l.target, SPAN("same")) ? "7" : l.id;
        struct store_item item = {.kind = span_is(l.kind, "profile") ? ITEM_USER : ITEM_POST,
                                  .id = span_of(record),
                                  .json =
                                      span_of(arena_fmt(a, "{\"id\":\"%s\",\"text\":\"%.*s\"}",
                                                        record, SP(l.target)))};
        struct store_op batch = {.verb = STORE_COMMIT, .arena = a};
        batch.in.commit = (struct commit_args){.id = span_of(l.id),
                                               .nonce = l.nonce,
                                               .batch = l.next_batch,
                                               .items = &item,
                                               .count = !bad};
        run_op(&batch);
        assert_int_equal(batch.result, E_OK);
        struct store_op end = {.verb = STORE_FINISH};
        end.in.finish =
            (struct finish_args){.id = span_of(l.id),
                                 .nonce = l.nonce,
                                 .failure = bad ? FAILURE_LOGIN_REQUIRED : FAILURE_NONE,
                                 .verdict = bad ? VERDICT_NONE : VERDICT_COMPLETE,
                                 .end = bad ? END_NONE : END_TERMINATE,
                                 .why = bad ? SPAN("no 'entries' after 3 pages") : SPAN("")};
        run_op(&end);
        assert_int_equal(end.result, E_OK);
    }
    arena_free(&a);
    return n;
}

#define TWO "{\"template\":{\"kind\":\"posts\",\"limit\":5},\"targets\":[\"@%s1\",\"@%s2\"]}"

static char *make_batch(const char *first, const char *second)
{
    static char ids[4][40];
    static int n;
    MUST(202, "POST", "/v1/batches", new_key(),
         "{\"template\":{\"kind\":\"posts\"},\"targets\":[\"@%s\",\"@%s\"]}", first, second);
    return span_copy(span_of(text_at("id")), ids[n++ % 4], sizeof ids[0]);
}

static char *path_of(const char *fmt, const char *id)
{
    static char paths[4][200];
    static int n;
    char *path = paths[n++ % 4];
    struct buf text = BUF(200);
    struct span rest = span_of(fmt);
    size_t at = span_find_char(rest, '*');
    buf_add(&text, span_cut(rest, 0, at));
    buf_add_text(&text, id);
    buf_add(&text, span_cut(rest, at + 1, rest.n));
    span_copy(buf_span(&text), path, 200);
    buf_free(&text);
    return path;
}

/* ---- making ---- */

static void a_batch_needs_a_key_and_the_same_key_gives_the_same_batch(void **state)
{
    (void)state;
    MUST(400, "POST", "/v1/batches", NULL, TWO, "a", "a");
    assert_string_equal(text_at("code"), "idempotency_key_required");
    MUST(202, "POST", "/v1/batches", "first", TWO, "a", "a");
    char id[40];
    span_copy(span_of(text_at("id")), id, sizeof id);
    assert_int_equal(number_at("added"), 2);
    assert_int_equal(number_at("counts.ready"), 2);
    assert_int_equal(number_at("counts.total"), 2);
    assert_string_equal(text_at("state"), "running");
    MUST(202, "POST", "/v1/batches", "first", TWO, "a", "a");
    assert_string_equal(text_at("id"), id);
    MUST(422, "POST", "/v1/batches", "first", TWO, "a", "b");
    assert_string_equal(text_at("code"), "idempotency_mismatch");
    MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
    assert_int_equal(number_at("counts.total"), 2);
    work_all();
    MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
    assert_string_equal(text_at("state"), "success");
    assert_int_equal(number_at("percent"), 100);
    assert_true(text_at("completed_at")[0]);
    assert_true(text_at("callbacks.success.at")[0]);
}

static void mistakes_are_named_where_they_are(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body, *pointer, *words;
    } rows[] = {
        {400, "{\"jbos\":[]}", "/jbos", "did you mean \\\"jobs\\\"?"},
        {400, "[1]", "", "must be a JSON object"},
        {400, "{", "", "not JSON"},
        {422, "{}", "/jobs", "says what to collect"},
        {422, "{\"jobs\":[]}", "/jobs", "not empty"},
        {422, "{\"jobs\":{}}", "/jobs", "must be a list"},
        {422,
         "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@a\"},{\"kind\":\"psts\",\"target\":\"@b\"}]}",
         "/jobs/1/kind", "did you mean"},
        {400, "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@a\",\"limti\":3}]}",
         "/jobs/0/limti", "did you mean"},
        {422, "{\"jobs\":[7]}", "/jobs/0", "object"},
        {422, "{\"template\":{\"kind\":\"posts\"},\"targets\":[\"@ok\",\"no way !\"]}",
         "/targets/1", ""},
        {422, "{\"template\":{\"kind\":\"posts\",\"limit\":0},\"targets\":[\"@ok\",\"@ok2\"]}",
         "/template/limit", "must be 1 to"},
        {400, "{\"template\":{\"kind\":\"posts\",\"target\":\"@x\"},\"targets\":[\"@ok\"]}",
         "/template/target", ""},
        {422, "{\"template\":{\"kind\":\"posts\"}}", "/targets", "go together"},
        {422,
         "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@a\"}],\"policy\":{\"max_parallel\":0}}",
         "/policy/max_parallel", "1 to 1000"},
        {422, "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@a\"}],\"targets\":[\"@b\"]}",
         "/jobs", "not both"},
        {422, "{\"open\":true,\"mode\":\"patrial\"}", "/mode", "did you mean \\\"partial\\\"?"},
        {422, "{\"open\":1}", "/open", "true or false"},
        {422, "{\"open\":true,\"policy\":{\"on_failure\":\"cancel_al\"}}", "/policy/on_failure",
         "cancel_all"},
        {422, "{\"open\":true,\"policy\":{\"on_failure\":\"stop_after_n\"}}", "/policy/n",
         "goes with"},
        {422, "{\"open\":true,\"policy\":{\"on_failure\":\"stop_after_n\",\"n\":0}}",
         "/policy/n", "must be 1"},
        {400, "{\"open\":true,\"callbacks\":{\"complet\":{}},\"x\":1}", "/x", ""},
        {400, "{\"open\":true,\"callbacks\":{\"complet\":{}}}", "/callbacks/complet",
         "did you mean"},
        {422, "{\"open\":true,\"callbacks\":{\"complete\":{\"kind\":\"posts\"}}}",
         "/callbacks/complete/target", ""},
        {422, "{\"open\":true,\"name\":7}", "/name", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        MUST(rows[i].status, "POST", "/v1/batches", new_key(), "%s", rows[i].body);
        if (rows[i].pointer[0])
            assert_string_equal(error_pointer(0), rows[i].pointer);
        if (!says(rows[i].words))
            fail_msg("%s: %.*s", rows[i].body, SP(buf_span(&answer.body)));
    }
    MUST(200, "GET", "/v1/batches?limit=100", NULL, NULL);
    for (struct json_iter i = json_each(json_get(root, SPAN("data"))); json_next(&i);) {
        struct span name = SPAN("");
        json_text(json_get(i.value, SPAN("name")), &name);
        assert_int_equal(name.n, 0); /* none of those above was made */
    }
}

static void a_thousand_jobs_with_one_mistake_are_refused_or_stored_without_it(void **state)
{
    (void)state;
    for (int partial = 0; partial < 2; partial++) {
        struct buf targets = BUF(64 * 1024);
        for (int i = 0; i < 1000; i++)
            buf_fmt(&targets, "%s\"%s%d\"", i ? "," : "", i == 700 ? "no way " : "@t", i);
        int status = ask(
            "POST", "/v1/batches", new_key(),
            "{\"mode\":\"%s\",\"name\":\"many\",\"template\":{\"kind\":\"posts\"},\"targets\":[%.*s]}",
            partial ? "partial" : "atomic", SP(buf_span(&targets)));
        buf_free(&targets);
        assert_int_equal(status, partial ? 202 : 422);
        if (!partial) {
            assert_string_equal(error_pointer(0), "/targets/700");
            continue;
        }
        assert_int_equal(number_at("added"), 999);
        struct json refused = json_at(json_get(root, SPAN("refused")), 0);
        int64_t index = 0;
        struct span pointer = SPAN("");
        json_int(json_get(refused, SPAN("index")), &index);
        json_text(json_get(refused, SPAN("pointer")), &pointer);
        assert_int_equal(index, 700);
        assert_true(span_is(pointer, "/targets/700"));
        char id[40];
        span_copy(span_of(text_at("id")), id, sizeof id);
        MUST(200, "POST", path_of("/v1/batches/*/cancel?dry_run=true", id), NULL, NULL);
        assert_int_equal(number_at("count"), 999);
        MUST(202, "POST", path_of("/v1/batches/*/cancel", id), NULL, NULL);
        assert_string_equal(text_at("kind"), "cancel");
        assert_string_equal(text_at("batch"), id);
        char operation[40];
        span_copy(span_of(text_at("id")), operation, sizeof operation);
        int64_t deadline = clock_mono().ms + 10000;
        do {
            MUST(200, "GET", path_of("/v1/operations/*", operation), NULL, NULL);
        } while (strcmp(text_at("state"), "running") == 0 && clock_mono().ms < deadline);
        assert_string_equal(text_at("state"), "done");
        assert_int_equal(number_at("done"), 999);
        MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
        assert_int_equal(number_at("counts.cancelled"), 999);
        assert_string_equal(text_at("state"), "complete");
        MUST(409, "POST", path_of("/v1/batches/*/cancel", id), NULL, NULL);
    }
    MUST(
        422, "POST", "/v1/batches", new_key(),
        "{\"mode\":\"partial\",\"template\":{\"kind\":\"posts\"},\"targets\":[\"no way\",\"not so\"]}");
}

static void a_dry_run_makes_nothing(void **state)
{
    (void)state;
    MUST(200, "POST", "/v1/batches?dry_run=true", new_key(), TWO, "dry", "dry");
    assert_string_equal(text_at("object"), "dry_run");
    assert_int_equal(number_at("count"), 2);
    assert_int_equal(work_all(), 0);
    MUST(400, "POST", "/v1/batches?dry_run=maybe", new_key(), TWO, "dry", "dry");
    MUST(400, "POST", "/v1/batches?dryrun=true", new_key(), TWO, "dry", "dry");
    assert_true(says("did you mean"));
}

/* ---- open, added to, sealed, read ---- */

static void an_open_batch_is_added_to_sealed_and_read(void **state)
{
    (void)state;
    char id[40];
    MUST(202, "POST", "/v1/batches", new_key(), "{\"open\":true,\"name\":\"later\"}");
    span_copy(span_of(text_at("id")), id, sizeof id);
    assert_string_equal(text_at("state"), "open");
    MUST(
        202, "POST", path_of("/v1/batches/*/jobs", id), "part1",
        "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@one\"},{\"kind\":\"posts\",\"target\":\"@two\"}]}");
    assert_int_equal(number_at("added"), 2);
    MUST(
        202, "POST", path_of("/v1/batches/*/jobs", id), "part1",
        "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@one\"},{\"kind\":\"posts\",\"target\":\"@two\"}]}");
    assert_int_equal(number_at("counts.total"), 2);
    MUST(400, "POST", path_of("/v1/batches/*/jobs", id), NULL, "{\"open\":true}");
    work_all();
    MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
    assert_string_equal(text_at("state"), "open");
    MUST(200, "POST", path_of("/v1/batches/*/seal", id), NULL, NULL);
    assert_string_equal(text_at("state"), "success");
    MUST(200, "POST", path_of("/v1/batches/*/seal", id), NULL, NULL);
    MUST(409, "POST", path_of("/v1/batches/*/jobs", id), NULL, TWO, "late", "late");
    MUST(200, "GET", path_of("/v1/batches/*/jobs?limit=1", id), NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 1);
    struct span batch = SPAN("");
    json_text(json_get(json_at(json_get(root, SPAN("data")), 0), SPAN("batch")), &batch);
    assert_true(span_is(batch, id));
    char after[120];
    snprintf(after, sizeof after, "/v1/batches/%s/jobs?after=%s", id,
             text_at("page.next_after"));
    MUST(200, "GET", after, NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 1);
    MUST(200, "GET", path_of("/v1/batches/*/jobs?state=dead", id), NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 0);
    MUST(200, "GET", path_of("/v1/batches/*/posts?fields=text", id), NULL, NULL);
    assert_true(says("\"one\"") && says("\"two\""));
    MUST(400, "GET", path_of("/v1/batches/*/posts?fields=txt", id), NULL, NULL);
    MUST(400, "GET", path_of("/v1/batches/*/posts?dedupe=maybe", id), NULL, NULL);
    MUST(200, "GET", path_of("/v1/batches/*/users", id), NULL, NULL);
    assert_int_equal(answer.body.n, 0);
    MUST(404, "GET", "/v1/batches/bat_01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL, NULL);
    MUST(404, "GET", "/v1/batches/bat_01ARZ3NDEKTSV4RRFFQ69G5FAV/posts", NULL, NULL);
    MUST(404, "GET", "/v1/batches/nonsense", NULL, NULL);
}

static void a_record_that_two_jobs_brought_is_given_once_unless_all_are_wanted(void **state)
{
    (void)state;
    char id[40];
    MUST(202, "POST", "/v1/batches", new_key(), TWO, "same", "same");
    snprintf(id, sizeof id, "%s", text_at("id"));
    work_all();
    MUST(200, "GET", path_of("/v1/batches/*/posts", id), NULL, NULL);
    assert_true(says("same1") && !says("same2"));
    MUST(200, "GET", path_of("/v1/batches/*/posts?dedupe=false", id), NULL, NULL);
    assert_true(says("same1") && says("same2"));
    MUST(200, "GET", path_of("/v1/batches/*/posts?fields=text", id), NULL, NULL);
    assert_true(says("same1") && !says("same2"));
}

static void the_jobs_of_the_callbacks_are_made_once(void **state)
{
    (void)state;
    char id[40];
    MUST(
        202, "POST", "/v1/batches", new_key(),
        "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@bad1\"},{\"kind\":\"posts\",\"target\":\"@good\"}],"
        "\"callbacks\":{\"complete\":{\"kind\":\"profile\",\"target\":\"@told\"},"
        "\"success\":{\"kind\":\"profile\",\"target\":\"@glad\"}}}");
    span_copy(span_of(text_at("id")), id, sizeof id);
    assert_int_equal(work_all(), 3);
    MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
    assert_string_equal(text_at("state"), "complete");
    assert_string_equal(text_at("callbacks.success.job"), "");
    char callback[40];
    span_copy(span_of(text_at("callbacks.complete.job")), callback, sizeof callback);
    MUST(200, "GET", path_of("/v1/jobs/*", callback), NULL, NULL);
    assert_string_equal(text_at("target"), "told");
    assert_string_equal(text_at("state"), "succeeded");
    MUST(200, "POST", path_of("/v1/batches/*/retry-failed?dry_run=true", id), NULL, NULL);
    assert_int_equal(number_at("count"), 1);
    MUST(202, "POST", path_of("/v1/batches/*/retry-failed", id), NULL, NULL);
    assert_int_equal(number_at("done"), 1);
    assert_int_equal(work_all(), 1); /* it fails again: nobody is told twice */
    MUST(202, "POST", path_of("/v1/batches/*/retry-failed", id), NULL, "{\"reset\":true}");
    work_all();
}

static void after_enough_failures_the_rest_is_cancelled(void **state)
{
    (void)state;
    char id[40];
    MUST(
        202, "POST", "/v1/batches", new_key(),
        "{\"policy\":{\"on_failure\":\"cancel_all\"},\"jobs\":[{\"kind\":\"posts\",\"target\":\"@bad7\",\"priority\":9},"
        "{\"kind\":\"posts\",\"target\":\"@g1\"}]}");
    span_copy(span_of(text_at("id")), id, sizeof id);
    assert_string_equal(text_at("policy.on_failure"), "cancel_all");
    work_all();
    MUST(200, "GET", path_of("/v1/batches/*", id), NULL, NULL);
    assert_int_equal(number_at("counts.dead"), 1);
    assert_int_equal(number_at("counts.succeeded") + number_at("counts.cancelled"), 1);
}

/* ---- dead letters ---- */

static void dead_letters_are_grouped_shown_retried_and_deleted(void **state)
{
    (void)state;
    char first[40], print[20], path[300];
    make_batch("bad21", "bad22");
    work_all();
    MUST(200, "GET", "/v1/dead-letters?class=login_required", NULL, NULL);
    struct json group = json_at(json_get(root, SPAN("data")), 0);
    struct span text = SPAN("");
    json_text(json_get(group, SPAN("fingerprint")), &text);
    span_copy(text, print, sizeof print);
    json_text(json_get(json_at(json_get(group, SPAN("examples")), 0), SPAN("job")), &text);
    span_copy(text, first, sizeof first);
    MUST(200, "GET", path_of("/v1/dead-letters/*", first), NULL, NULL);
    assert_string_equal(text_at("fingerprint"), print);
    assert_string_equal(text_at("failure.class"), "login_required");

    snprintf(path, sizeof path,
             "/v1/dead-letters?fingerprint=%s&kind=posts&site=x&since=2020-01-01", print);
    MUST(200, "GET", path, NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 1);
    MUST(200, "GET", "/v1/dead-letters?kind=search", NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 0);
    MUST(400, "GET", "/v1/dead-letters?class=nonsense", NULL, NULL);
    MUST(400, "GET", "/v1/dead-letters?after=nonsense", NULL, NULL);
    MUST(400, "GET", "/v1/dead-letters?fingerprint=xyz", NULL, NULL);
    MUST(400, "GET", "/v1/dead-letters?clas=drift", NULL, NULL);

    MUST(202, "POST", path_of("/v1/dead-letters/*/retry", first), NULL, "{\"reset\":true}");
    assert_string_equal(text_at("state"), "ready");
    assert_int_equal(number_at("generation"), 1);
    MUST(409, "POST", path_of("/v1/jobs/*/retry", first), NULL, NULL);
    assert_true(says("ready"));
    MUST(404, "GET", path_of("/v1/dead-letters/*", first), NULL, NULL);
    MUST(400, "POST", path_of("/v1/jobs/*/retry", first), NULL, "{\"rest\":true}");
    assert_string_equal(error_pointer(0), "/rest");
    work_all();

    MUST(200, "POST", "/v1/dead-letters/retry?dry_run=true", NULL,
         "{\"filter\":{\"class\":\"login_required\"}}");
    int64_t dead = number_at("count");
    assert_true(dead >= 2);
    assert_true(json_count(json_get(root, SPAN("groups"))) >= 1);
    MUST(422, "POST", "/v1/dead-letters/retry", NULL, "{}");
    assert_string_equal(error_pointer(0), "/filter");
    MUST(422, "POST", "/v1/dead-letters/retry", NULL,
         "{\"filter\":{\"class\":\"login_requird\"}}");
    assert_true(says("did you mean"));
    MUST(422, "POST", "/v1/dead-letters/retry", NULL, "{\"filter\":{},\"per_minute\":0}");
    MUST(400, "POST", "/v1/dead-letters/retry", NULL, "{\"filter\":{\"clas\":\"x\"}}");
    MUST(202, "POST", "/v1/dead-letters/retry", NULL,
         "{\"filter\":{\"class\":\"login_required\"},\"per_minute\":1}");
    assert_int_equal(number_at("done"), 1);
    assert_string_equal(text_at("state"), "running");
    char id[40];
    span_copy(span_of(text_at("id")), id, sizeof id);
    MUST(200, "POST", path_of("/v1/operations/*/cancel", id), NULL, NULL);
    assert_string_equal(text_at("state"), "cancelled");
    MUST(200, "POST", path_of("/v1/operations/*/cancel", id), NULL, NULL);
    MUST(200, "GET", "/v1/operations?limit=1", NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 1);
    MUST(404, "GET", "/v1/operations/opr_01ARZ3NDEKTSV4RRFFQ69G5FAV", NULL, NULL);
    work_all();

    MUST(204, "DELETE", path_of("/v1/dead-letters/*", first), NULL, NULL);
    MUST(404, "DELETE", path_of("/v1/dead-letters/*", first), NULL, NULL);
    MUST(404, "GET", path_of("/v1/jobs/*", first), NULL, NULL);
    MUST(400, "DELETE", "/v1/dead-letters", NULL, NULL);
    MUST(200, "DELETE", "/v1/dead-letters?all=true&dry_run=true", NULL, NULL);
    assert_int_equal(number_at("count"), dead - 1);
    MUST(202, "DELETE", "/v1/dead-letters?class=login_required", NULL, NULL);
    assert_int_equal(number_at("done"), dead - 1);
    assert_string_equal(text_at("kind"), "delete");
    MUST(200, "GET", "/v1/dead-letters", NULL, NULL);
    assert_int_equal(json_count(json_get(root, SPAN("data"))), 0);
    MUST(405, "PUT", "/v1/dead-letters", NULL, NULL);
}

static int start(void **state)
{
    struct fault f = {0};
    char address[160];
    int code = group_start(state);
    if (code)
        return code;
    snprintf(address, sizeof address, "unix:%s", server.socket);
    parser = json_parser_new(ANSWER_MAX);
    return client_open(&client, span_of(address), &f) != E_OK;
}

static int stop(void **state)
{
    buf_free(&answer.body);
    client_close(&client);
    json_parser_free(&parser);
    return group_stop(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_needs_a_key_and_the_same_key_gives_the_same_batch),
        cmocka_unit_test(mistakes_are_named_where_they_are),
        cmocka_unit_test(a_thousand_jobs_with_one_mistake_are_refused_or_stored_without_it),
        cmocka_unit_test(a_dry_run_makes_nothing),
        cmocka_unit_test(an_open_batch_is_added_to_sealed_and_read),
        cmocka_unit_test(a_record_that_two_jobs_brought_is_given_once_unless_all_are_wanted),
        cmocka_unit_test(the_jobs_of_the_callbacks_are_made_once),
        cmocka_unit_test(after_enough_failures_the_rest_is_cancelled),
        cmocka_unit_test(dead_letters_are_grouped_shown_retried_and_deleted),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
