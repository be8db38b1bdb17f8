#include "cli/parts.h"

#include "base/text.h"
#include "core/labels.h"

static const char *part_value(const struct cli *c, const struct part *part)
{
    return *(const char *const *)(const void *)((const char *)c + part->at);
}

bool parts_any(const struct cli *c, const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (part_value(c, &parts[i]))
            return true;
    return false;
}

void parts_add_query(struct buf *path, const struct cli *c, const struct part *parts,
                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = part_value(c, &parts[i]);
        if (!value)
            continue;
        buf_fmt(path, "&%s=", parts[i].name);
        text_add_url_escaped(path, span_of(value));
    }
}

void parts_put(struct json_w *w, const struct cli *c, const struct part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (part_value(c, &parts[i]))
            json_kv_cstr(w, parts[i].name, part_value(c, &parts[i]));
}

/* ---- labels ---- */

/* "team=press" */
static struct label label_of(const char *text)
{
    struct span all = span_of(text);
    size_t equals = span_find_char(all, '=');
    return (struct label){span_cut(all, 0, equals), span_cut(all, equals + 1, all.n)};
}

int parts_check_labels(const struct cli *c, const char *verb, bool may_go)
{
    for (size_t i = 0; i < CLI_MANY_MAX && c->labels[i]; i++) {
        struct label label = label_of(c->labels[i]);
        bool goes = may_go && strchr(c->labels[i], '=') && !label.value.n;
        if (i == LABELS_MOST)
            return cli_usage(verb, "at most %d labels", LABELS_MOST);
        if (!label_name_valid(label.name) || (!goes && !label_value_valid(label.value)))
            return cli_usage(
                verb,
                "--label must be NAME=VALUE: a name of letters, digits, '.', '_' and '-', a "
                "value of 1 to %d bytes without quotes and backslashes",
                LABEL_VALUE_MOST);
    }
    return EXIT_DONE;
}

void parts_put_labels(struct json_w *w, const struct cli *c)
{
    if (!c->labels[0])
        return;
    json_key(w, "labels");
    json_open(w);
    for (size_t i = 0; i < CLI_MANY_MAX && c->labels[i]; i++) {
        struct label label = label_of(c->labels[i]);
        json_key_span(w, label.name);
        if (label.value.n)
            json_put_text(w, label.value);
        else
            json_put_null(w);
    }
    json_close(w);
}

void parts_add_labels(struct buf *path, const struct cli *c)
{
    for (size_t i = 0; i < CLI_MANY_MAX && c->labels[i]; i++) {
        struct label label = label_of(c->labels[i]);
        buf_fmt(path, "&label.%.*s=", SP(label.name));
        text_add_url_escaped(path, label.value);
    }
}
