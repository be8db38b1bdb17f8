#include "extract/html.h"

#include "base/text.h"

#include <libxml/HTMLparser.h>
#include <libxml/parser.h>
#include <libxml/xpath.h>
#include <libxml/uri.h>
#include <libxml/xpathInternals.h>
#include <stdlib.h>

enum {
    CUTS_FIRST = 16,
    URL_MAX = 8 * 1024,
    BASES_MAX = 8,  /* xml:base, one around the other */
    CLIMB_MAX = 32, /* elements around words that are asked whether they are a block */
    /* Distinct names of elements and attributes. Comparing the attributes of one tag with each
     * other takes quadratic time in their number, and only distinct ones are kept. */
    HTML_NAMES_BYTES = 32 * 1024,
    XML_NAMES_BYTES = 256 * 1024, /* short texts lie there as well */
};

struct html_path {
    xmlXPathCompExpr *compiled;
    struct html_path *next;
};

struct html_doc {
    xmlDoc *xml;
    xmlXPathContext *context;
    xmlNode **cuts; /* no longer in the tree, freed with the document */
    size_t cut_count, cut_room;
    size_t parts;
    unsigned long work; /* steps of XPaths so far */
    bool exhausted;
    bool lines; /* a <div> stands on lines of its own */
};

/* libxml2's characters; its own cast drops const. */
static const xmlChar *words_in(const char *text)
{
    return (const xmlChar *)text;
}

/* libxml2 hands errors to the thread's handlers when there are none nearer, and these would print
 * them. */
static void be_silent(void *ctx, xmlErrorPtr e)
{
    (void)ctx;
    (void)e;
}

__attribute__((format(printf, 2, 3))) static void say_nothing(void *ctx, const char *words, ...)
{
    (void)ctx;
    (void)words;
}

static void silence(void)
{
    xmlSetStructuredErrorFunc(NULL, be_silent);
    xmlSetGenericErrorFunc(NULL, say_nothing);
}

/* ---- has-class('x') ---- */

static bool has_word(const char *words, const char *word)
{
    struct span all = span_of(words), one = span_of(word);
    for (size_t at = 0; at < all.n && one.n;) {
        size_t end = at;
        while (end < all.n && !strchr(" \t\r\n\f", all.p[end]))
            end++;
        if (span_eq(span_cut(all, at, end - at), one))
            return true;
        at = end + 1;
    }
    return false;
}

static void has_class(xmlXPathParserContext *c, int arguments)
{
    if (arguments != 1) {
        xmlXPathErr(c, XPATH_INVALID_ARITY);
        return;
    }
    xmlChar *word = xmlXPathPopString(c);
    xmlNode *n = c->context->node;
    xmlChar *words = NULL;
    if (n && n->type == XML_ELEMENT_NODE)
        words = xmlGetNoNsProp(n, words_in("class"));
    bool has = word && words && has_word((const char *)words, (const char *)word);
    xmlFree(word);
    xmlFree(words);
    xmlXPathReturnBoolean(c, has);
}

static xmlXPathContext *context_new(xmlDoc *doc, xmlStructuredErrorFunc on_error, void *ctx)
{
    xmlXPathContext *c = xmlXPathNewContext(doc);
    if (!c)
        abort();
    c->error = on_error;
    c->userData = ctx;
    xmlXPathRegisterFunc(c, words_in("has-class"), has_class);
    return c;
}

/* ---- paths ---- */

struct complaint {
    char *why;
    size_t size;
    bool made;
};

/* libxml2 gives a number and no words. */
static const char *words_of(int code)
{
    switch (code) {
    case XML_XPATH_UNFINISHED_LITERAL_ERROR:
        return "text without its closing quote";
    case XML_XPATH_VARIABLE_REF_ERROR:
    case XML_XPATH_UNDEF_VARIABLE_ERROR:
        return "variables are not known here";
    case XML_XPATH_INVALID_PREDICATE_ERROR:
        return "'[' without ']'";
    case XML_XPATH_UNCLOSED_ERROR:
        return "'(' without ')'";
    case XML_XPATH_UNKNOWN_FUNC_ERROR:
        return "unknown function";
    case XML_XPATH_INVALID_ARITY:
        return "wrong number of arguments";
    case XML_XPATH_INVALID_TYPE:
    case XML_XPATH_INVALID_OPERAND:
        return "an argument is of the wrong type";
    case XML_XPATH_UNDEF_PREFIX_ERROR:
        return "the prefix of a namespace is not known (use local-name())";
    default:
        return "expression expected";
    }
}

