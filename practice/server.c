#include "server.h"

#include "app.h"
#include "files.h"
#include "graphql_lists.h"
#include "limits.h"
#include "members.h"
#include "mutate.h"
#include "truth.h"
#include "waiting.h"

#include <microhttpd.h>

#include "base/need.h"
#include "os/digest.h"
#include "wire/range.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BODY_MAX = 64 * 1024, ANSWER_MAX = 8 * 1024 * 1024, HEADERS_MAX = 8 };
enum { CONNECTIONS_MAX = 2000, IDLE_S = 120 };
enum { PICTURE_PAD = 24 * 1024 }; /* what a small photo weighs */
enum { OPS = 11 };
enum { LIMITED_MAX = 4096 };
static const uint32_t REQUEST_MAGIC = 0x70726171;

struct server {
    struct MHD_Daemon *daemon;
    struct server_options options;
    uint16_t port;
    struct waiting *waiting;
    struct limits *limits;
    struct members members;
    struct fault_draws draws;
    pthread_mutex_t faults_lock;
    struct faults faults;
    struct app_op ops[OPS];
    uint8_t *picture; /* the bytes after a picture's header */
    atomic_uint_fast64_t guests;
    atomic_uchar limited[LIMITED_MAX]; /* files whose first request was refused */
};

enum plan { PLAN_ANSWER, PLAN_CUT, PLAN_DROP };

/* One request from its first byte to its last. */
struct request {
    uint32_t magic;
    struct server *server;
    struct MHD_Connection *connection;
    struct span path, method;
    struct buf upload;
    struct faults faults; /* the site's, and this request's own on top */
    bool is_routed;
    /* the answer */
    enum plan plan;
    int status;
    const char *type;
    struct buf body;
    const char *still;   /* a body that lives for ever, instead of `body` */
    struct truth *truth; /* a body that is written while it is sent */
    size_t header_count;
    char headers[HEADERS_MAX][2][160];
    int64_t wait_ms; /* before the answer; -1: for ever */
    struct wait_entry waits;
};

static wall now_wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (wall){(int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000};
}

/* ---- pieces of an answer ---- */

static void answer_header(struct request *r, const char *name, const char *value)
{
    need(r->header_count < HEADERS_MAX);
    span_copy(span_of(name), r->headers[r->header_count][0], sizeof(r->headers[0][0]));
    span_copy(span_of(value), r->headers[r->header_count][1], sizeof(r->headers[0][1]));
    r->header_count++;
}

static void answer_number(struct request *r, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    answer_header(r, name, text);
}

static void answer(struct request *r, int status, const char *type)
{
    r->status = status;
    r->type = type;
}

static void answer_still(struct request *r, int status, const char *type, const char *text)
{
    answer(r, status, type);
    r->still = text;
}

static void answer_text(struct request *r, int status, const char *text)
{
    answer_still(r, status, "text/plain; charset=utf-8", text);
}

static void answer_words(struct request *r, int status, const char *words)
{
    struct json_w w = json_w(&r->body);
    json_open(&w);
    json_kv_cstr(&w, "error", words);
    json_close(&w);
    answer(r, status, "application/json; charset=utf-8");
}

static void answer_redirect(struct request *r, const char *to)
{
    answer_header(r, "Location", to);
    answer_text(r, 302, "");
}

/* ---- pieces of a question ---- */

static struct span argument(struct request *r, const char *name)
{
    return span_of(MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name));
}

static struct span cookie(struct request *r, const char *name)
{
    return span_of(MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, name));
}

static int64_t argument_number(struct request *r, const char *name, int64_t otherwise)
{
    int64_t value = otherwise;
    struct span text = argument(r, name);
    if (text.n && !span_int(text, &value))
        return otherwise;
    return value;
}

/* The rest of the path when it begins with `prefix`. */
static bool under(struct request *r, const char *prefix, struct span *out_rest)
{
    struct span p = span_of(prefix);
    if (!span_starts(r->path, p))
        return false;
    *out_rest = span_cut(r->path, p.n, r->path.n);
    return true;
}

/* Whom a limit is counted for: a session, else a visitor, else an address. */
static uint64_t client_key(struct request *r)
{
    struct span who = cookie(r, "auth_token");
    if (!who.n)
        who = cookie(r, "guest_id");
    if (who.n)
        return span_hash(who, 1);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (!info || info->client_addr->sa_family != AF_INET)
        return 2;
    struct sockaddr_in in;
    memcpy(&in, info->client_addr, sizeof(in));
    return model_mix(3, in.sin_addr.s_addr, 0);
}

static enum MHD_Result on_fault_argument(void *ctx, enum MHD_ValueKind kind, const char *key,
                                         const char *value)
{
    struct request *r = ctx;
    struct span rest = span_of(value), one;
    (void)kind;
    if (strcmp(key, "fault") != 0)
        return MHD_YES;
    while (span_next(&rest, ',', &one)) {
        struct fault f = {0};
        if (faults_set(&r->faults, one, &f)) {
            answer_words(r, 400, f.words);
            return MHD_NO;
        }
    }
    return MHD_YES;
}

static void take_faults(struct request *r)
{
    struct server *s = r->server;
    pthread_mutex_lock(&s->faults_lock);
    r->faults = s->faults;
    pthread_mutex_unlock(&s->faults_lock);
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_fault_argument, r);
}

static bool strikes(struct request *r, enum fault_kind kind)
{
    return faults_draw(&r->server->draws, kind, r->faults.value[kind]);
}

static void take_latency(struct request *r)
{
    int64_t random_ms = (int64_t)r->faults.value[FAULT_latency_random_ms];
    if (r->wait_ms < 0)
        return;
    r->wait_ms += (int64_t)r->faults.value[FAULT_latency_ms];
    r->wait_ms += faults_draw_below(&r->server->draws, FAULT_latency_random_ms, random_ms);
}

