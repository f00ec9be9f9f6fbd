/* The links in force: memory and store say the same, whoever changes both at the same moment. */
#include "tests/daemon/store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/store/change/sweep_change.h"
#include "daemon/store/db.h"
#include "daemon/work/sweep_links.h"

static const int64_t NOW_MS = 1000;
static const int64_t END_MS = 2000;

static int64_t unix_ms(void *user) {
    (void)user;
    return NOW_MS;
}

static const struct clock test_clock = {.unix_ms = unix_ms};

struct links_fixture {
    struct store_fixture f;
    struct sweep_links *links;
};

static int set_up(void **state) {
    static struct links_fixture l;
    memset(&l, 0, sizeof(l));
    fixture_begin(&l.f);
    ASSERT_OK(sweep_links_open(l.f.store, &test_clock, &l.links, &fixture_error));
    *state = &l;
    return 0;
}

static int tear_down(void **state) {
    struct links_fixture *l = *state;
    sweep_links_close(l->links);
    fixture_end(&l->f);
    return 0;
}

static int64_t add_sweep(struct store *store) {
    struct run_config config = fixture_config();
    const struct run_draft run = {
        .name = "child", .labels_json = "{}", .config_json = "{}", .config = &config};
    const struct sweep_draft draft = {.name = "", .spec_json = "{}", .runs = &run, .n_runs = 1};
    int64_t id = 0;
    ASSERT_OK(sweep_table_insert(store, &draft, 1, &id, &fixture_error));
    return id;
}

static void delete_sweep(struct links_fixture *l, int64_t id) {
    int64_t *ids = NULL;
    size_t n = 0;
    ASSERT_OK(sweep_table_delete(l->f.store, id, 1, &ids, &n, &fixture_error));
    free(ids);
    sweep_links_forget_sweep(l->links, id);
}

static bool opens(struct sweep_links *links, const char *secret) {
    struct token_grant grant;
    return sweep_links_grant(links, secret, &grant);
}

static enum status fill(struct db *db, void *arguments, struct error *error) {
    static const char sql[] =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)"
        " INSERT INTO link (sweep_id, sha256, owner, created_ms, expires_ms)"
        " SELECT ?1, printf('%064x', i), '', 1, 2000 FROM n";
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_int64(statement, 1, *(const int64_t *)arguments);
    sqlite3_bind_int(statement, 2, SWEEP_LINKS_MOST - 1);
    enum status status = db_execute(db, statement, NULL, error);
    (void)sqlite3_finalize(statement);
    return status;
}

static void links_of_a_deleted_sweep_open_nothing_and_take_no_room(void **state) {
    struct links_fixture *l = *state;
    char secrets[3][TOKEN_TEXT_SIZE];
    struct link_row row;
    int64_t sweep = add_sweep(l->f.store);
    int64_t other = add_sweep(l->f.store);
    ASSERT_OK(sweep_links_add(l->links, sweep, "", END_MS, secrets[0], &row, &fixture_error));
    ASSERT_OK(sweep_links_add(l->links, other, "", END_MS, secrets[1], &row, &fixture_error));
    delete_sweep(l, sweep);
    assert_false(opens(l->links, secrets[0]));
    assert_true(opens(l->links, secrets[1]));

    /* There are as many as may be, and all but one are of a sweep that is deleted then. */
    sweep = add_sweep(l->f.store);
    ASSERT_OK(store_write(l->f.store, fill, &sweep, &fixture_error));
    sweep_links_close(l->links);
    ASSERT_OK(sweep_links_open(l->f.store, &test_clock, &l->links, &fixture_error));
    assert_int_equal(sweep_links_add(l->links, other, "", END_MS, secrets[2], &row, &fixture_error),
                     STATUS_CONFLICT);
    delete_sweep(l, sweep);
    ASSERT_OK(sweep_links_add(l->links, other, "", END_MS, secrets[2], &row, &fixture_error));
    assert_true(opens(l->links, secrets[1]));
    assert_true(opens(l->links, secrets[2]));
}

/* Some who take back what is being made: the link, or its sweep. */
enum { TAKERS = 4 };

struct taking {
    struct links_fixture *l;
    int64_t link;
    int64_t sweep;
    atomic_bool done;
    pthread_t threads[TAKERS];
};

static void *withdraw(void *user) {
    struct taking *taking = user;
    struct error error;
    while (!atomic_load(&taking->done)) {
        if (sweep_links_withdraw(taking->l->links, taking->link, &error) == STATUS_OK) {
            atomic_store(&taking->done, true);
        }
    }
    return NULL;
}

static void *delete_its_sweep(void *user) {
    struct taking *taking = user;
    struct link_row row;
    struct error error;
    while (link_table_get(taking->l->f.store, taking->link, &row, &error) == STATUS_NOT_FOUND) {
    }
    delete_sweep(taking->l, taking->sweep);
    return NULL;
}

/* Makes link `id` of the sweep while n others take it back; afterwards it opens nothing. */
static void make_and_take_back(struct links_fixture *l, int64_t id, int64_t sweep, int n,
                               void *(*take)(void *)) {
    char secret[TOKEN_TEXT_SIZE];
    struct link_row row;
    struct taking taking = {.l = l, .link = id, .sweep = sweep};
    for (int i = 0; i < n; i++) {
        assert_int_equal(pthread_create(&taking.threads[i], NULL, take, &taking), 0);
    }
    ASSERT_OK(sweep_links_add(l->links, sweep, "", END_MS, secret, &row, &fixture_error));
    assert_int_equal(row.id, id);
    for (int i = 0; i < n; i++) {
        assert_int_equal(pthread_join(taking.threads[i], NULL), 0);
    }
    assert_false(opens(l->links, secret));
}

/* Writers that come at the same moment share a commit: of a link that is withdrawn in the one that
 * makes it, either may be the first to go on afterwards. */
static void what_is_withdrawn_while_it_is_made_opens_nothing(void **state) {
    struct links_fixture *l = *state;
    int64_t sweep = add_sweep(l->f.store);
    for (int i = 1; i <= 100; i++) {
        make_and_take_back(l, i, sweep, TAKERS, withdraw);
    }
}

static void what_goes_with_its_sweep_while_it_is_made_opens_nothing(void **state) {
    struct links_fixture *l = *state;
    for (int i = 1; i <= 20; i++) {
        make_and_take_back(l, i, add_sweep(l->f.store), 1, delete_its_sweep);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(links_of_a_deleted_sweep_open_nothing_and_take_no_room),
        TEST(what_is_withdrawn_while_it_is_made_opens_nothing),
        TEST(what_goes_with_its_sweep_while_it_is_made_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
