/* Counting durations. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/histogram.h"

static const struct histogram_bounds bounds = {3, {0.1, 1.0, 10.0}};

static void each_value_lands_at_or_below_its_bound(void **state) {
    (void)state;
    static struct histogram histogram;
    struct histogram_reading reading;
    histogram_init(&histogram, &bounds);
    static const double values[] = {0.05, 0.1, 0.5, 1.0, 2.0, 100.0, -1.0, (double)NAN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        histogram_add(&histogram, values[i]);
    }
    histogram_read(&histogram, &reading);
    assert_int_equal(reading.n_up_to[0], 4); /* with those that count as 0 */
    assert_int_equal(reading.n_up_to[1], 6);
    assert_int_equal(reading.n_up_to[2], 7);
    assert_int_equal(reading.n, 8);
    assert_true(fabs(reading.sum_s - 103.65) < 1e-6);
    histogram_add(&histogram, (double)INFINITY);
    histogram_read(&histogram, &reading);
    assert_int_equal(reading.n, 9);
    assert_true(reading.sum_s > 9e8 && reading.sum_s < 1.1e9);
}

enum { N_THREADS = 4, N_EACH = 10000 };

static void *add_many(void *histogram) {
    for (int i = 0; i < N_EACH; i++) {
        histogram_add(histogram, 0.5);
    }
    return NULL;
}

static void no_thread_loses_a_count(void **state) {
    (void)state;
    static struct histogram histogram;
    struct histogram_reading reading;
    pthread_t threads[N_THREADS];
    histogram_init(&histogram, &bounds);
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, &histogram), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    histogram_read(&histogram, &reading);
    assert_int_equal(reading.n, N_THREADS * N_EACH);
    assert_int_equal(reading.n_up_to[0], 0);
    assert_true(fabs(reading.sum_s - N_THREADS * N_EACH * 0.5) < 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_lands_at_or_below_its_bound),
        cmocka_unit_test(no_thread_loses_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
