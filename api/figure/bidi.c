/* Layer: api. */
#include "api/figure/bidi.h"

#include <fribidi.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/text.h"

static bool is_ascii(const char *text) {
    while (*text && !((unsigned char)*text & 0x80)) {
        text++;
    }
    return !*text;
}

char *bidi_visual(const char *text) {
    if (is_ascii(text)) {
        return strdup(text);
    }
    size_t bytes = strlen(text);
    CLEANUP(free_pointer) char *plain = strdup(text);
    CLEANUP(free_pointer) FriBidiChar *letters = calloc(bytes, sizeof(*letters));
    CLEANUP(free_pointer) FriBidiChar *seen = calloc(bytes + 1, sizeof(*seen));
    /* a letter of one byte may become one of three, as its joined form */
    char *visual = calloc(4 * bytes + 1, 1);
    if (!plain || !letters || !seen || !visual) {
        free(visual);
        return NULL;
    }
    text_make_plain(plain);
    FriBidiStrIndex length = fribidi_charset_to_unicode(FRIBIDI_CHAR_SET_UTF8, plain,
                                                        (FriBidiStrIndex)strlen(plain), letters);
    FriBidiParType direction = FRIBIDI_PAR_LTR;
    if (!fribidi_log2vis(letters, length, &direction, seen, NULL, NULL, NULL)) {
        free(visual);
        return NULL;
    }
    FriBidiStrIndex kept = 0;
    for (FriBidiStrIndex i = 0; i < length; i++) {
        if (seen[i] != FRIBIDI_CHAR_FILL) { /* where a ligature took two letters' place */
            seen[kept++] = seen[i];
        }
    }
    (void)fribidi_unicode_to_charset(FRIBIDI_CHAR_SET_UTF8, seen, kept, visual);
    return visual;
}
