/* map.c - running a compiled map over one object. */
#include "extract/map.h"

#include "extract/expand.h"

enum { UNWRAP_MAX = 3 };

/* ---- loading: one walk, values into slots ---- */

static void walk(const struct trie *t, struct json v, struct json *slots);

static const struct trie *member_of(const struct trie *t, struct span key)
{
    const struct trie *k = t->by_hash ? t->by_hash[trie_hash(key)] : t->first;
    for (; k; k = t->by_hash ? k->hash_next : k->next)
        if (k->kind == STEP_MEMBER && span_eq(k->name, key))
            return k;
    return NULL;
}

/* Children that are not plain members: '*', and a select where the site sent an object. */
static void walk_others(const struct trie *t, struct span key, struct json v,
                        struct json *slots)
{
    for (const struct trie *k = t->first; k; k = k->next)
        if (k->kind == STEP_ANY || (k->kind == STEP_SELECT && span_eq(k->name, key)))
            walk(k, v, slots);
}

static void walk_object(const struct trie *t, struct json v, struct json *slots)
{
    unsigned found = 0;
    for (struct json_iter i = json_each(v); json_next(&i);) {
        const struct trie *k = t->members ? member_of(t, i.key) : NULL;
        if (k) {
            walk(k, i.value, slots);
            found++;
        }
        if (t->elements)
            walk_others(t, i.key, i.value, slots);
        else if (found == t->members)
            return;
    }
}

static void walk_element(const struct trie *t, size_t index, struct json v, struct json *slots)
{
    struct span asked = SPAN_NONE, word = SPAN_NONE;
    for (const struct trie *k = t->first; k; k = k->next) {
        if (k->kind == STEP_SELECT && !span_eq(asked, k->select_key)) {
            asked = k->select_key;
            if (!json_text(json_get(v, asked), &word))
                word = SPAN_NONE;
        }
        if (k->kind == STEP_ANY || (k->kind == STEP_INDEX && k->index == index) ||
            (k->kind == STEP_SELECT && span_eq(word, k->name)))
            walk(k, v, slots);
    }
}

/* Depth is that of the pack's paths, whatever the answer looks like. */
static void walk(const struct trie *t, struct json v, struct json *slots)
{
    enum json_type type = json_type(v);
    if (type == JSON_NULL || type == JSON_NONE)
        return;
    if (t->slot >= 0 && !slots[t->slot].doc)
        slots[t->slot] = v;
    if (!t->first)
        return;
    if (type == JSON_OBJECT) {
        walk_object(t, v, slots);
    } else if (type == JSON_ARRAY && t->elements) {
        size_t index = 0;
        for (struct json_iter i = json_each(v); index < MAP_LIST_MAX && json_next(&i); index++)
            walk_element(t, index, i.value, slots);
    }
}

static struct json unwrapped(const struct map *m, struct json v)
{
    for (int turn = 0; turn < UNWRAP_MAX; turn++) {
        struct json inner = JSON_MISSING;
        for (size_t i = 0; i < m->unwraps && !json_is(inner, JSON_OBJECT); i++)
            inner = json_get(v, m->unwrap[i]);
        if (!json_is(inner, JSON_OBJECT))
            return v;
        v = inner;
    }
    return v;
}

static void load_slots(const struct map *m, struct json v, struct json *slots)
{
    memset(slots, 0, m->slots * sizeof *slots);
    walk(&m->root, v, slots);
    for (const struct trie *k = m->root.first; k; k = k->next)
        if (k->lifted && !json_is(json_get(v, k->name), JSON_OBJECT))
            walk_object(k, v, slots);
}

static struct json first_of(const struct path_set *set, const struct json *slots)
{
    for (unsigned i = 0; i < set->count; i++)
        if (slots[set->slot[i]].doc)
            return slots[set->slot[i]];
    return JSON_MISSING;
}

static bool any_of(const struct path_set *set, const struct json *slots)
{
    return first_of(set, slots).doc != NULL;
}

/* A content object that lacks what a record needs is a stub: then the object's own content
 * counts. */
