/* The envelope reader must stay inside its text, and must agree with itself: what it calls a
 * payload lies within the message. */
#include "base/need.h"
#include "wire/cdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need_inside(struct span whole, struct span part)
{
    if (part.n == 0)
        return;
    need(part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct cdp_message m;
    if (cdp_read(text, &m) == E_OK) {
        need_inside(text, m.method);
        need_inside(text, m.session);
        need_inside(text, m.payload);
        need(m.session.n <= CDP_SESSION_MAX);
        need(m.answer || m.method.n > 0);
    }
    struct span value, rest = text;
    if (cdp_member(text, "sessionId", &value))
        need_inside(text, value);
    while (cdp_next_item(&rest, &value))
        need_inside(text, value);
    return 0;
}
