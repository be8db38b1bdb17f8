/* document.c - reading the other sources: pages of HTML, feeds of XML, plain JSON, JSON inside a
 * page. What an element or object is, is said by the pack (page.h); what becomes of it is in
 * reader.c. */
#include "extract/answer.h"

#include "base/text.h"
#include "extract/charset.h"

#include <stdio.h>

enum { STATE_WORDS_MAX = 2000 };

static const struct source *find_source(const struct pack *p, struct span name)
{
    for (size_t i = 0; i < p->source_count; i++)
        if (span_eq(p->sources[i].op.name, name))
            return &p->sources[i];
    return NULL;
}

struct visit {
    struct answer *a;
    const struct source *source;
    const struct page *page;
    int status;
    struct json headers;
    struct span body;
    enum record_section section; /* of the part that is read, else the page's */
};

static void drift(struct answer *a, struct span why)
{
    answer_sign(a, FAILURE_DRIFT, why);
}

/* By the source's own table; what it does not know is drift. */
static void sign_by_status(struct visit *v)
{
    struct sign s = signs_answer_by(&v->page->answers, v->status, v->headers, v->body);
    if (s.is == FAILURE_NONE && s.says == SAYS_NOTHING)
        s = (struct sign){.is = FAILURE_DRIFT};
    if (!s.why.p)
        s.why = SPAN("the answer is not in a shape we know");
    answer_sign_all(v->a, s);
}

static bool has_records(const struct reading *r)
{
    return r->posts || r->users || r->unavailable || r->repeated;
}

/* ---- JSON ---- */

/* A list of records is no single one: its place decides the section. */
static bool on_root(void *ctx, const struct seen *s)
{
    struct visit *v = ctx;
    struct seen other = *s;
    struct span word;
    other.section = v->section;
    other.in_order = v->source->op.order != ORDER_NONE;
    if (json_text(paths_get(&v->page->pinned_at, s->object), &word) &&
        span_eq(word, v->page->pinned_is))
        other.section = SECTION_PINNED;
    return answer_on_seen(v->a, &other);
}

/* rel=next, rel="next", rel="last next" (RFC 8288) */
static bool is_next(struct span about)
{
    struct span part, word;
    while (span_next(&about, ';', &part)) {
        size_t eq = span_find_char(part, '=');
        if (!span_eq_nocase(span_trim(span_cut(part, 0, eq)), SPAN("rel")))
            continue;
        part = span_trim(span_cut(part, eq + 1, part.n));
        if (part.n >= 2 && part.p[0] == '"')
            part = span_cut(part, 1, span_find_char(span_cut(part, 1, part.n), '"'));
        while (span_next(&part, ' ', &word))
            if (span_eq_nocase(span_trim(word), SPAN("next")))
                return true;
    }
    return false;
}

/* <https://…>; rel="next", <…>; rel="prev" */
static struct span link_next(struct span header)
{
    while (header.n) {
        struct span rest = span_cut(header, span_find_char(header, '<') + 1, header.n);
        size_t end = span_find_char(rest, '>'), next = span_find_char(rest, '<');
        struct span about = span_cut(rest, end + 1, next > end ? next - end - 1 : 0);
        if (next < rest.n && span_ends(span_trim(about), SPAN(",")))
            about = span_cut(span_trim(about), 0, span_trim(about).n - 1);
        if (is_next(about))
            return span_cut(rest, 0, end);
        header = span_cut(rest, next, rest.n);
    }
    return SPAN_NONE;
}

/* A header may come more than once: whatever stands in front of the site adds links of its own. */
static struct span links_next(struct json headers)
{
    struct span value, next = SPAN_NONE;
    for (struct json_iter i = json_each(headers); !next.n && json_next(&i);)
        if (span_eq_nocase(i.key, SPAN("link")) && json_text(i.value, &value))
            next = link_next(value);
    return next;
}

/* A list that gives no cursor any more has ended. A missing header is a weaker word than a missing
 * member: behind a page as long as was asked for there may be more. */
static bool has_ended(const struct visit *v)
{
    const struct reading *o = v->a->out;
    size_t most = (size_t)v->source->limit;
    return !v->page->next_link || !most || o->entries + o->users < most;
}

