/* GET /runs/{id}/confusion: errors by class. Layer: api. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/store/table/confusion_table.h"
#include "daemon/store/table/run_table.h"

static void write_row(struct json_writer *writer, int n_classes, const int *counts) {
    json_write_array(writer, NULL);
    for (int j = 0; j < n_classes; j++) {
        json_write_int(writer, NULL, counts[j]);
    }
    json_write_end(writer, ']');
}

static void reply_matrix(struct reply *reply, const struct request *request,
                         const struct confusion_row *row) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_int(&writer, "epoch", row->epoch);
    json_write_array(&writer, "classes");
    const int n_classes = row->confusion.n_classes;
    for (int i = 0; i < n_classes; i++) {
        json_write_string(&writer, NULL, row->confusion.class_names[i]);
    }
    json_write_end(&writer, ']');
    json_write_array(&writer, "counts");
    for (int i = 0; i < n_classes; i++) {
        write_row(&writer, n_classes, row->confusion.counts[i]);
    }
    json_write_end(&writer, ']');
    json_write_end(&writer, '}');
    reply_json(reply, request, 200, &writer);
}

/* A cell as RFC 4180 wants it. */
static void print_name(FILE *out, const char *name) {
    bool plain = !strpbrk(name, "\",\r\n");
    (void)fputs(plain ? "" : "\"", out);
    for (; *name; name++) {
        (void)fputs(*name == '"' ? "\"" : "", out);
        (void)fputc(*name, out);
    }
    (void)fputs(plain ? "" : "\"", out);
}

/* A row a true class, a column a predicted one. NULL when memory is out. */
static char *matrix_csv(const struct confusion *confusion) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    (void)fputs("class", out);
    for (int j = 0; j < confusion->n_classes; j++) {
        (void)fputc(',', out);
        print_name(out, confusion->class_names[j]);
    }
    for (int i = 0; i < confusion->n_classes; i++) {
        (void)fputc('\n', out);
        print_name(out, confusion->class_names[i]);
        for (int j = 0; j < confusion->n_classes; j++) {
            (void)fprintf(out, ",%d", confusion->counts[i][j]);
        }
    }
    (void)fputc('\n', out);
    return text_stream_close(out, &text);
}

void route_run_confusion(struct api_context *context, const struct request *request,
                         struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    CLEANUP(free_pointer) struct confusion_row *row = malloc(sizeof(*row));
    struct error error;
    char format[8];
    if (request_format(request, "json, csv", format, &error) != STATUS_OK) {
        reply_bad_argument(reply, request, "format", "%s.", error.message);
        return;
    }
    if (!route_find_run(context, request, reply, &run)) {
        return;
    }
    if (run.epochs_done == 0) {
        reply_problem(reply, request, STATUS_NOT_FOUND, "Run %lld has not finished an epoch yet.",
                      (long long)run.id);
        return;
    }
    if (!row) {
        reply_problem(reply, request, STATUS_NO_MEMORY, "Try again later.");
        return;
    }
    if (confusion_table_get(context->options.store, run.id, row, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    if (strcmp(format, "csv") == 0) {
        reply_text(reply, request, 200, CONTENT_CSV, matrix_csv(&row->confusion));
    } else {
        reply_matrix(reply, request, row);
    }
    reply_tag(reply, request);
}
