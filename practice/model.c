#include "model.h"

#include "words.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/need.h"
#include "base/text.h"

static const int64_t SNOWFLAKE_EPOCH_MS = 1288834974657;
static const int64_t DAY_MS = 86400000;
enum { REF_SPACE = 5000 };     /* accounts that others mention, answer, quote and repost */
enum { AUTHOR_SPACE = 20000 }; /* accounts that a search finds */
enum { NUMBER_BITS = 20, CLASS_BITS = 2 };
/* Numbers of CLASS_COUNTED from there on are those of growing accounts. */
enum { GROWING = 1000000, GROWING_MAX = (1 << NUMBER_BITS) - GROWING };
enum { PINNED_WITHIN = 120 };
enum { LONG_CUT_POINTS = 250 }; /* where the cut copy of a long post ends at the latest */

/* What a hash is drawn for. Two draws with the same salt for the same thing are the same draw.
 */
enum salt {
    SALT_ACCOUNT = 0x1001,
    SALT_HANDLE,
    SALT_STREAM,
    SALT_JITTER,
    SALT_ID,
    SALT_KIND,
    SALT_POST,
    SALT_REF,
    SALT_SEARCH,
    SALT_SEARCH_AUTHOR,
    SALT_PROFILE,
    SALT_PIN,
};

/* ---- hashing ---- */

static uint64_t scramble(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t model_mix(uint64_t seed, uint64_t a, uint64_t b)
{
    return scramble(scramble(scramble(seed) ^ a) ^ (b * 0xd6e8feb86659fd93u));
}

/* A row of draws for one thing: each call gives the next. */
struct dice {
    uint64_t state;
};
static struct dice dice_for(uint64_t key, enum salt salt, uint64_t what)
{
    return (struct dice){model_mix(key, (uint64_t)salt, what)};
}
static uint64_t dice_next(struct dice *d)
{
    d->state += 0x9e3779b97f4a7c15u;
    return scramble(d->state);
}
static uint32_t dice_below(struct dice *d, uint32_t limit)
{
    return (uint32_t)((dice_next(d) >> 32) % limit);
}
static bool dice_percent(struct dice *d, uint32_t percent)
{
    return dice_below(d, 100) < percent;
}

void model_base64url(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t at = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)bytes[i] << 16;
        size_t have = n - i < 3 ? n - i : 3;
        if (have > 1)
            v |= (uint32_t)bytes[i + 1] << 8;
        if (have > 2)
            v |= bytes[i + 2];
        for (size_t k = 0; k <= have; k++)
            out[at++] = digits[(v >> (18 - 6 * k)) & 63];
    }
    out[at] = '\0';
}

/* ---- streams ---- */

static int64_t stream_ms(const struct stream *s, uint32_t index)
{
    uint64_t jitter = model_mix(s->key, SALT_JITTER, index) % (uint64_t)s->step_ms;
    return s->newest_ms - (int64_t)index * s->step_ms - (int64_t)jitter;
}

static uint64_t snowflake(int64_t ms, uint64_t low)
{
    return ((uint64_t)(ms - SNOWFLAKE_EPOCH_MS) << 22) | (low & 0x3fffff);
}

uint64_t model_stream_id(const struct stream *s, uint32_t index)
{
    return snowflake(stream_ms(s, index),
                     s->owned ? s->owner : model_mix(s->key, SALT_ID, index));
}

bool model_stream_find(const struct stream *s, uint64_t id, uint32_t *out_index)
{
    int64_t ms = (int64_t)(id >> 22) + SNOWFLAKE_EPOCH_MS;
    if (ms > s->newest_ms)
        return false;
    int64_t index = (s->newest_ms - ms) / s->step_ms;
    if (index >= s->count || model_stream_id(s, (uint32_t)index) != id)
        return false;
    *out_index = (uint32_t)index;
    return true;
}

/* ---- accounts ---- */

static const struct {
    const char *handle;
    uint32_t posts;
    enum account_fault fault;
} named[] = {
    {"practice_empty", 0, AFAULT_NONE},       {"practice_small", 7, AFAULT_NONE},
    {"practice_huge", 100000, AFAULT_NONE},   {"fault_none", 100, AFAULT_NONE},
    {"fault_loop", 100, AFAULT_LOOP},         {"fault_crash", 100, AFAULT_CRASH},
    {"fault_memory", 100, AFAULT_MEMORY},     {"fault_never", 100, AFAULT_NEVER},
    {"fault_hang", 100, AFAULT_HANG},         {"fault_cut", 100, AFAULT_CUT},
    {"fault_5xx", 100, AFAULT_5XX},           {"fault_drift", 100, AFAULT_DRIFT},
    {"fault_empty", 100, AFAULT_EMPTY},       {"fault_login", 100, AFAULT_LOGIN},
    {"fault_429", 100, AFAULT_429},           {"fault_alert", 100, AFAULT_ALERT},
    {"fault_redirect", 100, AFAULT_REDIRECT}, {"fault_event", 100, AFAULT_EVENT},
    {"fault_cursor", 100, AFAULT_CURSOR},
};
enum { NAMED_COUNT = sizeof(named) / sizeof(named[0]) };

static int64_t world_end_ms(void)
{
    return when_days(2026, 9, 1) * DAY_MS;
}

static uint32_t draw_post_count(struct dice *d)
{
    uint32_t shape = dice_below(d, 100);
    if (shape < 5)
        return 0;
    if (shape < 30)
        return 1 + dice_below(d, 20);
    if (shape < 70)
        return 20 + dice_below(d, 181);
    if (shape < 90)
        return 200 + dice_below(d, 801);
    return 1000 + dice_below(d, 5001);
}

static enum post_kind wanted_kind(const struct stream *s, uint32_t index)
{
    uint32_t r = (uint32_t)(model_mix(s->key, SALT_KIND, index) >> 40) % 100;
    if (r < 14)
        return POST_REPOST;
    if (r < 26)
        return POST_QUOTE;
    if (r < 40)
        return POST_REPLY;
    return POST_PLAIN;
}

