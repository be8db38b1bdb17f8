#include "extract/envelope.h"

#include "extract/map.h"

/* ---- reading the file ---- */

static void read_step(struct form *f, const struct ynode *n, struct envelope_step *s)
{
    static const char *const keys[] = {"is",     "entries", "entry",  "items", "end",
                                       "pinned", "values",  "module", NULL};
    static const struct {
        const char *key;
        enum carries carries;
    } kinds[] = {{"entries", CARRIES_ENTRIES},
                 {"entry", CARRIES_ENTRY},
                 {"items", CARRIES_ITEMS},
                 {"end", CARRIES_END}};
    if (!form_keys(f, n, "a step", keys))
        return;
    s->is = form_text(f, n, "is", true);
    s->pinned = form_bool(f, n, "pinned", false);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (ynode_find(n, kinds[i].key)) {
            s->carries = kinds[i].carries;
            s->path = arena_text(f->arena, form_text(f, n, kinds[i].key, true));
        }
    struct span module = form_text(f, n, "module", false);
    s->module = module.n ? arena_text(f->arena, module) : NULL;
    if (!s->path)
        form_wrong(f, n, "a step needs one of: entries, entry, items, end");
    s->value_count = form_texts(f, n, "values", s->carries == CARRIES_END, &s->values);
}

static void read_root_path(struct form *f, const struct ynode *at, struct span text,
                           struct root_path *out)
{
    struct span part;
    out->repeats = span_ends(text, SPAN("+"));
    if (out->repeats)
        text = span_cut(text, 0, text.n - 1);
    while (span_next(&text, '.', &part)) {
        bool every = span_ends(part, SPAN("[*]"));
        if (out->count + 2 > ROOT_STEPS_MAX) {
            form_wrong(f, at, "path has more than %d steps", ROOT_STEPS_MAX);
            return;
        }
        if (!span_is(part, "[*]")) /* at the start: the answer itself is the list */
            out->step[out->count++] = every ? span_cut(part, 0, part.n - 3) : part;
        if (every)
            out->step[out->count++] = SPAN_NONE;
    }
    size_t every = 0;
    while (every < out->count && out->step[every].n)
        every++;
    if (out->repeats && (!every || every + 1 < out->count))
        form_wrong(f, at, "\"+\" follows a member, as in parent+ or replies[*]+");
}

size_t envelope_read_roots(struct form *f, const struct ynode *map, const char *key,
                           const struct root_path **out)
{
    const struct span *list = NULL;
    size_t n = form_texts(f, map, key, true, &list);
    struct root_path *paths = arena_get(f->arena, (n + 1) * sizeof *paths);
    for (size_t i = 0; i < n; i++)
        if (!span_is(list[i], "."))
            read_root_path(f, map, list[i], &paths[i]);
    *out = paths;
    return n;
}

static void read_pinned(struct form *f, const struct ynode *n, struct envelope *e)
{
    static const char *const keys[] = {"path", "is", NULL};
    if (!n || !form_keys(f, n, "'pinned'", keys))
        return;
    paths_read(f, n, "path", true, &e->pinned);
    e->pinned_is = form_text(f, n, "is", true);
}

static void read_entry(struct form *f, const struct ynode *n, struct envelope *e)
{
    static const char *const keys[] = {"id",           "content",     "item",
                                       "items",        "module_item", "module_item_id",
                                       "promoted",     "kind",        "post_kinds",
                                       "post",         "post_holder", "user",
                                       "user_holder",  "tombstone",   "cursor_type",
                                       "cursor_value", "bottom",      "more",
                                       "sort",         "user_kinds",  "pinned",
                                       "promoted_ids", "post_ids",    "bottom_ids",
                                       "other_kinds",  NULL};
    if (!form_keys(f, n, "entry", keys))
        return;
    paths_read(f, n, "id", true, &e->id);
    paths_read(f, n, "content", true, &e->content);
    paths_read(f, n, "sort", false, &e->sort);
    paths_read(f, n, "item", true, &e->item);
    paths_read(f, n, "items", true, &e->items);
    paths_read(f, n, "module_item", true, &e->module_item);
    paths_read(f, n, "module_item_id", true, &e->module_item_id);
    paths_read(f, n, "promoted", true, &e->promoted);
    paths_read(f, n, "kind", true, &e->kind);
    paths_read(f, n, "post", true, &e->post);
    paths_read(f, n, "post_holder", true, &e->post_holder);
    paths_read(f, n, "user", true, &e->user);
    paths_read(f, n, "user_holder", true, &e->user_holder);
    paths_read(f, n, "tombstone", true, &e->tombstone);
    paths_read(f, n, "cursor_type", true, &e->cursor_type);
    paths_read(f, n, "cursor_value", true, &e->cursor_value);
    e->bottom_count = form_texts(f, n, "bottom", true, &e->bottoms);
    e->user_kind_count = form_texts(f, n, "user_kinds", false, &e->user_kinds);
    e->more_count = form_texts(f, n, "more", false, &e->mores);
    e->post_kind_count = form_texts(f, n, "post_kinds", true, &e->post_kinds);
    e->promoted_id_count = form_texts(f, n, "promoted_ids", false, &e->promoted_ids);
    e->post_id_count = form_texts(f, n, "post_ids", false, &e->post_ids);
    e->bottom_id_count = form_texts(f, n, "bottom_ids", false, &e->bottom_ids);
    e->other_kind_count = form_texts(f, n, "other_kinds", false, &e->other_kinds);
    read_pinned(f, form_map(f, n, "pinned", false), e);
}

