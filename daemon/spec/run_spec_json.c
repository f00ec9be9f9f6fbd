/* Layer: daemon. */
#include "daemon/spec/run_spec_json.h"

static void write_schedule(struct json_writer *writer, const struct run_config *config) {
    switch (config->lr_schedule) {
    case LR_SCHEDULE_COSINE:
        json_write_string(writer, "lr_schedule", "cosine");
        return;
    case LR_SCHEDULE_STEPS:
        break;
    }
    if (config->n_lr_steps == 0) {
        json_write_string(writer, "lr_schedule", "constant");
        return;
    }
    json_write_array(writer, "lr_schedule");
    for (int i = 0; i < config->n_lr_steps; i++) {
        json_write_object(writer, NULL);
        json_write_int(writer, "epoch", config->lr_steps[i].epoch);
        json_write_number(writer, "lr", config->lr_steps[i].lr);
        json_write_end(writer, '}');
    }
    json_write_end(writer, ']');
}

void run_config_write(struct json_writer *writer, const struct run_config *config) {
    json_write_string(writer, "preset", config->preset);
    json_write_string(writer, "dataset", config->dataset);
    json_write_int(writer, "depth", config->depth);
    json_write_int(writer, "epochs", config->epochs);
    json_write_int(writer, "batch_size", config->batch_size);
    json_write_int(writer, "m", config->m);
    json_write_string(writer, "copies", copies_name(config->copies));
    json_write_int(writer, "cutout_size", config->cutout_size);
    json_write_int(writer, "cutout_squares", config->cutout_squares);
    json_write_number(writer, "shift", config->shift);
    json_write_bool(writer, "flip", config->flip);
    json_write_int(writer, "crop_pad", config->crop_pad);
    json_write_string(writer, "normalise", normalise_name(config->normalise));
    json_write_bool(writer, "drop_last", config->drop_last);
    json_write_string(writer, "optimizer", optimizer_name(config->optimizer));
    json_write_number(writer, "lr", config->lr);
    json_write_number(writer, "momentum", config->momentum);
    json_write_bool(writer, "nesterov", config->nesterov);
    write_schedule(writer, config);
    json_write_bool(writer, "lr_plateau", config->lr_plateau);
    json_write_number(writer, "l2", config->l2);
    json_write_bool(writer, "l2_dense", config->l2_dense);
    json_write_uint(writer, "seed", config->seed);
    json_write_int(writer, "train_images", config->train_images);
    json_write_int(writer, "test_images", config->test_images);
    json_write_string(writer, "conv_algorithm", conv_algorithm_name(config->conv_algorithm));
    json_write_bool(writer, "stop_on_nan", config->stop_on_nan);
}

void run_labels_write(struct json_writer *writer, const char *key, const struct run_spec *spec) {
    json_write_object(writer, key);
    for (int i = 0; i < spec->n_labels; i++) {
        json_write_string(writer, spec->labels[i].key, spec->labels[i].value);
    }
    json_write_end(writer, '}');
}

char *run_spec_to_json(const struct run_spec *spec) {
    struct json_writer writer = {0};
    json_write_object(&writer, NULL);
    json_write_string(&writer, "name", spec->name);
    run_config_write(&writer, &spec->config);
    json_write_int(&writer, "priority", spec->priority);
    run_labels_write(&writer, "labels", spec);
    json_write_end(&writer, '}');
    return json_write_take(&writer);
}
