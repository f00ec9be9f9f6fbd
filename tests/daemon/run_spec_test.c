/* A run's JSON form: presets, overlays, every kind of mistake, and the way back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/cleanup.h"
#include "daemon/spec/config_diff.h"
#include "daemon/spec/field_errors.h"
#include "daemon/spec/json_write.h"
#include "daemon/spec/run_spec.h"
#include "daemon/spec/run_spec_json.h"

static const char *const dataset_names[] = {"cifar10", "shapes"};
static const struct run_spec_context context = {
    .dataset_names = dataset_names, .n_dataset_names = 2, .default_dataset = "shapes"};

static struct run_spec parse_good(const char *json) {
    struct run_spec spec;
    struct field_errors errors;
    enum status status = run_spec_parse(json, strlen(json), &context, &spec, &errors);
    if (status != STATUS_OK) {
        print_error("%s\n -> %s %s\n", json, errors.items[0].pointer, errors.items[0].detail);
    }
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(errors.n, 0);
    return spec;
}

static struct field_errors parse_bad(const char *json, enum status expected) {
    struct run_spec spec;
    struct field_errors errors;
    enum status status = run_spec_parse(json, strlen(json), &context, &spec, &errors);
    if (status != expected) {
        print_error("%s\n -> %s\n", json, status_name(status));
    }
    assert_int_equal(status, expected);
    assert_true(errors.n > 0);
    return errors;
}

/* The one error of `json` is at `pointer`, and its sentence contains `words`. */
static void assert_one_error(const char *json, const char *pointer, const char *words) {
    struct field_errors errors = parse_bad(json, STATUS_INVALID);
    assert_int_equal(errors.n, 1);
    assert_string_equal(errors.items[0].pointer, pointer);
    if (!strstr(errors.items[0].detail, words)) {
        print_error("\"%s\" is not in: %s\n", words, errors.items[0].detail);
        fail();
    }
}

static void empty_object_is_the_default_preset(void **state) {
    (void)state;
    struct run_spec spec = parse_good(" {} \n");
    const struct run_preset *preset = run_preset_find("notebook-q3");
    assert_string_equal(spec.config.preset, "notebook-q3");
    assert_string_equal(spec.config.dataset, "shapes");
    assert_int_equal(spec.config.cutout_size, 12);
    assert_int_equal(spec.config.optimizer, OPTIMIZER_RMSPROP);
    assert_int_equal(spec.config.n_lr_steps, preset->config.n_lr_steps);
    assert_int_equal(spec.priority, 0);
    assert_int_equal(spec.n_labels, 0);
    assert_string_equal(spec.name, "");
}

static void given_fields_lie_over_the_preset_whatever_the_order(void **state) {
    (void)state;
    struct run_spec spec =
        parse_good("{\"m\":8,\"flip\":false,\"shift\":0.25,\"preset\":\"paper\","
                   "\"dataset\":\"cifar10\",\"name\":\"first \\u00e9\","
                   "\"priority\":-3,\"labels\":{\"team\":\"vision\",\"x\":\"\"}}");
    assert_string_equal(spec.config.preset, "paper");
    assert_int_equal(spec.config.m, 8);
    assert_int_equal(spec.config.optimizer, OPTIMIZER_SGD);
    assert_false(spec.config.flip);
    assert_true(spec.config.shift == 0.25);
    assert_string_equal(spec.config.dataset, "cifar10");
    assert_string_equal(spec.name, "first \xc3\xa9");
    assert_int_equal(spec.priority, -3);
    assert_int_equal(spec.n_labels, 2);
    assert_string_equal(spec.labels[0].key, "team");
    assert_string_equal(spec.labels[0].value, "vision");
}

static void lr_alone_scales_the_schedule(void **state) {
    (void)state;
    struct run_spec spec = parse_good("{\"lr\":0.01}");
    assert_true(spec.config.lr == 0.01);
    assert_int_equal(spec.config.n_lr_steps, 1);
    assert_int_equal(spec.config.lr_steps[0].epoch, 80);
    assert_true(spec.config.lr_steps[0].lr == 0.001);
    spec = parse_good("{\"lr\":0.01,\"lr_schedule\":[{\"epoch\":5,\"lr\":0.25}]}");
    assert_true(spec.config.lr == 0.01);
    assert_true(spec.config.lr_steps[0].lr == 0.25);
    spec = parse_good("{\"lr\":0.01,\"lr_schedule\":\"cosine\"}");
    assert_int_equal(spec.config.lr_schedule, LR_SCHEDULE_COSINE);
    assert_int_equal(spec.config.n_lr_steps, 0);
    spec = parse_good("{\"lr_schedule\":\"constant\"}");
    assert_int_equal(spec.config.lr_schedule, LR_SCHEDULE_STEPS);
    assert_int_equal(spec.config.n_lr_steps, 0);
}

