/* The API of a node whose Redis is not there, and which takes jobs and batches onto its own disk meanwhile. */
#include "../lib/asked.h"

enum { MOST = 12 };
static char queue[160];

/* With these headers; *out is the caller's to free. */
static void post(const char *path, const char *key, const char *body, int status,
                 struct client_answer *out)
{
    struct fault f = {0};
    char header[300];
    snprintf(header, sizeof header, "Idempotency-Key: %s", key);
    struct client_request q = {.method = "POST",
                               .path = path,
                               .body = span_of(body),
                               .headers = {header},
                               .timeout_ms = ANSWER_MS,
                               .body_max = ANSWER_BYTES};
    if (client_send(client, &q, out, &f))
        fail_msg("%s: %s", path, f.words);
    if (out->status != status)
        fail_msg("%s %s: wanted %d, got %d: %.*s", path, body, status, out->status,
                 SP(buf_span(&out->body)));
}

static void has(const struct buf *body, const char *path, const char *wanted)
{
    char text[512];
    member(body, path, text);
    if (strcmp(text, wanted) != 0)
        fail_msg("%s is %s, not %s: %.*s", path, text, wanted, SP(buf_span(body)));
}

static const char three[] =
    "{\"name\":\"nightly\",\"policy\":{\"max_parallel\":2},"
    "\"jobs\":[{\"kind\":\"posts\",\"target\":\"@nasa\"},"
    "{\"kind\":\"posts\",\"target\":\"@esa\",\"unique\":{\"key\":\"u\"}},"
    "{\"kind\":\"posts\",\"target\":\"@jaxa\",\"hold\":true}]}";

static void a_batch_is_taken_and_known_by_its_key(void **state)
{
    (void)state;
    struct client_answer first, again;
    char id[512], path[600];
    post("/v1/batches", "one", three, 202, &first);
    has(&first.body, "name", "nightly");
    has(&first.body, "state", "running");
    has(&first.body, "sealed", "true");
    has(&first.body, "policy.max_parallel", "2");
    has(&first.body, "added", "3");
    has(&first.body, "counts.total", "3");
    has(&first.body, "counts.ready", "2");
    has(&first.body, "counts.scheduled", "1");
    member(&first.body, "id", id);
    post("/v1/batches", "one", three, 202, &again);
    has(&again.body, "id", id);
    has(&again.body, "counts.total", "3");
    buf_free(&again.body);
    post("/v1/batches", "one", "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@nasa\"}]}", 422,
         &again);
    has(&again.body, "code", "idempotency_mismatch");
    buf_free(&again.body);
    /* Nobody else knows it yet, and nothing is added to it. */
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    EXPECT("GET", path, "", 503, "retryable", "true");
    snprintf(path, sizeof path, "/v1/batches/%s/jobs", id);
    post(path, "more", "{\"jobs\":[{\"kind\":\"posts\",\"target\":\"@nasa\"}]}", 503, &again);
    buf_free(&again.body);
    buf_free(&first.body);
    /* A job with the unique key of one of its jobs meets that one. */
    refused("POST", "/v1/jobs",
            "{\"kind\":\"posts\",\"target\":\"@nasa\","
            "\"unique\":{\"key\":\"u\",\"on_conflict\":\"reject\"}}",
            409, "", "unique_conflict");
}

static void a_batch_that_has_no_room_is_refused_whole_with_the_way_out(void **state)
{
    (void)state;
    struct client_answer a;
    struct buf body = BUF(1 << 16);
    for (int more = 0; more < 2; more++) { /* than there is room for, than there ever is */
        buf_clear(&body);
        buf_fmt(&body, "{\"mode\":\"partial\",\"jobs\":[");
        for (int i = 0; i < (more ? MOST + 1 : MOST); i++)
            buf_fmt(&body, "%s{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":%d}",
                    i ? "," : "", i + 1);
        buf_fmt(&body, "]}%c", 0);
        post("/v1/batches", "many", body.p, 503, &a);
        has(&a.body, "retryable", "true");
        assert_true(contains(&a.body, "store.spool_max") && contains(&a.body, "12"));
        assert_true(contains(&a.body, more ? "order them in smaller batches"
                                           : "there is room for 9; order fewer"));
        buf_free(&a.body);
    }
    buf_free(&body);
}

static void an_open_batch_is_taken_with_its_first_jobs(void **state)
{
    (void)state;
    struct client_answer a;
    post("/v1/batches", "open",
         "{\"open\":true,\"jobs\":[{\"kind\":\"posts\",\"target\":\"@nasa\"}]}", 202, &a);
    has(&a.body, "state", "open");
    has(&a.body, "sealed", "false");
    buf_free(&a.body);
}

static int start_without_its_redis(void **state)
{
    static struct shared_config shared = {.queue = queue,
                                          .archive = "postgresql://127.0.0.1:9/none",
                                          .name = "q",
                                          .node = "away",
                                          .state_dir = server.folder,
                                          .spool_most = MOST};
    snprintf(queue, sizeof queue, "unix:///tmp/fulmar-not-there.%d", (int)getpid());
    server.shared = &shared;
    return asked_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_taken_and_known_by_its_key),
        cmocka_unit_test(a_batch_that_has_no_room_is_refused_whole_with_the_way_out),
        cmocka_unit_test(an_open_batch_is_taken_with_its_first_jobs),
    };
    return cmocka_run_group_tests(tests, start_without_its_redis, asked_stop);
}
