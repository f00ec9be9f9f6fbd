/* The optimizers against their formulas, written out once more in double for a single weight. */
#include "tests/core/network_fixture.h"

#include <math.h>

#include "core/train/optimizer.h"

enum { STEPS = 10 };

struct expected {
    double w, m, v;
};

static void adam(struct expected *e, double g, int t, double lr) {
    e->m = 0.9 * e->m + 0.1 * g;
    e->v = 0.999 * e->v + 0.001 * g * g;
    e->w -= lr * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t)) * e->m / (sqrt(e->v) + 1e-7);
}

static void rmsprop(struct expected *e, double g, int t, double lr) {
    (void)t;
    e->v = 0.9 * e->v + 0.1 * g * g;
    e->w -= lr * g / (sqrt(e->v) + 1e-7);
}

static void sgd(struct expected *e, double g, int t, double lr) {
    (void)t;
    e->v = 0.9 * e->v + g;
    e->w -= lr * e->v;
}

static void nesterov(struct expected *e, double g, int t, double lr) {
    (void)t;
    e->v = 0.9 * e->v + g;
    e->w -= lr * (g + 0.9 * e->v);
}

typedef void rule(struct expected *e, double g, int t, double lr);

static void check_rule(const struct run_config *config, rule *step) {
    static struct resnet net;
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    struct team *team = NULL;
    struct optimizer *optimizer = NULL;
    assert_int_equal(team_create(&(struct team_options){.n_threads = 2}, &team, NULL), STATUS_OK);
    assert_int_equal(optimizer_create(config, &net, &optimizer, NULL), STATUS_OK);
    float *params = fixture_floats(net.n_params);
    float *gradient = fixture_floats(net.n_params);
    struct expected *expected = calloc(net.n_params, sizeof(*expected));
    assert_non_null(expected);
    for (size_t i = 0; i < net.n_params; i++) {
        params[i] = fixture_noise(3, i);
        expected[i].w = (double)params[i];
    }
    for (int t = 1; t <= STEPS; t++) {
        for (size_t i = 0; i < net.n_params; i++) {
            gradient[i] = fixture_noise((uint32_t)(10 + t), i);
        }
        (void)optimizer_step(optimizer, team, params, gradient, 1e-2);
        for (int k = 0; k < net.n_tensors; k++) {
            const struct tensor *tensor = &net.tensors[k];
            double l2 = tensor->kind == TENSOR_CONV_KERNEL ? config->l2 : 0.0;
            bool trains = !tensor->frozen && !tensor_is_moving(tensor);
            for (size_t i = tensor->offset; trains && i < tensor->offset + tensor->n; i++) {
                step(&expected[i], (double)gradient[i] + 2.0 * l2 * expected[i].w, t, 1e-2);
            }
        }
    }
    for (int k = 0; k < net.n_tensors; k++) {
        const struct tensor *tensor = &net.tensors[k];
        for (size_t i = tensor->offset; !tensor_is_moving(tensor) && i < tensor->offset + tensor->n;
             i++) {
            /* Ten steps of float arithmetic on numbers around 1. */
            if (fabs((double)params[i] - expected[i].w) > 5e-6) {
                fail_msg("%s[%zu]: %.9g, expected %.9g", tensor->name, i - tensor->offset,
                         (double)params[i], expected[i].w);
            }
        }
    }
    free(expected);
    free(gradient);
    free(params);
    optimizer_free(optimizer);
    team_free(team);
}

static struct run_config config_of(enum optimizer_kind kind) {
    return (struct run_config){.optimizer = kind, .momentum = 0.9, .l2 = 1e-2};
}

static void adam_follows_its_formula(void **state) {
    (void)state;
    const struct run_config config = config_of(OPTIMIZER_ADAM);
    check_rule(&config, adam);
}

static void rmsprop_follows_its_formula(void **state) {
    (void)state;
    const struct run_config config = config_of(OPTIMIZER_RMSPROP);
    check_rule(&config, rmsprop);
}

static void sgd_follows_its_formula(void **state) {
    (void)state;
    struct run_config config = config_of(OPTIMIZER_SGD);
    check_rule(&config, sgd);
    config.nesterov = true;
    check_rule(&config, nesterov);
}

/* One step of SGD without momentum: w' - w = -lr * g * min(1, c / (norm + 1e-6)). */
static void check_clipping(double bound, int threads, float *ret_params, size_t n_params) {
    static struct resnet net;
    struct team *team = NULL;
    struct optimizer *optimizer = NULL;
    const double lr = 0.5;
    const struct run_config config = {.optimizer = OPTIMIZER_SGD, .l2 = 1e-2, .grad_clip = bound};
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    assert_int_equal(net.n_params, n_params);
    assert_int_equal(team_create(&(struct team_options){.n_threads = threads}, &team, NULL),
                     STATUS_OK);
    assert_int_equal(optimizer_create(&config, &net, &optimizer, NULL), STATUS_OK);
    float *gradient = fixture_floats(net.n_params);
    double *g = calloc(net.n_params, sizeof(*g));
    assert_non_null(g);
    double squares = 0.0;
    for (size_t i = 0; i < net.n_params; i++) {
        ret_params[i] = fixture_noise(3, i);
        gradient[i] = fixture_noise(4, i);
    }
    for (int k = 0; k < net.n_tensors; k++) {
        const struct tensor *t = &net.tensors[k];
        double l2 = t->kind == TENSOR_CONV_KERNEL ? config.l2 : 0.0;
        bool trains = !t->frozen && !tensor_is_moving(t);
        for (size_t i = t->offset; trains && i < t->offset + t->n; i++) {
            g[i] = (double)gradient[i] + 2.0 * l2 * (double)ret_params[i];
            squares += g[i] * g[i];
        }
    }
    double factor = bound > 0 ? fmin(1.0, bound / (sqrt(squares) + 1e-6)) : 1.0;
    assert_true(bound == 0 || bound > 1000 || factor < 0.5); /* the test tests something */
    (void)optimizer_step(optimizer, team, ret_params, gradient, lr);
    for (size_t i = 0; i < net.n_params; i++) {
        double expected = (double)fixture_noise(3, i) - lr * factor * g[i];
        if (fabs((double)ret_params[i] - expected) > 5e-7) {
            fail_msg("[%zu]: %.9g, expected %.9g", i, (double)ret_params[i], expected);
        }
    }
    free(g);
    free(gradient);
    optimizer_free(optimizer);
    team_free(team);
}

