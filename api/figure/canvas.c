/* Layer: api. */
#include "api/figure/canvas.h"

#include <cairo-pdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/figure/bidi.h"
#include "api/figure/fonts.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"

static const struct {
    const char *name;
    const char *content_type;
} formats[] = {
    [FIGURE_SVG] = {"svg", "image/svg+xml"},
    [FIGURE_PNG] = {"png", "image/png"},
    [FIGURE_PDF] = {"pdf", "application/pdf"},
};

bool figure_format_from_name(const char *name, enum figure_format *ret) {
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            *ret = (enum figure_format)i;
            return true;
        }
    }
    return false;
}

const char *figure_content_type(enum figure_format format) {
    return formats[format].content_type;
}

static cairo_status_t append(void *user, const unsigned char *data, unsigned length) {
    struct canvas *canvas = user;
    size_t needed = canvas->n_bytes + length;
    if (needed > canvas->capacity) {
        size_t capacity = needed < 16384 ? 16384 : needed * 2;
        char *bytes = realloc(canvas->bytes, capacity);
        if (!bytes) {
            canvas->failed = true;
            return CAIRO_STATUS_WRITE_ERROR;
        }
        canvas->bytes = bytes;
        canvas->capacity = capacity;
    }
    memcpy(canvas->bytes + canvas->n_bytes, data, length);
    canvas->n_bytes = needed;
    return CAIRO_STATUS_SUCCESS;
}

/* ---- begin and end ---- */

static enum status begin_svg(struct canvas *canvas, double width, double height,
                             struct error *error) {
    canvas->svg = text_stream_open(&canvas->bytes, &canvas->n_bytes);
    if (!canvas->svg) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for a figure");
    }
    (void)fprintf(canvas->svg,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%gpt\" height=\"%gpt\""
                  " viewBox=\"0 0 %g %g\" font-family=\"'DejaVu Sans',Verdana,sans-serif\">\n",
                  width, height, width, height);
    return STATUS_OK;
}

enum status canvas_begin(struct canvas *canvas, enum figure_format format, double width,
                         double height, double scale, struct error *error) {
    *canvas = (struct canvas){.format = format, .alpha = 1, .pen_width = 1, .font_size = 9};
    if (format == FIGURE_SVG) {
        TRY(begin_svg(canvas, width, height, error));
        canvas->surface = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    } else if (format == FIGURE_PDF) {
        canvas->surface = cairo_pdf_surface_create_for_stream(append, canvas, width, height);
        /* The same figure gives the same file: no time of its making in it. */
        cairo_pdf_surface_set_metadata(canvas->surface, CAIRO_PDF_METADATA_CREATE_DATE, "");
    } else {
        canvas->surface = cairo_image_surface_create(
            CAIRO_FORMAT_ARGB32, (int)lround(width * scale), (int)lround(height * scale));
        cairo_surface_set_device_scale(canvas->surface, scale, scale);
    }
    canvas->cairo = cairo_create(canvas->surface);
    if (cairo_status(canvas->cairo) != CAIRO_STATUS_SUCCESS) {
        const char *why = cairo_status_to_string(cairo_status(canvas->cairo));
        canvas_clear(canvas);
        return error_set(error, STATUS_NO_MEMORY, "cannot draw: %s", why);
    }
    cairo_set_line_join(canvas->cairo, CAIRO_LINE_JOIN_ROUND);
    canvas_font(canvas, 9, false);
    return STATUS_OK;
}

void canvas_clear(struct canvas *canvas) {
    if (canvas->cairo) {
        cairo_destroy(canvas->cairo);
    }
    if (canvas->surface) {
        cairo_surface_destroy(canvas->surface);
    }
    for (int i = 0; i < canvas->n_faces; i++) {
        cairo_font_face_destroy(canvas->faces[i].face);
    }
    if (canvas->svg) {
        (void)fclose(canvas->svg);
    }
    free(canvas->bytes);
    *canvas = (struct canvas){.format = FIGURE_SVG};
}

static void finish_svg(struct canvas *canvas) {
    (void)fputs("</svg>\n", canvas->svg);
    canvas->failed |= !text_stream_close(canvas->svg, &canvas->bytes);
    canvas->svg = NULL;
}

