/* Priority queue and map against the plainest thing that does the same. */
#include "base/map.h"
#include "base/pqueue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

enum { THINGS = 300, STEPS = 200000 };

static uint64_t random_state = 88172645463325252u;
static size_t below(size_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 11) % n;
}

struct thing {
    char name[16];
    struct pq_node node;
    bool in;
};
static struct thing things[THINGS];

static const struct thing *smallest(void)
{
    const struct thing *best = NULL;
    for (size_t i = 0; i < THINGS; i++) {
        const struct thing *t = &things[i];
        if (t->in && (!best || t->node.key < best->node.key ||
                      (t->node.key == best->node.key && t->node.tie < best->node.tie)))
            best = t;
    }
    return best;
}

static void the_smallest_is_on_top_whatever_is_put_moved_or_removed(void **state)
{
    (void)state;
    struct pqueue q = {0};
    for (int step = 0; step < STEPS / 10; step++) {
        struct thing *t = &things[below(THINGS)];
        if (below(3)) {
            pqueue_put(&q, &t->node, (int64_t)below(40), (int64_t)(t - things));
            t->in = true;
        } else {
            pqueue_remove(&q, &t->node);
            t->in = false;
        }
        assert_int_equal(pqueue_has(&t->node), t->in);
        const struct pq_node *top = pqueue_top(&q);
        assert_ptr_equal(top, smallest() ? &smallest()->node : NULL);
    }
    pqueue_free(&q);
    for (size_t i = 0; i < THINGS; i++) {
        assert_false(pqueue_has(&things[i].node));
        things[i].in = false;
    }
}

static void a_map_has_what_was_added_and_not_removed(void **state)
{
    (void)state;
    struct map m = {0};
    size_t count = 0;
    for (size_t i = 0; i < THINGS; i++)
        snprintf(things[i].name, sizeof things[i].name, "name-%zu", i * 7);
    for (int step = 0; step < STEPS; step++) {
        struct thing *t = &things[below(THINGS)];
        struct span name = span_of(t->name);
        assert_ptr_equal(map_find(&m, name), t->in ? t : NULL);
        if (t->in && below(2)) {
            map_remove(&m, name);
            t->in = false;
            count--;
        } else if (!t->in) {
            map_add(&m, name, t);
            t->in = true;
            count++;
        }
        assert_int_equal(m.count, count);
    }
    size_t seen = 0;
    map_each(&m, e) seen += ((struct thing *)e->value)->in;
    assert_int_equal(seen, count);
    map_remove(&m, SPAN("nobody"));
    assert_null(map_find(&m, SPAN("nobody")));
    map_free(&m);
    assert_null(map_find(&m, SPAN("name-7")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_is_on_top_whatever_is_put_moved_or_removed),
        cmocka_unit_test(a_map_has_what_was_added_and_not_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
