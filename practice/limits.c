#include "limits.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 8192, PROBES = 8 };
enum { OPEN_LIMIT = 500, OPEN_WINDOW_S = 900 }; /* what is shown when nothing is limited */

struct slot {
    uint64_t key;
    int64_t used, reset_s;
};
struct limits {
    pthread_mutex_t lock;
    int64_t calls, window_s;
    struct slot slots[SLOTS];
};

struct limits *limits_new(int64_t calls, int64_t window_s)
{
    struct limits *l = heap_new_of(struct limits);
    pthread_mutex_init(&l->lock, NULL);
    l->calls = calls;
    l->window_s = window_s;
    return l;
}

void limits_free(struct limits **l)
{
    if (!*l)
        return;
    pthread_mutex_destroy(&(*l)->lock);
    free(*l);
    *l = NULL;
}

/* The slot of this key, or the one nearest to its end among those it may take over. */
static struct slot *slot_for(struct limits *l, uint64_t key)
{
    struct slot *oldest = NULL;
    for (uint64_t i = 0; i < PROBES; i++) {
        struct slot *s = &l->slots[(key + i) % SLOTS];
        if (s->key == key)
            return s;
        if (!oldest || s->reset_s < oldest->reset_s)
            oldest = s;
    }
    *oldest = (struct slot){.key = key};
    return oldest;
}

/* In 15 minutes, each session by itself. */
static int64_t calls_of(const struct limits *l, struct span op)
{
    static const struct {
        const char *op;
        int64_t calls;
    } table[] = {{"UserTweets", 50},          {"UserTweetsAndReplies", 50},
                 {"SearchTimeline", 50},      {"Followers", 50},
                 {"UserByScreenName", 95},    {"TweetDetail", 150},
                 {"TweetResultByRestId", 150}};
    for (size_t i = 0; l->calls == LIMITS_OF_SITE && i < sizeof table / sizeof *table; i++)
        if (span_is(op, table[i].op))
            return table[i].calls;
    return l->calls == LIMITS_OF_SITE ? OPEN_LIMIT : l->calls;
}

bool limits_take(struct limits *l, struct span op, uint64_t key, wall now,
                 struct limit_state *out_state)
{
    int64_t calls = calls_of(l, op);
    int64_t now_s = now.ms / 1000;
    if (l->calls == 0) {
        *out_state = (struct limit_state){OPEN_LIMIT, OPEN_LIMIT - 1, now_s + OPEN_WINDOW_S};
        return true;
    }
    pthread_mutex_lock(&l->lock);
    struct slot *s = slot_for(l, key);
    if (now_s >= s->reset_s) {
        s->used = 0;
        s->reset_s = now_s + l->window_s;
    }
    bool allowed = s->used < calls;
    if (allowed)
        s->used++;
    *out_state = (struct limit_state){calls, calls - s->used, s->reset_s};
    pthread_mutex_unlock(&l->lock);
    return allowed;
}
