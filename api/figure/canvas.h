/* A page of lines and text that becomes bytes in memory: SVG, PDF or PNG.
 *
 * Layer: api. Thread rule: a canvas belongs to one thread.
 *
 * PNG and PDF are drawn by Cairo. SVG is written here, since Cairo turns letters into outlines: its
 * text stays text, in the reader's font. Each letter of PNG and PDF comes from the first font of
 * fontconfig's order that has it. Scripts whose letters join or run from right to left are shown
 * right in SVG only.
 */
#ifndef CUTOUTD_API_FIGURE_CANVAS_H
#define CUTOUTD_API_FIGURE_CANVAS_H

#include <cairo.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/error.h"

enum figure_format { FIGURE_SVG, FIGURE_PNG, FIGURE_PDF };

struct colour {
    double red, green, blue;
};

enum { CANVAS_MOST_FACES = 8, CANVAS_MOST_DASHES = 12 };

struct canvas {
    enum figure_format format;
    cairo_surface_t *surface; /* of SVG: measures text, shows nothing */
    cairo_t *cairo;
    char *bytes; /* what was written so far */
    size_t n_bytes;
    size_t capacity;
    bool failed; /* memory ran out */

    FILE *svg; /* into bytes; NULL but for SVG, whose state the next ones are */
    bool in_path;
    int n_clips;
    struct colour colour;
    double alpha;
    double pen_width;
    double dashes[CANVAS_MOST_DASHES];
    int n_dashes;
    double font_size;
    bool bold;
    /* Fonts that were used: place in fontconfig's order. */
    struct {
        int font;
        bool bold;
        cairo_font_face_t *face;
    } faces[CANVAS_MOST_FACES];
    int n_faces;
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

/* Of everything that is drawn from here on. dashes: line, gap, ...; n 0: solid. */
void canvas_colour(struct canvas *canvas, struct colour colour, double alpha);
void canvas_pen(struct canvas *canvas, double width, const double *dashes, int n_dashes);
void canvas_font(struct canvas *canvas, double size, bool bold);

/* A path: moves and lines, then one of the two that draw it. */
void canvas_move(struct canvas *canvas, double x, double y);
void canvas_line(struct canvas *canvas, double x, double y);
void canvas_stroke(struct canvas *canvas);
void canvas_fill(struct canvas *canvas);

void canvas_circle(struct canvas *canvas, double x, double y, double radius, bool filled);
void canvas_rectangle(struct canvas *canvas, double x, double y, double width, double height);

/* Nothing is drawn outside, up to canvas_unclip. */
void canvas_clip(struct canvas *canvas, double x, double y, double width, double height);
void canvas_unclip(struct canvas *canvas);

enum text_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END };

/* Text (UTF-8) whose baseline begins, has its middle or ends at (x, y). */
void canvas_text(struct canvas *canvas, enum text_anchor anchor, double x, double y,
                 const char *text);

double canvas_text_width(struct canvas *canvas, const char *text);

/* The text, or as much of its beginning as is at most `width` wide with "..." (one letter) behind.
 * Owned by the caller (free); NULL: no memory. */
char *canvas_fit(struct canvas *canvas, const char *text, double width);

#endif