static void clipping_bounds_the_norm_of_all_gradients_together(void **state) {
    (void)state;
    static struct resnet net;
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    float *one = fixture_floats(net.n_params);
    float *many = fixture_floats(net.n_params);
    static const double bounds[] = {0.25, 17.0, 1e6};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        check_clipping(bounds[i], 1, one, net.n_params);
        check_clipping(bounds[i], 3, many, net.n_params);
        assert_memory_equal(one, many, net.n_params * sizeof(float));
    }
    /* A bound that is not reached, and none: the same bits. */
    check_clipping(0, 2, many, net.n_params);
    assert_memory_equal(one, many, net.n_params * sizeof(float));
    free(one);
    free(many);
}

/* Equal numbers at other places of the vector, also in the rest that fills no register. */
static void a_rule_gives_the_same_bits_wherever_the_element_lies(void **state) {
    (void)state;
    enum { PERIOD = 13 };
    static struct resnet net;
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    for (int kind = OPTIMIZER_ADAM; kind <= OPTIMIZER_SGD; kind++) {
        const struct run_config config = {
            .optimizer = (enum optimizer_kind)kind, .momentum = 0.9, .nesterov = true};
        struct team *team = NULL;
        struct optimizer *optimizer = NULL;
        const struct team_options one = {.n_threads = 1};
        assert_int_equal(team_create(&one, &team, NULL), STATUS_OK);
        assert_int_equal(optimizer_create(&config, &net, &optimizer, NULL), STATUS_OK);
        float *params = fixture_floats(net.n_params);
        float *gradient = fixture_floats(net.n_params);
        for (size_t i = 0; i < net.n_params; i++) {
            params[i] = fixture_noise(3, i % PERIOD);
            gradient[i] = fixture_noise(4, i % PERIOD);
        }
        for (int t = 0; t < STEPS; t++) {
            (void)optimizer_step(optimizer, team, params, gradient, 1e-2);
        }
        const size_t first = net.tensors[0].offset / PERIOD * PERIOD;
        for (int k = 0; k < net.n_tensors; k++) {
            const struct tensor *tensor = &net.tensors[k];
            bool trains = !tensor->frozen && !tensor_is_moving(tensor);
            for (size_t i = tensor->offset; trains && i < tensor->offset + tensor->n; i++) {
                assert_memory_equal(&params[i], &params[first + i % PERIOD], sizeof(float));
            }
        }
        free(gradient);
        free(params);
        optimizer_free(optimizer);
        team_free(team);
    }
}

static void penalty_counts_the_conv_kernels(void **state) {
    (void)state;
    static struct resnet net;
    struct optimizer *optimizer = NULL;
    struct run_config config = config_of(OPTIMIZER_SGD);
    assert_int_equal(resnet_plan(8, &net, NULL), STATUS_OK);
    assert_int_equal(optimizer_create(&config, &net, &optimizer, NULL), STATUS_OK);
    float *params = fixture_floats(net.n_params);
    double expected = 0.0;
    for (int k = 0; k < net.n_tensors; k++) {
        const struct tensor *t = &net.tensors[k];
        for (size_t i = t->offset; !tensor_is_moving(t) && i < t->offset + t->n; i++) {
            params[i] = 0.5F;
            expected += t->kind == TENSOR_CONV_KERNEL ? 0.25 * config.l2 : 0.0;
        }
    }
    assert_true(fabs(optimizer_penalty(optimizer, params) / expected - 1.0) < 1e-12);
    optimizer_free(optimizer);
    config.l2_dense = true;
    assert_int_equal(optimizer_create(&config, &net, &optimizer, NULL), STATUS_OK);
    expected += 640 * 0.25 * config.l2;
    assert_true(fabs(optimizer_penalty(optimizer, params) / expected - 1.0) < 1e-12);
    optimizer_free(optimizer);
    free(params);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adam_follows_its_formula),
        cmocka_unit_test(rmsprop_follows_its_formula),
        cmocka_unit_test(sgd_follows_its_formula),
        cmocka_unit_test(clipping_bounds_the_norm_of_all_gradients_together),
        cmocka_unit_test(a_rule_gives_the_same_bits_wherever_the_element_lies),
        cmocka_unit_test(penalty_counts_the_conv_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