enum status canvas_finish(struct canvas *canvas, char **ret_bytes, size_t *ret_n_bytes,
                          struct error *error) {
    cairo_status_t drawn = cairo_status(canvas->cairo);
    if (canvas->format == FIGURE_PNG && drawn == CAIRO_STATUS_SUCCESS) {
        drawn = cairo_surface_write_to_png_stream(canvas->surface, append, canvas);
    }
    if (canvas->svg) {
        finish_svg(canvas);
    }
    cairo_surface_finish(canvas->surface);
    if (drawn == CAIRO_STATUS_SUCCESS) {
        drawn = cairo_surface_status(canvas->surface);
    }
    enum status status = STATUS_OK;
    if (canvas->failed) {
        status = error_set(error, STATUS_NO_MEMORY, "no memory for a figure");
    } else if (drawn != CAIRO_STATUS_SUCCESS) {
        status =
            error_set(error, drawn == CAIRO_STATUS_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_INTERNAL,
                      "cannot draw: %s", cairo_status_to_string(drawn));
    } else {
        *ret_bytes = canvas->bytes;
        *ret_n_bytes = canvas->n_bytes;
        canvas->bytes = NULL;
    }
    canvas_clear(canvas);
    return status;
}

/* ---- the pen ---- */

void canvas_colour(struct canvas *canvas, struct colour colour, double alpha) {
    canvas->colour = colour;
    canvas->alpha = alpha;
    cairo_set_source_rgba(canvas->cairo, colour.red, colour.green, colour.blue, alpha);
}

void canvas_pen(struct canvas *canvas, double width, const double *dashes, int n_dashes) {
    canvas->pen_width = width;
    canvas->n_dashes = n_dashes;
    for (int i = 0; i < n_dashes; i++) {
        canvas->dashes[i] = dashes[i];
    }
    cairo_set_line_width(canvas->cairo, width);
    cairo_set_dash(canvas->cairo, canvas->dashes, n_dashes, 0);
}

void canvas_font(struct canvas *canvas, double size, bool bold) {
    canvas->font_size = size;
    canvas->bold = bold;
    cairo_set_font_size(canvas->cairo, size);
}

/* ---- SVG ---- */

/* To a hundredth of a point, which nobody sees, without zeros at the end. With a zoom points may be
 * anywhere: what is far outside is drawn as far outside as the text has room for. */
static void put_number(FILE *svg, const char *before, double value) {
    char text[48];
    int n = snprintf(text, sizeof(text), "%.2f", fmax(-3e9, fmin(3e9, value)));
    while (n > 1 && text[n - 1] == '0') {
        n--;
    }
    n -= text[n - 1] == '.';
    (void)fprintf(svg, "%s%.*s", before, n, text);
}

static void put_paint(const struct canvas *canvas, const char *attribute) {
    (void)fprintf(
        canvas->svg, " %s=\"#%02x%02x%02x\"", attribute, (unsigned)lround(canvas->colour.red * 255),
        (unsigned)lround(canvas->colour.green * 255), (unsigned)lround(canvas->colour.blue * 255));
    if (canvas->alpha < 1) {
        (void)fprintf(canvas->svg, " %s-opacity=\"%g\"", attribute, canvas->alpha);
    }
}

static void put_stroke(const struct canvas *canvas) {
    (void)fputs(" fill=\"none\"", canvas->svg);
    put_paint(canvas, "stroke");
    put_number(canvas->svg, " stroke-width=\"", canvas->pen_width);
    (void)fputs("\" stroke-linejoin=\"round\"", canvas->svg);
    for (int i = 0; i < canvas->n_dashes; i++) {
        put_number(canvas->svg, i ? " " : " stroke-dasharray=\"", canvas->dashes[i]);
    }
    (void)fputs(canvas->n_dashes ? "\"/>\n" : "/>\n", canvas->svg);
}

/* Text from users: nothing in it is markup. */
static void put_escaped(FILE *svg, const char *text) {
    for (; *text; text++) {
        switch (*text) {
        case '&':
            (void)fputs("&amp;", svg);
            break;
        case '<':
            (void)fputs("&lt;", svg);
            break;
        case '>':
            (void)fputs("&gt;", svg);
            break;
        default:
            (void)fputc(*text, svg);
        }
    }
}