static void on_complaint(void *ctx, xmlErrorPtr e)
{
    struct complaint *c = ctx;
    if (c->made)
        return;
    c->made = true;
    if (e->str1)
        snprintf(c->why, c->size, "%s at character %d", words_of(e->code), e->int1 + 1);
    else
        snprintf(c->why, c->size, "%s", words_of(e->code));
}

/* Unknown functions and wrong numbers of arguments show only when the path is asked. */
static xmlXPathCompExpr *compile_tried(const char *text, struct complaint *c)
{
    xmlDoc *empty = xmlNewDoc(NULL);
    xmlNode *root = empty ? xmlNewDocNode(empty, NULL, words_in("html"), NULL) : NULL;
    if (!root)
        abort();
    xmlDocSetRootElement(empty, root);
    xmlXPathContext *context = context_new(empty, on_complaint, c);
    xmlXPathCompExpr *compiled = xmlXPathCtxtCompile(context, words_in(text));
    context->node = root;
    xmlXPathObject *result = compiled ? xmlXPathCompiledEval(compiled, context) : NULL;
    if (!result) {
        on_complaint(c, &context->lastError);
        xmlXPathFreeCompExpr(compiled);
        compiled = NULL;
    }
    xmlXPathFreeObject(result);
    xmlXPathFreeContext(context);
    xmlFreeDoc(empty);
    return compiled;
}

bool html_path_read(struct arena *a, struct html_paths *set, struct span text,
                    const struct html_path **out, char *out_why, size_t size)
{
    struct complaint c = {.why = out_why, .size = size};
    if (text.n == 0 || text.n > HTML_PATH_MAX) {
        snprintf(out_why, size, "it has %zu characters; 1 to %d are allowed", text.n,
                 HTML_PATH_MAX);
        return false;
    }
    silence();
    xmlXPathCompExpr *compiled = compile_tried(arena_text(a, text), &c);
    if (!compiled)
        return false;
    struct html_path *p = arena_new_of(a, struct html_path);
    *p = (struct html_path){compiled, set->first};
    set->first = p;
    *out = p;
    return true;
}

void html_paths_free(struct html_paths *set)
{
    for (struct html_path *p = set->first; p; p = p->next)
        xmlXPathFreeCompExpr(p->compiled);
    set->first = NULL;
}

/* ---- parsing ---- */

/* The parser's own handlers, with a count in front. */
struct counting {
    size_t parts;
    bool too_much;
    startElementSAXFunc start;
    startElementNsSAX2Func start_ns;
    commentSAXFunc comment;
};

static bool counted(xmlParserCtxt *p, size_t parts)
{
    struct counting *c = p->_private;
    c->parts += parts;
    if (c->parts <= HTML_PARTS_MAX && p->nodeNr <= HTML_DEPTH_MAX)
        return true;
    c->too_much = true;
    xmlStopParser(p);
    return false;
}

static void on_start(void *ctx, const xmlChar *name, const xmlChar **attributes)
{
    xmlParserCtxt *p = ctx;
    size_t n = 1;
    for (const xmlChar **a = attributes; a && *a; a += 2)
        n++;
    if (counted(p, n))
        ((struct counting *)p->_private)->start(ctx, name, attributes);
}

static void on_start_ns(void *ctx, const xmlChar *name, const xmlChar *prefix,
                        const xmlChar *uri, int namespaces, const xmlChar **namespace_list,
                        int attributes, int defaulted, const xmlChar **attribute_list)
{
    xmlParserCtxt *p = ctx;
    if (counted(p, 1 + (size_t)namespaces + (size_t)attributes))
        ((struct counting *)p->_private)
            ->start_ns(ctx, name, prefix, uri, namespaces, namespace_list, attributes,
                       defaulted, attribute_list);
}