static void step_at_epoch_zero_is_the_lr(void **state) {
    (void)state;
    struct run_spec spec =
        parse_good("{\"lr_schedule\":[{\"epoch\":0,\"lr\":0.5},{\"epoch\":9,\"lr\":0.25}]}");
    assert_true(spec.config.lr == 0.5);
    assert_int_equal(spec.config.n_lr_steps, 1);
    assert_int_equal(spec.config.lr_steps[0].epoch, 9);
    assert_one_error("{\"lr\":0.1,\"lr_schedule\":[{\"epoch\":0,\"lr\":0.5}]}", "/lr", "epoch 0");
}

static void all_errors_come_at_once(void **state) {
    (void)state;
    struct field_errors errors =
        parse_bad("{\"m\":0,\"cutout_size\":\"12\",\"epochs\":2.5,\"cutuot_size\":3,"
                  "\"preset\":\"notebook-3\",\"flip\":1,\"labels\":{\"a b\":\"x\",\"k\":5}}",
                  STATUS_INVALID);
    const char *const pointers[] = {"/preset",      "/m",    "/cutout_size", "/epochs",
                                    "/cutuot_size", "/flip", "/labels/a b",  "/labels/k"};
    assert_int_equal(errors.n, 8);
    for (int i = 0; i < errors.n; i++) {
        assert_string_equal(errors.items[i].pointer, pointers[i]);
    }
    assert_non_null(strstr(errors.items[0].detail, "Did you mean notebook-q3?"));
    assert_non_null(strstr(errors.items[1].detail, "between 1 and 1024, not 0"));
    assert_non_null(strstr(errors.items[2].detail, "not the string \"12\""));
    assert_non_null(strstr(errors.items[3].detail, "whole number between 1 and 100000, not 2.5"));
    assert_non_null(strstr(errors.items[4].detail, "Did you mean \"cutout_size\"?"));
}

static void every_field_says_what_it_may_be(void **state) {
    (void)state;
    assert_one_error("{\"depth\":42}", "/depth", "the nearest are 38 and 44");
    assert_one_error("{\"depth\":116}", "/depth", "between 8 and 110");
    assert_one_error("{\"depth\":\"44\"}", "/depth", "not the string");
    assert_one_error("{\"depth\":44.5}", "/depth", "44 and 50");
    assert_one_error("{\"lr\":0}", "/lr", "between 1e-12 and 100, not 0");
    assert_one_error("{\"lr\":1e999}", "/lr", "too large");
    assert_one_error("{\"momentum\":1}", "/momentum", "between 0 and 0.9999, not 1");
    assert_one_error("{\"seed\":-1}", "/seed", "not -1");
    assert_one_error("{\"seed\":9007199254740992}", "/seed", "9007199254740991");
    assert_one_error("{\"optimizer\":\"adamw\"}", "/optimizer", "Did you mean adam?");
    assert_one_error("{\"optimizer\":null}", "/optimizer", "not null");
    assert_one_error("{\"copies\":\"alias\"}", "/copies", "independent, aliased");
    assert_one_error("{\"dataset\":\"mnist\"}", "/dataset", "cifar10, shapes");
    assert_one_error("{\"lr_schedule\":\"linear\"}", "/lr_schedule", "constant");
    assert_one_error("{\"lr_schedule\":[{\"epoch\":5}]}", "/lr_schedule", "look like");
    assert_one_error("{\"lr_schedule\":[{\"epoch\":5,\"lr\":1},{\"epoch\":5,\"lr\":2}]}",
                     "/lr_schedule", "5 follows 5");
    assert_one_error("{\"name\":\"a\\nb\"}", "/name", "control");
    assert_one_error("{\"name\":7}", "/name", "string");
    assert_one_error("{\"labels\":[]}", "/labels", "object");
    assert_one_error("{\"learning\":1}", "/learning", "presets shows all");
    assert_one_error("{\"batch\":1}", "/batch", "\"batch_size\"");
    assert_one_error("{\"a/b~c\":1}", "/a~1b~0c", "There is no field");
    assert_one_error("{\"train_images\":16}", "/train_images", "batch of 64");
}