static int32_t draw_pinned(const struct stream *s)
{
    struct dice d = dice_for(s->key, SALT_PIN, 0);
    if (s->count < 3 || !dice_percent(&d, 45))
        return -1;
    uint32_t within = s->count < PINNED_WITHIN ? s->count : PINNED_WITHIN;
    for (int turn = 0; turn < 16; turn++) {
        uint32_t index = dice_below(&d, within);
        if (wanted_kind(s, index) != POST_REPOST)
            return (int32_t)index;
    }
    return -1;
}

static void account_fill(const struct model *m, enum account_class class, uint32_t number,
                         uint32_t posts, bool posts_fixed, struct account *a)
{
    uint64_t key = model_mix(m->seed, SALT_ACCOUNT + ((uint64_t) class << 32), number);
    struct dice d = dice_for(key, SALT_STREAM, 0);
    uint32_t drawn = draw_post_count(&d);
    a->class = class;
    a->posts.key = key;
    a->posts.owned = true;
    a->posts.owner = ((uint32_t) class << NUMBER_BITS) | number;
    a->posts.count = posts_fixed ? posts : drawn;
    a->posts.newest_ms = world_end_ms() - (int64_t)(dice_next(&d) % (uint64_t)(20 * DAY_MS));
    int64_t life_ms = DAY_MS * 365 + (int64_t)(dice_next(&d) % (uint64_t)(DAY_MS * 365 * 7));
    int64_t step_ms = life_ms / ((int64_t)a->posts.count + 1);
    if (step_ms > 3 * DAY_MS)
        step_ms = 3 * DAY_MS;
    a->posts.step_ms = step_ms;
    a->created_ms = a->posts.newest_ms - step_ms * ((int64_t)a->posts.count + 2) -
                    (int64_t)(dice_next(&d) % (uint64_t)(DAY_MS * 700));
    a->created_ms -= a->created_ms % 1000;
    a->id = snowflake(a->created_ms, ((uint64_t) class << NUMBER_BITS) | number);
    a->end = (enum timeline_end)(dice_below(&d, 4) < 2 ? END_REPEATS : 1 + dice_below(&d, 2));
    a->layout = m->layout == LAYOUT_MIXED ? (enum layout)dice_below(&d, 3) : m->layout;
    a->pinned = draw_pinned(&a->posts);
}

void model_account_number(const struct model *m, uint32_t n, struct account *out_account)
{
    need(n < ACCOUNTS_NUMBERED);
    struct dice d = dice_for(m->seed, SALT_HANDLE, n);
    *out_account = (struct account){.state = ACCOUNT_OPEN};
    const char *first = words_first[dice_below(&d, HANDLE_WORDS)];
    const char *second = words_second[dice_below(&d, HANDLE_WORDS)];
    snprintf(out_account->handle, sizeof(out_account->handle), "%s%s%u", first, second, n);
    account_fill(m, CLASS_NUMBERED, n, 0, false, out_account);
}

static bool handle_valid(struct span handle)
{
    if (handle.n < 1 || handle.n > 15)
        return false;
    for (size_t i = 0; i < handle.n; i++) {
        char c = handle.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            return false;
    }
    return true;
}

static void account_counted(const struct model *m, uint32_t posts, struct account *out)
{
    *out = (struct account){.state = ACCOUNT_OPEN};
    snprintf(out->handle, sizeof(out->handle), "practice_%u", posts);
    account_fill(m, CLASS_COUNTED, posts, posts, true, out);
}

/* growing_N: as practice_N, but its newest posts may not have been written yet. What is pinned is old. */
static void account_growing(const struct model *m, uint32_t posts, struct account *out)
{
    uint32_t held = atomic_load(&m->held);
    *out = (struct account){.state = ACCOUNT_OPEN};
    snprintf(out->handle, sizeof(out->handle), "growing_%u", posts);
    account_fill(m, CLASS_COUNTED, GROWING + posts, posts, true, out);
    out->first = held < posts ? held : posts;
    uint32_t old = posts > 2 ? posts - 2 : 0;
    while (old > 0 && wanted_kind(&out->posts, old) == POST_REPOST)
        old--;
    out->pinned = old > posts / 2 ? (int32_t)old : -1;
}

static void account_named(const struct model *m, uint32_t which, struct account *out)
{
    *out = (struct account){.state = ACCOUNT_OPEN, .fault = named[which].fault};
    span_copy(span_of(named[which].handle), out->handle, sizeof(out->handle));
    account_fill(m, CLASS_NAMED, which, named[which].posts, true, out);
}

/* number: the low bit says protected, so that an id alone tells it. */
static void account_shut(const struct model *m, uint32_t number, struct account *out)
{
    *out = (struct account){.state = number & 1 ? ACCOUNT_PROTECTED : ACCOUNT_SUSPENDED};
    account_fill(m, CLASS_SHUT, number, 0, false, out);
    out->pinned = -1;
}

