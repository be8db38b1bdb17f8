#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/slot.h"

static void walk(enum slot_state from, bool seen[SLOT_STATES])
{
    if (seen[from])
        return;
    seen[from] = true;
    for (int e = 0; e < SLOT_EVENTS; e++) {
        enum slot_state s = from;
        if (slot_move(&s, (enum slot_event)e))
            walk(s, seen);
    }
}

static void every_state_is_reached_from_empty(void **state)
{
    (void)state;
    bool seen[SLOT_STATES] = {false};
    walk(SLOT_EMPTY, seen);
    for (int i = 0; i < SLOT_STATES; i++)
        assert_true(seen[i]);
}

static void every_state_leads_back_to_empty(void **state)
{
    (void)state;
    for (int i = 0; i < SLOT_STATES; i++) {
        bool seen[SLOT_STATES] = {false};
        walk((enum slot_state)i, seen);
        assert_true(seen[SLOT_EMPTY]);
    }
}

static void an_illegal_move_changes_nothing(void **state)
{
    (void)state;
    enum slot_state s = SLOT_RUNNING;
    assert_false(slot_move(&s, SLOT_ON_READY));
    assert_int_equal(s, SLOT_RUNNING);
}

static void every_event_is_used(void **state)
{
    (void)state;
    for (int e = 0; e < SLOT_EVENTS; e++) {
        bool used = false;
        for (int i = 0; i < SLOT_STATES; i++) {
            enum slot_state s = (enum slot_state)i;
            used |= slot_move(&s, (enum slot_event)e);
        }
        assert_true(used);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_is_reached_from_empty),
        cmocka_unit_test(every_state_leads_back_to_empty),
        cmocka_unit_test(an_illegal_move_changes_nothing),
        cmocka_unit_test(every_event_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
