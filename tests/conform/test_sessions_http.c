/* /v1/sessions over its real server and store: what is refused, what is answered, and that no cookie
 * ever is. */
#include "../lib/service.h"

#include <stdio.h>
#include <sys/stat.h>

enum { ANSWER_BYTES = 4 * 1024 * 1024 };
#define CANARY "c4nary0fal0gin"

struct reply {
    int status;
    struct buf text;
    struct span head, body;
};

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(server.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static struct reply request(const char *method, const char *path, const char *type,
                            const char *body)
{
    struct buf text = BUF(BODY_MAX * 2);
    struct reply r = {.text = BUF(ANSWER_BYTES)};
    buf_fmt(&text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", method, path);
    if (body)
        buf_fmt(&text, "Content-Type: %s\r\nContent-Length: %zu\r\n", type, strlen(body));
    buf_fmt(&text, "\r\n%s", body ? body : "");
    assert_false(text.failed);
    int fd = dial();
    assert_int_equal(send(fd, text.p, text.n, MSG_NOSIGNAL), text.n);
    for (;;) {
        char *room = buf_room(&r.text, 65536);
        assert_non_null(room);
        ssize_t n = recv(fd, room, 65536, 0);
        if (n <= 0)
            break;
        r.text.n += (size_t)n;
    }
    close(fd);
    buf_free(&text);
    struct span all = buf_span(&r.text);
    size_t end = span_find(all, SPAN("\r\n\r\n"));
    int64_t status = 0;
    assert_true(span_int(span_cut(all, 9, 3), &status));
    r.status = (int)status;
    r.head = span_cut(all, 0, end);
    r.body = span_cut(all, end + 4, all.n);
    /* Whatever is asked: no answer has a value. */
    assert_int_equal(span_find(all, SPAN(CANARY)), all.n);
    return r;
}

static bool has(struct span text, const char *what)
{
    return span_find(text, span_of(what)) < text.n;
}

/* The answer has this status and, unless NULL, these words. */
static void expect(const char *method, const char *path, const char *body, int status,
                   const char *words)
{
    struct reply r = request(method, path, "application/json", body);
    if (r.status != status || (words && !has(r.body, words)))
        fail_msg("%s %s: wanted %d and '%s', got %d: %.*s", method, path, status,
                 words ? words : "", r.status, SP(r.body));
    buf_free(&r.text);
}

static const char header[] = "auth_token=" CANARY "1; ct0=" CANARY "2";

static void
a_session_is_made_without_cookies_and_gets_them_by_a_way_that_only_takes(void **state)
{
    (void)state;
    struct reply r = request(
        "POST", "/v1/sessions", "application/json",
        "{\"name\":\"anna\",\"pool\":\"research\",\"rate\":{\"every_ms\":20000,\"burst\":2}}");
    assert_int_equal(r.status, 201);
    assert_true(has(r.head, "Location: /v1/sessions/ses_"));
    assert_true(has(r.body, "\"state\":\"invalid\",\"reason\":\"it has no cookies yet\""));
    assert_true(has(r.body, "\"every_ms\":20000,\"burst\":2"));
    buf_free(&r.text);
    expect("POST", "/v1/sessions/anna/cookies", header, 200, "\"state\":\"active\"");
    expect("GET", "/v1/sessions/anna/cookies", NULL, 405, NULL);
    expect("GET", "/v1/sessions/anna", NULL, 200, "\"cookies\":2");
    expect("POST", "/v1/sessions/anna/rotate", header, 409, "has these cookies already");
    expect("POST", "/v1/sessions/anna/rotate", "auth_token=other; ct0=other", 200,
           "\"state\":\"active\"");
    expect("GET", "/v1/sessions/anna/rotate", NULL, 405, NULL);
    expect("GET", "/v1/sessions?pool=research", NULL, 200, "\"name\":\"anna\"");
    expect("GET", "/v1/sessions?pool=other", NULL, 200, "\"data\":[]");
    expect("GET", "/v1/sessions?site=mastodon", NULL, 200, "\"data\":[]");
    expect("GET", "/v1/sessions?pol=x", NULL, 400, "did you mean");
}

static void each_form_of_cookies_is_taken_whatever_its_type_says(void **state)
{
    (void)state;
    static const char *const forms[] = {
        header, "Cookie: auth_token=" CANARY "1; ct0=" CANARY "2",
        "{\"auth_token\":\"" CANARY "1\",\"ct0\":\"" CANARY "2\"}",
        "[{\"domain\":\".x.com\",\"name\":\"auth_token\",\"value\":\"" CANARY "1\"},"
        "{\"domain\":\"x.com\",\"name\":\"ct0\",\"value\":\"" CANARY "2\"},"
        "{\"domain\":\"example.org\",\"name\":\"a\",\"value\":\"" CANARY "3\"}]",
        "# Netscape HTTP Cookie File\n#HttpOnly_.x.com\tTRUE\t/\tTRUE\t0\tauth_token\t" CANARY
        "1\n.x.com\tTRUE\t/\tTRUE\t0\tct0\t" CANARY "2\n"};
    expect("POST", "/v1/sessions", "{\"name\":\"forms\"}", 201, "\"pool\":\"default\"");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct reply r =
            request("POST", "/v1/sessions/forms/cookies", "application/octet-stream", forms[i]);
        if (r.status != 200 || !has(r.body, "\"cookies\":2"))
            fail_msg("form %zu: %d %.*s", i, r.status, SP(r.body));
        buf_free(&r.text);
    }
}

static void what_is_no_login_is_refused_and_not_repeated(void **state)
{
    (void)state;
    expect("POST", "/v1/sessions", "{\"name\":\"bad\"}", 201, NULL);
    expect("POST", "/v1/sessions/bad/cookies", "ct0=" CANARY, 422,
           "there is no cookie auth_token");
    expect("POST", "/v1/sessions/bad/cookies", CANARY, 422, "these are no cookies");
    expect("POST", "/v1/sessions/bad/cookies", "[\"" CANARY, 422, "begin like JSON");
    expect("POST", "/v1/sessions/bad/cookies",
           "[{\"name\":\"auth_token\",\"value\":\"" CANARY "\",\"domain\":\"x.org\"}]", 422,
           "none of 1");
    expect("POST", "/v1/sessions/bad/cookies", "", 422, "no cookies came");
    expect("GET", "/v1/sessions/bad", NULL, 200, "\"fingerprint\":null");
}

static void what_a_session_is_called_and_made_of_is_checked(void **state)
{
    (void)state;
    expect("POST", "/v1/sessions", "{", 400, "malformed_json");
    expect("POST", "/v1/sessions", "{\"nam\":\"a\"}", 400, "did you mean \\\"name\\\"");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"cookies\":\"" CANARY "\"}", 400,
           "unknown_field");
    expect("POST", "/v1/sessions", "{\"name\":\"ses_x\"}", 422, "\"pointer\":\"/name\"");
    expect("POST", "/v1/sessions", "{\"name\":\"..\"}", 422, "\"pointer\":\"/name\"");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"pool\":\"a.b\"}", 422,
           "\"pointer\":\"/pool\"");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"site\":\"y\"}", 422,
           "\"pointer\":\"/site\"");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"rate\":{\"every_ms\":0}}", 422,
           "/rate/every_ms");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"rate\":7}", 422, "\"pointer\":\"/rate\"");
    expect("POST", "/v1/sessions", "{\"name\":\"a\",\"max_active\":65}", 422, "/max_active");
    expect("POST", "/v1/sessions", "{\"name\":\"twice\"}", 201, NULL);
    expect("POST", "/v1/sessions", "{\"name\":\"twice\"}", 409, "conflict_state");
    expect("GET", "/v1/sessions/nobody", NULL, 404, "not_found");
    expect("GET", "/v1/sessions/a%2Fb", NULL, 404, NULL);
    expect("PUT", "/v1/sessions/twice", "{}", 405, NULL);
}

