/* Changes JSON as JSON: values for others of all kinds, members renamed to what fields are called,
 * wrapped, doubled and taken out, so that most of what comes out is well-formed and reaches the
 * checks behind the parser. One in four is changed byte by byte. Of an input the first
 * fuzz_json_offset bytes are no JSON. */
#include <cjson/cJSON.h>
#include <stdbool.h>

#include "daemon/spec/run_spec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/json_mutator.h"

static uint64_t state;

static unsigned draw(unsigned below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % below;
}

#define PICK(table) ((table)[draw(sizeof(table) / sizeof((table)[0]))])

static const char *random_name(void) {
    static const char *const others[] = {
        "base", "grid",  "overrides", "from_epoch",    "action",  "ids",     "epoch",          "",
        "a",    "a/b~c", "\xc3\xa9",  "learning_rate", "workers", "dry_run", "older_than_days"};
    const char *name = NULL;
    const char *help = NULL;
    return run_spec_field_help(draw(48), &name, &help) ? name : PICK(others);
}

static cJSON *random_value(int depth) {
    static const double numbers[] = {0,
                                     1,
                                     -1,
                                     2,
                                     4,
                                     8,
                                     16,
                                     32,
                                     33,
                                     44,
                                     64,
                                     80,
                                     100,
                                     1e-3,
                                     0.1,
                                     0.5,
                                     1.5,
                                     1e-12,
                                     1024,
                                     4096,
                                     65536,
                                     1e6,
                                     1e18,
                                     9e-12,
                                     1e308,
                                     -0.0,
                                     2147483647,
                                     2147483648,
                                     9007199254740991,
                                     9007199254740992};
    static const char *const words[] = {
        "",
        "paper",
        "notebook-q3",
        "keras-example",
        "shapes",
        "cifar10",
        "adam",
        "sgd",
        "rmsprop",
        "aliased",
        "independent",
        "cosine",
        "constant",
        "best",
        "1",
        "01",
        "9223372036854775808",
        "cancel",
        "hold",
        "release",
        "requeue",
        "channel",
        "winograd",
        "a\xc2\x9b",
        "\xef\xbf\xbe",
        "\xe2\x80\xae",
        "x\n",
        ("0123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567890123456789012345678901234567890123456789")};
    cJSON *made = NULL;
    switch (draw(depth > 3 ? 5 : 8)) {
    case 0:
        return cJSON_CreateBool(draw(2) == 0);
    case 1:
        return cJSON_CreateNull();
    case 2:
    case 3:
        return cJSON_CreateNumber(PICK(numbers));
    case 4:
        return cJSON_CreateString(PICK(words));
    case 5:
    case 6:
        made = cJSON_CreateArray();
        for (unsigned i = draw(4); i > 0; i--) {
            cJSON_AddItemToArray(made, random_value(depth + 1));
        }
        return made;
    default:
        made = cJSON_CreateObject();
        for (unsigned i = draw(4); i > 0; i--) {
            cJSON_AddItemToObject(made, random_name(), random_value(depth + 1));
        }
        return made;
    }
}

/* A random item below the tree, each level with a chance to be it. *ret_parent holds it. */
static cJSON *random_item(cJSON *tree, cJSON **ret_parent) {
    *ret_parent = NULL;
    cJSON *item = tree;
    while (item->child && (item == tree || draw(3) > 0)) {
        *ret_parent = item;
        cJSON *child = item->child;
        for (unsigned i = draw((unsigned)cJSON_GetArraySize(item)); i > 0; i--) {
            child = child->next;
        }
        item = child;
    }
    return item;
}

static void add(cJSON *container, const char *name, cJSON *item) {
    if (cJSON_IsObject(container)) {
        cJSON_AddItemToObject(container, name, item);
    } else {
        cJSON_AddItemToArray(container, item);
    }
}

static void replace(cJSON *parent, cJSON *item, cJSON *with) {
    if (cJSON_IsObject(parent)) { /* ReplaceItemViaPointer drops the name */
        char *name = strdup(item->string);
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
        cJSON_AddItemToObject(parent, name, with);
        free(name);
    } else {
        cJSON_ReplaceItemViaPointer(parent, item, with);
    }
}

static void change(cJSON *tree) {
    cJSON *parent = NULL;
    cJSON *item = random_item(tree, &parent);
    cJSON *wrapped = NULL;
    if (!parent) {
        if (cJSON_IsObject(tree) || cJSON_IsArray(tree)) {
            add(tree, random_name(), random_value(0));
        }
        return;
    }
    switch (draw(8)) {
    case 0:
    case 1:
        replace(parent, item, random_value(0));
        break;
    case 2:
        cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
        break;
    case 3:
        wrapped = draw(2) ? cJSON_CreateArray() : cJSON_CreateObject();
        add(wrapped, random_name(), cJSON_Duplicate(item, true));
        replace(parent, item, wrapped);
        break;
    case 4:
        add(parent, random_name(), cJSON_Duplicate(item, true));
        break;
    case 5:
        if (cJSON_IsObject(parent)) {
            wrapped = cJSON_Duplicate(item, true);
            cJSON_Delete(cJSON_DetachItemViaPointer(parent, item));
            cJSON_AddItemToObject(parent, random_name(), wrapped);
        }
        break;
    case 6:
        if (cJSON_IsObject(item) || cJSON_IsArray(item)) {
            add(item, random_name(), random_value(0));
        }
        break;
    default:
        if (cJSON_IsNumber(item)) {
            cJSON_SetNumberValue(item, item->valuedouble * (draw(2) ? 2 : -1) + draw(3));
        } else {
            add(parent, random_name(), random_value(0));
        }
        break;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    state = seed;
    size_t offset = size < fuzz_json_offset ? size : fuzz_json_offset;
    if (draw(4) == 0 || size < fuzz_json_offset) {
        return LLVMFuzzerMutate(data, size, max_size);
    }
    cJSON *tree = cJSON_ParseWithLength((const char *)data + offset, size - offset);
    if (!tree) {
        tree = cJSON_CreateObject();
    }
    for (unsigned i = 1 + draw(4); i > 0; i--) {
        change(tree);
    }
    if (offset > 0 && draw(8) == 0) {
        data[0] = (uint8_t)draw(256);
    }
    char *text = cJSON_PrintUnformatted(tree);
    size_t n = text ? strlen(text) : 0;
    bool fits = n > 0 && offset + n <= max_size;
    if (fits) {
        memcpy(data + offset, text, n);
    }
    free(text);
    cJSON_Delete(tree);
    return fits ? offset + n : LLVMFuzzerMutate(data, size, max_size);
}
