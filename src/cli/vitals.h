/* vitals.h - what a running service says of itself, for status and top. */
#pragma once

#include "cli/service.h"

enum vital {
    VITAL_READY,   /* /readyz?verbose: workers, browsers, jobs, queues, site packs */
    VITAL_MODE,    /* who set the mode, when and why */
    VITAL_TROUBLE, /* queues that something holds up */
    VITAL_QUEUES,  /* all queues, as many as one page has */
    VITAL_BREAKERS,
    VITAL_DEAD, /* groups of jobs that died in the last day */
    VITAL_SESSIONS,
    VITAL_WEBHOOKS,
    VITAL_OPERATIONS,
    VITAL_NODES,
    VITAL_RUNNING, /* jobs that run now */
    VITALS
};

struct vitals {
    struct service service;
    struct {
        struct json_parser *parser;
        struct client_answer answer;
        struct json root; /* JSON_MISSING: not asked, or this service has no such thing */
    } all[VITALS];
    struct client_answer metrics;
};

/* 0 or an exit code, said. */
int vitals_open(struct vitals *v, struct cli *c);
void vitals_close(struct vitals *v);
/* Each of the list, which ends with VITALS. E_OK, or that of the first that nobody answered. */
MUST_USE err vitals_read(struct vitals *v, const enum vital *which, struct fault *f);
/* Likewise the metrics. */
MUST_USE err vitals_read_metrics(struct vitals *v, struct fault *f);
/* The sum of a metric's lines that carry this label text ("" for all): as "outcome=\"succeeded\"". */
int64_t vitals_metric(const struct vitals *v, const char *name, const char *label);
struct json vitals_get(const struct vitals *v, enum vital which, const char *path);
long long vitals_number(const struct vitals *v, enum vital which, const char *path);
