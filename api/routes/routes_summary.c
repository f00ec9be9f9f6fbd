/* The layer table of a run. Layer: api. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "core/nn/summary.h"
#include "daemon/spec/run_spec.h"

/* "(32, 32, 16)" */
static void shape_text(const struct summary_row *row, char text[48]) {
    size_t used = (size_t)snprintf(text, 48, "(");
    for (int i = 0; i < row->n_dims; i++) {
        used += (size_t)snprintf(text + used, 48 - used, "%s%d", i ? ", " : "", row->output[i]);
    }
    (void)snprintf(text + used, 48 - used, ")");
}

static char *summary_text(const struct summary *summary) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    (void)fprintf(out, "%-28s %-20s %-14s %10s\n", "Layer", "Type", "Output", "Parameters");
    for (int i = 0; i < summary->n_rows; i++) {
        const struct summary_row *row = &summary->rows[i];
        char shape[48];
        shape_text(row, shape);
        (void)fprintf(out, "%-28s %-20s %-14s %10" PRId64 "\n", row->name, row->type, shape,
                      row->parameters);
    }
    (void)fprintf(out, "\nTotal parameters: %" PRId64 "\n", summary->total);
    (void)fprintf(out, "Trainable: %" PRId64 "\n", summary->trainable);
    (void)fprintf(out, "Not trainable: %" PRId64 "\n", summary->non_trainable);
    return text_stream_close(out, &text);
}

static void write_summary(struct json_writer *writer, const struct summary *summary) {
    json_write_array(writer, "layers");
    for (int i = 0; i < summary->n_rows; i++) {
        const struct summary_row *row = &summary->rows[i];
        json_write_object(writer, NULL);
        json_write_string(writer, "name", row->name);
        json_write_string(writer, "type", row->type);
        json_write_array(writer, "output_shape");
        for (int j = 0; j < row->n_dims; j++) {
            json_write_int(writer, NULL, row->output[j]);
        }
        json_write_end(writer, ']');
        json_write_int(writer, "parameters", row->parameters);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
    json_write_object(writer, "parameters");
    json_write_int(writer, "total", summary->total);
    json_write_int(writer, "trainable", summary->trainable);
    json_write_int(writer, "non_trainable", summary->non_trainable);
    json_write_end(writer, '}');
}

void route_run_summary(struct api_context *context, const struct request *request,
                       struct reply *reply) {
    struct error error;
    char format[8];
    if (request_format(request, "json, text", format, &error) != STATUS_OK) {
        reply_bad_argument(reply, request, "format", "%s.", error.message);
        return;
    }
    CLEANUP(run_row_clear) struct run_row row = {0};
    if (!route_find_run(context, request, reply, &row)) {
        return;
    }
    /* Both are too large for the stack of a server thread. */
    CLEANUP(free_pointer) struct resnet *net = calloc(1, sizeof(*net));
    CLEANUP(free_pointer) struct summary *summary = calloc(1, sizeof(*summary));
    CLEANUP(free_pointer) struct run_spec *spec = calloc(1, sizeof(*spec));
    if (!net || !summary || !spec) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return;
    }
    struct dataset_description dataset;
    dataset_registry_find(context->options.datasets, row.dataset, &dataset);
    /* Of a set that was never there: as most are. */
    int n_classes = dataset.n_classes > 0 ? dataset.n_classes : SHAPES_CLASSES;
    if (run_spec_read_stored(row.config_json, spec, &error) != STATUS_OK ||
        resnet_plan_of(&spec->config, n_classes, net, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    summary_make(net, summary);
    if (strcmp(format, "text") == 0) {
        reply_text(reply, request, 200, CONTENT_TEXT, summary_text(summary));
        return;
    }
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_id(&writer, "run", row.id);
    json_write_int(&writer, "depth", row.depth);
    write_summary(&writer, summary);
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}