static bool content_usable(const struct map *m, const struct json *slots)
{
    for (size_t i = 0; i < m->needs; i++) {
        const struct field *f = m->need[i];
        bool there = f->kind != FIELD_VALUE;
        for (unsigned a = 0; a < f->alts && !there; a++)
            there = slots[f->alt[a].slot].doc != NULL;
        if (!there)
            return false;
    }
    return true;
}

bool map_load(const struct map *m, struct json object, struct frame *out)
{
    out->map = m;
    out->has_content = out->is_repost = false;
    object = unwrapped(m, object);
    load_slots(m, object, out->own);
    if (!json_is(object, JSON_OBJECT))
        return false;
    struct json content = first_of(&m->content, out->own);
    if (!json_is(content, JSON_OBJECT))
        return true;
    out->is_repost = true;
    load_slots(m, unwrapped(m, content), out->content);
    out->has_content = content_usable(m, out->content);
    return true;
}

/* ---- values ---- */

static const struct json *slots_of(const struct field *f, const struct frame *fr)
{
    return f->content && fr->has_content ? fr->content : fr->own;
}

/* when and unless are asked of the object itself; inside `content` of the content. */
static bool ruled_out(const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    return (f->when.count && !any_of(&f->when, slots)) || any_of(&f->unless, slots);
}

static void hit(struct map_run *run, const struct field *f, unsigned which, bool found)
{
    if (f->counter < 0 || !run->hits)
        return;
    struct field_hits *h = &run->hits[f->counter];
    if (!found) {
        h->missing++;
        return;
    }
    h->hits[which < FIELD_PATHS_MAX ? which : FIELD_PATHS_MAX - 1]++;
    run->fallbacks += which > 0;
}

static struct value words_value(struct span words, bool as_bool)
{
    if (!words.p)
        return NO_VALUE;
    if (as_bool)
        return (struct value){.kind = VALUE_BOOL, .number = span_is(words, "true")};
    return (struct value){.kind = VALUE_TEXT, .text = words};
}

static struct value plain_value(struct map_run *run, const struct field *f,
                                const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    for (unsigned i = 0; i < f->alts; i++) {
        const struct alternative *alt = &f->alt[i];
        if (alt->gate >= 0 && !slots[alt->gate].doc)
            continue;
        struct value v = convert(alt->as, alt->extra, slots[alt->slot], run->scratch);
        if (v.kind != VALUE_NONE || alt->gate >= 0) {
            hit(run, f, i, v.kind != VALUE_NONE);
            return v.kind != VALUE_NONE ? v : words_value(alt->otherwise, alt->as == CONV_BOOL);
        }
    }
    hit(run, f, 0, false);
    return words_value(f->otherwise, false);
}

static struct value pick_value(const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    for (size_t i = 0; i < f->pick_count; i++) {
        const struct pick *p = &f->picks[i];
        if ((!p->when.count || any_of(&p->when, slots)) && !any_of(&p->unless, slots))
            return words_value(p->is, f->as_bool);
    }
    return words_value(f->otherwise, f->as_bool);
}

static struct value template_value(struct map_run *run, const struct field *f,
                                   const struct frame *fr)
{
    struct buf b = BUF(4096);
    bool whole = true;
    for (size_t i = 0; i < f->part_count && whole; i++) {
        const struct template_part *p = &f->parts[i];
        if (p->words.p) {
            buf_add(&b, p->words);
        } else if (!p->field) {
            buf_add(&b, run->base_url);
        } else {
            struct field quiet = *p->field;
            quiet.counter = -1;
            struct value v = plain_value(run, &quiet, fr);
            whole = v.kind == VALUE_TEXT && v.text.n > 0;
            buf_add(&b, v.text);
        }
    }
    struct value v = whole && !b.failed
                         ? words_value(arena_keep(run->scratch, buf_span(&b)), false)
                         : NO_VALUE;
    buf_free(&b);
    return v.kind == VALUE_NONE && f->field_count ? template_value(run, &f->fields[0], fr) : v;
}

static struct value context_value(const struct map_run *run, enum context_word w)
{
    switch (w) {
    case CONTEXT_PINNED:
        /* Where the list pinned its own entry says nothing about a post inside it. */
        return run->depth > 0 ? NO_VALUE : (struct value){.kind = VALUE_BOOL, .number = run->pinned};
    case CONTEXT_OP:
        return words_value(run->op, false);
    case CONTEXT_COLLECTED_AT:
        return words_value(run->collected_at, false);
    case CONTEXT_SECTION:
        return words_value(run->section, false);
    }
    return NO_VALUE;
}

