/* Layer: api. */
#include "api/view/owner_view.h"

/* 0: there is none. */
static void write_limit(struct json_writer *writer, const char *key, int64_t most) {
    if (most > 0) {
        json_write_int(writer, key, most);
    } else {
        json_write_null(writer, key);
    }
}

void owner_limits_write(struct json_writer *writer, const struct api_context *context) {
    const struct config *config = api_config(context);
    json_write_object(writer, "limits");
    write_limit(writer, "max_running", config->max_running);
    write_limit(writer, "max_queued", config->max_queued);
    json_write_int(writer, "max_priority", config->max_priority);
    write_limit(writer, "max_checkpoint_bytes", config->max_disk_bytes);
    write_limit(writer, "half_life_s", config->half_life_s);
    json_write_end(writer, '}');
}

void owner_write(struct json_writer *writer, const struct api_context *context,
                 const struct owner_row *row) {
    json_write_object(writer, NULL);
    json_write_string(writer, "owner", row->name[0] ? row->name : NULL);
    json_write_int(writer, "running", row->n_running);
    json_write_int(writer, "queued", row->n_queued);
    json_write_int(writer, "held", row->n_held);
    json_write_int(writer, "checkpoint_bytes", row->n_disk_bytes);
    json_write_object(writer, "core_seconds");
    json_write_number(writer, "day", row->day);
    json_write_number(writer, "week", row->week);
    json_write_number(writer, "month", row->month);
    if (api_config(context)->half_life_s > 0) {
        json_write_number(writer, "recent", row->recent);
    } else {
        json_write_null(writer, "recent");
    }
    json_write_end(writer, '}');
    owner_limits_write(writer, context);
    json_write_end(writer, '}');
}