bool model_account(const struct model *m, struct span handle, struct account *out_account)
{
    if (!handle_valid(handle))
        return false;
    char low[16];
    span_copy(handle, low, sizeof(low));
    for (char *c = low; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    struct span name = span_of(low);
    for (uint32_t i = 0; i < NAMED_COUNT; i++) {
        if (span_is(name, named[i].handle)) {
            account_named(m, i, out_account);
            return true;
        }
    }
    bool is_protected = span_starts(name, SPAN("protected_"));
    if (is_protected || span_starts(name, SPAN("suspended_"))) {
        uint32_t number = (uint32_t)span_hash(name, m->seed) & ((1u << NUMBER_BITS) - 1);
        account_shut(m, (number & ~1u) | (is_protected ? 1u : 0u), out_account);
        span_copy(handle, out_account->handle, sizeof(out_account->handle));
        return true;
    }
    size_t digits = name.n;
    while (digits > 0 && low[digits - 1] >= '0' && low[digits - 1] <= '9')
        digits--;
    struct span number_text = span_cut(name, digits, name.n);
    int64_t number = 0;
    if (!span_int(number_text, &number) || (number_text.n > 1 && number_text.p[0] == '0'))
        return false;
    if (digits == 9 && span_starts(name, SPAN("practice_"))) {
        account_counted(m, (uint32_t)number, out_account);
        return true;
    }
    if (digits == 8 && span_starts(name, SPAN("growing_")) && number < GROWING_MAX) {
        account_growing(m, (uint32_t)number, out_account);
        return true;
    }
    if (number >= ACCOUNTS_NUMBERED)
        return false;
    model_account_number(m, (uint32_t)number, out_account);
    return span_eq_nocase(span_of(out_account->handle), name);
}

/* The account whose number and class are the low bits of an id. */
static bool account_of_bits(const struct model *m, uint64_t id, struct account *out_account)
{
    uint32_t number = (uint32_t)(id & ((1u << NUMBER_BITS) - 1));
    switch ((enum account_class)((id >> NUMBER_BITS) & ((1u << CLASS_BITS) - 1))) {
    case CLASS_NUMBERED:
        if (number >= ACCOUNTS_NUMBERED)
            return false;
        model_account_number(m, number, out_account);
        break;
    case CLASS_COUNTED:
        if (number >= GROWING)
            account_growing(m, number - GROWING, out_account);
        else
            account_counted(m, number, out_account);
        break;
    case CLASS_NAMED:
        if (number >= NAMED_COUNT)
            return false;
        account_named(m, number, out_account);
        break;
    case CLASS_SHUT:
        account_shut(m, number, out_account);
        break;
    }
    return true;
}

bool model_account_by_id(const struct model *m, uint64_t id, struct account *out_account)
{
    return account_of_bits(m, id, out_account) && out_account->id == id;
}

bool model_status(const struct model *m, uint64_t id, struct account *out_account,
                  uint32_t *out_index)
{
    return account_of_bits(m, id, out_account) &&
           model_stream_find(&out_account->posts, id, out_index);
}

const char *model_account_state_name(enum account_state s)
{
    switch (s) {
    case ACCOUNT_OPEN:
        return "ok";
    case ACCOUNT_PROTECTED:
        return "protected";
    case ACCOUNT_SUSPENDED:
        return "suspended";
    }
    bug("account state");
}

struct span model_account_name(const struct model *m, const struct account *a,
                               struct arena *arena)
{
    (void)m;
    struct dice d = dice_for(a->posts.key, SALT_PROFILE, 1);
    const char *name = words_names[dice_below(&d, (uint32_t)words_names_count)];
    return span_of(arena_fmt(arena, "%s %u", name, dice_below(&d, 90) + 10));
}

/* Ten characters as in a shortened link. */
static struct span short_link(struct dice *d, struct arena *arena)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char code[11] = {0};
    for (size_t i = 0; i < 10; i++)
        code[i] = digits[dice_below(d, 62)];
    return span_of(arena_fmt(arena, "https://t.co/%s", code));
}

void model_profile(const struct model *m, const struct account *a, struct arena *arena,
                   struct profile *out_profile)
{
    (void)m;
    struct dice d = dice_for(a->posts.key, SALT_PROFILE, 0);
    struct profile p = {0};
    p.followers = (int64_t)dice_below(&d, 1u << (4 + dice_below(&d, 18)));
    p.following = (int64_t)dice_below(&d, 3000);
    if (a->class == CLASS_COUNTED) { /* as many as the name says */
        p.followers = a->posts.count;
        p.following = a->posts.count / 2;
    }
    p.media = (int64_t)a->posts.count / 3;
    p.likes = (int64_t)dice_below(&d, 50000);
    p.listed = (int64_t)dice_below(&d, 400);
    p.blue = dice_percent(&d, 30);
    p.description = span_of(arena_fmt(
        arena, "Notes from station %u. Facts & figures, <no> opinions ☕", dice_below(&d, 900)));
    p.location = span_of(words_places[dice_below(&d, (uint32_t)words_places_count)]);
    if (dice_percent(&d, 60)) {
        const char *site = words_sites[dice_below(&d, (uint32_t)words_sites_count)];
        p.website_tco = short_link(&d, arena);
        p.website = span_of(arena_fmt(arena, "https://%s/", site));
        p.website_shown = span_of(site);
    }
    uint8_t bytes[9];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)dice_next(&d);
    char key[16];
    model_base64url(bytes, sizeof(bytes), key);
    p.avatar =
        span_of(arena_fmt(arena, "https://pbs.twimg.com/profile_images/%llu/%s_normal.jpg",
                          (unsigned long long)(a->id + 4096), key));
    if (dice_percent(&d, 70))
        p.banner = span_of(arena_fmt(arena, "https://pbs.twimg.com/profile_banners/%llu/%lld",
                                     (unsigned long long)a->id,
                                     (long long)(a->created_ms / 1000 + 86400)));
    if (dice_percent(&d, 20))
        p.category = SPAN("Community");
    if (dice_percent(&d, 10))
        p.verified_type = SPAN("Business");
    *out_profile = p;
}

/* ---- text ---- */

enum part_kind { PART_TEXT, PART_URL, PART_HASHTAG, PART_CASHTAG, PART_MENTION };
enum { PARTS_MAX = 96 };

struct part {
    enum part_kind kind;
    struct span text;              /* as sent, unescaped; for URLs the short link */
    struct span expanded, display; /* PART_URL; for a mention: handle and name */
    uint64_t id;                   /* PART_MENTION */
};
struct draft {
    struct part *parts;
    size_t count, cap;
    size_t of_kind[PART_MENTION + 1];
};

static void draft_add(struct draft *t, struct part part)
{
    need(t->count < t->cap);
    t->parts[t->count++] = part;
    t->of_kind[part.kind]++;
}

static struct draft draft_new(struct arena *arena)
{
    return (struct draft){.parts = arena_get(arena, PARTS_MAX * sizeof(struct part)),
                          .cap = PARTS_MAX};
}

static void draft_text(struct draft *t, struct span text)
{
    draft_add(t, (struct part){.kind = PART_TEXT, .text = text});
}

static void draft_space(struct draft *t)
{
    if (t->count > 0)
        draft_text(t, SPAN(" "));
}

static void draft_tag(struct draft *t, struct span word, struct arena *arena)
{
    enum part_kind kind = word.p[0] == '$' ? PART_CASHTAG : PART_HASHTAG;
    if (t->of_kind[kind] >= TAGS_MAX)
        return;
    draft_space(t);
    draft_add(t, (struct part){.kind = kind, .text = arena_keep(arena, word)});
}

