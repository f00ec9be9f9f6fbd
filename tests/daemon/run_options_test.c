/* Fields whose values are more than a number or a word: read, refused, written, and meant by runs
 * that were stored without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/cleanup.h"
#include "core/config/run_fields.h"
#include "daemon/spec/config_text.h"
#include "daemon/spec/run_spec.h"
#include "daemon/spec/run_spec_json.h"

static const char *const dataset_names[] = {"shapes"};
static const struct run_spec_context context = {
    .dataset_names = dataset_names, .n_dataset_names = 1, .default_dataset = "shapes"};

/* The value is taken, and written as `shown`; what is written is taken again. */
static const struct {
    const char *given;
    const char *shown;
} good[] = {
    {"\"stop\":{}", "\"stop\":{}"},
    {"\"stop\":{\"max_seconds\":0.5,\"val_error\":0.06}",
     "\"stop\":{\"val_error\":0.06,\"max_seconds\":0.5}"},
    {"\"flip\":\"alternate\"", "\"flip\":\"alternate\""},
    {"\"flip\":true", "\"flip\":true"},
    {"\"lr_schedule\":{\"warmup\":0.2,\"kind\":\"linear\"}",
     "\"lr_schedule\":{\"kind\":\"linear\",\"warmup\":0.2}"},
    {"\"lr_schedule\":{\"kind\":\"linear\"}", "\"lr_schedule\":{\"kind\":\"linear\",\"warmup\":0}"},
    {"\"unique_per_batch\":true,\"batch_size\":64,\"m\":8", "\"unique_per_batch\":true"},
    {"\"mix\":\"cutmix\",\"mix_alpha\":0.5", "\"mix\":\"cutmix\",\"mix_alpha\":0.5"},
    {"\"stop\":{\"patience\":10}", "\"stop\":{\"patience\":10}"},
};

static const struct {
    const char *given;
    const char *pointer;
    const char *words;
} bad[] = {
    {"\"stop\":0.06", "/stop", "must be an object like {\"val_error\":0.06"},
    {"\"stop\":{\"val_err\":0.06}", "/stop/val_err", "Did you mean val_error?"},
    {"\"stop\":{\"val_error\":0}", "/stop/val_error", "above 0 and at most 1, not 0"},
    {"\"stop\":{\"val_error\":1.5}", "/stop/val_error", "at most 1, not 1.5"},
    {"\"stop\":{\"patience\":2.5}", "/stop/patience", "a whole number"},
    {"\"stop\":{\"max_seconds\":\"1h\"}", "/stop/max_seconds", "not the string \"1h\""},
    {"\"flip\":\"alternating\"", "/flip", "Did you mean alternate?"},
    {"\"flip\":\"true\"", "/flip", "must be one of false, true, alternate"},
    {"\"lr_schedule\":{\"kind\":\"cosine\"}", "/lr_schedule",
     "the others are \"constant\", \"cosine\" and steps"},
    {"\"lr_schedule\":{\"kind\":\"linear\",\"warmup\":1}", "/lr_schedule", "between 0 and 0.99"},
    {"\"lr_schedule\":{\"kind\":\"square\"}", "/lr_schedule", "must look like"},
    {"\"lr_schedule\":{\"kind\":\"linear\",\"epoch\":1}", "/lr_schedule", "must look like"},
    {"\"unique_per_batch\":true,\"batch_size\":64,\"m\":3", "/unique_per_batch",
     "64 is no multiple of m = 3"},
    {"\"backward_share\":0", "/backward_share", "between 0.001 and 1"},
    {"\"ema\":1", "/ema", "between 0 and 0.999999"},
    {"\"cutmix\":1", "/cutmix", "Did you mean \"mix\"?"},
    {"\"patience\":3", "/patience", "Did you mean \"stop\"?"},
};

enum { N_GOOD = sizeof(good) / sizeof(good[0]), N_BAD = sizeof(bad) / sizeof(bad[0]) };

static enum status parse(const char *members, struct run_spec *ret_spec,
                         struct field_errors *ret_errors) {
    char json[1024];
    (void)snprintf(json, sizeof(json), "{%s}", members);
    return run_spec_parse(json, strlen(json), &context, ret_spec, ret_errors);
}

