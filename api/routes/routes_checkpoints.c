/* GET /runs/{id}/checkpoints, the files themselves, and POST /runs/{id}/checkpoint. Layer: api. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/http/byte_range.h"
#include "api/routes/routes.h"
#include "core/base/cleanup.h"
#include "core/base/time_text.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/table/checkpoint_table.h"

static void write_item(struct json_writer *writer, int64_t run_id,
                       const struct checkpoint_list *list, const struct checkpoint_row *row) {
    char time[TIME_TEXT_SIZE];
    char path[96];
    const char *kind = checkpoint_kind_name(row->kind);
    json_write_object(writer, NULL);
    json_write_string(writer, "kind", kind);
    json_write_int(writer, "bytes", row->n_bytes);
    json_write_string(writer, "sha256", row->sha256);
    json_write_int(writer, "epochs_done", row->epochs_done);
    json_write_int(writer, "step", row->step);
    json_write_string(writer, "at", time_format(row->at_ms, time));
    json_write_object(writer, "links");
    if (checkpoint_list_newest(list, row->kind) == row) {
        (void)snprintf(path, sizeof(path), "/api/v1/runs/%" PRId64 "/checkpoints/%s.safetensors",
                       run_id, kind);
        json_write_link(writer, "download", path);
    }
    json_write_end(writer, '}');
    json_write_end(writer, '}');
}

void route_checkpoint_list(struct api_context *context, const struct request *request,
                           struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    struct error error;
    if (!route_find_run(context, request, reply, &run)) {
        return;
    }
    if (checkpoint_table_list(context->options.store, run.id, &list, &error) != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    struct json_writer writer = {.link_prefix = request->prefix};
    json_write_object(&writer, NULL);
    json_write_array(&writer, "items");
    for (size_t i = 0; i < list.n; i++) {
        write_item(&writer, run.id, &list, &list.rows[i]);
    }
    reply_page(reply, request, &writer, NULL);
}

/* "best", "best.safetensors", "last", "last.safetensors". */
static bool read_kind(const char *name, enum checkpoint_kind *ret_kind) {
    for (int kind = CHECKPOINT_LAST; kind <= CHECKPOINT_BEST; kind++) {
        const char *text = checkpoint_kind_name((enum checkpoint_kind)kind);
        size_t n = strlen(text);
        if (strncmp(name, text, n) == 0 &&
            (name[n] == '\0' || strcmp(name + n, ".safetensors") == 0)) {
            *ret_kind = (enum checkpoint_kind)kind;
            return true;
        }
    }
    return false;
}

/* Opens the file of the newest row of the kind. A running run replaces its files: one that is gone
 * by now has a newer row. STATUS_NOT_FOUND: there is none. */
static enum status open_newest(struct api_context *context, int64_t run_id,
                               enum checkpoint_kind kind, struct checkpoint_row *ret_row,
                               int *ret_fd, struct error *error) {
    enum { ATTEMPTS = 5 };
    for (int i = 0; i < ATTEMPTS; i++) {
        CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
        char path[CONFIG_TEXT_SIZE + CHECKPOINT_ROW_PATH_SIZE + 32];
        TRY(checkpoint_table_list(context->options.store, run_id, &list, error));
        const struct checkpoint_row *row = checkpoint_list_newest(&list, kind);
        if (!row) {
            return error_set(error, STATUS_NOT_FOUND, "run %" PRId64 " has no checkpoint %s yet",
                             run_id, checkpoint_kind_name(kind));
        }
        state_dir_run_path(api_config(context)->state_dir, run_id, row->path, path, sizeof(path));
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
            *ret_row = *row;
            *ret_fd = fd;
            return STATUS_OK;
        }
        if (errno != ENOENT) {
            return error_set_errno(error, errno, "cannot open %s", path);
        }
    }
    return error_set(error, STATUS_IO, "the checkpoint %s of run %" PRId64 " is not on the disk",
                     checkpoint_kind_name(kind), run_id);
}

