/* What a node offers the next job: what was promised is never promised again, and what is too large for the machine runs alone. */
#include "core/room.h"

#include "browser/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t MIB = 1 << 20, GIB = 1 << 30;

static void assert_offer(struct room_offer is, enum room_kind kind, int64_t bytes)
{
    assert_int_equal(is.kind, kind);
    assert_int_equal(is.bytes, bytes);
}

/* Four workers on a machine of 6 GiB, and four jobs that say 4 GiB each. */
static void one_of_many_idle_slots_offers_all(void **state)
{
    (void)state;
    struct room r = room_begin(6 * GIB);
    assert_offer(room_offer(&r), ROOM_ANY, 0);
    room_add_question(&r, room_offer(&r), true);
    assert_offer(room_offer(&r), ROOM_NOTHING, 0); /* until it is known what that brings */
    r = room_begin(6 * GIB);
    room_add_job(&r, 4 * GIB, 0);
    assert_offer(room_offer(&r), ROOM_BYTES, 2 * GIB);
}

/* One small job runs, 3 GiB are free, two slots ask for a job: two of 2.5 GiB must not start. */
static void the_same_memory_is_offered_once(void **state)
{
    (void)state;
    struct room r = room_begin(3 * GIB);
    room_add_job(&r, ROOM_USUAL_LIGHT, ROOM_USUAL_LIGHT);
    assert_offer(room_offer(&r), ROOM_BYTES, 3 * GIB);
    room_add_question(&r, room_offer(&r), false);
    assert_offer(room_offer(&r), ROOM_UNSAID, 0);
    r = room_begin(3 * GIB); /* it started, and has not allocated yet; then it has a part */
    room_add_job(&r, 2560 * MIB, 0);
    assert_offer(room_offer(&r), ROOM_BYTES, 512 * MIB);
    r = room_begin(2 * GIB);
    room_add_job(&r, 2560 * MIB, GIB);
    assert_offer(room_offer(&r), ROOM_BYTES, 512 * MIB);
}

static void what_is_too_large_runs_alone(void **state)
{
    (void)state;
    struct room r = room_begin(2 * GIB);
    room_add_job(&r, 4 * GIB, GIB);
    assert_offer(room_offer(&r), ROOM_NOTHING, 0);
}

static void no_memory_and_unknown_memory_are_not_any(void **state)
{
    (void)state;
    struct room none = room_begin(0), unknown = room_begin(-1);
    room_add_job(&none, 0, 0);
    room_add_job(&unknown, 0, 0);
    assert_offer(room_offer(&none), ROOM_NOTHING, 0);
    assert_offer(room_offer(&unknown), ROOM_UNSAID, 0);
}

/* ---- slots that ask, start, allocate and end in any order ---- */

enum { SLOTS = 4, STEPS = 400000 };
static const int64_t TOTAL = 1000;
static struct {
    enum { IDLE, ASKING, BUSY } state;
    struct room_offer offer;
    int64_t promised, taken, seen; /* seen: of taken, when the machine was looked at */
} slots[SLOTS];
static int64_t there; /* likewise */

static int64_t pick(int64_t n)
{
    return rand() % n;
}

static void look(void)
{
    there = TOTAL * MIB;
    for (int i = 0; i < SLOTS; i++) {
        slots[i].seen = slots[i].state == BUSY ? slots[i].taken : 0;
        there -= slots[i].seen;
    }
    there = there > 0 ? there : 0;
}

static struct room_offer offer_now(void)
{
    struct room r = room_begin(there);
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].state == BUSY)
            room_add_job(&r, slots[i].promised ? slots[i].promised : ROOM_USUAL_LIGHT,
                         slots[i].seen);
        else if (slots[i].state == ASKING)
            room_add_question(&r, slots[i].offer, false);
    }
    return room_offer(&r);
}

static void answer(int i)
{
    int64_t most = slots[i].offer.kind == ROOM_ANY      ? 2 * TOTAL * MIB
                   : slots[i].offer.kind == ROOM_UNSAID ? 0
                                                        : slots[i].offer.bytes;
    int64_t size = pick(8) * pick(2 * TOTAL) / 8 * MIB;
    slots[i].state = pick(8) ? BUSY : IDLE;
    slots[i].promised = size <= most ? size : pick(2) ? most : 0;
    slots[i].taken = slots[i].seen = 0;
}

