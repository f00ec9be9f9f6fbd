/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/record.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/json_write.h"

/* A member that is written and read the same way. */
struct member {
    const char *name;
    enum { MEMBER_INT, MEMBER_LONG, MEMBER_DOUBLE, MEMBER_BOOL, MEMBER_TEXT } type;
    size_t offset; /* in struct record */
    size_t size;   /* of MEMBER_TEXT */
};

/* NOLINTBEGIN(bugprone-macro-parentheses): a member's name takes none */
#define NUMBER(type, part, name)                                                                   \
    { #name, MEMBER_##type, offsetof(struct record, part.name), 0 }
/* NOLINTEND(bugprone-macro-parentheses) */
#define OWN(type, name)                                                                            \
    { #name, MEMBER_##type, offsetof(struct record, name), 0 }
#define OWN_TEXT(name)                                                                             \
    { #name, MEMBER_TEXT, offsetof(struct record, name), sizeof(((struct record *)0)->name) }

static const struct member begin_members[] = {
    OWN_TEXT(node), OWN_TEXT(job), OWN_TEXT(variant), {0}};

static const struct member step_members[] = {
    NUMBER(INT, step, epoch),          NUMBER(INT, step, epochs),
    NUMBER(INT, step, step),           NUMBER(INT, step, steps_per_epoch),
    NUMBER(DOUBLE, step, loss),        NUMBER(DOUBLE, step, accuracy),
    NUMBER(DOUBLE, step, lr),          NUMBER(DOUBLE, step, images_per_second),
    NUMBER(DOUBLE, step, eta_seconds), {0}};

static const struct member epoch_members[] = {NUMBER(INT, epoch, epoch),
                                              NUMBER(DOUBLE, epoch, train_loss),
                                              NUMBER(DOUBLE, epoch, train_accuracy),
                                              NUMBER(DOUBLE, epoch, val_loss),
                                              NUMBER(DOUBLE, epoch, val_accuracy),
                                              NUMBER(INT, epoch, val_wrong),
                                              NUMBER(INT, epoch, val_total),
                                              NUMBER(DOUBLE, epoch, lr),
                                              NUMBER(DOUBLE, epoch, seconds),
                                              NUMBER(DOUBLE, epoch, images_per_second),
                                              NUMBER(BOOL, epoch, diverged),
                                              NUMBER(BOOL, epoch, best),
                                              NUMBER(LONG, epoch, images),
                                              NUMBER(INT, epoch, steps),
                                              NUMBER(INT, epoch, tta_wrong),
                                              NUMBER(INT, epoch, tta_total),
                                              NUMBER(INT, epoch, ema_wrong),
                                              NUMBER(INT, epoch, ema_total),
                                              NUMBER(INT, epoch, stopped_by),
                                              {0}};

static const struct member checkpoint_members[] = {NUMBER(BOOL, checkpoint, best),
                                                   NUMBER(LONG, checkpoint, n_bytes),
                                                   NUMBER(INT, checkpoint, epochs_done),
                                                   NUMBER(INT, checkpoint, step),
                                                   OWN_TEXT(file),
                                                   OWN_TEXT(sha256),
                                                   {0}};

static const struct member note_members[] = {OWN_TEXT(message), {0}};

static const struct member fallback_members[] = {OWN_TEXT(file), OWN_TEXT(message), {0}};

static const struct member outcome_members[] = {OWN(INT, status),
                                                OWN(BOOL, again),
                                                OWN(BOOL, bounded),
                                                OWN(LONG, needed_bytes),
                                                OWN(INT, stop),
                                                OWN_TEXT(message),
                                                {0}};

static const struct {
    const char *name;
    const struct member *members;
} kinds[RECORD_KINDS] = {
    [RECORD_BEGIN] = {"begin", begin_members},
    [RECORD_STEP] = {"step", step_members},
    [RECORD_EPOCH] = {"epoch", epoch_members},
    [RECORD_CHECKPOINT] = {"checkpoint", checkpoint_members},
    [RECORD_NOTE] = {"note", note_members},
    [RECORD_FALLBACK] = {"fallback", fallback_members},
    [RECORD_OUTCOME] = {"outcome", outcome_members},
};

/* A report that gets another member needs a line above. */
_Static_assert(sizeof(struct epoch_report) == 112, "a member of epoch_report is missing here");
_Static_assert(sizeof(struct step_report) == 56, "a member of step_report is missing here");
_Static_assert(sizeof(enum stop_rule) == sizeof(int) && sizeof(enum status) == sizeof(int) &&
                   sizeof(enum record_stop) == sizeof(int),
               "enums are read and written as int");

/* ---- writing ---- */

static void write_member(struct json_writer *writer, const struct member *m,
                         const struct record *record) {
    const void *at = (const char *)record + m->offset;
    switch (m->type) {
    case MEMBER_INT:
        json_write_int(writer, m->name, *(const int *)at);
        break;
    case MEMBER_LONG:
        json_write_int(writer, m->name, *(const int64_t *)at);
        break;
    case MEMBER_DOUBLE:
        json_write_number(writer, m->name, *(const double *)at);
        break;
    case MEMBER_BOOL:
        json_write_bool(writer, m->name, *(const bool *)at);
        break;
    case MEMBER_TEXT:
        json_write_string(writer, m->name, at);
        break;
    }
}

static void write_confusion(struct json_writer *writer, const struct confusion *confusion) {
    json_write_array(writer, "classes");
    const int n = confusion->n_classes;
    for (int i = 0; i < n; i++) {
        json_write_string(writer, NULL, confusion->class_names[i]);
    }
    json_write_end(writer, ']');
    json_write_array(writer, "counts");
    for (int i = 0; i < n * n; i++) {
        json_write_int(writer, NULL, confusion->counts[i / n][i % n]);
    }
    json_write_end(writer, ']');
}

char *record_write(const struct record *record) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_int(&writer, "n", record->report.number);
    json_write_int(&writer, "run", record->report.run_id);
    json_write_int(&writer, "attempt", record->report.attempt);
    json_write_string(&writer, "kind", kinds[record->kind].name);
    for (const struct member *m = kinds[record->kind].members; m->name; m++) {
        write_member(&writer, m, record);
    }
    if (record->kind == RECORD_CHECKPOINT && record->checkpoint.confusion) {
        write_confusion(&writer, record->checkpoint.confusion);
    }
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}

/* ---- reading ---- */

/* The largest whole number up to which all are exact in a double. */
static const double MOST_WHOLE = 9007199254740992.0;

static bool read_whole(const cJSON *item, double most, int64_t *ret) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
    if (!(fabs(value) <= most) || value != floor(value)) {
        return false;
    }
    *ret = (int64_t)value;
    return true;
}

static bool read_text(const cJSON *item, char *text, size_t size) {
    bool good = cJSON_IsString(item) && strlen(item->valuestring) < size;
    if (good) {
        memcpy(text, item->valuestring, strlen(item->valuestring) + 1);
    }
    return good;
}

static bool read_member(const struct member *m, const cJSON *item, struct record *record) {
    void *at = (char *)record + m->offset;
    int64_t whole = 0;
    bool good = false;
    switch (m->type) {
    case MEMBER_INT:
        good = read_whole(item, 2147483647.0, &whole);
        *(int *)at = (int)whole;
        break;
    case MEMBER_LONG:
        good = read_whole(item, MOST_WHOLE, at);
        break;
    case MEMBER_DOUBLE:
        good = cJSON_IsNumber(item) || cJSON_IsNull(item);
        *(double *)at = cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
        break;
    case MEMBER_BOOL:
        good = cJSON_IsBool(item);
        *(bool *)at = cJSON_IsTrue(item);
        break;
    case MEMBER_TEXT:
        good = read_text(item, at, m->size);
        break;
    }
    return good;
}

static bool read_confusion(const cJSON *tree, struct confusion *confusion) {
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(tree, "classes");
    const cJSON *counts = cJSON_GetObjectItemCaseSensitive(tree, "counts");
    const int n = cJSON_GetArraySize(classes);
    if (n < 1 || n > DATASET_MAX_CLASSES || cJSON_GetArraySize(counts) != n * n) {
        return false;
    }
    confusion->n_classes = n;
    const cJSON *item = NULL;
    int i = 0;
    cJSON_ArrayForEach(item, classes) {
        if (!read_text(item, confusion->class_names[i++], DATASET_CLASS_SIZE)) {
            return false;
        }
    }
    i = 0;
    cJSON_ArrayForEach(item, counts) {
        int64_t count = 0;
        if (!read_whole(item, 2147483647.0, &count) || count < 0) {
            return false;
        }
        confusion->counts[i / n][i % n] = (int)count;
        i++;
    }
    return true;
}

static bool read_head(const cJSON *tree, struct record *record) {
    int64_t attempt = 0;
    char name[16];
    if (!read_whole(cJSON_GetObjectItemCaseSensitive(tree, "n"), MOST_WHOLE,
                    &record->report.number) ||
        !read_whole(cJSON_GetObjectItemCaseSensitive(tree, "run"), MOST_WHOLE,
                    &record->report.run_id) ||
        !read_whole(cJSON_GetObjectItemCaseSensitive(tree, "attempt"), 2147483647.0, &attempt) ||
        !read_text(cJSON_GetObjectItemCaseSensitive(tree, "kind"), name, sizeof(name)) ||
        record->report.number < 1) {
        return false;
    }
    record->report.attempt = (int)attempt;
    int kind = 0;
    while (kind < RECORD_KINDS && strcmp(kinds[kind].name, name) != 0) {
        kind++;
    }
    record->kind = (enum record_kind)kind;
    return kind < RECORD_KINDS;
}

static bool read_members(const cJSON *tree, struct record *record) {
    for (const struct member *m = kinds[record->kind].members; m->name; m++) {
        if (!read_member(m, cJSON_GetObjectItemCaseSensitive(tree, m->name), record)) {
            return false;
        }
    }
    return (int)record->status >= 0 && (int)record->status <= STATUS_INTERNAL &&
           (unsigned)record->epoch.stopped_by < N_STOP_RULES && (int)record->stop >= 0 &&
           record->stop <= RECORD_STOP_SIGNAL;
}

enum status record_read(const char *text, size_t n_bytes, struct record *ret_record,
                        struct error *error) {
    CLEANUP(json_delete) cJSON *tree = NULL;
    struct error why = {.code = STATUS_OK};
    *ret_record = (struct record){.kind = RECORD_NOTE};
    enum status status = json_read(text, n_bytes, &tree, &why);
    if (status == STATUS_NO_MEMORY) {
        return error_set(error, status, "%s", why.message);
    }
    if (status != STATUS_OK || !read_head(tree, ret_record) || !read_members(tree, ret_record)) {
        return error_set(error, STATUS_CORRUPT, "a record of the journal is none: %.100s",
                         why.message);
    }
    if (ret_record->kind == RECORD_CHECKPOINT) {
        bool counted = cJSON_GetObjectItemCaseSensitive(tree, "counts") != NULL;
        if (counted && !read_confusion(tree, &ret_record->confusion)) {
            return error_set(error, STATUS_CORRUPT, "a record has counts that are none");
        }
        ret_record->checkpoint.path = ret_record->file;
        ret_record->checkpoint.sha256 = ret_record->sha256;
        ret_record->checkpoint.confusion = counted ? &ret_record->confusion : NULL;
    }
    return STATUS_OK;
}