/* ---- members ---- */

static struct span header(struct request *r, const char *name)
{
    return span_of(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name));
}

static enum member_answer ask_member(struct request *r)
{
    return member_ask(&r->server->members, cookie(r, "auth_token"), cookie(r, "ct0"),
                      header(r, "x-csrf-token"));
}

/* True when the token of the page that calls is used up: a page opened anew may have another. */
static bool answer_token(struct request *r)
{
    if (r->faults.value[FAULT_token] <= 0 || !span_is(cookie(r, "gt"), "used-up"))
        return false;
    if (cookie(r, "auth_token").n)
        graphql_error(&r->body, 353, "This request requires a matching csrf cookie and header.",
                      "Permissions");
    else
        graphql_error(&r->body, 239, "Bad guest token.", "Permissions");
    answer(r, 403, "application/json; charset=utf-8");
    return true;
}

/* True when the session of the call, or that there is none, took the place of the answer. */
static bool answer_session(struct request *r, struct span op)
{
    if (answer_token(r))
        return true;
    static const char *const open[] = {"UserByScreenName", "UserTweets", "TweetDetail",
                                       "TweetResultByRestId"};
    bool anyone = r->faults.value[FAULT_login] <= 0;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        anyone = anyone || span_is(op, open[i]);
    switch (ask_member(r)) {
    case MEMBER_IN:
        return false;
    case MEMBER_GUEST:
        if (anyone)
            return false;
        answer_text(r, 403, "");
        return true;
    case MEMBER_NO_SESSION:
        graphql_error(&r->body, 32, "Could not authenticate you.", "Permissions");
        answer(r, 401, "application/json; charset=utf-8");
        return true;
    case MEMBER_WRONG_CSRF:
        graphql_error(&r->body, 353, "This request requires a matching csrf cookie and header.",
                      "Permissions");
        answer(r, 403, "application/json; charset=utf-8");
        return true;
    case MEMBER_IS_LOCKED:
        graphql_error(
            &r->body, 326,
            "To protect our users from spam and other malicious activity, this account is "
            "temporarily locked. Please log in to https://x.com to unlock your account.",
            "Permissions");
        answer(r, 403, "application/json; charset=utf-8");
        return true;
    }
    return false;
}

/* ---- the API ---- */

/* What an operation was asked for. Spans borrow from the parser. */
struct wish {
    struct span op, handle, query, product, cursor;
    uint64_t user_id, post_id, list_id;
};

static bool read_id(struct json v, uint64_t *out)
{
    struct span text;
    int64_t number = 0;
    if (!json_text(v, &text) || !span_int(text, &number) || number < 0)
        return false;
    *out = (uint64_t)number;
    return true;
}

static struct span read_text(struct json object, const char *key)
{
    struct span text = SPAN_NONE;
    (void)json_text(json_get(object, span_of(key)), &text);
    return text;
}

static bool read_wish(struct request *r, struct span op, struct json_parser *parser,
                      struct wish *out)
{
    struct json v;
    if (json_parse(parser, argument(r, "variables"), &v, NULL))
        return false;
    *out = (struct wish){.op = op,
                         .handle = read_text(v, "screen_name"),
                         .query = read_text(v, "rawQuery"),
                         .product = read_text(v, "product"),
                         .cursor = read_text(v, "cursor")};
    bool user = read_id(json_get(v, SPAN("userId")), &out->user_id);
    bool post = read_id(json_get(v, SPAN("tweetId")), &out->post_id) ||
                read_id(json_get(v, SPAN("focalTweetId")), &out->post_id);
    bool list = read_id(json_get(v, SPAN("listId")), &out->list_id) ||
                read_id(json_get(v, SPAN("communityId")), &out->list_id);
    if (span_is(op, "UserByScreenName"))
        return out->handle.n > 0;
    if (span_is(op, "TweetDetail") || span_is(op, "TweetResultByRestId"))
        return post;
    if (span_is(op, "ListLatestTweetsTimeline") || span_is(op, "CommunityTweetsTimeline"))
        return list;
    return user || span_is(op, "SearchTimeline");
}

static void answer_limited(struct request *r, struct limit_state state, bool with_retry_after)
{
    int64_t wait_s = state.reset_s - now_wall().ms / 1000;
    if (with_retry_after)
        answer_number(r, "Retry-After", wait_s > 0 ? wait_s : 0);
    answer_still(r, 429, "text/plain;charset=utf-8", "Rate limit exceeded\n");
}

static void put_limit(struct request *r, struct limit_state state)
{
    answer_number(r, "x-rate-limit-limit", state.limit);
    answer_number(r, "x-rate-limit-remaining", state.remaining);
    answer_number(r, "x-rate-limit-reset", state.reset_s);
}

static enum account_fault fault_of(struct request *r, const struct wish *wish)
{
    const struct model *m = &r->server->options.model;
    struct account a;
    uint32_t index;
    if (wish->post_id && model_status(m, wish->post_id, &a, &index))
        return a.fault;
    return wish->user_id && model_account_by_id(m, wish->user_id, &a) ? a.fault : AFAULT_NONE;
}

