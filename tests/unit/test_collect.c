/* The worker's flow against a scripted node: what it asks for, what it commits, how it ends. */
#include "base/json.h"
#include "os/clock.h"
#include "worker/collect.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/pack.h"

enum { PAGES_MAX = 140 };

/* One answer of the site, as the scripted node plays it. */
struct script_page {
    int first, count;   /* posts: newest first, numbered */
    const char *cursor; /* Bottom */
    bool terminate, fails, never;
    bool replies;     /* each of them answers something */
    bool too_big;     /* the page dies of its memory when its answer is asked for */
    short broken;     /* of the posts: without a text */
    short false_time; /* the first posts name another second than their ids */
    short edited;     /* the first posts have another text */
    short status;     /* 0 = 200 */
    short code;       /* the answer is this error of the site; 0 none */
};

struct script {
    struct script_page pages[PAGES_MAX];
    int page_count;
    int claimed;            /* posts the profile says */
    int known_pages;        /* the first ones bring nothing that the job does not have */
    int cancel_at, gone_at; /* page before which the job is cancelled, the tab dies; 0 never */
    int spent_at,
        refuse_at;      /* the page, fetch before which max_bytes is used up, from 1; 0 never */
    const char *cursor; /* the job starts here */
    int64_t limit, have, filtered;
    const char *spec, *known;
    const char *kind, *target; /* NULL: posts, of someone */
    bool people;               /* the pages hold users */
    /* what the node saw */
    int next_page, batches, scrolls, committed, opened;
    bool held, moved;
    int kinds[RECORD_CONFLICT + 1], counted; /* items by kind; batches with counts of fields */
    char last_cursor[64], moved_url[300];
    /* fetches: what robots.txt says, NULL: there is none; status and text of the first source */
    const char *robots, *feed;
    void (*answers)(struct script *s, struct buf *body); /* of a source, in place of `feed` */
    int feed_status, fetches;
    const char *instances, *second; /* servers; what https://s.test answers */
    /* media: what robots.txt of their host says; what became of it */
    const char *media_robots;
    int downloads, cancel_at_download, media_robots_asked, with_file, with_error;
    char asked_for[120], error[240];
    char first_url[140];
    const char *says; /* the page, in place of posts */
    const char *user; /* members of the account, each with a comma behind it */
    /* evidence: what is kept, and what came of it */
    enum evidence_keep keep;
    int pieces, pieces_at_end; /* before the last commit, in all */
    int older;                 /* pieces that are said to be missing */
    char names[40][24];        /* of the pieces, in order */
    int64_t batches_of[40];
    char headers[300], piece_url[160]; /* of the last one */
    size_t body_bytes;
    int64_t reason;
    int pictures; /* of a strategy that another followed */
    int64_t pictured;
    int fd;
};

/* The last item that is no result. */
static char apart[4096];

static int64_t post_ms(int number)
{
    return 1780000000000 - (int64_t)number * 3600000;
}

static bool with_media; /* every post has a photo, P<number>.jpg */

static void add_entities(struct buf *b, int number)
{
    if (!with_media) {
        buf_add_text(b, "\"entities\":{}");
        return;
    }
    buf_fmt(
        b,
        "\"entities\":{},\"extended_entities\":{\"media\":[{\"id_str\":\"%d\",\"media_key\":\"3_%d\","
        "\"type\":\"photo\",\"media_url_https\":\"https://pbs.twimg.com/media/P%d.jpg\",\"url\":"
        "\"https://t.co/a\",\"original_info\":{\"width\":5,\"height\":6}}]}",
        1000 + number, 1000 + number, number);
}

static void add_post(struct buf *b, int number, const struct script_page *p, int i)
{
    char when[64];
    time_t second = (time_t)(post_ms(number) / 1000) + (i < p->false_time);
    struct tm t;
    gmtime_r(&second, &t);
    strftime(when, sizeof when, "%a %b %d %H:%M:%S +0000 %Y", &t);
    unsigned long long id = (unsigned long long)(post_ms(number) - 1288834974657) << 22;
    buf_fmt(
        b,
        "{\"entryId\":\"tweet-%llu\",\"sortIndex\":\"%llu\",\"content\":{\"entryType\":"
        "\"TimelineTimelineItem\",\"__typename\":\"TimelineTimelineItem\",\"itemContent\":{"
        "\"itemType\":\"TimelineTweet\",\"__typename\":\"TimelineTweet\",\"tweet_results\":{"
        "\"result\":{\"__typename\":\"Tweet\",\"rest_id\":\"%llu\",\"core\":{\"user_results\":{"
        "\"result\":{\"__typename\":\"User\",\"rest_id\":\"99\",\"core\":{\"screen_name\":"
        "\"someone\",\"name\":\"Some One\"}}}},\"legacy\":{\"created_at\":\"%s\",\"%s\":"
        "\"post %d%s\",\"conversation_id_str\":\"%llu\",\"user_id_str\":\"99\",\"lang\":\"en\","
        "\"reply_count\":1,\"retweet_count\":2,\"favorite_count\":3,\"quote_count\":4,"
        "%s\"id_str\":\"%llu\",",
        id, id, id, when, i < p->broken ? "body" : "full_text", number,
        i < p->edited ? " edited" : "", id,
        p->replies ? "\"in_reply_to_status_id_str\":\"5\"," : "", id);
    add_entities(b, number);
    buf_add_text(b, "},\"views\":{\"count\":\"7\",\"state\":\"EnabledWithCount\"}}}}}}");
}

static void add_follower(struct buf *b, int number)
{
    buf_fmt(
        b,
        "{\"entryId\":\"user-%d\",\"sortIndex\":\"9\",\"content\":{\"entryType\":"
        "\"TimelineTimelineItem\",\"itemContent\":{\"itemType\":\"TimelineUser\",\"user_results\":"
        "{\"result\":{\"__typename\":\"User\",\"rest_id\":\"%d\",\"core\":{\"screen_name\":\"u%d\","
        "\"name\":\"U\"}}}}}}",
        1000 + number, 1000 + number, number);
}

static void add_timeline(struct buf *b, const struct script_page *p, bool people)
{
    buf_add_text(
        b, "{\"data\":{\"user\":{\"result\":{\"__typename\":\"User\",\"timeline\":{"
           "\"timeline\":{\"instructions\":[{\"type\":\"TimelineAddEntries\",\"entries\":[");
    for (int i = 0; i < p->count; i++) {
        if (people)
            add_follower(b, p->first + i);
        else
            add_post(b, p->first + i, p, i);
        buf_add_char(b, ',');
    }
    buf_fmt(b,
            "{\"entryId\":\"cursor-bottom-1\",\"sortIndex\":\"1\",\"content\":{\"entryType\":"
            "\"TimelineTimelineCursor\",\"value\":\"%s\",\"cursorType\":\"Bottom\"}}]}",
            p->cursor);
    if (p->terminate)
        buf_add_text(b, ",{\"type\":\"TimelineTerminateTimeline\",\"direction\":\"Bottom\"}");
    buf_add_text(b, "]}}}}}}");
}

static void add_user(struct buf *b, int claimed, const char *more)
{
    buf_fmt(b,
            "{\"data\":{\"user\":{\"result\":{\"__typename\":\"User\",\"rest_id\":\"99\",%s"
            "\"core\":{\"screen_name\":\"someone\",\"name\":\"Some One\",\"created_at\":"
            "\"Mon Jan 05 10:00:00 +0000 2015\"},\"privacy\":{\"protected\":false},"
            "\"tweet_counts\":{\"tweets\":%d,\"media_tweets\":0},\"relationship_counts\":{"
            "\"followers\":5,\"following\":6}}}}}",
            more ? more : "", claimed);
}

/* ---- the node's side ---- */

