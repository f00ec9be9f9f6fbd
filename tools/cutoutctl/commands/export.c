/* export: histories as files for other programs. Layer: tools.
 *
 * A run's file is what its history says and nothing else, so that an export may be repeated: a file
 * that is the beginning of the new one grows, any other is replaced. runs.csv is written at the
 * end, when all that it lists is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/commands/event_file.h"

/* One export. */
struct export {
    const struct invocation *invocation;
    const char *directory;
    bool tensorboard; /* else CSV */
    FILE *runs;       /* of runs.csv; NULL: not begun, or none is wanted */
    char *runs_text;  /* what it has written; valid when it is closed */
    size_t n_runs_text;
    int n_exported;
};

static int trouble(const char *what, const char *path) {
    char message[512];
    (void)snprintf(message, sizeof(message), "%s %.400s: %s", what, path, strerror(errno));
    command_complain(message);
    return EXIT_TROUBLE;
}

static int no_memory(void) {
    command_complain("no memory");
    return EXIT_TROUBLE;
}

/* ---- files ---- */

static bool write_all(int fd, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t written = write(fd, at, n);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        at += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

/* fd < 0: it could not be opened. false: errno says why. */
static bool write_and_close(int fd, const void *bytes, size_t n) {
    bool written = fd >= 0 && write_all(fd, bytes, n);
    bool closed = fd < 0 || close(fd) == 0;
    return written && closed;
}

/* How many bytes the file has, if they are the first of `bytes`; -1: they are not, or there is no
 * such file. */
static off_t length_as_beginning(const char *path, const char *bytes, size_t n) {
    CLEANUP(close_file) FILE *file = fopen(path, "rb");
    off_t at = 0;
    char piece[4096];
    size_t n_read = 0;
    if (!file) {
        return -1;
    }
    while ((n_read = fread(piece, 1, sizeof(piece), file)) > 0) {
        if (n_read > n - (size_t)at || memcmp(piece, bytes + at, n_read) != 0) {
            return -1;
        }
        at += (off_t)n_read;
    }
    return ferror(file) ? -1 : at;
}

static int append_rest(const char *path, const char *bytes, size_t n) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return write_and_close(fd, bytes, n) ? EXIT_DONE : trouble("cannot write", path);
}

static int replace(const char *path, const char *bytes, size_t n) {
    CLEANUP(free_pointer) char *part = NULL;
    if (asprintf(&part, "%s.part", path) < 0) {
        part = NULL;
        return no_memory();
    }
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (write_and_close(fd, bytes, n) && rename(part, path) == 0) {
        return EXIT_DONE;
    }
    int status = trouble("cannot write", path);
    if (fd >= 0) {
        (void)unlink(part);
    }
    return status;
}

static int put_file(const char *path, const void *bytes, size_t n) {
    off_t there = length_as_beginning(path, bytes, n);
    return there < 0 ? replace(path, bytes, n)
                     : append_rest(path, (const char *)bytes + there, n - (size_t)there);
}

static int make_directory(const char *path) {
    return mkdir(path, 0777) == 0 || errno == EEXIST ? EXIT_DONE
                                                     : trouble("cannot make the directory", path);
}

/* ---- CSV ---- */

/* A cell as RFC 4180 wants it: null is empty, lists and objects are JSON. */
static void print_cell(FILE *out, const cJSON *value) {
    CLEANUP(free_pointer) char *json = NULL;
    const char *text = cJSON_GetStringValue(value);
    if (!text && value && !cJSON_IsNull(value)) {
        text = json = json_print(value);
    }
    bool plain = !text || !strpbrk(text, "\",\r\n");
    (void)fputs(plain ? "" : "\"", out);
    for (; text && *text; text++) {
        (void)fputs(*text == '"' ? "\"" : "", out);
        (void)fputc(*text, out);
    }
    (void)fputs(plain ? "" : "\"", out);
}

static void print_names(FILE *out, const cJSON *object) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object) {
        (void)fprintf(out, "%s%s", item == object->child ? "" : ",", item->string);
    }
}