static void on_comment(void *ctx, const xmlChar *text)
{
    xmlParserCtxt *p = ctx;
    if (counted(p, 1))
        ((struct counting *)p->_private)->comment(ctx, text);
}

static void prepare(xmlParserCtxt *p, struct counting *c)
{
    p->_private = c;
    c->start = p->sax->startElement;
    c->start_ns = p->sax->startElementNs;
    c->comment = p->sax->comment;
    p->sax->startElement = on_start;
    if (c->start_ns)
        p->sax->startElementNs = on_start_ns;
    p->sax->comment = on_comment;
    p->sax->serror = be_silent;
}

static xmlDoc *parse_html(struct span text, struct counting *c)
{
    htmlParserCtxt *p = htmlNewParserCtxt();
    if (!p)
        abort();
    prepare(p, c);
    xmlDictSetLimit(p->dict, HTML_NAMES_BYTES);
    xmlDoc *doc =
        htmlCtxtReadMemory(p, text.p, (int)text.n, NULL, "UTF-8",
                           HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                               HTML_PARSE_RECOVER | HTML_PARSE_IGNORE_ENC);
    htmlFreeParserCtxt(p);
    return doc;
}

/* Entities that the document declares itself could multiply: such a document is refused. */
static xmlDoc *without_entities(xmlDoc *doc)
{
    if (doc && doc->intSubset && doc->intSubset->entities) {
        xmlFreeDoc(doc);
        return NULL;
    }
    return doc;
}

static xmlDoc *parse_xml(struct span text, struct counting *c)
{
    xmlParserCtxt *p = xmlNewParserCtxt();
    if (!p)
        abort();
    prepare(p, c);
    xmlDictSetLimit(p->dict, XML_NAMES_BYTES);
    xmlDoc *doc = xmlCtxtReadMemory(p, text.p, (int)text.n, NULL, "UTF-8",
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_IGNORE_ENC);
    xmlFreeParserCtxt(p);
    return without_entities(doc);
}

/* Valid UTF-8 without NUL: libxml2 never has to guess an encoding. */
static void add_clean(struct buf *out, struct span text)
{
    for (size_t at = 0; at < text.n;) {
        uint32_t code = text_next(text, &at);
        text_add_code(out, code ? code : 0xFFFD);
    }
}

static err parse(enum html_kind kind, struct span text, xmlDoc **out, size_t *out_parts,
                 struct fault *f)
{
    struct counting c = {0};
    struct buf clean = BUF(HTML_BYTES_MAX * 3);
    if (text.n > HTML_BYTES_MAX)
        return fail(f, E_TOO_BIG, "document of %zu bytes; the limit is %d", text.n,
                    HTML_BYTES_MAX);
    if (!text_valid(text) || span_find_char(text, '\0') < text.n) {
        add_clean(&clean, text);
        text = buf_span(&clean);
    }
    silence();
    xmlDoc *doc = text.n ? (kind == HTML_XML ? parse_xml : parse_html)(text, &c) : NULL;
    buf_free(&clean);
    err e = E_OK;
    if (c.too_much)
        e = fail(f, E_TOO_BIG, "document has more than %d elements or is deeper than %d",
                 HTML_PARTS_MAX, HTML_DEPTH_MAX);
    else if (!doc || !xmlDocGetRootElement(doc))
        e = fail(f, E_BAD_SYNTAX, "the document cannot be read as %s",
                 kind == HTML_XML ? "XML" : "HTML");
    if (e) {
        xmlFreeDoc(doc);
        return e;
    }
    *out = doc;
    *out_parts = c.parts;
    return E_OK;
}

err html_open(struct html_doc **out, enum html_kind kind, struct span text, struct fault *f)
{
    xmlDoc *xml = NULL;
    size_t parts = 0;
    err e = parse(kind, text, &xml, &parts, f);
    if (e)
        return e;
    struct html_doc *doc = heap_new_of(struct html_doc);
    doc->xml = xml;
    doc->parts = parts;
    doc->lines = kind != HTML_PAGE;
    doc->context = context_new(xml, be_silent, NULL);
    *out = doc;
    return E_OK;
}

