/* Runs the fuzzer's function over the files of the corpus, without libFuzzer: what was found once
 * is tried by every build. */
#include <dirent.h>

#include "tests/fuzz/fuzz.h"

/* The mutator's, which is linked but not called here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) {
    (void)data;
    (void)max_size;
    return size;
}

static void replay(const char *path) {
    static uint8_t data[1 << 17];
    FILE *file = fopen(path, "rb");
    REQUIRE(file != NULL);
    size_t size = fread(data, 1, sizeof(data), file);
    (void)fclose(file);
    /* Exactly as large as the input, so that a sanitizer sees a step beyond it. */
    uint8_t *copy = malloc(size ? size : 1);
    REQUIRE(copy != NULL);
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv) {
    REQUIRE(argc == 2);
    int n = 0;
    DIR *directory = opendir(argv[1]);
    REQUIRE(directory != NULL);
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char path[1024];
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
            replay(path);
            n++;
        }
    }
    (void)closedir(directory);
    (void)printf("%d inputs\n", n);
    return n > 0 ? 0 : 1;
}