static void step(void)
{
    int i = (int)pick(SLOTS);
    if (slots[i].state == IDLE) {
        slots[i].offer = offer_now();
        if (slots[i].offer.kind != ROOM_NOTHING)
            slots[i].state = ASKING;
    } else if (slots[i].state == ASKING) {
        answer(i);
    } else if (pick(2)) {
        slots[i].taken = pick((slots[i].promised ? slots[i].promised : ROOM_USUAL_LIGHT) + 1);
        if (slots[i].taken < slots[i].seen)
            look();
    } else {
        slots[i].state = IDLE;
    }
}

static void what_is_promised_is_there_or_runs_alone(void **state)
{
    (void)state;
    int64_t together = 0, larger = 0;
    srand(7);
    look();
    for (int n = 0; n < STEPS; n++) {
        int64_t sum = 0, sized = 0, busy = 0;
        step();
        if (!pick(3))
            look();
        for (int i = 0; i < SLOTS; i++) {
            busy += slots[i].state == BUSY;
            sized += slots[i].state == BUSY && slots[i].promised > 0;
            sum += slots[i].state == BUSY ? slots[i].promised : 0;
        }
        assert_true(sum <= TOTAL * MIB || busy == 1);
        together += sized > 1;
        larger += sum > TOTAL * MIB;
    }
    assert_true(together > 1000 && larger > 1000);
}

/* ---- what the machine says ---- */

