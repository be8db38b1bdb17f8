/* words.h - the vocabulary that posts and accounts are made of. Invented, no real people. */
#pragma once

#include <stddef.h>

struct tongue {
    const char *code;             /* as in legacy.lang */
    const char *const *sentences; /* "{n}" stands for a number */
    size_t count;
};

enum { HANDLE_WORDS = 32 };
extern const char *const words_first[HANDLE_WORDS]; /* capitalised, at most 5 letters */
extern const char *const words_second[HANDLE_WORDS];
extern const char *const words_names[];
extern const size_t words_names_count;
extern const struct tongue words_tongues[];
extern const size_t words_tongues_count; /* the first is English */
extern const char *const words_hashtags[];
extern const size_t words_hashtags_count;
extern const char *const words_cashtags[];
extern const size_t words_cashtags_count;
extern const char *const words_sites[];
extern const size_t words_sites_count;
extern const char *const words_places[];
extern const size_t words_places_count;
extern const char *const words_apps[];
extern const size_t words_apps_count;
extern const char *const words_alts[];
extern const size_t words_alts_count;