void html_close(struct html_doc **doc)
{
    struct html_doc *d = *doc;
    if (!d)
        return;
    xmlXPathFreeContext(d->context);
    for (size_t i = 0; i < d->cut_count; i++)
        xmlFreeNode(d->cuts[i]);
    free(d->cuts);
    xmlFreeDoc(d->xml);
    free(d);
    *doc = NULL;
}

struct html_node html_root(const struct html_doc *doc)
{
    return (struct html_node){xmlDocGetRootElement(doc->xml)};
}

bool html_is_element(struct html_node n)
{
    const xmlNode *node = n.at;
    return node && node->type == XML_ELEMENT_NODE;
}

bool html_exhausted(const struct html_doc *doc)
{
    return doc->exhausted;
}

/* ---- asking ---- */

static xmlXPathObject *ask(struct html_doc *doc, const struct html_path *path,
                           struct html_node from)
{
    if (doc->work >= HTML_WORK_MAX) {
        doc->exhausted = true;
        return NULL;
    }
    doc->context->node = from.at;
    doc->context->opLimit = HTML_WORK_MAX - doc->work;
    doc->context->opCount = 0;
    xmlXPathObject *result = xmlXPathCompiledEval(path->compiled, doc->context);
    doc->work += doc->context->opCount + 1;
    if (!result)
        doc->exhausted = true;
    return result;
}

static struct span kept_text(const xmlChar *text, struct arena *a)
{
    struct span s = span_of((const char *)text);
    return s.n && s.n <= HTML_TEXT_MAX ? arena_keep(a, s) : SPAN_NONE;
}

static struct span value_text(xmlXPathObject *o, struct arena *a)
{
    switch (o->type) {
    case XPATH_STRING:
        return kept_text(o->stringval, a);
    case XPATH_BOOLEAN:
        return o->boolval ? SPAN("true") : SPAN_NONE;
    case XPATH_NUMBER: {
        xmlChar *text =
            xmlXPathIsNaN(o->floatval) ? NULL : xmlXPathCastNumberToString(o->floatval);
        struct span s = text ? kept_text(text, a) : SPAN_NONE;
        xmlFree(text);
        return s;
    }
    default:
        return SPAN_NONE;
    }
}

/* Nodes of a set are in document order once sorted. Namespace nodes are no part of the tree. */
static bool keep_nodes(struct html_doc *doc, xmlNodeSet *set, struct arena *a,
                       struct html_found *out)
{
    if (!set || set->nodeNr <= 0)
        return false;
    xmlXPathNodeSetSort(set);
    size_t n = (size_t)set->nodeNr;
    if (n > HTML_FOUND_MAX) {
        doc->exhausted = true;
        n = HTML_FOUND_MAX;
    }
    out->nodes = arena_try(a, n * sizeof *out->nodes);
    if (!out->nodes)
        return false;
    for (size_t i = 0; i < n; i++)
        if (set->nodeTab[i]->type != XML_NAMESPACE_DECL)
            out->nodes[out->count++].at = set->nodeTab[i];
    return out->count > 0;
}

const struct html_found *html_find(struct html_doc *doc, const struct html_path *path,
                                   struct html_node from, struct arena *a)
{
    xmlXPathObject *o = ask(doc, path, from);
    struct html_found *found = o ? arena_try(a, sizeof *found) : NULL;
    bool any = false;
    if (found && o->type == XPATH_NODESET) {
        any = keep_nodes(doc, o->nodesetval, a, found);
    } else if (found) {
        found->text = value_text(o, a);
        any = found->text.p != NULL;
    }
    xmlXPathFreeObject(o);
    return any ? found : NULL;
}

bool html_holds(struct html_doc *doc, const struct html_path *path, struct html_node from)
{
    xmlXPathObject *o = ask(doc, path, from);
    bool holds = o && xmlXPathCastToBoolean(o);
    xmlXPathFreeObject(o);
    return holds;
}

/* ---- texts ---- */

static bool named(const xmlNode *n, const char *name)
{
    return n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0;
}

