/* How many requests each route answered, and how long that took.
 *
 * Layer: api. Thread rule: metrics_create and metrics_free by one thread, the others from any; no
 * locks.
 */
#ifndef CUTOUTD_API_HTTP_METRICS_H
#define CUTOUTD_API_HTTP_METRICS_H

#include <stdio.h>

#include "core/base/error.h"
#include "core/base/histogram.h"

struct metrics;

/* What a route is called in the labels: route 0 .. n_routes - 1. The texts are static. */
typedef void metrics_route_name(int route, const char **ret_method, const char **ret_pattern);

/* STATUS_NO_MEMORY. On success *ret_metrics is owned by the caller (metrics_free). */
enum status metrics_create(int n_routes, metrics_route_name *name, struct metrics **ret_metrics,
                           struct error *error);

/* NULL is fine. */
void metrics_free(struct metrics *metrics);

/* One request was answered. route: its place in the table of routes, -1: none. NULL is fine. */
void metrics_count(struct metrics *metrics, int route, int http_status, double seconds);

/* The text form of Prometheus: a family's head, then its samples. type: "gauge", "counter",
 * "histogram". */
void metrics_write_head(FILE *out, const char *name, const char *type, const char *help);

/* A family of one sample. */
void metrics_write_one(FILE *out, const char *name, const char *type, const char *help,
                       double value);

/* The samples of a histogram; labels: "" or `route="/",method="GET"`. */
void metrics_write_histogram(FILE *out, const char *name, const char *labels,
                             const struct histogram *histogram);

/* The family of all requests. NULL: nothing. */
void metrics_write_requests(FILE *out, const struct metrics *metrics);

#endif
