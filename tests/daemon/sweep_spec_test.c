/* How a sweep becomes runs, and how its mistakes are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "daemon/spec/sweep_spec.h"
#include "tests/core/slow.h"

static const struct run_spec_context surroundings = {.default_dataset = "shapes"};
static struct field_errors errors;

static enum status parse(const char *json, struct sweep_spec *spec) {
    return sweep_spec_parse(json, strlen(json), &surroundings, spec, &errors);
}

/* Refused with exactly these pointers, in any order, given as "/a /b". */
static void assert_refused(const char *json, const char *pointers) {
    struct sweep_spec spec = {.n_fields = 0};
    enum status status = parse(json, &spec);
    int n = 0;
    for (const char *c = pointers; *c; c++) {
        n += *c == ' ' || c == pointers;
    }
    if (status != STATUS_INVALID || errors.n != n) {
        fail_msg("%s: %s with %d errors, first %s: %s", json, status_name(status), errors.n,
                 errors.items[0].pointer, errors.items[0].detail);
    }
    for (int i = 0; i < errors.n; i++) {
        char wanted[128];
        char all[512];
        (void)snprintf(wanted, sizeof(wanted), " %s ", errors.items[i].pointer);
        (void)snprintf(all, sizeof(all), " %s ", pointers);
        if (!strstr(all, wanted)) {
            fail_msg("%s: %s: %s", json, errors.items[i].pointer, errors.items[i].detail);
        }
    }
}

static void the_first_field_varies_slowest(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"name\":\"which\",\"base\":{\"depth\":8,\"priority\":3},"
                           "\"grid\":{\"m\":[4,2],\"seed\":[1,2,3]}}",
                           &spec),
                     STATUS_OK);
    assert_int_equal(spec.n_children, 6);
    static const int m[] = {4, 4, 4, 2, 2, 2};
    static const unsigned seed[] = {1, 2, 3, 1, 2, 3};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(spec.children[i].spec.config.m, m[i]);
        assert_true(spec.children[i].spec.config.seed == seed[i]);
        assert_int_equal(spec.children[i].spec.config.depth, 8);
        assert_int_equal(spec.children[i].spec.priority, 3);
    }
    assert_string_equal(spec.children[1].spec.name, "which m=4 seed=2");
    assert_string_equal(spec.spec_json, "{\"base\":{\"depth\":8,\"priority\":3},"
                                        "\"grid\":{\"m\":[4,2],\"seed\":[1,2,3]}}");
    assert_false(spec.hold);
    char fields[4][32];
    assert_int_equal(sweep_spec_grid_fields(spec.spec_json, fields, 4), 1);
    assert_string_equal(fields[0], "m");
    sweep_spec_clear(&spec);
}

static void runs_are_compared_by_what_is_in_their_config(void **state) {
    (void)state;
    char fields[4][32];
    assert_int_equal(
        sweep_spec_grid_fields(
            "{\"grid\":{\"priority\":[1,2],\"executor\":[\"local\"],\"lr\":[1]}}", fields, 4),
        1);
    assert_string_equal(fields[0], "lr");
}

static void settings_that_differ_in_the_last_bit_are_ranked_apart(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"grid\":{\"lr\":[0.3,0.30000000000000004],\"seed\":[1,2]},"
                           "\"halving\":{\"first_epochs\":1,\"rank_by\":[\"lr\"]}}",
                           &spec),
                     STATUS_OK);
    assert_string_equal(spec.children[0].setting, "lr=0.3");
    assert_string_equal(spec.children[2].setting, "lr=0.30000000000000004");
    sweep_spec_clear(&spec);
}

static void the_grid_overrides_the_base(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"hold\":true,\"base\":{\"m\":7,\"preset\":\"paper\"},"
                           "\"grid\":{\"m\":[2],\"copies\":[\"aliased\"]}}",
                           &spec),
                     STATUS_OK);
    assert_int_equal(spec.n_children, 1);
    assert_int_equal(spec.children[0].spec.config.m, 2);
    assert_string_equal(spec.children[0].spec.config.preset, "paper");
    assert_string_equal(spec.children[0].spec.name, "m=2 copies=aliased");
    assert_true(spec.hold);
    sweep_spec_clear(&spec);
}