static void values_are_read_and_written(void **state) {
    (void)state;
    for (int i = 0; i < N_GOOD; i++) {
        struct run_spec spec;
        struct run_spec again;
        struct field_errors errors;
        if (parse(good[i].given, &spec, &errors) != STATUS_OK) {
            fail_msg("%s: %s", good[i].given, errors.items[0].detail);
        }
        CLEANUP(free_pointer) char *text = run_spec_to_json(&spec);
        if (!strstr(text, good[i].shown)) {
            fail_msg("%s: %s", good[i].given, text);
        }
        assert_int_equal(run_spec_parse(text, strlen(text), &context, &again, &errors), STATUS_OK);
        CLEANUP(free_pointer) char *same = run_spec_to_json(&again);
        assert_string_equal(same, text);
    }
}

static void other_values_are_refused_where_they_stand(void **state) {
    (void)state;
    for (int i = 0; i < N_BAD; i++) {
        struct run_spec spec;
        struct field_errors errors;
        assert_int_equal(parse(bad[i].given, &spec, &errors), STATUS_INVALID);
        assert_int_equal(errors.n, 1);
        assert_string_equal(errors.items[0].pointer, bad[i].pointer);
        if (!strstr(errors.items[0].detail, bad[i].words)) {
            fail_msg("%s: %s", bad[i].given, errors.items[0].detail);
        }
    }
}

/* The config as a version would have stored it that knew only the fields of the first release. */
static char *of_first_release(const char *config_json) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    char *text = calloc(1, strlen(config_json) + 2);
    assert_non_null(text);
    struct config_member member;
    for (const char *at = config_json; config_member_next(&at, &member);) {
        bool later = false;
        for (size_t i = 0; i < n_fields; i++) {
            later |= fields[i].later && config_member_is(&member, fields[i].name);
        }
        if (!later) {
            strcat(text, text[0] ? "," : "{");
            strncat(text, member.name - 1,
                    (size_t)(member.value + member.n_value - member.name) + 1);
        }
    }
    return strcat(text, "}");
}

static void check_older(const char *members, const char *meant) {
    struct run_spec spec;
    struct field_errors errors;
    assert_int_equal(parse(members, &spec, &errors), STATUS_OK);
    CLEANUP(free_pointer) char *today = run_spec_to_json(&spec);
    CLEANUP(free_pointer) char *older = of_first_release(today);
    assert_null(strstr(older, "\"stop\""));
    assert_int_equal(parse(meant, &spec, &errors), STATUS_OK);
    CLEANUP(free_pointer) char *expected = run_spec_to_json(&spec);
    CLEANUP(free_pointer) char *shown = run_spec_stored_json(older);
    assert_string_equal(shown, expected);
    assert_int_equal(run_spec_read_stored(older, &spec, NULL), STATUS_OK);
    CLEANUP(free_pointer) char *read = run_spec_to_json(&spec);
    assert_string_equal(read, expected);
}

static void a_run_that_was_stored_without_them_means_what_it_meant(void **state) {
    (void)state;
    check_older("\"m\":4", "\"m\":4");
    check_older("\"preset\":\"keras-example\"", "\"preset\":\"keras-example\"");
    /* Its network was that of the others then. */
    check_older("\"preset\":\"paper\",\"seed\":3", "\"preset\":\"paper-v1\",\"seed\":3");
    struct run_spec spec;
    struct field_errors errors;
    assert_int_equal(parse("\"preset\":\"paper\"", &spec, &errors), STATUS_OK);
    CLEANUP(free_pointer) char *today = run_spec_to_json(&spec);
    CLEANUP(free_pointer) char *shown = run_spec_stored_json(today);
    assert_string_equal(shown, today);
    assert_non_null(strstr(today, "\"preset\":\"paper\""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_and_written),
        cmocka_unit_test(other_values_are_refused_where_they_stand),
        cmocka_unit_test(a_run_that_was_stored_without_them_means_what_it_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
