/* html.h - documents of markup, HTML or XML, and the XPaths that point into them.
 *
 * A document is parsed once, from bounded bytes, with bounded elements, depth and names; nothing is
 * ever loaded from elsewhere: no network, no DTD, no entities of its own. HTML is taken as it comes,
 * XML has to be well-formed. What an XPath finds is bounded too: nodes, text, and the work done for
 * one document. html.c is the only file that knows libxml2.
 *
 * Beside XPath 1.0 there is one function: has-class('x') is true when the context node's class
 * attribute has that word.
 *
 * A document belongs to one thread. Compiled paths belong to a pack and are freed with it. */
#pragma once

#include "base/arena.h"

enum {
    HTML_BYTES_MAX = 8 * 1024 * 1024, /* of one document */
    HTML_PARTS_MAX = 200000,          /* elements and attributes of one document */
    HTML_DEPTH_MAX = 250,
    HTML_FOUND_MAX = 5000,            /* nodes taken from what one XPath found */
    HTML_TEXT_MAX = 4 * 1024 * 1024,  /* bytes of one text */
    HTML_PATH_MAX = 4096,             /* bytes of one XPath */
    HTML_WORK_MAX = 50 * 1000 * 1000, /* steps of all XPaths asked of one document */
};

/* ---- paths ---- */

struct html_path;
struct html_paths { /* all of one pack */
    struct html_path *first;
};
/* Compiles text, tries it on an empty document and adds it to the set. false: out_why says what is
 * wrong, with the character where it is known. The memory lies in the arena and with libxml2:
 * html_paths_free() before the arena goes. */
MUST_USE bool html_path_read(struct arena *a, struct html_paths *set, struct span text,
                             const struct html_path **out, char *out_why, size_t size);
void html_paths_free(struct html_paths *set);

/* ---- documents ---- */

enum html_kind {
    HTML_PAGE,
    HTML_XML,
    HTML_PART, /* HTML inside another text, as feeds and APIs send it */
};
struct html_doc;
/* E_BAD_SYNTAX (no document in it, XML that is not well-formed), E_TOO_BIG. Bytes that are no UTF-8
 * are replaced. The text may be freed afterwards. */
MUST_USE err html_open(struct html_doc **out, enum html_kind kind, struct span text,
                       struct fault *f);
void html_close(struct html_doc **doc); /* NULL inside is fine; clears it */

struct html_node { /* an element, attribute or text; valid until html_close() */
    void *at;      /* NULL: none */
};
struct html_node html_root(const struct html_doc *doc);
bool html_is_element(struct html_node n);

/* What an XPath found, below or around a node. */
struct html_found {
    struct span text; /* of a string, number or boolean; .p NULL when nodes were found */
    struct html_node *nodes;
    size_t count;
};
/* NULL when nothing was found: no node, an empty string, false, not a number; and when a limit was
 * passed. Everything lies in the arena. */
const struct html_found *html_find(struct html_doc *doc, const struct html_path *path,
                                   struct html_node from, struct arena *a);
bool html_holds(struct html_doc *doc, const struct html_path *path, struct html_node from);
/* True when a limit of work or matches was passed since html_open(): what was found is not all. */
bool html_exhausted(const struct html_doc *doc);

/* ---- texts ---- */

/* What is read in place of an element, see html_read(). */
struct html_instead {
    const struct html_path *of;  /* holds for the element */
    const struct html_path *put; /* its text */
};
struct html_instead_list {
    const struct html_instead *row;
    size_t count;
};
/* The text of a node as a person reads it: its text nodes in order, the alt of images, a line break
 * for <br>, an empty line between paragraphs, a line for each item of a list, heading or row of a table,
 * outside HTML_PAGE also for each <div>; nothing of scripts and styles below. The first rule that
 * holds for an element replaces it. Cut at HTML_TEXT_MAX. instead may be NULL. */
void html_read(struct html_doc *doc, struct html_node n,
               const struct html_instead_list *instead, struct buf *out);
/* The text of an attribute or a text node as it is; of an element what html_read() gives. .p is
 * NULL when the arena is full. */
struct span html_text(struct html_doc *doc, struct html_node n, struct arena *a);

/* The URL as seen from the node: resolved by the xml:base around it and the page's own address (may be
 * empty). In the arena; .p NULL when it is none, or too long. */
struct span html_whole_url(struct html_node n, struct span url, struct span page_url,
                           struct arena *a);

/* ---- changes, before reading ---- */

/* Takes an element with all that is below out of the document: paths asked of the rest no longer
 * see it. It stays readable until html_close(). */
void html_cut(struct html_doc *doc, struct html_node n);
/* Text of the node is HTML itself: it is parsed and its elements take the text's place. */
void html_unpack(struct html_doc *doc, struct html_node n);
