/* map_read.c - from a map file to a compiled map. */
#include "extract/map_compile.h"

#include "extract/xpath.h"

static const struct field *compile_fields(struct compiler *c, const struct ynode *map,
                                          size_t *out_count);

/* ---- fields ---- */

#define CONVERSION_KEYS                                                                        \
    "as", "table", "table_bool", "argument", "take", "rank", "where", "equals", "words",       \
        "among", "absent", "strip", "strip64", "hosts", "without_query", "below", "stem"

static const char *const value_keys[] = {"from", "otherwise", "content",       "of_content",
                                         "when", "unless",    CONVERSION_KEYS, NULL};

static struct conv_table *read_table(struct compiler *c, const struct ynode *n, bool as_bool)
{
    if (!n)
        return NULL;
    if (n->kind != YNODE_MAP) {
        form_wrong(c->form, n, "'table' has to be a mapping from the site's word to ours");
        return NULL;
    }
    struct conv_table *t = arena_new_of(c->form->arena, struct conv_table);
    struct conv_row *rows = arena_get(c->form->arena, (n->count + 1) * sizeof *rows);
    for (const struct ynode *k = n->first; k; k = k->next) {
        if (k->kind != YNODE_TEXT) {
            form_wrong(c->form, k, "has to be text");
            return NULL;
        }
        bool null = !k->quoted && span_is(k->text, "null");
        rows[t->count++] = (struct conv_row){k->key, null ? SPAN_NONE : k->text};
    }
    t->rows = rows;
    t->as_bool = as_bool;
    return t;
}

static enum conversion read_conversion(struct compiler *c, const struct ynode *map,
                                       enum conversion otherwise)
{
    const struct ynode *n = ynode_find(map, "as");
    int i = n ? form_word(c->form, n, "conversion", convert_names()) : -1;
    return i < 0 ? otherwise : (enum conversion)i;
}

static bool needs_argument(enum conversion as)
{
    return as == CONV_WITHOUT || as == CONV_TEXT_MEMBER || as == CONV_URL_AS_FORMAT ||
           as == CONV_TIME_FORMAT || as == CONV_DIGITS_AFTER || as == CONV_UNPROXY;
}

static void read_markup_extra(struct compiler *c, const struct ynode *map, enum conversion as,
                              struct conv_extra *x)
{
    struct form *f = c->form;
    bool label = as == CONV_COUNT_LABEL;
    x->word_count = form_texts(f, map, "words", label, &x->words);
    x->among_count = form_texts(f, map, "among", label, &x->among);
    x->absent = form_int(f, map, "absent", -1, 0, 0);
    x->strip_count = form_texts(f, map, "strip", as == CONV_UNPROXY, &x->strip);
    x->strip64_count = form_texts(f, map, "strip64", false, &x->strip64);
    x->host_count = form_texts(f, map, "hosts", false, &x->hosts);
    x->without_query = form_bool(f, map, "without_query", false);
    x->stem = form_bool(f, map, "stem", false);
    x->below = xpath_member(f, c->paths, c->prefixes, map, "below", false);
}

static const struct conv_extra *read_extra(struct compiler *c, const struct ynode *map,
                                           enum conversion as)
{
    struct conv_extra *x = arena_new_of(c->form->arena, struct conv_extra);
    x->argument = form_text(c->form, map, "argument", needs_argument(as));
    read_markup_extra(c, map, as, x);
    if (as == CONV_BEST) {
        x->take = form_text(c->form, map, "take", true);
        x->rank = form_text(c->form, map, "rank", true);
        x->where = form_text(c->form, map, "where", false);
        x->equals = form_text(c->form, map, "equals", x->where.n > 0);
    }
    x->table =
        read_table(c, ynode_find(map, "table"), form_bool(c->form, map, "table_bool", false));
    if (as == CONV_ENUM && !x->table)
        form_wrong(c->form, map, "conversion 'enum' needs a 'table'");
    return x;
}

/* One slot each: the i-th path and the i-th gate belong together where both start with the same prefix. */
static void pair_gates(struct compiler *c, const struct ynode *node, const struct path_set *set,
                       const struct path_set *gates, const struct alternative *like,
                       struct field *f)
{
    if (gates->count > 1 && gates->count != set->count)
        form_wrong(
            c->form, node,
            "'if' and 'path' have to start with the same prefix, or 'if' to be one path");
    for (unsigned i = 0; i < set->count && !c->form->failed; i++) {
        if (f->alts >= FIELD_PATHS_MAX) {
            form_wrong(c->form, node, "more than %d alternatives", FIELD_PATHS_MAX);
            return;
        }
        struct alternative *alt = &f->alt[f->alts++];
        *alt = *like;
        alt->slot = set->slot[i];
        alt->gate = gates->count ? gates->slot[gates->count > 1 ? i : 0] : -1;
    }
}