static void draft_mention(const struct model *m, struct draft *t, const struct account *who,
                          struct arena *arena)
{
    if (t->of_kind[PART_MENTION] >= MENTIONS_MAX)
        return;
    struct span handle = arena_keep(arena, span_of(who->handle));
    draft_space(t);
    draft_add(t, (struct part){.kind = PART_MENTION,
                               .text = span_of(arena_fmt(arena, "@%s", who->handle)),
                               .expanded = handle,
                               .display = model_account_name(m, who, arena),
                               .id = who->id});
}

static void draft_url(struct draft *t, struct dice *d, struct arena *arena)
{
    if (t->of_kind[PART_URL] >= URLS_MAX)
        return;
    const char *site = words_sites[dice_below(d, (uint32_t)words_sites_count)];
    uint32_t page = dice_below(d, 100000);
    draft_space(t);
    draft_add(t, (struct part){
                     .kind = PART_URL,
                     .text = short_link(d, arena),
                     .expanded = span_of(arena_fmt(
                         arena, "https://%s/notes/%u?from=feed&part=%u", site, page, page % 7)),
                     .display = span_of(arena_fmt(arena, "%s/notes/%u?fr…", site, page))});
}

/* One sentence with its number put in. */
static void draft_sentence(struct draft *t, struct dice *d, const struct tongue *tongue,
                           struct arena *arena)
{
    struct span s = span_of(tongue->sentences[dice_below(d, (uint32_t)tongue->count)]);
    size_t hole = span_find(s, SPAN("{n}"));
    struct span before = span_cut(s, 0, hole);
    struct span after = span_cut(s, hole + 3, s.n);
    draft_space(t);
    draft_text(t, span_of(arena_fmt(arena, "%.*s%u%.*s", SP(before), dice_below(d, 100000),
                                    SP(after))));
}

static uint32_t points_of(struct span s)
{
    uint32_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Text being written: bytes and code points. The memory was measured before. */
struct pen {
    char *p;
    size_t n, cap;
    uint32_t points;
};

static void pen_add(struct pen *pen, struct span s, bool escaped)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        const char *entity = NULL;
        if (escaped)
            entity = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : NULL;
        struct span piece = entity ? span_of(entity) : (struct span){&c, 1};
        need(pen->n + piece.n <= pen->cap);
        memcpy(pen->p + pen->n, piece.p, piece.n);
        pen->n += piece.n;
        pen->points += points_of(piece);
    }
}

static struct pen pen_new(const struct draft *t, size_t parts, struct arena *arena)
{
    size_t cap = 160;
    for (size_t i = 0; i < parts; i++) {
        struct span s = t->parts[i].text;
        cap += s.n + t->parts[i].expanded.n;
        for (size_t k = 0; k < s.n; k++)
            cap += s.p[k] == '&' || s.p[k] == '<' || s.p[k] == '>' ? 4 : 0;
    }
    return (struct pen){.p = arena_get(arena, cap), .cap = cap};
}

static void note_entity(struct words *w, const struct part *part, uint32_t start, uint32_t end)
{
    struct tag_entity tag = {span_cut(part->text, 1, part->text.n), start, end};
    switch (part->kind) {
    case PART_TEXT:
        break;
    case PART_URL:
        w->urls[w->url_count++] =
            (struct url_entity){part->text, part->expanded, part->display, start, end};
        break;
    case PART_HASHTAG:
        w->hashtags[w->hashtag_count++] = tag;
        break;
    case PART_CASHTAG:
        w->cashtags[w->cashtag_count++] = tag;
        break;
    case PART_MENTION:
        w->mentions[w->mention_count++] =
            (struct mention_entity){part->id, part->expanded, part->display, start, end};
        break;
    }
}

/* The first `parts` parts as they are sent; `tail` follows without space, then the media link.
 */
static void render(const struct draft *t, size_t parts, bool escaped, struct span tail,
                   struct span media_link, struct arena *arena, struct words *out)
{
    *out = (struct words){0};
    struct pen pen = pen_new(t, parts, arena);
    for (size_t i = 0; i < parts; i++) {
        uint32_t start = pen.points;
        pen_add(&pen, t->parts[i].text, escaped);
        note_entity(out, &t->parts[i], start, pen.points);
    }
    pen_add(&pen, tail, escaped);
    out->shown_to = pen.points;
    if (media_link.n) {
        if (pen.n > 0)
            pen_add(&pen, SPAN(" "), false);
        out->media_start = pen.points;
        pen_add(&pen, media_link, false);
        out->media_end = pen.points;
    }
    out->text = (struct span){pen.p, pen.n};
    out->length = pen.points;
}

static struct span render_clean(const struct draft *t, struct arena *arena)
{
    struct pen pen = pen_new(t, t->count, arena);
    for (size_t i = 0; i < t->count; i++) {
        const struct part *part = &t->parts[i];
        pen_add(&pen, part->kind == PART_URL ? part->expanded : part->text, false);
    }
    return span_trim((struct span){pen.p, pen.n});
}

static size_t parts_within(const struct draft *t, uint32_t points_max)
{
    uint32_t points = 0;
    size_t n = 0;
    while (n < t->count) {
        points += points_of(t->parts[n].text);
        if (points > points_max)
            break;
        n++;
    }
    while (n > 0 && span_is(t->parts[n - 1].text, " "))
        n--;
    return n;
}

/* ---- media and cards ---- */

