/* A Cairo surface that becomes bytes in memory: SVG, PDF or PNG.
 *
 * Layer: api. Thread rule: a canvas belongs to one thread.
 */
#ifndef CUTOUTD_API_FIGURE_CANVAS_H
#define CUTOUTD_API_FIGURE_CANVAS_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

enum figure_format { FIGURE_SVG, FIGURE_PNG, FIGURE_PDF };

struct canvas {
    enum figure_format format;
    cairo_surface_t *surface;
    cairo_t *cairo;
    char *bytes; /* what was written so far */
    size_t n_bytes;
    size_t capacity;
    bool failed; /* memory ran out */
};

/* "svg", "png", "pdf". False: none of them. */
bool figure_format_from_name(const char *name, enum figure_format *ret);
const char *figure_content_type(enum figure_format format);

/* width, height: in points (1/72 inch); a PNG has `scale` pixels for each. On success the caller
 * ends the canvas with canvas_finish or canvas_clear. STATUS_NO_MEMORY. */
enum status canvas_begin(struct canvas *canvas, enum figure_format format, double width,
                         double height, double scale, struct error *error);

/* The finished file, owned by the caller (free). The canvas is over, whatever the status.
 * STATUS_NO_MEMORY, STATUS_INTERNAL. */
enum status canvas_finish(struct canvas *canvas, char **ret_bytes, size_t *ret_n_bytes,
                          struct error *error);

/* Frees and zeroes. A zeroed canvas is fine. */
void canvas_clear(struct canvas *canvas);

struct colour {
    double red, green, blue;
};

void canvas_colour(struct canvas *canvas, struct colour colour, double alpha);

enum text_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

/* Text whose baseline begins, has its middle or ends at (x, y). */
void canvas_text(struct canvas *canvas, enum text_anchor anchor, double x, double y,
                 const char *text);

double canvas_text_width(struct canvas *canvas, const char *text);

#endif