/* True when a fault took the place of the answer. */
static bool answer_fault(struct request *r, const struct wish *wish, struct limit_state state)
{
    enum account_fault own = fault_of(r, wish);
    if (own == AFAULT_429 || strikes(r, FAULT_rate429)) {
        int64_t seconds = (int64_t)r->faults.value[FAULT_rate429_s];
        state.remaining = 0;
        state.reset_s = now_wall().ms / 1000 + (seconds > 0 ? seconds : 5);
        put_limit(r, state);
        answer_limited(r, state, true);
        return true;
    }
    put_limit(r, state);
    if (own == AFAULT_5XX || strikes(r, FAULT_error5xx)) {
        graphql_error(&r->body, 130, "Over capacity", "ServiceLevel");
        answer(r, 503, "application/json; charset=utf-8");
        return true;
    }
    if (own == AFAULT_NEVER || strikes(r, FAULT_never))
        r->wait_ms = -1;
    if (own == AFAULT_CUT || strikes(r, FAULT_cut))
        r->plan = PLAN_CUT;
    return false;
}

static int run_wish(struct request *r, const struct wish *wish)
{
    const struct model *m = &r->server->options.model;
    enum account_fault own = fault_of(r, wish);
    struct spoil spoil = {
        .empty_page = r->faults.value[FAULT_empty_page],
        .repeat = strikes(r, FAULT_repeat),
        .stall = (uint32_t)r->faults.value[FAULT_stall],
        .empty_always = own == AFAULT_EMPTY,
        .long_cursor = own == AFAULT_CURSOR,
        .drift = own == AFAULT_DRIFT || r->faults.value[FAULT_drift] > 0,
        .guest = (r->faults.value[FAULT_guest] > 0 || r->faults.value[FAULT_login] > 0) &&
                 !cookie(r, "auth_token").n,
    };
    if (span_is(wish->op, "UserByScreenName"))
        return graphql_user(m, wish->handle, &r->body);
    if (span_is(wish->op, "UserTweets"))
        return graphql_user_tweets(m, wish->user_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "UserTweetsAndReplies"))
        return graphql_replies(m, wish->user_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "UserMedia"))
        return graphql_media(m, wish->user_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "Followers") || span_is(wish->op, "Following"))
        return graphql_follows(m, wish->user_id, span_is(wish->op, "Followers"), wish->cursor,
                               &spoil, &r->body);
    if (span_is(wish->op, "ListLatestTweetsTimeline"))
        return graphql_list(m, wish->list_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "CommunityTweetsTimeline"))
        return graphql_community(m, wish->list_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "TweetDetail"))
        return graphql_thread(m, wish->post_id, wish->cursor, &spoil, &r->body);
    if (span_is(wish->op, "TweetResultByRestId"))
        return graphql_post_alone(m, wish->post_id, &spoil, &r->body);
    if (span_is(wish->product, "People"))
        return graphql_people(m, wish->query, wish->cursor, &spoil, &r->body);
    if (span_is(wish->product, "Media"))
        return graphql_search_media(m, wish->query, wish->cursor, &spoil, &r->body);
    return graphql_search(m, wish->query, wish->product, wish->cursor, &spoil, &r->body);
}

/* The answer in the shape of a changed API; the page's script is told how to read it. */
static void change_shape(struct request *r)
{
    int number = (int)r->faults.value[FAULT_mutation];
    struct buf undo = BUF(256);
    char text[256];
    if (number < 1 || number > MUTATIONS)
        return;
    mutate_apply(number, &r->body);
    mutate_add_undo(number, &undo);
    answer_header(r, "x-practice-mutation", mutate_name(number));
    answer_header(r, "x-practice-shape", span_copy(buf_span(&undo), text, sizeof text));
    buf_free(&undo);
}

static void route_api(struct request *r, struct span rest)
{
    struct server *s = r->server;
    struct span query_id;
    if (!span_next(&rest, '/', &query_id) || query_id.n != 22) {
        answer_text(r, 404, ""); /* as the real one answers a stale queryId */
        return;
    }
    bool known = false;
    if (span_ends(rest, SPAN(APP_RENAMED)))
        rest = span_cut(rest, 0, rest.n - sizeof APP_RENAMED + 1);
    for (size_t i = 0; i < OPS; i++)
        known = known || span_is(rest, s->ops[i].name);
    if (!known) {
        answer_text(r, 404, "");
        return;
    }
    if (answer_session(r, rest))
        return;
    struct limit_state state;
    if (!limits_take(s->limits, rest, model_mix(client_key(r), span_hash(rest, 5), 0),
                     now_wall(), &state)) {
        put_limit(r, state);
        answer_limited(r, state, false);
        return;
    }
    struct json_parser *parser = json_parser_new(BODY_MAX);
    struct wish wish = {0};
    if (!read_wish(r, rest, parser, &wish)) {
        put_limit(r, state);
        graphql_error(&r->body, 336,
                      "The variables of this operation are missing or cannot be read",
                      "Validation");
        answer(r, 400, "application/json; charset=utf-8");
    } else if (!answer_fault(r, &wish, state)) {
        int status = run_wish(r, &wish);
        change_shape(r);
        answer(r, status, "application/json; charset=utf-8");
    }
    json_parser_free(&parser);
}

/* ---- pages ---- */

static void answer_app(struct request *r, bool with_alert)
{
    struct server *s = r->server;
    struct app_meta meta = {.logged_in = cookie(r, "auth_token").n > 0,
                            .drift = r->faults.value[FAULT_drift_dom] > 0,
                            .alert = with_alert,
                            .guest = r->faults.value[FAULT_guest] > 0,
                            .renamed = r->faults.value[FAULT_renamed] > 0,
                            .mutation = (int)r->faults.value[FAULT_mutation_page],
                            .pictures_far = r->faults.value[FAULT_pictures_far] > 0,
                            .pictures_late_ms =
                                (int64_t)r->faults.value[FAULT_pictures_late_ms],
                            .ops = s->ops,
                            .op_count = OPS};
    if (!cookie(r, "guest_id").n) {
        char value[96];
        uint64_t n = atomic_fetch_add(&s->guests, 1);
        snprintf(
            value, sizeof(value), "guest_id=v1%%3A%llu; Path=/; SameSite=Lax",
            (unsigned long long)model_mix(s->options.model.seed, (uint64_t)now_wall().ms, n) >>
                4);
        answer_header(r, "Set-Cookie", value);
    }
    if (r->faults.value[FAULT_token] > 0) {
        bool used_up = r->faults.value[FAULT_token] > 1 || !cookie(r, "gt").n;
        answer_header(r, "Set-Cookie",
                      used_up ? "gt=used-up; Path=/; SameSite=Lax"
                              : "gt=new; Path=/; SameSite=Lax");
    }
    if (meta.mutation)
        answer_header(r, "x-practice-mutation", mutate_page_name(meta.mutation));
    app_add_page(&r->body, &meta);
    answer(r, 200, "text/html; charset=utf-8");
}

