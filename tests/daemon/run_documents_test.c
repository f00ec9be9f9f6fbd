/* What people read of the fields of a run says what the rows say: openapi, the completion, the
 * README. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cjson/cJSON.h>

#include "core/config/run_fields.h"
#include "daemon/config/text_file.h"
#include "daemon/spec/run_spec.h"

static char *read_source(const char *path) {
    char whole[512];
    char *text = NULL;
    size_t n = 0;
    (void)snprintf(whole, sizeof(whole), "%s/%s", CUTOUTD_SOURCE_DIR, path);
    assert_int_equal(text_file_read(whole, 4 << 20, &text, &n, NULL), STATUS_OK);
    return text;
}

/* Whether the text from `begin` to `end` has the word, spaces or quotes or `behind` around it. */
static bool has_word(const char *text, const char *begin, const char *end, const char *word,
                     const char *behind) {
    const char *from = strstr(text, begin);
    assert_non_null(from);
    from += strlen(begin);
    const char *to = strstr(from, end);
    assert_non_null(to);
    for (const char *at = strstr(from, word); at && at < to; at = strstr(at + 1, word)) {
        char next = at[strlen(word)];
        if (strchr(" \n\"`", at[-1]) && next && strchr(behind, next)) {
            return true;
        }
    }
    return false;
}

static void the_readme_lists_every_field(void **state) {
    (void)state;
    char *readme = read_source("README.md");
    const char *name = NULL;
    const char *help = NULL;
    for (size_t i = 0; run_spec_field_help(i, &name, &help); i++) {
        if (!has_word(readme, "Fields of a run, each optional: `", "`.", name, " \n`")) {
            fail_msg("README.md does not list %s", name);
        }
    }
    free(readme);
}

static void the_completion_knows_every_field(void **state) {
    (void)state;
    char *script = read_source("tools/cutoutctl/completion.bash");
    const char *name = NULL;
    const char *help = NULL;
    for (size_t i = 0; run_spec_field_help(i, &name, &help); i++) {
        bool of_submit = strcmp(name, "after") == 0 || strcmp(name, "hold") == 0 ||
                         strcmp(name, "not_before") == 0 || strcmp(name, "notify") == 0;
        const char *word = strcmp(name, "labels") == 0 ? "label" : name;
        if (!has_word(script, of_submit ? "submit) offered=" : "local fields=", ";;", word, "=")) {
            fail_msg("completion.bash does not know %s", name);
        }
    }
    free(script);
}

static const cJSON *schema(const cJSON *document, const char *name) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(document, "schemas"), name);
    assert_non_null(found);
    return found;
}

static void check_limits(const struct run_config_field *field, const cJSON *property, double most) {
    const cJSON *minimum = cJSON_GetObjectItemCaseSensitive(property, "minimum");
    const cJSON *maximum = cJSON_GetObjectItemCaseSensitive(property, "maximum");
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(property, "enum");
    switch (field->type) {
    case RUN_CONFIG_INT:
    case RUN_CONFIG_DEPTH:
    case RUN_CONFIG_NUMBER:
    case RUN_CONFIG_SEED:
        if (!minimum || minimum->valuedouble != field->least || !maximum != !isfinite(most) ||
            (maximum && maximum->valuedouble != most)) {
            fail_msg("openapi has other limits of %s", field->name);
        }
        break;
    case RUN_CONFIG_CHOICE:
        assert_int_equal(cJSON_GetArraySize(words), field->n_words);
        for (int i = 0; i < field->n_words; i++) {
            assert_string_equal(cJSON_GetArrayItem(words, i)->valuestring, field->words[i]);
        }
        break;
    case RUN_CONFIG_PRESET:
    case RUN_CONFIG_DATASET:
    case RUN_CONFIG_BOOL:
        break;
    case RUN_CONFIG_SWITCH: {
        const cJSON *word = NULL;
        int n = 2; /* false and true */
        cJSON_ArrayForEach(word, cJSON_GetObjectItemCaseSensitive(property, "anyOf")) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(word, "const");
            if (value) {
                assert_string_equal(value->valuestring, field->words[n++]);
            }
        }
        assert_int_equal(n, field->n_words);
        break;
    }
    case RUN_CONFIG_SCHEDULE:
    case RUN_CONFIG_STOP:
        break;
    }
}

static void openapi_has_the_rows_limits_words_and_help(void **state) {
    (void)state;
    char *text = read_source("api/openapi/runs.json");
    cJSON *document = cJSON_Parse(text);
    assert_non_null(document);
    const cJSON *request =
        cJSON_GetObjectItemCaseSensitive(schema(document, "run_request"), "properties");
    const cJSON *config =
        cJSON_GetObjectItemCaseSensitive(schema(document, "run_config"), "properties");
    const cJSON *required =
        cJSON_GetObjectItemCaseSensitive(schema(document, "run_config"), "required");
    const char *name = NULL;
    const char *help = NULL;
    int n = 0;
    for (; run_spec_field_help((size_t)n, &name, &help); n++) {
        const cJSON *property = cJSON_GetObjectItemCaseSensitive(request, name);
        const cJSON *description = cJSON_GetObjectItemCaseSensitive(property, "description");
        if (!description || strcmp(description->valuestring, help) != 0) {
            fail_msg("openapi's run_request has another description of %s", name);
        }
    }
    assert_int_equal(cJSON_GetArraySize(request), n);
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    for (size_t i = 0; i < n_fields; i++) {
        const struct run_config_field *field = &fields[i];
        const cJSON *shown = cJSON_GetObjectItemCaseSensitive(config, field->name);
        const cJSON *taken = cJSON_GetObjectItemCaseSensitive(request, field->name);
        assert_non_null(shown);
        assert_string_equal(cJSON_GetObjectItemCaseSensitive(shown, "description")->valuestring,
                            field->help);
        assert_string_equal(cJSON_GetArrayItem(required, (int)i)->valuestring, field->name);
        double most_new = field->most_new > 0 ? field->most_new : field->most;
        check_limits(field, shown, isfinite(field->most) ? field->most : most_new);
        check_limits(field, taken, most_new);
    }
    assert_int_equal(cJSON_GetArraySize(config), n_fields);
    assert_int_equal(cJSON_GetArraySize(required), n_fields);
    cJSON_Delete(document);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_readme_lists_every_field),
        cmocka_unit_test(the_completion_knows_every_field),
        cmocka_unit_test(openapi_has_the_rows_limits_words_and_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