static void what_is_not_a_json_object_is_malformed(void **state) {
    (void)state;
    static const char *const documents[] = {
        "",
        "{",
        "[]",
        "3",
        "{\"m\":8,}",
        "{\"m\":08}",
        "{\"m\":+8}",
        "{\"m\":8.}",
        "{\"m\":NaN}",
        "{'m':8}",
        "{\"m\":8} {}",
        "{\"m\":8,\"m\":9}",
        "{\"labels\":{\"a\":\"1\",\"a\":\"2\"}}",
        "{\"m\":8,\"\\u006d\":9}",
        "{\"name\":\"\\u0000\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\xff\"}",
        "{\"name\":\"a\tb\"}",
        "{\"name\":\"\xc0\x80\"}",
        "{\"x\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct field_errors errors = parse_bad(documents[i], STATUS_MALFORMED);
        assert_int_equal(errors.n, 1);
        assert_string_equal(errors.items[0].pointer, "");
    }
    struct field_errors errors = parse_bad("{\n  \"m\": 08}", STATUS_MALFORMED);
    assert_non_null(strstr(errors.items[0].detail, "line 2, column 9"));
}

static void errors_beyond_the_limit_are_dropped(void **state) {
    (void)state;
    char json[2048] = "{";
    for (int i = 0; i < 60; i++) {
        char member[32];
        (void)snprintf(member, sizeof(member), "%s\"unknown%d\":1", i ? "," : "", i);
        strcat(json, member);
    }
    strcat(json, "}");
    struct field_errors errors = parse_bad(json, STATUS_INVALID);
    assert_int_equal(errors.n, RUN_SPEC_MAX_ERRORS);
}

static void long_names_are_cut_at_whole_characters(void **state) {
    (void)state;
    char json[1024] = "{\"";
    for (int i = 0; i < 200; i++) {
        strcat(json, "\xe2\x82\xac");
    }
    strcat(json, "\":1}");
    struct field_errors errors = parse_bad(json, STATUS_INVALID);
    assert_int_equal((strlen(errors.items[0].pointer) - 1) % 3, 0);
    struct json_writer writer = {0};
    json_write_string(&writer, NULL, errors.items[0].detail);
    CLEANUP(free_pointer) char *text = json_write_take(&writer);
    assert_non_null(text);
}

static void limits_of_new_runs_are_tighter_than_of_stored_ones(void **state) {
    (void)state;
    struct run_spec spec;
    struct error error;
    assert_one_error("{\"cutout_size\":33}", "/cutout_size", "between 0 and 32, not 33");
    assert_one_error("{\"m\":1024,\"cutout_squares\":5}", "/cutout_squares",
                     "at most 4096, not 5120");
    spec = parse_good("{\"m\":1024,\"cutout_squares\":4,\"cutout_size\":32}");
    spec = parse_good("{\"m\":1024,\"cutout_squares\":1024,\"cutout_size\":0}");
    const char *stored =
        "{\"preset\":\"paper\",\"m\":1024,\"cutout_squares\":1024,\"cutout_size\":64}";
    assert_int_equal(run_spec_read_stored(stored, &spec, &error), STATUS_OK);
    assert_int_equal(spec.config.cutout_size, 64);
    assert_int_equal(spec.config.m * spec.config.cutout_squares, 1024 * 1024);
}

