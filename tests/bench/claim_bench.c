/* claim_bench DATABASE N: claims N runs of a full queue, one after the other, and prints how long
 * each took, commit included; each owner may have one running. No daemon may have the database
 * open. For tests/bench/queue_latency. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/decimal.h"
#include "daemon/store/change/run_change.h"

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *seconds, int n) {
    qsort(seconds, (size_t)n, sizeof(*seconds), by_size);
    (void)printf("  %-20s p50 %6.2f  p99 %6.2f ms\n", what, 1000 * seconds[n / 2],
                 1000 * seconds[n * 99 / 100]);
}

static enum status claim(struct store *store, int max_running, int64_t *ret_id,
                         struct error *error) {
    const struct run_claim wanted = {
        .executors = ",local,", .datasets = ",", .max_running = max_running};
    struct run_row row = {0};
    enum status status = run_table_claim(store, &wanted, clock_unix_ms(&clock_system), &row, error);
    *ret_id = row.id;
    run_row_clear(&row);
    return status;
}

static enum status give_back(struct store *store, int64_t id, struct error *error) {
    const struct run_move move = {.id = id,
                                  .from = RUN_RUNNING,
                                  .to = RUN_QUEUED,
                                  .reason = "",
                                  .now_ms = clock_unix_ms(&clock_system)};
    return run_table_move(store, &move, error);
}

static enum status measure(struct store *store, int n, double *claims, struct error *error) {
    int64_t *ids = calloc((size_t)n, sizeof(*ids));
    enum status status = ids ? STATUS_OK : STATUS_NO_MEMORY;
    for (int i = 0; i < n && status == STATUS_OK; i++) {
        double begin_s = clock_monotonic_s(&clock_system);
        status = claim(store, 1, &ids[i], error);
        claims[i] = clock_monotonic_s(&clock_system) - begin_s;
    }
    for (int i = 0; i < n && status == STATUS_OK; i++) {
        status = give_back(store, ids[i], error);
    }
    free(ids);
    return status;
}

int main(int argc, char **argv) {
    struct store *store = NULL;
    struct error error = {.message = ""};
    int n = 0;
    if (argc != 3 || !text_to_int(argv[2], 1, 100000, &n)) {
        (void)fprintf(stderr, "claim_bench DATABASE N\n");
        return 2;
    }
    double *claims = calloc((size_t)n, sizeof(*claims));
    enum status status = claims ? store_open(argv[1], &store, &error) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = measure(store, n, claims, &error);
    }
    if (status == STATUS_OK) {
        print("claim and commit", claims, n);
    } else {
        (void)fprintf(stderr, "%s\n", error.message);
    }
    store_close(store);
    free(claims);
    return status != STATUS_OK;
}
