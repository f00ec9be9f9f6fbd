/* Which checkpoint files stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/train/checkpoint_files.h"

static void make_file(const char *path) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

/* A directory that cannot be read at one moment must not cost the checkpoint before the last. */
static void the_last_two_stay_when_the_directory_could_not_be_read_once(void **state) {
    (void)state;
    char directory[] = "/tmp/cutoutd-test-XXXXXX";
    char paths[3][CHECKPOINT_PATH_SIZE];
    struct checkpoint_files files;
    assert_non_null(mkdtemp(directory));
    checkpoint_files_begin(&files, directory, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(checkpoint_file_name(&files, i + 1, 0, paths[i], NULL), STATUS_OK);
        make_file(paths[i]);
        files.directory = i == 1 ? "/nowhere/at/all" : directory;
        checkpoint_files_retire(&files, paths[i], 0);
        files.directory = directory;
    }
    assert_int_equal(access(paths[0], F_OK), -1);
    assert_int_equal(access(paths[1], F_OK), 0);
    assert_int_equal(access(paths[2], F_OK), 0);
    assert_int_equal(unlink(paths[1]), 0);
    assert_int_equal(unlink(paths[2]), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_two_stay_when_the_directory_could_not_be_read_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