static void add_alternatives(struct compiler *c, const struct ynode *node, struct field *f,
                             enum conversion as, const struct conv_extra *extra)
{
    static const char *const keys[] = {"path", "if", "is", "otherwise", CONVERSION_KEYS, NULL};
    struct path_set set = {0}, gates = {0};
    struct alternative like = {.as = as, .extra = extra};
    if (node->kind == YNODE_MAP) {
        if (!form_keys(c->form, node, "an alternative", keys))
            return;
        like.as = read_conversion(c, node, as);
        if (ynode_find(node, "as"))
            like.extra = read_extra(c, node, like.as);
        map_path_below(c, node, "if", false, &gates);
        like.gate_is = form_text(c->form, node, "is", false);
        like.otherwise = form_text(c->form, node, "otherwise", false);
        if ((like.otherwise.p || like.gate_is.p) && !gates.count)
            form_wrong(c->form, node, "'otherwise' and 'is' of an alternative need an 'if'");
        if (like.gate_is.p && c->map->locator != MAP_JSON)
            form_wrong(c->form, node, "'is' is for maps of JSON");
        const struct ynode *p = ynode_find(node, "path");
        if (!p)
            form_wrong(c->form, node, "'path' is missing here");
        map_path_all(c, p, &set);
    } else {
        map_path_all(c, node, &set);
    }
    pair_gates(c, node, &set, &gates, &like, f);
}

static void read_alternatives(struct compiler *c, const struct ynode *node, struct field *f,
                              enum conversion as, const struct conv_extra *extra)
{
    if (!node || c->form->failed)
        return;
    if (node->kind != YNODE_LIST) {
        add_alternatives(c, node, f, as, extra);
        return;
    }
    for (const struct ynode *n = node->first; n && !c->form->failed; n = n->next)
        add_alternatives(c, n, f, as, extra);
}

/* ---- conditions ---- */

/* {of, with}: both are there, and not the same text. {of, word, least}: the text ends in the word, links
 * behind it left out, and has so many bytes. */
static void read_differ(struct compiler *c, const struct ynode *n, struct pick *p)
{
    static const char *const keys[] = {"of", "with", NULL};
    if (!n || !form_keys(c->form, n, "'differ'", keys))
        return;
    map_path_all(c, ynode_find(n, "of"), &p->of);
    map_path_all(c, ynode_find(n, "with"), &p->with);
    if (!p->of.count || !p->with.count || c->map->locator != MAP_JSON)
        form_wrong(c->form, n, "'differ' is {of, with}, in a map for JSON");
}

static void read_ends(struct compiler *c, const struct ynode *n, struct pick *p)
{
    static const char *const keys[] = {"of", "word", "least", NULL};
    if (!n || !form_keys(c->form, n, "'ends'", keys))
        return;
    map_path_all(c, ynode_find(n, "of"), &p->ends);
    p->word = form_text(c->form, n, "word", true);
    p->least = (size_t)form_int(c->form, n, "least", 0, 0, 1 << 20);
    if (!p->ends.count || c->map->locator != MAP_JSON)
        form_wrong(c->form, n, "'ends' is {of, word, least}, in a map for JSON");
}

static void read_condition(struct compiler *c, const struct ynode *n, struct pick *p)
{
    map_path_all(c, ynode_find(n, "when"), &p->when);
    map_path_all(c, ynode_find(n, "unless"), &p->unless);
    read_differ(c, ynode_find(n, "differ"), p);
    read_ends(c, ynode_find(n, "ends"), p);
}

/* A condition below a key: PATHS, or {when, unless, differ, ends}. NULL when there is none. */
static const struct pick *condition_below(struct compiler *c, const struct ynode *map,
                                          const char *key)
{
    static const char *const keys[] = {"when", "unless", "differ", "ends", NULL};
    const struct ynode *n = c->form->failed ? NULL : ynode_find(map, key);
    if (!n)
        return NULL;
    struct pick *p = arena_new_of(c->form->arena, struct pick);
    if (n->kind != YNODE_MAP)
        map_path_all(c, n, &p->when);
    else if (form_keys(c->form, n, "a condition", keys))
        read_condition(c, n, p);
    return p;
}

/* ---- forms of fields ---- */

static void field_value(struct compiler *c, const struct ynode *n, struct field *f)
{
    f->kind = FIELD_VALUE;
    if (!form_keys(c->form, n, "a field", value_keys))
        return;
    enum conversion as = read_conversion(c, n, CONV_TEXT);
    const struct conv_extra *extra = read_extra(c, n, as);
    f->otherwise = form_text(c->form, n, "otherwise", false);
    read_alternatives(c, ynode_find(n, "from"), f, as, extra);
}

static void field_const(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"value", "when", "unless", "content", NULL};
    f->kind = FIELD_CONST;
    if (!form_keys(c->form, n, "a constant field", keys))
        return;
    f->otherwise = form_text(c->form, n, "value", true);
    const struct ynode *value = ynode_find(n, "value");
    if (value && !value->quoted && span_is(f->otherwise, "null"))
        f->otherwise = SPAN_NONE;
}

