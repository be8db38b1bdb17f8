/* The forms of -o over anything: never a crash, YAML that our reader takes, and rows that keep their columns. */
#include "cli/shape.h"

#include "base/arena.h"
#include "base/need.h"
#include "base/yaml.h"

enum {
    OUT_MAX = 16 * 1024 * 1024,
    ARENA_MAX = 64 * 1024 * 1024,
    KEY_MOST = 1000 /* YAML takes no longer key on one line */
};

static void shape(enum shape_form form, struct span text, struct buf *out, err *result)
{
    struct shape *s = NULL;
    need(shape_new(&s, form, NULL, NULL, NULL) == E_OK);
    *result = shape_add(s, text, out, NULL);
    shape_free(&s);
}

/* What our writer of YAML wrote of one object, our reader reads; unless keys repeat, or it is larger than a
 * configuration may be. */
static void yaml_is_read(struct span text)
{
    struct buf out = BUF(OUT_MAX);
    struct ynode *root;
    struct fault f = {0};
    err e;
    shape(SHAPE_YAML, text, &out, &e);
    bool object = out.n && span_starts(span_trim(text), SPAN("{")) && text.n < KEY_MOST &&
                  span_find_char(text, '\n') == text.n;
    if (!e && object) {
        struct arena *a = arena_new(ARENA_MAX);
        err read = yaml_parse(a, "x", buf_span(&out), &root, &f);
        need(!read || read == E_TOO_BIG ||
             span_find(span_of(f.words), SPAN("was given before")) < strlen(f.words));
        arena_free(&a);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const enum shape_form forms[] = {SHAPE_JSON,  SHAPE_JSONL, SHAPE_CSV,
                                            SHAPE_PLAIN, SHAPE_YAML,  SHAPE_NONE};
    struct span text = {(const char *)bytes, n};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct buf out = BUF(OUT_MAX);
        err e;
        shape(forms[i], text, &out, &e);
        buf_free(&out);
    }
    yaml_is_read(text);
    return 0;
}