static void answer_login_wall(struct request *r)
{
    char to[160];
    snprintf(to, sizeof(to), "/i/flow/login?redirect_after_login=%%2F%.*s",
             (int)(r->path.n > 80 ? 80 : r->path.n) - 1, r->path.p + 1);
    for (char *c = to; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127)
            *c = '_';
    answer_redirect(r, to);
}

static void answer_next_redirect(struct request *r)
{
    char to[64];
    snprintf(to, sizeof(to), "/fault_redirect?n=%lld",
             (long long)argument_number(r, "n", 0) + 1);
    answer_redirect(r, to);
}

static void route_account_page(struct request *r, struct span handle)
{
    struct account a;
    enum account_fault own = AFAULT_NONE;
    if (model_account(&r->server->options.model, handle, &a))
        own = a.fault;
    switch (own) {
    case AFAULT_LOOP:
        answer_still(r, 200, "text/html; charset=utf-8", app_loop_page);
        break;
    case AFAULT_CRASH:
        answer_still(r, 200, "text/html; charset=utf-8", app_crash_page);
        break;
    case AFAULT_MEMORY:
        answer_still(r, 200, "text/html; charset=utf-8", app_memory_page);
        break;
    case AFAULT_EVENT:
        answer_still(r, 200, "text/html; charset=utf-8", app_event_page);
        break;
    case AFAULT_HANG:
        r->wait_ms = -1;
        answer_text(r, 200, "");
        break;
    case AFAULT_LOGIN:
        answer_login_wall(r);
        break;
    case AFAULT_REDIRECT:
        answer_next_redirect(r);
        break;
    case AFAULT_NONE:
    case AFAULT_NEVER:
    case AFAULT_CUT:
    case AFAULT_5XX:
    case AFAULT_DRIFT:
    case AFAULT_EMPTY:
    case AFAULT_429:
    case AFAULT_ALERT:
    case AFAULT_CURSOR:
        answer_app(r, own == AFAULT_ALERT);
        break;
    }
}

/* What a page is only shown to members, and a locked one is shown nothing else than that. */
static bool answer_member_page(struct request *r, struct span first, struct span rest)
{
    static const char *const tabs[] = {"with_replies", "media", "followers", "following"};
    unsigned member = member_of(&r->server->members, cookie(r, "auth_token"));
    if (member < MEMBERS && atomic_load(&r->server->members.state[member]) == MEMBER_LOCKED) {
        answer_redirect(r, "/account/access");
        return true;
    }
    bool closed = span_is(first, "hashtag") || span_is(first, "search") ||
                  (span_is(first, "i") && !span_starts(rest, SPAN("status/")));
    for (size_t i = 0; i < sizeof tabs / sizeof *tabs; i++)
        closed = closed || span_is(rest, tabs[i]);
    if (!closed || r->faults.value[FAULT_login] <= 0 || cookie(r, "auth_token").n)
        return false;
    answer_login_wall(r);
    return true;
}

static void route_page(struct request *r)
{
    struct span rest = span_cut(r->path, 1, r->path.n), first;
    if (!span_next(&rest, '/', &first)) {
        answer_still(r, 200, "text/html; charset=utf-8", app_index_page);
        return;
    }
    take_latency(r);
    if (!cookie(r, "auth_token").n && strikes(r, FAULT_login_wall)) {
        answer_login_wall(r);
        return;
    }
    if (answer_member_page(r, first, rest))
        return;
    if (span_is(first, "hashtag") || span_is(first, "search") || span_is(first, "i"))
        answer_app(r, false);
    else if (first.n <= 15)
        route_account_page(r, first);
    else
        answer_text(r, 404, "no such page\n");
}

/* ---- pictures ---- */

/* A valid picture of one pixel in a colour of its own, and the weight of a photo behind it. */
static void answer_picture(struct request *r)
{
    static const uint8_t gif[] = {'G', 'I', 'F', '8', '9', 'a', 1, 0,    1, 0, 0x80, 0,
                                  0,   0,   0,   0,   0,   0,   0, ',',  0, 0, 0,    0,
                                  1,   0,   1,   0,   0,   2,   2, 0x44, 1, 0, ';'};
    uint64_t colour = span_hash(r->path, r->server->options.model.seed);
    struct span head = {(const char *)gif, sizeof(gif)};
    buf_add(&r->body, head);
    for (size_t i = 0; i < 6; i++)
        r->body.p[13 + i] = (char)(colour >> (8 * i));
    if (span_starts(r->path, SPAN("/media/")))
        buf_add(&r->body, (struct span){(const char *)r->server->picture, PICTURE_PAD});
    answer_header(r, "Cache-Control", "public, max-age=604800");
    answer(r, 200, "image/gif");
}

static bool is_picture(struct request *r)
{
    static const char *const roots[] = {
        "/media/",     "/profile_images/",      "/profile_banners/",
        "/card_img/",  "/amplify_video_thumb/", "/tweet_video_thumb/",
        "/favicon.ico"};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
        if (span_starts(r->path, span_of(roots[i])))
            return true;
    return false;
}

