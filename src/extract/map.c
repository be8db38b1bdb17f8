/* map.c - running a compiled map over one object or element. */
#include "extract/map.h"

#include "extract/expand.h"
#include "extract/format.h"
#include "extract/news.h"

enum { UNWRAP_MAX = 3 };

/* ---- loading: one walk, values into slots ---- */

static void walk(const struct trie *t, struct json v, struct place *slots);

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
                        struct place *slots)
{
    for (const struct trie *k = t->others; k; k = k->next_other)
        if (k->kind == STEP_ANY || span_eq(k->name, key))
            walk(k, v, slots);
}

static void walk_object(const struct trie *t, struct json v, struct place *slots)
{
    unsigned found = 0;
    for (struct json_iter i = json_each(v); json_next(&i);) {
        const struct trie *k = t->members ? member_of(t, i.key) : NULL;
        if (k) {
            walk(k, i.value, slots);
            found++;
        }
        if (t->others)
            walk_others(t, i.key, i.value, slots);
        else if (found == t->members)
            return;
    }
}

static void walk_element(const struct trie *t, size_t index, bool last, struct json v,
                         struct place *slots)
{
    struct span asked = SPAN_NONE, word = SPAN_NONE;
    for (const struct trie *k = t->first; k; k = k->next) {
        if (k->kind == STEP_SELECT && !span_eq(asked, k->select_key)) {
            asked = k->select_key;
            if (!json_text(json_get(v, asked), &word))
                word = SPAN_NONE;
        }
        if (k->kind == STEP_ANY || (k->kind == STEP_LAST && last) ||
            (k->kind == STEP_INDEX && k->index == index) ||
            (k->kind == STEP_SELECT && span_eq(word, k->name)))
            walk(k, v, slots);
    }
}

/* Of several elements the first counts, and something true before something false. */
static bool is_false(struct json v)
{
    bool b = true;
    return json_bool(v, &b) && !b;
}

/* Depth is that of the pack's paths, whatever the answer looks like. */
static void walk(const struct trie *t, struct json v, struct place *slots)
{
    enum json_type type = json_type(v);
    if (type == JSON_NULL || type == JSON_NONE)
        return;
    if (t->slot >= 0 && (!slots[t->slot].json.doc || is_false(slots[t->slot].json)))
        slots[t->slot].json = v;
    if (!t->first)
        return;
    if (type == JSON_OBJECT) {
        walk_object(t, v, slots);
    } else if (type == JSON_ARRAY && t->elements) {
        size_t index = 0, count = t->last ? json_count(v) : 0;
        for (struct json_iter i = json_each(v); index < MAP_LIST_MAX && json_next(&i); index++)
            walk_element(t, index, index + 1 == count, i.value, slots);
    }
}

static struct json held_in(const struct map *m, struct json v)
{
    struct json inner = JSON_MISSING;
    for (size_t i = 0; i < m->unwraps && !json_is(inner, JSON_OBJECT); i++)
        inner = json_get(v, m->unwrap[i]);
    return inner;
}

static struct json looks_like_one(const struct map *m, struct json v)
{
    for (struct json_iter i = json_each(v); json_next(&i);)
        if (json_is(i.value, JSON_OBJECT) && (json_get(i.value, m->unwrap_with).doc ||
                                              json_is(held_in(m, i.value), JSON_OBJECT)))
            return i.value;
    return JSON_MISSING;
}

/* The object that holds the record: the pack's `unwrap` members taken off, or, where it is in none that is
 * known, the first object inside that looks like one. */
static struct json unwrapped(const struct map *m, struct json v, bool *out_found_inside)
{
    *out_found_inside = false;
    for (int turn = 0; turn < UNWRAP_MAX; turn++) {
        struct json inner = held_in(m, v);
        if (!inner.doc && m->unwrap_with.n && json_is(v, JSON_OBJECT) &&
            !json_get(v, m->unwrap_with).doc) {
            inner = looks_like_one(m, v);
            *out_found_inside |= inner.doc != NULL;
        }
        if (!json_is(inner, JSON_OBJECT))
            return v;
        v = inner;
    }
    return v;
}

