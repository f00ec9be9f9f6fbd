/* Data sets by name: read once, shared, refused with a reason. */
#include "tests/daemon/store_fixture.h"

#include <pthread.h>

#include "daemon/work/dataset_registry.h"

enum { ROW = 1 + IMAGE_BYTES };

struct registry_fixture {
    char dir[64];
    struct dataset_registry *registry;
};

static void write_rows(const char *dir, const char *file, int n_bytes) {
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    for (int i = 0; i < n_bytes; i++) {
        /* Byte 0 of a row is its label. */
        assert_int_not_equal(fputc(i % ROW == 0 ? (i / ROW) % 10 : i % 251, out), EOF);
    }
    assert_int_equal(fclose(out), 0);
}

static int set_up(void **state) {
    static struct registry_fixture r;
    static struct config config;
    memset(&config, 0, sizeof(config));
    (void)snprintf(r.dir, sizeof(r.dir), "/tmp/cutoutd-test-XXXXXX");
    assert_non_null(mkdtemp(r.dir));
    config.shapes_train = 30;
    config.shapes_test = 20;
    config.n_datasets = 2;
    (void)snprintf(config.datasets[0].name, sizeof(config.datasets[0].name), "cifar10");
    (void)snprintf(config.datasets[0].directory, sizeof(config.datasets[0].directory), "%s", r.dir);
    (void)snprintf(config.datasets[1].name, sizeof(config.datasets[1].name), "gone");
    (void)snprintf(config.datasets[1].directory, sizeof(config.datasets[1].directory), "%s/gone",
                   r.dir);
    ASSERT_OK(dataset_registry_create(&config, &r.registry, &fixture_error));
    *state = &r;
    return 0;
}

static int tear_down(void **state) {
    struct registry_fixture *r = *state;
    dataset_registry_free(r->registry);
    return nftw(r->dir, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void sets_are_described_by_their_files_lengths(void **state) {
    struct registry_fixture *r = *state;
    struct dataset_description d;
    assert_int_equal(dataset_registry_count(r->registry), 3);
    assert_string_equal(dataset_registry_default(r->registry), "cifar10");
    assert_string_equal(dataset_registry_names(r->registry)[0], "shapes");
    dataset_registry_describe(r->registry, 0, &d);
    assert_null(d.directory);
    assert_int_equal(d.n_train, 30);
    dataset_registry_describe(r->registry, 1, &d);
    assert_false(d.available);
    assert_non_null(strstr(d.problem, "data_batch_1.bin"));
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW);
    write_rows(r->dir, "data_batch_2.bin", 3 * ROW);
    write_rows(r->dir, "test_batch.bin", 4 * ROW);
    dataset_registry_describe(r->registry, 1, &d);
    assert_true(d.available);
    assert_int_equal(d.n_train, 15);
    assert_int_equal(d.n_test, 4);
    assert_non_null(strstr(d.warning, "data_batch_2.bin are there, of 5"));
    write_rows(r->dir, "data_batch_4.bin", ROW);
    dataset_registry_describe(r->registry, 1, &d);
    assert_false(d.available);
    assert_non_null(strstr(d.problem, "data_batch_3.bin: No such file"));
    write_rows(r->dir, "data_batch_3.bin", ROW);
    write_rows(r->dir, "data_batch_5.bin", ROW);
    dataset_registry_describe(r->registry, 1, &d);
    assert_true(d.available);
    assert_string_equal(d.warning, "");
    assert_int_equal(d.n_train, 18);
    write_rows(r->dir, "data_batch_5.bin", ROW + 1);
    dataset_registry_describe(r->registry, 1, &d);
    assert_non_null(strstr(d.problem, "data_batch_5.bin does not have whole rows"));
}

static void what_was_there_before_is_known_with_its_size(void **state) {
    struct registry_fixture *r = *state;
    struct dataset_description d;
    char path[128];
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW);
    write_rows(r->dir, "test_batch.bin", 4 * ROW);
    dataset_registry_find(r->registry, "cifar10", &d);
    assert_true(d.available && d.known);
    (void)snprintf(path, sizeof(path), "%s/test_batch.bin", r->dir);
    assert_int_equal(unlink(path), 0);
    dataset_registry_find(r->registry, "cifar10", &d);
    assert_false(d.available);
    assert_true(d.known);
    assert_int_equal(d.n_train, 12);
    assert_int_equal(d.n_test, 4);
    dataset_registry_find(r->registry, "gone", &d);
    assert_false(d.available || d.known);
    dataset_registry_note_known(r->registry, "gone"); /* to an earlier process */
    dataset_registry_find(r->registry, "gone", &d);
    assert_true(d.known && !d.available);
    assert_int_equal(d.n_train, 0);
}