/* ---- files of media ---- */

/* The part that is asked for, when the client still means this file. */
static void cut_to_range(struct request *r, const char *etag)
{
    int64_t from = 0, count = 0;
    char text[80];
    size_t size = r->body.n;
    struct span same =
        span_of(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "If-Range"));
    struct span header =
        span_of(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Range"));
    if (!header.n || (same.n && !span_is(same, etag)))
        return;
    switch (range_read(header, (int64_t)size, &from, &count)) {
    case RANGE_ALL:
        return;
    case RANGE_NONE:
        snprintf(text, sizeof(text), "bytes */%zu", size);
        answer_header(r, "Content-Range", text);
        buf_clear(&r->body);
        r->status = 416;
        return;
    case RANGE_PART:
        snprintf(text, sizeof(text), "bytes %lld-%lld/%zu", (long long)from,
                 (long long)(from + count - 1), size);
        answer_header(r, "Content-Range", text);
        buf_drop(&r->body, (size_t)from);
        r->body.n = (size_t)count;
        r->status = 206;
        r->plan = PLAN_ANSWER;
        return;
    }
}

static bool answer_media(struct request *r)
{
    struct practice_file file;
    char etag[24];
    if (!files_find(r->path, argument(r, "format"), argument(r, "name"),
                    r->server->options.model.seed, &file))
        return false;
    atomic_uchar *seen = &r->server->limited[file.key % LIMITED_MAX];
    if (file.outcome == FILE_missing || file.outcome == FILE_no_orig) {
        answer_text(r, 404, "");
        return true;
    }
    if (file.outcome == FILE_limited && !atomic_exchange(seen, 1)) {
        answer_header(r, "Retry-After", "1");
        answer_text(r, 429, "");
        return true;
    }
    if (file.outcome == FILE_slow)
        r->wait_ms = 1000;
    if (file.outcome == FILE_cut)
        r->plan = PLAN_CUT;
    files_add(&file, &r->body);
    snprintf(etag, sizeof(etag), "\"%016llx\"", (unsigned long long)file.key);
    answer_header(r, "ETag", etag);
    answer_header(r, "Accept-Ranges", "bytes");
    answer(r, 200, file.type);
    cut_to_range(r, etag);
    return true;
}

/* What a media URL, as the records name it, leads to. */
static void answer_media_truth(struct request *r)
{
    struct span url = argument(r, "url"), rest = span_cut(url, sizeof("https://") - 1, url.n);
    size_t slash = span_find_char(rest, '/'), query = span_find_char(rest, '?');
    struct span path = span_cut(rest, slash, query - (slash < query ? slash : query));
    struct span pairs = span_cut(rest, query + 1, rest.n), pair, format = SPAN_NONE,
                name = SPAN_NONE;
    struct practice_file file;
    struct buf bytes = BUF(ANSWER_MAX);
    struct digest sum;
    char text[DIGEST_TEXT];
    while (span_next(&pairs, '&', &pair)) {
        if (span_starts(pair, SPAN("format=")))
            format = span_cut(pair, 7, pair.n);
        if (span_starts(pair, SPAN("name=")))
            name = span_cut(pair, 5, pair.n);
    }
    if (!files_find(path, format, name, r->server->options.model.seed, &file)) {
        answer_words(r, 404, "no such media");
        return;
    }
    files_add(&file, &bytes);
    digest_init(&sum);
    digest_add(&sum, buf_span(&bytes));
    digest_end(&sum, text);
    struct json_w w = json_w(&r->body);
    json_open(&w);
    json_kv_cstr(&w, "outcome", files_outcome(file.outcome));
    json_kv_cstr(&w, "sha256", text);
    json_kv_int(&w, "bytes", (int64_t)file.bytes);
    json_kv_cstr(&w, "type", file.type);
    json_close(&w);
    answer(r, 200, "application/json; charset=utf-8");
    buf_free(&bytes);
}

/* ---- truth ---- */

static void answer_truth(struct request *r, struct truth *t, bool opened)
{
    if (!opened) {
        free(t);
        answer_words(r, 404, "no such account, or nothing to search for");
        return;
    }
    r->truth = t;
    answer(r, 200, "application/x-ndjson; charset=utf-8");
}

static void answer_accounts(struct request *r)
{
    int64_t count = argument_number(r, "count", 100);
    if (count < 0 || count > ACCOUNTS_NUMBERED)
        count = ACCOUNTS_NUMBERED;
    r->body.max = 64 * 1024 * 1024;
    for (uint32_t i = 0; i < (uint32_t)count; i++)
        truth_account(&r->server->options.model, i, &r->body);
    answer(r, 200, "application/x-ndjson; charset=utf-8");
}

/* The id of a post of an account, whatever state the account is in. */
static void answer_status(struct request *r, struct span handle)
{
    struct account a;
    int64_t index = argument_number(r, "index", 0);
    if (!model_account(&r->server->options.model, handle, &a) || index < 0 ||
        index >= a.posts.count) {
        answer_words(r, 404, "no such account or post");
        return;
    }
    buf_fmt(&r->body, "%llu\n", (unsigned long long)model_stream_id(&a.posts, (uint32_t)index));
    answer(r, 200, "text/plain; charset=utf-8");
}

