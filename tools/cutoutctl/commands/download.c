/* figure and checkpoint: files of the daemon. Layer: tools. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/cleanup.h"
#include "core/base/sha256.h"
#include "tools/cutoutctl/table.h"
#include "tools/cutoutctl/values.h"

/* Writes what came to `path` by way of "PATH.part", so that a file of before stays when it breaks
 * off. check: the tag is the SHA-256 of the file. */
static int download_into(const struct invocation *invocation, const struct call *call,
                         const char *path, bool check) {
    CLEANUP(free_pointer) char *part = NULL;
    char tag[TAG_SIZE];
    char sha256[SHA256_HEX_SIZE] = "";
    struct error error;
    if (asprintf(&part, "%s.part", path) < 0) {
        part = NULL;
        return EXIT_TROUBLE;
    }
    FILE *out = fopen(part, "wbe");
    if (!out) {
        (void)error_set(&error, STATUS_IO, "cannot write %s: %s", part, strerror(errno));
        return command_refuse(&error);
    }
    enum status status = client_download(invocation->client, call, out, tag, &error);
    bool full = status != STATUS_OK && ferror(out);
    if (fclose(out) != 0 && status == STATUS_OK) {
        status = client_say_unwritable(errno, &error);
        full = true;
    }
    if (full) {
        error_prefix(&error, "%s", part);
    }
    if (status == STATUS_OK && check) {
        status = sha256_file(part, sha256, &error);
        if (status == STATUS_OK && strcmp(sha256, tag) != 0) {
            status =
                error_set(&error, STATUS_IO, "what arrived is not the file: its SHA-256 differs");
        }
    }
    if (status == STATUS_OK && rename(part, path) != 0) {
        status = error_set(&error, STATUS_IO, "cannot write %s: %s", path, strerror(errno));
    }
    if (status != STATUS_OK) {
        (void)remove(part);
        command_complain(error.message);
        return status == STATUS_INVALID ? EXIT_REFUSED : EXIT_TROUBLE;
    }
    (void)printf("%s\n", path);
    return EXIT_DONE;
}

static int download(const struct invocation *invocation, const struct call *call, const char *path,
                    bool check) {
    if (invocation->client->print_curl) {
        client_print_curl(invocation->client, call);
        return EXIT_DONE;
    }
    if (strcmp(path, "-") != 0) {
        return download_into(invocation, call, path, check);
    }
    char tag[TAG_SIZE];
    struct error error;
    enum status status = client_download(invocation->client, call, stdout, tag, &error);
    if (status != STATUS_OK) {
        command_complain(error.message);
    }
    return status == STATUS_OK ? EXIT_DONE : status == STATUS_INVALID ? EXIT_REFUSED : EXIT_TROUBLE;
}

/* "pdf" of "curves.pdf"; NULL: it is none of the three. */
static const char *kind_of(const char *file) {
    static const char *const kinds[] = {"pdf", "svg", "png"};
    const char *dot = file ? strrchr(file, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(dot + 1, kinds[i]) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

static int draw(const struct invocation *invocation, const char *figure, const char *kind,
                const char *query) {
    CLEANUP(free_pointer) char *path = NULL;
    if (asprintf(&path, "/figures/%s.%s%s", figure, kind, query) < 0) {
        path = NULL;
        return EXIT_TROUBLE;
    }
    const struct call call = {.method = "GET", .path = path};
    return download(invocation, &call, invocation->file, false);
}

int command_figure(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *query = NULL;
    struct error error;
    const char *kind = kind_of(invocation->file);
    if (!kind) {
        (void)error_set(
            &error, STATUS_INVALID,
            "-o FILE says where the figure goes: its name ends with .pdf, .svg or .png");
        return command_refuse(&error);
    }
    if (values_to_selection(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    return draw(invocation, "validation-error", kind, query);
}

int command_figure_cutout(const struct invocation *invocation) {
    CLEANUP(free_pointer) char *query = NULL;
    struct error error;
    const char *kind = kind_of(invocation->file);
    if (!kind || strcmp(kind, "png") != 0) {
        (void)error_set(&error, STATUS_INVALID,
                        "-o FILE.png says where the picture goes, which is a PNG");
        return command_refuse(&error);
    }
    if (values_to_query(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    return draw(invocation, "cutout", "png", query);
}

/* ---- checkpoints ---- */

static const struct column checkpoint_columns[] = {
    {.title = "kind", .path = "kind"},
    {.title = "epochs", .path = "epochs_done", .kind = CELL_NUMBER},
    {.title = "step", .path = "step", .kind = CELL_NUMBER, .rank = 3},
    {.title = "size", .path = "bytes", .kind = CELL_BYTES, .rank = 2},
    {.title = "written", .path = "at", .kind = CELL_TIME, .rank = 1},
    {.title = "sha256", .path = "sha256", .rank = WIDE},
};

int command_checkpoint_list(const struct invocation *invocation) {
    char path[64];
    (void)snprintf(path, sizeof(path), "/runs/%s/checkpoints", invocation->arguments[0]);
    return table_ask(invocation, path, checkpoint_columns,
                     sizeof(checkpoint_columns) / sizeof(checkpoint_columns[0]));
}

int command_checkpoint_get(const struct invocation *invocation) {
    const char *kind = invocation->n > 1 ? invocation->arguments[1] : "best";
    char path[96];
    char file[96];
    struct error error;
    if (strcmp(kind, "best") != 0 && strcmp(kind, "last") != 0) {
        (void)error_set(&error, STATUS_INVALID, "\"%.40s\" is neither best nor last", kind);
        return command_refuse(&error);
    }
    (void)snprintf(path, sizeof(path), "/runs/%s/checkpoints/%s.safetensors",
                   invocation->arguments[0], kind);
    (void)snprintf(file, sizeof(file), "run-%s-%s.safetensors", invocation->arguments[0], kind);
    const struct call call = {.method = "GET", .path = path};
    return download(invocation, &call, invocation->file ? invocation->file : file, true);
}

int command_checkpoint_save(const struct invocation *invocation) {
    int worst = EXIT_DONE;
    for (int i = 0; i < invocation->n && worst != EXIT_TROUBLE; i++) {
        char path[64];
        char said[96];
        (void)snprintf(path, sizeof(path), "/runs/%s/checkpoint", invocation->arguments[i]);
        (void)snprintf(said, sizeof(said), "Run %s writes a checkpoint after this step.",
                       invocation->arguments[i]);
        int status = command_do(invocation, "POST", path, said);
        worst = status > worst ? status : worst;
    }
    return worst;
}