static void read_roots(struct form *f, const struct ynode *n, struct envelope *e)
{
    static const char *const keys[] = {"data",  "posts",   "users", "cursor",
                                       "empty", "missing", NULL};
    if (!form_keys(f, n, "roots", keys))
        return;
    paths_read(f, n, "data", true, &e->data);
    paths_read(f, n, "cursor", false, &e->root_cursor);
    paths_read(f, n, "empty", false, &e->empty);
    paths_read(f, n, "missing", false, &e->missing);
    e->post_root_count = envelope_read_roots(f, n, "posts", &e->post_roots);
    e->user_root_count = envelope_read_roots(f, n, "users", &e->user_roots);
}

static void add_tallies(struct map_counters *counters, struct envelope *out)
{
    static const struct {
        const char *name;
        size_t ways;
    } rows[TALLIES] = {
#define TALLY_ROW(id, name, ways) {name, ways},
        TALLY_TABLE(TALLY_ROW)
#undef TALLY_ROW
    };
    for (int i = 0; i < TALLIES; i++) {
        out->tally[i] = -1;
        if (counters->count >= MAP_FIELDS_MAX)
            continue;
        out->tally[i] = (int)counters->count;
        counters->row[counters->count++] = (struct field_hits){
            .map = SPAN("timeline"), .field = span_of(rows[i].name), .paths = rows[i].ways};
    }
}

void envelope_read(struct form *f, const struct ynode *root, struct map_counters *counters,
                   struct envelope *out)
{
    static const char *const keys[] = {"instructions", "type",    "steps", "entry",  "skip",
                                       "related",      "replies", "roots", "places", NULL};
    add_tallies(counters, out);
    if (!form_keys(f, root, "a timeline", keys))
        return;
    paths_read(f, root, "places", false, &out->places);
    out->instructions = form_text(f, root, "instructions", true);
    out->type = form_text(f, root, "type", true);
    const struct ynode *list = form_list(f, root, "steps", true);
    struct envelope_step *steps =
        arena_get(f->arena, ((list ? list->count : 0) + 1) * sizeof *steps);
    for (const struct ynode *n = list ? list->first : NULL; n && !f->failed; n = n->next)
        read_step(f, n, &steps[out->step_count++]);
    out->steps = steps;
    read_entry(f, form_map(f, root, "entry", true), out);
    out->skip_count = form_texts(f, root, "skip", true, &out->skips);
    out->related_count = form_texts(f, root, "related", true, &out->relateds);
    out->reply_count = form_texts(f, root, "replies", true, &out->replies);
    read_roots(f, form_map(f, root, "roots", true), out);
}

/* ---- walking ---- */

struct walker {
    const struct envelope *e;
    envelope_on_seen *on_seen;
    void *ctx;
    size_t looked_at;
    bool stopped;
};

static bool starts_with_one(struct span s, const struct span *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (span_starts(s, list[i]))
            return true;
    return false;
}

static bool is_one_of(struct json v, const struct span *list, size_t n)
{
    struct span s;
    for (size_t i = 0; json_text(v, &s) && i < n; i++)
        if (span_eq(s, list[i]))
            return true;
    return false;
}

static void tell(struct walker *w, const struct seen *s)
{
    if (!w->stopped && !w->on_seen(w->ctx, s))
        w->stopped = true;
}

/* Is the id, or what follows one of its dashes, called so? */
static bool is_called(struct span id, const struct span *list, size_t n)
{
    if (starts_with_one(id, list, n))
        return true;
    for (size_t at = span_find_char(id, '-'); at < id.n;
         at += 1 + span_find_char(span_cut(id, at + 1, id.n), '-'))
        if (starts_with_one(span_cut(id, at + 1, id.n), list, n))
            return true;
    return false;
}