static void field_object(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"members", "content",    "when", "unless",
                                       "expect",  "blank_when", NULL};
    f->kind = FIELD_OBJECT;
    if (!form_keys(c->form, n, "a field with members", keys))
        return;
    map_path_all(c, ynode_find(n, "blank_when"), &f->blank_when);
    f->fields = compile_fields(c, form_map(c->form, n, "members", true), &f->field_count);
}

static void count_field(struct compiler *c, struct field *f)
{
    if (c->counters->count >= MAP_FIELDS_MAX)
        return;
    f->counter = (int)c->counters->count++;
    c->counters->row[f->counter] = (struct field_hits){
        .map = c->map->name, .field = f->label, .paths = f->alts ? f->alts : 1};
}

/* The map of a list's elements: the same counters, a trie and slots of its own. */
static struct map *element_map(struct compiler *c, const struct ynode *n,
                               struct compiler *out_inner)
{
    struct map *m = arena_new_of(c->form->arena, struct map);
    m->name = c->map->name;
    m->locator = c->map->locator;
    m->paths = c->map->locator == MAP_HTML
                   ? arena_get(c->form->arena, MAP_SLOTS_MAX * sizeof *m->paths)
                   : NULL;
    m->root.slot = m->shape_counter = -1;
    *out_inner = *c;
    out_inner->map = m;
    out_inner->content = false;
    if (c->nest >= MAP_NEST_MAX)
        form_wrong(c->form, n, "lists and members are nested deeper than %d", MAP_NEST_MAX);
    return m;
}

static const struct check *read_checks(struct compiler *c, const struct ynode *list,
                                       size_t *out_count);

static void field_list(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {
        "each",          "of",   "members", "checks", "content", "sign", "when", "unless",
        CONVERSION_KEYS, "only", "sign_in", "doubt",  NULL};
    f->kind = FIELD_LIST;
    if (!form_keys(c->form, n, "a list field", keys))
        return;
    f->doubt = condition_below(c, n, "doubt");
    f->sign = form_text(c->form, n, "sign", false);
    map_path_all(c, ynode_find(n, "sign_in"), &f->sign_in);
    if (!c->form->failed && (f->sign.n == 0) != (f->sign_in.count == 0))
        form_wrong(c->form, n, "'sign' and 'sign_in' belong together");
    read_alternatives(c, ynode_find(n, "each"), f, CONV_TEXT, NULL);
    struct compiler inner;
    struct map *m = element_map(c, n, &inner);
    inner.nest++;
    const struct ynode *members = ynode_find(n, "members");
    m->checks = read_checks(&inner, form_list(c->form, n, "checks", false), &m->check_count);
    map_path_all(&inner, ynode_find(n, "only"), &m->only);
    if (members) {
        m->fields =
            compile_fields(&inner, form_map(c->form, n, "members", true), &m->field_count);
    } else {
        struct field *one = arena_new_of(c->form->arena, struct field);
        enum conversion as = read_conversion(&inner, n, CONV_TEXT);
        one->kind = FIELD_VALUE;
        one->label = f->label;
        one->counter = -1;
        const struct ynode *of = ynode_find(n, "of");
        struct ynode self = {
            .kind = YNODE_TEXT, .text = SPAN("."), .line = n->line, .column = n->column};
        read_alternatives(&inner, of ? of : &self, one, as, read_extra(&inner, n, as));
        m->fields = one;
        m->field_count = 1;
        f->scalar = true;
    }
    map_trie_finish(c->form->arena, &m->root);
    f->element = m;
}

static void field_items(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"items", "content", "when", "unless", NULL};
    f->kind = FIELD_ITEMS;
    if (!form_keys(c->form, n, "a field with items", keys))
        return;
    const struct ynode *list = form_list(c->form, n, "items", true);
    if (!list)
        return;
    struct field *items = arena_get(c->form->arena, (list->count + 1) * sizeof *items);
    for (const struct ynode *k = list->first; k; k = k->next) {
        struct field *item = &items[f->field_count++];
        item->kind = FIELD_OBJECT;
        item->label = f->label;
        item->counter = -1;
        item->content = c->content;
        item->fields = compile_fields(c, k, &item->field_count);
        if (!c->form->failed && (item->field_count == 0 || item->fields[0].kind != FIELD_VALUE))
            form_wrong(c->form, k, "an item has to start with a plain value");
    }
    f->fields = items;
}

static void read_field(struct compiler *c, const struct ynode *n, struct field *f);

static void field_record(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"record", "missing", "content", "when",
                                       "unless", "expect",  NULL};
    f->kind = FIELD_RECORD;
    if (!form_keys(c->form, n, "a field with a record", keys))
        return;
    const struct ynode *missing = form_map(c->form, n, "missing", false);
    if (missing) {
        struct field *other = arena_new_of(c->form->arena, struct field);
        other->label = f->label;
        read_field(c, missing, other);
        if (!c->form->failed && other->kind != FIELD_OBJECT)
            form_wrong(c->form, missing, "'missing' has to have members");
        f->fields = other;
        f->field_count = 1;
    }
    if (c->map->locator == MAP_JSON) {
        read_alternatives(c, ynode_find(n, "record"), f, CONV_TEXT, NULL);
        return;
    }
    struct path_set set = {0};
    map_path_xpath(c, n, form_text(c->form, n, "record", true), true, &set);
    f->alts = set.count;
    f->alt[0] = (struct alternative){.slot = set.slot[0], .gate = -1};
}