static void a_stored_config_of_the_first_release_is_read(void **state) {
    (void)state;
    struct run_spec spec;
    /* As it was written then: with what is in columns now, and a name that would be refused now. */
    static const char stored[] =
        "{\"name\":\"a\\u009bb\",\"preset\":\"notebook-q3\",\"dataset\":\"gone\",\"depth\":8,"
        "\"epochs\":2,\"batch_size\":16,\"m\":2,\"copies\":\"aliased\",\"cutout_size\":12,"
        "\"cutout_squares\":1,\"shift\":0,\"flip\":false,\"crop_pad\":0,"
        "\"normalise\":\"pixel_mean\",\"drop_last\":true,\"optimizer\":\"rmsprop\",\"lr\":0.001,"
        "\"momentum\":0,\"nesterov\":false,\"lr_schedule\":[{\"epoch\":80,\"lr\":0.0001}],"
        "\"lr_plateau\":false,\"l2\":0.0001,\"l2_dense\":false,\"seed\":7,\"train_images\":32,"
        "\"test_images\":16,\"conv_algorithm\":\"winograd\",\"stop_on_nan\":false,"
        "\"priority\":5000,\"labels\":{\"a b\":1}}";
    assert_int_equal(run_spec_read_stored(stored, &spec, NULL), STATUS_OK);
    assert_string_equal(spec.config.dataset, "gone");
    assert_int_equal(spec.config.depth, 8);
    assert_true(spec.config.grad_clip == 0);
    assert_string_equal(spec.name, "");
    assert_int_equal(spec.priority, 0);
    assert_int_equal(spec.n_labels, 0);
    CLEANUP(free_pointer) char *shown = run_spec_stored_json(stored);
    CLEANUP(free_pointer) char *written = run_spec_to_json(&spec);
    assert_string_equal(shown, written);
    assert_non_null(strstr(shown, ",\"grad_clip\":0,\""));
    assert_null(strstr(shown, "\"name\""));
    /* What is current is handed through as it is, what nobody can read as well. */
    CLEANUP(free_pointer) char *again = run_spec_stored_json(shown);
    assert_string_equal(again, shown);
    static const char newer[] = "{\"preset\":\"x\",\"quantum\":true}";
    CLEANUP(free_pointer) char *as_it_is = run_spec_stored_json(newer);
    assert_string_equal(as_it_is, newer);
    assert_int_equal(run_spec_read_stored(newer, &spec, NULL), STATUS_INVALID);
}

/* The names in which two stored configs differ, with commas behind. */
static void differences(const char *a, const char *b, char ret_names[256]) {
    CLEANUP(config_diff_clear) struct config_diff diff = {.first = NULL};
    assert_int_equal(config_diff_add(&diff, a, NULL), STATUS_OK);
    assert_int_equal(config_diff_add(&diff, b, NULL), STATUS_OK);
    int at = 0;
    ret_names[0] = '\0';
    for (const char *name = config_diff_next(&diff, &at); name;
         name = config_diff_next(&diff, &at)) {
        strcat(strcat(ret_names, name), ",");
    }
}

static void configs_differ_in_what_they_mean(void **state) {
    (void)state;
    char names[256];
    struct run_spec one = parse_good("{\"m\":2,\"seed\":1,\"name\":\"a\"}");
    struct run_spec other = parse_good("{\"m\":4,\"seed\":2,\"name\":\"b\",\"lr_schedule\":"
                                       "[{\"epoch\":2,\"lr\":0.1},{\"epoch\":3,\"lr\":0.01}]}");
    CLEANUP(free_pointer) char *a = run_spec_to_json(&one);
    CLEANUP(free_pointer) char *b = run_spec_to_json(&other);
    differences(a, b, names);
    assert_string_equal(names, "m,lr_schedule,seed,");
    differences(b, b, names);
    assert_string_equal(names, "");
    /* Stored before grad_clip was a field and name was a column, it means the same. */
    CLEANUP(free_pointer) char *older = strdup(a);
    char *gone = strstr(older, ",\"grad_clip\":0");
    memmove(gone, gone + 14, strlen(gone + 14) + 1);
    CLEANUP(free_pointer) char *oldest = NULL;
    assert_true(asprintf(&oldest,
                         "%.*s,\"name\":\"x}\\\",\",\"priority\":3,\"labels\":{\"a\":\"b,\"}}",
                         (int)strlen(older) - 1, older) > 0);
    differences(a, oldest, names);
    assert_string_equal(names, "");
    CLEANUP(free_pointer) char *shown = run_spec_stored_json(oldest);
    assert_string_equal(shown, a);
    /* What cannot be read has no field in common with anything, and breaks nothing. */
    differences("{\"m\":2,\"seed\":", "nonsense", names);
    assert_string_equal(names, "m,");
    differences("", "", names);
    assert_string_equal(names, "");
}

static void members_are_found_in_the_text(void **state) {
    (void)state;
    struct config_member member;
    static const char text[] = "{\"a\":\"m\\\",\\\"m\\\":1\",\"list\":[{\"m\":3},\"]\"],\"m\":8}";
    assert_true(config_member_find(text, "m", &member));
    assert_int_equal(member.n_value, 1);
    assert_int_equal(member.value[0], '8');
    assert_true(config_member_find(text, "list", &member));
    assert_int_equal(member.n_value, strlen("[{\"m\":3},\"]\"]"));
    assert_false(config_member_find(text, "lis", &member));
    static const char *const broken[] = {"",         "{",           "{}",         "[]",
                                         "{\"m",     "{\"m\"",      "{\"m\":",    "{\"m\":8",
                                         "{\"m\":}", "{\"m\":\"8}", "{\"m\" :8}", "{\"m\":[8}"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        assert_false(config_member_find(broken[i], "m", &member));
    }
}

