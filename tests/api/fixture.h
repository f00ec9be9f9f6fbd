/* A real store, queue, notifier and progress board in a directory of their own, for tests of the
 * API's handlers. No worker: the tests play one through the store's functions. */
#ifndef CUTOUTD_TESTS_API_FIXTURE_H
#define CUTOUTD_TESTS_API_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/context.h"
#include "api/idempotency.h"
#include "api/router.h"
#include "core/kernels/kernels.h"
#include "daemon/queue/queue.h"
#include "daemon/store/change/run_progress.h"
#include "daemon/store/table/epoch_table.h"
#include "daemon/work/executor_local.h"
#include "daemon/work/health.h"
#include "daemon/work/notifier.h"

struct fixture {
    struct executor_local local;
    struct executor executor;
    char dir[64];
    struct config config;
    struct api_context context;
    double now_s; /* of the monotonic clock; the tests move it */
    struct clock clock;
};

static double fixture_monotonic_s(void *user) {
    return ((struct fixture *)user)->now_s;
}

static int64_t fixture_unix_ms(void *user) {
    (void)user;
    return 1772366400250; /* 2026-03-01T12:00:00.250Z */
}

static int fixture_open(void **state) {
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "/tmp/cutoutd-api-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture->now_s = 1000;
    fixture->clock = (struct clock){
        .user = fixture, .monotonic_s = fixture_monotonic_s, .unix_ms = fixture_unix_ms};
    fixture->config.workers = 1;
    fixture->config.threads_per_run = 1;
    fixture->config.memory_limit_bytes = (int64_t)4 << 30;
    fixture->config.shapes_train = 1000;
    fixture->config.shapes_test = 200;
    struct api_options *options = &fixture->context.options;
    struct error error = {.message = ""};
    char path[96];
    (void)snprintf(path, sizeof(path), "%s/test.db", fixture->dir);
    options->listen_address = "127.0.0.1";
    options->config = &fixture->config;
    options->clock = &fixture->clock;
    options->kernels = &kernels_ref;
    assert_int_equal(store_open(path, &options->store, &error), STATUS_OK);
    assert_int_equal(queue_create(options->store, &fixture->clock, &options->queue, &error),
                     STATUS_OK);
    assert_int_equal(notifier_create(&options->notifier, &error), STATUS_OK);
    store_observe(options->store, notifier_publish, options->notifier);
    assert_int_equal(progress_board_create(1, &options->progress, &error), STATUS_OK);
    assert_int_equal(dataset_registry_create(&fixture->config, &options->datasets, &error),
                     STATUS_OK);
    fixture->local =
        (struct executor_local){.kernels = options->kernels,
                                .clock = options->clock,
                                .datasets = options->datasets,
                                .n_threads = 1,
                                .memory_limit_bytes = fixture->config.memory_limit_bytes};
    fixture->executor = executor_local_make(&fixture->local);
    const struct pool_options pool = {.n_workers = 0,
                                      .store = options->store,
                                      .queue = options->queue,
                                      .notifier = options->notifier,
                                      .progress = options->progress,
                                      .executors = &fixture->executor,
                                      .n_executors = 1,
                                      .clock = options->clock,
                                      .state_dir = fixture->dir};
    assert_int_equal(pool_create(&pool, &options->pool, &error), STATUS_OK);
    assert_int_equal(keys_in_flight_create(&fixture->context.keys, &error), STATUS_OK);
    assert_int_equal(
        health_create(options->store, fixture->dir, options->clock, &options->health, &error),
        STATUS_OK);
    (void)snprintf(fixture->config.state_dir, sizeof(fixture->config.state_dir), "%s",
                   fixture->dir);
    (void)snprintf(fixture->context.url, sizeof(fixture->context.url), "http://127.0.0.1:1");
    *state = fixture;
    return 0;
}

static int fixture_close(void **state) {
    struct fixture *fixture = *state;
    struct api_options *options = &fixture->context.options;
    health_free(options->health);
    keys_in_flight_free(fixture->context.keys);
    pool_stop(options->pool);
    dataset_registry_free(options->datasets);
    progress_board_free(options->progress);
    queue_free(options->queue);
    store_close(options->store);
    notifier_free(options->notifier);
    char path[96];
    static const char *const files[] = {"test.db", "test.db-wal", "test.db-shm"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", fixture->dir, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(fixture->dir);
    free(fixture);
    return 0;
}

/* Asks the router. The caller clears the reply. */
static struct reply ask(struct fixture *fixture, const char *method, const char *target,
                        const char *body) {
    struct request request = {.body = body ? body : "", .n_body = body ? strlen(body) : 0};
    struct reply reply = {0};
    struct error error;
    (void)snprintf(request.method, sizeof(request.method), "%s", method);
    assert_int_equal(url_parse(target, &request.url, &error), STATUS_OK);
    router_dispatch(&fixture->context, &request, &reply);
    return reply;
}

/* Submits and returns the run's id. */
static inline int64_t submit(struct fixture *fixture, const char *body) {
    struct reply reply = ask(fixture, "POST", "/api/v1/runs", body);
    if (reply.http_status != 201) {
        print_error("%s\n", reply.body);
    }
    assert_int_equal(reply.http_status, 201);
    int64_t id = strtoll(reply.location + strlen("/api/v1/runs/"), NULL, 10);
    assert_true(id > 0);
    reply_clear(&reply);
    return id;
}

static inline void claim(struct fixture *fixture, int64_t id) {
    struct run_row row;
    struct error error;
    assert_int_equal(
        queue_claim(fixture->context.options.queue, &(struct run_claim){0}, &row, &error),
        STATUS_OK);
    assert_int_equal(row.id, id);
    run_row_clear(&row);
}

static inline void put_epoch_row(struct fixture *fixture, int64_t id, int epoch, double loss,
                                 int wrong) {
    struct error error;
    const struct epoch_row row = {.report.epoch = epoch,
                                  .report.train_loss = loss,
                                  .report.train_accuracy = 0.25,
                                  .report.val_loss = 1.5,
                                  .report.val_accuracy = (200 - wrong) / 200.0,
                                  .report.val_wrong = wrong,
                                  .report.val_total = 200,
                                  .report.lr = 0.001,
                                  .report.seconds = 2.5,
                                  .report.images_per_second = 800,
                                  .report.images = 2000,
                                  .report.steps = 10,
                                  .at_ms = 1772366400250 + epoch};
    assert_int_equal(epoch_table_put(fixture->context.options.store, id, &row, &error), STATUS_OK);
}

static inline void finish(struct fixture *fixture, int64_t id) {
    struct error error;
    assert_int_equal(queue_finish(fixture->context.options.queue, id, RUN_SUCCEEDED, "", &error),
                     STATUS_OK);
}

static inline void assert_contains(const char *text, const char *part) {
    if (!text || !strstr(text, part)) {
        print_error("\"%s\"\nis not in\n%s\n", part, text ? text : "(nothing)");
        fail();
    }
}

#endif
