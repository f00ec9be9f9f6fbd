/* Which font has a letter: fontconfig's order for sans-serif.
 *
 * Layer: api. Thread rule: any thread; the order is made once.
 */
#ifndef CUTOUTD_API_FIGURE_FONTS_H
#define CUTOUTD_API_FIGURE_FONTS_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

/* How many bytes from the beginning of `text` (UTF-8, n bytes, at least 1) come from one font, and
 * its place in the order; -1: this machine has no fonts. */
size_t fonts_run(const char *text, size_t n, bool bold, int *ret_font);

/* The font at a place that fonts_run gave. Owned by the caller (cairo_font_face_destroy). */
cairo_font_face_t *fonts_face(int font, bool bold);

#endif
