/* base64.h - RFC 4648 base64, as DevTools sends pictures and webhooks are signed. Pure. */
#pragma once

#include "base/span.h"

/* Appends the text of the bytes, padded. */
void base64_add(struct buf *out, struct span bytes);
/* Appends what the text stands for. False on anything but whole, padded base64. */
MUST_USE bool base64_add_plain(struct buf *out, struct span text);