/* ---- paths ---- */

static void add_point(struct canvas *canvas, char letter, double x, double y) {
    if (canvas->svg) {
        (void)fprintf(canvas->svg, "%s%c", canvas->in_path ? "" : "<path d=\"", letter);
        put_number(canvas->svg, "", x);
        put_number(canvas->svg, " ", y);
        canvas->in_path = true;
    }
}

void canvas_move(struct canvas *canvas, double x, double y) {
    cairo_move_to(canvas->cairo, x, y);
    add_point(canvas, 'M', x, y);
}

void canvas_line(struct canvas *canvas, double x, double y) {
    cairo_line_to(canvas->cairo, x, y);
    add_point(canvas, 'L', x, y);
}

static bool end_path(struct canvas *canvas) {
    bool drawn = canvas->svg && canvas->in_path;
    canvas->in_path = false;
    if (drawn) {
        (void)fputc('"', canvas->svg);
    }
    return drawn;
}

void canvas_stroke(struct canvas *canvas) {
    if (end_path(canvas)) {
        put_stroke(canvas);
    }
    cairo_stroke(canvas->cairo);
}

void canvas_fill(struct canvas *canvas) {
    if (end_path(canvas)) {
        put_paint(canvas, "fill");
        (void)fputs("/>\n", canvas->svg);
    }
    cairo_fill(canvas->cairo);
}

void canvas_circle(struct canvas *canvas, double x, double y, double radius, bool filled) {
    if (canvas->svg) {
        put_number(canvas->svg, "<circle cx=\"", x);
        put_number(canvas->svg, "\" cy=\"", y);
        put_number(canvas->svg, "\" r=\"", radius);
        (void)fputc('"', canvas->svg);
        if (filled) {
            put_paint(canvas, "fill");
            (void)fputs("/>\n", canvas->svg);
        } else {
            put_stroke(canvas);
        }
    }
    cairo_new_path(canvas->cairo);
    cairo_arc(canvas->cairo, x, y, radius, 0, 4 * acos(0.0));
    (filled ? cairo_fill : cairo_stroke)(canvas->cairo);
}

void canvas_rectangle(struct canvas *canvas, double x, double y, double width, double height) {
    if (canvas->svg) {
        put_number(canvas->svg, "<rect x=\"", x);
        put_number(canvas->svg, "\" y=\"", y);
        put_number(canvas->svg, "\" width=\"", width);
        put_number(canvas->svg, "\" height=\"", height);
        (void)fputc('"', canvas->svg);
        put_paint(canvas, "fill");
        (void)fputs("/>\n", canvas->svg);
    }
    cairo_rectangle(canvas->cairo, x, y, width, height);
    cairo_fill(canvas->cairo);
}

void canvas_clip(struct canvas *canvas, double x, double y, double width, double height) {
    if (canvas->svg) {
        (void)fprintf(canvas->svg, "<clipPath id=\"c%d\"><rect", ++canvas->n_clips);
        put_number(canvas->svg, " x=\"", x);
        put_number(canvas->svg, "\" y=\"", y);
        put_number(canvas->svg, "\" width=\"", width);
        put_number(canvas->svg, "\" height=\"", height);
        (void)fprintf(canvas->svg, "\"/></clipPath>\n<g clip-path=\"url(#c%d)\">\n",
                      canvas->n_clips);
    }
    cairo_save(canvas->cairo);
    cairo_rectangle(canvas->cairo, x, y, width, height);
    cairo_clip(canvas->cairo);
}

void canvas_unclip(struct canvas *canvas) {
    if (canvas->svg) {
        (void)fputs("</g>\n", canvas->svg);
    }
    cairo_restore(canvas->cairo);
}

/* ---- text ---- */

/* Of this canvas, made once; past the room for them the last one is replaced. */
static cairo_font_face_t *face_of(struct canvas *canvas, int font) {
    for (int i = 0; i < canvas->n_faces; i++) {
        if (canvas->faces[i].font == font && canvas->faces[i].bold == canvas->bold) {
            return canvas->faces[i].face;
        }
    }
    if (canvas->n_faces == CANVAS_MOST_FACES) {
        cairo_font_face_destroy(canvas->faces[--canvas->n_faces].face);
    }
    canvas->faces[canvas->n_faces].font = font;
    canvas->faces[canvas->n_faces].bold = canvas->bold;
    canvas->faces[canvas->n_faces].face = fonts_face(font, canvas->bold);
    return canvas->faces[canvas->n_faces++].face;
}