static bool route_truth_lists(struct request *r, struct span what, struct span rest)
{
    const struct model *m = &r->server->options.model;
    int64_t limit = argument_number(r, "limit", -1), id = 0;
    struct truth *t = heap_new_of(struct truth);
    (void)span_int(rest, &id);
    if (span_is(what, "replies"))
        answer_truth(r, t, truth_open_tab(t, m, rest, TRUTH_REPLIES, limit));
    else if (span_is(what, "media"))
        answer_truth(r, t, truth_open_tab(t, m, rest, TRUTH_GRID, limit));
    else if (span_is(what, "followers") || span_is(what, "following"))
        answer_truth(r, t, truth_open_follows(t, m, rest, span_is(what, "followers"), limit));
    else if (span_is(what, "list") || span_is(what, "community"))
        answer_truth(r, t,
                     truth_open_feed(t, m, span_is(what, "list") ? FEED_LIST : FEED_COMMUNITY,
                                     (uint64_t)id, limit));
    else if (span_is(what, "thread"))
        answer_truth(
            r, t,
            truth_open_thread(t, m, (uint64_t)id, argument_number(r, "depth", -1), limit));
    else {
        free(t);
        if (!span_is(what, "status"))
            return false;
        answer_status(r, rest);
    }
    return true;
}

static void route_truth(struct request *r, struct span rest)
{
    const struct model *m = &r->server->options.model;
    int64_t limit = argument_number(r, "limit", -1);
    struct span product = argument(r, "product"), what;
    enum truth_order order = span_is(product, "Top")     ? TRUTH_TOP
                             : span_is(product, "Media") ? TRUTH_MEDIA
                                                         : TRUTH_LATEST;
    if (!span_next(&rest, '/', &what))
        what = SPAN_NONE;
    if (span_is(what, "file")) {
        answer_media_truth(r);
    } else if (span_is(what, "accounts")) {
        answer_accounts(r);
    } else if (span_is(what, "user")) {
        bool found = truth_user(m, rest, &r->body);
        answer(r, 200, "application/json; charset=utf-8");
        if (!found)
            answer_words(r, 404, "no such account");
    } else if (span_is(what, "posts")) {
        struct truth *t = heap_new_of(struct truth);
        answer_truth(r, t, truth_open_posts(t, m, rest, limit));
    } else if (route_truth_lists(r, what, rest)) {
        return;
    } else if (span_is(what, "search") || span_is(what, "hashtag")) {
        struct truth *t = heap_new_of(struct truth);
        struct buf query = BUF(4096);
        if (span_is(what, "hashtag"))
            buf_add_char(&query, '#');
        buf_add(&query, span_is(what, "hashtag") ? rest : argument(r, "q"));
        answer_truth(r, t,
                     span_is(argument(r, "product"), "People")
                         ? truth_open_people(t, m, buf_span(&query), limit)
                         : truth_open_search(t, m, buf_span(&query), order, limit));
        buf_free(&query);
    } else {
        answer_words(
            r, 404,
            "there are /truth/posts/HANDLE, replies, media, followers, following, user, "
            "/truth/status/HANDLE?index=, /truth/thread/ID?depth=, /truth/list/ID, "
            "/truth/community/ID, /truth/hashtag/TAG, /truth/search?q=, "
            "/truth/file?url= and /truth/accounts?count=");
    }
}

/* ---- panel ---- */

static void route_panel_faults(struct request *r)
{
    struct server *s = r->server;
    struct fault f = {0};
    struct span body;
    err e = E_OK;
    pthread_mutex_lock(&s->faults_lock);
    if (span_is(r->method, "DELETE"))
        s->faults = (struct faults){0};
    if (span_is(r->method, "POST")) {
        e = buf_end(&r->upload, &body);
        if (!e)
            e = faults_set_json(&s->faults, body, &f);
    }
    struct faults now = s->faults;
    atomic_store(&s->options.model.held, (uint32_t)now.value[FAULT_held]);
    pthread_mutex_unlock(&s->faults_lock);
    if (e) {
        answer_words(r, err_http(e), f.words[0] ? f.words : err_text(e));
        return;
    }
    faults_add_json(&r->body, &now, argument(r, "help").n > 0);
    answer(r, 200, "application/json; charset=utf-8");
}

/* Logging in: the cookies that a member's browser would have. */
static void route_panel_login(struct request *r)
{
    int64_t member = argument_number(r, "member", 0);
    struct span form = argument(r, "form"), host = header(r, "Host");
    host = span_cut(host, 0, span_find_char(host, ':'));
    if (member < 0 || member >= MEMBERS)
        answer_words(r, 404, "there are members 0 to 31");
    else if (!member_export(&r->server->members, (unsigned)member,
                            form.n ? form : SPAN("header"), host, &r->body))
        answer_words(r, 404, "form is header, netscape or json");
    else
        answer(r, 200, "text/plain; charset=utf-8");
}

/* {"member":3,"state":"invalid"} */
static void route_panel_members(struct request *r)
{
    struct members *m = &r->server->members;
    struct json_parser *parser = json_parser_new(BODY_MAX);
    struct json root = JSON_MISSING;
    int64_t member = -1;
    enum member_state state;
    bool post = span_is(r->method, "POST");
    bool read = post && !json_parse(parser, buf_span(&r->upload), &root, NULL) &&
                json_int(json_get(root, SPAN("member")), &member) && member >= 0 &&
                member < MEMBERS && member_state_parse(read_text(root, "state"), &state);
    if (read)
        atomic_store(&m->state[member], (unsigned char)state);
    json_parser_free(&parser);
    if (post && !read) {
        answer_words(
            r, 422,
            "the body is {\"member\": 0 to 31, \"state\": \"good\", \"invalid\" or \"locked\"}");
        return;
    }
    struct json_w w = json_w(&r->body);
    json_open_array(&w);
    for (int i = 0; i < MEMBERS; i++)
        json_put_text(&w,
                      span_of(member_state_name((enum member_state)atomic_load(&m->state[i]))));
    json_close_array(&w);
    answer(r, 200, "application/json; charset=utf-8");
}