/* "tweet-17-5d47430e413603b": only what is paid for has a tail behind the number of its post. */
static bool has_tail(const struct envelope *e, struct span id)
{
    if (!is_called(id, e->post_ids, e->post_id_count) || id.n < 2)
        return false;
    size_t end = id.n;
    while (end > 0 && id.p[end - 1] != '-')
        end--;
    size_t digits = end > 0 ? end - 1 : 0;
    while (digits > 0 && id.p[digits - 1] >= '0' && id.p[digits - 1] <= '9')
        digits--;
    return end > 0 && digits + 1 < end &&
           is_called(span_cut(id, 0, digits), e->post_ids, e->post_id_count);
}

/* A cursor may be an entry's content or an item of it. */
static bool saw_cursor(struct walker *w, struct json content, struct span id,
                       enum record_section section)
{
    const struct envelope *e = w->e;
    struct seen s = {.what = SEEN_CURSOR, .entry = id};
    struct json type = paths_get(&e->cursor_type, content);
    if (!type.doc)
        return false;
    if (is_one_of(type, e->mores, e->more_count))
        s.what = SEEN_MORE;
    else if (!is_one_of(type, e->bottoms, e->bottom_count)) {
        s.by = 1;
        if (!starts_with_one(id, e->bottom_ids, e->bottom_id_count))
            return true;
    }
    if (section != SECTION_RELATED && json_text(paths_get(&e->cursor_value, content), &s.text))
        tell(w, &s);
    return true;
}

static enum record_section section_of(const struct envelope *e, struct span id,
                                      struct span module, bool pinned)
{
    if (pinned)
        return SECTION_PINNED;
    if (starts_with_one(module, e->relateds, e->related_count) ||
        starts_with_one(id, e->relateds, e->related_count))
        return SECTION_RELATED;
    if (starts_with_one(module, e->replies, e->reply_count) ||
        starts_with_one(id, e->replies, e->reply_count))
        return SECTION_REPLY;
    return SECTION_TIMELINE;
}

/* An item that is neither post nor person nor cursor: boxes of known kinds hold no record. */
static void on_other(struct walker *w, struct json item, struct seen s)
{
    const struct envelope *e = w->e;
    struct json kind = paths_get(&e->kind, item);
    if (is_called(s.entry, e->post_ids, e->post_id_count))
        s.what = SEEN_UNREAD;
    else if (kind.doc && is_one_of(kind, e->other_kinds, e->other_kind_count))
        return;
    else
        s.what = SEEN_STRANGE;
    s.text = SPAN("an item");
    (void)json_text(kind, &s.text);
    tell(w, &s);
}

/* People in a module stand between the list's own entries, whatever the module is called. */
static void on_person(struct walker *w, struct json item, struct json holder, struct seen s)
{
    const struct envelope *e = w->e;
    s.what = s.alone ? SEEN_USER : SEEN_BOX;
    s.by = !s.alone;
    s.object = paths_get(&e->user, item);
    s.holder_empty = holder.doc && !s.object.doc && json_count(holder) == 0;
    tell(w, &s);
}

static void on_post(struct walker *w, struct json item, struct json holder, bool of_kind,
                    struct seen s)
{
    const struct envelope *e = w->e;
    bool pinned = is_one_of(paths_get(&e->pinned, item), &e->pinned_is, 1);
    s.what = has_tail(e, s.entry) ? SEEN_UNREAD : SEEN_POST;
    s.object = paths_get(&e->post, item);
    s.holder_empty = holder.doc && !s.object.doc && json_count(holder) == 0;
    s.by = !of_kind ? 1
           : e->post_id_count && s.entry.n && !is_called(s.entry, e->post_ids, e->post_id_count)
               ? 2
               : 0;
    s.pinned_by = s.section != SECTION_PINNED;
    if (pinned && s.section == SECTION_TIMELINE)
        s.section = SECTION_PINNED;
    tell(w, &s);
}

