#include "extract/page.h"

#include "extract/map.h"

struct page_form {
    struct form *f;
    struct html_paths *paths;
    const struct ynode *root, *prefixes;
};

static const char *const sections[] = {"timeline", "pinned", "reply", "related",
                                       "main",     "thread", NULL};

static const struct html_path *path_of(struct page_form *p, const char *key, bool need)
{
    return xpath_member(p->f, p->paths, p->prefixes, p->root, key, need);
}

/* Each of a list of at most PAGE_RULES_MAX mappings {is, when}. */
static const struct ynode *rules_of(struct page_form *p, const char *key)
{
    const struct ynode *list = form_list(p->f, p->root, key, false);
    if (list && list->count > PAGE_RULES_MAX)
        form_wrong(p->f, list, "more than %d rules", PAGE_RULES_MAX);
    return list && !p->f->failed ? list->first : NULL;
}

static int rule_of(struct page_form *p, const struct ynode *n, const char *what,
                   const char *const *words, const struct html_path **out_when)
{
    static const char *const keys[] = {"is", "when", NULL};
    if (!form_keys(p->f, n, "a rule", keys))
        return 0;
    *out_when = xpath_member(p->f, p->paths, p->prefixes, n, "when", true);
    form_text(p->f, n, "is", true);
    int i = form_word(p->f, ynode_find(n, "is"), what, words);
    return i < 0 ? 0 : i;
}

static const char *const kinds[] = {"post", "user",    "promoted", "unavailable",
                                    "skip", "unknown", NULL};

static void read_kinds(struct page_form *p, struct page *out)
{
    for (const struct ynode *n = rules_of(p, "kinds"); n && !p->f->failed; n = n->next) {
        struct page_kind_rule *r = &out->kinds[out->kind_count++];
        r->is = (enum page_kind)rule_of(p, n, "kind", kinds, &r->when);
    }
}

static void read_sections(struct page_form *p, struct page *out)
{
    for (const struct ynode *n = rules_of(p, "sections"); n && !p->f->failed; n = n->next) {
        struct page_section_rule *r = &out->sections[out->section_count++];
        r->is = (enum record_section)rule_of(p, n, "section", sections, &r->when);
    }
    const struct ynode *other = ynode_find(p->root, "section");
    int i = other ? form_word(p->f, other, "section", sections) : 0;
    out->section = i < 0 ? SECTION_TIMELINE : (enum record_section)i;
}

static void read_states(struct page_form *p, struct page *out)
{
    static const char *const keys[] = {"path", "words", NULL};
    for (const struct ynode *n = rules_of(p, "states"); n && !p->f->failed; n = n->next) {
        struct page_state *s = &out->states[out->state_count++];
        if (!form_keys(p->f, n, "a state", keys))
            return;
        s->path = xpath_member(p->f, p->paths, p->prefixes, n, "path", true);
        s->words = form_text(p->f, n, "words", false);
    }
}

static void read_places(struct page_form *p, struct page *out)
{
    const struct ynode *list = form_list(p->f, p->root, "places", false);
    if (list && list->count > PAGE_PLACES_MAX)
        form_wrong(p->f, list, "more than %d places", PAGE_PLACES_MAX);
    for (const struct ynode *n = list ? list->first : NULL; n && !p->f->failed; n = n->next) {
        if (n->kind != YNODE_TEXT)
            form_wrong(p->f, n, "has to be an XPath");
        else
            out->places[out->place_count++] =
                xpath_read(p->f, p->paths, p->prefixes, n, n->text);
    }
}

static void read_markup(struct page_form *p, struct page *out)
{
    read_places(p, out);
    out->script = path_of(p, "script", false);
    out->unpack = path_of(p, "unpack", false);
    out->items = path_of(p, "items", true);
    out->gone_text = path_of(p, "gone_text", false);
    out->gone_id = path_of(p, "gone_id", false);
    out->cursor = path_of(p, "cursor", false);
    out->cursor_header = form_text(p->f, p->root, "cursor_header", false);
    out->head = path_of(p, "head", false);
    out->schema = path_of(p, "schema", false);
    out->frame = path_of(p, "frame", true);
    read_kinds(p, out);
    read_states(p, out);
}

static void read_parts(struct page_form *p, struct page *out)
{
    static const char *const keys[] = {"items", "section", NULL};
    for (const struct ynode *n = rules_of(p, "parts"); n && !p->f->failed; n = n->next) {
        struct page_part *part = &out->parts[out->part_count++];
        const struct root_path *path = NULL;
        if (!form_keys(p->f, n, "a part", keys))
            return;
        if (envelope_read_roots(p->f, n, "items", &path) != 1 && !p->f->failed)
            form_wrong(p->f, n, "a part has one path");
        form_text(p->f, n, "section", true);
        int section = form_word(p->f, ynode_find(n, "section"), "section", sections);
        if (p->f->failed || section < 0)
            return;
        part->path = path[0];
        part->section = (enum record_section)section;
    }
}

