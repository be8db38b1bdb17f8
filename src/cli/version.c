#include "cli/inside.h"

#include "store/store.h"

int version_run(struct cli *c)
{
    if (c->word_count > 1)
        return cli_usage("version", "too many words");
    if (!c->json) {
        printf("fulmar %s\n", FULMAR_VERSION);
        return EXIT_DONE;
    }
    struct buf text = BUF(1024);
    struct json_w w = json_w(&text);
    json_open(&w);
    json_kv_cstr(&w, "version", FULMAR_VERSION);
    json_kv_cstr(&w, "api", "v1");
    json_kv_cstr(&w, "sqlite", store_version());
    json_close(&w);
    cli_put(c, buf_span(&text));
    buf_free(&text);
    return EXIT_DONE;
}