static void presets_can_be_compared(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"grid\":{\"preset\":[\"paper\",\"notebook-q3\"]}}", &spec),
                     STATUS_OK);
    assert_int_equal(spec.children[0].spec.config.cutout_size, 16);
    assert_int_equal(spec.children[1].spec.config.cutout_size, 12);
    sweep_spec_clear(&spec);
}

static void every_mistake_is_named_once_with_its_place(void **state) {
    (void)state;
    assert_refused("{\"base\":{\"depth\":9,\"epoch\":1},\"grid\":{\"m\":[2,0,4],\"seed\":[1,-1]}}",
                   "/base/depth /base/epoch /grid/m/1 /grid/seed/1");
    assert_refused("{\"base\":{\"labels\":{\"a!\":\"c\"}},\"grid\":{\"m\":[2,4]}}",
                   "/base/labels/a!");
    assert_refused("{\"grid\":{\"m\":[2]},\"m\":3,\"nmae\":\"x\"}", "/m /nmae");
    assert_refused("{\"name\":7,\"hold\":1,\"base\":[],\"grid\":{\"m\":2}}",
                   "/name /hold /base /grid/m");
    assert_refused("{\"base\":{\"depth\":9,\"m\":0},\"grid\":{\"m\":[2,-1],\"nmae\":[1]}}",
                   "/base/depth /grid/m/1 /grid/nmae");
    assert_refused("{\"grid\":{\"m\":[2,0,2],\"seed\":[-1]}}", "/grid/m/1 /grid/m/2 /grid/seed/0");
    assert_refused("{\"base\":{}}", "/grid");
    assert_refused("{\"grid\":{\"m\":[]}}", "/grid/m");
    assert_refused("{\"grid\":{\"mm\":[1]}}", "/grid/mm");
    assert_refused("{\"grid\":{\"m\":[1,2,1.0]}}", "/grid/m/2");
    assert_refused("{\"base\":{\"name\":\"x\"},\"grid\":{\"m\":[1]}}", "/base/name");
    assert_refused("{\"grid\":{\"labels\":[{}]}}", "/grid/labels");
}

static void what_is_wrong_with_the_shape_is_not_looked_into(void **state) {
    (void)state;
    assert_refused("{\"grid\":[[1]]}", "/grid");
    assert_refused("{\"grid\":[{\"m\":[1]}],\"base\":[[1],{\"m\":0}]}", "/grid /base");
    assert_refused("{\"grid\":7,\"base\":{\"m\":0}}", "/grid /base/m");
    assert_refused("{\"grid\":{\"m\":{\"a\":[1]}},\"base\":null}", "/base /grid/m");
    assert_refused("{\"grid\":{\"m\":[[1],{\"m\":1},null]}}", "/grid/m/0 /grid/m/1 /grid/m/2");
    char json[1024] = "{\"grid\":{";
    for (int i = 0; i <= SWEEP_MAX_FIELDS; i++) {
        size_t used = strlen(json);
        (void)snprintf(json + used, sizeof(json) - used, "%s\"f%d\":[1]", i ? "," : "", i);
    }
    strcat(json, "}}");
    assert_refused(json, "/grid");
}

static void a_sweep_may_be_one_run(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"name\":\"one\",\"base\":{\"m\":3},\"grid\":{}}", &spec), STATUS_OK);
    assert_int_equal(spec.n_children, 1);
    assert_int_equal(spec.children[0].spec.config.m, 3);
    assert_string_equal(spec.children[0].spec.name, "one");
    sweep_spec_clear(&spec);
}