static void read_next(struct visit *v, struct json root)
{
    const struct page *p = v->page;
    struct span cursor = SPAN_NONE;
    int64_t number = 0;
    char digits[24];
    if (!p->next_link && !p->next.count)
        return;
    struct json at = paths_get(&p->next, root);
    if (p->next_link)
        cursor = links_next(v->headers);
    else if (!json_text(at, &cursor) && json_int(at, &number)) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        cursor = span_of(digits);
    }
    if (cursor.n)
        answer_cursor(v->a, cursor);
    else if (has_ended(v))
        v->a->out->terminated = true;
}

/* An answer that is a list is known by that. */
static bool is_known(const struct page *p, struct json root)
{
    bool list = (p->root_count && p->roots[0].count && !p->roots[0].step[0].n) ||
                (p->user_root_count && p->user_roots[0].count && !p->user_roots[0].step[0].n);
    return list ? json_is(root, JSON_ARRAY) : paths_get(&p->known, root).doc != NULL;
}

static void read_parts(struct visit *v, struct json root)
{
    for (size_t i = 0; i < v->page->part_count; i++) {
        const struct page_part *part = &v->page->parts[i];
        v->section = part->section;
        envelope_roots(&part->path, 1, root, SEEN_POST, on_root, v);
    }
    v->section = v->page->section;
}

static void read_json(struct visit *v, struct span text)
{
    struct answer *a = v->a;
    const struct page *p = v->page;
    struct json root;
    if (!text.n || json_parse(a->r->body_parser, text, &root, &(struct fault){0}) != E_OK ||
        !answer_fine_status(v->status)) {
        sign_by_status(v);
        return;
    }
    if (json_is(root, JSON_OBJECT) && json_count(root) == 0 &&
        (p->blank.is != FAILURE_NONE || p->blank.state.n)) {
        answer_sign_all(a, p->blank);
        return;
    }
    if (!is_known(p, root)) {
        drift(a, SPAN("the answer is not in a shape we know"));
        return;
    }
    read_parts(v, root);
    envelope_roots(p->roots, p->root_count, root, SEEN_POST, on_root, v);
    envelope_roots(p->user_roots, p->user_root_count, root, SEEN_USER, on_root, v);
    read_next(v, root);
    if (has_records(a->out) || a->out->sign != FAILURE_NONE || a->failed)
        return;
    if (a->out->unparsed || a->out->rejected)
        drift(a, SPAN("the answer has posts, but none could be read"));
    else
        answer_sign_all(a, p->none);
}

/* ---- elements ---- */

static struct span found_text(struct visit *v, const struct html_path *path,
                              struct html_node from)
{
    struct answer *a = v->a;
    const struct html_found *f = path ? html_find(a->doc, path, from, a->r->found) : NULL;
    if (!f)
        return SPAN_NONE;
    return f->text.p ? f->text : html_text(a->doc, f->nodes[0], a->r->found);
}

static void count_way(struct visit *v, int counter, unsigned way)
{
    if (counter >= 0)
        v->a->r->hits[counter].hits[way]++;
}

static void count_place(struct visit *v, struct html_node n)
{
    for (unsigned i = 0; i < v->page->place_count; i++)
        if (html_holds(v->a->doc, v->page->places[i], n)) {
            count_way(v, v->page->place_counter, i);
            return;
        }
}

static enum page_kind kind_of(struct visit *v, struct html_node n)
{
    for (size_t i = 0; i < v->page->kind_count; i++) {
        const struct page_kind_rule *rule = &v->page->kinds[i];
        if (!html_holds(v->a->doc, rule->when, n))
            continue;
        count_way(v, rule->counter, rule->way);
        return rule->is;
    }
    return PAGE_POST;
}

static enum record_section section_of(struct visit *v, struct html_node n)
{
    for (size_t i = 0; i < v->page->section_count; i++) {
        const struct page_section_rule *rule = &v->page->sections[i];
        if (!html_holds(v->a->doc, rule->when, n))
            continue;
        count_way(v, rule->counter, rule->way);
        return rule->is;
    }
    return v->page->section;
}