static void on_item(struct walker *w, struct json item, struct seen s)
{
    const struct envelope *e = w->e;
    struct json tomb = paths_get(&e->tombstone, item);
    struct json post_holder = paths_get(&e->post_holder, item);
    struct json user_holder = paths_get(&e->user_holder, item);
    struct json kind = paths_get(&e->kind, item);
    bool post_kind = is_one_of(kind, e->post_kinds, e->post_kind_count);
    bool paid_by_name = is_called(s.entry, e->promoted_ids, e->promoted_id_count);
    if (saw_cursor(w, item, s.entry, s.section))
        return;
    if (paths_get(&e->promoted, item).doc || paid_by_name) {
        s.what = SEEN_PROMOTED;
        s.by = !paths_get(&e->promoted, item).doc;
        tell(w, &s);
    } else if (post_holder.doc || post_kind) {
        on_post(w, item, post_holder, post_kind, s);
    } else if (user_holder.doc || is_one_of(kind, e->user_kinds, e->user_kind_count)) {
        on_person(w, item, user_holder, s);
    } else if (json_text(tomb, &s.text)) {
        s.what = SEEN_TOMBSTONE;
        tell(w, &s);
    } else {
        on_other(w, item, s);
    }
}

static bool skipped(struct walker *w, struct span id)
{
    if (!starts_with_one(id, w->e->skips, w->e->skip_count))
        return false;
    tell(w, &(struct seen){.what = SEEN_BOX, .entry = id});
    return true;
}

static void on_items(struct walker *w, struct json items, struct span module, bool pinned)
{
    const struct envelope *e = w->e;
    if (skipped(w, module))
        return;
    for (struct json_iter i = json_each(items); !w->stopped && json_next(&i);) {
        struct span id = SPAN_NONE;
        if (w->looked_at++ >= ENTRIES_MAX)
            return;
        json_text(paths_get(&e->module_item_id, i.value), &id);
        if (!skipped(w, id))
            on_item(w, paths_get(&e->module_item, i.value),
                    (struct seen){.section = section_of(e, id, module, pinned), .entry = id});
    }
}

/* Without its name nobody can tell an entry from what stands beside the list; and an entry that is neither
 * one thing nor a module nor a cursor holds what it holds in a way we do not know. */
static void on_entry(struct walker *w, struct json entry, bool pinned)
{
    const struct envelope *e = w->e;
    struct span id = SPAN_NONE;
    if (w->looked_at++ >= ENTRIES_MAX)
        return;
    json_text(paths_get(&e->id, entry), &id);
    struct json content = paths_get(&e->content, entry);
    if (saw_cursor(w, content, id, SECTION_TIMELINE) || skipped(w, id))
        return;
    struct json items = paths_get(&e->items, content), item = paths_get(&e->item, content);
    struct seen s = {
        .section = section_of(e, id, SPAN_NONE, pinned), .entry = id, .alone = true};
    json_text(paths_get(&e->sort, entry), &s.sort);
    if (id.n && json_is(items, JSON_ARRAY)) {
        on_items(w, items, id, pinned);
    } else if (id.n && item.doc) {
        on_item(w, item, s);
    } else {
        s.what = SEEN_UNREAD;
        s.text = id.n ? SPAN("an entry's content") : SPAN("an entry without a name");
        tell(w, &s);
    }
}

/* An entry, or what is put into a module, below an instruction that we do not know. */
static void on_unknown_entry(struct walker *w, struct json v, struct span type)
{
    const struct envelope *e = w->e;
    struct span id;
    struct json content = paths_get(&e->content, v);
    struct json item = paths_get(&e->item, content);
    if (!json_text(paths_get(&e->id, v), &id) || starts_with_one(id, e->skips, e->skip_count) ||
        paths_get(&e->cursor_type, content).doc)
        return;
    if (is_one_of(paths_get(&e->pinned, item), &e->pinned_is, 1))
        on_entry(w, v, false);
    else
        tell(w, &(struct seen){.what = SEEN_UNREAD, .entry = id, .text = type});
}

static void on_unknown(struct walker *w, struct json instruction)
{
    struct span type = SPAN("an instruction");
    (void)json_text(json_get(instruction, w->e->type), &type);
    for (struct json_iter i = json_each(instruction); !w->stopped && json_next(&i);) {
        on_unknown_entry(w, i.value, type);
        if (json_is(i.value, JSON_ARRAY))
            for (struct json_iter k = json_each(i.value); !w->stopped && json_next(&k);)
                on_unknown_entry(w, k.value, type);
    }
}

static void on_instruction(struct walker *w, struct json instruction)
{
    const struct envelope *e = w->e;
    struct json type = json_get(instruction, e->type);
    for (size_t i = 0; i < e->step_count; i++) {
        const struct envelope_step *s = &e->steps[i];
        if (!is_one_of(type, &s->is, 1))
            continue;
        struct json v = json_path(instruction, s->path);
        struct span module = SPAN_NONE;
        if (s->carries == CARRIES_ENTRIES)
            for (struct json_iter k = json_each(v); !w->stopped && json_next(&k);)
                on_entry(w, k.value, s->pinned);
        else if (s->carries == CARRIES_ENTRY)
            on_entry(w, v, s->pinned);
        else if (s->carries == CARRIES_ITEMS)
            on_items(w, v,
                     s->module && json_text(json_path(instruction, s->module), &module)
                         ? module
                         : SPAN_NONE,
                     s->pinned);
        else if (is_one_of(v, s->values, s->value_count))
            tell(w, &(struct seen){.what = SEEN_END});
        return;
    }
    on_unknown(w, instruction);
}