static char root[] = "/tmp/fulmar-room-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + sizeof root; (at = strchr(at, '/')); at++) {
        *at = '\0';
        (void)mkdir(path, 0700);
        *at = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_limit_of_the_service_counts_as_the_machine_does(void **state)
{
    (void)state;
    char command[100];
    assert_non_null(mkdtemp(root));
    assert_int_equal(process_memory_available_in(root), -1);
    put("proc/meminfo", "MemTotal:  900 kB\nMemAvailable:     600 kB\n");
    assert_int_equal(process_memory_available_in(root), 600 << 10);
    put("proc/self/cgroup", "0::/system.slice/fulmar.service\n");
    assert_int_equal(process_memory_available_in(root), 600 << 10);
    put("sys/fs/cgroup/system.slice/fulmar.service/memory.max", "max\n");
    assert_int_equal(process_memory_available_in(root), 600 << 10);
    put("sys/fs/cgroup/system.slice/fulmar.service/memory.max", "409600\n");
    put("sys/fs/cgroup/system.slice/fulmar.service/memory.current", "307200\n");
    assert_int_equal(process_memory_available_in(root), 100 << 10);
    put("sys/fs/cgroup/system.slice/fulmar.service/memory.stat",
        "anon 1\ninactive_file 51200\nactive_file 9\n");
    assert_int_equal(process_memory_available_in(root), 150 << 10);
    put("sys/fs/cgroup/system.slice/memory.max", "20480\n"); /* that of the group above */
    put("sys/fs/cgroup/system.slice/memory.current", "10240\n");
    assert_int_equal(process_memory_available_in(root), 10 << 10);
    put("sys/fs/cgroup/system.slice/memory.current", "40960\n");
    assert_int_equal(process_memory_available_in(root), 0);
    put("sys/fs/cgroup/system.slice/memory.max", "max\n");
    put("sys/fs/cgroup/memory.max", "5120\n"); /* a container's own */
    put("sys/fs/cgroup/memory.current", "4096\n");
    assert_int_equal(process_memory_available_in(root), 1 << 10);
    put("proc/meminfo", "MemTotal:  900 kB\n");
    assert_int_equal(process_memory_available_in(root), -1);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

/* Small jobs come for ever, each a second long, on four slots; a large one fits beside none of them. */
static void one_that_fits_beside_no_others_has_its_turn(void **state)
{
    (void)state;
    enum { PATIENCE = 30000 };
    struct room_turn t = {0};
    int64_t waits_since = 5000, left[4] = {400, 300, 200, 100}, started = -1, now;
    for (now = 0; now < 120000 && started < 0; now += 100) {
        int64_t running = 0;
        for (int i = 0; i < 4; i++)
            running += (left[i] = left[i] > 100 ? left[i] - 100 : 0) > 0;
        for (int i = 0; i < 4 && started < 0; i++) {
            struct room r = room_begin(3 * GIB);
            for (int64_t n = 0; n < running; n++)
                room_add_job(&r, GIB, 0);
            struct room_offer offer = room_turn_offer(&t, &r);
            if (left[i] > 0 || offer.kind == ROOM_NOTHING)
                continue;
            if (offer.kind == ROOM_ANY && t.emptying) {
                assert_int_equal(t.bytes, 3 * GIB);
                room_made(&t, PATIENCE, now);
                started = now;
            } else { /* a small one was there, and started */
                left[i] = 1000;
                running++;
                (void)room_passed(&t, now - waits_since, now > waits_since ? 3 * GIB : 0,
                                  PATIENCE, now);
            }
        }
    }
    assert_true(started >= waits_since + PATIENCE);
    assert_true(started <= waits_since + PATIENCE + 2000); /* and the longest job */
    /* The next one has to wait for as long as that took, or as patience lasts. */
    assert_false(room_passed(&t, 90000, GIB, PATIENCE, started + PATIENCE - 1));
    assert_true(room_passed(&t, 90000, GIB, PATIENCE, started + PATIENCE));
    assert_false(
        room_passed(&t, 90000, GIB, PATIENCE, started + PATIENCE + 1)); /* it is under way */
    room_made(&t, PATIENCE, started + 200000);
    assert_false(room_passed(&t, 90000, GIB, PATIENCE, started + 200000 + 169999));
    assert_true(room_passed(&t, 90000, GIB, PATIENCE, started + 200000 + 170000));
}

static void nobody_empties_a_node_for_what_did_not_wait(void **state)
{
    (void)state;
    struct room_turn t = {0};
    struct room r = room_begin(GIB);
    assert_false(room_passed(&t, 29999, GIB, 30000, 100000));
    assert_false(room_passed(&t, 0, 0, 0, 100000)); /* nothing was passed over */
    room_add_job(&r, 64 * MIB, 0);
    assert_offer(room_turn_offer(&t, &r), ROOM_BYTES, GIB - 64 * MIB);
    assert_true(room_passed(&t, 30000, GIB, 30000, 100000));
    assert_offer(room_turn_offer(&t, &r), ROOM_NOTHING, 0);
    r = room_begin(GIB);
    assert_offer(room_turn_offer(&t, &r), ROOM_ANY, 0);
    room_add_question(&r, (struct room_offer){.kind = ROOM_ANY}, true);
    assert_offer(room_turn_offer(&t, &r), ROOM_NOTHING, 0);
}

/* What a job took for a moment is told, though nobody looked then. */
static void the_kernel_knows_the_most_that_a_process_had(void **state)
{
    (void)state;
    const size_t bytes = 64 << 20;
    pid_t own = getpid();
    int64_t before = process_most(own);
    assert_true(before > 0);
    char *taken = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(taken != MAP_FAILED);
    memset(taken, 1, bytes);
    munmap(taken, bytes);
    assert_true(process_most(own) >= process_resident(own) + (int64_t)bytes / 2);
    assert_int_equal(process_most(INT_MAX), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_many_idle_slots_offers_all),
        cmocka_unit_test(the_same_memory_is_offered_once),
        cmocka_unit_test(what_is_too_large_runs_alone),
        cmocka_unit_test(no_memory_and_unknown_memory_are_not_any),
        cmocka_unit_test(what_is_promised_is_there_or_runs_alone),
        cmocka_unit_test(the_limit_of_the_service_counts_as_the_machine_does),
        cmocka_unit_test(one_that_fits_beside_no_others_has_its_turn),
        cmocka_unit_test(the_kernel_knows_the_most_that_a_process_had),
        cmocka_unit_test(nobody_empties_a_node_for_what_did_not_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