static void on_gone(struct visit *v, struct html_node n, enum record_section section)
{
    struct answer *a = v->a;
    const struct signs *signs = &a->r->pack->signs;
    struct span words = found_text(v, v->page->gone_text, n);
    struct span id = found_text(v, v->page->gone_id, n);
    struct span state = signs_text_state(signs, words);
    struct span where = section == SECTION_REPLY ? SPAN("reply") : SPAN("top");
    struct sign is = signs_of_state(signs, state);
    a->out->entries++;
    answer_unavailable(a, id.n <= 20 ? id : SPAN_NONE, state, words, where);
    if (!a->out->gone) {
        a->out->gone = is.is;
        a->out->gone_why = is.why;
    }
    if (section == SECTION_MAIN)
        answer_sign_all(a, is);
}

static void on_item(struct visit *v, struct html_node n)
{
    struct answer *a = v->a;
    struct record_place at = {.node = n, .section = section_of(v, n)};
    count_place(v, n);
    switch (kind_of(v, n)) {
    case PAGE_POST:
        a->out->entries++;
        if (v->source->post)
            answer_record(a, v->source->post, RECORD_POST, &at);
        return;
    case PAGE_USER:
        if (v->source->user)
            answer_record(a, v->source->user, RECORD_USER, &at);
        return;
    case PAGE_PROMOTED:
        a->out->entries++;
        a->out->promoted++;
        return;
    case PAGE_UNAVAILABLE:
        on_gone(v, n, at.section);
        return;
    case PAGE_UNKNOWN:
        a->out->entries++;
        a->out->unparsed++;
        return;
    case PAGE_SKIP:
        return;
    }
}

/* The account whose page it is: from the page's schema, which is exact, else from its head. */
static void read_head(struct visit *v)
{
    struct answer *a = v->a;
    struct html_node root = html_root(a->doc);
    const struct html_found *f = NULL;
    struct record_place at = {.section = SECTION_MAIN, .is_account = true};
    struct span text = found_text(v, v->page->schema, root);
    size_t had = a->out->unparsed;
    if (v->source->schema && text.n &&
        json_parse(a->r->body_parser, text, &at.object, &(struct fault){0}) == E_OK &&
        answer_record(a, v->source->schema, RECORD_USER, &at))
        return;
    a->out->unparsed = had; /* the head stands in for a schema we cannot read */
    if (v->page->head && v->source->head)
        f = html_find(a->doc, v->page->head, root, a->r->found);
    if (!f || !f->count)
        return;
    at.node = f->nodes[0];
    answer_record(a, v->source->head, RECORD_USER, &at);
}

static void read_cursor(struct visit *v)
{
    struct span text = found_text(v, v->page->cursor, html_root(v->a->doc));
    struct buf plain = BUF(READER_CURSOR_MAX + 1);
    if (text.n && text_add_url_unescaped(&plain, text))
        answer_cursor(v->a, buf_span(&plain));
    buf_free(&plain);
    struct span header = signs_header(v->headers, v->page->cursor_header);
    if (header.n)
        answer_cursor(v->a, header);
}

/* Words of the page outside its records, a line each. */
static void add_words(struct visit *v, const struct page_state *s, struct buf *out)
{
    struct answer *a = v->a;
    const struct html_found *f = html_find(a->doc, s->path, html_root(a->doc), a->r->found);
    if (!f)
        return;
    if (s->words.p || f->text.p) {
        buf_add(out, s->words.p ? s->words : f->text);
        buf_add_char(out, '\n');
    }
    for (size_t i = 0; !s->words.p && i < f->count && out->n < STATE_WORDS_MAX; i++) {
        buf_add(out, span_trim(html_text(a->doc, f->nodes[i], a->r->found)));
        buf_add_char(out, '\n');
    }
}

static struct sign read_state(struct visit *v)
{
    struct buf words = BUF(HTML_TEXT_MAX);
    for (size_t i = 0; i < v->page->state_count; i++)
        add_words(v, &v->page->states[i], &words);
    struct sign s = signs_words(&v->a->r->pack->signs, buf_span(&words));
    buf_free(&words);
    return s;
}

/* Records count more than words: an error box below a list says that there is more. */
static void weigh(struct visit *v, bool framed)
{
    struct answer *a = v->a;
    struct sign said = read_state(v);
    bool posts = a->out->posts || a->out->unavailable || a->out->repeated || a->out->promoted;
    if (a->failed || a->out->sign != FAILURE_NONE)
        return;
    if (posts || (a->out->users && said.is == FAILURE_NONE && !said.state.n)) {
        a->out->terminated = a->out->terminated || said.says == SAYS_END;
        return;
    }
    if (said.is != FAILURE_NONE || said.says != SAYS_NOTHING)
        answer_sign_all(a, said);
    else if (a->out->unparsed || a->out->rejected)
        drift(a, SPAN("the page has posts, but none could be read"));
    else if (!answer_fine_status(v->status) || !framed)
        sign_by_status(v);
    else
        answer_sign_all(a, v->page->none);
}

