/* Config files. */
#include "core/base/text_stream.h"
#include "daemon/config/config.h"
#include "tests/fuzz/fuzz_file.h"

static void require_good(const struct config *config, const struct fuzz_file *file) {
    struct error error;
    static struct config again;
    char *no_environment[] = {NULL};
    char *printed = NULL;
    size_t n_printed = 0;
    FILE *out = text_stream_open(&printed, &n_printed);
    REQUIRE(config->workers >= 1 && config->threads_per_run >= 1 && config->memory_limit_bytes > 0);
    REQUIRE(config->n_datasets >= 0 && config->n_datasets <= CONFIG_MAX_DATASETS);
    REQUIRE(config->conv_algorithm != CONV_AUTO);
    REQUIRE(out != NULL);
    config_print(config, out);
    REQUIRE(fclose(out) == 0 && n_printed > 0);
    free(printed);
    REQUIRE(config_load(0, NULL, no_environment, file->path, &again, &error) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config config;
    static struct config_problems problems;
    char *no_environment[] = {NULL};
    struct fuzz_file file = fuzz_file_make(data, size);
    problems.n = 0;
    config_load_all(0, NULL, no_environment, file.path, &config, &problems);
    if (problems.n == 0) {
        require_good(&config, &file);
    }
    for (int i = 0; i < problems.n && i < CONFIG_MAX_PROBLEMS; i++) {
        REQUIRE(problems.items[i].message[0] != '\0');
        require_text(problems.items[i].message, sizeof(problems.items[i].message));
    }
    fuzz_file_close(&file);
    return 0;
}
