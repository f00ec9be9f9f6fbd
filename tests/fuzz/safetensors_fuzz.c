/* Checkpoint files: the input is how many bytes of data there are (four bytes, the lowest first,
 * taken modulo 4 MiB), and then the header. The data are zeros. */
#include "core/nn/arithmetic.h"
#include "core/train/checkpoint.h"
#include "core/train/safetensors.h"
#include "tests/fuzz/fuzz_file.h"
#include "tests/fuzz/json_mutator.h"

const size_t fuzz_json_offset = 4;

static struct fuzz_file make_file(const uint8_t *data, size_t size) {
    uint64_t n_data = (data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16) % (4u << 20);
    uint64_t n_header = size - 4;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(n_header >> 8 * i);
    }
    struct fuzz_file file = fuzz_file_make(length, sizeof(length));
    REQUIRE(write(file.fd, data + 4, n_header) == (ssize_t)n_header);
    REQUIRE(ftruncate(file.fd, (off_t)(sizeof(length) + n_header + n_data)) == 0);
    return file;
}

/* All that the file says it has is there. */
static void require_readable(const struct safetensors *file) {
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const struct safetensors_tensor *tensor = safetensors_at(file, i);
        size_t n = (size_t)safetensors_numbers(tensor) * (tensor->dtype == SAFETENSORS_F32 ? 4 : 8);
        const unsigned char *bytes = tensor->data;
        for (size_t k = 0; k < n; k += 512) {
            sum += bytes[k];
        }
        sum += n > 0 ? bytes[n - 1] : 0;
        REQUIRE(safetensors_find(file, tensor->name) != NULL);
    }
    const char *state = safetensors_metadata_value(file, "state");
    REQUIRE(sum == 0 && (!state || strlen(state) < (1u << 20)));
}

/* A run of depth 8, as the trainer would go on with it. */
static struct checkpoint_contents *shared_contents(void) {
    static struct run_config config;
    static struct resnet net;
    static struct train_state state;
    static char arithmetic[ARITHMETIC_TEXT_SIZE];
    static struct checkpoint_contents contents;
    static float *values;
    if (!values) {
        config = run_preset_find("notebook-q2")->config;
        (void)snprintf(config.dataset, sizeof(config.dataset), "shapes");
        config.depth = 8;
        REQUIRE(resnet_plan(8, &net, NULL) == STATUS_OK);
        values = calloc(net.n_params + net.n_moving, sizeof(float));
        engine_arithmetic(&kernels_ref, false, false, arithmetic);
        contents = (struct checkpoint_contents){.config = &config,
                                                .kernels_name = kernels_ref.name,
                                                .arithmetic = arithmetic,
                                                .net = &net,
                                                .params = values,
                                                .moving = values + net.n_params,
                                                .state = &state,
                                                .foreign = true,
                                                .any_arithmetic = true};
        REQUIRE(values && optimizer_create(&config, &net, &contents.optimizer, NULL) == STATUS_OK);
    }
    return &contents;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) {
        return 0;
    }
    struct safetensors *tensors = NULL;
    struct error error = {.message = ""};
    struct fuzz_file file = make_file(data, size);
    bool good = safetensors_read(file.path, NULL, &tensors, &error) == STATUS_OK;
    if (good) {
        require_readable(tensors);
        safetensors_free(tensors);
    } else {
        require_text(error.message, sizeof(error.message));
    }
    struct checkpoint_contents *contents = shared_contents();
    if (checkpoint_read(file.path, NULL, contents, &error) == STATUS_OK) {
        REQUIRE(good && contents->state->epochs_done >= 0 && contents->state->step >= 0);
    } else {
        REQUIRE(error.message[0] != '\0');
        require_text(error.message, sizeof(error.message));
    }
    fuzz_file_close(&file);
    return 0;
}
