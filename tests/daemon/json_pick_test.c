/* Members of an object, whatever their values hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/json_pick.h"

static const char object[] =
    "{\"id\":\"1\",\"text\":\"a,\\\"}]b\\\\\",\"labels\":{\"id\":[1,{\"x\":2}]},"
    "\"none\":null,\"last\":[1,2]}";

static void assert_picked(const char *names, const char *expected) {
    char text[sizeof(object)];
    memcpy(text, object, sizeof(object));
    struct json_writer writer = {0};
    json_pick(&writer, NULL, text, names);
    char *picked = json_write_take(&writer);
    assert_string_equal(picked, expected);
    assert_string_equal(text, object);
    free(picked);
}

static void named_members_are_kept_as_they_are(void **state) {
    (void)state;
    assert_picked("labels", "{\"labels\":{\"id\":[1,{\"x\":2}]}}");
    assert_picked("last,id", "{\"id\":\"1\",\"last\":[1,2]}");
    assert_picked("text,none", "{\"text\":\"a,\\\"}]b\\\\\",\"none\":null}");
    assert_picked("x,i", "{}");
    assert_picked("id,text,labels,none,last", object);
}

static void names_that_are_no_member_are_found(void **state) {
    (void)state;
    char text[sizeof(object)];
    memcpy(text, object, sizeof(object));
    size_t length = 0;
    assert_null(json_missing_member(text, "none,id", &length));
    const char *names = "id,x,none";
    assert_ptr_equal(json_missing_member(text, names, &length), names + 3);
    assert_int_equal(length, 1);
    assert_non_null(json_missing_member(text, "id,,last", &length));
    assert_int_equal(length, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_members_are_kept_as_they_are),
        cmocka_unit_test(names_that_are_no_member_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
