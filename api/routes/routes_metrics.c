/* /metrics for Prometheus: what is in memory, so that a scrape never waits for the store. Layer:
 * api.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "api/http/connections.h"
#include "api/http/metrics.h"
#include "api/routes/routes.h"
#include "api/stream/stream.h"
#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "core/kernels/kernels.h"
#include "daemon/work/health.h"

enum { MOST_RUNNING = 256 };

#define CONTENT_METRICS "text/plain; version=0.0.4; charset=utf-8"

static void write_process(FILE *out, const struct api_context *context) {
    metrics_write_head(out, "cutoutd_build_info", "gauge", "What this is; always 1.");
    (void)fprintf(out, "cutoutd_build_info{version=\"%s\",kernels=\"%s\",schema=\"%d\"} 1\n",
                  CUTOUTD_VERSION, context->options.kernels->name,
                  store_schema_version(context->options.store));
    metrics_write_one(out, "process_start_time_seconds", "gauge",
                      "When the process started, in seconds of Unix time.",
                      (double)context->started_ms / 1000.0);
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
        metrics_write_one(out, "process_cpu_seconds_total", "counter",
                          "Seconds of all cores that the process used.",
                          (double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
    }
    CLEANUP(close_file) FILE *statm = fopen("/proc/self/statm", "re");
    int64_t n_pages = 0;
    if (statm && fscanf(statm, "%*d %" SCNd64, &n_pages) == 1) {
        metrics_write_one(out, "process_resident_memory_bytes", "gauge",
                          "Memory of the process that is in RAM.",
                          (double)n_pages * (double)sysconf(_SC_PAGESIZE));
    }
}

static void write_runs(FILE *out, const struct api_context *context,
                       const struct health_report *health) {
    metrics_write_head(out, "cutoutd_runs", "gauge", "Runs by state.");
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        (void)fprintf(out, "cutoutd_runs{state=\"%s\"} %" PRId64 "\n",
                      run_state_name((enum run_state)state), health->runs[state]);
    }
    int64_t oldest_ms = health->oldest_queued_ms;
    int64_t age_ms = oldest_ms > 0 ? clock_unix_ms(context->options.clock) - oldest_ms : 0;
    metrics_write_one(out, "cutoutd_queue_oldest_age_seconds", "gauge",
                      "Since when the oldest queued run is there; 0: none is queued.",
                      age_ms > 0 ? (double)age_ms / 1000.0 : 0.0);
    metrics_write_one(out, "cutoutd_ready", "gauge",
                      "1 when the database accepts writes, as /readyz says.", health->is_ready);
}

static void write_training(FILE *out, const struct api_context *context) {
    struct progress running[MOST_RUNNING];
    char text[JSON_NUMBER_SIZE];
    struct progress_board *board = context->options.progress;
    size_t n = progress_board_all(board, running, MOST_RUNNING);
    metrics_write_head(out, "cutoutd_run_images_per_second", "gauge",
                       "Training images (all copies counted) a second of each running run.");
    for (size_t i = 0; i < n && i < MOST_RUNNING; i++) {
        (void)fprintf(out, "cutoutd_run_images_per_second{run=\"%" PRId64 "\"} %s\n",
                      running[i].run_id, number_format(running[i].images_per_second, text));
    }
    metrics_write_head(out, "cutoutd_epoch_duration_seconds", "histogram",
                       "Epochs that were completed since the start, with their validation.");
    metrics_write_histogram(out, "cutoutd_epoch_duration_seconds", "",
                            progress_board_epochs(board));
}

/* The next executor that has something to say of itself, from place *at on; NULL: none. */
static const char *next_condition(const struct api_context *context, size_t *at,
                                  struct executor_condition *ret_condition) {
    struct pool *pool = context->options.pool;
    size_t n = 0;
    const char *const *names = pool_executor_names(pool, &n);
    while (*at < n) {
        const char *name = names[(*at)++];
        const struct executor *executor = pool_executor(pool, name);
        if (executor->describe) {
            executor->describe(executor->user, ret_condition);
            return name;
        }
    }
    return NULL;
}

/* Of executors that place runs elsewhere. */
static void write_executors(FILE *out, const struct api_context *context) {
    struct executor_condition condition;
    const char *name = NULL;
    metrics_write_head(out, "cutoutd_executor_up", "gauge",
                       "1 while the executor starts runs; 0: what it relies on is not there.");
    for (size_t i = 0; (name = next_condition(context, &i, &condition));) {
        (void)fprintf(out, "cutoutd_executor_up{executor=\"%s\"} %d\n", name,
                      !condition.problem[0]);
    }
    metrics_write_head(out, "cutoutd_executor_jobs", "gauge", "Its jobs that wait and that run.");
    for (size_t i = 0; (name = next_condition(context, &i, &condition));) {
        (void)fprintf(out,
                      "cutoutd_executor_jobs{executor=\"%s\",state=\"pending\"} %d\n"
                      "cutoutd_executor_jobs{executor=\"%s\",state=\"running\"} %d\n",
                      name, condition.n_pending, name, condition.n_running);
    }
    metrics_write_head(out, "cutoutd_executor_excluded_nodes", "gauge",
                       "Nodes that get no runs for a while, because attempts died on them.");
    for (size_t i = 0; (name = next_condition(context, &i, &condition));) {
        (void)fprintf(out, "cutoutd_executor_excluded_nodes{executor=\"%s\"} %d\n", name,
                      condition.n_excluded);
    }
}

static void write_server(FILE *out, const struct api_context *context) {
    metrics_write_requests(out, context->metrics);
    if (context->connections) {
        metrics_write_one(out, "cutoutd_http_connections", "gauge", "Open connections.",
                          connections_count(context->connections));
    }
    if (context->streams) {
        metrics_write_one(out, "cutoutd_http_streams", "gauge", "Open event streams.",
                          stream_set_count(context->streams));
    }
}

static void write_storage(FILE *out, const struct api_context *context,
                          const struct state_dir_usage *usage) {
    metrics_write_head(out, "cutoutd_store_commit_duration_seconds", "histogram",
                       "Commits of the database; writers that come together share one.");
    metrics_write_histogram(out, "cutoutd_store_commit_duration_seconds", "",
                            store_commits(context->options.store));
    metrics_write_one(out, "cutoutd_database_bytes", "gauge", "Size of the database's file.",
                      (double)usage->database_bytes);
    metrics_write_one(out, "cutoutd_database_wal_bytes", "gauge", "Size of its write-ahead log.",
                      (double)usage->wal_bytes);
    metrics_write_one(out, "cutoutd_state_dir_free_bytes", "gauge",
                      "Free space of the disk with the state directory.",
                      (double)usage->free_bytes);
}

void route_metrics(struct api_context *context, const struct request *request,
                   struct reply *reply) {
    char *text = NULL;
    size_t n_bytes = 0;
    struct health_report health;
    FILE *out = text_stream_open(&text, &n_bytes);
    if (!out) {
        reply_text(reply, request, 200, CONTENT_METRICS, NULL);
        return;
    }
    health_read(context->options.health, &health);
    write_process(out, context);
    write_runs(out, context, &health);
    write_training(out, context);
    write_executors(out, context);
    write_server(out, context);
    write_storage(out, context, &health.disk);
    reply_text(reply, request, 200, CONTENT_METRICS, text_stream_close(out, &text));
}