static void what_is_accepted_can_be_read_back(void **state) {
    (void)state;
    assert_one_error("{\"lr\":9e-12}", "/lr", "9e-13 at epoch 80");
    assert_one_error("{\"preset\":\"keras-example\",\"lr\":1e-9}", "/lr", "5e-13 at epoch 181");
    (void)parse_good("{\"lr\":9e-12,\"lr_schedule\":\"constant\"}");
    struct run_spec spec = parse_good("{\"lr\":1e-11}");
    CLEANUP(free_pointer) char *json = run_spec_to_json(&spec);
    assert_int_equal(run_spec_read_stored(json, &spec, NULL), STATUS_OK);
    assert_one_error("{\"after\":[\"9223372036854775808\"]}", "/after", "ids of runs");
}

static void fields_are_found_by_what_others_call_them(void **state) {
    (void)state;
    assert_one_error("{\"learning_rate\":1}", "/learning_rate", "Did you mean \"lr\"?");
    assert_one_error("{\"weight_decay\":1}", "/weight_decay", "Did you mean \"l2\"?");
    assert_one_error("{\"clip_grad_norm\":1}", "/clip_grad_norm", "Did you mean \"grad_clip\"?");
    assert_one_error("{\"grad_clip\":-1}", "/grad_clip", "a number of at least 0, not -1");
    assert_one_error("{\"grad_clip\":1e999}", "/grad_clip", "too large");
    assert_true(parse_good("{\"grad_clip\":0.5}").config.grad_clip == 0.5);
}

static void cifar10_that_is_not_set_up_says_how(void **state) {
    (void)state;
    static const char *const only_shapes[] = {"shapes"};
    const struct run_spec_context unconfigured = {
        .dataset_names = only_shapes, .n_dataset_names = 1, .default_dataset = "shapes"};
    const char *json = "{\"dataset\":\"cifar10\"}";
    struct run_spec spec;
    struct field_errors errors;
    assert_int_equal(run_spec_parse(json, strlen(json), &unconfigured, &spec, &errors),
                     STATUS_INVALID);
    assert_non_null(strstr(errors.items[0].detail, "--dataset cifar10=DIR"));
}

static void texts_that_cannot_be_shown_are_refused(void **state) {
    (void)state;
    assert_one_error("{\"name\":\"a\\u009b31m\"}", "/name", "control characters");
    assert_one_error("{\"name\":\"a\\ufffeb\"}", "/name", "must be UTF-8");
    assert_one_error("{\"name\":\"\\u202eb\"}", "/name", "override the direction");
    assert_one_error("{\"labels\":{\"a\":\"\\u0085\"}}", "/labels/a", "control characters");
}

static void half_a_document_is_none(void **state) {
    (void)state;
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_int(&writer, "m", 8);
    writer.failed = true; /* as who has no memory for a value says */
    json_write_end(&writer, '}');
    assert_null(json_write_take(&writer));
}

static void json_round_trip_is_exact(void **state) {
    (void)state;
    static const char *const documents[] = {
        "{}",
        "{\"preset\":\"paper\",\"m\":32,\"copies\":\"aliased\",\"seed\":9007199254740991}",
        "{\"preset\":\"keras-example\",\"lr\":0.0123,\"shift\":0.1,\"l2\":3e-5}",
        "{\"lr_schedule\":\"cosine\",\"optimizer\":\"sgd\",\"nesterov\":true,\"momentum\":0.9}",
        "{\"name\":\"q\\\"\\\\ \\u20ac\",\"labels\":{\"a\":\"b\\\"\"},\"priority\":1000}",
        "{\"grad_clip\":0.30000000000000004,\"conv_algorithm\":\"winograd\",\"normalise\":"
        "\"channel\",\"lr_plateau\":true,"
        "\"l2_dense\":true,\"drop_last\":false,\"crop_pad\":4,\"train_images\":100,"
        "\"test_images\":7,\"lr\":0.3333333333333333}",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct run_spec first = parse_good(documents[i]);
        CLEANUP(free_pointer) char *json = run_spec_to_json(&first);
        assert_non_null(json);
        struct run_spec second = parse_good(json);
        CLEANUP(free_pointer) char *again = run_spec_to_json(&second);
        assert_string_equal(json, again);
        assert_int_equal(first.config.n_lr_steps, second.config.n_lr_steps);
        for (int j = 0; j < first.config.n_lr_steps; j++) {
            assert_int_equal(first.config.lr_steps[j].epoch, second.config.lr_steps[j].epoch);
            assert_memory_equal(&first.config.lr_steps[j].lr, &second.config.lr_steps[j].lr,
                                sizeof(double));
        }
        assert_memory_equal(&first.config.lr, &second.config.lr, sizeof(double));
        assert_memory_equal(&first.config.shift, &second.config.shift, sizeof(double));
        assert_int_equal(first.config.seed, second.config.seed);
    }
}

