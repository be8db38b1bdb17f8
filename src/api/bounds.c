#include "api/bounds.h"

static void read_resources(struct body *b, struct json order, struct bounds *out)
{
    static const char *const members[] = {"memory_mib", "cpu_s", "max_requests", NULL};
    struct json v;
    if (!body_given(order, "resources", &v))
        return;
    if (!json_is(v, JSON_OBJECT)) {
        body_refuse(b, SPAN("/resources"), "type",
                    "must be an object such as {\"memory_mib\":512,\"max_requests\":500}");
        return;
    }
    body_members(b, v, "/resources", members);
    body_number(b, v, "/resources", "memory_mib", BOUND_MEMORY_MIN_MIB, BOUND_MEMORY_MAX_MIB,
                &out->most[BOUND_MEMORY]);
    body_number(b, v, "/resources", "cpu_s", 1, BOUND_CPU_MAX_S, &out->most[BOUND_CPU]);
    body_number(b, v, "/resources", "max_requests", 1, BOUND_REQUESTS_MAX,
                &out->most[BOUND_REQUESTS]);
}

void order_bounds(struct body *b, struct json order, struct bounds *out)
{
    body_number(b, order, "", "max_pages", 1, BOUND_PAGES_MAX, &out->most[BOUND_PAGES]);
    body_number(b, order, "", "max_bytes", BOUND_BYTES_MIN, BOUND_BYTES_MAX,
                &out->most[BOUND_BYTES]);
    read_resources(b, order, out);
}