/* As the pages show photos. */
static bool shown_small(struct request *r)
{
    return span_starts(r->path, SPAN("/media/")) && !span_is(argument(r, "name"), "orig") &&
           !span_is(argument(r, "name"), "4096x4096") && !span_is(argument(r, "name"), "large");
}

/* ---- routing ---- */

static void route(struct request *r)
{
    struct span rest;
    bool asks = span_is(r->method, "GET") || span_is(r->method, "HEAD");
    take_faults(r);
    if (r->status)
        return; /* its own faults could not be read */
    if (under(r, "/i/jot", &rest)) {
        answer_text(r, 204, "");
    } else if (span_is(r->path, "/panel/faults") &&
               (asks || span_is(r->method, "POST") || span_is(r->method, "DELETE"))) {
        route_panel_faults(r);
    } else if (span_is(r->path, "/panel/members") && (asks || span_is(r->method, "POST"))) {
        route_panel_members(r);
    } else if (!asks) {
        answer_text(r, 405, "this address only answers GET\n");
    } else if (under(r, "/i/api/graphql/", &rest) || under(r, "/graphql/", &rest)) {
        take_latency(r);
        route_api(r, rest);
    } else if (under(r, "/i/flow/login", &rest)) {
        answer_still(r, 200, "text/html; charset=utf-8", app_login_page);
    } else if (span_is(r->path, "/web/app.js")) {
        answer_header(r, "Cache-Control", "public, max-age=3600");
        answer_still(r, 200, "text/javascript; charset=utf-8", app_script);
    } else if (span_is(r->path, "/web/style.css")) {
        answer_header(r, "Cache-Control", "public, max-age=3600");
        answer_still(r, 200, "text/css; charset=utf-8", app_style);
    } else if (under(r, "/emoji/", &rest)) {
        answer_header(r, "Cache-Control", "public, max-age=604800");
        answer_still(r, 200, "image/svg+xml",
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"18\" height=\"18\">"
                     "<circle cx=\"9\" cy=\"9\" r=\"8\" fill=\"#fc3\"/></svg>");
    } else if (span_is(r->path, "/robots.txt")) {
        answer_text(r, 200, "User-agent: *\nDisallow: /media/private/\n");
    } else if (!shown_small(r) && answer_media(r)) {
        return;
    } else if (is_picture(r)) {
        answer_picture(r);
    } else if (under(r, "/truth/", &rest)) {
        route_truth(r, rest);
    } else if (span_is(r->path, "/panel/login")) {
        route_panel_login(r);
    } else if (span_is(r->path, "/account/access")) {
        answer_still(r, 200, "text/html; charset=utf-8", app_locked_page);
    } else if (span_is(r->path, "/panel")) {
        answer_still(r, 200, "text/html; charset=utf-8", app_panel_page);
    } else if (span_is(r->path, "/healthz")) {
        answer_text(r, 200, "ok\n");
    } else {
        route_page(r);
    }
}

/* ---- sending ---- */

struct stream_body {
    struct truth *truth;
    struct buf text;
    size_t sent;
};

static ssize_t on_truth_wanted(void *ctx, uint64_t pos, char *out, size_t max)
{
    struct stream_body *b = ctx;
    (void)pos;
    if (b->sent == b->text.n) {
        buf_clear(&b->text);
        b->sent = 0;
        while (b->text.n < max && truth_next(b->truth, &b->text))
            ;
        if (b->text.n == 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
    }
    size_t n = b->text.n - b->sent < max ? b->text.n - b->sent : max;
    memcpy(out, b->text.p + b->sent, n);
    b->sent += n;
    return (ssize_t)n;
}

static void on_truth_sent(void *ctx)
{
    struct stream_body *b = ctx;
    truth_close(b->truth);
    free(b->truth);
    buf_free(&b->text);
    free(b);
}

/* A body of which only the first half is ever sent. */
struct cut_body {
    struct buf text;
};

static ssize_t on_cut_wanted(void *ctx, uint64_t pos, char *out, size_t max)
{
    struct cut_body *b = ctx;
    size_t half = b->text.n / 2;
    if (pos >= half)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = half - (size_t)pos < max ? half - (size_t)pos : max;
    memcpy(out, b->text.p + pos, n);
    return (ssize_t)n;
}

static void on_cut_sent(void *ctx)
{
    struct cut_body *b = ctx;
    buf_free(&b->text);
    free(b);
}

static struct MHD_Response *make_response(struct request *r)
{
    if (r->truth) {
        struct stream_body *b = heap_new_of(struct stream_body);
        *b = (struct stream_body){.truth = r->truth, .text = BUF(4 * 1024 * 1024)};
        r->truth = NULL;
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 64 * 1024, on_truth_wanted,
                                                 b, on_truth_sent);
    }
    if (r->still) {
        void *text = (void *)(uintptr_t)r->still; /* the library only reads it */
        return MHD_create_response_from_buffer(strlen(r->still), text, MHD_RESPMEM_PERSISTENT);
    }
    need(!r->body.failed);
    if (r->plan == PLAN_CUT) {
        struct cut_body *b = heap_new_of(struct cut_body);
        b->text = r->body;
        r->body = (struct buf){0};
        return MHD_create_response_from_callback(b->text.n, 16 * 1024, on_cut_wanted, b,
                                                 on_cut_sent);
    }
    struct MHD_Response *response =
        MHD_create_response_from_buffer(r->body.n, r->body.p, MHD_RESPMEM_MUST_FREE);
    r->body = (struct buf){0};
    return response;
}