/* One level up stand other things as well: only what is called by its name is meant. */
static void walk_lifted(const struct trie *t, struct json v, struct place *slots)
{
    for (struct json_iter i = json_each(v); json_next(&i);) {
        const struct trie *k = member_of(t, i.key);
        if (k)
            walk(k, i.value, slots);
    }
}

static bool load_slots(const struct map *m, struct json v, struct place *slots)
{
    memset(slots, 0, m->slots * sizeof *slots);
    walk(&m->root, v, slots);
    bool lifted = false;
    for (const struct trie *k = m->root.first; k; k = k->next)
        if (k->lifted && !json_is(json_get(v, k->name), JSON_OBJECT)) {
            walk_lifted(k, v, slots);
            lifted = true;
        }
    return lifted;
}

static struct place first_of(const struct path_set *set, const struct place *slots)
{
    for (unsigned i = 0; i < set->count; i++)
        if (place_is_there(slots[set->slot[i]]))
            return slots[set->slot[i]];
    return (struct place){0};
}

static bool any_of(const struct path_set *set, const struct place *slots)
{
    return place_is_there(first_of(set, slots));
}

/* A content object that lacks what a record needs is a stub: then the object's own content
 * counts. */
static bool content_usable(const struct map *m, const struct place *slots)
{
    for (size_t i = 0; i < m->needs; i++) {
        const struct field *f = m->need[i];
        bool there = f->kind != FIELD_VALUE;
        for (unsigned a = 0; a < f->alts && !there; a++)
            there = place_is_there(slots[f->alt[a].slot]);
        if (!there)
            return false;
    }
    return true;
}

bool map_load(const struct map *m, struct json object, struct frame *out)
{
    bool inside = false;
    out->map = m;
    out->has_content = out->is_repost = false;
    out->content_object = JSON_MISSING;
    out->object = object = unwrapped(m, object, &inside);
    bool lifted = load_slots(m, object, out->own);
    out->shape = lifted ? SHAPE_LIFTED : inside ? SHAPE_INSIDE : SHAPE_USUAL;
    if (!json_is(object, JSON_OBJECT))
        return false;
    struct json content = first_of(&m->content, out->own).json;
    if (!json_is(content, JSON_OBJECT))
        return true;
    out->is_repost = true;
    out->content_object = unwrapped(m, content, &inside);
    (void)load_slots(m, out->content_object, out->content);
    out->has_content = content_usable(m, out->content);
    return true;
}

void map_look(struct map_run *run, const struct frame *fr)
{
    run->strange = false;
    if (!run->news || fr->map->locator != MAP_JSON)
        return;
    run->strange = news_look(run->news, fr->map, fr->object);
    if (fr->has_content && news_look(run->news, fr->map, fr->content_object))
        run->strange = true;
}

static void ask_paths(struct map_run *run, const struct map *m, struct html_node node,
                      bool early, struct place *slots)
{
    for (size_t i = 0; i < m->slots; i++)
        if (m->paths[i].early == early)
            slots[i].html = html_find(run->doc, m->paths[i].path, node, run->scratch);
}

/* What `record` finds leaves the document before most paths are asked. */
static void load_paths(struct map_run *run, const struct map *m, struct html_node node,
                       struct place *slots)
{
    memset(slots, 0, m->slots * sizeof *slots);
    ask_paths(run, m, node, true, slots);
    for (size_t i = 0; i < m->slots; i++)
        for (size_t k = 0; m->paths[i].record && slots[i].html && k < slots[i].html->count; k++)
            html_cut(run->doc, slots[i].html->nodes[k]);
    ask_paths(run, m, node, false, slots);
}

bool map_load_node(struct map_run *run, const struct map *m, struct html_node node,
                   struct frame *out)
{
    out->map = m;
    out->has_content = out->is_repost = false;
    out->shape = SHAPE_USUAL;
    out->object = out->content_object = JSON_MISSING;
    load_paths(run, m, node, out->own);
    return html_is_element(node);
}

