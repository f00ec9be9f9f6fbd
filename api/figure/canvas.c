/* Layer: api. */
#include "api/figure/canvas.h"

#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

enum status canvas_begin(struct canvas *canvas, enum figure_format format, double width,
                         double height, double scale, struct error *error) {
    *canvas = (struct canvas){.format = format};
    if (format == FIGURE_SVG) {
        canvas->surface = cairo_svg_surface_create_for_stream(append, canvas, width, height);
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
    cairo_select_font_face(canvas->cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           CAIRO_FONT_WEIGHT_NORMAL);
    return STATUS_OK;
}

void canvas_clear(struct canvas *canvas) {
    if (canvas->cairo) {
        cairo_destroy(canvas->cairo);
    }
    if (canvas->surface) {
        cairo_surface_destroy(canvas->surface);
    }
    free(canvas->bytes);
    *canvas = (struct canvas){.format = FIGURE_SVG};
}

enum status canvas_finish(struct canvas *canvas, char **ret_bytes, size_t *ret_n_bytes,
                          struct error *error) {
    cairo_status_t drawn = cairo_status(canvas->cairo);
    if (canvas->format == FIGURE_PNG && drawn == CAIRO_STATUS_SUCCESS) {
        drawn = cairo_surface_write_to_png_stream(canvas->surface, append, canvas);
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

void canvas_colour(struct canvas *canvas, struct colour colour, double alpha) {
    cairo_set_source_rgba(canvas->cairo, colour.red, colour.green, colour.blue, alpha);
}

double canvas_text_width(struct canvas *canvas, const char *text) {
    cairo_text_extents_t extents;
    cairo_text_extents(canvas->cairo, text, &extents);
    return extents.x_advance;
}

void canvas_text(struct canvas *canvas, enum text_anchor anchor, double x, double y,
                 const char *text) {
    double share = anchor == ANCHOR_START ? 0.0 : anchor == ANCHOR_MIDDLE ? 0.5 : 1.0;
    cairo_move_to(canvas->cairo, x - share * canvas_text_width(canvas, text), y);
    cairo_show_text(canvas->cairo, text);
}
