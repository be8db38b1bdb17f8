/* The nodes that share a store: each says that it is there, and all see the same list. */
#include "../lib/scenario.h"

#include "store/nodes.h"

static err beat_at(struct store *s, const struct node_beat *b)
{
    assert_int_equal(store_begin(s, &w->f), E_OK);
    err e = store_node_beat(s, b, now(), &w->f);
    assert_int_equal(store_commit(s, &w->f), E_OK);
    return e;
}

static struct node_beat beat(void)
{
    return (struct node_beat){.version = "1.2.3",
                              .host = "moss",
                              .workers = 8,
                              .busy = 3,
                              .browsers = 2,
                              .started_ms = T0 - MINUTE};
}

static struct node_view *list(size_t wanted)
{
    struct node_view *nodes;
    size_t count;
    assert_int_equal(store_nodes(w->s, now(), w->a, &nodes, &count, &w->f), E_OK);
    assert_int_equal(count, wanted);
    return nodes;
}

static void a_node_is_shown_as_it_said(void **state)
{
    (void)state;
    struct node_beat b = beat();
    list(0);
    assert_int_equal(beat_at(w->s, &b), E_OK);
    struct node_view v = list(1)[0];
    assert_true(v.name[0] != '\0');
    assert_string_equal(v.says.version, "1.2.3");
    assert_string_equal(v.says.host, "moss");
    assert_int_equal(v.says.workers, 8);
    assert_int_equal(v.says.busy, 3);
    assert_int_equal(v.says.browsers, 2);
    assert_int_equal(v.says.started_ms, T0 - MINUTE);
    assert_int_equal(v.heard_ms, w->now);
    assert_int_equal(node_state(&v, now()), NODE_UP);
}

static void what_is_not_heard_of_is_silent_and_what_said_so_has_stopped(void **state)
{
    (void)state;
    struct node_beat b = beat();
    assert_int_equal(beat_at(w->s, &b), E_OK);
    w->now += NODE_SILENT_MS;
    assert_int_equal(node_state(list(1), now()), NODE_UP);
    w->now++;
    assert_int_equal(node_state(list(1), now()), NODE_SILENT);
    b.stopping = true;
    assert_int_equal(beat_at(w->s, &b), E_OK);
    assert_int_equal(node_state(list(1), now()), NODE_STOPPING);
    w->now += NODE_SILENT_MS + 1;
    assert_int_equal(node_state(list(1), now()), NODE_STOPPED);
    b.stopping = false; /* it is back */
    assert_int_equal(beat_at(w->s, &b), E_OK);
    assert_int_equal(node_state(list(1), now()), NODE_UP);
}

static void nodes_of_one_queue_see_each_other_until_they_are_forgotten(void **state)
{
    (void)state;
    if (w->maker == &store_makers[0])
        return; /* it has one node */
    struct redis_place *p = w->place;
    struct store *other;
    struct redis_config config = {.url = span_of(p->server.url),
                                  .node = SPAN("another"),
                                  .records = &kept_records,
                                  .archive = p->archive,
                                  .callers_time = true};
    assert_int_equal(redis_open(&other, &config, &w->limits, 7, now(), &w->f), E_OK);
    struct node_beat b = beat();
    assert_int_equal(beat_at(w->s, &b), E_OK);
    assert_int_equal(beat_at(other, &b), E_OK);
    struct node_view *nodes = list(2);
    assert_string_equal(nodes[0].name, "another");
    assert_string_equal(nodes[1].name, "node");
    store_close(&other);
    w->now += NODE_KEPT_MS / 2;
    assert_int_equal(beat_at(w->s, &b), E_OK);
    assert_int_equal(node_state(&list(2)[0], now()), NODE_SILENT);
    w->now += NODE_KEPT_MS / 2 + 1;
    assert_int_equal(beat_at(w->s, &b), E_OK);
    assert_string_equal(list(1)[0].name, "node");
}

static const struct CMUnitTest tests[] = {
    S(a_node_is_shown_as_it_said),
    S(what_is_not_heard_of_is_silent_and_what_said_so_has_stopped),
    S(nodes_of_one_queue_see_each_other_until_they_are_forgotten),
};
RUN_ON_ALL_STORES(tests)
