/* `jobs list` where hardly any of many jobs match: whatever of them there are is shown, or where to look on is said. */
#include "../lib/service.h"

#include "../lib/called.h"
#include "../lib/many.h"

enum { NEWER = 5200, OLD = 3 };

static void submit_in_turn(int n, const char *const *tenants)
{
    struct client *client;
    struct fault f = {0};
    char address[64];
    snprintf(address, sizeof address, "http://127.0.0.1:%d", server.port);
    assert_int_equal(client_open(&client, span_of(address), &f), E_OK);
    submit_many(client, n, tenants);
    client_close(&client);
}

static void submit_of(int n, const char *tenant)
{
    submit_in_turn(n, (const char *const[]){tenant, NULL});
}

/* The heading and so many rows; and so it says. */
static void shows(size_t rows, const char *words, const char *const *args)
{
    struct call c = call(args);
    expect_code(&c, 0);
    if (lines(&c.out) != (rows ? rows + 1 : 0) || (*words && !says(&c.err, words)))
        fail_msg("wanted %zu rows and '%s', got: %.*s%.*s", rows, words, SP(buf_span(&c.out)),
                 SP(buf_span(&c.err)));
    drop(&c);
}
#define SHOWS(rows, words, ...)                                                                \
    shows(rows, words, (const char *const[]){server_flag(), "jobs", "list", __VA_ARGS__, NULL})

static void cursor_of(const struct buf *text, const char *before, char out[300])
{
    struct span rest = buf_span(text);
    size_t at = span_find(rest, span_of(before)), n = 0;
    assert_true(at < rest.n);
    rest = span_cut(rest, at + strlen(before), rest.n);
    while (n < rest.n && n < 299 && rest.p[n] != '"' && rest.p[n] != ',' && rest.p[n] != ' ')
        n++;
    span_copy(span_cut(rest, 0, n), out, 300);
}

static void a_table_goes_on_behind_short_pages(void **state)
{
    (void)state;
    SHOWS(OLD, "", "--tenant", "old");
    SHOWS(1, "there are more: --limit N, --cursor 1.0.", "--tenant", "old", "--limit", "1");
    SHOWS(0, "no such job; submit one", "--tenant", "nobody");
    SHOWS(OLD, "3 jobs", "--tenant", "old", "--sort", "created_at", "--count", "exact");
}

static void a_list_goes_on_where_it_ended(void **state)
{
    (void)state;
    char cursor[300];
    struct call c = CALL(server_flag(), "jobs", "list", "--tenant", "old", "--limit", "2");
    expect_code(&c, 0);
    cursor_of(&c.err, "--cursor ", cursor);
    drop(&c);
    SHOWS(1, "", "--tenant", "old", "--cursor", cursor);
    c = CALL(server_flag(), "jobs", "list", "--tenant", "old", "--json");
    expect_code(&c, 0);
    assert_true(says(&c.out, "\"data\":[],")); /* the answer of the service, as it is */
    cursor_of(&c.out, "\"next_cursor\":\"", cursor);
    drop(&c);
    SHOWS(OLD, "", "--tenant", "old", "--cursor", cursor);
    EXPECT(65, "another tenant", server_flag(), "jobs", "list", "--cursor", cursor);
}

/* Also where a page of the service does not hold them: the last tenant, and the site behind it. */
static void limits_are_shown_to_the_end(void **state)
{
    (void)state;
    enum { TENANTS = 1100 };
    static char names[TENANTS][8];
    static const char *all[TENANTS + 1];
    for (int i = 0; i < TENANTS; i++) {
        snprintf(names[i], sizeof names[i], "t%04d", i);
        all[i] = names[i];
    }
    submit_in_turn(TENANTS, all);
    struct call c = CALL(server_flag(), "limits", "show");
    expect_code(&c, 0);
    struct span rest = buf_span(&c.out), line;
    int tenants = 0, heads = 0, sites = 0;
    while (span_next(&rest, '\n', &line)) {
        tenants += span_is(span_cut(line, 0, 10), "tenant   t");
        heads += span_is(span_cut(line, 0, 3), "OF ");
        sites += span_is(span_cut(line, 0, 10), "site     x");
    }
    assert_int_equal(tenants, TENANTS);
    assert_int_equal(heads, 1);
    assert_int_equal(sites, 1);
    drop(&c);
    c = CALL(server_flag(), "limits", "show", "-o", "jsonl", "--jq", ".page.has_more");
    expect_code(&c, 0);
    assert_int_equal(lines(&c.out), 2);
    assert_true(says(&c.out, "true\nfalse"));
    drop(&c);
}

static int start_lists(void **state)
{
    if (group_start(state))
        return 1;
    submit_of(OLD, "old");
    submit_of(NEWER, "new");
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_goes_on_behind_short_pages),
        cmocka_unit_test(a_list_goes_on_where_it_ended),
        cmocka_unit_test(limits_are_shown_to_the_end),
    };
    return cmocka_run_group_tests(tests, start_lists, group_stop);
}
