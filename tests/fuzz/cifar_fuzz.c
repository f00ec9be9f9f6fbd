/* Directories of CIFAR-10 and CIFAR-100: the input is the files one after the other, each behind
 * two bytes of its length, the higher first. One of length 65,535 is not there. */
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/data/dataset.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {"data_batch_1.bin",    "test_batch.bin",   "batches.meta.txt",
                                    "data_batch_2.bin",    "data_batch_3.bin", "data_batch_4.bin",
                                    "data_batch_5.bin",    "train.bin",        "test.bin",
                                    "fine_label_names.txt"};
enum { TEST = 1, META = 2, TRAIN_100 = 7, N_NAMES = sizeof(names) / sizeof(names[0]) };

static char directory[] = "/tmp/cutoutd-cifar-fuzz-XXXXXX";

static void path_of(size_t i, char path[PATH_MAX]) {
    (void)snprintf(path, PATH_MAX, "%s/%s", directory, names[i]);
}

static void clean_up(void) {
    for (size_t i = 0; i < N_NAMES; i++) {
        char path[PATH_MAX];
        path_of(i, path);
        (void)unlink(path);
    }
    (void)rmdir(directory);
}

/* Returns the rows that the training files have together, as far as they are whole: those of
 * CIFAR-100 if its file is there. */
static size_t write_files(const uint8_t *data, size_t size) {
    size_t n_rows = 0;
    for (size_t i = 0; i < N_NAMES; i++) {
        char path[PATH_MAX];
        path_of(i, path);
        (void)unlink(path);
        size_t wanted = size >= 2 ? (size_t)data[0] << 8 | data[1] : 0xffff;
        if (wanted == 0xffff) {
            data += size >= 2 ? 2 : size;
            size -= size >= 2 ? 2 : size;
            continue;
        }
        size_t n = wanted < size - 2 ? wanted : size - 2;
        FILE *file = fopen(path, "wb");
        REQUIRE(file && fwrite(data + 2, 1, n, file) == n && fclose(file) == 0);
        n_rows += i < TRAIN_100 && i != TEST && i != META ? n / CIFAR10_ROW_BYTES : 0;
        n_rows = i == TRAIN_100 ? n / CIFAR100_ROW_BYTES : n_rows;
        data += 2 + n;
        size -= 2 + n;
    }
    return n_rows;
}

static void require_good(const struct dataset *dataset, size_t n_train) {
    REQUIRE(dataset->train.n == (int)n_train && dataset->test.n > 0);
    for (int i = 0; i < dataset->train.n; i++) {
        REQUIRE(dataset->train.labels[i] < dataset->n_classes);
    }
    unsigned sum = 0;
    for (size_t i = 0; i < n_train * IMAGE_BYTES; i++) {
        sum += dataset->train.pixels[i]; /* all of them are there */
    }
    REQUIRE(sum <= n_train * IMAGE_BYTES * 255);
    for (int i = 0; i < dataset->n_classes; i++) {
        size_t n = strnlen(dataset->class_names[i], sizeof(dataset->class_names[i]));
        REQUIRE(n > 0 && n < sizeof(dataset->class_names[i]));
        REQUIRE(text_is_plain(dataset->class_names[i], n));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static bool made;
    if (!made) {
        REQUIRE(mkdtemp(directory) && atexit(clean_up) == 0);
        made = true;
    }
    struct dataset *dataset = NULL;
    struct error error = {.message = ""};
    size_t n_train = write_files(data, size);
    if (dataset_open_cifar("input", directory, &dataset, &error) == STATUS_OK) {
        require_good(dataset, n_train);
        dataset_free(dataset);
    } else {
        REQUIRE(dataset == NULL && error.message[0] != '\0');
        require_text(error.message, sizeof(error.message));
    }
    return 0;
}