static struct value present_value(const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    bool there = false;
    for (unsigned i = 0; i < f->alts && !there; i++)
        there = slots[f->alt[i].slot].doc != NULL;
    return (struct value){.kind = VALUE_BOOL, .number = there};
}

struct value map_value(struct map_run *run, const struct field *f, const struct frame *fr)
{
    if (ruled_out(f, fr))
        return NO_VALUE;
    switch (f->kind) {
    case FIELD_VALUE:
        return plain_value(run, f, fr);
    case FIELD_CONST:
        return words_value(f->otherwise, false);
    case FIELD_PRESENT:
        return present_value(f, fr);
    case FIELD_PICK:
        return pick_value(f, fr);
    case FIELD_TEMPLATE:
        return template_value(run, f, fr);
    case FIELD_CONTEXT:
        return context_value(run, f->context);
    case FIELD_OBJECT:
    case FIELD_LIST:
    case FIELD_ITEMS:
    case FIELD_RECORD:
    case FIELD_EXPANDED:
        break;
    }
    return NO_VALUE;
}

bool map_complete(struct map_run *run, const struct frame *fr)
{
    for (size_t i = 0; i < fr->map->needs; i++) {
        struct field quiet = *fr->map->need[i];
        quiet.counter = -1;
        if (map_value(run, &quiet, fr).kind == VALUE_NONE)
            return false;
    }
    return true;
}

/* ---- checks ---- */

static bool snowflake_holds(struct json id, struct json time)
{
    struct span id_text, time_text;
    wall in_id, said;
    if (!json_text(id, &id_text) || !convert_snowflake(id_text, &in_id))
        return true; /* an old id carries no time: nothing to compare */
    if (!json_text(time, &time_text) || !when_parse_x(time_text, &said))
        return true;
    return in_id.ms / 1000 == said.ms / 1000;
}

static bool suffix_holds(struct json suffix, struct json of)
{
    struct span s, t;
    if (!json_text(suffix, &s) || !json_text(of, &t))
        return true;
    return span_ends(t, s);
}

static void run_checks(struct map_run *run, const struct map *m, const struct json *slots)
{
    for (size_t i = 0; i < m->check_count; i++) {
        const struct check *c = &m->checks[i];
        struct json a = first_of(&c->a, slots), b = first_of(&c->b, slots);
        bool holds =
            c->kind == CHECK_SNOWFLAKE_SECOND ? snowflake_holds(a, b) : suffix_holds(a, b);
        run->failed_check = run->failed_check || !holds;
    }
}

/* ---- writing ---- */

static void put_fields(struct map_run *run, const struct field *fields, size_t count,
                       const struct frame *fr);

static void put_value(struct json_w *w, struct value v)
{
    switch (v.kind) {
    case VALUE_NONE:
        json_put_null(w);
        return;
    case VALUE_TEXT:
        json_put_text(w, v.text);
        return;
    case VALUE_INT:
        json_put_int(w, v.number);
        return;
    case VALUE_BOOL:
        json_put_bool(w, v.number != 0);
        return;
    }
}

static void put_object(struct map_run *run, const struct field *f, const struct frame *fr)
{
    json_open(run->w);
    if (any_of(&f->blank_when, fr->own)) {
        for (size_t i = 0; i < f->field_count; i++) {
            json_key_span(run->w, f->fields[i].key);
            json_put_null(run->w);
        }
    } else {
        put_fields(run, f->fields, f->field_count, fr);
    }
    json_close(run->w);
}

static struct json list_of(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    for (unsigned i = 0; i < f->alts; i++) {
        const struct alternative *alt = &f->alt[i];
        if (alt->gate >= 0 && !slots[alt->gate].doc)
            continue;
        struct json list = slots[alt->slot];
        if (json_is(list, JSON_ARRAY) || alt->gate >= 0) {
            hit(run, f, i, json_is(list, JSON_ARRAY));
            return list;
        }
    }
    hit(run, f, 0, false);
    return JSON_MISSING;
}

