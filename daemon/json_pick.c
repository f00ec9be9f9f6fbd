/* Layer: daemon. */
#include "daemon/json_pick.h"

#include <string.h>

/* Behind the value that begins at `text`. */
static char *skip_value(char *text) {
    int depth = 0;
    bool in_string = false;
    for (; *text; text++) {
        if (in_string) {
            in_string = *text != '"';
            text += *text == '\\' && text[1] != '\0';
        } else if (*text == '"') {
            in_string = true;
        } else if (*text == '{' || *text == '[') {
            depth++;
        } else if (depth == 0 && (*text == ',' || *text == '}' || *text == ']')) {
            break;
        } else if (*text == '}' || *text == ']') {
            depth--;
        }
    }
    return text;
}

struct member {
    char *name; /* [n_name] */
    size_t n_name;
    char *value; /* up to `end` */
    char *end;
};

/* The next member from *at on, which moves behind it. false: there is none. */
static bool next_member(char **at, struct member *ret_member) {
    char *text = *at;
    text += *text == '{' || *text == ',';
    if (*text != '"') {
        return false;
    }
    char *end = skip_value(text);
    /* The name ends where its string does; names hold no escapes. */
    ret_member->name = text + 1;
    ret_member->n_name = strcspn(text + 1, "\"");
    ret_member->value = text + ret_member->n_name + 3;
    ret_member->end = end;
    *at = end;
    return true;
}

static bool is_listed(const char *names, const char *name, size_t n_name) {
    for (; *names; names += *names == ',') {
        size_t n = strcspn(names, ",");
        if (n == n_name && strncmp(names, name, n) == 0) {
            return true;
        }
        names += n;
    }
    return false;
}

void json_pick(struct json_writer *writer, const char *key, char *object, const char *names) {
    struct member member;
    json_write_object(writer, key);
    for (char *at = object; next_member(&at, &member);) {
        if (is_listed(names, member.name, member.n_name)) {
            char after = *member.end;
            *member.end = '\0';
            member.name[member.n_name] = '\0';
            json_write_raw(writer, member.name, member.value);
            member.name[member.n_name] = '"';
            *member.end = after;
        }
    }
    json_write_end(writer, '}');
}

const char *json_missing_member(char *object, const char *names, size_t *ret_length) {
    for (; *names; names += *names == ',') {
        size_t n = strcspn(names, ",");
        bool found = false;
        struct member member;
        for (char *at = object; !found && next_member(&at, &member);) {
            found = member.n_name == n && strncmp(member.name, names, n) == 0;
        }
        if (!found) {
            *ret_length = n;
            return names;
        }
        names += n;
    }
    return NULL;
}
