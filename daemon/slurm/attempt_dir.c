/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/attempt_dir.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "daemon/config/text_file.h"
#include "daemon/spec/json_tree.h"
#include "daemon/spec/json_write.h"

enum { FORM = 1, MOST_ORDER_BYTES = 1 << 20, MOST_REQUEST_BYTES = 4096, MOST_CHECKPOINTS = 64 };

enum status attempt_path(const char *directory, const char *name, char ret_path[ATTEMPT_PATH_SIZE],
                         struct error *error) {
    int n = snprintf(ret_path, ATTEMPT_PATH_SIZE, "%s/%s", directory, name);
    return n > 0 && n < ATTEMPT_PATH_SIZE
               ? STATUS_OK
               : error_set(error, STATUS_INVALID, "the path of %s is too long", name);
}

/* ---- the order ---- */

static void write_checkpoints(struct json_writer *writer, const struct checkpoint_list *list) {
    json_write_array(writer, "checkpoints");
    for (size_t i = 0; i < list->n; i++) {
        json_write_object(writer, NULL);
        json_write_string(writer, "file", list->rows[i].path);
        json_write_string(writer, "sha256", list->rows[i].sha256);
        json_write_int(writer, "epochs_done", list->rows[i].epochs_done);
        json_write_int(writer, "step", list->rows[i].step);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

enum status attempt_order_write(const char *directory, const struct attempt_order *order,
                                struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    struct json_writer writer = {0};
    TRY(attempt_path(directory, "attempt.json", path, error));
    json_write_object(&writer, NULL);
    json_write_int(&writer, "form", FORM);
    json_write_int(&writer, "run", order->run.id);
    json_write_int(&writer, "attempt", order->run.attempt);
    json_write_string(&writer, "handle", order->run.handle);
    json_write_int(&writer, "epochs", order->run.epochs);
    json_write_int(&writer, "interruptions", order->run.interruptions);
    json_write_int(&writer, "forked_from", order->run.forked_from);
    json_write_int(&writer, "forked_epoch", order->run.forked_epoch);
    json_write_string(&writer, "arithmetic", order->run.arithmetic);
    json_write_string(&writer, "dataset", order->run.dataset);
    json_write_string(&writer, "dataset_sha256", order->run.dataset_sha256);
    json_write_string(&writer, "dataset_directory", order->dataset_directory);
    json_write_int(&writer, "shapes_train", order->shapes_train);
    json_write_int(&writer, "shapes_test", order->shapes_test);
    json_write_string(&writer, "isa", order->isa);
    json_write_int(&writer, "threads", order->n_threads);
    json_write_int(&writer, "checkpoint_interval_s", order->checkpoint_interval_s);
    json_write_bool(&writer, "any_arithmetic", order->any_arithmetic);
    json_write_string(&writer, "config", order->run.config_json); /* as text: each digit counts */
    write_checkpoints(&writer, &order->checkpoints);
    json_write_end(&writer, '}');
    CLEANUP(free_pointer) char *text = json_write_take(&writer);
    return text ? text_file_write(path, text, error)
                : error_set(error, STATUS_NO_MEMORY, "no memory for %s", path);
}

/* One that is missing or wrong makes the whole order wrong. */
struct order_reader {
    const cJSON *tree;
    bool good;
};

static int64_t whole(struct order_reader *r, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->tree, name);
    bool good = cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 0x1p53;
    r->good = r->good && good;
    return good ? (int64_t)item->valuedouble : 0;
}

static int whole_int(struct order_reader *r, const char *name) {
    int64_t value = whole(r, name);
    r->good = r->good && value <= 2147483647;
    return r->good ? (int)value : 0;
}

static void words(struct order_reader *r, const char *name, char *text, size_t size) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(r->tree, name);
    r->good = r->good && cJSON_IsString(item) && strlen(item->valuestring) < size;
    if (r->good) {
        memcpy(text, item->valuestring, strlen(item->valuestring) + 1);
    }
}

static void read_checkpoints(struct order_reader *r, struct checkpoint_list *list) {
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(r->tree, "checkpoints");
    const cJSON *item = NULL;
    int n = cJSON_GetArraySize(items);
    r->good = r->good && cJSON_IsArray(items) && n <= MOST_CHECKPOINTS;
    list->rows = r->good && n > 0 ? calloc((size_t)n, sizeof(*list->rows)) : NULL;
    r->good = r->good && (n == 0 || list->rows);
    if (!r->good) {
        return;
    }
    cJSON_ArrayForEach(item, items) {
        struct order_reader one = {item, true};
        struct checkpoint_row *row = &list->rows[list->n++];
        words(&one, "file", row->path, sizeof(row->path));
        words(&one, "sha256", row->sha256, sizeof(row->sha256));
        row->epochs_done = whole_int(&one, "epochs_done");
        row->step = whole_int(&one, "step");
        r->good = r->good && one.good && !strchr(row->path, '/');
    }
}