static void give(struct script *s, const struct frame *f)
{
    struct buf b = BUF(8 << 20);
    frame_add(&b, f);
    for (size_t at = 0; at < b.n;) {
        ssize_t n = write(s->fd, b.p + at, b.n - at);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    buf_free(&b);
}

static void give_event(struct script *s, const char *method, const char *params)
{
    give(s, &(struct frame){.type = FRAME_EVENT, .t = {span_of(method), span_of(params)}});
}

static void play_request(struct script *s, const char *id, const char *op,
                         const struct script_page *p)
{
    char text[512];
    snprintf(text, sizeof text,
             "{\"requestId\":\"%s\",\"type\":\"XHR\",\"request\":{\"method\":\"GET\",\"url\":"
             "\"https://x.com/i/api/graphql/q/%s?variables=%%7B%%7D\"}}",
             id, op);
    give_event(s, "Network.requestWillBeSent", text);
    if (p && p->never)
        return;
    if (p && p->fails) {
        snprintf(text, sizeof text,
                 "{\"requestId\":\"%s\",\"errorText\":\"net::ERR_CONNECTION_RESET\"}", id);
        give_event(s, "Network.loadingFailed", text);
        return;
    }
    snprintf(
        text, sizeof text,
        "{\"requestId\":\"%s\",\"type\":\"XHR\",\"response\":{\"status\":%d,\"url\":"
        "\"https://x.com/i/api/graphql/q/%s\",\"headers\":{\"Set-Cookie\":\"sid=secret\",\"authorization\":\"Bearer secret\",\"x-rate-limit-reset\":\"%lld\"}}}",
        id, p && p->status ? p->status : 200, op, (long long)(clock_wall().ms / 1000 + 60));
    give_event(s, "Network.responseReceived", text);
    snprintf(text, sizeof text, "{\"requestId\":\"%s\"}", id);
    give_event(s, "Network.loadingFinished", text);
}

static void tell_spent(struct script *s)
{
    give(s, &(struct frame){.type = FRAME_SPENT, .n = {BOUND_BYTES, 65536, 70001}});
}

static void play_next_page(struct script *s)
{
    char id[16];
    int n = s->next_page;
    if (n >= s->page_count)
        return;
    s->next_page++;
    if (s->cancel_at && n == s->cancel_at)
        give(s, &(struct frame){.type = FRAME_CANCEL, .n = {E_CANCELLED}});
    if (n + 1 == s->spent_at)
        tell_spent(s);
    if (s->gone_at && n == s->gone_at)
        give(s, &(struct frame){
                    .type = FRAME_GONE, .n = {E_PAGE_GONE}, .t = {SPAN("the page crashed")}});
    snprintf(id, sizeof id, "page%d", n);
    play_request(s, id, s->people ? "Followers" : "UserTweets", &s->pages[n]);
}

static void answer_body(struct script *s, const struct frame *f)
{
    struct buf body = BUF(4 << 20), text = BUF(8 << 20);
    bool user = span_is(f->t[0], "user");
    const struct script_page *page = user ? NULL : &s->pages[strtol(f->t[0].p + 4, NULL, 10)];
    if (page && page->too_big) {
        give(s, &(struct frame){.type = FRAME_REPLY, .n = {f->n[0], E_TOO_BIG}});
        give(s, &(struct frame){.type = FRAME_GONE,
                                .n = {E_TOO_BIG},
                                .t = {SPAN("the page used more memory")}});
        return;
    }
    if (user)
        add_user(&body, s->claimed, s->user);
    else if (page->status == 429)
        buf_add_text(&body, "Rate limit exceeded");
    else if (page->code)
        buf_fmt(&body, "{\"errors\":[{\"code\":%d,\"message\":\"no\"}]}", page->code);
    else
        add_timeline(&body, page, s->people);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_text(&w, "body", buf_span(&body));
    json_kv_bool(&w, "base64Encoded", false);
    json_close(&w);
    give(s, &(struct frame){.type = FRAME_REPLY, .n = {f->n[0], E_OK}, .t = {buf_span(&text)}});
    buf_free(&body);
    buf_free(&text);
}

static void commit(struct script *s, const struct frame *f)
{
    struct span rest = f->t[1];
    struct frame_item item;
    int64_t added = 0;
    while (frame_next_item(&rest, &item) == E_OK) {
        added += item.kind == (s->people ? RECORD_USER : RECORD_POST);
        s->kinds[item.kind]++;
        if (item.kind >= RECORD_REJECTED)
            span_copy(item.json, apart, sizeof apart);
        s->with_file +=
            span_find(item.json, SPAN("\"file\":{\"path\":\"files/ab/")) < item.json.n;
        size_t at = span_find(item.json, SPAN("\"file_error\":"));
        s->with_error += at < item.json.n;
        if (at < item.json.n && !s->error[0])
            span_copy(span_cut(item.json, at, item.json.n), s->error, sizeof s->error);
    }
    s->counted += f->t[2].n > 0;
    if (added && s->known_pages) {
        s->known_pages--;
        added = 0;
    }
    if (s->limit && s->have + added > s->limit)
        added = s->limit - s->have;
    s->have += added;
    s->filtered += f->n[3];
    s->committed += (int)added;
    s->batches++;
    if (f->t[0].n)
        span_copy(f->t[0], s->last_cursor, sizeof s->last_cursor);
    give(s, &(struct frame){.type = FRAME_COMMITTED, .n = {E_OK, added, s->have}});
}

static void answer_source(struct script *s, const struct frame *f)
{
    struct buf body = BUF(1 << 20);
    s->answers(s, &body);
    s->fetches++;
    give(s, &(struct frame){.type = FRAME_FETCHED,
                            .n = {f->n[0], E_OK, 200},
                            .t = {f->t[1], SPAN("{}"), buf_span(&body)}});
    buf_free(&body);
}

static void answer_fetch(struct script *s, const struct frame *f)
{
    if (s->refuse_at && s->fetches + 1 >= s->refuse_at) {
        tell_spent(s);
        give(s, &(struct frame){.type = FRAME_FETCHED, .n = {f->n[0], E_END}});
        return;
    }
    if (s->answers && !span_is(f->t[0], "robots")) {
        answer_source(s, f);
        return;
    }
    bool robots = span_is(f->t[0], "robots");
    bool second = s->second && !robots && span_starts(f->t[1], SPAN("https://s.test/"));
    int status = second ? 200 : robots ? (s->robots ? 200 : 404) : s->feed_status;
    struct span body = span_of(second ? s->second : robots ? s->robots : s->feed);
    if (!robots && !s->fetches++)
        span_copy(f->t[1], s->first_url, sizeof s->first_url);
    give(s,
         &(struct frame){.type = FRAME_FETCHED,
                         .n = {f->n[0], status ? E_OK : E_NET, status},
                         .t = {status ? f->t[1] : SPAN("the host is away"), SPAN("{}"), body}});
}

static void take_piece(struct script *s, const struct frame *f)
{
    if (f->n[4]) {
        s->older += (int)f->n[5];
        return;
    }
    if (s->pieces < 40) {
        span_copy(f->t[1], s->names[s->pieces], sizeof s->names[0]);
        s->batches_of[s->pieces] = f->n[2];
    }
    s->pieces++;
    s->reason = f->n[3];
    s->body_bytes += f->t[4].n;
    span_copy(f->t[2], s->piece_url, sizeof s->piece_url);
    span_copy(f->t[3], s->headers, sizeof s->headers);
}

/* Of P<n>: n % 10 = 3 is there as 4096x4096 only, 7 meets trouble of the host. */
static void answer_download(struct script *s, const struct frame *f)
{
    size_t dot = span_find_char(f->t[1], '?');
    char digit = f->t[1].p[dot - 1];
    bool orig = span_ends(f->t[1], SPAN("name=orig"));
    if (++s->downloads == s->cancel_at_download) {
        give(s, &(struct frame){.type = FRAME_CANCEL, .n = {E_CANCELLED}});
        return;
    }
    if (!s->asked_for[0])
        span_copy(f->t[1], s->asked_for, sizeof s->asked_for);
    struct frame a = {.type = FRAME_DOWNLOADED,
                      .n = {f->n[0], E_OK, 200, 5, 1780000000000, digit == '1'}};
    a.t[0] = SPAN("ab00");
    a.t[1] = SPAN("image/jpeg");
    a.t[2] = SPAN("files/ab/ab00.jpg");
    if (digit == '7' || (digit == '3' && orig)) {
        a.n[1] = digit == '7' ? E_NET : E_NOT_FOUND;
        a.n[2] = digit == '7' ? 500 : 404;
        a.t[0] = SPAN("why not");
    }
    give(s, &a);
}

static void answer_media_robots(struct script *s, const struct frame *f)
{
    s->media_robots_asked++;
    give(s, &(struct frame){.type = FRAME_FETCHED,
                            .n = {f->n[0], E_OK, s->media_robots ? 200 : 404},
                            .t = {f->t[1], SPAN("{}"), span_of(s->media_robots)}});
}

static void on_frame(struct script *s, const struct frame *f)
{
    struct frame ok = {.type = FRAME_REPLY, .n = {f->n[0], E_OK}, .t = {SPAN("{}")}};
    char said[300];
    switch ((int)f->type) {
    case FRAME_GOTO:
        s->opened++;
        give(s, &ok);
        play_request(s, "user", "UserByScreenName", NULL);
        if (s->held)
            give_event(
                s, "Fetch.requestPaused",
                "{\"requestId\":\"hold\",\"request\":{\"url\":\"https://x.com/i/api/graphql/q/UserTweets?variables="
                "%7B%22userId%22%3A%2299%22%7D&features=%7B%7D\"}}");
        else
            play_next_page(s);
        break;
    case FRAME_INTERCEPT:
        s->held = f->t[0].n > 0;
        give(s, &ok);
        break;
    case FRAME_CONTINUE:
        s->moved = f->t[2].n > 0;
        span_copy(f->t[2], s->moved_url, sizeof s->moved_url);
        give(s, &ok);
        play_next_page(s);
        break;
    case FRAME_BODY:
        answer_body(s, f);
        break;
    case FRAME_EVAL:
        snprintf(said, sizeof said, "{\"result\":{\"type\":\"string\",\"value\":\"%s\"}}",
                 s->says && !span_is(f->t[0], "scroll") ? s->says : "");
        give(s,
             &(struct frame){.type = FRAME_REPLY, .n = {f->n[0], E_OK}, .t = {span_of(said)}});
        if (span_is(f->t[0], "scroll")) {
            s->scrolls++;
            play_next_page(s);
        }
        break;
    case FRAME_FETCH:
        if (span_is(f->t[0], "media"))
            answer_media_robots(s, f);
        else
            answer_fetch(s, f);
        break;
    case FRAME_DOWNLOAD:
        answer_download(s, f);
        break;
    case FRAME_PICTURE:
        s->pictures++;
        s->pictured = f->n[1];
        give(s, &ok);
        break;
    case FRAME_EVIDENCE:
        take_piece(s, f);
        break;
    case FRAME_RECORDS:
        s->pieces_at_end = s->pieces;
        commit(s, f);
        break;
    default:
        break;
    }
}

static void *play(void *arg)
{
    struct script *s = arg;
    struct buf in = BUF(16 << 20);
    for (;;) {
        struct frame f;
        size_t size = 0;
        err e = frame_read(buf_span(&in), 'w', &f, &size);
        if (!e) {
            on_frame(s, &f);
            buf_drop(&in, size);
            continue;
        }
        char *room = buf_room(&in, 65536);
        ssize_t n = room ? read(s->fd, room, 65536) : 0;
        if (n <= 0)
            break;
        in.n += (size_t)n;
    }
    buf_free(&in);
    return NULL;
}

/* ---- running a job ---- */

static struct pack *pack;

static struct collect_result run(struct script *s, struct arena *a)
{
    int pair[2];
    pthread_t node;
    struct channel c;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    s->fd = pair[1];
    assert_int_equal(pthread_create(&node, NULL, play, s), 0);
    channel_init(&c, pair[0]);
    struct reader *r = reader_new(pack, 8 << 20);
    struct json_parser *events = json_parser_new(8 << 20);
    struct collect_order order = {.limit = s->limit,
                                  .have = s->have,
                                  .filtered = s->filtered,
                                  .next_batch = s->cursor ? 3 : 0,
                                  .navigate_ms = 5000,
                                  .batch_ms = 700,
                                  .fetch_ms = 5000,
                                  .keep = s->keep,
                                  .site = pack_name(pack),
                                  .kind = s->kind ? span_of(s->kind) : SPAN("posts"),
                                  .target = s->target ? span_of(s->target) : SPAN("someone"),
                                  .spec = span_of(s->spec),
                                  .instances = span_of(s->instances),
                                  .cursor = span_of(s->cursor),
                                  .known = span_of(s->known)};
    struct collect_result out;
    struct arena *page_arena = arena_new(32 << 20);
    collect_run(&c, pack, r, events, &order, a, page_arena, &out);
    arena_free(&page_arena);
    close(pair[0]);
    pthread_join(node, NULL);
    close(pair[1]);
    channel_fini(&c);
    reader_free(&r);
    json_parser_free(&events);
    return out;
}

#define ONLY_CAPTURE "{\"strategy\":\"capture\"}"
#define JOB(...)                                                                               \
    struct arena *a = arena_new(64 << 20);                                                     \
    struct script s = {__VA_ARGS__};                                                           \
    struct collect_result r = run(&s, a)

static struct pack *open_from(const char *folder);

static struct pack *open_ranked(void)
{
    char folder[] = "/tmp/fulmar-collect-XXXXXX", command[400];
    const char *sites = getenv("FULMAR_SITES");
    assert_non_null(mkdtemp(folder));
    snprintf(
        command, sizeof command,
        "cp -r %s/x %s/x && sed -i '0,/^    input: handle/s//    input: handle\\n    order: ranked/' %s/x/site.yaml",
        sites ? sites : "sites", folder, folder);
    assert_int_equal(system(command), 0);
    struct pack *p = open_from(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    return p;
}

#define JOB_AGAIN(...)                                                                         \
    struct arena *b = arena_new(64 << 20);                                                     \
    struct script t = {__VA_ARGS__};                                                           \
    struct collect_result again = run(&t, b)

static void a_terminated_list_is_complete(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 40);
    assert_string_equal(s.last_cursor, "c2");
    arena_free(&a);
}

/* A page keeps what it has shown: a long list is read from pages opened anew at the cursor. */
static void a_long_list_is_read_from_several_pages(void **state)
{
    (void)state;
    static char cursors[PAGES_MAX][8];
    struct arena *a = arena_new(64 << 20);
    struct script s = {.claimed = 260, .page_count = 130};
    for (int i = 0; i < s.page_count; i++) {
        snprintf(cursors[i], sizeof cursors[i], "c%d", i);
        s.pages[i] = (struct script_page){
            .first = i * 2, .count = 2, .cursor = cursors[i], .terminate = i == 129};
    }
    struct collect_result r = run(&s, a);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 260);
    assert_int_equal(s.opened, 3);
    assert_non_null(strstr(s.moved_url, "c119"));
    arena_free(&a);
}

