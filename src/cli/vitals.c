#include "cli/vitals.h"

#include "os/clock.h"

enum { ASK_MS = 5000, ANSWER_MAX = 4 * 1024 * 1024 };
static const int64_t DAY_MS = 86400000;

static const char *const paths[VITALS] = {
    [VITAL_READY] = "/readyz?verbose",
    [VITAL_MODE] = "/v1/mode",
    [VITAL_TROUBLE] = "/v1/queues?troubled=true&limit=200",
    [VITAL_QUEUES] = "/v1/queues?limit=200",
    [VITAL_BREAKERS] = "/v1/breakers?limit=200",
    [VITAL_DEAD] = "/v1/dead-letters?limit=20&since=",
    [VITAL_SESSIONS] = "/v1/sessions",
    [VITAL_WEBHOOKS] = "/v1/webhooks",
    [VITAL_OPERATIONS] = "/v1/operations?limit=20",
    [VITAL_NODES] = "/v1/nodes",
    [VITAL_RUNNING] = "/v1/jobs?state=active&limit=100",
};

int vitals_open(struct vitals *v, struct cli *c)
{
    *v = (struct vitals){0};
    int code = service_open(&v->service, c, NULL, NULL);
    for (int i = 0; !code && i < VITALS; i++)
        v->all[i].parser = json_parser_new(ANSWER_MAX);
    return code;
}

void vitals_close(struct vitals *v)
{
    for (int i = 0; i < VITALS; i++) {
        json_parser_free(&v->all[i].parser);
        buf_free(&v->all[i].answer.body);
    }
    buf_free(&v->metrics.body);
    service_close(&v->service);
}

static err ask(struct vitals *v, const char *path, struct client_answer *out, struct fault *f)
{
    struct client_request q = {
        .method = "GET", .path = path, .timeout_ms = ASK_MS, .body_max = ANSWER_MAX};
    buf_free(&out->body);
    return client_send(v->service.client, &q, out, f);
}

static err read_one(struct vitals *v, enum vital which, struct fault *f)
{
    char path[120], since[WHEN_TEXT] = "";
    if (which == VITAL_DEAD)
        when_text((wall){clock_wall().ms - DAY_MS}, since);
    snprintf(path, sizeof path, "%s%s", paths[which], since);
    v->all[which].root = JSON_MISSING;
    struct client_answer *answer = &v->all[which].answer;
    err e = ask(v, path, answer, f);
    /* A service that is not ready says so with 503, and says why. */
    bool told =
        !e && (answer->status == 200 || (which == VITAL_READY && answer->status == 503));
    if (told &&
        json_parse(v->all[which].parser, buf_span(&answer->body), &v->all[which].root, NULL))
        return fail(f, E_PROTOCOL, "the answer cannot be read; is this a Fulmar service?");
    if (!e && !told && which == VITAL_READY)
        return fail(f, E_PROTOCOL, "%s answered %d; is this a Fulmar service?", paths[which],
                    answer->status);
    return e;
}

err vitals_read(struct vitals *v, const enum vital *which, struct fault *f)
{
    err e = E_OK;
    for (; !e && *which != VITALS; which++)
        e = read_one(v, *which, f);
    return e;
}

err vitals_read_metrics(struct vitals *v, struct fault *f)
{
    return ask(v, "/metrics", &v->metrics, f);
}

int64_t vitals_metric(const struct vitals *v, const char *name, const char *label)
{
    struct span rest = buf_span(&v->metrics.body), line;
    size_t n = strlen(name);
    int64_t sum = 0, value;
    while (span_next(&rest, '\n', &line)) {
        if (!span_starts(line, span_of(name)) || line.n <= n ||
            (line.p[n] != ' ' && line.p[n] != '{') ||
            (*label && span_find(line, span_of(label)) == line.n))
            continue;
        size_t space = line.n;
        while (space && line.p[space - 1] != ' ')
            space--;
        if (span_int(span_cut(line, space, line.n), &value))
            sum += value;
    }
    return sum;
}

struct json vitals_get(const struct vitals *v, enum vital which, const char *path)
{
    return json_path(v->all[which].root, path);
}

long long vitals_number(const struct vitals *v, enum vital which, const char *path)
{
    int64_t n = 0;
    json_int(vitals_get(v, which, path), &n);
    return (long long)n;
}
