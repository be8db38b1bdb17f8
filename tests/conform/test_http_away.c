/* The API of a node whose Redis is not there, and which takes no jobs meanwhile: everything is answered with that, and where the
 * Redis is to be found is for the log. */
#include "../lib/asked.h"

static char queue[160];

static void check_words(const struct buf *body)
{
    if (contains(body, queue + strlen("unix://")) || contains(body, "Redis"))
        fail_msg("names the server: %.*s", SP(buf_span(body)));
}

static void says_that_the_store_failed(const char *method, const char *path, const char *body)
{
    struct answer_of a = ask(method, path, body);
    assert_true(a.retry_after_s > 0);
    check_words(&a.body);
    buf_free(&a.body);
    EXPECT(method, path, body, 503, "code", "store_failed", "retryable", "true");
}

static void a_store_that_is_away_is_no_full_queue(void **state)
{
    (void)state;
    says_that_the_store_failed("POST", "/v1/jobs", "{\"kind\":\"posts\",\"target\":\"@nasa\"}");
    says_that_the_store_failed("POST", "/v1/jobs/bulk",
                               "[{\"kind\":\"posts\",\"target\":\"@nasa\"}]");
    says_that_the_store_failed("GET", "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "");
    says_that_the_store_failed("GET", "/v1/jobs", "");
    refused("GET", "/v1/sessions", "", 503, "", "\"code\":\"store_failed\"");
}

/* The first piece is asked for, and its orders count in neither number; nothing behind it is. */
static void a_stream_of_orders_is_not_complete_while_the_store_is_away(void **state)
{
    (void)state;
    enum { LINES = 250, PIECE_LINES = 100 };
    struct client_answer a;
    struct fault f = {0};
    struct buf body = BUF(1 << 16);
    struct span rest, line;
    for (int i = 0; i < LINES; i++)
        buf_fmt(&body, "{\"kind\":\"posts\",\"target\":\"@nasa\",\"limit\":%d}\n", i + 1);
    struct client_request q = {
        .method = "POST",
        .path = "/v1/jobs/bulk",
        .body = buf_span(&body),
        .headers = {"Content-Type: application/x-ndjson", "Accept: application/x-ndjson"},
        .timeout_ms = ANSWER_MS,
        .body_max = ANSWER_BYTES};
    assert_int_equal(client_send(client, &q, &a, &f), E_OK);
    assert_int_equal(a.status, 207);
    check_words(&a.body);
    rest = buf_span(&a.body);
    for (int i = 0; i < PIECE_LINES; i++) {
        assert_true(span_next(&rest, '\n', &line));
        assert_true(span_find(line, SPAN("\"status\":503,\"code\":\"store_failed\"")) < line.n);
        assert_true(span_find(line, SPAN("\"retryable\":true")) < line.n);
    }
    assert_true(span_next(&rest, '\n', &line) && !rest.n);
    if (!span_starts(line,
                     SPAN("{\"object\":\"bulk\",\"accepted\":0,\"refused\":0,\"complete\":"
                          "false,\"code\":\"store_failed\"")))
        fail_msg("%.*s", SP(line));
    buf_free(&a.body);
    buf_free(&body);
}

static int start_without_its_redis(void **state)
{
    static struct shared_config shared = {.queue = queue,
                                          .archive = "postgresql://127.0.0.1:9/none",
                                          .name = "q",
                                          .node = "away",
                                          .state_dir = server.folder};
    snprintf(queue, sizeof queue, "unix:///tmp/fulmar-not-there.%d", (int)getpid());
    server.shared = &shared;
    return asked_start(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_is_away_is_no_full_queue),
        cmocka_unit_test(a_stream_of_orders_is_not_complete_while_the_store_is_away),
    };
    return cmocka_run_group_tests(tests, start_without_its_redis, asked_stop);
}