static void a_page_opened_anew_that_starts_over_is_no_end(void **state)
{
    (void)state;
    static char cursors[PAGES_MAX][8];
    struct arena *a = arena_new(64 << 20);
    struct script s = {.claimed = 260, .page_count = 70};
    for (int i = 0; i < s.page_count; i++) {
        snprintf(cursors[i], sizeof cursors[i], "c%d", i);
        s.pages[i] =
            (struct script_page){.first = i % 60 * 2, .count = 2, .cursor = cursors[i]};
    }
    struct collect_result r = run(&s, a);
    assert_int_equal(r.failure, FAILURE_NETWORK);
    assert_int_equal(s.committed, 120);
    arena_free(&a);
}

static void one_broken_post_is_lost_and_said(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 2,
        .pages = {{0, 20, "c1", .broken = 1}, {20, 20, "c2", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL); /* not all of it: never complete */
    assert_int_equal(s.committed, 39);
    assert_true(span_find(r.report, SPAN("\"unparsed\":1")) < r.report.n);
    arena_free(&a);
}

static void a_post_that_contradicts_itself_is_kept_apart(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 2,
        .pages = {{0, 20, "c1", .false_time = 1}, {20, 20, "c2", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(s.committed, 39);
    assert_int_equal(s.kinds[RECORD_REJECTED], 1);
    assert_true(strstr(apart, "\"check\":\"id_time\"") != NULL);
    assert_true(strstr(apart, "\"raw\":{") != NULL);
    assert_true(span_find(r.report, SPAN("\"rejected\":1")) < r.report.n);
    arena_free(&a);
}

static void a_good_reading_of_what_was_kept_apart_counts(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 2,
        .pages = {{0, 20, "c1", .false_time = 1}, {0, 30, "c2", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(s.committed, 30);
    assert_int_equal(s.kinds[RECORD_REJECTED], 1);
    arena_free(&a);
}

static void readings_that_disagree_are_noted(void **state)
{
    (void)state;
    JOB(.claimed = 30, .page_count = 2,
        .pages = {{0, 20, "c1"}, {10, 20, "c2", .edited = 2, .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(s.committed, 30);
    assert_int_equal(s.kinds[RECORD_CONFLICT], 2);
    assert_true(strstr(apart, "\"field\":\"text\"") != NULL);
    assert_true(strstr(apart, "\"values\":{\"graphql\":\"post 11\",\"graphql#2\":\"post 11 "
                              "edited\"}") != NULL);
    assert_true(strstr(apart, "\"kept\":\"graphql\",\"by_rule\":\"graphql#2\"") != NULL);
    assert_true(span_find(r.report, SPAN("\"conflicts\":2")) < r.report.n);
    arena_free(&a);
}

static void counts_of_fields_travel_with_batches_and_with_a_drift(void **state)
{
    (void)state;
    JOB(.spec = ONLY_CAPTURE, .claimed = 60, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .broken = 5}});
    assert_int_equal(r.failure, FAILURE_DRIFT);
    assert_int_equal(s.counted, s.batches);
    assert_true(s.batches >= 1);
    assert_true(span_find(r.counts, SPAN("post.text_raw 5 0 0 0 15\n")) < r.counts.n);
    assert_true(span_find(r.counts, SPAN("+post.legacy.body")) < r.counts.n);
    arena_free(&a);
}

static void many_broken_posts_are_drift(void **state)
{
    (void)state;
    JOB(.claimed = 60, .spec = ONLY_CAPTURE, .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .broken = 5}, {40, 20, "c3"}});
    assert_int_equal(r.failure, FAILURE_DRIFT);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

static void a_page_that_outgrows_its_memory_is_a_matter_of_resources(void **state)
{
    (void)state;
    JOB(.claimed = 400, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .too_big = true}});
    assert_int_equal(r.failure, FAILURE_RESOURCE);
    assert_true(span_is(r.why, "the page used more memory"));
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

static void the_limit_ends_it_without_asking_for_more(void **state)
{
    (void)state;
    JOB(.claimed = 400, .limit = 30, .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_LIMIT);
    assert_int_equal(s.committed, 30);
    assert_int_equal(s.next_page, 2);
    arena_free(&a);
}

static bool reports(const struct collect_result *r, const char *text)
{
    return span_find(r->report, span_of(text)) < r->report.n;
}

/* ---- quality ---- */

/* The next attempt reads the list from its top: at its end there is no more. */
static void a_job_with_too_few_records_has_failed(void **state)
{
    (void)state;
    JOB(.claimed = 20, .spec = "{\"quality\":{\"min_posts\":21}}", .page_count = 1,
        .pages = {{0, 20, "c1", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    assert_false(r.final);
    assert_true(span_is(r.why, "20 posts came, and quality.min_posts asks for 21"));
    assert_int_equal(s.committed, 20);
    assert_string_equal(s.last_cursor, "~:");
    JOB_AGAIN(.claimed = 20, .cursor = "~:", .have = 20, .page_count = 1,
              .spec = "{\"quality\":{\"min_posts\":20}}",
              .pages = {{0, 20, "c1", .terminate = true}});
    assert_int_equal(again.failure, FAILURE_NONE);
    assert_int_equal(again.verdict, VERDICT_COMPLETE);
    assert_false(t.moved || t.held);
    arena_free(&a);
    arena_free(&b);
}

/* More than that may not be read, in whatever attempt. */
static void too_few_records_within_a_budget_are_the_end(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":2,\"quality\":{\"min_posts\":21}}",
        .page_count = 2, .pages = {{0, 20, "c1"}, {20, 20, "c2"}});
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    assert_true(r.final);
    assert_string_equal(s.last_cursor, "c1");
    arena_free(&a);
}

static void an_empty_list_is_what_the_order_makes_of_it(void **state)
{
    (void)state;
    JOB(.claimed = 50,
        .spec = "{\"strategy\":\"capture\",\"quality\":{\"on_empty\":\"accept\"}}",
        .page_count = 3, .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL); /* nobody said that there is nothing */
    assert_true(reports(&r, "\"accepted_empty\":true"));
    assert_true(span_is(r.why, ""));
    JOB_AGAIN(.claimed = 0, .spec = "{\"quality\":{\"on_empty\":\"fail\"}}", .page_count = 1,
              .pages = {{0, 0, "c1"}});
    assert_int_equal(again.failure, FAILURE_EMPTY_SUSPECT);
    assert_true(again.final);
    assert_true(span_is(again.why, "there are no posts, and quality.on_empty is fail"));
    arena_free(&a);
    arena_free(&b);
}

#define REQUIRES                                                                               \
    "{\"strategy\":\"capture\",\"quality\":{\"required_fields\":[\"id\",\"reply_to.post_id\"]}}"

/* They are listed, count for nothing, and a list of which some were kept apart is not complete. */
static void records_without_a_required_field_are_kept_apart(void **state)
{
    (void)state;
    JOB(.claimed = 40, .spec = REQUIRES, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .replies = true, .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(s.committed, 20);
    assert_int_equal(s.kinds[RECORD_REJECTED], 20);
    assert_non_null(strstr(apart, "\"schema\":\"xrejected/1\",\"id\":\""));
    assert_non_null(strstr(apart,
                           "\"check\":\"required_fields\",\"reason\":\"quality.required_fields "
                           "names reply_to.post_id, which is null here\""));
    assert_non_null(strstr(apart, "\"record\":{\"schema\":\"xpost/1\""));
    assert_non_null(strstr(apart, "\"op\":\"UserTweets\""));
    assert_true(reports(&r, "\"rejected\":20"));
    arena_free(&a);
}

/* Also where the list goes on for many pages without one that counts. */
static void pages_of_what_is_kept_apart_are_no_end(void **state)
{
    (void)state;
    JOB(.claimed = 100, .spec = REQUIRES, .page_count = 5,
        .pages = {{0, 20, "c1"},
                  {20, 20, "c2"},
                  {40, 20, "c3"},
                  {60, 20, "c4"},
                  {80, 20, "c5", .replies = true, .terminate = true}});
    assert_int_equal(s.committed, 20);
    assert_int_equal(s.kinds[RECORD_REJECTED], 80);
    assert_int_equal(r.end, END_TERMINATE);
    arena_free(&a);
}

static void a_list_of_which_all_is_kept_apart_is_suspect(void **state)
{
    (void)state;
    JOB(.claimed = 20, .spec = REQUIRES, .page_count = 1,
        .pages = {{0, 20, "c1", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    assert_true(
        span_is(r.why, "none of the 20 records has all that quality.required_fields names"));
    arena_free(&a);
}

/* A reading that has the field takes the place of one that did not. */
static void what_was_kept_apart_counts_once_it_is_whole(void **state)
{
    (void)state;
    JOB(.claimed = 20, .spec = REQUIRES, .page_count = 2,
        .pages = {{0, 20, "c1"}, {0, 20, "c2", .replies = true, .terminate = true}});
    assert_int_equal(s.committed, 20);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    arena_free(&a);
}

static void an_account_without_a_required_field_is_no_result(void **state)
{
    (void)state;
    JOB(.kind = "profile", .claimed = 20,
        .spec = "{\"strategy\":\"capture\",\"quality\":{\"required_fields\":[\"location\"]}}");
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    assert_int_equal(s.kinds[RECORD_USER], 0);
    assert_int_equal(s.kinds[RECORD_REJECTED], 1);
    arena_free(&a);
}

/* ---- budgets ---- */

/* The account comes first, and is a batch as well. */
static void a_job_has_so_many_pages_and_asks_for_no_more(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":3}", .page_count = 4,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}, {60, 20, "c4"}});
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.batches, 3);
    assert_int_equal(s.committed, 40);
    assert_int_equal(s.next_page, 2);
    assert_string_equal(s.last_cursor, "c2");
    assert_true(reports(&r, "\"budget\":{\"name\":\"max_pages\",\"most\":3,\"used\":3}"));
    arena_free(&a);
}

static void a_list_has_one_page_at_least(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":1}", .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}});
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.committed, 20);
    assert_int_equal(s.next_page, 1);
    arena_free(&a);
}

/* The end of the list is its end, also on the last page that is allowed. */
static void a_list_that_ends_with_its_last_page_is_complete(void **state)
{
    (void)state;
    JOB(.claimed = 40, .spec = "{\"max_pages\":3}", .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(r.end, END_TERMINATE);
    arena_free(&a);
}

/* The attempt before stored the last page, and died before it could say so. */
static void pages_of_earlier_attempts_count(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":3}", .cursor = "c2", .have = 40,
        .page_count = 1, .pages = {{40, 20, "c3"}});
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.opened, 0);
    JOB_AGAIN(.claimed = 400, .spec = "{\"max_pages\":5}", .cursor = "c2", .have = 40,
              .page_count = 3, .pages = {{40, 20, "c3"}, {60, 20, "c4"}, {80, 20, "c5"}});
    assert_int_equal(again.end, END_BUDGET);
    assert_int_equal(t.batches, 3); /* the account, which is known, and two pages */
    assert_int_equal(t.committed, 40);
    assert_true(reports(&again, "\"budget\":{\"name\":\"max_pages\",\"most\":5,\"used\":5}"));
    arena_free(&a);
    arena_free(&b);
}

/* The attempt before had it all stored: reading it again is not paid for again. */
static void pages_that_bring_what_is_known_are_no_pages_of_the_budget(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":4}", .cursor = "~:", .have = 40,
        .known_pages = 2, .page_count = 4,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}, {60, 20, "c4"}});
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.next_page, 3);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

