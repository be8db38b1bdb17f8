/* Jobs that are kept as text until they are made. */
#include "store/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json_parser *parser;
static uint64_t seed = 20260206;

static uint64_t dice(void) /* SplitMix64 */
{
    uint64_t z = (seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* ---- members of any type ---- */

static void roll_text(struct arena *a, struct span *out, int64_t most)
{
    static const char *const pieces[] = {"a", "\"", "\\",   "\n",        "\x01", "{",
                                         "ü", "漢", "🦅", "</script>", " "};
    size_t n = dice() % 4 ? dice() % 40 : (size_t)most;
    char *text = arena_get(a, n + 1);
    size_t at = 0;
    for (;;) {
        const char *piece = pieces[dice() % (sizeof pieces / sizeof pieces[0])];
        size_t len = strlen(piece);
        if (at + len > n || dice() % 50 == 0)
            break;
        memcpy(text + at, piece, len);
        at += len;
    }
    *out = (struct span){text, at};
}
static void roll_wide(struct arena *a, int64_t *out, int64_t most)
{
    (void)a;
    uint64_t way = dice() % 3;
    *out = way == 0 ? 0 : way == 1 ? most : (int64_t)(dice() % ((uint64_t)most + 1));
}
static void roll_int(struct arena *a, int *out, int64_t most)
{
    (void)a;
    *out = (int)(dice() % ((uint64_t)most + 1));
}
static void roll_enum(struct arena *a, unsigned *out, int64_t most)
{
    (void)a;
    *out = (unsigned)(dice() % ((uint64_t)most + 1));
}
static void roll_yes(struct arena *a, bool *out, int64_t most)
{
    (void)a;
    (void)most;
    *out = dice() % 2;
}
#define ROLL(m, most)                                                                          \
    _Generic(job->m, struct span                                                               \
             : roll_text, int64_t                                                              \
             : roll_wide, int                                                                  \
             : roll_int, unsigned                                                              \
             : roll_enum, bool                                                                 \
             : roll_yes)(a, (void *)&job->m, most);
static void roll(struct arena *a, struct accept_args *job)
{
    *job = (struct accept_args){0};
    TICKET_TABLE(ROLL)
}

static bool same_text(struct span one, struct span two)
{
    return span_eq(one, two);
}
static bool same_number(int64_t one, int64_t two)
{
    return one == two;
}
#define SAME(m, most)                                                                          \
    if (!_Generic(one->m, struct span : same_text, default : same_number)(one->m, two->m))     \
        fail_msg("%s differs", #m);
static void assert_same(const struct accept_args *one, const struct accept_args *two)
{
    TICKET_TABLE(SAME)
}

static void write_ok(const struct accept_args *job, struct buf *out)
{
    struct fault f = {0};
    if (ticket_write(job, out, &f))
        fail_msg("%s", f.words);
}

/* ---- promises ---- */

static void what_is_kept_is_what_was_asked_and_one_job_has_one_text(void **state)
{
    (void)state;
    for (int i = 0; i < 500; i++) {
        struct arena *a = arena_new(4 << 20);
        struct buf text = BUF(TICKET_MAX), again = BUF(TICKET_MAX);
        struct accept_args job, back;
        struct fault f = {0};
        roll(a, &job);
        write_ok(&job, &text);
        if (ticket_read(buf_span(&text), parser, a, &back, &f))
            fail_msg("%s: %.*s", f.words, SP(span_cut(buf_span(&text), 0, 400)));
        assert_same(&job, &back);
        write_ok(&back, &again);
        assert_true(span_eq(buf_span(&text), buf_span(&again)));
        buf_free(&text);
        buf_free(&again);
        arena_free(&a);
    }
}

static void what_belongs_to_one_request_is_not_kept(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct buf text = BUF(TICKET_MAX);
    struct accept_args back, job = {.id = SPAN("job_1"),
                                    .site = SPAN("x"),
                                    .idempotency_key = SPAN("k"),
                                    .request_hash = 7};
    struct fault f = {0};
    write_ok(&job, &text);
    assert_true(span_is(buf_span(&text), "{\"site\":\"x\"}"));
    assert_int_equal(ticket_read(buf_span(&text), parser, a, &back, &f), E_OK);
    assert_true(!back.id.n && !back.idempotency_key.n && !back.request_hash);
    buf_free(&text);
    arena_free(&a);
}

#if defined __has_builtin
#if __has_builtin(__builtin_clear_padding)
#define CLEAR_PADDING 1
#endif
#endif

/* Whoever adds a member to struct accept_args adds its row: a schedule would drop it silently. */
static void every_member_of_a_job_has_a_row(void **state)
{
    (void)state;
#ifdef CLEAR_PADDING
    struct accept_args job;
    memset(&job, 0xff, sizeof job);
    __builtin_clear_padding(&job);
#define CLEAR(m, most) memset(&job.m, 0, sizeof job.m);
    TICKET_TABLE(CLEAR)
    CLEAR(id, 0)
    CLEAR(idempotency_key, 0)
    CLEAR(request_hash, 0)
    CLEAR(run_at_ms, 0)
    CLEAR(expires_ms, 0)
    CLEAR(deadline_ms, 0)
    CLEAR(after, 0)
    CLEAR(accepted_ms, 0)
    CLEAR(replaced_by, 0)
    for (size_t i = 0; i < sizeof job; i++)
        if (((const unsigned char *)&job)[i])
            fail_msg("byte %zu of struct accept_args is in no row of TICKET_TABLE", i);
#else
    skip();
#endif
}

static void rows_of_other_versions_are_read(void **state)
{
    (void)state;
    struct arena *a = arena_new(1 << 20);
    struct accept_args job;
    struct fault f = {0};
    struct span newer =
        SPAN("{\"site\":\"x\",\"wings\":{\"n\":2},\"limit\":7,\"colour\":null}");
    assert_int_equal(ticket_read(newer, parser, a, &job, &f), E_OK);
    assert_true(span_is(job.site, "x") && job.limit == 7 && !job.target.n && job.prio == 0);
    assert_int_equal(ticket_read(SPAN("{}"), parser, a, &job, &f), E_OK);
    assert_true(!job.site.n && job.limit == 0);
    arena_free(&a);
}

static void what_cannot_be_right_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[]",
        "7",
        "{\"site\":",
        "{\"site\":7}",
        "{\"limit\":\"7\"}",
        "{\"limit\":7.5}",
        "{\"limit\":-1}",
        "{\"prio\":10}",
        "{\"mark\":3}",
        "{\"mark\":4294967297}",
        "{\"counts\":99}",
        "{\"site\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}",
    };
    struct arena *a = arena_new(1 << 20);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct accept_args job = {.limit = 42};
        struct fault f = {0};
        if (ticket_read(span_of(texts[i]), parser, a, &job, &f) != E_BAD_SYNTAX || !f.words[0])
            fail_msg("%s was read", texts[i]);
        assert_int_equal(job.limit, 42);
    }
    arena_free(&a);
}

