/* Server-sent events: what is written is read back, in pieces of any size, and nothing can be
 * forged. */
#include "wire/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct seen {
    int count;
    int64_t id;
    char event[64], data[256];
};

static void on_event(void *ctx, int64_t id, struct span event, struct span data)
{
    struct seen *s = ctx;
    s->count++;
    s->id = id;
    span_copy(event, s->event, sizeof s->event);
    span_copy(data, s->data, sizeof s->data);
}

static void a_frame_has_this_form(void **state)
{
    (void)state;
    struct buf out = BUF(1024);
    sse_add(&out, 7, SPAN("job.progress"), SPAN("{\"have\":1}"));
    assert_true(span_is(buf_span(&out), "id: 7\nevent: job.progress\ndata: {\"have\":1}\n\n"));
    buf_clear(&out);
    sse_add_comment(&out, "still here");
    sse_add_retry(&out, 2000);
    assert_true(span_is(buf_span(&out), ": still here\n\nretry: 2000\n\n"));
    buf_free(&out);
}

static void line_ends_cannot_forge_a_frame(void **state)
{
    (void)state;
    struct buf out = BUF(1024);
    struct seen seen = {0};
    struct sse_reader r = sse_reader(1024);
    sse_add(&out, 1, SPAN("a\nid: 99\r"), SPAN("one\r\ntwo\n\nid: 98\nevent: evil\rthree"));
    assert_int_equal(sse_read(&r, buf_span(&out), on_event, &seen), E_OK);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.id, 1);
    assert_string_equal(seen.event, "aid: 99");
    assert_string_equal(seen.data, "one\ntwo\n\nid: 98\nevent: evil\nthree");
    sse_reader_fini(&r);
    buf_free(&out);
}

static void pieces_of_any_size_give_the_same(void **state)
{
    (void)state;
    struct span text = SPAN("retry: 5\r\n\r\nid: 3\r\nevent: x\r\ndata: 1\r\ndata: 2\r\n\r\n: "
                            "note\n\nid:4\ndata:y\n\ndata: tail");
    for (size_t piece = 1; piece <= text.n; piece++) {
        struct seen seen = {0};
        struct sse_reader r = sse_reader(1024);
        for (size_t at = 0; at < text.n; at += piece)
            assert_int_equal(sse_read(&r, span_cut(text, at, piece), on_event, &seen), E_OK);
        assert_int_equal(seen.count, 2); /* the tail is no frame yet */
        assert_int_equal(seen.id, 4);
        assert_int_equal(r.last_id, 4);
        assert_string_equal(seen.data, "y");
        assert_string_equal(seen.event, "");
        sse_reader_fini(&r);
    }
}

static void a_frame_without_an_end_is_refused(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sse_reader r = sse_reader(64);
    err e = E_OK;
    for (int i = 0; i < 100 && !e; i++)
        e = sse_read(&r, SPAN("data: 0123456789\n"), on_event, &seen);
    if (!e)
        e = sse_read(&r, SPAN("\n"), on_event, &seen);
    assert_int_equal(e, E_TOO_BIG);
    assert_int_equal(seen.count, 0);
    sse_reader_fini(&r);
}

/* Whoever resumes behind a frame that was cut asks for it again. */
static void a_frame_that_is_cut_moves_no_position(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct sse_reader r = sse_reader(1024);
    struct buf out = BUF(1024);
    sse_add_position(&out, 41);
    assert_int_equal(sse_read(&r, buf_span(&out), on_event, &seen), E_OK);
    assert_int_equal(r.last_id, 41);
    assert_int_equal(seen.count, 0);
    buf_clear(&out);
    sse_add(&out, 42, SPAN("x"), SPAN("{}"));
    for (size_t n = 0; n < out.n; n++) {
        assert_int_equal(r.last_id, 41);
        assert_int_equal(sse_read(&r, span_cut(buf_span(&out), n, 1), on_event, &seen), E_OK);
    }
    assert_int_equal(r.last_id, 42);
    assert_int_equal(seen.count, 1);
    sse_reader_fini(&r);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_has_this_form),
        cmocka_unit_test(line_ends_cannot_forge_a_frame),
        cmocka_unit_test(pieces_of_any_size_give_the_same),
        cmocka_unit_test(a_frame_without_an_end_is_refused),
        cmocka_unit_test(a_frame_that_is_cut_moves_no_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