/* Else a job that leaves out all there is would read the whole list. */
static void pages_of_new_posts_that_are_left_out_are_pages(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spec = "{\"max_pages\":3,\"exclude\":[\"replies\"]}", .page_count = 4,
        .pages = {{0, 20, "c1", .replies = true},
                  {20, 20, "c2", .replies = true},
                  {40, 20, "c3", .replies = true},
                  {60, 20, "c4", .replies = true}});
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.next_page, 2);
    assert_int_equal(s.filtered, 40);
    arena_free(&a);
}

static void what_is_under_way_when_a_budget_ends_is_still_read(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spent_at = 2, .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.committed, 40);
    assert_int_equal(s.next_page, 2);
    assert_true(
        reports(&r, "\"budget\":{\"name\":\"max_bytes\",\"most\":65536,\"used\":70001}"));
    arena_free(&a);
}

/* A page whose answer never comes does not hold it up for long, and is no failure. */
static void a_budget_ends_a_job_whose_page_is_silent(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spent_at = 2, .page_count = 2,
        .pages = {{0, 20, "c1"}, {.cursor = "c2", .never = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

/* Neither does another strategy read what may not be asked for, nor another attempt. */
static void a_budget_that_brings_nothing_fails_for_good(void **state)
{
    (void)state;
    JOB(.claimed = 400, .spent_at = 1, .page_count = 1,
        .pages = {{.cursor = "c1", .never = true}});
    assert_int_equal(r.failure, FAILURE_RESOURCE);
    assert_true(r.final);
    assert_true(span_starts(r.why, SPAN("max_bytes (65536) was used up before anything")));
    assert_int_equal(s.opened, 1);
    arena_free(&a);
}

/* The profile of add_user() has 5 followers; its own record is no follower. */
static void a_row_of_users_counts_users(void **state)
{
    (void)state;
    JOB(.kind = "followers", .people = true, .page_count = 2,
        .pages = {{0, 3, "c1"}, {3, 2, "c2", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 5);
    assert_true(span_find(r.report, SPAN("\"posts\":0,\"users\":5,")) < r.report.n);
    assert_true(span_find(r.report, SPAN("\"claimed\":5")) < r.report.n);
    arena_free(&a);
}

static void the_limit_of_a_row_of_users_counts_users(void **state)
{
    (void)state;
    JOB(.kind = "followers", .people = true, .limit = 4, .page_count = 3,
        .pages = {{0, 3, "c1"}, {3, 3, "c2"}, {6, 3, "c3"}});
    assert_int_equal(r.end, END_LIMIT);
    assert_int_equal(s.committed, 4);
    assert_int_equal(s.next_page, 2);
    arena_free(&a);
}

static void no_users_of_a_followed_account_are_suspect(void **state)
{
    (void)state;
    JOB(.kind = "followers", .spec = ONLY_CAPTURE, .people = true, .page_count = 4,
        .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}, {0, 0, "c4"}});
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    arena_free(&a);
}

static void a_product_that_is_none_is_bad_input(void **state)
{
    (void)state;
    JOB(.spec = "{\"product\":\"top\"}");
    assert_int_equal(r.failure, FAILURE_BAD_INPUT);
    assert_true(span_find(r.why, SPAN("posts has no products")) < r.why.n);
    assert_int_equal(s.opened, 0);
    arena_free(&a);
}

static void an_empty_page_with_a_live_cursor_is_not_the_end(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 4,
        .pages = {
            {0, 20, "c1"}, {0, 0, "c2"}, {20, 20, "c3"}, {0, 0, "c4", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 40);
    arena_free(&a);
}

static void a_repeated_cursor_without_entries_is_the_end(void **state)
{
    (void)state;
    JOB(.claimed = 20, .page_count = 2, .pages = {{0, 20, "c1"}, {0, 0, "c1"}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(r.end, END_NO_NEW_IDS);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

static void posts_that_come_again_are_counted_once(void **state)
{
    (void)state;
    JOB(.claimed = 30, .page_count = 2,
        .pages = {{0, 20, "c1"}, {10, 20, "c2", .terminate = true}});
    assert_int_equal(s.committed, 30);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    arena_free(&a);
}

static void no_posts_of_an_empty_profile_are_confirmed(void **state)
{
    (void)state;
    JOB(.claimed = 0, .page_count = 1, .pages = {{0, 0, "c1"}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_EMPTY_CONFIRMED);
    arena_free(&a);
}

static void no_posts_of_a_full_profile_are_suspect(void **state)
{
    (void)state;
    JOB(.claimed = 50, .spec = ONLY_CAPTURE, .page_count = 3,
        .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}});
    assert_int_equal(r.failure, FAILURE_EMPTY_SUSPECT);
    arena_free(&a);
}

/* The pack names empty_suspect: what the page itself shows is read then. */
static void suspicion_is_worth_another_look(void **state)
{
    (void)state;
    JOB(.claimed = 50, .page_count = 3, .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}});
    assert_int_equal(r.failure, FAILURE_TIMEOUT); /* nobody answers for the page here */
    assert_true(span_find(r.report, SPAN("\"state\":\"empty_suspect\"")) < r.report.n);
    assert_true(span_find(r.report, SPAN("\"source\":\"dom\",\"pages\":0")) < r.report.n);
    arena_free(&a);
}

/* What the profile says explains a list that stays empty, and only such a one. */
static void an_account_says_why_its_list_is_empty(void **state)
{
    (void)state;
    static const struct {
        const char *member;
        enum failure_class is;
    } rows[] = {
        {"\"relationship_perspectives\":{\"blocked_by\":true},", FAILURE_PROTECTED},
        {"\"relationship_perspectives\":{\"blocked_by\":false},", FAILURE_EMPTY_SUSPECT},
        {"\"legacy\":{\"blocked_by\":true},", FAILURE_PROTECTED},
        {"\"legacy\":{\"withheld_in_countries\":[\"DE\"]},", FAILURE_WITHHELD},
        {"\"legacy\":{\"withheld_in_countries\":[]},", FAILURE_EMPTY_SUSPECT},
        {"\"profile_metadata\":{\"profile_interstitial_type\":\"sensitive_media\"},",
         FAILURE_WITHHELD},
        {"\"profile_metadata\":{\"profile_interstitial_type\":\"fake_account\"},",
         FAILURE_WITHHELD},
        {"\"profile_metadata\":{\"profile_interstitial_type\":\"\"},", FAILURE_EMPTY_SUSPECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        JOB(.claimed = 50, .spec = ONLY_CAPTURE, .user = rows[i].member, .page_count = 3,
            .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}});
        if (r.failure != rows[i].is)
            fail_msg("%s: %s", rows[i].member, failure_name(r.failure));
        arena_free(&a);
    }
    JOB(.claimed = 5, .spec = ONLY_CAPTURE, .user = rows[0].member, .page_count = 1,
        .pages = {{0, 5, "c1", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    arena_free(&a);
}

static enum verdict seen_as(const char *who, int claimed, int64_t limit)
{
    JOB(.claimed = claimed, .says = who, .limit = limit, .page_count = 1,
        .pages = {{0, 5, "c1", .terminate = limit == 0}});
    enum verdict v = r.verdict;
    arena_free(&a);
    return v;
}

/* A guest is shown a few of the posts of an account; asked only where it matters. */
static void what_a_guest_is_shown_is_a_sample(void **state)
{
    (void)state;
    assert_int_equal(seen_as("guest", 50, 0), VERDICT_SAMPLED);
    assert_int_equal(seen_as(NULL, 50, 0), VERDICT_COMPLETE);
    assert_int_equal(seen_as("guest", 5, 0), VERDICT_COMPLETE);
    assert_int_equal(seen_as("guest", 50, 4),
                     VERDICT_PARTIAL); /* newest first, as for everybody */
}

/* Empty answers prove nothing; the page's own word does. */
static void no_posts_are_confirmed_by_the_page(void **state)
{
    (void)state;
    static const struct {
        const char *says;
        enum failure_class failure;
        enum verdict verdict;
    } rows[] = {
        {"No results for it", FAILURE_NONE, VERDICT_EMPTY_CONFIRMED},
        {"@someone hasn't posted", FAILURE_NONE, VERDICT_EMPTY_CONFIRMED},
        {"These posts are protected", FAILURE_PROTECTED, VERDICT_NONE},
        {"Something went wrong. Try reloading.", FAILURE_NETWORK, VERDICT_NONE},
        {"page is loading", FAILURE_EMPTY_SUSPECT, VERDICT_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        JOB(.claimed = 50, .spec = ONLY_CAPTURE, .says = rows[i].says, .page_count = 3,
            .pages = {{0, 0, "c1"}, {0, 0, "c2"}, {0, 0, "c3"}});
        if (r.failure != rows[i].failure)
            fail_msg("%s: %s", rows[i].says, failure_name(r.failure));
        assert_int_equal(r.verdict, rows[i].verdict);
        arena_free(&a);
    }
}

static bool report_says(const struct collect_result *r, const char *text)
{
    return span_find(r->report, span_of(text)) < r->report.n;
}

static void files_of_media_are_said_in_the_records(void **state)
{
    (void)state;
    with_media = true;
    JOB(.claimed = 20, .spec = "{\"media\":\"download\"}", .page_count = 1,
        .pages = {{0, 20, "c1", .terminate = true}});
    with_media = false;
    assert_int_equal(r.verdict, VERDICT_COMPLETE); /* a failed file changes nothing of it */
    assert_int_equal(s.committed, 20);
    assert_string_equal(s.asked_for, "https://pbs.twimg.com/media/P0?format=jpg&name=orig");
    assert_int_equal(s.media_robots_asked, 1);
    assert_int_equal(s.downloads, 22); /* two of them twice, none a third time */
    assert_int_equal(s.with_file, 18);
    assert_int_equal(s.with_error, 2);
    assert_non_null(
        strstr(s.error, "\"class\":\"network\",\"why\":\"why not\",\"http_status\":500"));
    assert_true(report_says(
        &r, "\"files\":18,\"files_failed\":2,\"files_reused\":2,\"file_bytes\":90"));
    assert_true(report_says(&r, "2 of 20 media files are missing"));
    arena_free(&a);
}

static void files_are_fetched_only_where_they_are_asked_for(void **state)
{
    (void)state;
    with_media = true;
    JOB(.claimed = 20, .page_count = 1, .pages = {{0, 20, "c1", .terminate = true}});
    with_media = false;
    assert_int_equal(s.downloads, 0);
    assert_int_equal(s.with_file + s.with_error, 0);
    assert_false(report_says(&r, "\"files\""));
    arena_free(&a);
}

static void no_file_of_a_surplus_post_is_fetched(void **state)
{
    (void)state;
    with_media = true;
    JOB(.claimed = 20, .limit = 3, .spec = "{\"media\":\"download\"}", .page_count = 1,
        .pages = {{0, 20, "c1"}});
    with_media = false;
    assert_int_equal(r.end, END_LIMIT);
    assert_int_equal(s.committed, 3);
    assert_int_equal(s.downloads, 3);
    arena_free(&a);
}

static void robots_txt_of_the_media_host_is_obeyed(void **state)
{
    (void)state;
    with_media = true;
    JOB(.claimed = 20, .spec = "{\"media\":\"download\"}", .page_count = 1,
        .media_robots = "User-agent: *\nDisallow: /media/\n",
        .pages = {{0, 20, "c1", .terminate = true}});
    with_media = false;
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.media_robots_asked, 1);
    assert_int_equal(s.downloads, 0);
    assert_int_equal(s.with_error, 20);
    assert_non_null(strstr(s.error, "\"class\":\"blocked\""));
    arena_free(&a);
}

static void a_cancel_among_the_files_ends_the_job(void **state)
{
    (void)state;
    with_media = true;
    JOB(.claimed = 20, .spec = "{\"media\":\"download\"}", .page_count = 1,
        .cancel_at_download = 3, .pages = {{0, 20, "c1", .terminate = true}});
    with_media = false;
    assert_int_equal(r.failure, FAILURE_CANCELLED);
    assert_int_equal(s.downloads, 3);
    assert_int_equal(s.committed, 0);
    arena_free(&a);
}

static void a_resumed_job_starts_at_its_cursor(void **state)
{
    (void)state;
    JOB(.claimed = 60, .cursor = "c2", .have = 40, .page_count = 1,
        .pages = {{40, 20, "c3", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_true(s.moved);
    assert_non_null(strstr(s.moved_url, "c2"));
    assert_non_null(strstr(s.moved_url, "features="));
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

static void older_posts_than_since_end_it(void **state)
{
    (void)state;
    JOB(.claimed = 60, .spec = "{\"since\":\"2026-05-28T06:30:00Z\"}", .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.end, END_OLDEST_REACHED);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_true(s.committed < 20);
    arena_free(&a);
}

static void newer_posts_than_until_are_left_out(void **state)
{
    (void)state;
    JOB(.claimed = 60, .spec = "{\"until\":\"2026-05-26T00:00:00Z\"}", .page_count = 5,
        .pages = {{0, 20, "c1"},
                  {20, 20, "c2"},
                  {40, 20, "c3"},
                  {60, 20, "c4"},
                  {80, 20, "c5", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_true(s.committed > 0 && s.committed < 60);
    arena_free(&a);
}

/* As the store keeps it: posts `first` and older, so many of them. */
static const char *known_from(int first, int count)
{
    static char text[32 * 1024];
    struct buf b = BUF(sizeof text - 1);
    buf_fmt(&b, "%lld\n", (long long)post_ms(first));
    for (int i = first; i < first + count; i++)
        buf_fmt(&b, "%lld %llu\n", (long long)post_ms(i),
                (unsigned long long)(post_ms(i) - 1288834974657) << 22);
    assert_false(b.failed);
    span_copy(buf_span(&b), text, sizeof text);
    buf_free(&b);
    return text;
}

static void a_job_for_what_is_new_stops_at_what_is_known(void **state)
{
    (void)state;
    JOB(.claimed = 400, .known = known_from(25, 200), .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(r.end, END_KNOWN_REACHED);
    assert_int_equal(s.committed, 25);
    assert_int_equal(s.next_page, 2);
    assert_true(span_find(r.report, SPAN("\"gap\":false")) < r.report.n);
    arena_free(&a);
}

static void a_job_for_what_is_new_with_nothing_new_is_complete(void **state)
{
    (void)state;
    JOB(.claimed = 400, .known = known_from(0, 200), .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(r.end, END_KNOWN_REACHED);
    assert_int_equal(s.committed, 0);
    assert_int_equal(s.next_page, 1);
    arena_free(&a);
    /* Also where the list is shorter than a row. */
    JOB_AGAIN(.claimed = 2, .known = known_from(0, 2), .page_count = 1,
              .pages = {{0, 2, "c1", .terminate = true}});
    assert_int_equal(again.verdict, VERDICT_COMPLETE);
    assert_int_equal(again.end, END_TERMINATE);
    assert_int_equal(t.committed, 0);
    arena_free(&b);
}

static void known_posts_may_be_deleted(void **state)
{
    (void)state;
    /* All that is known is gone: what is older than it is not new. */
    JOB(.claimed = 400, .known = known_from(5, 10), .page_count = 3,
        .pages = {{0, 5, "c1"}, {15, 20, "c2"}, {35, 20, "c3"}});
    assert_int_equal(r.end, END_KNOWN_REACHED);
    assert_int_equal(s.committed, 5);
    arena_free(&a);
}

/* The row may lie on two pages. */
static void a_page_may_end_in_the_middle_of_the_row(void **state)
{
    (void)state;
    JOB(.claimed = 400, .known = known_from(18, 100), .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.end, END_KNOWN_REACHED);
    assert_int_equal(s.committed, 18);
    arena_free(&a);
}

static void without_a_mark_all_is_new(void **state)
{
    (void)state;
    JOB(.claimed = 40, .known = "", .spec = "{\"since_last\":true}", .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .terminate = true}});
    assert_int_equal(r.end, END_TERMINATE);
    assert_int_equal(s.committed, 40);
    arena_free(&a);
}

static void a_limit_before_what_is_known_is_a_gap(void **state)
{
    (void)state;
    JOB(.claimed = 400, .limit = 10, .known = known_from(25, 200), .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}});
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_LIMIT);
    assert_true(span_find(r.report, SPAN("\"gap\":true")) < r.report.n);
    arena_free(&a);
    /* Exactly as many as were new: nothing is missing. */
    JOB_AGAIN(.claimed = 400, .limit = 15, .known = known_from(15, 200), .page_count = 2,
              .pages = {{0, 20, "c1"}, {20, 20, "c2"}});
    assert_int_equal(again.end, END_KNOWN_REACHED);
    assert_int_equal(again.verdict, VERDICT_COMPLETE);
    assert_int_equal(t.committed, 15);
    arena_free(&b);
}

/* A list that is not in the order of time is read on: what is known, or out of time, is left out. */
static void a_ranked_list_is_only_filtered(void **state)
{
    (void)state;
    struct pack *usual = pack;
    pack = open_ranked();
    JOB(.claimed = 60, .known = known_from(20, 20), .page_count = 3,
        .pages = {{20, 20, "c1"}, {0, 20, "c2"}, {40, 20, "c3", .terminate = true}});
    assert_int_equal(r.end, END_TERMINATE);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 40);
    assert_int_equal(s.filtered, 20);
    assert_true(span_find(r.report, SPAN("\"order\":\"ranked\"")) < r.report.n);
    arena_free(&a);
    /* Two pages of posts before `since`, then one of the time that was asked for. */
    JOB_AGAIN(.claimed = 60, .spec = "{\"since\":\"2026-05-28T01:00:00Z\"}", .page_count = 3,
              .pages = {{20, 20, "c1"}, {40, 20, "c2"}, {0, 20, "c3", .terminate = true}});
    assert_int_equal(again.end, END_TERMINATE);
    assert_int_equal(t.committed, 20);
    assert_int_equal(t.filtered, 40);
    arena_free(&b);
    pack_close(&pack);
    pack = usual;
}

#define NO_REPLIES "{\"exclude\":[\"replies\"]}"

static void excluded_posts_are_left_out_and_counted(void **state)
{
    (void)state;
    JOB(.claimed = 60, .spec = NO_REPLIES, .page_count = 3,
        .pages = {
            {0, 20, "c1"}, {20, 20, "c2", .replies = true}, {40, 20, "c3", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 40);
    assert_int_equal(s.filtered, 20);
    assert_true(span_find(r.report, SPAN("\"filtered\":20")) < r.report.n);
    assert_string_equal(s.last_cursor, "c3");
    arena_free(&a);
}

/* Three pages in a row without a post for the job are three pages with new ids all the same. */
static void pages_of_excluded_posts_are_no_end(void **state)
{
    (void)state;
    JOB(.claimed = 120, .spec = NO_REPLIES, .page_count = 6,
        .pages = {{0, 20, "c1", .replies = true},
                  {20, 20, "c2", .replies = true},
                  {40, 20, "c3", .replies = true},
                  {60, 20, "c4", .replies = true},
                  {80, 20, "c5"},
                  {100, 20, "c6", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.committed, 40);
    assert_int_equal(s.filtered, 80);
    arena_free(&a);
}

/* But the same excluded posts again and again are not new. */
static void excluded_posts_that_come_again_are_an_end(void **state)
{
    (void)state;
    JOB(.claimed = 40, .spec = NO_REPLIES, .page_count = 5,
        .pages = {{0, 20, "c1"},
                  {20, 20, "c2", .replies = true},
                  {20, 20, "c3", .replies = true},
                  {20, 20, "c4", .replies = true},
                  {20, 20, "c5", .replies = true}});
    assert_int_equal(r.end, END_NO_NEW_IDS);
    assert_int_equal(s.committed, 20);
    assert_int_equal(s.filtered, 20); /* once each */
    arena_free(&a);
}

static void excluded_posts_do_not_count_against_the_limit(void **state)
{
    (void)state;
    JOB(.claimed = 400, .limit = 30, .spec = NO_REPLIES, .page_count = 4,
        .pages = {
            {0, 20, "c1", .replies = true}, {20, 20, "c2"}, {40, 20, "c3"}, {60, 20, "c4"}});
    assert_int_equal(r.end, END_LIMIT);
    assert_int_equal(s.committed, 30);
    assert_int_equal(s.next_page, 3);
    arena_free(&a);
}

static void nothing_but_excluded_posts_is_confirmed_as_empty(void **state)
{
    (void)state;
    JOB(.claimed = 20, .spec = NO_REPLIES, .page_count = 2,
        .pages = {{0, 20, "c1", .replies = true}, {0, 0, "c1", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_EMPTY_CONFIRMED);
    assert_int_equal(s.filtered, 20);
    arena_free(&a);
    /* A later attempt sees only the end of the list: what the ones before left out counts. */
    JOB_AGAIN(.claimed = 20, .spec = NO_REPLIES, .filtered = 20, .cursor = "c1",
              .page_count = 1, .pages = {{0, 0, "c1", .terminate = true}});
    assert_int_equal(again.verdict, VERDICT_EMPTY_CONFIRMED);
    arena_free(&b);
}

static void a_429_says_how_long_to_wait(void **state)
{
    (void)state;
    JOB(.claimed = 60, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .status = 429}});
    assert_int_equal(r.failure, FAILURE_RATE_LIMITED);
    assert_true(r.wait_ms > 50000 && r.wait_ms <= 61000);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

/* The page opened anew has a new one, and goes on where the list was. */
static void a_token_that_is_used_up_is_had_anew(void **state)
{
    (void)state;
    static const short codes[] = {89, 239, 353};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        JOB(.claimed = 40, .page_count = 4,
            .pages = {{.status = 403, .code = codes[i]},
                      {0, 20, "c1"},
                      {.status = 403, .code = codes[i]},
                      {20, 20, "c2", .terminate = true}});
        assert_int_equal(r.failure, FAILURE_NONE);
        assert_int_equal(r.verdict, VERDICT_COMPLETE);
        assert_int_equal(s.committed, 40);
        assert_int_equal(s.opened, 3);
        assert_non_null(strstr(s.moved_url, "c1"));
        arena_free(&a);
    }
}

static void a_token_that_is_refused_again_is_the_session_s(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 3, .spec = "{\"session\":{\"pool\":\"p\"}}",
        .pages = {{0, 20, "c1"}, {.status = 403, .code = 353}, {.status = 403, .code = 353}});
    assert_int_equal(r.failure, FAILURE_SESSION_INVALID);
    assert_non_null(strstr(r.why.p, "csrf"));
    assert_int_equal(s.opened, 2);
    assert_int_equal(s.committed, 20);
    arena_free(&a);
}

/* Nobody is logged in: another source may show it. */
static void a_visitor_s_token_that_is_refused_again_asks_for_a_login(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 2,
        .pages = {{.status = 401, .code = 239}, {.status = 401, .code = 239}});
    assert_int_equal(r.failure, FAILURE_LOGIN_REQUIRED);
    assert_int_equal(s.opened, 2);
    arena_free(&a);
}

static void a_cut_connection_is_network(void **state)
{
    (void)state;
    JOB(.claimed = 60, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .fails = true}});
    assert_int_equal(r.failure, FAILURE_NETWORK);
    assert_non_null(strstr(r.why.p, "ERR_CONNECTION_RESET"));
    arena_free(&a);
}

static void silence_after_data_is_stuck(void **state)
{
    (void)state;
    JOB(.claimed = 60, .spec = ONLY_CAPTURE, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .never = true}});
    assert_int_equal(r.failure, FAILURE_STUCK);
    arena_free(&a);
}

static void a_cancel_ends_the_flow(void **state)
{
    (void)state;
    JOB(.claimed = 60, .page_count = 3, .cancel_at = 1,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.failure, FAILURE_CANCELLED);
    arena_free(&a);
}

static void a_crashed_page_ends_the_flow(void **state)
{
    (void)state;
    JOB(.claimed = 60, .page_count = 3, .gone_at = 1,
        .pages = {{0, 20, "c1"}, {20, 20, "c2"}, {40, 20, "c3"}});
    assert_int_equal(r.failure, FAILURE_CRASH);
    assert_non_null(strstr(r.why.p, "crashed"));
    arena_free(&a);
}

static int open_pack(void **state)
{
    (void)state;
    int folder = open("sites", O_RDONLY | O_DIRECTORY);
    struct fault f = {0};
    err e = pack_open(&pack, folder, "x", &f);
    if (e)
        print_error("%s\n", f.words);
    close(folder);
    return e ? -1 : 0;
}

static int close_pack(void **state)
{
    (void)state;
    pack_close(&pack);
    return 0;
}

/* ---- strategies in order ---- */

static struct pack *open_from(const char *folder)
{
    struct pack *p = NULL;
    struct fault f = {0};
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    if (pack_open(&p, fd, "x", &f))
        fail_msg("%s", f.words);
    close(fd);
    return p;
}

/* The pack of X with a feed behind its own API, for when that ends so. */
static struct pack *open_with_feed(const char *after)
{
    char folder[] = "/tmp/fulmar-collect-XXXXXX", command[1200];
    const char *sites = getenv("FULMAR_SITES");
    assert_non_null(mkdtemp(folder));
    snprintf(
        command, sizeof command,
        "cp -r %s/x %s/x && sed -i -e \"/^    # Another's view/,/^      no_others: true/d\" -e '0,/^    dom: .*/s//    fetch: {sources: [nitter_feed]}/' "
        "-e '0,/^    fallback_on: .*/s//    fallback_on: [%s]/' "
        "-e 's|^  nitter_feed: {url: [^,]*,|  nitter_feed: {url: \"{base}/{input}/rss?n={limit}\\&c={cursor}\", limit: 20,|' "
        "%s/x/site.yaml",
        sites ? sites : "sites", folder, after, folder);
    assert_int_equal(system(command), 0);
    struct pack *p = open_from(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
    return p;
}

static const char *feed_of(int posts)
{
    static char text[4096];
    struct buf b = BUF(sizeof text - 1);
    buf_add_text(&b, "<?xml version=\"1.0\"?><rss version=\"2.0\" "
                     "xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><channel><title>t</title>");
    for (int i = 0; i < posts; i++) {
        char when[64];
        time_t second = (time_t)(post_ms(i) / 1000);
        struct tm t;
        gmtime_r(&second, &t);
        strftime(when, sizeof when, "%a, %d %b %Y %H:%M:%S GMT", &t);
        unsigned long long id = (unsigned long long)(post_ms(i) - 1288834974657) << 22;
        buf_fmt(
            &b,
            "<item><title>post</title><dc:creator>@someone</dc:creator><description>post %d"
            "</description><pubDate>%s</pubDate><guid>https://n.test/someone/status/%llu#m</guid>"
            "<link>https://n.test/someone/status/%llu#m</link></item>",
            i, when, id, id);
    }
    buf_add_text(&b, "</channel></rss>");
    span_copy(buf_span(&b), text, sizeof text);
    assert_false(b.failed);
    buf_free(&b);
    return text;
}

static void the_next_strategy_runs_where_the_pack_says(void **state)
{
    (void)state;
    struct pack *usual = pack;
    pack = open_with_feed("rate_limited");
    JOB(.claimed = 40, .limit = 30, .page_count = 2, .feed = feed_of(3), .feed_status = 200,
        .robots = "User-agent: *\nAllow: /\n",
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .status = 429}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_SAMPLED); /* another's feed proves nothing */
    assert_int_equal(s.have, 20);                 /* the three of the feed are known already */
    assert_string_equal(s.first_url, "https://x.com/someone/rss?n=10");
    assert_true(reports(
        &r, "{\"source\":\"capture\",\"pages\":1,\"posts\":20,\"state\":\"rate_limited\""));
    assert_true(reports(
        &r,
        "{\"source\":\"fetch\",\"pages\":1,\"posts\":0,\"state\":\"ok\",\"first_error\":null}"));
    assert_string_equal(s.last_cursor, "c1");
    arena_free(&a);
    pack_close(&pack);
    pack = usual;
}

/* The page of the strategy that failed is on its way out when the next one begins: its picture is taken before. */
static void a_strategy_that_drifted_leaves_its_picture(void **state)
{
    (void)state;
    static const struct {
        const char *after;
        enum evidence_keep keep;
        short broken, status;
        int pictures;
    } rows[] = {
        {"drift", EVIDENCE_ON_FAILURE, 20, 200, 1},
        {"drift", EVIDENCE_NEVER, 20, 200, 0},
        {"rate_limited", EVIDENCE_ON_FAILURE, 0, 429, 0}, /* a limit is no matter of the page */
    };
    struct pack *usual = pack;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pack = open_with_feed(rows[i].after);
        JOB(.claimed = 40, .page_count = 1, .feed = feed_of(3), .feed_status = 200,
            .keep = rows[i].keep,
            .pages = {{0, 20, "c1", .broken = rows[i].broken, .status = rows[i].status}});
        assert_int_equal(r.failure, FAILURE_NONE);
        assert_int_equal(s.have, 3);
        assert_int_equal(s.pictures, rows[i].pictures);
        assert_int_equal(s.pictured, rows[i].pictures ? FAILURE_DRIFT : FAILURE_NONE);
        arena_free(&a);
        pack_close(&pack);
    }
    pack = usual;
}

static void other_failures_do_not_run_the_next_strategy(void **state)
{
    (void)state;
    struct pack *usual = pack;
    pack = open_with_feed("rate_limited");
    JOB(.claimed = 40, .page_count = 1, .feed = feed_of(3), .feed_status = 200,
        .pages = {{0, 20, "c1", .fails = true}});
    assert_int_equal(r.failure, FAILURE_NETWORK);
    assert_int_equal(s.fetches, 0);
    arena_free(&a);
    pack_close(&pack);
    pack = usual;
}

static void the_last_strategy_says_how_it_ended(void **state)
{
    (void)state;
    static const struct {
        const char *robots;
        int status, fetches;
        enum failure_class failure;
    } rows[] = {
        {NULL, 0, 1, FAILURE_NETWORK},
        {NULL, 404, 1,
         FAILURE_EMPTY_SUSPECT}, /* of a feed it does not say that there is no account */
        {NULL, 429, 1, FAILURE_RATE_LIMITED},
        {"User-agent: *\nDisallow: /someone/\n", 200, 0, FAILURE_BLOCKED},
        {"User-agent: fulmar\nDisallow: /*?n=\n", 200, 0, FAILURE_BLOCKED},
        {"User-agent: other\nDisallow: /\n", 200, 1, FAILURE_NONE},
    };
    struct pack *usual = pack;
    pack = open_with_feed("rate_limited");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        JOB(.claimed = 40, .page_count = 1, .feed = rows[i].status == 200 ? feed_of(3) : "no",
            .feed_status = rows[i].status, .robots = rows[i].robots,
            .pages = {{0, 20, "c1", .status = 429}});
        if (r.failure != rows[i].failure || s.fetches != rows[i].fetches)
            fail_msg("row %zu: %s, %d fetches, %.*s", i, failure_name(r.failure), s.fetches,
                     SP(r.why));
        assert_int_equal(s.committed, rows[i].failure ? 0 : 3);
        arena_free(&a);
    }
    pack_close(&pack);
    pack = usual;
}

#define ENTRIES(list)                                                                          \
    "<html><script id=\"__NEXT_DATA__\" type=\"application/json\">{\"props\":{\"pageProps\":{" \
    "\"timeline\":{\"entries\":[" list "]}}}}</script></html>"
#define ONE_POST                                                                                  \
    "{\"content\":{\"tweet\":{\"id_str\":\"20\",\"full_text\":\"hello\",\"created_at\":"          \
    "\"Tue Mar 21 20:50:14 +0000 2006\",\"user\":{\"id_str\":\"99\",\"screen_name\":\"someone\"," \
    "\"name\":\"S\"}}}}"

/* Servers stand in for each other. What one shows to anybody is a sample, and nothing is no proof. */
static void another_server_is_asked_where_one_fails(void **state)
{
    (void)state;
    static const struct {
        const char *instances, *second;
        int first_status, fetches;
        enum failure_class failure;
        enum verdict verdict;
    } rows[] = {
        {"nitter=https://n.test syndication=https://s.test", ENTRIES(ONE_POST), 502, 3,
         FAILURE_NONE, VERDICT_SAMPLED},
        {"nitter=https://n.test syndication=https://s.test", ENTRIES(""), 502, 3,
         FAILURE_EMPTY_SUSPECT, VERDICT_NONE},
        {"syndication=https://s.test", ENTRIES(ONE_POST), 502, 1, FAILURE_NONE,
         VERDICT_SAMPLED},
        {"nitter=https://n.test", ENTRIES(ONE_POST), 502, 2, FAILURE_NETWORK, VERDICT_NONE},
        {"", ENTRIES(ONE_POST), 502, 0, FAILURE_BAD_INPUT, VERDICT_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        JOB(.spec = "{\"strategy\":\"fetch\"}", .instances = rows[i].instances,
            .second = rows[i].second, .feed = "<html>Bad gateway</html>",
            .feed_status = rows[i].first_status);
        if (r.failure != rows[i].failure || s.fetches != rows[i].fetches ||
            r.verdict != rows[i].verdict)
            fail_msg("row %zu: %s, %d fetches, verdict %s, %.*s", i, failure_name(r.failure),
                     s.fetches, verdict_name(r.verdict), SP(r.why));
        arena_free(&a);
    }
}

/* The page's own API knows authors by their ids, a Nitter instance by their handles: what the one said of the account
 * leaves none of the other's posts out. */
static void posts_of_a_handle_are_those_of_the_account(void **state)
{
    (void)state;
    JOB(.claimed = 40, .page_count = 1, .pages = {{.status = 403, .code = 200}},
        .instances = "nitter=https://n.test", .feed = feed_of(3), .feed_status = 200);
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_SAMPLED);
    assert_int_equal(s.have, 3);
    assert_true(reports(
        &r, "\"source\":\"capture\",\"pages\":0,\"posts\":0,\"state\":\"login_required\""));
    arena_free(&a);
}

/* Three posts, then pages without any, each with another cursor. */
static void search_goes_on(struct script *s, struct buf *body)
{
    buf_fmt(body, "{\"cursor\":\"c%d\",\"posts\":[", s->fetches);
    for (int i = 0; i < 3 && s->fetches == 0; i++)
        buf_fmt(body,
                "%s{\"uri\":\"at://did:plc:a/app.bsky.feed.post/%d\",\"author\":{\"did\":"
                "\"did:plc:a\",\"handle\":\"a.test\"},\"record\":{\"text\":\"t\",\"createdAt\":"
                "\"2024-01-01T00:00:00Z\"}}",
                i ? "," : "", i);
    buf_add_text(body, "]}");
}

/* The pages of such a site may be empty while the list goes on behind them. */
static void empty_pages_of_a_source_prove_nothing(void **state)
{
    (void)state;
    struct pack *usual = pack;
    pack = open_site("bluesky");
    JOB(.kind = "search", .target = "heat pump", .answers = search_goes_on);
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(s.have, 3);
    assert_int_equal(s.fetches, 4);
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    arena_free(&a);
    pack_close(&pack);
    pack = usual;
}

static void a_source_that_may_not_be_asked_again_ends_it(void **state)
{
    (void)state;
    struct pack *usual = pack;
    pack = open_site("bluesky");
    JOB(.kind = "search", .target = "heat pump", .answers = search_goes_on, .refuse_at = 2);
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_int_equal(r.verdict, VERDICT_PARTIAL);
    assert_int_equal(r.end, END_BUDGET);
    assert_int_equal(s.have, 3);
    JOB_AGAIN(.kind = "search", .target = "heat pump", .answers = search_goes_on,
              .refuse_at = 1);
    assert_int_equal(again.failure, FAILURE_RESOURCE);
    assert_true(again.final);
    arena_free(&a);
    arena_free(&b);
    pack_close(&pack);
    pack = usual;
}

/* A cursor belongs to what it came from. */
static void a_cursor_of_a_source_is_not_the_page_s(void **state)
{
    (void)state;
    JOB(.claimed = 20, .page_count = 1, .cursor = "~nitter_feed:abc",
        .pages = {{0, 20, "c1", .terminate = true}});
    assert_int_equal(r.failure, FAILURE_NONE);
    assert_false(s.moved);
    arena_free(&a);
}

/* ---- evidence ---- */

static void a_failed_job_shows_what_it_read(void **state)
{
    (void)state;
    JOB(.spec = ONLY_CAPTURE, .keep = EVIDENCE_ON_FAILURE, .claimed = 60, .page_count = 3,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .broken = 5}, {40, 20, "c3"}});
    assert_int_equal(r.failure, FAILURE_DRIFT);
    assert_int_equal(s.pieces_at_end, 0); /* nothing until it had failed */
    assert_int_equal(s.pieces, 3);
    assert_string_equal(s.names[0], "UserByScreenName");
    assert_string_equal(s.names[2], "UserTweets");
    assert_int_equal(s.batches_of[1], 1); /* the account was batch 0 */
    assert_int_equal(s.batches_of[2], 2);
    assert_int_equal(s.reason, FAILURE_DRIFT);
    assert_int_equal(s.older, 0);
    assert_true(s.body_bytes > 10000);
    assert_non_null(strstr(s.piece_url, "/UserTweets?variables="));
    assert_non_null(strstr(s.headers, "x-rate-limit-reset"));
    assert_null(strstr(s.headers, "secret"));
    arena_free(&a);
}

static void a_good_job_shows_nothing_unless_it_is_asked_to(void **state)
{
    (void)state;
    JOB(.keep = EVIDENCE_ON_FAILURE, .claimed = 20, .page_count = 1,
        .pages = {{0, 20, "c1", .terminate = true}});
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(s.pieces, 0);
    static struct script all = {.keep = EVIDENCE_ALWAYS,
                                .claimed = 20,
                                .page_count = 1,
                                .pages = {{0, 20, "c1", .terminate = true}}};
    r = run(&all, a);
    assert_int_equal(r.verdict, VERDICT_COMPLETE);
    assert_int_equal(all.pieces, 2);
    assert_int_equal(all.pieces_at_end, 2); /* each before its records */
    assert_int_equal(all.reason, FAILURE_NONE);
    arena_free(&a);
}

static void never_is_never_and_a_cancelled_job_shows_nothing(void **state)
{
    (void)state;
    JOB(.spec = ONLY_CAPTURE, .keep = EVIDENCE_NEVER, .claimed = 60, .page_count = 2,
        .pages = {{0, 20, "c1"}, {20, 20, "c2", .broken = 5}});
    assert_int_equal(r.failure, FAILURE_DRIFT);
    assert_int_equal(s.pieces, 0);
    static struct script told = {.spec = ONLY_CAPTURE,
                                 .keep = EVIDENCE_ON_FAILURE,
                                 .claimed = 60,
                                 .cancel_at = 1,
                                 .page_count = 2,
                                 .pages = {{0, 20, "c1"}, {20, 20, "c2"}}};
    r = run(&told, a);
    assert_int_equal(r.failure, FAILURE_CANCELLED);
    assert_int_equal(told.pieces, 0);
    arena_free(&a);
}

static void only_the_last_pages_are_held_and_the_account(void **state)
{
    (void)state;
    static char cursors[PAGES_MAX][8];
    struct arena *a = arena_new(64 << 20);
    struct script s = {
        .spec = ONLY_CAPTURE, .keep = EVIDENCE_ON_FAILURE, .claimed = 260, .page_count = 40};
    for (int i = 0; i < s.page_count; i++) {
        snprintf(cursors[i], sizeof cursors[i], "c%d", i);
        s.pages[i] = (struct script_page){
            .first = i * 5, .count = 5, .cursor = cursors[i], .broken = i == 39 ? 5 : 0};
    }
    struct collect_result r = run(&s, a);
    assert_int_equal(r.failure, FAILURE_DRIFT);
    assert_int_equal(s.pieces, EVIDENCE_RING_PIECES);
    assert_string_equal(s.names[0], "UserByScreenName");
    assert_int_equal(s.older, 41 - EVIDENCE_RING_PIECES);
    assert_int_equal(s.batches_of[15], 40);
    arena_free(&a);
}

static void the_ring_keeps_to_its_bytes(void **state)
{
    (void)state;
    static char body[3 << 20], huge[EVIDENCE_PIECE_MAX + 1];
    struct evidence e;
    struct channel none = {.fd = -1};
    evidence_init(&e, &none, EVIDENCE_ON_FAILURE);
    struct evidence_note n = {
        .strategy = "capture", .name = SPAN("a"), .body = {body, sizeof body}};
    for (int i = 0; i < 9; i++) {
        evidence_take(&e, &n);
        assert_true(e.bytes <= EVIDENCE_RING_BYTES);
    }
    assert_int_equal(e.count, 2);
    assert_int_equal(e.older, 7);
    n.body = (struct span){huge, sizeof huge};
    evidence_take(&e, &n);
    assert_int_equal(e.too_large, 1);
    assert_int_equal(e.count, 2); /* what was held stays */
    evidence_end(&e, FAILURE_NONE);
    assert_int_equal(e.count, 0);
    assert_int_equal(e.bytes, 0);
    evidence_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminated_list_is_complete),
        cmocka_unit_test(a_long_list_is_read_from_several_pages),
        cmocka_unit_test(a_token_that_is_used_up_is_had_anew),
        cmocka_unit_test(a_token_that_is_refused_again_is_the_session_s),
        cmocka_unit_test(a_visitor_s_token_that_is_refused_again_asks_for_a_login),
        cmocka_unit_test(posts_of_a_handle_are_those_of_the_account),
        cmocka_unit_test(a_strategy_that_drifted_leaves_its_picture),
        cmocka_unit_test(a_page_opened_anew_that_starts_over_is_no_end),
        cmocka_unit_test(one_broken_post_is_lost_and_said),
        cmocka_unit_test(a_post_that_contradicts_itself_is_kept_apart),
        cmocka_unit_test(a_good_reading_of_what_was_kept_apart_counts),
        cmocka_unit_test(readings_that_disagree_are_noted),
        cmocka_unit_test(counts_of_fields_travel_with_batches_and_with_a_drift),
        cmocka_unit_test(many_broken_posts_are_drift),
        cmocka_unit_test(a_page_that_outgrows_its_memory_is_a_matter_of_resources),
        cmocka_unit_test(the_limit_ends_it_without_asking_for_more),
        cmocka_unit_test(a_job_with_too_few_records_has_failed),
        cmocka_unit_test(too_few_records_within_a_budget_are_the_end),
        cmocka_unit_test(an_empty_list_is_what_the_order_makes_of_it),
        cmocka_unit_test(records_without_a_required_field_are_kept_apart),
        cmocka_unit_test(pages_of_what_is_kept_apart_are_no_end),
        cmocka_unit_test(a_list_of_which_all_is_kept_apart_is_suspect),
        cmocka_unit_test(what_was_kept_apart_counts_once_it_is_whole),
        cmocka_unit_test(an_account_without_a_required_field_is_no_result),
        cmocka_unit_test(a_job_has_so_many_pages_and_asks_for_no_more),
        cmocka_unit_test(a_list_has_one_page_at_least),
        cmocka_unit_test(a_list_that_ends_with_its_last_page_is_complete),
        cmocka_unit_test(pages_of_earlier_attempts_count),
        cmocka_unit_test(pages_that_bring_what_is_known_are_no_pages_of_the_budget),
        cmocka_unit_test(pages_of_new_posts_that_are_left_out_are_pages),
        cmocka_unit_test(what_is_under_way_when_a_budget_ends_is_still_read),
        cmocka_unit_test(a_budget_ends_a_job_whose_page_is_silent),
        cmocka_unit_test(a_budget_that_brings_nothing_fails_for_good),
        cmocka_unit_test(a_source_that_may_not_be_asked_again_ends_it),
        cmocka_unit_test(a_row_of_users_counts_users),
        cmocka_unit_test(the_limit_of_a_row_of_users_counts_users),
        cmocka_unit_test(no_users_of_a_followed_account_are_suspect),
        cmocka_unit_test(a_product_that_is_none_is_bad_input),
        cmocka_unit_test(an_empty_page_with_a_live_cursor_is_not_the_end),
        cmocka_unit_test(a_repeated_cursor_without_entries_is_the_end),
        cmocka_unit_test(posts_that_come_again_are_counted_once),
        cmocka_unit_test(no_posts_of_an_empty_profile_are_confirmed),
        cmocka_unit_test(no_posts_of_a_full_profile_are_suspect),
        cmocka_unit_test(suspicion_is_worth_another_look),
        cmocka_unit_test(an_account_says_why_its_list_is_empty),
        cmocka_unit_test(what_a_guest_is_shown_is_a_sample),
        cmocka_unit_test(no_posts_are_confirmed_by_the_page),
        cmocka_unit_test(a_resumed_job_starts_at_its_cursor),
        cmocka_unit_test(older_posts_than_since_end_it),
        cmocka_unit_test(newer_posts_than_until_are_left_out),
        cmocka_unit_test(a_job_for_what_is_new_stops_at_what_is_known),
        cmocka_unit_test(a_job_for_what_is_new_with_nothing_new_is_complete),
        cmocka_unit_test(known_posts_may_be_deleted),
        cmocka_unit_test(a_page_may_end_in_the_middle_of_the_row),
        cmocka_unit_test(without_a_mark_all_is_new),
        cmocka_unit_test(a_limit_before_what_is_known_is_a_gap),
        cmocka_unit_test(a_ranked_list_is_only_filtered),
        cmocka_unit_test(excluded_posts_are_left_out_and_counted),
        cmocka_unit_test(pages_of_excluded_posts_are_no_end),
        cmocka_unit_test(excluded_posts_that_come_again_are_an_end),
        cmocka_unit_test(excluded_posts_do_not_count_against_the_limit),
        cmocka_unit_test(nothing_but_excluded_posts_is_confirmed_as_empty),
        cmocka_unit_test(a_429_says_how_long_to_wait),
        cmocka_unit_test(a_cut_connection_is_network),
        cmocka_unit_test(silence_after_data_is_stuck),
        cmocka_unit_test(a_cancel_ends_the_flow),
        cmocka_unit_test(a_crashed_page_ends_the_flow),
        cmocka_unit_test(the_next_strategy_runs_where_the_pack_says),
        cmocka_unit_test(other_failures_do_not_run_the_next_strategy),
        cmocka_unit_test(the_last_strategy_says_how_it_ended),
        cmocka_unit_test(another_server_is_asked_where_one_fails),
        cmocka_unit_test(files_of_media_are_said_in_the_records),
        cmocka_unit_test(files_are_fetched_only_where_they_are_asked_for),
        cmocka_unit_test(no_file_of_a_surplus_post_is_fetched),
        cmocka_unit_test(robots_txt_of_the_media_host_is_obeyed),
        cmocka_unit_test(a_cancel_among_the_files_ends_the_job),
        cmocka_unit_test(empty_pages_of_a_source_prove_nothing),
        cmocka_unit_test(a_cursor_of_a_source_is_not_the_page_s),
        cmocka_unit_test(a_failed_job_shows_what_it_read),
        cmocka_unit_test(a_good_job_shows_nothing_unless_it_is_asked_to),
        cmocka_unit_test(never_is_never_and_a_cancelled_job_shows_nothing),
        cmocka_unit_test(only_the_last_pages_are_held_and_the_account),
        cmocka_unit_test(the_ring_keeps_to_its_bytes),
    };
    return cmocka_run_group_tests(tests, open_pack, close_pack);
}