/* Goes through the text font by font from (x, y) on; returns its width. */
static double walk_visual(struct canvas *canvas, double x, double y, const char *text, bool show) {
    double width = 0;
    size_t left = strlen(text);
    while (left > 0) {
        int font = -1;
        char run[256];
        size_t n =
            fonts_run(text, left < sizeof(run) - 4 ? left : sizeof(run) - 4, canvas->bold, &font);
        cairo_text_extents_t extents;
        (void)snprintf(run, sizeof(run), "%.*s", (int)n, text);
        if (font >= 0) {
            cairo_set_font_face(canvas->cairo, face_of(canvas, font));
        }
        cairo_text_extents(canvas->cairo, run, &extents);
        if (show) {
            cairo_move_to(canvas->cairo, x + width, y);
            cairo_show_text(canvas->cairo, run);
        }
        width += extents.x_advance;
        text += n;
        left -= n;
    }
    cairo_new_path(canvas->cairo);
    return width;
}

static double walk_text(struct canvas *canvas, double x, double y, const char *text, bool show) {
    CLEANUP(free_pointer) char *visual = bidi_visual(text);
    canvas->failed |= !visual;
    return visual ? walk_visual(canvas, x, y, visual, show) : 0;
}

double canvas_text_width(struct canvas *canvas, const char *text) {
    return walk_text(canvas, 0, 0, text, false);
}

void canvas_text(struct canvas *canvas, enum text_anchor anchor, double x, double y,
                 const char *text) {
    static const char *const anchors[] = {
        [ANCHOR_START] = "", [ANCHOR_MIDDLE] = "middle", [ANCHOR_END] = "end"};
    if (canvas->svg) {
        put_number(canvas->svg, "<text x=\"", x);
        put_number(canvas->svg, "\" y=\"", y);
        put_number(canvas->svg, "\" font-size=\"", canvas->font_size);
        (void)fputc('"', canvas->svg);
        if (anchor != ANCHOR_START) {
            (void)fprintf(canvas->svg, " text-anchor=\"%s\"", anchors[anchor]);
        }
        (void)fputs(canvas->bold ? " font-weight=\"600\"" : "", canvas->svg);
        put_paint(canvas, "fill");
        (void)fputc('>', canvas->svg);
        put_escaped(canvas->svg, text);
        (void)fputs("</text>\n", canvas->svg);
        return;
    }
    double share = anchor == ANCHOR_START ? 0.0 : anchor == ANCHOR_MIDDLE ? 0.5 : 1.0;
    double width = share > 0 ? canvas_text_width(canvas, text) : 0;
    (void)walk_text(canvas, x - share * width, y, text, true);
}

/* The first n bytes of the text with the sign behind, but no blank before it; n is where a letter
 * begins. */
static void cut_text(const char *text, size_t n, char *cut) {
    static const char sign[] = "\u2026";
    while (n > 0 && text[n - 1] == ' ') {
        n--;
    }
    memcpy(cut, text, n);
    memcpy(cut + n, sign, sizeof(sign));
}

char *canvas_fit(struct canvas *canvas, const char *text, double width) {
    size_t too_long = strlen(text);
    char *cut = malloc(too_long + 4);
    if (!cut) {
        return NULL;
    }
    memcpy(cut, text, too_long + 1);
    if (canvas_text_width(canvas, cut) <= width) {
        return cut;
    }
    size_t fits = 0; /* the sign alone is kept in any case */
    while (fits + 1 < too_long) {
        size_t n = fits + (too_long - fits) / 2;
        while (n < too_long && ((unsigned char)text[n] & 0xC0) == 0x80) {
            n++;
        }
        if (n == too_long) { /* one letter is left: it does not fit */
            break;
        }
        cut_text(text, n, cut);
        if (canvas_text_width(canvas, cut) <= width) {
            fits = n;
        } else {
            too_long = n;
        }
    }
    cut_text(text, fits, cut);
    return cut;
}