static void read_instead(struct compiler *c, const struct ynode *list,
                         struct html_instead_list *out)
{
    static const char *const keys[] = {"of", "put", NULL};
    if (!list)
        return;
    struct html_instead *rows = arena_get(c->form->arena, (list->count + 1) * sizeof *rows);
    for (const struct ynode *k = list->first; k && !c->form->failed; k = k->next) {
        if (!form_keys(c->form, k, "a replacement", keys))
            return;
        struct html_instead *row = &rows[out->count++];
        row->of = xpath_member(c->form, c->paths, c->prefixes, k, "of", true);
        row->put = xpath_member(c->form, c->paths, c->prefixes, k, "put", true);
    }
    out->row = rows;
}

static void field_read(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"read", "instead", "otherwise", "when", "unless", NULL};
    f->kind = FIELD_READ;
    if (!form_keys(c->form, n, "a field to read", keys))
        return;
    if (c->map->locator != MAP_HTML) {
        form_wrong(c->form, n, "'read' is for maps with 'locator: html'");
        return;
    }
    f->otherwise = form_text(c->form, n, "otherwise", false);
    read_alternatives(c, ynode_find(n, "read"), f, CONV_TEXT, NULL);
    read_instead(c, form_list(c->form, n, "instead", false), &f->instead);
}

static void expand_texts(struct compiler *c, const struct ynode *list, struct expand_rule *x)
{
    static const char *const keys[] = {"path", "links", "escaped", NULL};
    for (const struct ynode *k = list ? list->first : NULL; k && !c->form->failed;
         k = k->next) {
        struct path_set texts = {0}, links = {0};
        if (!form_keys(c->form, k, "a text to expand", keys))
            return;
        map_path_below(c, k, "path", true, &texts);
        map_path_below(c, k, "links", false, &links);
        bool escaped = form_bool(c->form, k, "escaped", false);
        if (links.count && links.count != texts.count)
            form_wrong(c->form, k, "'path' and 'links' have to start with the same prefix");
        for (unsigned i = 0; i < texts.count && !c->form->failed; i++) {
            if (x->sources >= EXPAND_SOURCES_MAX) {
                form_wrong(c->form, k, "more than %d texts to expand", EXPAND_SOURCES_MAX);
                return;
            }
            x->source[x->sources++] = (struct expand_source){
                texts.slot[i], links.count ? links.slot[i] : (short)-1, escaped};
        }
    }
}

static void field_expand(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const outer[] = {"expand", "content", "when", "unless", NULL};
    static const char *const inner[] = {"texts", "link", "drop", "every", NULL};
    static const char *const link_keys[] = {"url", "expanded", "indices", "from",
                                            "to",  "each",     NULL};
    static const char *const drop_keys[] = {"each", "url", NULL};
    f->kind = FIELD_EXPANDED;
    if (!form_keys(c->form, n, "a field to expand", outer))
        return;
    const struct ynode *rule = form_map(c->form, n, "expand", true);
    const struct ynode *link = form_map(c->form, rule, "link", true);
    const struct ynode *drop = form_map(c->form, rule, "drop", false);
    if (!form_keys(c->form, rule, "expand", inner) ||
        !form_keys(c->form, link, "link", link_keys) ||
        (drop && !form_keys(c->form, drop, "drop", drop_keys)))
        return;
    struct expand_rule *x = arena_new_of(c->form->arena, struct expand_rule);
    bool in_bytes = ynode_find(link, "from") != NULL;
    x->expanded = form_text(c->form, link, "expanded", true);
    x->url = form_text(c->form, link, "url", !in_bytes);
    x->indices = form_text(c->form, link, "indices", !in_bytes);
    if (in_bytes) {
        x->from = arena_text(c->form->arena, form_text(c->form, link, "from", true));
        x->to = arena_text(c->form->arena, form_text(c->form, link, "to", true));
        x->each = form_text(c->form, link, "each", true);
    }
    x->every = form_text(c->form, rule, "every", false);
    expand_texts(c, form_list(c->form, rule, "texts", true), x);
    if (drop) {
        x->drop_url = form_text(c->form, drop, "url", true);
        map_path_all(c, ynode_find(drop, "each"), &x->drop);
    }
    f->expand = x;
    f->alts = x->sources;
}

static void field_present(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"present", "content", "when", "unless", NULL};
    f->kind = FIELD_PRESENT;
    if (form_keys(c->form, n, "a field with 'present'", keys))
        read_alternatives(c, ynode_find(n, "present"), f, CONV_TEXT, NULL);
}