static void video_variants(struct media *v, struct dice *d, struct arena *arena)
{
    static const struct {
        int64_t bitrate;
        int32_t divisor;
    } steps[] = {{256000, 4}, {832000, 2}, {2176000, 1}};
    unsigned long long id = (unsigned long long)v->id;
    v->variants[0] = (struct variant){
        span_of(arena_fmt(arena,
                          "https://video.twimg.com/amplify_video/%llu/pl/p%08x.m3u8?tag=14", id,
                          dice_below(d, 0xffffffff))),
        -1};
    for (size_t i = 0; i < 3; i++)
        v->variants[i + 1] = (struct variant){
            span_of(arena_fmt(
                arena,
                "https://video.twimg.com/amplify_video/%llu/vid/avc1/%dx%d/v%08x.mp4?tag=14",
                id, v->width / steps[i].divisor, v->height / steps[i].divisor,
                dice_below(d, 0xffffffff))),
            steps[i].bitrate};
    v->variant_count = 4;
    if (dice_percent(d, 50)) { /* the order of variants promises nothing */
        struct variant swap = v->variants[1];
        v->variants[1] = v->variants[3];
        v->variants[3] = swap;
    }
    v->duration_ms = 2000 + (int64_t)dice_below(d, 140000);
    v->key = span_of(
        arena_fmt(arena, "_p%08x%06x", dice_below(d, 0xffffffff), dice_below(d, 0xffffff)));
    v->url = span_of(arena_fmt(
        arena, "https://pbs.twimg.com/amplify_video_thumb/%llu/img/%.*s.jpg", id, SP(v->key)));
}

static struct media draw_media(struct dice *d, int64_t post_ms, enum media_type type,
                               struct arena *arena)
{
    static const int32_t shapes[][4] = {
        {1600, 900, 16, 9}, {1200, 1200, 1, 1}, {900, 1600, 9, 16}};
    const int32_t *shape = shapes[dice_below(d, 3)];
    struct media v = {.type = type,
                      .duration_ms = -1,
                      .width = shape[0],
                      .height = shape[1],
                      .aspect_w = shape[2],
                      .aspect_h = shape[3]};
    v.id = snowflake(post_ms - 1000 - (int64_t)dice_below(d, 90000), dice_next(d));
    uint8_t bytes[11];
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(v.id >> (56 - 8 * i));
    for (size_t i = 8; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)dice_next(d);
    char key[20];
    model_base64url(bytes, sizeof(bytes), key);
    v.key = span_of(arena_fmt(arena, "%s", key));
    if (dice_percent(d, 40))
        v.alt = span_of(words_alts[dice_below(d, (uint32_t)words_alts_count)]);
    switch (type) {
    case MEDIA_PHOTO:
        v.url = span_of(arena_fmt(arena, "https://pbs.twimg.com/media/%s.%s", key,
                                  dice_percent(d, 20) ? "png" : "jpg"));
        break;
    case MEDIA_VIDEO:
        video_variants(&v, d, arena);
        break;
    case MEDIA_GIF:
        v.url =
            span_of(arena_fmt(arena, "https://pbs.twimg.com/tweet_video_thumb/%s.jpg", key));
        v.variants[0] = (struct variant){
            span_of(arena_fmt(arena, "https://video.twimg.com/tweet_video/%s.mp4", key)), 0};
        v.variant_count = 1;
        break;
    }
    return v;
}

static void draw_all_media(struct post *p, struct dice *d, struct arena *arena)
{
    uint32_t shape = dice_below(d, 100);
    if (shape >= 34)
        return;
    enum media_type type = shape < 22 ? MEDIA_PHOTO : shape < 30 ? MEDIA_VIDEO : MEDIA_GIF;
    size_t count = type == MEDIA_PHOTO ? 1 + dice_below(d, MEDIA_MAX) : 1;
    for (size_t i = 0; i < count; i++)
        p->media[p->media_count++] = draw_media(d, p->ms, type, arena);
    p->media_link = short_link(d, arena);
}

static void draw_poll(struct post *p, struct dice *d, struct arena *arena)
{
    static const char *const labels[] = {"Yes", "No & never", "Maybe 🤷",
                                         "Ask again < later"};
    p->card.type = CARD_POLL;
    p->card.url = SPAN("https://x.com");
    p->card.choice_count = 2 + dice_below(d, 3);
    for (size_t i = 0; i < p->card.choice_count; i++) {
        p->card.choice[i] = span_of(arena_fmt(arena, "%s", labels[i]));
        p->card.votes[i] = (int64_t)dice_below(d, 5000);
    }
    p->card.duration_min = 1440;
    p->card.ends_ms = (p->ms / 1000) * 1000 + p->card.duration_min * 60000;
    p->card.is_final = p->card.ends_ms < world_end_ms();
}

static void draw_card(struct post *p, const struct draft *t, struct dice *d,
                      struct arena *arena)
{
    if (p->media_count > 0 || p->kind == POST_QUOTE)
        return;
    if (t->of_kind[PART_URL] == 0) {
        if (p->kind == POST_PLAIN && dice_percent(d, 5))
            draw_poll(p, d, arena);
        return;
    }
    if (!dice_percent(d, 70))
        return;
    const struct part *url = NULL;
    for (size_t i = 0; i < t->count; i++)
        if (t->parts[i].kind == PART_URL)
            url = &t->parts[i];
    size_t host_at = sizeof("https://") - 1;
    struct span rest = span_cut(url->expanded, host_at, url->expanded.n);
    p->card.type = CARD_LINK;
    p->card.url = url->text;
    p->card.domain = span_cut(rest, 0, span_find_char(rest, '/'));
    p->card.title = span_of(arena_fmt(arena, "Notes & numbers, no. %u", dice_below(d, 1000)));
    p->card.description = SPAN("What we measured, how, and where the files are.");
}

/* ---- posts ---- */

/* A plain post older than `before_ms` by somebody else; false when none is at hand. */
static bool find_older(const struct model *m, struct dice *d, int64_t before_ms,
                       struct account *out_author, uint32_t *out_index)
{
    for (int turn = 0; turn < 4; turn++) {
        model_account_number(m, dice_below(d, REF_SPACE), out_author);
        const struct stream *s = &out_author->posts;
        uint64_t at = dice_below(d, 40);
        if (before_ms <= s->newest_ms)
            at += (uint64_t)((s->newest_ms - before_ms) / s->step_ms) + 1;
        for (int look = 0; look < 12 && at < s->count; look++, at++) {
            if (wanted_kind(s, (uint32_t)at) == POST_PLAIN &&
                stream_ms(s, (uint32_t)at) < before_ms) {
                *out_index = (uint32_t)at;
                return true;
            }
        }
    }
    return false;
}