static void one_is_locked_unlocked_and_removed(void **state)
{
    (void)state;
    expect("POST", "/v1/sessions", "{\"name\":\"gate\",\"pool\":\"gate\"}", 201, NULL);
    expect("POST", "/v1/sessions/gate/cookies", header, 200, NULL);
    expect("POST", "/v1/sessions/gate/lock", "{\"reason\":\"a person looks\"}", 200,
           "\"reason\":\"a person looks\"");
    expect("POST", "/v1/sessions/gate/lock", NULL, 200, "\"state\":\"locked\"");
    expect("POST", "/v1/jobs",
           "{\"kind\":\"search\",\"target\":\"a\",\"session\":{\"pool\":\"gate\"}}", 409,
           "session_unavailable");
    expect("POST", "/v1/sessions/gate/unlock", "", 200, "\"state\":\"active\"");
    expect("POST", "/v1/sessions/gate/lock", "{\"why\":\"x\"}", 400, "unknown_field");
    expect("DELETE", "/v1/sessions/gate", NULL, 204, NULL);
    expect("DELETE", "/v1/sessions/gate", NULL, 404, NULL);
}

static void a_job_names_a_pool_and_lies_in_a_lane_of_its_own(void **state)
{
    (void)state;
    expect("POST", "/v1/sessions", "{\"name\":\"dora\",\"pool\":\"lanes\"}", 201, NULL);
    expect("POST", "/v1/sessions/dora/cookies", header, 200, NULL);
    static const struct {
        const char *kind, *lane;
    } kinds[] = {{"search", "default/x/normal@lanes.SearchTimeline"},
                 {"hashtag", "default/x/normal@lanes.SearchTimeline"}, /* counted together */
                 {"posts", "default/x/normal@lanes.UserTweets"},
                 {"profile", "default/x/normal@lanes.UserByScreenName"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char body[200], lane[80];
        snprintf(body, sizeof body,
                 "{\"kind\":\"%s\",\"target\":\"nasa\",\"session\":{\"pool\":\"lanes\"}}",
                 kinds[i].kind);
        snprintf(lane, sizeof lane, "\"lane\":\"%s\"", kinds[i].lane);
        expect("POST", "/v1/jobs", body, 202, lane);
    }
    expect("POST", "/v1/jobs",
           "{\"kind\":\"posts\",\"target\":\"nasa\",\"session\":{\"pool\":\"lanes\"}}", 202,
           "\"session\":{\"pool\":\"lanes\"}");
    expect("POST", "/v1/jobs", "{\"kind\":\"posts\",\"target\":\"nasa\",\"session\":null}", 202,
           "\"lane\":\"default/x/normal\"");
    expect("POST", "/v1/jobs",
           "{\"kind\":\"posts\",\"target\":\"nasa\",\"session\":{\"pool\":\"a.b\"}}", 422,
           "/session/pool");
    expect("POST", "/v1/jobs", "{\"kind\":\"posts\",\"target\":\"nasa\",\"session\":\"lanes\"}",
           422, "\"pointer\":\"/session\"");
    expect(
        "POST", "/v1/jobs",
        "{\"kind\":\"posts\",\"target\":\"nasa\",\"session\":{\"pool\":\"lanes\",\"name\":\"a\"}}",
        400, "\"pointer\":\"/session/name\"");
}

static void the_key_is_made_with_the_first_cookies_for_its_owner_alone(void **state)
{
    (void)state;
    char path[160];
    struct stat st;
    snprintf(path, sizeof path, "%s/fulmar.key", server.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_session_is_made_without_cookies_and_gets_them_by_a_way_that_only_takes),
        cmocka_unit_test(each_form_of_cookies_is_taken_whatever_its_type_says),
        cmocka_unit_test(what_is_no_login_is_refused_and_not_repeated),
        cmocka_unit_test(what_a_session_is_called_and_made_of_is_checked),
        cmocka_unit_test(one_is_locked_unlocked_and_removed),
        cmocka_unit_test(a_job_names_a_pool_and_lies_in_a_lane_of_its_own),
        cmocka_unit_test(the_key_is_made_with_the_first_cookies_for_its_owner_alone),
    };
    return cmocka_run_group_tests(tests, group_start, group_stop);
}
