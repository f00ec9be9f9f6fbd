/* Layer: daemon. */
#include "daemon/spec/json_tree.h"

#include <math.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "daemon/spec/json_check.h"

void json_delete(cJSON **tree) {
    cJSON_Delete(*tree);
    *tree = NULL;
}

/* No object may hold a name twice, or so many that looking for that takes long. */
static enum status check_names(const cJSON *value, struct error *error) {
    if (cJSON_IsObject(value) && cJSON_GetArraySize(value) > JSON_TREE_MAX_MEMBERS) {
        return error_set(error, STATUS_MALFORMED,
                         "an object has far more names than there are fields");
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, value) {
        for (const cJSON *other = item->next; item->string && other; other = other->next) {
            if (strcmp(item->string, other->string) == 0) {
                return error_set(error, STATUS_MALFORMED, "the name \"%.40s\" is given twice",
                                 item->string);
            }
        }
        TRY(check_names(item, error));
    }
    return STATUS_OK;
}

enum status json_read(const char *text, size_t n_bytes, cJSON **ret_tree, struct error *error) {
    TRY(json_check(text, n_bytes, error));
    CLEANUP(json_delete) cJSON *tree = cJSON_ParseWithLength(text, n_bytes);
    if (!tree) { /* it is JSON, so nothing else is left */
        return error_set(error, STATUS_NO_MEMORY, "no memory to read the document");
    }
    TRY(check_names(tree, error));
    *ret_tree = tree;
    tree = NULL;
    return STATUS_OK;
}

/* A seed is whole, whatever its length. */
static void write_number(struct json_writer *writer, const char *key, double value) {
    if (fabs(value) <= 9007199254740992.0 && value == floor(value) && !signbit(value)) {
        json_write_uint(writer, key, (uint64_t)value);
    } else {
        json_write_number(writer, key, value);
    }
}

void json_write_tree(struct json_writer *writer, const char *key, const cJSON *value) {
    const cJSON *item = NULL;
    if (cJSON_IsObject(value)) {
        json_write_object(writer, key);
        cJSON_ArrayForEach(item, value) {
            json_write_tree(writer, item->string, item);
        }
        json_write_end(writer, '}');
    } else if (cJSON_IsArray(value)) {
        json_write_array(writer, key);
        cJSON_ArrayForEach(item, value) {
            json_write_tree(writer, NULL, item);
        }
        json_write_end(writer, ']');
    } else if (cJSON_IsString(value)) {
        json_write_string(writer, key, value->valuestring);
    } else if (cJSON_IsNumber(value)) {
        write_number(writer, key, value->valuedouble);
    } else if (cJSON_IsBool(value)) {
        json_write_bool(writer, key, cJSON_IsTrue(value));
    } else {
        json_write_null(writer, key);
    }
}

char *json_print(const cJSON *value) {
    struct json_writer writer = {0};
    if (!value) {
        return NULL;
    }
    json_write_tree(&writer, NULL, value);
    return json_write_take(&writer);
}

static bool same_members(const cJSON *a, const cJSON *b) {
    if (cJSON_GetArraySize(a) != cJSON_GetArraySize(b)) {
        return false;
    }
    /* The same number of names, none twice: each of a's in b is enough. */
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, a) {
        if (!json_equal(item, cJSON_GetObjectItemCaseSensitive(b, item->string))) {
            return false;
        }
    }
    return true;
}

static bool same_items(const cJSON *a, const cJSON *b) {
    const cJSON *x = a->child;
    const cJSON *y = b->child;
    while (x && y && json_equal(x, y)) {
        x = x->next;
        y = y->next;
    }
    return !x && !y;
}

bool json_equal(const cJSON *a, const cJSON *b) {
    const int kinds = cJSON_Invalid | cJSON_False | cJSON_True | cJSON_NULL | cJSON_Number |
                      cJSON_String | cJSON_Array | cJSON_Object | cJSON_Raw;
    if (!a || !b || (a->type & kinds) != (b->type & kinds)) {
        return false;
    }
    if (cJSON_IsNumber(a)) {
        return a->valuedouble == b->valuedouble;
    }
    if (cJSON_IsString(a)) {
        return strcmp(a->valuestring, b->valuestring) == 0;
    }
    if (cJSON_IsArray(a)) {
        return same_items(a, b);
    }
    return !cJSON_IsObject(a) || same_members(a, b);
}