static void draw_counts(struct post *p, struct dice *d)
{
    p->like = (int64_t)dice_below(d, 1u << (1 + dice_below(d, 15)));
    p->repost = p->like / (int64_t)(2 + dice_below(d, 9));
    p->reply = p->like / (int64_t)(3 + dice_below(d, 20));
    p->quote = p->repost / (int64_t)(2 + dice_below(d, 9));
    p->bookmark = p->like / (int64_t)(3 + dice_below(d, 30));
    p->view = p->like * (int64_t)(9 + dice_below(d, 90)) + (int64_t)dice_below(d, 60);
    if (p->ms < when_days(2023, 7, 1) * DAY_MS)
        p->bookmark = -1; /* the site did not count them before */
    if (p->ms < when_days(2022, 12, 15) * DAY_MS || dice_percent(d, 3))
        p->view = -1;
}

static void draft_body(const struct model *m, struct post *p, struct draft *t, struct dice *d,
                       const struct tongue *tongue, struct arena *arena)
{
    size_t sentences = p->is_long ? 6 + dice_below(d, 10) : 1 + dice_below(d, 2);
    for (size_t i = 0; i < sentences; i++) {
        draft_sentence(t, d, tongue, arena);
        if (dice_percent(d, 20))
            draft_text(t, SPAN("\n\n"));
        if (i > 0 && i + 1 < sentences && dice_percent(d, 20))
            draft_url(t, d, arena);
    }
    struct account who;
    if (dice_percent(d, 15)) {
        model_account_number(m, dice_below(d, REF_SPACE), &who);
        draft_mention(m, t, &who, arena);
    }
    for (uint32_t n = dice_percent(d, 30) ? 1 + dice_below(d, 2) : 0; n > 0; n--)
        draft_tag(
            t,
            span_of(arena_fmt(arena, "#%s",
                              words_hashtags[dice_below(d, (uint32_t)words_hashtags_count)])),
            arena);
    if (dice_percent(d, 6))
        draft_tag(
            t,
            span_of(arena_fmt(arena, "$%s",
                              words_cashtags[dice_below(d, (uint32_t)words_cashtags_count)])),
            arena);
    if (dice_percent(d, 25))
        draft_url(t, d, arena);
}

/* "-word" and "OR" make another search, but nothing that a result contains. */
static bool is_wanted(struct span word)
{
    return !(word.n > 1 && word.p[0] == '-') && !span_is(word, "OR");
}

/* Everything that the search asked for and that is not in the text by itself. */
static void draft_words(struct draft *t, const struct span *words, size_t count,
                        struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_wanted(words[i]))
            continue;
        if (words[i].n > 1 && (words[i].p[0] == '#' || words[i].p[0] == '$')) {
            draft_tag(t, words[i], arena);
            continue;
        }
        draft_space(t);
        draft_text(t, arena_keep(arena, words[i]));
    }
}

static void render_post(struct post *p, const struct draft *t, uint32_t leading_points,
                        struct arena *arena)
{
    if (!p->is_long) {
        render(t, t->count, true, SPAN_NONE, p->media_link, arena, &p->sent);
    } else {
        render(t, t->count, false, SPAN_NONE, SPAN_NONE, arena, &p->note);
        size_t cut = parts_within(t, LONG_CUT_POINTS);
        render(t, cut, true, SPAN("…"), p->media_link, arena, &p->sent);
    }
    p->sent.shown_from = leading_points;
    p->clean = render_clean(t, arena);
}

static void make_reply(const struct model *m, struct post *p, struct draft *t, struct dice *d,
                       struct arena *arena)
{
    struct account other;
    uint32_t index = 0;
    if (!find_older(m, d, p->ms, &other, &index)) {
        p->kind = POST_PLAIN;
        return;
    }
    p->reply_to_id = model_stream_id(&other.posts, index);
    p->reply_to_user = other.id;
    p->reply_to_handle = arena_keep(arena, span_of(other.handle));
    p->conversation_id = p->reply_to_id;
    draft_mention(m, t, &other, arena);
}

/* An answer to an own plain post: a thread. */
static bool make_thread(const struct model *m, struct post *p, const struct stream *s,
                        uint32_t index, struct arena *arena)
{
    (void)m;
    for (uint32_t older = index + 1; older < index + 6 && older < s->count; older++) {
        if (wanted_kind(s, older) != POST_PLAIN)
            continue;
        p->reply_to_id = model_stream_id(s, older);
        p->reply_to_user = p->author.id;
        p->reply_to_handle = arena_keep(arena, span_of(p->author.handle));
        p->conversation_id = p->reply_to_id;
        return true;
    }
    return false;
}

/* An article behind the post, the community it is in, what readers added to it. Drawn apart, so that the rest
 * of the world is the same with and without. */
static void draw_parts(struct post *p, uint64_t key, uint32_t index, struct arena *arena)
{
    enum { ARTICLE_OF = 19, COMMUNITY_OF = 17, NOTE_OF = 11 };
    uint64_t draw = model_mix(key, 0xa9, index);
    unsigned number = (unsigned)(draw >> 40 & 0xffff);
    if (draw % ARTICLE_OF == 0 && !p->media_count && p->card.type == CARD_NONE &&
        p->kind == POST_PLAIN) {
        p->article_id = p->id - 41;
        p->article_title = span_of(arena_fmt(arena, "On tides & timetables, part %u", number));
        p->article_preview = span_of(
            arena_fmt(arena, "What %u mornings on the quay have taught us <so far>.", number));
        p->article_cover =
            span_of(arena_fmt(arena, "https://pbs.twimg.com/media/A%u.jpg", number));
    }
    if ((draw >> 8) % COMMUNITY_OF == 0) {
        p->community_id = 1500000000000000000ULL + number;
        p->community_name = span_of(arena_fmt(arena, "Harbour & friends %u 🌊", number));
    }
    if ((draw >> 16) % NOTE_OF == 0)
        p->readers_note = span_of(arena_fmt(
            arena, "The figure %u is from another year. It was 🚆 late then, too.", number));
}

static struct post *make_post(const struct model *m, const struct account *author,
                              const struct stream *s, uint32_t index, enum post_kind kind,
                              const struct span *words, size_t word_count, struct arena *arena);

