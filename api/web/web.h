/* The page: its document and its assets, embedded at build.
 *
 * Layer: api. Thread rule: constants; web_page_make is a pure function.
 *
 * An asset's address has the digest of all assets in it, so it may be cached for ever; the document
 * names the addresses and is asked for each time.
 */
#ifndef CUTOUTD_API_WEB_WEB_H
#define CUTOUTD_API_WEB_WEB_H

#include <stddef.h>

struct web_asset {
    const char *name; /* "app.js" */
    const char *content_type;
    const unsigned char *bytes; /* [n_bytes] */
    size_t n_bytes;
    const unsigned char *gzip; /* the same, packed; [n_gzip] */
    size_t n_gzip;
    const unsigned char *brotli; /* likewise; NULL: this build has none */
    size_t n_brotli;
};

/* Static, ended by an entry whose name is NULL. Written by embed.cmake. */
extern const struct web_asset web_assets[];

/* The digest in the assets' addresses. */
extern const char web_digest[];

/* NULL: there is no such asset. */
const struct web_asset *web_asset_find(const char *name);

/* The document for a page whose paths begin with `prefix` ("" or "/lab"; letters, digits and
 * "-._~/" only), owned by the caller (free). NULL: no memory. */
char *web_page_make(const char *prefix);

#endif
