/* curl.h - the one place that includes libcurl; for client.c and fetch.c only. */
#pragma once

#include "base/need.h"

#include <curl/curl.h>

/* libcurl counts: each begin needs its finish. */
static inline void curl_begin(void)
{
    need(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

static inline void curl_finish(void)
{
    curl_global_cleanup();
}
