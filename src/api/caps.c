#include "api/caps.h"
#include "api/order.h"
#include "api/terms.h"

#include "store/schedules.h"
#include "store/webhooks.h"

enum { OF_ONE_REQUEST = -1 };

struct cap {
    const char *name, *unit;
    int64_t most, used;
    const char *setting; /* NULL: fixed */
    int status;
};

static void put(struct json_w *w, const struct cap *c)
{
    json_open(w);
    json_kv_cstr(w, "name", c->name);
    json_kv_cstr(w, "unit", c->unit);
    json_kv_int(w, "max", c->most);
    if (c->used == OF_ONE_REQUEST)
        json_kv_null(w, "used");
    else
        json_kv_int(w, "used", c->used);
    json_kv_cstr(w, "setting", c->setting);
    json_kv_int(w, "status", c->status);
    json_close(w);
}

void caps_put(struct json_w *w, const struct api *a)
{
    struct api_status now = {0};
    a->config.status(a->config.ctx, &now);
    const int64_t *jobs = now.queue.by_state;
    int64_t queues = 0, each = OF_ONE_REQUEST;
    for (int i = 0; i < LANE_WORDS; i++)
        queues += now.queue.lanes[i];
    const struct cap caps[] = {
        {"jobs_waiting", "jobs", a->config.waiting_max,
         jobs[JOB_READY] + jobs[JOB_SCHEDULED] + jobs[JOB_BLOCKED], "store.ready_max", 503},
        {"queues", "queues", a->config.lanes_max, queues, "queue.lanes_max", 503},
        {"event_streams", "streams", EVENT_STREAMS_MAX, (int64_t)a->stream_count, NULL, 503},
        /* above it an answer comes at once */
        {"held_requests", "requests", WAITERS_MAX, (int64_t)a->waiter_count, NULL, 200},
        {"request_head", "bytes", HTTP_HEAD_MAX, each, NULL, 431},
        {"request_body", "bytes", a->config.body_max, each, "api.body_max", 413},
        {"job_text", "bytes", STORE_SPEC_MAX, each, NULL, 422},
        {"job_target", "bytes", STORE_TARGET_MAX, each, NULL, 422},
        {"job_records", "records", ORDER_LIMIT_MAX, each, NULL, 422},
        {"idempotency_key", "bytes", REQUEST_KEY_MAX, each, NULL, 400},
        {"unique_key", "bytes", TERMS_KEY_MAX, each, NULL, 422},
        {"bulk_jobs", "jobs", BULK_MOST, each, NULL, 422},
        {"bulk_stream_jobs", "jobs", BULK_STREAM_MOST, each, NULL, 422},
        {"bulk_stream_body", "bytes", BULK_STREAM_BYTES, each, NULL, 413},
        {"bulk_streams", "streams", BULK_STREAMS_MAX, (int64_t)a->bulk_count, NULL, 503},
        {"batch_jobs", "jobs", BATCH_JOBS_MOST, each, NULL, 413},
        {"batch_jobs_at_once", "jobs", BATCH_ADD_MOST, each, NULL, 422},
    };
    json_open_array(w);
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        put(w, &caps[i]);
    json_close_array(w);
}
