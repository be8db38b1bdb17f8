/* format.h - the formats of numbers, times and URLs that people read, made exact again. Pure; which
 * one a text has is said by the pack. */
#pragma once

#include "extract/convert.h"

enum { FORMAT_URL_MAX = 8192 };

/* A time by a format as strftime() knows it: %a %b %B %d %m %Y %H %I %M %S %p %z, and words as they
 * are; a space stands for any white space. Names of months and days are English, whole or of three
 * letters; %z is +hhmm, Z, or one of the names
 * of RFC 822: UT, GMT (also UTC), EST, EDT, CST, CDT, MST, MDT, PST, PDT. What the format leaves out is the start of the
 * day, UTC. The whole text has to fit. */
MUST_USE bool format_time(struct span format, struct span text, wall *out);

/* The whole number at the start, thousands apart by commas: "1,209,063 votes". abbreviated: "8.7K",
 * "1.2M", "3B" are taken as well, and are not exact; without it they are none. */
MUST_USE bool format_count(struct span text, bool abbreviated, int64_t *out);
/* See count_label in convert.h. */
MUST_USE bool format_label(const struct conv_extra *x, struct span text, int64_t *out);
MUST_USE bool format_percent(struct span text, double *out);
/* Digits behind the first place of `mark`; SPAN_NONE when there is no such place. */
struct span format_digits_after(struct span text, struct span mark);
/* Starts as one of http or https. */
bool format_is_url(struct span text);
/* See unproxy in convert.h. False when the text is no path of the proxy and no URL. */
MUST_USE bool format_unproxied(struct buf *out, const struct conv_extra *x, struct span text);
/* .../KEY?format=jpg&name=small as .../KEY.jpg; a URL without `format` stays, without its query. */
MUST_USE bool format_with_ending(struct buf *out, struct span url);