static void read_plain(struct page_form *p, struct page *out)
{
    static const char *const pinned_keys[] = {"path", "is", NULL};
    const struct ynode *pinned = form_map(p->f, p->root, "pinned", false);
    read_parts(p, out);
    if ((!ynode_find(p->root, "users") && !out->part_count) || ynode_find(p->root, "items"))
        out->root_count = envelope_read_roots(p->f, p->root, "items", &out->roots);
    if (ynode_find(p->root, "users"))
        out->user_root_count = envelope_read_roots(p->f, p->root, "users", &out->user_roots);
    paths_read(p->f, p->root, "cursor", false, &out->next);
    out->next_link = form_bool(p->f, p->root, "cursor_link", false);
    if (pinned && form_keys(p->f, pinned, "pinned", pinned_keys)) {
        paths_read(p->f, pinned, "path", true, &out->pinned_at);
        out->pinned_is = form_text(p->f, pinned, "is", true);
    }
    paths_read(p->f, p->root, "known", true, &out->known);
    signs_read_one(p->f, p->root, "blank", &out->blank);
}

void page_read(struct form *f, const struct ynode *root, struct html_paths *paths,
               struct page *out)
{
    static const char *const plain[] = {
        "format",   "script", "items",  "known",       "blank",  "section", "none", "answers",
        "prefixes", "users",  "cursor", "cursor_link", "pinned", "parts",   NULL};
    static const char *const markup[] = {
        "format",   "prefixes", "unpack",  "items",         "kinds", "gone_text", "gone_id",
        "cursor",   "head",     "schema",  "states",        "frame", "places",    "section",
        "sections", "none",     "answers", "cursor_header", NULL};
    static const char *const formats[] = {"json", "html", "xml", NULL};
    struct page_form p = {.f = f, .paths = paths, .root = root};
    form_text(f, root, "format", true);
    int format = f->failed ? -1 : form_word(f, ynode_find(root, "format"), "format", formats);
    if (format < 0)
        return;
    out->format = (enum page_format)format;
    bool in_script = out->format == PAGE_HTML && ynode_find(root, "script");
    bool is_plain = out->format == PAGE_JSON || in_script;
    if (!form_keys(f, root, "a page", is_plain ? plain : markup))
        return;
    p.prefixes = form_map(f, root, "prefixes", false);
    if (in_script)
        out->script = path_of(&p, "script", true);
    if (is_plain)
        read_plain(&p, out);
    else
        read_markup(&p, out);
    read_sections(&p, out);
    signs_read_one(f, root, "none", &out->none);
    signs_read_table(f, root, "answers", false, &out->answers);
}

static int new_counter(struct map_counters *counters, struct span name, const char *what,
                       size_t ways)
{
    if (counters->count >= MAP_FIELDS_MAX)
        return -1;
    counters->row[counters->count] =
        (struct field_hits){.map = name, .field = span_of(what), .paths = ways};
    return (int)counters->count++;
}

/* One counter for all rules that tell `is`, when there are several. */
static void count_kind(struct page *p, enum page_kind is, struct span name,
                       struct map_counters *counters)
{
    unsigned ways = 0;
    for (size_t i = 0; i < p->kind_count; i++)
        if (p->kinds[i].is == is)
            p->kinds[i].way = ways++;
    int counter = ways > 1 ? new_counter(counters, name, kinds[is], ways) : -1;
    for (size_t i = 0; i < p->kind_count; i++)
        if (p->kinds[i].is == is)
            p->kinds[i].counter = counter;
}

static void count_section(struct page *p, enum record_section is, struct span name,
                          struct map_counters *counters)
{
    unsigned ways = 0;
    for (size_t i = 0; i < p->section_count; i++)
        if (p->sections[i].is == is)
            p->sections[i].way = ways++;
    int counter = ways > 1 ? new_counter(counters, name, sections[is], ways) : -1;
    for (size_t i = 0; i < p->section_count; i++)
        if (p->sections[i].is == is)
            p->sections[i].counter = counter;
}

void page_count_rules(struct page *p, struct span name, struct map_counters *counters)
{
    p->place_counter =
        p->place_count ? new_counter(counters, name, "place", p->place_count) : -1;
    for (int is = 0; kinds[is]; is++)
        count_kind(p, (enum page_kind)is, name, counters);
    for (int is = 0; sections[is]; is++)
        count_section(p, (enum record_section)is, name, counters);
}
