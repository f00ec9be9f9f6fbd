/* Where a file is expected and a FIFO or a device is found, nobody waits. Each case would block for
 * ever if it opened what is there; the alarm ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/regular_file.h"
#include "core/base/sha256.h"
#include "core/data/dataset.h"
#include "core/train/safetensors.h"

enum { DEADLINE_S = 30, PATH_SIZE = 128 };

static char dir[64];
static char path[PATH_SIZE];

static int set_up(void **state) {
    (void)state;
    (void)alarm(DEADLINE_S);
    (void)snprintf(dir, sizeof(dir), "/tmp/cutoutd-regular-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    (void)alarm(0);
    (void)unlink(path);
    return rmdir(dir);
}

static void make_fifo(const char *name) {
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(mkfifo(path, 0600), 0);
}

static void assert_refused(enum status status, const struct error *error) {
    assert_int_equal(status, STATUS_IO);
    assert_non_null(strstr(error->message, path));
    assert_non_null(strstr(error->message, "is not a regular file"));
}

static void a_fifo_is_no_file(void **state) {
    (void)state;
    struct error error;
    char hex[SHA256_HEX_SIZE];
    struct safetensors *file = NULL;
    FILE *stream = NULL;
    int fd = -1;
    make_fifo("fifo");
    assert_refused(regular_file_open(path, &fd, &error), &error);
    assert_refused(regular_file_stream(path, &stream, &error), &error);
    assert_refused(sha256_file(path, hex, &error), &error);
    assert_refused(safetensors_read(path, NULL, &file, &error), &error);
    assert_int_equal(fd, -1);
}

static void a_fifo_in_a_data_set_is_refused(void **state) {
    (void)state;
    struct error error;
    struct dataset *dataset = NULL;
    make_fifo("data_batch_1.bin");
    assert_refused(dataset_open_cifar("cifar10", dir, &dataset, &error), &error);
    assert_int_equal(unlink(path), 0);
    make_fifo("batches.meta.txt");
    assert_refused(dataset_open_cifar("cifar10", dir, &dataset, &error), &error);
}

static void names_that_cannot_be_read_are_not_called_damaged(void **state) {
    (void)state;
    struct error error;
    struct dataset *dataset = NULL;
    (void)snprintf(path, sizeof(path), "%s/batches.meta.txt", dir);
    /* Nothing is mapped where it begins: a read fails with EIO. */
    assert_int_equal(symlink("/proc/self/mem", path), 0);
    assert_int_equal(dataset_open_cifar("cifar10", dir, &dataset, &error), STATUS_IO);
    assert_non_null(strstr(error.message, "cannot read"));
}

static void a_look_tells_what_is_lost_from_what_can_be_read(void **state) {
    (void)state;
    make_fifo("fifo");
    assert_int_equal(regular_file_look(path), REGULAR_FILE_LOST);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(regular_file_look(dir), REGULAR_FILE_LOST);
    (void)snprintf(path, sizeof(path), "%s/none", dir);
    assert_int_equal(regular_file_look(path), REGULAR_FILE_LOST);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(regular_file_look(path), REGULAR_FILE_READABLE);
    assert_int_equal(regular_file_look("/proc/self/mem"), REGULAR_FILE_FAILED);
}

static void neither_is_a_device_nor_a_directory(void **state) {
    (void)state;
    struct error error;
    char hex[SHA256_HEX_SIZE];
    (void)snprintf(path, sizeof(path), "/dev/zero");
    assert_refused(sha256_file(path, hex, &error), &error);
    (void)snprintf(path, sizeof(path), "%s", dir);
    assert_refused(sha256_file(path, hex, &error), &error);
    (void)snprintf(path, sizeof(path), "%s/none", dir);
    assert_int_equal(sha256_file(path, hex, &error), STATUS_NOT_FOUND);
}

static void a_file_is_read_from_its_beginning(void **state) {
    (void)state;
    char hex[SHA256_HEX_SIZE];
    FILE *stream = NULL;
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs("abc", out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(regular_file_stream(path, &stream, NULL), STATUS_OK);
    assert_int_equal(fgetc(stream), 'a');
    assert_int_equal(sha256_fd(fileno(stream), path, hex, NULL), STATUS_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(fgetc(stream), 'b');
    assert_int_equal(fclose(stream), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_fifo_is_no_file),
        TEST(names_that_cannot_be_read_are_not_called_damaged),
        TEST(a_look_tells_what_is_lost_from_what_can_be_read),
        TEST(a_fifo_in_a_data_set_is_refused),
        TEST(neither_is_a_device_nor_a_directory),
        TEST(a_file_is_read_from_its_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