/* The digest is the ETag: bytes that have changed on the disk are not given under it. */
static enum status check_bytes(int fd, int64_t run_id, const struct checkpoint_row *row,
                               struct error *error) {
    char digest[SHA256_HEX_SIZE];
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size != row->n_bytes) {
        return error_set(error, STATUS_CORRUPT,
                         "the checkpoint %s of run %" PRId64 " does not have its %" PRId64 " bytes",
                         row->path, run_id, row->n_bytes);
    }
    TRY(sha256_fd(fd, row->path, digest, error));
    return strcmp(digest, row->sha256) == 0 ? STATUS_OK
                                            : error_set(error, STATUS_CORRUPT,
                                                        "the checkpoint %s of run %" PRId64
                                                        " is damaged: its SHA-256 is %s, it was %s",
                                                        row->path, run_id, digest, row->sha256);
}

static void reply_unsatisfiable(struct reply *reply, const struct request *request,
                                int64_t n_bytes) {
    reply_http_problem(reply, request, 416, "range-not-satisfiable", "Range not satisfiable",
                       "The range begins behind the end of the file.");
    (void)snprintf(reply->content_range, sizeof(reply->content_range), "bytes */%" PRId64, n_bytes);
}

/* The bytes that were asked for, out of fd, which is the reply's from here on. */
static void reply_part(struct reply *reply, const struct request *request,
                       const struct checkpoint_row *row, int fd) {
    char weak[sizeof(reply->etag) + 2];
    int64_t first = 0;
    int64_t n = row->n_bytes;
    reply->file = (struct reply_file){.open = true, .fd = fd};
    (void)snprintf(reply->etag, sizeof(reply->etag), "\"%s\"", row->sha256);
    (void)snprintf(weak, sizeof(weak), "W/%s", reply->etag);
    if (request_has_tag(request, weak)) {
        reply_clear(reply);
        reply->http_status = 304;
        return;
    }
    bool same = !request->if_range[0] || strcmp(request->if_range, reply->etag) == 0;
    bool asked = same && strcmp(request->method, "GET") == 0;
    enum byte_range range = byte_range_parse(asked ? request->range : "", row->n_bytes, &first, &n);
    if (range == BYTE_RANGE_UNSATISFIABLE) {
        reply_unsatisfiable(reply, request, row->n_bytes);
        return;
    }
    reply->file.first = (uint64_t)first;
    reply->file.n_bytes = (uint64_t)n;
    reply->http_status = range == BYTE_RANGE_PART ? 206 : 200;
    reply->content_type = CONTENT_BYTES;
    if (range == BYTE_RANGE_PART) {
        (void)snprintf(reply->content_range, sizeof(reply->content_range),
                       "bytes %" PRId64 "-%" PRId64 "/%" PRId64, first, first + n - 1,
                       row->n_bytes);
    }
}

void route_checkpoint_download(struct api_context *context, const struct request *request,
                               struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    enum checkpoint_kind kind;
    struct checkpoint_row row;
    struct error error;
    CLEANUP(close_fd) int fd = -1;
    if (!route_find_run(context, request, reply, &run)) {
        return;
    }
    if (!read_kind(request->parameters[1], &kind)) {
        reply_problem(reply, request, STATUS_NOT_FOUND,
                      "Checkpoints are best.safetensors and last.safetensors.");
        return;
    }
    enum status status = open_newest(context, run.id, kind, &row, &fd, &error);
    if (status == STATUS_OK) {
        status = check_bytes(fd, run.id, &row, &error);
    }
    if (status != STATUS_OK) {
        reply_error(reply, request, &error);
        return;
    }
    int given = fd;
    fd = -1;
    reply_part(reply, request, &row, given);
    if (reply->file.open) {
        (void)snprintf(reply->content_disposition, sizeof(reply->content_disposition),
                       "attachment; filename=\"run-%" PRId64 "-%s.safetensors\"", run.id,
                       checkpoint_kind_name(kind));
    }
}

/* POST /runs/{id}/checkpoint */
void route_checkpoint_save(struct api_context *context, const struct request *request,
                           struct reply *reply) {
    CLEANUP(run_row_clear) struct run_row run = {0};
    if (!route_find_run(context, request, reply, &run)) {
        return;
    }
    if (run.state != RUN_RUNNING) {
        reply_problem(reply, request, STATUS_CONFLICT,
                      "Run %" PRId64 " is %s; only running runs are asked for a checkpoint.",
                      run.id, run_state_name(run.state));
    } else if (!pool_checkpoint(context->options.pool, run.id)) {
        reply_problem(reply, request, STATUS_CONFLICT,
                      "Run %" PRId64 " begins or ends at this moment; ask again.", run.id);
    } else {
        route_reply_run(context, request, reply, 202, &run);
    }
}