static void field_pick(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"pick", "otherwise", "content", "table_bool", NULL};
    static const char *const pick_keys[] = {"is", "when", "unless", "differ", "ends", NULL};
    f->kind = FIELD_PICK;
    if (!form_keys(c->form, n, "a field with 'pick'", keys))
        return;
    f->otherwise = form_text(c->form, n, "otherwise", false);
    f->as_bool = form_bool(c->form, n, "table_bool", false);
    const struct ynode *list = form_list(c->form, n, "pick", true);
    struct pick *picks =
        arena_get(c->form->arena, ((list ? list->count : 0) + 1) * sizeof *picks);
    for (const struct ynode *k = list ? list->first : NULL; k; k = k->next) {
        if (!form_keys(c->form, k, "a choice", pick_keys))
            return;
        struct pick *p = &picks[f->pick_count++];
        p->is = form_text(c->form, k, "is", true);
        read_condition(c, k, p);
    }
    f->picks = picks;
}

/* A word and the paths at which something true means it. */
static void field_flags(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"flags", "content", "when", "unless", NULL};
    f->kind = FIELD_FLAGS;
    const struct ynode *map = form_map(c->form, n, "flags", true);
    if (!form_keys(c->form, n, "a field with 'flags'", keys) || !map)
        return;
    struct pick *rows = arena_get(c->form->arena, (map->count + 1) * sizeof *rows);
    for (const struct ynode *k = map->first; k && !c->form->failed; k = k->next) {
        rows[f->pick_count].is = k->key;
        map_path_all(c, k, &rows[f->pick_count++].when);
    }
    f->picks = rows;
}

static void field_same(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"same", "content", "when", "unless", NULL};
    static const char *const inner[] = {"of", "with", NULL};
    f->kind = FIELD_SAME;
    const struct ynode *map = form_map(c->form, n, "same", true);
    if (!form_keys(c->form, n, "a field with 'same'", keys) || !map ||
        !form_keys(c->form, map, "same", inner))
        return;
    struct pick *sides = arena_new_of(c->form->arena, struct pick);
    map_path_all(c, ynode_find(map, "of"), &sides->when);
    map_path_all(c, ynode_find(map, "with"), &sides->unless);
    if (!c->form->failed &&
        (!sides->when.count || !sides->unless.count || c->map->locator != MAP_JSON))
        form_wrong(c->form, map, "'same' is {of, with}, in a map for JSON");
    f->picks = sides;
}

static void field_context(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"context", NULL};
    static const char *const words[] = {"pinned", "op", "collected_at", "section", "page",
                                        "index",  NULL};
    f->kind = FIELD_CONTEXT;
    if (!form_keys(c->form, n, "a field with 'context'", keys))
        return;
    int i = form_word(c->form, ynode_find(n, "context"), "context", words);
    f->context = i < 0 ? CONTEXT_OP : (enum context_word)i;
}

/* Parts are resolved by link_templates(), when all fields are there; until then the words hold
 * the text between the braces. */
static void field_template(struct compiler *c, const struct ynode *n, struct field *f)
{
    static const char *const keys[] = {"template", "otherwise", "content",
                                       "when",     "unless",    NULL};
    f->kind = FIELD_TEMPLATE;
    if (!form_keys(c->form, n, "a field with a template", keys))
        return;
    f->otherwise = form_text(c->form, n, "template", true);
    const struct ynode *other = ynode_find(n, "otherwise");
    if (other) {
        struct field *second = arena_new_of(c->form->arena, struct field);
        second->kind = FIELD_TEMPLATE;
        second->counter = -1;
        second->otherwise = form_text(c->form, n, "otherwise", true);
        second->content = f->content;
        f->fields = second;
        f->field_count = 1;
    }
}

struct field_form {
    const char *key;
    void (*read)(struct compiler *c, const struct ynode *n, struct field *f);
};
static const struct field_form field_forms[] = {
    {"from", field_value},      {"value", field_const},   {"members", field_object},
    {"items", field_items},     {"record", field_record}, {"expand", field_expand},
    {"present", field_present}, {"pick", field_pick},     {"template", field_template},
    {"context", field_context}, {"read", field_read},     {"flags", field_flags},
    {"same", field_same},
};

static bool is_counted(const struct field *f)
{
    bool plain = f->kind == FIELD_VALUE || f->kind == FIELD_LIST || f->kind == FIELD_EXPANDED ||
                 f->kind == FIELD_READ;
    return plain || f->expect || (f->kind == FIELD_PRESENT && f->alts > 1);
}

static void read_field(struct compiler *c, const struct ynode *n, struct field *f)
{
    f->counter = -1;
    f->content = c->content;
    if (n->kind != YNODE_MAP) {
        f->kind = FIELD_VALUE;
        read_alternatives(c, n, f, CONV_TEXT, NULL);
        count_field(c, f);
        return;
    }
    bool outer_content = c->content;
    f->content = c->content = form_bool(c->form, n, "content", c->content);
    if (!ynode_find(n, "context") && !ynode_find(n, "pick")) {
        map_path_all(c, ynode_find(n, "when"), &f->when);
        map_path_all(c, ynode_find(n, "unless"), &f->unless);
    }
    f->of_content = form_bool(c->form, n, "of_content", false);
    f->expect = condition_below(c, n, "expect");
    bool known = ynode_find(n, "each") != NULL;
    if (known)
        field_list(c, n, f);
    for (size_t i = 0; !known && i < sizeof field_forms / sizeof field_forms[0]; i++) {
        if (!ynode_find(n, field_forms[i].key))
            continue;
        field_forms[i].read(c, n, f);
        known = true;
    }
    if (!known)
        form_wrong(c->form, n,
                   "field '%.*s' needs one of: from, value, members, each, items, "
                   "record, expand, read, present, pick, flags, same, template, context",
                   SP(f->key));
    c->content = outer_content;
    if (is_counted(f))
        count_field(c, f);
}

