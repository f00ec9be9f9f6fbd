/* Memory is planned once: a training step allocates nothing, and the estimate that users see before
 * they submit a run is what the run takes.
 *
 * The allocator's functions are replaced by ones that count; a sanitizer replaces them itself, so
 * both tests are skipped there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/train/trainer.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

static atomic_bool counting;
static atomic_long n_allocations;

static void count_allocation(void) {
    if (atomic_load(&counting)) {
        atomic_fetch_add(&n_allocations, 1);
    }
}

/* glibc's own, under the names it exports for this purpose. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

void *malloc(size_t n) {
    count_allocation();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size) {
    count_allocation();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n) {
    count_allocation();
    return __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n) {
    count_allocation();
    return __libc_memalign(alignment, n);
}

enum { WARM_UP_STEPS = 3, STEPS = 8 };

struct watch {
    int steps;
    int stop_after;
};

static bool enough(void *user) {
    const struct watch *w = user;
    return w->steps >= w->stop_after;
}

static enum status count_step(void *user, const struct step_report *report, struct error *error) {
    (void)report;
    (void)error;
    struct watch *w = user;
    w->steps++;
    atomic_store(&counting, w->steps >= WARM_UP_STEPS && w->steps < w->stop_after);
    return STATUS_OK;
}

static struct run_config config_of(int depth, int batch_size, int m) {
    struct run_config c = run_preset_find("notebook-q2")->config;
    (void)snprintf(c.dataset, sizeof(c.dataset), "shapes");
    c.depth = depth;
    c.batch_size = batch_size;
    c.m = m;
    c.cutout_size = 12;
    c.drop_last = true;
    return c;
}

static void run_steps(const struct run_config *config, const struct dataset *dataset,
                      const struct kernels *kernels, int steps) {
    struct watch watch = {.stop_after = steps};
    const struct trainer_options options = {
        .config = config,
        .dataset = dataset,
        .kernels = kernels,
        .clock = &clock_system,
        .n_threads = 2,
    };
    const struct trainer_callbacks callbacks = {
        .user = &watch, .on_step = count_step, .should_stop = enough};
    struct trainer_result result;
    assert_int_equal(trainer_run(&options, &callbacks, &result, NULL), STATUS_STOPPED);
}

static void a_step_allocates_nothing(void **state) {
    (void)state;
    struct dataset *dataset = NULL;
    const struct run_config config = config_of(8, 16, 2);
    assert_int_equal(dataset_make_shapes(16 * STEPS, 10, 1, &dataset, NULL), STATUS_OK);
    for (const struct kernels *const *k = kernels_available(); *k; k++) {
        atomic_store(&n_allocations, 0);
        run_steps(&config, dataset, *k, STEPS);
        atomic_store(&counting, false);
        if (atomic_load(&n_allocations) != 0) {
            fail_msg("%s: %ld allocations in %d steps", (*k)->name, atomic_load(&n_allocations),
                     STEPS - WARM_UP_STEPS);
        }
    }
    dataset_free(dataset);
}

static int64_t peak_rss_bytes(void) {
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    return (int64_t)usage.ru_maxrss * 1024;
}

/* In a process of its own, whose peak is not that of another test. */
static void the_estimate_is_the_peak(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct dataset *dataset = NULL;
        const struct kernels *kernels = NULL;
        const struct run_config config = config_of(44, 64, 2);
        if (kernels_select(NULL, &kernels, NULL) != STATUS_OK ||
            dataset_make_shapes(128, 10, 1, &dataset, NULL) != STATUS_OK) {
            _exit(2);
        }
        int64_t before = peak_rss_bytes();
        run_steps(&config, dataset, kernels, 2);
        double measured = (double)(peak_rss_bytes() - before);
        double estimate = (double)trainer_memory_bytes(&config, 10, kernels, 2);
        (void)fprintf(stderr, "estimate %.1f MB, measured %.1f MB\n", estimate * 1e-6,
                      measured * 1e-6);
        _exit(measured > 0.95 * estimate && measured < 1.05 * estimate ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#else

static void a_step_allocates_nothing(void **state) {
    (void)state;
    skip();
}

static void the_estimate_is_the_peak(void **state) {
    (void)state;
    skip();
}

#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_allocates_nothing),
        cmocka_unit_test(the_estimate_is_the_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
