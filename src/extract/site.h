/* site.h - the inside of a pack, shared by pack.c, plan.c and reader.c only. */
#pragma once

#include "extract/envelope.h"
#include "extract/form.h"
#include "extract/map.h"
#include "extract/pack.h"
#include "extract/plan.h"
#include "extract/source.h"

struct input_rule {
    struct span name, accepts, example;
    const struct span *strips; /* taken off the front, e.g. "@" */
    size_t strip_count;
    bool letters, digits, underscore, other_letters, any;
    struct span also;  /* ASCII signs that are allowed as well */
    bool needs_letter; /* digits alone are refused */
    /* what stands behind the last of one of these counts: "/status/" */
    const struct span *afters;
    size_t after_count;
    struct span ends;  /* signs at which it ends: "/?#" */
    bool url;          /* a whole URL, http or https */
    bool host;         /* ends in "@host": the rules are about what stands before it */
    struct span split; /* stands between {input} and {item}; empty: there is no item */
    size_t longest;    /* code points */
    const struct span *reserved;
    size_t reserved_count;
};
struct product {
    struct span name, value; /* value: its word in the URL; may be empty */
    struct span shown_url; /* dom: the page that stands in for the target's; empty: that one */
    bool users, ranked;
    bool reads[PLAN_STRATEGIES]; /* with has_reads: the target's strategies that can show it */
    bool has_reads;
    const struct source **sources; /* fetch, in place of the target's; NULL: those */
    const struct span *source_names;
    size_t source_count;
};
struct inclusion {             /* of a kind of posts: how a list is asked for with them */
    struct span target, words; /* another target that shows them; words after the search */
    struct span url;           /* of the page with words, where the target's own takes none */
    bool known;                /* false: the list never has them */
};
enum { INCLUSIONS = 3 }; /* as many as there are exclude_names */
struct target {
    struct span kind, url;
    const struct input_rule *input;
    const struct operation *operations; /* capture */
    size_t operation_count;
    const struct source *shown; /* dom */
    struct span shown_url;      /* the page that stands in for the target's; empty: that one */
    const struct source **sources; /* fetch; by name until the sources are read */
    const struct span *source_names;
    size_t source_count;
    struct plan_step steps[PLAN_STRATEGIES]; /* in the order in which they are tried */
    size_t step_count;
    bool fallback_on[FAILURE_COUNT];
    bool needs_session;
    struct span more; /* expression of capture; empty: "scroll" */
    bool users;       /* its records are users, else posts; a product has its own word */
    bool thread;      /* about one post, whose branches are followed by cursors of their own */
    /* its replies say what they answer: jobs may limit how far below the post they stand */
    bool depth;
    struct product *products; /* the first is the default */
    const struct span *product_names;
    size_t product_count;
    bool ranked;                             /* order: ranked */
    struct inclusion inclusions[INCLUSIONS]; /* in the order of exclude_names */
    struct span older; /* URL of what is not newer than {id}; empty: the site has none */
};
struct expression {
    struct span name, text;
};
struct pack {
    struct arena *arena;
    int holders;
    struct buf files; /* all of them, as packs.h says */
    int64_t number;
    struct span name, version, base_url;
    bool any_redirect;
    struct span instances; /* "NAME=URL NAME=URL" */
    const struct span *hosts, *blocked, *kinds;
    size_t host_count, blocked_count, login_cookie_count;
    const struct span *login_cookies;
    const struct input_rule *inputs;
    size_t input_count;
    const struct operation *operations;
    size_t operation_count;
    struct target *targets; /* their sources are filled in last */
    size_t target_count;
    const struct expression *expressions;
    size_t expression_count;
    const struct map *post, *user;
    struct envelope envelope;
    struct signs signs;
    struct map_counters counters;
    const struct source *sources;
    size_t source_count;
    struct html_paths paths; /* every XPath of every file */
    const struct media_rule *media;
    size_t media_count;
};

/* The keys `records`, `products` and `thread` of a target (products.c). */
void target_read_records(struct form *f, const struct ynode *n, struct target *t);
/* NULL: the target has no products. E_BAD_INPUT: none of this name. */
/* include.c: the key `include` of a target; the targets that it names are found when all are read. */
void target_read_inclusions(struct form *f, const struct ynode *n, struct target *t);
void target_link_inclusions(struct form *f, const struct ynode *n, const struct pack *p,
                            const struct target *t);
MUST_USE err target_product(const struct target *t, struct span name,
                            const struct product **out, struct fault *f);

/* The target of a kind; E_BAD_INPUT with a suggestion when there is none. */
MUST_USE err pack_find_target(const struct pack *p, struct span kind, const struct target **out,
                              struct fault *f);

/* media.c: the section `media`; map may be NULL. */
void media_read(struct form *f, const struct ynode *map, struct pack *p);
