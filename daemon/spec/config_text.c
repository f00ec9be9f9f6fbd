/* Layer: daemon. */
#include "daemon/spec/config_text.h"

#include <assert.h>
#include <string.h>

#include "core/config/run_fields.h"

/* Behind the string whose opening quote `text` is at; NULL: it has no end. */
static const char *skip_string(const char *text) {
    for (text++; *text && *text != '"'; text++) {
        text += *text == '\\' && text[1] != '\0';
    }
    return *text ? text + 1 : NULL;
}

/* Behind the value: at the comma or bracket that follows; NULL: nothing does. */
static const char *skip_value(const char *text) {
    for (int depth = 0; text && *text;) {
        if (depth == 0 && (*text == ',' || *text == '}')) {
            return text;
        }
        depth += (*text == '[' || *text == '{') - (*text == ']' || *text == '}');
        text = *text == '"' ? skip_string(text) : text + 1;
    }
    return NULL;
}

bool config_member_next(const char **at, struct config_member *ret_member) {
    const char *text = *at;
    if ((*text != '{' && *text != ',') || text[1] != '"') {
        return false;
    }
    const char *name = text + 2;
    const char *colon = skip_string(text + 1);
    const char *end = colon && *colon == ':' ? skip_value(colon + 1) : NULL;
    if (!end || end == colon + 1) {
        return false;
    }
    *ret_member = (struct config_member){.name = name,
                                         .n_name = (size_t)(colon - 1 - name),
                                         .value = colon + 1,
                                         .n_value = (size_t)(end - colon - 1)};
    *at = end;
    return true;
}

bool config_member_is(const struct config_member *member, const char *name) {
    return strncmp(member->name, name, member->n_name) == 0 && name[member->n_name] == '\0';
}

bool config_member_find(const char *config_json, const char *name,
                        struct config_member *ret_member) {
    while (config_member_next(&config_json, ret_member)) {
        if (config_member_is(ret_member, name)) {
            return true;
        }
    }
    return false;
}

static bool is_column(const struct config_member *member) {
    return config_member_is(member, "name") || config_member_is(member, "priority") ||
           config_member_is(member, "labels");
}

bool config_values_read(const char *config_json, struct config_values *ret_values) {
    size_t n_fields = 0;
    const struct run_config_field *fields = run_config_fields(&n_fields);
    const char *at = config_json;
    struct config_member member;
    size_t next = 0; /* where to look first: they are written in the order of the rows */
    bool known = true;
    assert(n_fields <= CONFIG_MOST_FIELDS);
    memset(ret_values, 0, sizeof(*ret_values));
    while (config_member_next(&at, &member)) {
        size_t i = 0;
        while (i < n_fields && !config_member_is(&member, fields[(next + i) % n_fields].name)) {
            i++;
        }
        if (i < n_fields) {
            ret_values->of[(next + i) % n_fields] = member;
            next = (next + i + 1) % n_fields;
        } else {
            known &= is_column(&member);
        }
    }
    return known && strcmp(at, "}") == 0;
}
