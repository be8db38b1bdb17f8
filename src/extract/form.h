/* form.h - reading a pack's YAML: what may be written where, and words with file, line and
 * column.
 *
 * A form is one file being read. The first mistake sticks; later calls answer with empty
 * values, so a reader is straight lines with one check at its end. */
#pragma once

#include "base/arena.h"
#include "base/yaml.h"

enum { FORM_LIST_MAX = 512 };

struct form {
    const char *file; /* "x/maps/post.yaml" */
    struct arena *arena;
    struct fault *fault;
    err failed;
};

/* Notes a mistake at the node and returns E_CONFIG. */
__attribute__((format(printf, 3, 4))) err form_wrong(struct form *f, const struct ynode *at,
                                                     const char *fmt, ...);
/* Every key of the mapping must be among `known` (NULL-terminated); `where` is for the words.
 * False when the node is no mapping or a key is unknown. */
bool form_keys(struct form *f, const struct ynode *map, const char *where,
               const char *const *known);

/* "there is no WHAT 'NAME' WHERE", with the nearest of `names` (NULL-terminated), or of the keys of a
 * mapping (may be NULL). */
void form_nothing(struct form *f, const struct ynode *at, const char *what, struct span name,
                  const char *where, const char *const *names);
void form_no_key(struct form *f, const struct ynode *at, const char *what, struct span name,
                 const char *where, const struct ynode *keys);

/* Members of a mapping. need: a missing one is a mistake. Text borrows from the arena. */
struct span form_text(struct form *f, const struct ynode *map, const char *key, bool need);
bool form_bool(struct form *f, const struct ynode *map, const char *key, bool otherwise);
int64_t form_int(struct form *f, const struct ynode *map, const char *key, int64_t otherwise,
                 int64_t least, int64_t most);
/* One text or a list of texts. Returns the number; *out_list in the arena. */
size_t form_texts(struct form *f, const struct ynode *map, const char *key, bool need,
                  const struct span **out_list);
/* The same for a node that is itself a text or a list of texts. */
size_t form_texts_of(struct form *f, const struct ynode *node, const struct span **out_list);
/* A mapping or list below a key; NULL when missing (a mistake when needed) or of another kind.
 */
struct ynode *form_map(struct form *f, const struct ynode *map, const char *key, bool need);
struct ynode *form_list(struct form *f, const struct ynode *map, const char *key, bool need);
/* Index of the text in `words` (NULL-terminated); a mistake with a suggestion and -1 otherwise.
 */
int form_word(struct form *f, const struct ynode *node, const char *what,
              const char *const *words);