static bool make_quote(const struct model *m, struct post *p, struct dice *d,
                       struct arena *arena)
{
    struct account other;
    uint32_t index = 0;
    if (!find_older(m, d, p->ms, &other, &index))
        return false;
    p->quoted = make_post(m, &other, &other.posts, index, POST_PLAIN, NULL, 0, arena);
    p->quote_link = short_link(d, arena);
    return true;
}

static bool make_repost(const struct model *m, struct post *p, struct dice *d,
                        struct arena *arena)
{
    struct account other;
    uint32_t index = 0;
    if (!find_older(m, d, p->ms, &other, &index))
        return false;
    const struct post *o =
        make_post(m, &other, &other.posts, index, POST_PLAIN, NULL, 0, arena);
    p->reposted = arena_get(arena, sizeof(*o));
    memcpy(p->reposted, o, sizeof(*o));
    /* The wrapper's text is a cut copy with one mention, as the site sends it. */
    struct draft t = draft_new(arena);
    draft_text(&t, SPAN("RT"));
    draft_mention(m, &t, &other, arena);
    struct span start = o->clean;
    size_t at = 0;
    for (int points = 0; points < 110 && at < start.n; points++)
        (void)text_next(start, &at);
    draft_text(
        &t, span_of(arena_fmt(arena, ": %.*s%s", (int)at, start.p, at < start.n ? "…" : "")));
    render(&t, t.count, true, SPAN_NONE, SPAN_NONE, arena, &p->sent);
    p->lang = o->lang;
    p->app = o->app;
    p->sensitive = o->sensitive;
    p->reply = p->like = p->quote = p->bookmark = 0;
    p->repost = o->repost;
    p->view = -1;
    return true;
}

static struct post *make_post(const struct model *m, const struct account *author,
                              const struct stream *s, uint32_t index, enum post_kind kind,
                              const struct span *words, size_t word_count, struct arena *arena)
{
    struct post *p = arena_new_of(arena, struct post);
    struct dice d = dice_for(s->key, SALT_POST, index);
    struct dice ref = dice_for(s->key, SALT_REF, index);
    p->author = *author;
    p->author_name = model_account_name(m, author, arena);
    p->ms = stream_ms(s, index);
    p->id = p->conversation_id = model_stream_id(s, index);
    p->kind = kind;
    p->sensitive = -1;
    if (kind == POST_REPOST && make_repost(m, p, &ref, arena))
        return p;
    if (kind == POST_REPOST)
        p->kind = POST_PLAIN;
    struct draft t = draft_new(arena);
    uint32_t leading = 0;
    if (p->kind == POST_REPLY &&
        !(dice_percent(&ref, 35) && !words && make_thread(m, p, s, index, arena))) {
        make_reply(m, p, &t, &ref, arena);
        leading = p->kind == POST_REPLY ? points_of(t.parts[0].text) + 1 : 0;
    }
    if (p->kind == POST_QUOTE && !make_quote(m, p, &ref, arena))
        p->kind = POST_PLAIN;
    const struct tongue *tongue =
        &words_tongues[dice_percent(&d, 55) ? 0
                                            : dice_below(&d, (uint32_t)words_tongues_count)];
    p->lang = tongue->code;
    p->is_long = dice_percent(&d, 7);
    p->is_limited = dice_percent(&d, 4);
    p->app = words_apps[dice_below(&d, (uint32_t)words_apps_count)];
    draw_counts(p, &d);
    draw_all_media(p, &d, arena);
    draft_body(m, p, &t, &d, tongue, arena);
    draft_words(&t, words, word_count, arena);
    draw_card(p, &t, &d, arena);
    if (p->media_count > 0 || t.of_kind[PART_URL] > 0)
        p->sensitive = dice_percent(&d, 4) ? 1 : 0;
    render_post(p, &t, leading, arena);
    draw_parts(p, s->key, index, arena);
    return p;
}

struct post *model_post(const struct model *m, const struct account *a, uint32_t index,
                        struct arena *arena)
{
    need(index < a->posts.count);
    return make_post(m, a, &a->posts, index, wanted_kind(&a->posts, index), NULL, 0, arena);
}

struct post *model_answer(const struct model *m, const struct account *author,
                          const struct stream *s, const struct post *parent,
                          uint64_t conversation_id, struct arena *arena)
{
    struct post *p = make_post(m, author, s, 0, POST_PLAIN, NULL, 0, arena);
    p->kind = POST_REPLY;
    p->reply_to_id = parent->id;
    p->reply_to_user = parent->author.id;
    p->reply_to_handle = arena_keep(arena, span_of(parent->author.handle));
    p->conversation_id = conversation_id;
    return p;
}

/* ---- search ---- */

struct bounds {
    int64_t since_ms, until_ms; /* since inclusive, until exclusive */
    uint64_t since_id, max_id;  /* since exclusive, max inclusive */
};

static bool take_time(struct span value, int64_t *out_ms)
{
    wall t;
    if (!when_parse(value, &t))
        return false;
    *out_ms = t.ms;
    return true;
}

/* True when the term was an operator. */
static bool take_operator(const struct model *m, struct span term, struct search *s,
                          struct bounds *b)
{
    size_t colon = span_find_char(term, ':');
    if (colon == term.n)
        return false;
    bool minus = term.p[0] == '-';
    struct span name = span_cut(term, minus ? 1 : 0, colon - (minus ? 1 : 0));
    struct span value = span_cut(term, colon + 1, term.n);
    int64_t number = 0;
    if (span_is(name, "from") && !minus) {
        if (value.n && value.p[0] == '@')
            value = span_cut(value, 1, value.n);
        s->from_account = true;
        if (!model_account(m, value, &s->author) || s->author.state != ACCOUNT_OPEN)
            s->author = (struct account){.posts = {.step_ms = 1}};
        return true;
    }
    if (span_is(name, "since") && !minus)
        return take_time(value, &b->since_ms);
    if (span_is(name, "until") && !minus)
        return take_time(value, &b->until_ms);
    if (span_is(name, "lang") && !minus) {
        s->lang = value;
        return true;
    }
    if (span_is(name, "filter") && (span_is(value, "replies") || span_is(value, "media"))) {
        enum search_filter f = minus ? FILTER_WITHOUT : FILTER_ONLY;
        *(span_is(value, "replies") ? &s->replies : &s->media) = f;
        return true;
    }
    if (!span_int(value, &number) || number < 0 || minus)
        return false;
    if (span_is(name, "since_time"))
        b->since_ms = number * 1000;
    else if (span_is(name, "until_time"))
        b->until_ms = number * 1000;
    else if (span_is(name, "since_id"))
        b->since_id = (uint64_t)number;
    else if (span_is(name, "max_id"))
        b->max_id = (uint64_t)number;
    else
        return false;
    return true;
}

