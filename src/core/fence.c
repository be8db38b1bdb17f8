#include "core/fence.h"

#include "base/need.h"

enum { MARGIN_PART = 3, PATIENCE_LEAST_MS = 3000 };

void fence_start(struct fence *f, mono asked, int64_t lease_ms)
{
    need(lease_ms > 0);
    *f = (struct fence){asked, lease_ms};
}

void fence_prove(struct fence *f, mono asked)
{
    if (asked.ms > f->asked.ms)
        f->asked = asked;
}

int64_t fence_left_ms(const struct fence *f, mono now)
{
    return mono_left(mono_add(f->asked, f->lease_ms - f->lease_ms / MARGIN_PART), now);
}

int64_t fence_grace_ms(const struct fence *f, int64_t grace_ms, mono now)
{
    int64_t left = mono_left(mono_add(f->asked, f->lease_ms), now);
    return left < grace_ms ? left : grace_ms;
}

int64_t fence_patience_ms(int64_t lease_ms)
{
    int64_t patience =
        lease_ms * 3 / 10; /* it is renewed each third, and told to stop by two thirds */
    return patience > PATIENCE_LEAST_MS ? patience : PATIENCE_LEAST_MS;
}