static void read_members(struct order_reader *r, struct attempt_order *order) {
    struct run_row *run = &order->run;
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(r->tree, "config");
    r->good = whole(r, "form") == FORM && cJSON_IsString(config);
    run->id = whole(r, "run");
    run->attempt = whole_int(r, "attempt");
    words(r, "handle", run->handle, sizeof(run->handle));
    run->epochs = whole_int(r, "epochs");
    run->interruptions = whole_int(r, "interruptions");
    run->forked_from = whole(r, "forked_from");
    run->forked_epoch = whole_int(r, "forked_epoch");
    words(r, "arithmetic", run->arithmetic, sizeof(run->arithmetic));
    words(r, "dataset", run->dataset, sizeof(run->dataset));
    words(r, "dataset_sha256", run->dataset_sha256, sizeof(run->dataset_sha256));
    words(r, "dataset_directory", order->dataset_directory, sizeof(order->dataset_directory));
    order->shapes_train = whole_int(r, "shapes_train");
    order->shapes_test = whole_int(r, "shapes_test");
    words(r, "isa", order->isa, sizeof(order->isa));
    order->n_threads = whole_int(r, "threads");
    order->checkpoint_interval_s = whole_int(r, "checkpoint_interval_s");
    order->any_arithmetic =
        cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(r->tree, "any_arithmetic"));
    read_checkpoints(r, &order->checkpoints);
    run->config_json = r->good ? strdup(config->valuestring) : NULL;
    r->good = r->good && run->config_json && run->id > 0 && run->attempt > 0 &&
              order->n_threads >= 1 && order->n_threads <= 64;
}

enum status attempt_order_read(const char *directory, struct attempt_order *ret_order,
                               struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    CLEANUP(free_pointer) char *text = NULL;
    CLEANUP(json_delete) cJSON *tree = NULL;
    size_t n_bytes = 0;
    TRY(attempt_path(directory, "attempt.json", path, error));
    TRY(text_file_read(path, MOST_ORDER_BYTES, &text, &n_bytes, error));
    struct attempt_order order = {.isa = ""};
    struct order_reader reader = {NULL, json_read(text, n_bytes, &tree, NULL) == STATUS_OK};
    if (reader.good) {
        reader.tree = tree;
        read_members(&reader, &order);
    }
    if (!reader.good) {
        attempt_order_clear(&order);
        return error_set(error, STATUS_CORRUPT,
                         "%s is not what this version of cutoutd writes; the nodes must have the "
                         "version of the daemon",
                         path);
    }
    *ret_order = order;
    return STATUS_OK;
}

void attempt_order_clear(struct attempt_order *order) {
    run_row_clear(&order->run);
    checkpoint_list_clear(&order->checkpoints);
    memset(order, 0, sizeof(*order));
}

/* ---- requests ---- */

enum status attempt_requests_write(const char *directory, const struct attempt_requests *requests,
                                   struct error *error) {
    char path[ATTEMPT_PATH_SIZE];
    char text[64];
    TRY(attempt_path(directory, "requests", path, error));
    (void)snprintf(text, sizeof(text), "checkpoint %d\n%s%s", requests->n_checkpoints,
                   requests->stop ? "stop\n" : "", requests->kill ? "kill\n" : "");
    return text_file_write(path, text, error);
}

void attempt_requests_read(const char *directory, struct attempt_requests *requests) {
    static const char checkpoint[] = "checkpoint ";
    char path[ATTEMPT_PATH_SIZE];
    CLEANUP(free_pointer) char *text = NULL;
    size_t n_bytes = 0;
    if (attempt_path(directory, "requests", path, NULL) != STATUS_OK ||
        text_file_read(path, MOST_REQUEST_BYTES, &text, &n_bytes, NULL) != STATUS_OK) {
        return;
    }
    char *rest = NULL;
    for (const char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, checkpoint, strlen(checkpoint)) == 0) {
            (void)text_to_int(line + strlen(checkpoint), 0, 2147483646, &requests->n_checkpoints);
        }
        requests->stop = requests->stop || strcmp(line, "stop") == 0;
        requests->kill = requests->kill || strcmp(line, "kill") == 0;
    }
}
