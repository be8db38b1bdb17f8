#include "core/settle.h"

void settle_read(struct settle *s, uint64_t digest)
{
    s->read = s->seen = digest;
    s->changing = false;
}

bool settle_look(struct settle *s, uint64_t digest, mono now, int64_t pause_ms, bool force)
{
    if (force)
        return true;
    if (digest == s->read) { /* also when a change was taken back */
        s->changing = false;
        return false;
    }
    if (!s->changing || digest != s->seen) {
        s->changing = true;
        s->seen = digest;
        s->since = now;
        return false;
    }
    return now.ms - s->since.ms >= pause_ms;
}
