#include "base/log.h"

#include "base/json.h"
#include "base/need.h"
#include "base/text.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_MAX_BYTES = 16 * 1024,
    LINE_TAIL = 32,   /* kept free for the end of a line whose fields did not fit */
    VALUE_MAX = 2000, /* a longer field is cut: the log is not where payloads live */
    KEPT_LINES = 64,
    KEPT_BYTES = 1000, /* of each line in memory */
};

struct kept {
    uint16_t n;
    char text[KEPT_BYTES];
};

static struct {
    pthread_mutex_t lock;
    char role[24];
    enum log_format format;
    enum log_level lowest;
    wall (*now)(void);
    void (*sink)(enum log_level level, struct span line, void *ctx);
    void *sink_ctx;
    struct buf line;
    struct kept kept[KEPT_LINES];
    uint64_t count; /* lines ever kept */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .role = "-", .lowest = LOG_INFO};

/* Set while this thread writes a line: a sink that logs must not wait for itself. */
static _Thread_local bool writing;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(const char *role, enum log_format format, enum log_level lowest,
               wall (*now)(void))
{
    pthread_mutex_lock(&state.lock);
    span_copy(span_of(role), state.role, sizeof state.role);
    state.format = format;
    state.lowest = lowest;
    state.now = now;
    pthread_mutex_unlock(&state.lock);
}

void log_divert(void (*sink)(enum log_level level, struct span line, void *ctx), void *ctx)
{
    pthread_mutex_lock(&state.lock);
    state.sink = sink;
    state.sink_ctx = ctx;
    pthread_mutex_unlock(&state.lock);
}

const char *log_role(void)
{
    return state.role;
}

/* Characters that end a line, move a terminal's cursor or turn text around. */
static bool is_unsafe(uint32_t c)
{
    return c < ' ' || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff;
}

static bool is_plain(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.n > 0;
}

static void add_quoted(struct buf *b, struct span s)
{
    buf_add_char(b, '"');
    for (size_t at = 0; at < s.n;) {
        uint32_t c = text_next(s, &at);
        if (c == '"' || c == '\\')
            buf_fmt(b, "\\%c", (char)c);
        else if (c == '\n')
            buf_add_text(b, "\\n");
        else if (c == '\t')
            buf_add_text(b, "\\t");
        else if (is_unsafe(c))
            buf_fmt(b, "\\u%04" PRIx32, c);
        else
            text_add_code(b, c);
    }
    buf_add_char(b, '"');
}

static void add_value(struct buf *b, struct span s)
{
    if (is_plain(s))
        buf_add(b, s);
    else
        add_quoted(b, s);
}

/* The field's value as text; numbers are written into `room`. */
static struct span field_text(const struct log_field *f, char room[VALUE_MAX + 8])
{
    switch (f->kind) {
    case LOG_FIELD_INT:
        snprintf(room, VALUE_MAX, "%" PRId64, f->i);
        return span_of(room);
    case LOG_FIELD_ERR:
        return span_of(err_name((err)f->i));
    case LOG_FIELD_SPAN:
        if (f->s.n <= VALUE_MAX)
            return f->s;
        memcpy(room, f->s.p, VALUE_MAX);
        memcpy(room + VALUE_MAX, "...", 4);
        return span_of(room);
    }
    bug("unknown field kind");
}

static void add_field(struct buf *b, const struct log_field *f)
{
    char room[VALUE_MAX + 8];
    struct span value = field_text(f, room);
    if (state.format == LOG_LOGFMT) {
        buf_fmt(b, " %s=", f->key);
        add_value(b, value);
        return;
    }
    buf_add_char(b, ',');
    json_add_string(b, span_of(f->key));
    buf_add_char(b, ':');
    if (f->kind == LOG_FIELD_INT)
        buf_add(b, value);
    else
        json_add_string(b, value);
}

static void add_head(struct buf *b, enum log_level level, const char *event)
{
    char time[WHEN_TEXT] = "-";
    if (state.now)
        when_text_ms(state.now(), time);
    if (state.format == LOG_LOGFMT) {
        buf_fmt(b, "%s %-5s %s %s", time, level_names[level], state.role, event);
        return;
    }
    buf_fmt(b, "{\"time\":\"%s\",\"level\":\"%s\",\"role\":", time, level_names[level]);
    json_add_string(b, span_of(state.role));
    buf_add_text(b, ",\"event\":");
    json_add_string(b, span_of(event));
}

static void compose(struct buf *b, enum log_level level, const char *event,
                    const struct log_field *fields, size_t n)
{
    buf_clear(b);
    b->max = LINE_MAX_BYTES - LINE_TAIL;
    add_head(b, level, event);
    bool cut = false;
    for (size_t i = 0; i < n && !cut; i++) {
        size_t before = b->n;
        add_field(b, &fields[i]);
        if (b->failed) {
            b->failed = E_OK;
            b->n = before;
            cut = true;
        }
    }
    b->max = LINE_MAX_BYTES;
    if (cut)
        buf_add_text(b, state.format == LOG_LOGFMT ? " cut=1" : ",\"cut\":1");
    if (state.format == LOG_JSON)
        buf_add_char(b, '}');
}

static void keep(struct span line)
{
    struct kept *k = &state.kept[state.count++ % KEPT_LINES];
    size_t n = line.n < KEPT_BYTES ? line.n : KEPT_BYTES;
    memcpy(k->text, line.p, n);
    k->n = (uint16_t)n;
}

/* One write per line, so that lines of several threads and processes do not mix. */
static void emit(struct buf *b)
{
    buf_add_char(b, '\n');
    struct span line = buf_span(b);
    while (line.n > 0) {
        ssize_t done = write(STDERR_FILENO, line.p, line.n);
        if (done <= 0)
            return;
        line = span_cut(line, (size_t)done, line.n);
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t n)
{
    if (level < state.lowest || writing)
        return;
    pthread_mutex_lock(&state.lock);
    writing = true;
    compose(&state.line, level, event, fields, n);
    if (!state.line.failed) {
        keep(buf_span(&state.line));
        if (state.sink)
            state.sink(level, buf_span(&state.line), state.sink_ctx);
        else
            emit(&state.line);
    }
    writing = false;
    pthread_mutex_unlock(&state.lock);
}

void log_last_lines(void (*each)(struct span line, void *ctx), void *ctx)
{
    /* A crash report must come out even when a stuck thread, or this one, holds the lock. */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
    bool locked = !writing && pthread_mutex_timedlock(&state.lock, &until) == 0;
    uint64_t first = state.count > KEPT_LINES ? state.count - KEPT_LINES : 0;
    for (uint64_t i = first; i < state.count; i++) {
        const struct kept *k = &state.kept[i % KEPT_LINES];
        each((struct span){k->text, k->n}, ctx);
    }
    if (locked)
        pthread_mutex_unlock(&state.lock);
}
