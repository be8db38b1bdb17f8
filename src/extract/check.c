#include "extract/check.h"

#include "extract/convert.h"

#include <string.h>

static const struct check_row rows[CHECK_COUNT] = {
#define CHECK_ROW(id, name, rule, weight, of, why) {name, rule, weight, of, why},
    CHECKS(CHECK_ROW)
#undef CHECK_ROW
};

const struct check_row *check_row(enum check_id id)
{
    return &rows[id];
}

const char *const *check_names(void)
{
    static const char *const names[] = {
#define CHECK_NAME(id, name, rule, weight, of, why) name,
        CHECKS(CHECK_NAME)
#undef CHECK_NAME
            NULL,
    };
    return names;
}

const char *check_result_name(enum check_result r)
{
    switch (r) {
    case CHECK_NA:
        return "na";
    case CHECK_OK:
        return "ok";
    case CHECK_FAIL:
        return "fail";
    }
    return "na";
}

/* ---- ids ---- */

static bool is_id(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static struct span without_zeros(struct span s)
{
    while (s.n > 1 && s.p[0] == '0')
        s = span_cut(s, 1, s.n);
    return s;
}

/* Decimal ids of any length: below, equal or above zero as a is to b. */
static int compare_ids(struct span a, struct span b)
{
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return a.n ? memcmp(a.p, b.p, a.n) : 0;
}

static enum check_result result_of(bool holds)
{
    return holds ? CHECK_OK : CHECK_FAIL;
}

enum check_result check_snowflake(struct span id, wall said, int64_t within_s)
{
    wall inside;
    if (!convert_snowflake(id, &inside))
        return CHECK_NA;
    int64_t apart = inside.ms / 1000 - said.ms / 1000;
    return result_of(apart >= -within_s && apart <= within_s);
}

static enum check_result not_before(const struct check_input *in)
{
    wall of, against;
    if (!convert_snowflake(in->of, &of) || !convert_snowflake(in->against, &against))
        return CHECK_NA;
    return result_of(of.ms >= against.ms);
}

/* ---- base64 ---- */

/* Both alphabets; -1: none of either. */
static int digit64(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* At most `room` bytes; false when the text is no base64. */
static bool decode64(struct span s, unsigned char *out, size_t room, size_t *out_n)
{
    uint32_t bits = 0;
    int have = 0;
    *out_n = 0;
    while (s.n && s.p[s.n - 1] == '=')
        s.n--;
    for (size_t i = 0; i < s.n && *out_n < room; i++) {
        int d = digit64(s.p[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[(*out_n)++] = (unsigned char)(bits >> have & 0xff);
    }
    return s.n > 0;
}

static enum check_result first8(const struct check_input *in)
{
    unsigned char bytes[8];
    size_t n = 0;
    int64_t id = 0;
    uint64_t inside = 0;
    if (!span_int(in->against, &id) || !decode64(in->of, bytes, sizeof bytes, &n) ||
        n < sizeof bytes)
        return CHECK_NA;
    for (size_t i = 0; i < n; i++)
        inside = inside << 8 | bytes[i];
    return result_of(inside == (uint64_t)id);
}

static enum check_result base64_id(const struct check_input *in)
{
    unsigned char bytes[64];
    size_t n = 0;
    if (!decode64(in->against, bytes, sizeof bytes, &n))
        return CHECK_NA;
    struct span plain = {(const char *)bytes, n};
    return result_of(span_starts(plain, in->argument) &&
                     span_eq(span_cut(plain, in->argument.n, plain.n), in->of));
}

/* ---- the rest ---- */

static enum check_result begins(const struct check_input *in)
{
    struct span words = in->against, word;
    if (!words.n)
        return CHECK_NA;
    while (span_next(&words, ' ', &word))
        if (word.n && span_starts(in->of, word))
            return CHECK_OK;
    return CHECK_FAIL;
}

/* Whoever only passes something on is passed on with it, and liked never: `zero` sees to the latter. */
static enum check_result passed_on(const struct check_input *in)
{
    int64_t n = 0;
    if (!in->argument.n || !span_starts(in->of, in->argument) || !span_int(in->against, &n))
        return CHECK_NA;
    return result_of(n <= 0);
}

static enum check_result snowflake_text(const struct check_input *in)
{
    wall said;
    return when_parse(in->against, &said) ? check_snowflake(in->of, said, in->within_s)
                                          : CHECK_NA;
}

static enum check_result ordered(const struct check_input *in, bool equal_too)
{
    if (!is_id(in->of) || !is_id(in->against))
        return CHECK_NA;
    int order = compare_ids(in->of, in->against);
    return result_of(order < 0 || (equal_too && order == 0));
}

enum check_result check_apply(enum check_rule rule, const struct check_input *in)
{
    if (!in->of.n || !in->against.n)
        return CHECK_NA;
    switch (rule) {
    case RULE_GIVEN:
        return CHECK_NA;
    case RULE_SNOWFLAKE:
        return snowflake_text(in);
    case RULE_SUFFIX:
        return result_of(span_ends(in->against, in->of));
    case RULE_BEGINS:
        return begins(in);
    case RULE_AT_MOST:
        return ordered(in, true);
    case RULE_BELOW:
        return ordered(in, false);
    case RULE_FIRST8:
        return first8(in);
    case RULE_BASE64_ID:
        return base64_id(in);
    case RULE_NOT_BEFORE:
        return not_before(in);
    case RULE_PASSED_ON:
        return passed_on(in);
    }
    return CHECK_NA;
}

/* ---- sheets ---- */

void check_note(struct check_sheet *s, enum check_id id, enum check_result r)
{
    if (r > s->result[id])
        s->result[id] = r;
}

enum check_id check_hard_failure(const struct check_sheet *s)
{
    for (int i = 0; i < CHECK_COUNT; i++)
        if (s->result[i] == CHECK_FAIL && rows[i].weight == CHECK_HARD)
            return (enum check_id)i;
    return CHECK_COUNT;
}

int check_score(const struct check_sheet *s)
{
    int held = 0, made = 0;
    for (int i = 0; i < CHECK_COUNT; i++) {
        held += s->result[i] == CHECK_OK;
        made += s->result[i] != CHECK_NA;
    }
    return made ? held * 100 / made : -1;
}