static void print_cells(FILE *out, const cJSON *object) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object) {
        (void)fputs(item == object->child ? "" : ",", out);
        print_cell(out, item);
    }
}

/* A line of runs.csv: what it is called and how it went, then its configuration. */
static void print_run(struct export *export, const cJSON *run) {
    static const char *const members[] = {"id", "name", "state", "epochs_done", "best_epoch"};
    enum { N_MEMBERS = sizeof(members) / sizeof(members[0]) };
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(run, "config");
    if (export->n_exported == 0) {
        for (size_t i = 0; i < N_MEMBERS; i++) {
            (void)fprintf(export->runs, "%s,", members[i]);
        }
        print_names(export->runs, config);
    }
    (void)fputc('\n', export->runs);
    for (size_t i = 0; i < N_MEMBERS; i++) {
        print_cell(export->runs, cJSON_GetObjectItemCaseSensitive(run, members[i]));
        (void)fputc(',', export->runs);
    }
    print_cells(export->runs, config);
}

static int put_csv(struct export *export, const char *id, const cJSON *epochs) {
    CLEANUP(free_pointer) char *text = NULL;
    CLEANUP(free_pointer) char *path = NULL;
    size_t n = 0;
    FILE *out = text_stream_open(&text, &n);
    if (!out) {
        return no_memory();
    }
    print_names(out, epochs->child);
    const cJSON *epoch = NULL;
    cJSON_ArrayForEach(epoch, epochs) {
        (void)fputc('\n', out);
        print_cells(out, epoch);
    }
    (void)fputc('\n', out);
    if (!text_stream_close(out, &text) ||
        asprintf(&path, "%s/run-%s.csv", export->directory, id) < 0) {
        path = NULL;
        return no_memory();
    }
    return put_file(path, text, n);
}

/* ---- TensorBoard ---- */

/* Seconds since 1970 of an RFC 3339 time in UTC; 0: there is none. */
static double seconds_of(const char *text) {
    struct tm tm = {0};
    double seconds = 0;
    if (sscanf(text, "%d-%d-%dT%d:%d:%lfZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
               &tm.tm_min, &seconds) != 6) {
        return 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    return (double)timegm(&tm) + seconds;
}

/* The numbers of an epoch; those that it has not are left out. Returns how many. */
static size_t values_of(const cJSON *epoch, struct event_value values[], size_t most) {
    static const char *const tags[] = {"val_error",        "val_loss",       "val_accuracy",
                                       "train_loss",       "train_accuracy", "lr",
                                       "images_per_second"};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]) && n < most; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(epoch, tags[i]);
        if (cJSON_IsNumber(item)) {
            values[n++] = (struct event_value){tags[i], item->valuedouble};
        }
    }
    return n;
}

/* The time of an epoch's end is that of the start and the seconds of all epochs so far: the store
 * knows no other, and pauses are not in it. */
static int put_events(const struct export *export, const cJSON *run, const char *id,
                      const cJSON *epochs) {
    CLEANUP(free_pointer) char *path = NULL;
    struct event_file file = {0};
    double at = seconds_of(json_text(run, "started_at", ""));
    event_file_begin(&file, at);
    const cJSON *epoch = NULL;
    cJSON_ArrayForEach(epoch, epochs) {
        struct event_value values[8];
        size_t n = values_of(epoch, values, sizeof(values) / sizeof(values[0]));
        at += json_number(epoch, "seconds", 0);
        event_file_add(&file, at, (int64_t)json_number(epoch, "epoch", 0), values, n);
    }
    CLEANUP(free_pointer) unsigned char *bytes = file.bytes;
    if (file.failed || asprintf(&path, "%s/run-%s", export->directory, id) < 0) {
        path = NULL;
        return no_memory();
    }
    int status = make_directory(path);
    CLEANUP(free_pointer) char *name = NULL;
    if (status == EXIT_DONE && asprintf(&name, "%s/events.out.tfevents.cutoutd", path) < 0) {
        name = NULL;
        return no_memory();
    }
    return status == EXIT_DONE ? put_file(name, bytes, file.n) : status;
}

/* ---- runs ---- */

