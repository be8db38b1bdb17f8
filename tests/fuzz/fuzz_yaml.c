/* Any bytes as YAML: no crash, and every tree that comes out is sound. */
#include "base/need.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct ynode *node, int depth)
{
    size_t total = 1, children = 0;
    need(depth <= 33 && node->line > 0 && node->column > 0);
    need(node->kind != YNODE_TEXT || (node->text.p && !node->first));
    for (const struct ynode *child = node->first; child; child = child->next, children++) {
        if (node->kind == YNODE_MAP) {
            char key[64];
            need(child->key.p && child->key_line > 0 && child->key_column > 0);
            /* Keys differ, so looking one up finds this very child. */
            if (child->key.n < sizeof key && !memchr(child->key.p, 0, child->key.n) &&
                children < 64)
                need(ynode_find(node, span_copy(child->key, key, sizeof key)) == child);
        }
        total += walk(child, depth + 1);
    }
    need(children == node->count);
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(4 * 1024 * 1024);
    struct ynode *root = NULL;
    struct fault f = {0};
    err e = yaml_parse(a, "fuzz.yaml", (struct span){(const char *)data, size}, &root, &f);
    if (e == E_OK)
        need(walk(root, 1) <= 65536);
    else
        need(!root && f.code == e && f.words[0]);
    arena_free(&a);
    return 0;
}
