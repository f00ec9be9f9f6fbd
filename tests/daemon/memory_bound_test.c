/* The memory that the daemon may have: of its control groups, and of a unit. */
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

#include "daemon/config/memory_bound.h"
#include "daemon/config/unit_file.h"

static char place[64];
static char group_file[128];
static char groups[128];

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_group(const char *group, const char *name, const char *text) {
    char path[512];
    (void)snprintf(path, sizeof(path), "%s%s", groups, group);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof(path), "%s%s/%s", groups, group, name);
    write_text(path, text);
}

static int set_up(void **state) {
    (void)state;
    (void)snprintf(place, sizeof(place), "/tmp/cutoutd-memory-XXXXXX");
    assert_non_null(mkdtemp(place));
    (void)snprintf(group_file, sizeof(group_file), "%s/group", place);
    (void)snprintf(groups, sizeof(groups), "%s/groups", place);
    return mkdir(groups, 0700);
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", place);
    return system(command);
}

static int64_t machine(void) {
    return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

static struct memory_bound of_process(const char *group_line) {
    struct memory_bound bound;
    write_text(group_file, group_line);
    memory_bound_of_process(group_file, groups, &bound);
    return bound;
}

static void the_least_of_all_groups_above_counts(void **state) {
    (void)state;
    write_group("/system.slice", "memory.max", "max\n");
    write_group("/system.slice", "memory.high", "9000000\n");
    write_group("/system.slice/x.service", "memory.max", "8000000\n");
    write_group("/system.slice/x.service", "memory.high", "max\n");
    struct memory_bound bound = of_process("0::/system.slice/x.service\n");
    assert_int_equal(bound.n_bytes, 8000000);
    assert_string_equal(bound.origin, "memory.max of /system.slice/x.service");
    write_group("/system.slice", "memory.high", "7000000\n");
    bound = of_process("0::/system.slice/x.service\n");
    assert_int_equal(bound.n_bytes, 7000000);
    assert_string_equal(bound.origin, "memory.high of /system.slice");
    write_group("/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(of_process("4:memory:/x.service\n").n_bytes, machine());
    write_group("/memory/x.service", "memory.limit_in_bytes", "6500000\n");
    bound = of_process("5:cpu:/\n4:memory:/x.service\n0::/system.slice\n");
    assert_int_equal(bound.n_bytes, 6500000);
    assert_string_equal(bound.origin, "memory.limit_in_bytes of /x.service");
}

static void a_container_is_bounded_by_its_own_group(void **state) {
    (void)state;
    write_group("", "memory.max", "6000000\n");
    struct memory_bound bound = of_process("0::/\n");
    assert_int_equal(bound.n_bytes, 6000000);
    assert_string_equal(bound.origin, "memory.max of /");
    assert_int_equal(of_process("0::/../outside\n").n_bytes, 6000000);
}

static void what_cannot_be_read_bounds_nothing(void **state) {
    (void)state;
    struct memory_bound bound = of_process("0::/gone/x.service\n");
    assert_int_equal(bound.n_bytes, machine());
    assert_string_equal(bound.origin, "the machine");
    memory_bound_of_process("/nonexistent/cgroup", groups, &bound);
    assert_int_equal(bound.n_bytes, machine());
    write_group("", "memory.max", "many\n");
    assert_int_equal(of_process("0::/\n").n_bytes, machine());
}

static int64_t of_unit(const char *text) {
    char path[256];
    struct unit_file unit = {0};
    struct memory_bound bound;
    struct error error;
    (void)snprintf(path, sizeof(path), "%s/x.service", place);
    write_text(path, text);
    assert_int_equal(setenv("SYSTEMD_UNIT_PATH", place, 1), 0);
    assert_int_equal(unit_file_read("x.service", &unit, &error), STATUS_OK);
    memory_bound_of_unit(&unit, groups, &bound);
    unit_file_clear(&unit);
    return bound.n_bytes;
}

static void a_unit_is_bounded_by_its_settings_and_its_slice(void **state) {
    (void)state;
    assert_int_equal(of_unit("[Service]\nMemoryMax=infinity\n"), machine());
    assert_int_equal(of_unit("[Service]\nMemoryMax=64M\n"), 64 << 20);
    assert_int_equal(of_unit("[Service]\nMemoryMax=64M\nMemoryHigh=32M\n"), 32 << 20);
    assert_int_equal(of_unit("[Service]\nMemoryMax=64M\nMemoryMax=\n"), machine());
    assert_true(llabs(of_unit("[Service]\nMemoryMax=50%\n") - machine() / 2) <= 1);
    assert_int_equal(of_unit("[Service]\nMemoryMax=64 blocks\n"), machine());
    write_group("/a.slice", "memory.max", "5000000\n");
    write_group("/a.slice/a-b.slice", "memory.max", "6000000\n");
    assert_int_equal(of_unit("[Service]\nSlice=a-b.slice\nMemoryMax=64M\n"), 5000000);
    assert_int_equal(of_unit("[Service]\nMemoryMax=64M\n"), 64 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_least_of_all_groups_above_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_container_is_bounded_by_its_own_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_bounds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_unit_is_bounded_by_its_settings_and_its_slice, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