/* ---- values ---- */

static const struct place *slots_of(const struct field *f, const struct frame *fr)
{
    bool content = f->of_content ? fr->is_repost : f->content && fr->has_content;
    return content ? fr->content : fr->own;
}

/* when and unless are asked of the object itself; inside `content` of the content. */
static bool ruled_out(const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    return (f->of_content && !fr->is_repost) || (f->when.count && !any_of(&f->when, slots)) ||
           any_of(&f->unless, slots);
}

static void count(struct map_run *run, int counter, unsigned which, bool found)
{
    if (counter < 0 || !run->hits)
        return;
    struct field_hits *h = &run->hits[counter];
    if (!found) {
        h->missing++;
        return;
    }
    h->hits[which < FIELD_PATHS_MAX ? which : FIELD_PATHS_MAX - 1]++;
    run->fallbacks += which > 0;
}

static void hit(struct map_run *run, const struct field *f, unsigned which, bool found)
{
    count(run, f->counter, which, found);
}

static struct value words_value(struct span words, bool as_bool)
{
    if (!words.p)
        return NO_VALUE;
    if (as_bool)
        return (struct value){.kind = VALUE_BOOL, .number = span_is(words, "true")};
    return (struct value){.kind = VALUE_TEXT, .text = words};
}

/* What the map says in place of a value, as the conversion would have given it. */
static struct value stated_value(struct span words, enum conversion as)
{
    int64_t n = 0;
    bool counts = as == CONV_INT || as == CONV_COUNT || as == CONV_COUNT_TEXT;
    if (counts && span_int(words, &n))
        return (struct value){.kind = VALUE_INT, .number = n};
    return words_value(words, as == CONV_BOOL);
}

static struct value converted(struct map_run *run, const struct alternative *alt,
                              struct place p)
{
    if (!p.html)
        return convert(alt->as, alt->extra, p.json, run->scratch);
    struct span text = p.html->text;
    if (!text.p)
        text = html_text(run->doc, place_node(p), run->scratch);
    if (alt->as == CONV_WHOLE_URL && !format_is_url(span_trim(text)))
        text = html_whole_url(place_node(p), span_trim(text), run->page_url, run->scratch);
    return text.p ? convert_text(alt->as, alt->extra, text, run->scratch) : NO_VALUE;
}

static bool gate_open(const struct alternative *alt, const struct place *slots)
{
    struct span word;
    if (alt->gate < 0)
        return true;
    struct place gate = slots[alt->gate];
    return alt->gate_is.p ? json_text(gate.json, &word) && span_eq(word, alt->gate_is)
                          : place_is_there(gate);
}

static struct value plain_value(struct map_run *run, const struct field *f,
                                const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    for (unsigned i = 0; i < f->alts; i++) {
        const struct alternative *alt = &f->alt[i];
        if (!gate_open(alt, slots))
            continue;
        struct value v = converted(run, alt, slots[alt->slot]);
        if (v.kind != VALUE_NONE || alt->gate >= 0) {
            hit(run, f, i, v.kind != VALUE_NONE);
            return v.kind != VALUE_NONE ? v : stated_value(alt->otherwise, alt->as);
        }
    }
    hit(run, f, 0, false);
    return words_value(f->otherwise, false);
}

static bool differ(const struct path_set *of, const struct path_set *with,
                   const struct place *slots)
{
    struct span a, b;
    return json_text(first_of(of, slots).json, &a) &&
           json_text(first_of(with, slots).json, &b) && !span_eq(a, b);
}

/* What follows the end of a text that was cut is the link of its files. */
static struct span without_links(struct span text)
{
    for (;;) {
        size_t at = text.n;
        text = span_trim(text);
        while (at > 0 && text.n && at <= text.n && text.p[at - 1] != ' ' &&
               text.p[at - 1] != '\n')
            at--;
        struct span last = span_cut(text, at < text.n ? at : 0, text.n);
        if (!span_starts(last, SPAN("https://")) || last.n == text.n)
            return text;
        text = span_cut(text, 0, text.n - last.n);
    }
}