/* 0: at one of the usual places. */
static unsigned way_to(const struct envelope *e, struct json root, struct json list)
{
    for (size_t i = 0; i < e->places.count; i++) {
        struct json v = json_get(json_path(root, e->places.path[i]), e->instructions);
        if (v.doc && v.at == list.at)
            return 0;
    }
    return e->places.count > 0;
}

bool envelope_walk(const struct envelope *e, struct json root, envelope_on_seen *on_seen,
                   void *ctx)
{
    struct walker w = {.e = e, .on_seen = on_seen, .ctx = ctx};
    struct json list = json_find(root, e->instructions, JSON_ARRAY);
    struct span id;
    if (list.doc) {
        tell(&w, &(struct seen){.what = SEEN_LIST, .by = way_to(e, root, list)});
        for (struct json_iter i = json_each(list); !w.stopped && json_next(&i);)
            on_instruction(&w, i.value);
        return true;
    }
    if (json_text(paths_get(&e->id, root), &id) && paths_get(&e->content, root).doc) {
        on_entry(&w, root, false);
        return true;
    }
    return false;
}

/* ---- roots ---- */

/* Values that are still to be looked into, each with the elements that wait beside it. */
struct descent {
    struct json_iter waiting[ROOT_DEPTH_MAX];
    struct json chain[ROOT_DEPTH_MAX];
    size_t depth;
};

static size_t tell_root(struct walker *w, struct json v, enum sighting what)
{
    if (!json_is(v, JSON_OBJECT) || w->stopped || w->looked_at++ >= ENTRIES_MAX)
        return 0;
    tell(w, &(struct seen){.what = what, .object = v, .section = SECTION_MAIN});
    return 1;
}

/* Each object below the member, before those below itself. */
static size_t tell_tree(struct walker *w, struct json list, struct span member,
                        enum sighting what)
{
    struct descent d = {.depth = 1};
    size_t told = 0;
    d.waiting[0] = json_each(list);
    while (d.depth && !w->stopped) {
        struct json_iter *i = &d.waiting[d.depth - 1];
        if (!json_next(i)) {
            d.depth--;
            continue;
        }
        told += tell_root(w, i->value, what);
        struct json inner = json_get(i->value, member);
        if (json_is(inner, JSON_ARRAY) && d.depth < ROOT_DEPTH_MAX)
            d.waiting[d.depth++] = json_each(inner);
    }
    return told;
}

static size_t tell_chain(struct walker *w, struct json v, struct span member,
                         enum sighting what)
{
    struct descent d = {0};
    size_t told = 0;
    for (; json_is(v, JSON_OBJECT) && d.depth < ROOT_DEPTH_MAX; v = json_get(v, member))
        d.chain[d.depth++] = v;
    while (d.depth)
        told += tell_root(w, d.chain[--d.depth], what);
    return told;
}

/* The one place of a path where every element counts; paths without one give one object. */
static size_t roots_of(const struct root_path *p, struct json root, struct walker *w,
                       enum sighting what)
{
    struct json v = root;
    size_t at = 0, told = 0;
    while (at < p->count && p->step[at].n)
        v = json_get(v, p->step[at++]);
    if (at == p->count)
        return p->repeats ? tell_chain(w, v, p->step[p->count - 1], what)
                          : tell_root(w, v, what);
    if (!json_is(v, JSON_ARRAY))
        return 0;
    if (p->repeats)
        return tell_tree(w, v, p->step[at - 1], what);
    for (struct json_iter i = json_each(v); !w->stopped && json_next(&i);) {
        struct json inner = i.value;
        for (size_t k = at + 1; k < p->count; k++)
            inner = json_get(inner, p->step[k]);
        told += tell_root(w, inner, what);
    }
    return told;
}

size_t envelope_roots(const struct root_path *paths, size_t count, struct json root,
                      enum sighting what, envelope_on_seen *on_seen, void *ctx)
{
    struct walker w = {.on_seen = on_seen, .ctx = ctx};
    for (size_t i = 0; i < count; i++) {
        size_t n = roots_of(&paths[i], root, &w, what);
        if (n)
            return n;
    }
    return 0;
}
