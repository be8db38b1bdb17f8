/* products.c - what the records of a target are: posts, users, or what a product of it says. */
#include "extract/site.h"

#include "base/text.h"

enum { PRODUCTS_MAX = 16 };

static bool read_users(struct form *f, const struct ynode *n)
{
    static const char *const words[] = {"posts", "users", NULL};
    const struct ynode *records = ynode_find(n, "records");
    return records && form_word(f, records, "kind of record", words) == 1;
}

/* Which of the target's strategies can show it; without the word all of them. */
static void read_reads(struct form *f, const struct ynode *n, struct product *p)
{
    const char *const names[] = {plan_strategy_name(PLAN_CAPTURE), plan_strategy_name(PLAN_DOM),
                                 plan_strategy_name(PLAN_FETCH), NULL};
    const struct ynode *list = form_list(f, n, "strategies", false);
    for (const struct ynode *k = list ? list->first : NULL; k && !f->failed; k = k->next) {
        int which = form_word(f, k, "strategy", names);
        if (which >= 0)
            p->reads[which] = p->has_reads = true;
    }
}

static void read_product(struct form *f, const struct ynode *n, struct product *p)
{
    static const char *const keys[] = {"value",   "records",   "order", "strategies",
                                       "sources", "shown_url", NULL};
    static const char *const orders[] = {"time", "ranked", NULL};
    if (!form_keys(f, n, "a product", keys))
        return;
    p->name = n->key;
    p->value = form_text(f, n, "value", false);
    p->shown_url = form_text(f, n, "shown_url", false);
    p->users = read_users(f, n);
    const struct ynode *order = ynode_find(n, "order");
    p->ranked = order && form_word(f, order, "order", orders) == 1;
    read_reads(f, n, p);
    p->source_count = form_texts(f, n, "sources", false, &p->source_names);
}

void target_read_records(struct form *f, const struct ynode *n, struct target *t)
{
    const struct ynode *map = form_map(f, n, "products", false);
    t->users = read_users(f, n);
    t->thread = form_bool(f, n, "thread", false);
    t->depth = form_bool(f, n, "depth", t->thread);
    if (!map || f->failed)
        return;
    if (map->count > PRODUCTS_MAX || map->count == 0) {
        form_wrong(f, map, "'products' names 1 to %d products", PRODUCTS_MAX);
        return;
    }
    struct product *rows = arena_get(f->arena, map->count * sizeof *rows);
    struct span *names = arena_get(f->arena, map->count * sizeof *names);
    for (const struct ynode *k = map->first; k && !f->failed; k = k->next) {
        names[t->product_count] = k->key;
        read_product(f, k, &rows[t->product_count++]);
    }
    t->products = rows;
    t->product_names = names;
    if (!f->failed && span_find(t->url, SPAN("{product}")) == t->url.n)
        form_wrong(f, map, "a target with products needs '{product}' in its 'url'");
}

err target_product(const struct target *t, struct span name, const struct product **out,
                   struct fault *f)
{
    const char *words[PRODUCTS_MAX + 1] = {NULL};
    char texts[PRODUCTS_MAX][64], list[160];
    *out = t->product_count ? &t->products[0] : NULL;
    if (!name.n)
        return E_OK;
    if (!t->product_count)
        return fail(f, E_BAD_INPUT, "%.*s has no products to choose from", SP(t->kind));
    struct buf all = BUF(sizeof list - 1);
    for (size_t i = 0; i < t->product_count; i++) {
        words[i] = span_copy(t->products[i].name, texts[i], sizeof texts[i]);
        buf_fmt(&all, "%s%s", i ? ", " : "", words[i]);
        if (span_eq(t->products[i].name, name)) {
            *out = &t->products[i];
            buf_free(&all);
            return E_OK;
        }
    }
    span_copy(buf_span(&all), list, sizeof list);
    buf_free(&all);
    const char *near = text_nearest(name, words);
    if (near)
        return fail(f, E_BAD_INPUT, "unknown product of %.*s; did you mean '%s'?", SP(t->kind),
                    near);
    return fail(f, E_BAD_INPUT, "unknown product of %.*s; there are: %s", SP(t->kind), list);
}

err pack_product(const struct pack *p, struct span kind, struct span product,
                 struct span *out_name, bool *out_users, struct fault *f)
{
    const struct target *t = NULL;
    const struct product *chosen = NULL;
    err e = pack_find_target(p, kind, &t, f);
    if (!e)
        e = target_product(t, product, &chosen, f);
    if (e)
        return e;
    *out_name = chosen ? chosen->name : SPAN_NONE;
    *out_users = chosen ? chosen->users : t->users;
    return E_OK;
}

bool pack_has_depth(const struct pack *p, struct span kind)
{
    const struct target *t = NULL;
    return !pack_find_target(p, kind, &t, NULL) && t->depth;
}
