/* Layer: api. */
#include "api/http/metrics.h"

#include <inttypes.h>
#include <stdlib.h>

#include "daemon/spec/json_write.h"

enum { N_CLASSES = 5 }; /* 1xx .. 5xx */

static const struct histogram_bounds bounds = {
    11, {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0}};

struct metrics {
    int n_routes;
    metrics_route_name *name;
    struct histogram requests[][N_CLASSES]; /* [n_routes + 1]; the last: of no route */
};

enum status metrics_create(int n_routes, metrics_route_name *name, struct metrics **ret_metrics,
                           struct error *error) {
    size_t n_rows = (size_t)n_routes + 1;
    struct metrics *metrics =
        malloc(sizeof(*metrics) + n_rows * N_CLASSES * sizeof(struct histogram));
    if (!metrics) {
        return error_set(error, STATUS_NO_MEMORY, "no memory for the metrics");
    }
    metrics->n_routes = n_routes;
    metrics->name = name;
    for (size_t row = 0; row < n_rows; row++) {
        for (int kind = 0; kind < N_CLASSES; kind++) {
            histogram_init(&metrics->requests[row][kind], &bounds);
        }
    }
    *ret_metrics = metrics;
    return STATUS_OK;
}

void metrics_free(struct metrics *metrics) {
    free(metrics);
}

void metrics_count(struct metrics *metrics, int route, int http_status, double seconds) {
    if (metrics && http_status >= 100 && http_status < 600) {
        int row = route < 0 ? metrics->n_routes : route;
        histogram_add(&metrics->requests[row][http_status / 100 - 1], seconds);
    }
}

void metrics_write_head(FILE *out, const char *name, const char *type, const char *help) {
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *format(double value, char text[JSON_NUMBER_SIZE]) {
    return number_format(value, text);
}

void metrics_write_one(FILE *out, const char *name, const char *type, const char *help,
                       double value) {
    char text[JSON_NUMBER_SIZE];
    metrics_write_head(out, name, type, help);
    (void)fprintf(out, "%s %s\n", name, format(value, text));
}

void metrics_write_histogram(FILE *out, const char *name, const char *labels,
                             const struct histogram *histogram) {
    struct histogram_reading reading;
    char text[JSON_NUMBER_SIZE];
    const char *comma = labels[0] ? "," : "";
    const char *open = labels[0] ? "{" : "";
    const char *close = labels[0] ? "}" : "";
    histogram_read(histogram, &reading);
    for (int i = 0; i < histogram->bounds->n; i++) {
        (void)fprintf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma,
                      format(histogram->bounds->seconds[i], text), reading.n_up_to[i]);
    }
    (void)fprintf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, reading.n);
    (void)fprintf(out, "%s_sum%s%s%s %s\n", name, open, labels, close, format(reading.sum_s, text));
    (void)fprintf(out, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, reading.n);
}

void metrics_write_requests(FILE *out, const struct metrics *metrics) {
    static const char name[] = "cutoutd_http_request_duration_seconds";
    if (!metrics) {
        return;
    }
    metrics_write_head(out, name, "histogram",
                       "From the first byte of a request to the beginning of its answer.");
    for (int row = 0; row <= metrics->n_routes; row++) {
        const char *method = "any";
        const char *pattern = "none";
        if (row < metrics->n_routes) {
            metrics->name(row, &method, &pattern);
        }
        for (int kind = 0; kind < N_CLASSES; kind++) {
            const struct histogram *histogram = &metrics->requests[row][kind];
            struct histogram_reading reading;
            char labels[192];
            histogram_read(histogram, &reading);
            if (reading.n == 0) {
                continue;
            }
            (void)snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\",status=\"%dxx\"",
                           pattern, method, kind + 1);
            metrics_write_histogram(out, name, labels, histogram);
        }
    }
}
