/* Frames from either side: no crash, and what was read is written back to the same bytes. */
#include "base/need.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct span bytes, char sender)
{
    struct frame f;
    size_t used = 0;
    while (frame_read(bytes, sender, &f, &used) == E_OK) {
        struct buf again = BUF(128 * 1024 * 1024);
        struct frame_item item;
        frame_add(&again, &f);
        need(span_eq(buf_span(&again), span_cut(bytes, 0, used)));
        buf_free(&again);
        if (f.type == FRAME_RECORDS) {
            struct span rest = f.t[1];
            while (frame_next_item(&rest, &item) == E_OK)
                need(rest.n < f.t[1].n);
        }
        bytes = span_cut(bytes, used, bytes.n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span bytes = {(const char *)data, size};
    read_all(bytes, 'w');
    read_all(bytes, 'n');
    return 0;
}