static const struct field *compile_fields(struct compiler *c, const struct ynode *map,
                                          size_t *out_count)
{
    if (c->form->failed || !map)
        return NULL;
    if (map->kind != YNODE_MAP) {
        form_wrong(c->form, map, "has to be a mapping from output member to its paths");
        return NULL;
    }
    if (c->nest >= MAP_NEST_MAX) {
        form_wrong(c->form, map, "lists and members are nested deeper than %d", MAP_NEST_MAX);
        return NULL;
    }
    struct field *fields = arena_get(c->form->arena, (map->count + 1) * sizeof *fields);
    struct span outer = c->prefix;
    c->nest++;
    for (const struct ynode *n = map->first; n && !c->form->failed; n = n->next) {
        struct field *f = &fields[(*out_count)++];
        f->key = n->key;
        f->label = span_of(arena_fmt(c->form->arena, "%.*s%.*s", SP(outer), SP(n->key)));
        c->prefix = span_of(arena_fmt(c->form->arena, "%.*s.", SP(f->label)));
        read_field(c, n, f);
    }
    c->nest--;
    c->prefix = outer;
    return fields;
}

/* ---- the whole map ---- */

static const struct field *find_label(const struct field *fields, size_t count,
                                      struct span label)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(fields[i].label, label))
            return &fields[i];
        if (fields[i].kind != FIELD_OBJECT)
            continue;
        const struct field *f = find_label(fields[i].fields, fields[i].field_count, label);
        if (f)
            return f;
    }
    return NULL;
}

/* Labels of all fields, those in objects too. */
static void collect_labels(struct compiler *c, const struct field *fields, size_t count,
                           const char **out, size_t *n)
{
    for (size_t i = 0; i < count && *n < MAP_SLOTS_MAX; i++) {
        out[(*n)++] = arena_text(c->form->arena, fields[i].label);
        if (fields[i].kind == FIELD_OBJECT)
            collect_labels(c, fields[i].fields, fields[i].field_count, out, n);
    }
}

static void no_field(struct compiler *c, const struct ynode *at, struct span label)
{
    const char *labels[MAP_SLOTS_MAX + 1] = {NULL};
    size_t n = 0;
    collect_labels(c, c->map->fields, c->map->field_count, labels, &n);
    form_nothing(c->form, at, "field", label, "in this map", labels);
}

static const struct field *role(struct compiler *c, const struct ynode *map, const char *key,
                                bool need)
{
    struct span label = form_text(c->form, map, key, need);
    if (!label.p || c->form->failed)
        return NULL;
    const struct field *f = find_label(c->map->fields, c->map->field_count, label);
    if (!f)
        no_field(c, ynode_find(map, key), label);
    return f;
}

static void read_needs(struct compiler *c, const struct ynode *is, const char *key, bool need,
                       const struct field *list[8], size_t *count)
{
    const struct map *m = c->map;
    const struct span *labels = NULL;
    size_t n = form_texts(c->form, is, key, need, &labels);
    for (size_t i = 0; i < n && !c->form->failed; i++) {
        const struct field *f = find_label(m->fields, m->field_count, labels[i]);
        if (!f)
            no_field(c, ynode_find(is, key), labels[i]);
        else if (*count >= 8)
            form_wrong(c->form, ynode_find(is, key), "more than 8 fields here");
        else
            list[(*count)++] = f;
    }
}

static void read_roles(struct compiler *c, const struct ynode *is)
{
    static const char *const keys[] = {"id",         "author",    "created_at",   "need",
                                       "posts",      "protected", "repost",       "handle",
                                       "inner_need", "reply_to",  "media",        "followers",
                                       "following",  "suspended", "conversation", NULL};
    struct map *m = c->map;
    if (!form_keys(c->form, is, "is", keys))
        return;
    m->id = role(c, is, "id", true);
    m->author = role(c, is, "author", false);
    m->created_at = role(c, is, "created_at", false);
    m->handle = role(c, is, "handle", false);
    m->repost = role(c, is, "repost", false);
    m->fact_posts = role(c, is, "posts", false);
    m->fact_media = role(c, is, "media", false);
    m->fact_followers = role(c, is, "followers", false);
    m->fact_following = role(c, is, "following", false);
    m->reply_to = role(c, is, "reply_to", false);
    m->conversation = role(c, is, "conversation", false);
    m->fact_protected = role(c, is, "protected", false);
    m->fact_suspended = role(c, is, "suspended", false);
    read_needs(c, is, "need", true, m->need, &m->needs);
    read_needs(c, is, "inner_need", false, m->inner_need, &m->inner_needs);
}

