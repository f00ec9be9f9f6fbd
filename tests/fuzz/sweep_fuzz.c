/* Bodies of POST /sweeps. */
#include "daemon/spec/json_tree.h"
#include "daemon/spec/sweep_spec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_mutator.h"

const size_t fuzz_json_offset = 0;

static void require_good(const struct sweep_spec *spec) {
    char fields[SWEEP_MAX_FIELDS][32];
    cJSON *tree = NULL;
    REQUIRE(spec->n_children >= 1 && spec->n_children <= SWEEP_MAX_RUNS);
    REQUIRE(json_read(spec->spec_json, strlen(spec->spec_json), &tree, NULL) == STATUS_OK);
    json_delete(&tree);
    REQUIRE(sweep_spec_grid_fields(spec->spec_json, fields, SWEEP_MAX_FIELDS) <= spec->n_fields);
    for (size_t i = 0; i < spec->n_children && i < 3; i++) {
        struct run_spec again;
        const struct run_spec *child = &spec->children[i].spec;
        require_text(child->name, sizeof(child->name));
        REQUIRE(text_is_plain(child->name, strlen(child->name)));
        char *json = run_spec_to_json(child);
        REQUIRE(json && run_spec_read_stored(json, &again, NULL) == STATUS_OK);
        free(json);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct run_spec_context context = {.default_dataset = "shapes"};
    static struct field_errors errors;
    struct sweep_spec spec = {.n_fields = 0};
    if (sweep_spec_parse((const char *)data, size, &context, &spec, &errors) == STATUS_OK) {
        require_good(&spec);
        sweep_spec_clear(&spec);
        return 0;
    }
    REQUIRE(errors.n > 0 && errors.n <= RUN_SPEC_MAX_ERRORS);
    for (int i = 0; i < errors.n; i++) {
        require_text(errors.items[i].pointer, sizeof(errors.items[i].pointer));
        require_text(errors.items[i].detail, sizeof(errors.items[i].detail));
    }
    return 0;
}