static enum MHD_Result send_answer(struct request *r)
{
    struct MHD_Response *response = make_response(r);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", r->type);
    for (size_t i = 0; i < r->header_count; i++)
        MHD_add_response_header(response, r->headers[i][0], r->headers[i][1]);
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)r->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result wait_first(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    r->waits.connection = r->connection;
    r->waits.socket = info ? info->connect_fd : -1;
    /* The clock is cut to whole ms: without the 1 a wait that begins late in one ends too early. */
    r->waits.until =
        r->wait_ms < 0 ? (mono){INT64_MAX} : mono_add(waiting_now(), r->wait_ms + 1);
    waiting_add(r->server->waiting, &r->waits);
    return MHD_YES;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **con_cls)
{
    struct request *r = *con_cls;
    (void)version;
    if (!r) {
        r = heap_new_of(struct request);
        *r = (struct request){.magic = REQUEST_MAGIC, .server = ctx, .connection = connection};
        r->upload = BUF(BODY_MAX);
        r->body = BUF(ANSWER_MAX);
        *con_cls = r;
        return MHD_YES;
    }
    need(r->magic == REQUEST_MAGIC);
    if (*upload_size > 0) {
        buf_add(&r->upload, (struct span){upload, *upload_size});
        *upload_size = 0;
        return MHD_YES;
    }
    if (!r->is_routed) {
        r->is_routed = true;
        r->path = span_of(url);
        r->method = span_of(method);
        route(r);
        if (r->wait_ms != 0)
            return wait_first(r);
    }
    if (r->wait_ms != 0 && !r->waits.is_over)
        return MHD_YES;
    if (r->waits.was_lost)
        return MHD_NO;
    return send_answer(r);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    struct request *r = *con_cls;
    (void)ctx;
    (void)connection;
    (void)why;
    if (!r)
        return;
    need(r->magic == REQUEST_MAGIC);
    if (r->truth) {
        truth_close(r->truth);
        free(r->truth);
    }
    buf_free(&r->upload);
    buf_free(&r->body);
    r->magic = 0;
    free(r);
    *con_cls = NULL;
}

/* ---- life ---- */

static err listen_on(const struct server_options *o, int *out_socket, uint16_t *out_port,
                     struct fault *f)
{
    char port[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *at = NULL;
    int on = 1, s = -1;
    err e = E_OK;
    snprintf(port, sizeof(port), "%u", o->port);
    if (getaddrinfo(o->host, port, &hints, &at) != 0)
        return fail(f, E_BAD_INPUT, "'%s' is not an IP address; use for example 127.0.0.1",
                    o->host);
    s = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) {
        e = fail(f, E_OS, "no socket: %s", strerror(errno));
        goto out;
    }
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s, at->ai_addr, at->ai_addrlen) || listen(s, 512)) {
        int why = errno;
        e = why == EADDRINUSE
                ? fail(f, E_CONFLICT,
                       "port %s of %s is in use; choose another, or 0 for a free one", port,
                       o->host)
            : why == EACCES
                ? fail(f, E_DENIED, "port %s needs privileges; choose one above 1023", port)
                : fail(f, E_OS, "cannot listen on %s port %s: %s", o->host, port,
                       strerror(why));
        goto out;
    }
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    getsockname(s, (struct sockaddr *)&bound, &size);
    *out_port = bound.ss_family == AF_INET6
                    ? ntohs(((struct sockaddr_in6 *)(void *)&bound)->sin6_port)
                    : ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port);
    *out_socket = s;
    s = -1;
out:
    if (s >= 0)
        close(s);
    freeaddrinfo(at);
    return e;
}

static void name_ops(struct server *s)
{
    static const char *const names[OPS] = {"UserByScreenName",
                                           "UserTweets",
                                           "SearchTimeline",
                                           "TweetResultByRestId",
                                           "UserTweetsAndReplies",
                                           "UserMedia",
                                           "Followers",
                                           "Following",
                                           "ListLatestTweetsTimeline",
                                           "CommunityTweetsTimeline",
                                           "TweetDetail"};
    for (size_t i = 0; i < OPS; i++) {
        uint8_t bytes[18];
        char text[32];
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)model_mix(s->options.model.seed, i + 0x0b5, k);
        model_base64url(bytes, sizeof(bytes), text);
        s->ops[i].name = names[i];
        span_copy((struct span){text, 22}, s->ops[i].query_id, sizeof(s->ops[i].query_id));
    }
}

err server_open(const struct server_options *options, struct server **out_server,
                struct fault *f)
{
    int listening = -1;
    uint16_t port = 0;
    err e = listen_on(options, &listening, &port, f);
    if (e)
        return e;
    struct server *s = heap_new_of(struct server);
    s->options = *options;
    s->port = port;
    s->faults = options->faults;
    s->options.model.held = (uint32_t)options->faults.value[FAULT_held];
    s->draws.seed = options->model.seed;
    s->members.seed = options->model.seed;
    pthread_mutex_init(&s->faults_lock, NULL);
    s->waiting = waiting_new();
    s->limits = limits_new(options->rate_limit, options->rate_window_s);
    s->picture = heap_get(PICTURE_PAD);
    for (size_t i = 0; i < PICTURE_PAD; i++)
        s->picture[i] = (uint8_t)(model_mix(1, i, 2) >> 9);
    name_ops(s);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO;
    struct MHD_OptionItem pool[] = {
        {options->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
         (intptr_t)options->threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET,
                                 listening, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(96 * 1024),
                                 MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!s->daemon) {
        close(listening);
        server_close(&s);
        return fail(
            f, E_OS,
            "the HTTP server did not start; is the limit of open files or threads reached?");
    }
    *out_server = s;
    return E_OK;
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

void server_close(struct server **server)
{
    struct server *s = *server;
    if (!s)
        return;
    waiting_stop(s->waiting);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    waiting_free(&s->waiting);
    limits_free(&s->limits);
    pthread_mutex_destroy(&s->faults_lock);
    free(s->picture);
    free(s);
    *server = NULL;
}