/* A plain value of a check: paths and conversions as in a field, not counted. */
static void check_value(struct compiler *c, const struct ynode *check, const char *key,
                        struct field *f)
{
    f->counter = -1;
    read_alternatives(c, ynode_find(check, key), f, CONV_TEXT, NULL);
    if (!c->form->failed && !f->alts)
        form_wrong(c->form, check, "'%s' of a check needs a path", key);
}

/* {check: NAME, of: VALUE, against: VALUE} */
static void read_named_check(struct compiler *c, const struct ynode *k, struct check *one)
{
    int id = form_word(c->form, ynode_find(k, "check"), "check", check_names());
    if (id < 0)
        return;
    one->id = (enum check_id)id;
    if (check_row(one->id)->rule == RULE_GIVEN) {
        form_wrong(c->form, k, "'%s' is checked where the list is read, not in a map",
                   check_row(one->id)->name);
        return;
    }
    one->argument = form_text(c->form, k, "argument", false);
    map_path_all(c, ynode_find(k, "unless"), &one->unless);
    map_path_all(c, ynode_find(k, "zero"), &one->zero);
    check_value(c, k, "of", &one->of);
    check_value(c, k, "against", &one->against);
}

/* The checks that nearly every map has, with words of their own. */
static void read_check(struct compiler *c, const struct ynode *k, struct check *one)
{
    bool snowflake = ynode_find(k, "snowflake") != NULL;
    one->within_s = form_int(c->form, k, "within_s", 0, 0, 86400);
    if (ynode_find(k, "check")) {
        read_named_check(c, k, one);
        return;
    }
    one->id = snowflake ? CHECK_ID_TIME : CHECK_MEDIA_KEY;
    one->by_x = snowflake && ynode_find(k, "time_x");
    if (one->by_x) {
        map_path_all(c, ynode_find(k, "snowflake"), &one->id_at);
        map_path_all(c, ynode_find(k, "time_x"), &one->time_at);
    } else if (ynode_find(k, snowflake ? "time" : "of")) {
        check_value(c, k, snowflake ? "snowflake" : "suffix", &one->of);
        check_value(c, k, snowflake ? "time" : "of", &one->against);
    } else {
        form_wrong(c->form, k,
                   "a check is {check, of, against}, {snowflake, time_x}, {snowflake, time, "
                   "within_s} or {suffix, of}");
    }
}

static const struct check *read_checks(struct compiler *c, const struct ynode *list,
                                       size_t *out_count)
{
    static const char *const keys[] = {"snowflake", "time_x", "time",    "within_s",
                                       "suffix",    "of",     "against", "check",
                                       "argument",  "unless", "zero",    NULL};
    if (!list)
        return NULL;
    struct check *checks = arena_get(c->form->arena, (list->count + 1) * sizeof *checks);
    for (const struct ynode *k = list->first; k && !c->form->failed; k = k->next)
        if (form_keys(c->form, k, "a check", keys))
            read_check(c, k, &checks[(*out_count)++]);
    return checks;
}

static void read_says(struct compiler *c, const struct ynode *list)
{
    static const char *const keys[] = {"state", "when", "words", NULL};
    if (!list)
        return;
    struct map_says *rows = arena_get(c->form->arena, (list->count + 1) * sizeof *rows);
    for (const struct ynode *k = list->first; k && !c->form->failed; k = k->next) {
        if (!form_keys(c->form, k, "what a record says", keys))
            return;
        struct map_says *one = &rows[c->map->says_count++];
        one->state = form_text(c->form, k, "state", true);
        map_path_all(c, ynode_find(k, "when"), &one->when);
        one->word_count = form_texts(c->form, k, "words", false, &one->words);
    }
    c->map->says = rows;
}

static void link_template(struct compiler *c, struct field *f, const struct ynode *at)
{
    struct span text = f->otherwise;
    size_t most = 1;
    for (size_t i = 0; i < text.n; i++)
        most += text.p[i] == '{' ? 2 : 0;
    struct template_part *parts = arena_get(c->form->arena, (most + 1) * sizeof *parts);
    while (text.n) {
        size_t open = span_find_char(text, '{');
        if (open)
            parts[f->part_count++].words = span_cut(text, 0, open);
        if (open == text.n)
            break;
        text = span_cut(text, open + 1, text.n);
        size_t close = span_find_char(text, '}');
        struct span name = span_cut(text, 0, close);
        struct template_part *p = &parts[f->part_count++];
        if (!span_is(name, "base"))
            p->field = find_label(c->map->fields, c->map->field_count, name);
        if (close == text.n ||
            (!span_is(name, "base") && (!p->field || p->field->kind != FIELD_VALUE)))
            form_wrong(c->form, at, "template: there is no plain field '%.*s'", SP(name));
        text = span_cut(text, close + 1, text.n);
    }
    f->parts = parts;
}

