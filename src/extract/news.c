#include "extract/news.h"

#include "extract/map.h"

#include <stdio.h>
#include <string.h>

enum { NEWS_DEPTH = 8 };

struct look {
    struct news *news;
    char path[NEWS_NAME];
    size_t n;
    bool found;
};

static const struct trie *child_of(const struct trie *t, struct span key)
{
    const struct trie *k = t->by_hash ? t->by_hash[trie_hash(key)] : t->first;
    while (k && !(k->kind == STEP_MEMBER && span_eq(k->name, key)))
        k = t->by_hash ? k->hash_next : k->next;
    return k;
}

/* Where a member of the map is missing, its members may stand one level up. */
static const struct trie *known_of(const struct trie *t, struct span key)
{
    const struct trie *found = child_of(t, key);
    for (const struct trie *k = t->first; k && !found; k = k->next)
        if (k->lifted)
            found = child_of(k, key);
    return found;
}

/* The name comes from the site: only what a name may be made of is kept. */
static bool fit_for_a_name(struct span key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '$' || c == ':'))
            return false;
    }
    return key.n > 0;
}

static void note(struct look *l, struct span key)
{
    struct news *n = l->news;
    char name[NEWS_NAME];
    if (!fit_for_a_name(key) || l->n + key.n >= sizeof name)
        return;
    memcpy(name, l->path, l->n);
    memcpy(name + l->n, key.p, key.n);
    name[l->n + key.n] = '\0';
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->row[i].name, name) == 0) {
            n->row[i].count++;
            return;
        }
    if (n->count >= NEWS_MAX)
        return;
    memcpy(n->row[n->count].name, name, sizeof name);
    n->row[n->count].told = 0;
    n->row[n->count++].count = 1;
}

static void look_at(struct look *l, const struct trie *t, struct json v, int depth)
{
    size_t outer = l->n;
    for (struct json_iter i = json_each(v); json_next(&i);) {
        const struct trie *k = known_of(t, i.key);
        if (!k) {
            l->found = true;
            note(l, i.key);
            continue;
        }
        if (!k->first || k->open || depth >= NEWS_DEPTH || !json_is(i.value, JSON_OBJECT) ||
            l->n + i.key.n + 1 >= sizeof l->path)
            continue;
        memcpy(l->path + l->n, i.key.p, i.key.n);
        l->n += i.key.n;
        l->path[l->n++] = '.';
        look_at(l, k, i.value, depth + 1);
        l->n = outer;
    }
}

bool news_look(struct news *n, const struct map *m, struct json object)
{
    struct look l = {.news = n};
    if (!m->known || !json_is(object, JSON_OBJECT))
        return false;
    int length = snprintf(l.path, sizeof l.path, "%.*s.", SP(span_cut(m->name, 0, 32)));
    l.n = length > 0 ? (size_t)length : 0;
    look_at(&l, m->known, object, 0);
    return l.found;
}

void news_note(struct news *n, struct span where, struct span word)
{
    struct look l = {.news = n};
    char plain[48];
    size_t used = 0;
    for (size_t i = 0; i < word.n && used + 1 < sizeof plain; i++)
        plain[used++] = word.p[i] == ' ' || word.p[i] == '\'' ? '_' : word.p[i];
    int length = snprintf(l.path, sizeof l.path, "%.*s.", SP(span_cut(where, 0, 32)));
    l.n = length > 0 ? (size_t)length : 0;
    note(&l, (struct span){plain, used});
}