static bool ends(const struct pick *p, const struct place *slots)
{
    struct span text;
    return json_text(first_of(&p->ends, slots).json, &text) && text.n >= p->least &&
           span_ends(without_links(text), p->word);
}

static bool holds(const struct pick *p, const struct place *slots)
{
    return (!p->when.count || any_of(&p->when, slots)) && !any_of(&p->unless, slots) &&
           (!p->of.count || differ(&p->of, &p->with, slots)) &&
           (!p->ends.count || ends(p, slots));
}

static struct value pick_value(const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    for (size_t i = 0; i < f->pick_count; i++)
        if (holds(&f->picks[i], slots))
            return words_value(f->picks[i].is, f->as_bool);
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

static struct value place_value(const struct map_run *run, int64_t n)
{
    return run->depth > 0 || n < 0 ? NO_VALUE : (struct value){.kind = VALUE_INT, .number = n};
}

static struct value context_value(const struct map_run *run, enum context_word w)
{
    switch (w) {
    case CONTEXT_PINNED:
        /* Where the list pinned its own entry says nothing about a post inside it. */
        return run->depth > 0 ? NO_VALUE
                              : (struct value){.kind = VALUE_BOOL, .number = run->pinned};
    case CONTEXT_OP:
        return words_value(run->op, false);
    case CONTEXT_COLLECTED_AT:
        return words_value(run->collected_at, false);
    case CONTEXT_SECTION:
        return words_value(run->section, false);
    case CONTEXT_PAGE:
        return place_value(run, run->page);
    case CONTEXT_INDEX:
        return place_value(run, run->index);
    }
    return NO_VALUE;
}

static struct value present_value(struct map_run *run, const struct field *f,
                                  const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    unsigned i = 0;
    while (i < f->alts && !place_is_there(slots[f->alt[i].slot]))
        i++;
    if (i < f->alts)
        hit(run, f, i, true);
    return (struct value){.kind = VALUE_BOOL, .number = i < f->alts};
}

static struct value same_value(const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    struct span a, b;
    if (!json_text(first_of(&f->picks->when, slots).json, &a) ||
        !json_text(first_of(&f->picks->unless, slots).json, &b))
        return NO_VALUE;
    return (struct value){.kind = VALUE_BOOL, .number = span_eq(a, b)};
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
        return present_value(run, f, fr);
    case FIELD_PICK:
        return pick_value(f, fr);
    case FIELD_TEMPLATE:
        return template_value(run, f, fr);
    case FIELD_CONTEXT:
        return context_value(run, f->context);
    case FIELD_SAME:
        return same_value(f, fr);
    case FIELD_FLAGS:
    case FIELD_OBJECT:
    case FIELD_LIST:
    case FIELD_ITEMS:
    case FIELD_RECORD:
    case FIELD_EXPANDED:
    case FIELD_READ:
        break;
    }
    return NO_VALUE;
}

static bool says_so(const struct map_says *says, const struct frame *fr)
{
    struct place p = first_of(&says->when, fr->own);
    struct span word;
    if (!says->word_count)
        return place_is_there(p) && !is_false(p.json);
    for (size_t i = 0; json_text(p.json, &word) && i < says->word_count; i++)
        if (span_eq(word, says->words[i]))
            return true;
    return false;
}

struct span map_state(const struct frame *fr)
{
    for (size_t i = 0; i < fr->map->says_count; i++)
        if (says_so(&fr->map->says[i], fr))
            return fr->map->says[i].state;
    return SPAN_NONE;
}

void map_count_missing(struct map_run *run, const struct frame *fr)
{
    const struct map *m = fr->map;
    for (size_t i = 0; i < m->needs; i++) {
        struct field quiet = *m->need[i];
        quiet.counter = -1;
        if (map_value(run, &quiet, fr).kind == VALUE_NONE)
            hit(run, m->need[i], 0, false);
    }
}

