/* Bodies of POST /runs, and stored configs. */
#include "core/config/run_fields.h"
#include "daemon/spec/run_spec.h"
#include "daemon/spec/run_spec_json.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_mutator.h"

const size_t fuzz_json_offset = 0;

static void require_errors(const struct field_errors *errors) {
    REQUIRE(errors->n > 0 && errors->n <= RUN_SPEC_MAX_ERRORS);
    for (int i = 0; i < errors->n; i++) {
        require_text(errors->items[i].pointer, sizeof(errors->items[i].pointer));
        require_text(errors->items[i].detail, sizeof(errors->items[i].detail));
        REQUIRE(errors->items[i].detail[0] != '\0');
    }
}

/* What is accepted can be trained, and is the same when it is read back. */
static void require_good(const struct run_spec *spec) {
    struct run_spec again;
    char fingerprint[RUN_FINGERPRINT_SIZE];
    REQUIRE(run_config_check(&spec->config, NULL) == STATUS_OK);
    REQUIRE(text_is_plain(spec->name, strlen(spec->name)));
    char *json = run_spec_to_json(spec);
    REQUIRE(json != NULL);
    REQUIRE(run_spec_read_stored(json, &again, NULL) == STATUS_OK);
    char *second = run_spec_to_json(&again);
    char *shown = run_spec_stored_json(json);
    REQUIRE(second && strcmp(json, second) == 0);
    REQUIRE(shown && strcmp(json, shown) == 0);
    run_config_fingerprint(&spec->config, "avx512", true, fingerprint);
    require_text(fingerprint, sizeof(fingerprint));
    free(shown);
    free(second);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"shapes"};
    static const struct run_spec_context context = {
        .dataset_names = names, .n_dataset_names = 1, .default_dataset = "shapes"};
    static struct run_spec spec;
    static struct field_errors errors;
    if (run_spec_parse((const char *)data, size, &context, &spec, &errors) == STATUS_OK) {
        require_good(&spec);
    } else {
        require_errors(&errors);
    }
    char *text = calloc(1, size + 1);
    REQUIRE(text != NULL);
    memcpy(text, data, size);
    char *shown = run_spec_stored_json(text);
    REQUIRE(shown != NULL);
    free(shown);
    free(text);
    return 0;
}