static int export_epochs(struct export *export, const cJSON *run, const cJSON *epochs) {
    const char *id = json_text(run, "id", "?");
    if (!cJSON_IsArray(epochs) || !epochs->child) {
        return EXIT_DONE; /* no history yet */
    }
    int status =
        export->tensorboard ? put_events(export, run, id, epochs) : put_csv(export, id, epochs);
    if (status == EXIT_DONE) {
        if (!export->tensorboard) {
            print_run(export, run);
        }
        export->n_exported++;
    }
    return status;
}

static int export_run(struct export *export, const char *id) {
    char path[96];
    int status = EXIT_DONE;
    CLEANUP(answer_clear) struct answer run = {0};
    (void)snprintf(path, sizeof(path), "/runs/%s", id);
    const struct call call = {.method = "GET", .path = path};
    bool answered = command_ask(export->invocation->client, &call, &run, &status);
    if (!answered && !export->invocation->client->print_curl) {
        return status;
    }
    (void)snprintf(path, sizeof(path), "/runs/%s/epochs?limit=1000", id);
    cJSON *epochs = command_ask_pages(export->invocation->client, path, &status);
    if (answered && epochs) {
        status = export_epochs(export, run.json, epochs);
    }
    cJSON_Delete(epochs);
    return status;
}

/* Every run that has a history. */
static int export_all(struct export *export) {
    int status = EXIT_DONE;
    cJSON *runs = command_ask_pages(export->invocation->client,
                                    "/runs?sort=id&fields=id,epochs_done&limit=500", &status);
    const cJSON *run = NULL;
    cJSON_ArrayForEach(run, runs) {
        if (status == EXIT_DONE && json_number(run, "epochs_done", 0) > 0) {
            status = export_run(export, json_text(run, "id", "?"));
        }
    }
    cJSON_Delete(runs);
    return status;
}

static int export_asked(struct export *export) {
    const struct invocation *invocation = export->invocation;
    int status = EXIT_DONE;
    if (invocation->n == 1) {
        return export_all(export);
    }
    for (int i = 1; i < invocation->n && status == EXIT_DONE; i++) {
        const char *id = invocation->arguments[i];
        if (!*id || id[strspn(id, "0123456789")]) {
            command_complain("what follows the directory are ids of runs");
            return EXIT_USAGE;
        }
        status = export_run(export, id);
    }
    return status;
}

/* Closes runs.csv and writes it, unless something is missing in it: status says how reading went.
 */
static int put_runs(struct export *export, int status) {
    CLEANUP(free_pointer) char *path = NULL;
    (void)fputc('\n', export->runs);
    bool failed = !text_stream_close(export->runs, &export->runs_text);
    if (status != EXIT_DONE || (!failed && export->n_exported == 0)) {
        return status;
    }
    if (failed || asprintf(&path, "%s/runs.csv", export->directory) < 0) {
        path = NULL;
        return no_memory();
    }
    return put_file(path, export->runs_text, export->n_runs_text);
}

int command_export(const struct invocation *invocation) {
    const char *to = invocation->to ? invocation->to : "";
    struct export export = {.invocation = invocation,
                            .directory = invocation->arguments[0],
                            .tensorboard = strcmp(to, "tensorboard") == 0};
    if (!export.tensorboard && strcmp(to, "csv") != 0) {
        command_complain("export needs --to tensorboard or --to csv");
        return EXIT_USAGE;
    }
    if (invocation->client->print_curl) {
        return export_asked(&export);
    }
    int status = make_directory(export.directory);
    if (status == EXIT_DONE && !export.tensorboard) {
        export.runs = text_stream_open(&export.runs_text, &export.n_runs_text);
        status = export.runs ? EXIT_DONE : no_memory();
    }
    if (status == EXIT_DONE) {
        status = export_asked(&export);
    }
    if (export.runs) {
        status = put_runs(&export, status);
    }
    free(export.runs_text);
    if (status == EXIT_DONE && !invocation->quiet) {
        (void)printf("%d %s in %s\n", export.n_exported,
                     export.n_exported == 1 ? "run is" : "runs are", export.directory);
    }
    return status;
}
