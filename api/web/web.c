/* Layer: api. */
#include "api/web/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/text_stream.h"

static const char DOCUMENT[] = "index.html";
static const char PLACE[] = "@PREFIX@";

const struct web_asset *web_asset_find(const char *name) {
    for (const struct web_asset *asset = web_assets; asset->name; asset++) {
        if (strcmp(asset->name, name) == 0) {
            return asset;
        }
    }
    return NULL;
}

char *web_page_make(const char *prefix) {
    const struct web_asset *document = web_asset_find(DOCUMENT);
    char *page = NULL;
    size_t n_page = 0;
    FILE *out = document ? text_stream_open(&page, &n_page) : NULL;
    if (!out) {
        return NULL;
    }
    const char *at = (const char *)document->bytes;
    const char *end = at + document->n_bytes;
    while (at < end) {
        const char *place = memmem(at, (size_t)(end - at), PLACE, strlen(PLACE));
        (void)fwrite(at, 1, (size_t)((place ? place : end) - at), out);
        if (place) {
            (void)fputs(prefix, out);
        }
        at = place ? place + strlen(PLACE) : end;
    }
    return text_stream_close(out, &page);
}