static void the_base_is_checked_without_what_the_grid_overrides(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("{\"base\":{\"batch_size\":0,\"train_images\":16},"
                           "\"grid\":{\"batch_size\":[8,16]}}",
                           &spec),
                     STATUS_OK);
    sweep_spec_clear(&spec);
    assert_refused("{\"base\":{\"train_images\":16},\"grid\":{\"batch_size\":[8,32]}}",
                   "/base/train_images");
}

/* CPU seconds of this process. */
static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

/* 17 KB that once took a second or more each: deep values that differ in the last place only, many
 * of them, and a base with a heap of labels. The bound is fifty times what they take. */
static void bodies_that_were_slow_are_answered_at_once(void **state) {
    (void)state;
    enum { SIZE = 70000 };
    char *json = malloc(SIZE);
    assert_non_null(json);
    struct sweep_spec spec = {.n_fields = 0};
    size_t n = (size_t)snprintf(json, SIZE, "{\"grid\":{\"m\":[");
    for (int i = 0; n < 17000; i++) {
        n += (size_t)snprintf(json + n, SIZE - n, "%s{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":%d}}}}}",
                              i ? "," : "", i);
    }
    (void)snprintf(json + n, SIZE - n, "]}}");
    double before = cpu_seconds();
    assert_int_equal(parse(json, &spec), STATUS_INVALID);
    n = (size_t)snprintf(json, SIZE, "{\"base\":{\"labels\":[1");
    for (int i = 0; i < 12000; i++) {
        n += (size_t)snprintf(json + n, SIZE - n, ",1");
    }
    n += (size_t)snprintf(json + n, SIZE - n, "]},\"grid\":{\"seed\":[0");
    for (int i = 1; i < 999; i++) {
        n += (size_t)snprintf(json + n, SIZE - n, ",%d", i);
    }
    (void)snprintf(json + n, SIZE - n, "]}}");
    assert_int_equal(parse(json, &spec), STATUS_INVALID);
    assert_string_equal(errors.items[0].pointer, "/base/labels");
    n = (size_t)snprintf(json, SIZE, "{\"grid\":{\"lr_schedule\":[");
    for (int i = 0; n < 60000; i++) {
        n += (size_t)snprintf(json + n, SIZE - n,
                              "%s[{\"epoch\":1,\"lr\":1},{\"epoch\":%d,\"lr\":1}]", i ? "," : "",
                              i + 2);
    }
    (void)snprintf(json + n, SIZE - n, "]}}");
    assert_int_equal(parse(json, &spec), STATUS_INVALID);
    assert_string_equal(errors.items[0].pointer, "/grid");
    assert_true(cpu_seconds() - before < (SLOW_BUILD ? 10.0 : 1.0));
    memset(json, '[', 30000);
    json[30000] = '\0';
    assert_int_equal(parse(json, &spec), STATUS_MALFORMED);
    free(json);
}

static void a_bad_combination_is_named(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    enum status status = parse("{\"base\":{\"lr_schedule\":[{\"epoch\":0,\"lr\":0.1}]},"
                               "\"grid\":{\"lr\":[0.1,0.2]}}",
                               &spec);
    assert_int_equal(status, STATUS_INVALID);
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.items[0].pointer, "/grid/lr/1");
}

static void no_more_than_a_thousand_runs(void **state) {
    (void)state;
    char json[16384];
    size_t used = (size_t)snprintf(json, sizeof(json), "{\"grid\":{\"m\":[1,2],\"seed\":[");
    for (int i = 0; i < 500; i++) {
        used += (size_t)snprintf(json + used, sizeof(json) - used, "%s%d", i ? "," : "", i);
    }
    (void)snprintf(json + used, sizeof(json) - used, "]}}");
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse(json, &spec), STATUS_OK);
    assert_int_equal(spec.n_children, 1000);
    sweep_spec_clear(&spec);
    (void)snprintf(json + used, sizeof(json) - used, ",500]}}");
    assert_refused(json, "/grid");
    assert_non_null(strstr(errors.items[0].detail, "1002"));
}