static void put_element(struct map_run *run, const struct field *f, struct json v)
{
    const struct map *m = f->element;
    struct frame fr;
    fr.map = m;
    fr.has_content = false;
    load_slots(m, v, fr.own);
    run_checks(run, m, fr.own);
    if (f->scalar) {
        struct value one = map_value(run, &m->fields[0], &fr);
        if (one.kind != VALUE_NONE)
            put_value(run->w, one);
        return;
    }
    if (!json_is(v, JSON_OBJECT))
        return;
    json_open(run->w);
    put_fields(run, m->fields, m->field_count, &fr);
    json_close(run->w);
}

static void put_list(struct map_run *run, const struct field *f, const struct frame *fr)
{
    size_t taken = 0;
    json_open_array(run->w);
    struct json list = list_of(run, f, fr);
    for (struct json_iter i = json_each(list); taken < MAP_LIST_MAX && json_next(&i); taken++)
        put_element(run, f, i.value);
    json_close_array(run->w);
}

static void put_items(struct map_run *run, const struct field *f, const struct frame *fr)
{
    json_open_array(run->w);
    for (size_t i = 0; i < f->field_count; i++) {
        const struct field *item = &f->fields[i];
        struct field first = item->fields[0];
        first.counter = -1;
        if (map_value(run, &first, fr).kind != VALUE_NONE)
            put_object(run, item, fr);
    }
    json_close_array(run->w);
}

static void put_record(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    struct frame inner;
    struct json object = JSON_MISSING;
    for (unsigned i = 0; i < f->alts && !json_is(object, JSON_OBJECT); i++)
        object = slots[f->alt[i].slot];
    if (run->depth > 0 || !json_is(object, JSON_OBJECT) || !map_load(fr->map, object, &inner) ||
        !map_complete(run, &inner)) {
        json_put_null(run->w);
        return;
    }
    run->depth++;
    map_write(run, &inner);
    run->depth--;
}

static void put_expanded(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct json *slots = slots_of(f, fr);
    const struct expand_rule *x = f->expand;
    struct expand_names names = {x->url, x->expanded, x->indices, x->drop_url};
    for (unsigned i = 0; i < x->sources; i++) {
        struct span text;
        if (x->source[i].text < 0 || !json_text(slots[x->source[i].text], &text))
            continue;
        struct json links = x->source[i].links >= 0 ? slots[x->source[i].links] : JSON_MISSING;
        struct json drops[FIELD_PATHS_MAX];
        for (unsigned d = 0; d < x->drop.count; d++)
            drops[d] = slots[x->drop.slot[d]];
        struct buf b = BUF(MAP_RECORD_BYTES);
        expand_text(&b, text, x->source[i].escaped, links, drops, x->drop.count, &names);
        json_put_text(run->w, b.n ? buf_span(&b) : SPAN(""));
        buf_free(&b);
        hit(run, f, i, true);
        return;
    }
    hit(run, f, 0, false);
    json_put_null(run->w);
}

static void put_field(struct map_run *run, const struct field *f, const struct frame *fr)
{
    json_key_span(run->w, f->key);
    if (ruled_out(f, fr)) {
        json_put_null(run->w);
        return;
    }
    switch (f->kind) {
    case FIELD_OBJECT:
        put_object(run, f, fr);
        return;
    case FIELD_LIST:
        put_list(run, f, fr);
        return;
    case FIELD_ITEMS:
        put_items(run, f, fr);
        return;
    case FIELD_RECORD:
        put_record(run, f, fr);
        return;
    case FIELD_EXPANDED:
        put_expanded(run, f, fr);
        return;
    case FIELD_VALUE:
    case FIELD_CONST:
    case FIELD_PRESENT:
    case FIELD_PICK:
    case FIELD_TEMPLATE:
    case FIELD_CONTEXT:
        put_value(run->w, map_value(run, f, fr));
        return;
    }
}

static void put_fields(struct map_run *run, const struct field *fields, size_t count,
                       const struct frame *fr)
{
    for (size_t i = 0; i < count; i++)
        put_field(run, &fields[i], fr);
}

void map_write(struct map_run *run, const struct frame *fr)
{
    json_open(run->w);
    put_fields(run, fr->map->fields, fr->map->field_count, fr);
    json_close(run->w);
    run_checks(run, fr->map, fr->own);
}