static void what_cannot_be_read_is_called_so(void **state) {
    struct registry_fixture *r = *state;
    struct dataset_description d;
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/data_batch_1.bin", r->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    dataset_registry_describe(r->registry, 1, &d);
    assert_non_null(strstr(d.problem, "data_batch_1.bin is not a regular file"));
    assert_int_equal(rmdir(path), 0);
    if (geteuid() != 0) { /* root may read everything */
        write_rows(r->dir, "data_batch_1.bin", ROW);
        assert_int_equal(chmod(r->dir, 0), 0);
        dataset_registry_describe(r->registry, 1, &d);
        assert_int_equal(chmod(r->dir, 0700), 0);
        assert_non_null(strstr(d.problem, "Permission denied"));
    }
}

static void a_set_is_shared_and_its_digest_tells_its_content(void **state) {
    struct registry_fixture *r = *state;
    const struct dataset *a = NULL;
    const struct dataset *b = NULL;
    const struct dataset *c = NULL;
    char first[SHA256_HEX_SIZE];
    char second[SHA256_HEX_SIZE];
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW);
    write_rows(r->dir, "test_batch.bin", 4 * ROW);
    ASSERT_OK(dataset_registry_acquire(r->registry, "cifar10", &a, first, &fixture_error));
    ASSERT_OK(dataset_registry_acquire(r->registry, "cifar10", &b, second, &fixture_error));
    assert_ptr_equal(a, b);
    assert_string_equal(first, second);
    assert_int_equal(a->train.n, 12);
    dataset_registry_release(r->registry, a);
    /* Still used once, so another set does not push it out. */
    ASSERT_OK(dataset_registry_acquire(r->registry, "shapes", &c, second, &fixture_error));
    assert_int_equal(b->train.labels[3], 3);
    dataset_registry_release(r->registry, c);
    dataset_registry_release(r->registry, b);
    dataset_registry_release(r->registry, NULL);
}

static void unused_sets_make_room_and_are_read_again(void **state) {
    struct registry_fixture *r = *state;
    const struct dataset *set = NULL;
    char before[SHA256_HEX_SIZE];
    char after[SHA256_HEX_SIZE];
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW);
    write_rows(r->dir, "test_batch.bin", 4 * ROW);
    ASSERT_OK(dataset_registry_acquire(r->registry, "cifar10", &set, before, &fixture_error));
    dataset_registry_release(r->registry, set);
    write_rows(r->dir, "data_batch_1.bin", 11 * ROW);
    ASSERT_OK(dataset_registry_acquire(r->registry, "shapes", &set, after, &fixture_error));
    dataset_registry_release(r->registry, set);
    ASSERT_OK(dataset_registry_acquire(r->registry, "cifar10", &set, after, &fixture_error));
    assert_int_equal(set->train.n, 11);
    assert_string_not_equal(before, after);
    dataset_registry_release(r->registry, set);
}

static void problems_are_told_and_tried_again(void **state) {
    struct registry_fixture *r = *state;
    const struct dataset *set = NULL;
    char hex[SHA256_HEX_SIZE];
    assert_int_equal(dataset_registry_acquire(r->registry, "mnist", &set, hex, &fixture_error),
                     STATUS_NOT_FOUND);
    assert_non_null(strstr(fixture_error.message, "--dataset mnist=DIRECTORY"));
    assert_int_equal(dataset_registry_acquire(r->registry, "gone", &set, hex, &fixture_error),
                     STATUS_NOT_FOUND);
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW - 1);
    write_rows(r->dir, "test_batch.bin", 4 * ROW);
    assert_int_equal(dataset_registry_acquire(r->registry, "cifar10", &set, hex, &fixture_error),
                     STATUS_CORRUPT);
    assert_null(set);
    write_rows(r->dir, "data_batch_1.bin", 12 * ROW);
    ASSERT_OK(dataset_registry_acquire(r->registry, "cifar10", &set, hex, &fixture_error));
    dataset_registry_release(r->registry, set);
}

static void *acquire_shapes(void *user) {
    const struct dataset *set = NULL;
    char hex[SHA256_HEX_SIZE];
    if (dataset_registry_acquire(user, "shapes", &set, hex, NULL) != STATUS_OK) {
        return NULL;
    }
    return (void *)(uintptr_t)set;
}

static void workers_that_want_it_at_once_get_the_same(void **state) {
    struct registry_fixture *r = *state;
    pthread_t threads[4];
    void *sets[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, acquire_shapes, r->registry), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], &sets[i]), 0);
        assert_non_null(sets[i]);
        assert_ptr_equal(sets[i], sets[0]);
    }
    for (int i = 0; i < 4; i++) {
        dataset_registry_release(r->registry, sets[i]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(sets_are_described_by_their_files_lengths),
        TEST(what_was_there_before_is_known_with_its_size),
        TEST(what_cannot_be_read_is_called_so),
        TEST(a_set_is_shared_and_its_digest_tells_its_content),
        TEST(unused_sets_make_room_and_are_read_again),
        TEST(problems_are_told_and_tried_again),
        TEST(workers_that_want_it_at_once_get_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
