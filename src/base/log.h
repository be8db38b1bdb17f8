/* log.h - events with a stable dotted name and typed fields.
 *
 *   log_info("job.done", F_S("job", id), F_N("ms", took), F_X("result", e));
 *   → 2026-11-23T10:11:12.345Z info  node job.done job=job_01J… ms=4182 result=E_OK
 *
 * logfmt (default) or JSON lines on stderr. Fields are escaped, so a page can never forge a line.
 * The last 64 lines stay in memory for crash reports. Thread-safe. */
#pragma once

#include "base/when.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_INT, LOG_FIELD_SPAN, LOG_FIELD_ERR } kind;
    int64_t i;
    struct span s;
};
#define F_N(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .i = (int64_t)(v)})
#define F_S(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_SPAN, .s = (v)})
#define F_C(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_SPAN, .s = span_of(v)})
#define F_X(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_ERR, .i = (int64_t)(v)})

/* Sets the role shown in each line, the format, the lowest level written, and the clock. */
void log_setup(const char *role, enum log_format format, enum log_level lowest,
               wall (*now)(void));
/* Where a line goes instead of stderr (workers send frames); NULL = stderr. The line has no newline.
 * One call at a time; what the sink itself logs is dropped. */
void log_divert(void (*sink)(enum log_level level, struct span line, void *ctx), void *ctx);
void log_write(enum log_level level, const char *event, const struct log_field *fields,
               size_t n);
/* The role given to log_setup(); "-" before it. */
const char *log_role(void);
void log_last_lines(void (*each)(struct span line, void *ctx), void *ctx);

#define log_at(level, event, ...)                                                              \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__},                           \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_debug(event, ...) log_at(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)  log_at(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...)  log_at(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_at(LOG_ERROR, event, __VA_ARGS__)
