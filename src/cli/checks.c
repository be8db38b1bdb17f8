#include "cli/checks.h"

static const char *const names[] = {"ok", "info", "warn", "fail"};

void checks_add(struct checks *k, const char *name, enum health health, const char *fix,
                const char *fmt, ...)
{
    if (k->count == CHECKS_MAX)
        return;
    struct check *c = &k->all[k->count++];
    *c = (struct check){
        .name = name, .health = health, .fix = health >= HEALTH_WARN ? fix : NULL};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->detail, sizeof c->detail, fmt, ap);
    va_end(ap);
}

bool checks_pass(const struct checks *k)
{
    for (size_t i = 0; i < k->count; i++)
        if (k->all[i].health == HEALTH_FAIL)
            return false;
    return true;
}

static void print_one(struct cli *c, const struct check *k)
{
    if (c->quiet && k->health < HEALTH_WARN)
        return;
    printf("%-4s  %-16s %s\n", k->health == HEALTH_FAIL ? "FAIL" : names[k->health], k->name,
           cli_printable(c, span_of(k->detail)));
    if (k->fix)
        printf("      %-16s → %s\n", "", cli_printable(c, span_of(k->fix)));
}

void checks_print(struct cli *c, const struct checks *k, size_t first)
{
    for (size_t i = first; i < k->count; i++)
        print_one(c, &k->all[i]);
    fflush(stdout);
}

void checks_put(struct cli *c, const struct checks *k, const char *object)
{
    struct buf text = BUF(256 * 1024);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "object", object);
    json_kv_bool(&w, "healthy", checks_pass(k));
    json_key(&w, "checks");
    json_open_array(&w);
    for (size_t i = 0; i < k->count; i++) {
        json_open(&w);
        json_kv_cstr(&w, "name", k->all[i].name);
        json_kv_cstr(&w, "state", names[k->all[i].health]);
        json_kv_cstr(&w, "detail", k->all[i].detail);
        json_kv_cstr(&w, "fix", k->all[i].fix);
        json_close(&w);
    }
    json_close_array(&w);
    json_close(&w);
    cli_put(c, buf_span(&text));
    buf_free(&text);
}
