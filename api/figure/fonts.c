/* Layer: api. */
#include "api/figure/fonts.h"

#include <cairo-ft.h>
#include <fontconfig/fontconfig.h>
#include <pthread.h>
#include <stdlib.h>

struct order {
    FcPattern *wanted;
    FcFontSet *fonts;          /* NULL: none */
    cairo_font_face_t **faces; /* of fonts, NULL: not made yet; guarded by faces_mutex */
};

static pthread_mutex_t faces_mutex = PTHREAD_MUTEX_INITIALIZER;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct order orders[2]; /* written once, but for faces: regular, bold */

static void make_orders(void) {
    for (int bold = 0; bold < 2; bold++) {
        struct order *order = &orders[bold];
        FcResult result = FcResultMatch;
        order->wanted =
            FcPatternBuild(NULL, FC_FAMILY, FcTypeString, "sans-serif", FC_WEIGHT, FcTypeInteger,
                           bold ? FC_WEIGHT_DEMIBOLD : FC_WEIGHT_REGULAR, NULL);
        if (order->wanted) {
            (void)FcConfigSubstitute(NULL, order->wanted, FcMatchPattern);
            FcDefaultSubstitute(order->wanted);
            order->fonts = FcFontSort(NULL, order->wanted, FcTrue, NULL, &result);
            /* NOLINTNEXTLINE(bugprone-sizeof-expression): it is an array of pointers */
            const size_t n_bytes = sizeof(*order->faces);
            order->faces = order->fonts ? calloc((size_t)order->fonts->nfont + 1, n_bytes) : NULL;
        }
    }
}

static const struct order *order_of(bool bold) {
    (void)pthread_once(&once, make_orders);
    return &orders[bold];
}

/* The first that has it; the first of all when none has. */
static int font_for(const struct order *order, FcChar32 letter) {
    for (int i = 0; i < order->fonts->nfont; i++) {
        FcCharSet *letters = NULL;
        if (FcPatternGetCharSet(order->fonts->fonts[i], FC_CHARSET, 0, &letters) == FcResultMatch &&
            FcCharSetHasChar(letters, letter)) {
            return i;
        }
    }
    return 0;
}

size_t fonts_run(const char *text, size_t n, bool bold, int *ret_font) {
    const struct order *order = order_of(bold);
    size_t used = 0;
    *ret_font = -1;
    if (!order->fonts || order->fonts->nfont == 0) {
        return n;
    }
    while (used < n) {
        FcChar32 letter = 0;
        int length = FcUtf8ToUcs4((const FcChar8 *)text + used, &letter, (int)(n - used));
        if (length <= 0) { /* no UTF-8 */
            return used > 0 ? used : 1;
        }
        int font = font_for(order, letter);
        if (used > 0 && font != *ret_font) {
            return used;
        }
        *ret_font = font;
        used += (size_t)length;
    }
    return used;
}

/* Made once and kept: fontconfig takes no care of memory that has run out, and would end the
 * daemon. */
cairo_font_face_t *fonts_face(int font, bool bold) {
    const struct order *order = order_of(bold);
    (void)pthread_mutex_lock(&faces_mutex);
    cairo_font_face_t *face = order->faces ? order->faces[font] : NULL;
    if (!face) {
        FcPattern *pattern = FcFontRenderPrepare(NULL, order->wanted, order->fonts->fonts[font]);
        face = cairo_ft_font_face_create_for_pattern(pattern);
        FcPatternDestroy(pattern);
        if (order->faces && cairo_font_face_status(face) == CAIRO_STATUS_SUCCESS) {
            order->faces[font] = cairo_font_face_reference(face);
        }
    } else {
        (void)cairo_font_face_reference(face);
    }
    (void)pthread_mutex_unlock(&faces_mutex);
    return face;
}