static void stored_run_of_a_vanished_data_set_can_be_read(void **state) {
    (void)state;
    static const struct run_spec_context stored = {.default_dataset = "shapes"};
    const char *json = "{\"dataset\":\"gone\"}";
    struct run_spec spec;
    struct field_errors errors;
    assert_int_equal(run_spec_parse(json, strlen(json), &stored, &spec, &errors), STATUS_OK);
    assert_string_equal(spec.config.dataset, "gone");
}

static void near_miss_knows_swaps_and_beginnings(void **state) {
    (void)state;
    static const char *const words[] = {"epochs", "cutout_size", "cutout_squares", "m", "seed"};
    assert_string_equal(near_miss("epcohs", words, 5), "epochs");
    assert_string_equal(near_miss("Epoch", words, 5), "epochs");
    assert_string_equal(near_miss("cutout-size", words, 5), "cutout_size");
    assert_string_equal(near_miss("cutout", words, 5), "cutout_size");
    assert_string_equal(near_miss("M", words, 5), "m");
    assert_null(near_miss("weight_decay", words, 5));
    assert_null(near_miss("", words, 5));
}

static void auto_becomes_what_the_daemon_is_set_to(void **state) {
    (void)state;
    struct run_spec spec;
    struct field_errors errors;
    struct run_spec_context set = context;
    set.conv_algorithm = CONV_WINOGRAD;
    static const char none[] = "{}";
    static const char named[] = "{\"conv_algorithm\":\"direct\"}";
    assert_int_equal(run_spec_parse(none, strlen(none), &set, &spec, &errors), STATUS_OK);
    assert_int_equal(spec.config.conv_algorithm, CONV_WINOGRAD);
    assert_int_equal(run_spec_parse(named, strlen(named), &set, &spec, &errors), STATUS_OK);
    assert_int_equal(spec.config.conv_algorithm, CONV_DIRECT);
    assert_int_equal(run_spec_parse(none, strlen(none), &context, &spec, &errors), STATUS_OK);
    assert_int_equal(spec.config.conv_algorithm, CONV_AUTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_becomes_what_the_daemon_is_set_to),
        cmocka_unit_test(empty_object_is_the_default_preset),
        cmocka_unit_test(given_fields_lie_over_the_preset_whatever_the_order),
        cmocka_unit_test(lr_alone_scales_the_schedule),
        cmocka_unit_test(step_at_epoch_zero_is_the_lr),
        cmocka_unit_test(all_errors_come_at_once),
        cmocka_unit_test(every_field_says_what_it_may_be),
        cmocka_unit_test(what_is_not_a_json_object_is_malformed),
        cmocka_unit_test(errors_beyond_the_limit_are_dropped),
        cmocka_unit_test(long_names_are_cut_at_whole_characters),
        cmocka_unit_test(limits_of_new_runs_are_tighter_than_of_stored_ones),
        cmocka_unit_test(a_stored_config_of_the_first_release_is_read),
        cmocka_unit_test(configs_differ_in_what_they_mean),
        cmocka_unit_test(members_are_found_in_the_text),
        cmocka_unit_test(what_is_accepted_can_be_read_back),
        cmocka_unit_test(fields_are_found_by_what_others_call_them),
        cmocka_unit_test(cifar10_that_is_not_set_up_says_how),
        cmocka_unit_test(texts_that_cannot_be_shown_are_refused),
        cmocka_unit_test(json_round_trip_is_exact),
        cmocka_unit_test(half_a_document_is_none),
        cmocka_unit_test(stored_run_of_a_vanished_data_set_can_be_read),
        cmocka_unit_test(near_miss_knows_swaps_and_beginnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