/* Templates name fields by label, so they are resolved last; they stand at the top level. */
static void link_templates(struct compiler *c, const struct ynode *fields_node)
{
    struct field *fields =
        arena_get(c->form->arena, (c->map->field_count + 1) * sizeof *fields);
    if (c->map->field_count)
        memcpy(fields, c->map->fields, c->map->field_count * sizeof *fields);
    const struct ynode *n = fields_node->first;
    c->map->fields = fields;
    for (size_t i = 0; i < c->map->field_count && !c->form->failed; i++, n = n->next) {
        if (fields[i].kind != FIELD_TEMPLATE)
            continue;
        link_template(c, &fields[i], n);
        if (fields[i].field_count) {
            struct field *second = arena_new_of(c->form->arena, struct field);
            *second = fields[i].fields[0];
            link_template(c, second, n);
            fields[i].fields = second;
        }
    }
}

static void read_locator(struct compiler *c, const struct ynode *root)
{
    static const char *const words[] = {"json", "html", NULL};
    static const char *const json_only[] = {"unwrap", "unwrap_with", "lift", "content", NULL};
    struct map *m = c->map;
    const struct ynode *n = ynode_find(root, "locator");
    if (!n || form_word(c->form, n, "locator", words) != 1)
        return;
    m->locator = MAP_HTML;
    m->paths = arena_get(c->form->arena, MAP_SLOTS_MAX * sizeof *m->paths);
    for (const char *const *key = json_only; *key; key++)
        if (ynode_find(root, *key))
            form_wrong(c->form, ynode_find(root, *key), "'%s' is for maps of JSON", *key);
}

static void note_early(struct map *m)
{
    for (size_t i = 0; m->paths && i < m->slots; i++)
        for (size_t k = 0; k < m->slots; k++)
            if (m->paths[k].record && span_starts(m->paths[i].text, m->paths[k].text))
                m->paths[i].early = true;
}

static void read_lifts(struct compiler *c, const struct ynode *root)
{
    const struct span *lifts = NULL;
    size_t n = form_texts(c->form, root, "lift", false, &lifts);
    for (size_t i = 0; i < n && !c->form->failed; i++) {
        struct trie step = {.kind = STEP_MEMBER, .name = lifts[i]};
        map_trie_child(c, &c->map->root, &step)->lifted = true;
        if (c->map->known)
            map_trie_child(c, c->map->known, &step)->lifted = true;
    }
}

/* Maps that can read another shape count which one it was. */
static void read_unwrap_with(struct compiler *c, const struct ynode *root)
{
    struct map *m = c->map;
    struct field shape = {.label = SPAN("shape"), .alts = SHAPE_LIFTED + 1, .counter = -1};
    m->unwrap_with = form_text(c->form, root, "unwrap_with", false);
    if (m->unwrap_with.n || ynode_find(root, "lift"))
        count_field(c, &shape);
    m->shape_counter = shape.counter;
}

/* Members that the site sends and no field needs. */
static void read_known(struct compiler *c, const struct ynode *root)
{
    const struct span *list = NULL;
    size_t n = form_texts(c->form, root, "known", false, &list);
    if (n && c->map->locator != MAP_JSON)
        form_wrong(c->form, ynode_find(root, "known"), "'known' is for maps of JSON");
    for (size_t i = 0; i < n && !c->form->failed; i++) {
        struct trie *at = c->map->known;
        map_known_add(c, list[i], &at, true);
    }
}

const struct map *map_read(struct form *f, const struct ynode *root,
                           struct map_counters *counters, struct html_paths *paths)
{
    static const char *const keys[] = {"name",        "locator", "unwrap", "lift",   "prefixes",
                                       "content",     "is",      "checks", "fields", "known",
                                       "unwrap_with", "says",    NULL};
    if (!form_keys(f, root, "a map", keys))
        return NULL;
    struct map *m = arena_new_of(f->arena, struct map);
    struct compiler c = {.form = f, .map = m, .counters = counters, .paths = paths};
    m->root.slot = m->shape_counter = -1;
    if (ynode_find(root, "known"))
        m->known = arena_new_of(f->arena, struct trie);
    m->name = form_text(f, root, "name", true);
    c.prefixes = form_map(f, root, "prefixes", false);
    read_locator(&c, root);
    m->unwraps = form_texts(f, root, "unwrap", false, &m->unwrap);
    read_unwrap_with(&c, root);
    map_path_all(&c, ynode_find(root, "content"), &m->content);
    const struct ynode *fields = form_map(f, root, "fields", true);
    m->fields = compile_fields(&c, fields, &m->field_count);
    m->checks = read_checks(&c, form_list(f, root, "checks", false), &m->check_count);
    read_says(&c, form_list(f, root, "says", false));
    read_lifts(&c, root);
    read_known(&c, root);
    note_early(m);
    if (!f->failed)
        link_templates(&c, fields);
    read_roles(&c, form_map(f, root, "is", true));
    if (f->failed)
        return NULL;
    map_trie_finish(f->arena, &m->root);
    if (m->known)
        map_trie_finish(f->arena, m->known);
    return m;
}