bool map_complete(struct map_run *run, const struct frame *fr)
{
    const struct map *m = fr->map;
    bool inner = run->depth > 0 && m->inner_needs;
    for (size_t i = 0; i < (inner ? m->inner_needs : m->needs); i++) {
        struct field quiet = inner ? *m->inner_need[i] : *m->need[i];
        quiet.counter = -1;
        if (map_value(run, &quiet, fr).kind == VALUE_NONE)
            return false;
    }
    return true;
}

/* ---- checks ---- */

/* A time as the site sends it, without the way over our own form: most records are checked so. */
static enum check_result check_by_x(const struct check *c, const struct frame *fr)
{
    struct span id, time;
    wall said;
    if (!json_text(first_of(&c->id_at, fr->own).json, &id) ||
        !json_text(first_of(&c->time_at, fr->own).json, &time) || !when_parse_x(time, &said))
        return CHECK_NA;
    return check_snowflake(id, said, c->within_s);
}

static bool above_zero(const struct path_set *set, const struct place *slots)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct value v = convert(CONV_COUNT, NULL, slots[set->slot[i]].json, NULL);
        if (v.kind == VALUE_INT && v.number > 0)
            return true;
    }
    return false;
}

static enum check_result check_values(struct map_run *run, const struct check *c,
                                      const struct frame *fr)
{
    if (any_of(&c->unless, fr->own) || above_zero(&c->zero, fr->own))
        return CHECK_NA;
    struct value of = plain_value(run, &c->of, fr), against = plain_value(run, &c->against, fr);
    struct check_input in = {.argument = c->argument, .within_s = c->within_s};
    in.of = of.kind == VALUE_TEXT ? of.text : SPAN_NONE;
    in.against = against.kind == VALUE_TEXT ? against.text : SPAN_NONE;
    return check_apply(check_row(c->id)->rule, &in);
}

