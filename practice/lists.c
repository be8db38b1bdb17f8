#include "lists.h"

#include "base/need.h"

/* What a hash is drawn for, beside those of the model. */
enum salt {
    SALT_FOLLOWERS = 0x2001,
    SALT_FOLLOWING,
    SALT_PEOPLE,
    SALT_GONE,
    SALT_LIST,
    SALT_THREAD,
    SALT_BRANCH,
    SALT_ANSWER,
};

/* ---- rows of accounts ---- */

static uint32_t shown(const struct account *a, int64_t count)
{
    return (uint32_t)(a->class == CLASS_COUNTED || count < CROWD_MAX ? count : CROWD_MAX);
}

static struct crowd crowd_of(const struct model *m, const struct account *a, bool followers)
{
    struct profile p;
    struct arena *arena = arena_new(1024 * 1024);
    model_profile(m, a, arena, &p);
    uint32_t count = shown(a, followers ? p.followers : p.following);
    arena_free(&arena);
    if (count > ACCOUNTS_NUMBERED)
        count = ACCOUNTS_NUMBERED;
    uint64_t salt = followers ? SALT_FOLLOWERS : SALT_FOLLOWING;
    return (struct crowd){model_mix(a->posts.key, salt, 0), count};
}

struct crowd lists_followers(const struct model *m, const struct account *a)
{
    return crowd_of(m, a, true);
}

struct crowd lists_following(const struct model *m, const struct account *a)
{
    return crowd_of(m, a, false);
}

struct crowd lists_people(const struct search *s)
{
    uint32_t count = s->past - s->first;
    return (struct crowd){model_mix(s->stream.key, SALT_PEOPLE, 0),
                          count < CROWD_MAX ? count : CROWD_MAX};
}

/* A step that shares no factor with the number of accounts reaches each once. */
bool lists_account(const struct model *m, const struct crowd *c, uint32_t index,
                   struct account *out)
{
    static const uint32_t odd[] = {1, 3, 7, 9};
    need(index < c->count);
    uint64_t step = (c->key >> 8) % 9999 * 10 + odd[c->key & 3];
    model_account_number(
        m, (uint32_t)((c->key % ACCOUNTS_NUMBERED + index * step) % ACCOUNTS_NUMBERED), out);
    return model_mix(c->key, SALT_GONE, index) % 61 != 7;
}

/* ---- lists and communities ---- */

bool lists_feed(const struct model *m, enum feed_kind kind, uint64_t id, struct search *out)
{
    uint64_t key = model_mix(id, SALT_LIST, kind);
    if (id % 1000 == 404)
        return false;
    model_feed(m, key, (uint32_t)(id < 100000 ? id : 50 + key % 400), out);
    return true;
}

/* ---- threads ---- */

void lists_thread(const struct model *m, const struct account *a, uint32_t index,
                  struct arena *arena, struct thread *out)
{
    const struct post *p = model_post(m, a, index, arena);
    uint64_t key = model_mix(m->seed ^ p->id, SALT_THREAD, 0);
    uint32_t branches = key % 6 == 0 ? 0 : 1 + (uint32_t)((key >> 8) % 55);
    *out = (struct thread){.focal = p,
                           .key = key,
                           .branches = branches,
                           .hidden_from = branches - branches / 5,
                           .above_gone = (key >> 20) % 8 == 0,
                           .end = (enum timeline_end)((key >> 24) % 3)};
}

const struct post *lists_thread_above(const struct model *m, const struct thread *t,
                                      struct arena *arena)
{
    struct account a;
    uint32_t index;
    if (!t->focal->reply_to_id || !model_status(m, t->focal->reply_to_id, &a, &index))
        return NULL;
    return model_post(m, &a, index, arena);
}

uint32_t lists_branch_length(const struct thread *t, uint32_t branch)
{
    uint64_t draw = model_mix(t->key, SALT_BRANCH, branch);
    if (draw % 19 == 3)
        return 0;
    return draw % 5 < 3 ? 1 : 2 + (uint32_t)((draw >> 8) % (BRANCH_MAX - 1));
}

/* Every second answer in a line is by the author of the focal post. */
const struct post *lists_branch_post(const struct model *m, const struct thread *t,
                                     uint32_t branch, uint32_t depth, struct arena *arena)
{
    const struct post *parent = t->focal;
    need(depth >= 1 && depth <= BRANCH_MAX);
    for (uint32_t k = 1; k <= depth; k++) {
        uint64_t key = model_mix(t->key, SALT_ANSWER, (uint64_t)branch * 16 + k);
        struct account author = t->focal->author;
        if (k % 2 == 1)
            model_account_number(m, (uint32_t)(key % ACCOUNTS_NUMBERED), &author);
        struct stream s = {.key = key,
                           .step_ms = 1000,
                           .count = 1,
                           .newest_ms =
                               t->focal->ms + 60000 * ((int64_t)branch * (BRANCH_MAX + 1) + k)};
        parent = model_answer(m, &author, &s, parent, t->focal->conversation_id, arena);
    }
    return parent;
}