static uint32_t search_count(const struct search *s, uint64_t key)
{
    if (s->word_count == 1) {
        struct span w = s->words[0];
        if (w.p[0] == '#')
            w = span_cut(w, 1, w.n);
        int64_t n = 0;
        struct span digits = span_cut(w, 8, w.n);
        if (digits.n && digits.p[0] == '_')
            digits = span_cut(digits, 1, digits.n);
        if (w.n > 8 && span_eq_nocase(span_cut(w, 0, 8), SPAN("practice")) &&
            span_int(digits, &n) && n >= 0 && n <= 1000000)
            return (uint32_t)n;
    }
    struct dice d = dice_for(key, SALT_STREAM, 1);
    uint32_t shape = dice_below(&d, 100);
    if (shape < 5)
        return 0;
    if (shape < 40)
        return 5 + dice_below(&d, 56);
    if (shape < 85)
        return 60 + dice_below(&d, 541);
    return 600 + dice_below(&d, 3401);
}

/* The same row for #Tag and #tag; a change of word order is another search. */
static void search_stream(const struct model *m, struct search *s)
{
    uint64_t key = model_mix(m->seed, SALT_SEARCH, s->word_count);
    for (size_t i = 0; i < s->word_count; i++) {
        char low[128];
        span_copy(s->words[i], low, sizeof(low));
        for (char *c = low; *c; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        key = model_mix(key, SALT_SEARCH, span_hash(span_of(low), 7));
    }
    struct dice d = dice_for(key, SALT_STREAM, 0);
    s->stream.key = key;
    s->stream.count = search_count(s, key);
    s->stream.newest_ms = world_end_ms() - (int64_t)dice_below(&d, 3600 * 1000);
    s->stream.step_ms = 1000 + (int64_t)(dice_next(&d) % (uint64_t)(4 * 3600 * 1000));
    int64_t longest = 10 * 365 * DAY_MS / ((int64_t)s->stream.count + 1);
    if (s->stream.step_ms > longest)
        s->stream.step_ms = longest;
}

/* First index whose post is older than both limits; streams only descend. */
static uint32_t first_below(const struct stream *s, int64_t until_ms, uint64_t max_id)
{
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (stream_ms(s, mid) < until_ms && model_stream_id(s, mid) <= max_id)
            high = mid;
        else
            low = mid + 1;
    }
    return low;
}

bool model_search(const struct model *m, struct span query, struct arena *arena,
                  struct search *out_search)
{
    struct search s = {0};
    struct bounds b = {
        .since_ms = 0, .until_ms = INT64_MAX, .since_id = 0, .max_id = UINT64_MAX};
    struct span rest = arena_keep(arena, query), term;
    bool any = false;
    while (span_next(&rest, ' ', &term)) {
        term = span_trim(term);
        if (!term.n)
            continue;
        any = true;
        if (!take_operator(m, term, &s, &b) && s.word_count < 8)
            s.words[s.word_count++] = term;
    }
    if (!any)
        return false;
    if (s.from_account)
        s.stream = s.author.posts;
    else
        search_stream(m, &s);
    s.first = first_below(&s.stream, b.until_ms, b.max_id);
    if (s.from_account && s.first < s.author.first)
        s.first = s.author.first;
    uint32_t past_time = first_below(&s.stream, b.since_ms, UINT64_MAX);
    uint32_t past_id = first_below(&s.stream, INT64_MAX, b.since_id);
    s.past = past_time < past_id ? past_time : past_id;
    *out_search = s;
    return true;
}

void model_feed(const struct model *m, uint64_t key, uint32_t count, struct search *out_search)
{
    struct dice d = dice_for(model_mix(m->seed, SALT_SEARCH, key), SALT_STREAM, 2);
    struct search s = {.past = count};
    s.stream.key = model_mix(m->seed, SALT_SEARCH, key);
    s.stream.count = count;
    s.stream.newest_ms = world_end_ms() - (int64_t)dice_below(&d, 3600 * 1000);
    s.stream.step_ms = 1000 + (int64_t)dice_below(&d, 3600 * 1000);
    *out_search = s;
}

static bool filter_passes(enum search_filter f, bool has)
{
    return f == FILTER_ANY || (f == FILTER_ONLY) == has;
}

struct post *model_search_post(const struct model *m, const struct search *s, uint32_t index,
                               struct arena *arena)
{
    need(index < s->stream.count);
    struct post *p;
    enum post_kind kind = wanted_kind(&s->stream, index);
    if (s->from_account) {
        if (kind == POST_REPOST)
            return NULL;
        p = model_post(m, &s->author, index, arena);
        for (size_t i = 0; i < s->word_count; i++)
            if (is_wanted(s->words[i]) && span_find(p->clean, s->words[i]) == p->clean.n)
                return NULL;
    } else {
        struct account author;
        model_account_number(
            m, (uint32_t)(model_mix(s->stream.key, SALT_SEARCH_AUTHOR, index) % AUTHOR_SPACE),
            &author);
        p = make_post(m, &author, &s->stream, index, kind == POST_REPOST ? POST_PLAIN : kind,
                      s->words, s->word_count, arena);
    }
    bool in_tongue = !s->lang.n || span_is(s->lang, p->lang);
    if (!in_tongue || !filter_passes(s->replies, p->kind == POST_REPLY) ||
        !filter_passes(s->media, p->media_count > 0))
        return NULL;
    return p;
}