static void add_attribute(struct buf *out, xmlNode *n, const char *name)
{
    xmlChar *value = xmlGetNoNsProp(n, words_in(name));
    buf_add(out, span_of((const char *)value));
    xmlFree(value);
}

/* A text on its way through the elements. */
struct telling {
    struct html_doc *doc;
    xmlNode *root;
    const struct html_instead_list *instead;
    struct buf *out;
    const xmlNode *block, *cell; /* of the last words: where they stand */
};

static bool is_one_of(const xmlNode *n, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        if (named(n, names[i]))
            return true;
    return false;
}

static bool is_block(const struct telling *t, const xmlNode *n)
{
    static const char *const blocks[] = {"p",   "li",         "ul", "ol", "h1", "h2",
                                         "h3",  "h4",         "h5", "h6", "dt", "dd",
                                         "pre", "blockquote", "tr", NULL};
    return is_one_of(n, blocks) || (t->doc->lines && named(n, "div"));
}

/* What the text ends with, spaces aside: 0 at its start. */
static char last_sign(const struct buf *out)
{
    size_t n = out->n;
    while (n && (out->p[n - 1] == ' ' || out->p[n - 1] == '\t'))
        n--;
    return n ? out->p[n - 1] : '\0';
}

/* Words of another block begin a line, those of another cell stand apart. */
static void start_words(struct telling *t, const xmlNode *n)
{
    static const char *const cells[] = {"td", "th", NULL};
    const xmlNode *cell = NULL;
    int climb = 0;
    for (; n != t->root && !is_block(t, n); n = n->parent) {
        if (++climb > CLIMB_MAX)
            return;
        cell = !cell && is_one_of(n, cells) ? n : cell;
    }
    if (t->block && n != t->block && last_sign(t->out) != '\n')
        buf_add_char(t->out, '\n');
    else if (t->block && n == t->block && cell != t->cell)
        buf_add_char(t->out, ' ');
    t->block = n;
    t->cell = cell;
}

/* Paragraphs after the first stand apart by an empty line. */
static void start_paragraph(struct buf *out)
{
    if (out->n == 0)
        return;
    while (!span_ends(buf_span(out), SPAN("\n\n")) && !out->failed)
        buf_add_char(out, '\n');
}

static bool put_instead(struct telling *t, xmlNode *n)
{
    struct html_node node = {n};
    for (size_t i = 0; t->instead && i < t->instead->count; i++) {
        if (!html_holds(t->doc, t->instead->row[i].of, node))
            continue;
        xmlXPathObject *o = ask(t->doc, t->instead->row[i].put, node);
        xmlChar *text = o ? xmlXPathCastToString(o) : NULL;
        buf_add(t->out, span_of((const char *)text));
        xmlFree(text);
        xmlXPathFreeObject(o);
        return true;
    }
    return false;
}

/* True when what is below the element is read too. */
static bool enter(struct telling *t, xmlNode *n)
{
    struct buf *out = t->out;
    if (n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) {
        struct span words = span_of((const char *)n->content);
        if (span_trim(words).n)
            start_words(t, n);
        buf_add(out, words);
        return false;
    }
    if (n->type != XML_ELEMENT_NODE ||
        (n != t->root && (named(n, "script") || named(n, "style"))))
        return false;
    if (put_instead(t, n))
        return false;
    if (named(n, "img"))
        add_attribute(out, n, "alt");
    else if (named(n, "br"))
        buf_add_char(out, '\n');
    else if (named(n, "p"))
        start_paragraph(out);
    return true;
}

/* The node after n in document order, within root; below: what is under n counts. */
static xmlNode *following(xmlNode *root, xmlNode *n, bool below)
{
    if (below && n->children)
        return n->children;
    while (n != root && !n->next)
        n = n->parent;
    return n == root ? NULL : n->next;
}

void html_read(struct html_doc *doc, struct html_node node,
               const struct html_instead_list *instead, struct buf *out)
{
    xmlNode *root = node.at;
    if (!root)
        return;
    if (root->type == XML_ATTRIBUTE_NODE) {
        xmlChar *text = xmlNodeGetContent(root);
        buf_add(out, span_of((const char *)text));
        xmlFree(text);
        return;
    }
    struct telling t = {.doc = doc, .root = root, .instead = instead, .out = out};
    for (xmlNode *n = root; n && !out->failed;)
        n = following(root, n, enter(&t, n));
}