static void long_names_are_cut_at_whole_characters(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    char json[512] = "{\"name\":\"";
    for (int i = 0; i < 50; i++) {
        (void)strcat(json, "\xc3\xa9");
    }
    (void)strcat(json, "\",\"grid\":{\"dataset\":"
                       "[\"x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3"
                       "\xa9\xc3\xa9\"]}}");
    assert_int_equal(parse(json, &spec), STATUS_OK);
    size_t n = strlen(spec.children[0].spec.name);
    assert_true(n == 126 || n == 127);
    assert_int_equal((unsigned char)spec.children[0].spec.name[n - 1], 0xa9);
    sweep_spec_clear(&spec);
}

/* Schedules that differ in their last rate alone, behind what is shown of a setting. */
static void long_settings_of_a_halving_that_differ_stay_different(void **state) {
    (void)state;
    static const char *const last_rates[] = {"1e-5", "2e-5"};
    char json[2048];
    int n = snprintf(json, sizeof(json),
                     "{\"base\":{\"epochs\":20},\"halving\":{\"first_epochs\":1,\"rank_by\":"
                     "[\"lr_schedule\"]},\"grid\":{\"m\":[1,2],\"lr_schedule\":[");
    for (int i = 0; i < 2; i++) {
        n += snprintf(json + n, sizeof(json) - (size_t)n, "%s[", i > 0 ? "," : "");
        for (int epoch = 1; epoch < 8; epoch++) {
            n += snprintf(json + n, sizeof(json) - (size_t)n, "{\"epoch\":%d,\"lr\":1e-4},", epoch);
        }
        n +=
            snprintf(json + n, sizeof(json) - (size_t)n, "{\"epoch\":9,\"lr\":%s}]", last_rates[i]);
    }
    (void)snprintf(json + n, sizeof(json) - (size_t)n, "]}}");
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse(json, &spec), STATUS_OK);
    assert_int_equal(spec.n_children, 4);
    for (size_t i = 0; i < 4; i++) {
        const char *setting = spec.children[i].setting;
        assert_int_equal(strncmp(setting, "lr_schedule=[{'epoch':1,'lr':0.0001},", 37), 0);
        for (size_t j = 0; j < 4; j++) {
            assert_int_equal(strcmp(setting, spec.children[j].setting) == 0, i % 2 == j % 2);
        }
    }
    sweep_spec_clear(&spec);
}

static void what_is_no_object_is_malformed(void **state) {
    (void)state;
    struct sweep_spec spec = {.n_fields = 0};
    assert_int_equal(parse("[]", &spec), STATUS_MALFORMED);
    assert_int_equal(parse("{\"grid\":", &spec), STATUS_MALFORMED);
    assert_int_equal(parse("{\"grid\":{\"m\":[1],\"m\":[2]}}", &spec), STATUS_MALFORMED);
    assert_int_equal(errors.n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_field_varies_slowest),
        cmocka_unit_test(runs_are_compared_by_what_is_in_their_config),
        cmocka_unit_test(settings_that_differ_in_the_last_bit_are_ranked_apart),
        cmocka_unit_test(the_grid_overrides_the_base),
        cmocka_unit_test(presets_can_be_compared),
        cmocka_unit_test(every_mistake_is_named_once_with_its_place),
        cmocka_unit_test(what_is_wrong_with_the_shape_is_not_looked_into),
        cmocka_unit_test(a_sweep_may_be_one_run),
        cmocka_unit_test(the_base_is_checked_without_what_the_grid_overrides),
        cmocka_unit_test(bodies_that_were_slow_are_answered_at_once),
        cmocka_unit_test(a_bad_combination_is_named),
        cmocka_unit_test(no_more_than_a_thousand_runs),
        cmocka_unit_test(long_names_are_cut_at_whole_characters),
        cmocka_unit_test(long_settings_of_a_halving_that_differ_stay_different),
        cmocka_unit_test(what_is_no_object_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