static void what_has_no_room_is_refused(void **state)
{
    (void)state;
    struct fault f = {0};
    struct buf small = BUF(16), wide = BUF(TICKET_MAX);
    struct accept_args job = {.site = SPAN("mastodon"), .target = SPAN("someone")};
    assert_int_equal(ticket_write(&job, &small, &f), E_TOO_BIG);
    job.prio = 10;
    assert_int_equal(ticket_write(&job, &wide, &f), E_TOO_BIG);
    job.prio = -1;
    assert_int_equal(ticket_write(&job, &wide, &f), E_TOO_BIG);
    buf_free(&small);
    buf_free(&wide);
}

static int open_parser(void **state)
{
    (void)state;
    parser = json_parser_new(TICKET_MAX);
    return 0;
}

static int close_parser(void **state)
{
    (void)state;
    json_parser_free(&parser);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_what_was_asked_and_one_job_has_one_text),
        cmocka_unit_test(what_belongs_to_one_request_is_not_kept),
        cmocka_unit_test(every_member_of_a_job_has_a_row),
        cmocka_unit_test(rows_of_other_versions_are_read),
        cmocka_unit_test(what_cannot_be_right_is_refused_and_changes_nothing),
        cmocka_unit_test(what_has_no_room_is_refused),
    };
    return cmocka_run_group_tests(tests, open_parser, close_parser);
}