static void run_checks(struct map_run *run, const struct frame *fr)
{
    const struct map *m = fr->map;
    for (size_t i = 0; i < m->check_count; i++) {
        const struct check *c = &m->checks[i];
        check_note(&run->checks, c->id, c->by_x ? check_by_x(c, fr) : check_values(run, c, fr));
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
    case VALUE_REAL:
        json_put_real(w, v.real);
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

static bool is_list(struct place p)
{
    return json_is(p.json, JSON_ARRAY) || (p.html && p.html->count);
}

/* *which: of its paths; all of them when there is none. */
static struct place list_of(const struct field *f, const struct frame *fr, unsigned *which)
{
    const struct place *slots = slots_of(f, fr);
    for (*which = 0; *which < f->alts; (*which)++) {
        const struct alternative *alt = &f->alt[*which];
        if (!gate_open(alt, slots))
            continue;
        struct place list = slots[alt->slot];
        if (is_list(list))
            return list;
        if (alt->gate >= 0) {
            *which = json_is(list.json, JSON_OBJECT) ? *which : f->alts;
            return list;
        }
    }
    return (struct place){0};
}

static bool is_of_a_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool has_name(struct span text, struct span sign)
{
    for (size_t at = 0; at < text.n;) {
        size_t next = at + span_find(span_cut(text, at, text.n), sign);
        bool begins = next == 0 || (!is_of_a_name(text.p[next - 1]) && text.p[next - 1] != '/');
        if (next < text.n && begins && next + sign.n < text.n &&
            is_of_a_name(text.p[next + sign.n]))
            return true;
        at = next + sign.n;
    }
    return false;
}

/* "#name" in a text beside members that nobody knows: the list of names may be one of these. */
static bool is_doubtful(const struct map_run *run, const struct field *f,
                        const struct frame *fr)
{
    struct span text;
    if (f->doubt && holds(f->doubt, slots_of(f, fr)))
        return true;
    return f->sign.n && run->strange &&
           json_text(first_of(&f->sign_in, slots_of(f, fr)).json, &text) &&
           has_name(text, f->sign);
}

/* False: an element that has to have a value has none that can be read. */
static bool put_element(struct map_run *run, const struct field *f, const struct frame *fr,
                        bool is_object)
{
    const struct map *m = fr->map;
    if (m->only.count && !any_of(&m->only, fr->own))
        return true;
    run_checks(run, fr);
    if (f->scalar) {
        struct value one = map_value(run, &m->fields[0], fr);
        if (one.kind != VALUE_NONE)
            put_value(run->w, one);
        return one.kind != VALUE_NONE;
    }
    if (!is_object)
        return true;
    json_open(run->w);
    put_fields(run, m->fields, m->field_count, fr);
    json_close(run->w);
    return true;
}

static bool put_elements(struct map_run *run, const struct field *f, struct place list)
{
    size_t taken = 0;
    bool fine = true;
    struct frame fr;
    fr.map = f->element;
    fr.has_content = fr.is_repost = false;
    if (json_is(list.json, JSON_OBJECT)) { /* behind a gate: the one element there is */
        (void)load_slots(f->element, list.json, fr.own);
        return put_element(run, f, &fr, true);
    }
    for (struct json_iter i = json_each(list.json);
         fine && taken < MAP_LIST_MAX && json_next(&i); taken++) {
        (void)load_slots(f->element, i.value, fr.own);
        fine = put_element(run, f, &fr, json_is(i.value, JSON_OBJECT));
    }
    for (size_t i = 0; fine && list.html && i < list.html->count && i < MAP_LIST_MAX; i++) {
        load_paths(run, f->element, list.html->nodes[i], fr.own);
        fine = put_element(run, f, &fr, true);
    }
    return fine;
}

/* A list with an element that cannot be read is unknown: without it, it would say something else. */
static void put_list(struct map_run *run, const struct field *f, const struct frame *outer)
{
    struct json_w before = *run->w;
    size_t at = run->w->out->n;
    unsigned which = 0;
    struct place list = list_of(f, outer, &which);
    json_open_array(run->w);
    bool fine = put_elements(run, f, list);
    json_close_array(run->w);
    hit(run, f, which, fine && which < f->alts);
    if (fine && (which < f->alts || !is_doubtful(run, f, outer)))
        return;
    *run->w = before;
    run->w->out->n = run->w->out->failed ? run->w->out->n : at;
    json_put_null(run->w);
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

/* The inner record's place, loaded; false when there is none. */
static bool load_record(struct map_run *run, const struct field *f, const struct frame *fr,
                        struct frame *out)
{
    const struct place *slots = slots_of(f, fr);
    for (unsigned i = 0; i < f->alts; i++) {
        struct place p = slots[f->alt[i].slot];
        if (json_is(p.json, JSON_OBJECT))
            return map_load(fr->map, p.json, out);
        if (place_node(p).at)
            return map_load_node(run, fr->map, place_node(p), out);
    }
    return false;
}

/* What is known of a record that is not there. */
static void put_missing(struct map_run *run, const struct field *f, const struct frame *fr)
{
    if (f->field_count == 0 || ruled_out(&f->fields[0], fr))
        json_put_null(run->w);
    else
        put_object(run, &f->fields[0], fr);
}

static void put_record(struct map_run *run, const struct field *f, const struct frame *fr)
{
    struct frame inner;
    if (run->depth > 0 || !load_record(run, f, fr, &inner)) {
        put_missing(run, f, fr);
        return;
    }
    struct check_sheet outer = run->checks;
    bool strange = run->strange;
    run->checks = (struct check_sheet){0};
    run->depth++;
    bool complete = map_complete(run, &inner);
    map_look(run, &inner);
    if (complete)
        map_write(run, &inner);
    run->depth--;
    run->checks = outer;
    run->strange = strange;
    if (!complete)
        put_missing(run, f, fr);
}

static void put_read(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    for (unsigned i = 0; i < f->alts; i++) {
        struct html_node n = place_node(slots[f->alt[i].slot]);
        if (!n.at)
            continue;
        struct buf b = BUF(HTML_TEXT_MAX);
        html_read(run->doc, n, &f->instead, &b);
        struct span text = b.n ? span_trim(buf_span(&b)) : SPAN("");
        json_put_text(run->w, text.n ? text : SPAN(""));
        buf_free(&b);
        hit(run, f, i, true);
        return;
    }
    hit(run, f, 0, false);
    put_value(run->w, words_value(f->otherwise, false));
}

static void put_expanded(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    const struct expand_rule *x = f->expand;
    struct expand_names names = {.url = x->url,
                                 .expanded = x->expanded,
                                 .indices = x->indices,
                                 .drop_url = x->drop_url,
                                 .from = x->from,
                                 .to = x->to,
                                 .each = x->each,
                                 .every = x->every};
    for (unsigned i = 0; i < x->sources; i++) {
        struct span text;
        if (x->source[i].text < 0 || !json_text(slots[x->source[i].text].json, &text))
            continue;
        struct json links =
            x->source[i].links >= 0 ? slots[x->source[i].links].json : JSON_MISSING;
        struct json drops[FIELD_PATHS_MAX];
        for (unsigned d = 0; d < x->drop.count; d++)
            drops[d] = slots[x->drop.slot[d]].json;
        struct buf b = BUF(MAP_RECORD_BYTES);
        int left =
            expand_text(&b, text, x->source[i].escaped, links, drops, x->drop.count, &names);
        if (left >= 0)
            check_note(&run->checks, CHECK_LINKS, left ? CHECK_FAIL : CHECK_OK);
        json_put_text(run->w, b.n ? buf_span(&b) : SPAN(""));
        buf_free(&b);
        hit(run, f, i, true);
        return;
    }
    hit(run, f, 0, false);
    json_put_null(run->w);
}

static bool is_true(struct place p)
{
    return place_is_there(p) && !is_false(p.json);
}

static void put_flags(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    json_open_array(run->w);
    for (size_t i = 0; i < f->pick_count; i++) {
        const struct pick *p = &f->picks[i];
        bool set = false;
        for (unsigned k = 0; k < p->when.count; k++)
            set = set || is_true(slots[p->when.slot[k]]);
        if (set)
            json_put_text(run->w, p->is);
    }
    json_close_array(run->w);
}

/* Of an object or a record that has to be there by another sign. */
static void count_expected(struct map_run *run, const struct field *f, const struct frame *fr)
{
    const struct place *slots = slots_of(f, fr);
    bool there = !ruled_out(f, fr);
    if (!f->expect)
        return;
    for (unsigned i = 0; i < f->alts; i++)
        if (there && place_is_there(slots[f->alt[i].slot])) {
            hit(run, f, i, true);
            return;
        }
    there = there && !f->alts;
    if (there || holds(f->expect, slots))
        hit(run, f, 0, there);
}

static void put_field(struct map_run *run, const struct field *f, const struct frame *fr)
{
    json_key_span(run->w, f->key);
    count_expected(run, f, fr);
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
    case FIELD_READ:
        put_read(run, f, fr);
        return;
    case FIELD_FLAGS:
        put_flags(run, f, fr);
        return;
    case FIELD_SAME:
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

/* Every check that is for this kind of record, so that what was not checked is seen as well. */
static void put_quality(struct map_run *run)
{
    int score = check_score(&run->checks);
    json_key(run->w, "quality");
    json_open(run->w);
    json_key(run->w, "checks");
    json_open(run->w);
    for (int i = 0; i < CHECK_COUNT; i++)
        if (strchr(check_row((enum check_id)i)->of, run->kind))
            json_kv_cstr(run->w, check_row((enum check_id)i)->name,
                         check_result_name(run->checks.result[i]));
    json_close(run->w);
    if (score < 0)
        json_kv_null(run->w, "score");
    else
        json_kv_int(run->w, "score", score);
    json_close(run->w);
}

void map_write(struct map_run *run, const struct frame *fr)
{
    json_open(run->w);
    count(run, fr->map->shape_counter, fr->shape, true);
    put_fields(run, fr->map->fields, fr->map->field_count, fr);
    run_checks(run, fr);
    if (run->kind)
        put_quality(run);
    json_close(run->w);
    enum check_id failed = check_hard_failure(&run->checks);
    if (run->failed == CHECK_COUNT)
        run->failed = failed;
}