static void read_elements(struct visit *v)
{
    struct answer *a = v->a;
    struct html_node root = html_root(a->doc);
    const struct html_found *f = NULL;
    if (v->page->unpack)
        f = html_find(a->doc, v->page->unpack, root, a->r->found);
    for (size_t i = 0; f && i < f->count; i++)
        html_unpack(a->doc, f->nodes[i]);
    bool framed = html_holds(a->doc, v->page->frame, root);
    read_cursor(v);
    read_head(v);
    f = html_find(a->doc, v->page->items, root, a->r->found);
    for (size_t i = 0; f && i < f->count && !a->failed; i++)
        on_item(v, f->nodes[i]);
    weigh(v, framed);
    if (html_exhausted(a->doc) && !a->failed)
        drift(a, SPAN("the page is larger than any we know"));
}

/* ---- the document as a whole ---- */

/* The body in UTF-8. False: it cannot be read, and the reading says why. */
static bool in_utf8(struct visit *v, struct buf *room)
{
    struct answer *a = v->a;
    struct span text, name;
    if (!charset_read(v->body, signs_header(v->headers, SPAN("content-type")), room, &text,
                      &name)) {
        char *why = arena_fmt(a->arena, "the document is written in '%.*s', which is not read",
                              (int)(name.n > 40 ? 40 : name.n), name.p);
        drift(a, span_of(why));
        return false;
    }
    if (room->failed) {
        drift(a, SPAN("the document is larger than any we know"));
        return false;
    }
    v->body = text;
    return true;
}

static void open_markup(struct visit *v)
{
    struct answer *a = v->a;
    struct fault f = {0};
    enum html_kind kind = v->page->format == PAGE_XML ? HTML_XML : HTML_PAGE;
    err e = html_open(&a->doc, kind, v->body, &f);
    if (e) {
        sign_by_status(v);
        if (a->out->sign == FAILURE_DRIFT)
            a->out->why = answer_keep(a, span_of(f.words));
        return;
    }
    arena_reset(a->r->found);
    if (v->page->script)
        read_json(v, found_text(v, v->page->script, html_root(a->doc)));
    else
        read_elements(v);
    html_close(&a->doc);
}

static void read_markup(struct visit *v)
{
    struct buf room = BUF(HTML_BYTES_MAX);
    if (in_utf8(v, &room))
        open_markup(v);
    buf_free(&room);
}

void reader_page_url(struct reader *r, struct span url)
{
    r->page_url = url;
}

err reader_document(struct reader *r, struct span source_name, int http_status,
                    struct span headers_json, struct span body, wall collected_at,
                    struct arena *arena, struct reading *out, struct fault *f)
{
    const struct source *source = find_source(r->pack, source_name);
    if (!source)
        return fail(f, E_NOT_FOUND, "the pack has no source '%.*s'", SP(source_name));
    if (body.n > r->max_body)
        return fail(f, E_TOO_BIG, "answer of %.*s has %zu bytes; the limit is %zu",
                    SP(source_name), body.n, r->max_body);
    struct reading fresh = {.remaining = -1,
                            .user_posts = -1,
                            .user_media = -1,
                            .user_followers = -1,
                            .user_following = -1};
    struct answer a = {.r = r, .op = &source->op, .post = source->post, .user = source->user};
    buf_clear(&r->order_keys);
    a.as = source->as;
    a.had_focus = r->focus_seen;
    a.arena = arena;
    a.out = &fresh;
    a.fault = f;
    struct visit v = {.a = &a,
                      .source = source,
                      .page = &source->page,
                      .status = http_status,
                      .body = body,
                      .section = source->page.section};
    when_text(collected_at, a.collected);
    answer_headers(&a, headers_json, &v.headers, collected_at);
    r->page += source->op.role == OP_TIMELINE;
    if (v.page->format == PAGE_JSON)
        read_json(&v, body);
    else
        read_markup(&v);
    if (a.failed)
        return a.failed;
    r->focus_seen |= a.focus_seen;
    *out = fresh;
    return E_OK;
}
