/* Layer: daemon. */
#include "daemon/spec/config_diff.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/config/run_fields.h"
#include "daemon/spec/run_spec_json.h"

/* Both were written by json_write, so equal values are equal texts. */
static bool is_same(const struct config_member *a, const struct config_member *b) {
    return a->n_value == b->n_value && (a->n_value == 0 || !memcmp(a->value, b->value, a->n_value));
}

enum status config_diff_add(struct config_diff *diff, const char *config_json,
                            struct error *error) {
    CLEANUP(free_pointer) char *text = run_spec_stored_json(config_json);
    if (!text) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to compare configs");
    }
    if (!diff->first) {
        diff->first = text;
        text = NULL;
        return STATUS_OK;
    }
    if (strcmp(text, diff->first) != 0) {
        struct config_values a;
        struct config_values b;
        (void)config_values_read(diff->first, &a);
        (void)config_values_read(text, &b);
        for (int i = 0; i < CONFIG_MOST_FIELDS; i++) {
            diff->differs[i] |= !is_same(&a.of[i], &b.of[i]);
        }
    }
    return STATUS_OK;
}

const char *config_diff_next(const struct config_diff *diff, int *at) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    while ((size_t)*at < n_fields) {
        int field = (*at)++;
        if (diff->differs[field]) {
            return fields[field].name;
        }
    }
    return NULL;
}

void config_diff_write(struct json_writer *writer, const char *key,
                       const struct config_diff *diff) {
    int at = 0;
    json_write_array(writer, key);
    for (const char *name = config_diff_next(diff, &at); name; name = config_diff_next(diff, &at)) {
        json_write_string(writer, NULL, name);
    }
    json_write_end(writer, ']');
}

void config_diff_clear(struct config_diff *diff) {
    free(diff->first);
    memset(diff, 0, sizeof(*diff));
}