struct span html_text(struct html_doc *doc, struct html_node n, struct arena *a)
{
    struct buf b = BUF(HTML_TEXT_MAX);
    html_read(doc, n, NULL, &b);
    struct span s = b.n ? buf_span(&b) : SPAN("");
    s = arena_keep(a, html_is_element(n) ? span_trim(s) : s);
    buf_free(&b);
    return s;
}

/* ---- links ---- */

static struct span resolved(struct span url, struct span base, struct arena *a)
{
    char *text = url.n < URL_MAX ? arena_text(a, url) : NULL;
    char *from = text && base.n ? arena_text(a, base) : NULL;
    xmlChar *whole = text ? xmlBuildURI(words_in(text), words_in(from)) : NULL;
    struct span s = whole ? kept_text(whole, a) : SPAN_NONE;
    xmlFree(whole);
    return s;
}

/* Nothing is copied of a base that is no URL by its length. */
static struct span base_at(const xmlNode *n)
{
    const xmlAttr *base = n->type == XML_ELEMENT_NODE
                              ? xmlHasNsProp(n, words_in("base"), XML_XML_NAMESPACE)
                              : NULL;
    const xmlNode *text = base ? base->children : NULL;
    struct span s = text && !text->next ? span_of((const char *)text->content) : SPAN_NONE;
    return s.n < URL_MAX ? span_trim(s) : SPAN_NONE;
}

struct span html_whole_url(struct html_node node, struct span url, struct span page_url,
                           struct arena *a)
{
    struct span bases[BASES_MAX], base = page_url;
    size_t count = 0;
    for (const xmlNode *n = node.at; n && count < BASES_MAX; n = n->parent) {
        bases[count] = base_at(n);
        count += bases[count].n > 0;
    }
    while (count) {
        struct span next = resolved(bases[--count], base, a);
        base = next.n ? next : base;
    }
    return url.n ? resolved(url, base, a) : SPAN_NONE;
}

/* ---- changes ---- */

static void put_aside(struct html_doc *doc, xmlNode *node)
{
    if (doc->cut_count == doc->cut_room) {
        size_t room = doc->cut_room ? doc->cut_room * 2 : CUTS_FIRST;
        xmlNode **cuts = reallocarray(doc->cuts, room, sizeof(xmlNode *));
        if (!cuts)
            abort();
        doc->cuts = cuts;
        doc->cut_room = room;
    }
    xmlUnlinkNode(node);
    doc->cuts[doc->cut_count++] = node;
}

void html_cut(struct html_doc *doc, struct html_node n)
{
    xmlNode *node = n.at;
    if (html_is_element(n) && node->parent && node != xmlDocGetRootElement(doc->xml))
        put_aside(doc, node);
}

static void take_over(struct html_doc *doc, xmlNode *into, xmlDoc *part)
{
    xmlNode *body = xmlDocGetRootElement(part);
    for (xmlNode *n = body ? body->children : NULL; n; n = n->next)
        if (named(n, "body"))
            body = n;
    for (xmlNode *n = body ? body->children : NULL; n; n = n->next) {
        xmlNode *copy = xmlDocCopyNode(n, doc->xml, 1);
        if (copy)
            xmlAddChild(into, copy);
    }
}

void html_unpack(struct html_doc *doc, struct html_node n)
{
    xmlNode *node = n.at;
    xmlDoc *part = NULL;
    size_t parts = 0;
    if (!html_is_element(n))
        return;
    xmlChar *text = xmlNodeGetContent(node);
    if (parse(HTML_PAGE, span_of((const char *)text), &part, &parts, NULL) == E_OK &&
        doc->parts + parts <= HTML_PARTS_MAX) {
        doc->parts += parts;
        while (node->children) /* others may have been found in there */
            put_aside(doc, node->children);
        take_over(doc, node, part);
    }
    xmlFreeDoc(part);
    xmlFree(text);
}
