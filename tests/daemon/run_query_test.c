/* Lists of runs: filters, every order in both directions, pages, and what a list costs. */
#include "tests/daemon/store_fixture.h"

#include <sqlite3.h>

#include "daemon/store/query/run_query_sql.h"
#include "daemon/store/table/epoch_table.h"

enum { N_RUNS = 24 };

static const struct run_query_plan no_plan = {.driver = -1};

/* The state is one of the bits 1u << RUN_QUEUED ... */
static void add_states(struct run_query *query, unsigned states) {
    assert_true(run_query_begin_condition(query, RUN_FIELD_STATE));
    for (int state = 0; state < RUN_STATE_COUNT; state++) {
        if (states & (1u << state)) {
            const char *name = run_state_name((enum run_state)state);
            assert_true(run_query_add_value(
                query, &(struct run_value){.text = name, .n_text = strlen(name)}));
        }
    }
}

/* Ties in every column, and a third of the runs without results. */
static int set_up(void **state) {
    static struct store_fixture fixture;
    fixture_begin(&fixture);
    *state = &fixture;
    struct run_config config = fixture_config();
    for (int i = 0; i < N_RUNS; i++) {
        char name[16];
        char labels[64];
        (void)snprintf(name, sizeof(name), "run %d", i % 5);
        (void)snprintf(labels, sizeof(labels), "{\"team\":\"%s\",\"half\":\"%d\"}",
                       i % 3 ? "vision" : "speech", i >= N_RUNS / 2);
        config.m = 1 << i % 4;
        config.seed = (uint64_t)(i % 6);
        const struct run_draft draft = {.name = name,
                                        .priority = i % 2,
                                        .labels_json = labels,
                                        .config_json = "{}",
                                        .config = &config,
                                        .owner = i % 4 ? "ada" : "",
                                        .held = i % 7 == 0};
        int64_t id = 0;
        ASSERT_OK(run_table_insert(fixture.store, &draft, 1000 + i / 2, &id, &fixture_error));
        if (i % 3) {
            const struct epoch_row epoch = {.report.epoch = 1 + i % 2,
                                            .report.val_wrong = 10 * (i % 4),
                                            .report.val_total = 70,
                                            .report.seconds = i % 3,
                                            .at_ms = 3000};
            ASSERT_OK(epoch_table_put(fixture.store, id, &epoch, &fixture_error));
        }
    }
    return 0;
}

static int tear_down(void **state) {
    fixture_end(*state);
    return 0;
}

static struct run_value text_value(const char *text) {
    return (struct run_value){.text = text, .n_text = strlen(text)};
}

static void add_text(struct run_query *query, enum run_field field, const char *text) {
    const struct run_value value = text_value(text);
    assert_true(run_query_begin_condition(query, field));
    assert_true(run_query_add_value(query, &value));
}

static struct run_value label_value(const char *key, const char *text) {
    struct run_value value = text_value(text);
    value.key = key;
    value.n_key = strlen(key);
    return value;
}

static size_t count(struct store *store, const struct run_query *query) {
    struct run_list list = {0};
    ASSERT_OK(run_table_list(store, query, &list, &fixture_error));
    size_t n = list.n;
    run_list_clear(&list);
    return n;
}

static void conditions_are_and_and_values_are_or(void **state) {
    struct store_fixture *f = *state;
    struct run_query query = {.limit = 100};
    assert_int_equal(count(f->store, &query), N_RUNS);
    assert_true(run_query_begin_condition(&query, RUN_FIELD_M));
    assert_true(run_query_add_value(&query, &(struct run_value){.number = 1}));
    assert_int_equal(count(f->store, &query), N_RUNS / 4);
    assert_true(run_query_add_value(&query, &(struct run_value){.number = 8}));
    assert_int_equal(count(f->store, &query), N_RUNS / 2);
    add_text(&query, RUN_FIELD_OWNER, "ada");
    assert_int_equal(count(f->store, &query), N_RUNS / 4);
    add_text(&query, RUN_FIELD_NAME, "run 3");
    assert_int_equal(count(f->store, &query), 2); /* the fourth and the 24th */
    add_text(&query, RUN_FIELD_NAME, "run ' OR 1");
    assert_int_equal(count(f->store, &query), 0);
}

static void states_of_unfinished_runs_are_found(void **state) {
    struct store_fixture *f = *state;
    struct run_query query = {.limit = 100};
    add_states(&query, 1u << RUN_HELD | 1u << RUN_RUNNING);
    assert_int_equal(count(f->store, &query), 4); /* 0, 7, 14, 21 */
    query = (struct run_query){.limit = 100};
    add_states(&query, 1u << RUN_HELD | 1u << RUN_FAILED);
    assert_int_equal(count(f->store, &query), 4);
}

static void labels_are_or_in_one_condition_and_and_in_two(void **state) {
    struct store_fixture *f = *state;
    const struct run_value vision = label_value("team", "vision");
    const struct run_value speech = label_value("team", "speech");
    const struct run_value second = label_value("half", "1");
    struct run_query query = {.limit = 100};
    assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
    assert_true(run_query_add_value(&query, &speech));
    assert_int_equal(count(f->store, &query), N_RUNS / 3);
    assert_true(run_query_add_value(&query, &vision));
    assert_int_equal(count(f->store, &query), N_RUNS);
    assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
    assert_true(run_query_add_value(&query, &second));
    assert_int_equal(count(f->store, &query), N_RUNS / 2);
}

static void too_many_values_are_refused(void **state) {
    (void)state;
    struct run_query query = {.limit = 1};
    for (int i = 0; i < RUN_QUERY_MAX_CONDITIONS; i++) {
        assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
        for (int j = 0; j < RUN_QUERY_MAX_VALUES / RUN_QUERY_MAX_CONDITIONS; j++) {
            const struct run_value value = label_value("a", "b");
            assert_true(run_query_add_value(&query, &value));
        }
    }
    assert_false(run_query_begin_condition(&query, RUN_FIELD_M));
    assert_false(run_query_add_value(&query, &(struct run_value){.number = 1}));
    char sql[RUN_QUERY_SQL_SIZE];
    ASSERT_OK(run_query_sql(&query, &no_plan, sql, &fixture_error));
}

/* < 0: a before b, in the order that the query asks for. */
static int compare(const struct run_query *query, const struct run_row *a,
                   const struct run_row *b) {
    struct run_cursor x;
    struct run_cursor y;
    run_cursor_at(query->sort, a, &x);
    run_cursor_at(query->sort, b, &y);
    int forward = query->ascending ? 1 : -1;
    if ((x.type == RUN_KEY_NULL) != (y.type == RUN_KEY_NULL)) {
        return x.type == RUN_KEY_NULL ? 1 : -1;
    }
    int by_text = strcmp(x.text, y.text);
    int by_key = by_text ? by_text : (x.integer > y.integer) - (x.integer < y.integer);
    by_key = by_key ? by_key : (x.real > y.real) - (x.real < y.real);
    return forward * (by_key ? by_key : (x.id > y.id) - (x.id < y.id));
}

/* Pages through everything; each run must come once, in order. */
static void walk(struct store *store, struct run_query query) {
    bool seen[N_RUNS + 1] = {false};
    int n_seen = 0;
    struct run_list previous = {0};
    bool more = true;
    while (more) {
        struct run_list page = {0};
        ASSERT_OK(run_table_list(store, &query, &page, &fixture_error));
        for (size_t i = 0; i < page.n; i++) {
            const struct run_row *before = i > 0        ? &page.rows[i - 1]
                                           : previous.n ? &previous.rows[previous.n - 1]
                                                        : NULL;
            assert_true(!before || compare(&query, before, &page.rows[i]) < 0);
            assert_false(seen[page.rows[i].id]);
            seen[page.rows[i].id] = true;
            n_seen++;
        }
        more = page.more;
        if (page.n > 0) {
            run_cursor_at(query.sort, &page.rows[page.n - 1], &query.after);
        }
        run_list_clear(&previous);
        previous = page;
    }
    run_list_clear(&previous);
    if (n_seen != N_RUNS) {
        fail_msg("sort %s: %d runs", run_sort_name(query.sort), n_seen);
    }
}

static void pages_of_every_order_hold_each_run_once(void **state) {
    struct store_fixture *f = *state;
    for (int sort = 0; sort < RUN_SORT_COUNT; sort++) {
        for (int limit = 1; limit <= N_RUNS; limit += 3) {
            walk(f->store, (struct run_query){.sort = (enum run_sort)sort, .limit = limit});
            walk(f->store, (struct run_query){
                               .sort = (enum run_sort)sort, .ascending = true, .limit = limit});
        }
    }
}

static void runs_without_a_result_come_last_in_both_directions(void **state) {
    struct store_fixture *f = *state;
    for (int ascending = 0; ascending < 2; ascending++) {
        const struct run_query query = {
            .sort = RUN_SORT_BEST, .ascending = ascending, .limit = N_RUNS};
        struct run_list list = {0};
        ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
        for (size_t i = 0; i < list.n; i++) {
            assert_int_equal(list.rows[i].epochs_done == 0, i >= 2 * N_RUNS / 3);
        }
        run_list_clear(&list);
    }
}

static void a_run_that_is_added_moves_no_other_to_the_next_page(void **state) {
    struct store_fixture *f = *state;
    struct run_query query = {.limit = 10};
    struct run_list list = {0};
    ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
    int64_t last = list.rows[9].id;
    run_cursor_at(query.sort, &list.rows[9], &query.after);
    run_list_clear(&list);
    (void)fixture_add_run(f->store, 0);
    ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
    assert_int_equal(list.rows[0].id, last - 1);
    run_list_clear(&list);
}

/* The lines of the plan that read anything. */
static void plan_of(const char *path, const struct run_query *query,
                    const struct run_query_plan *how, char *text, size_t size) {
    char sql[RUN_QUERY_SQL_SIZE];
    char explain[RUN_QUERY_SQL_SIZE + 32];
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    size_t used = 0;
    ASSERT_OK(run_query_sql(query, how, sql, &fixture_error));
    (void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(handle, explain, -1, &statement, NULL), SQLITE_OK);
    text[0] = '\0';
    while (sqlite3_step(statement) == SQLITE_ROW) {
        used += (size_t)snprintf(text + used, size - used, "%s; ",
                                 (const char *)sqlite3_column_text(statement, 3));
        assert_true(used < size);
    }
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

static int occurrences(const char *text, const char *part) {
    int n = 0;
    for (text = strstr(text, part); text; text = strstr(text + 1, part)) {
        n++;
    }
    return n;
}

static bool has_an_index_of_its_own(enum run_sort sort) {
    return sort == RUN_SORT_BEST || sort == RUN_SORT_LAST || sort == RUN_SORT_MEAN_LAST_5 ||
           sort == RUN_SORT_FINISHED || sort == RUN_SORT_UPDATED || sort == RUN_SORT_NAME;
}

static void lists_read_covering_indexes_and_the_table_for_the_page_alone(void **state) {
    struct store_fixture *f = *state;
    char plan[2048];
    for (int sort = 0; sort < RUN_SORT_COUNT; sort++) {
        struct run_query query = {.sort = (enum run_sort)sort, .limit = 10};
        query.after = (struct run_cursor){.set = true, .id = 5, .type = RUN_KEY_INTEGER};
        add_text(&query, RUN_FIELD_DATASET, "shapes");
        add_text(&query, RUN_FIELD_STATE, "succeeded");
        const struct run_value vision = label_value("team", "vision");
        assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
        assert_true(run_query_add_value(&query, &vision));
        plan_of(f->path, &query, &no_plan, plan, sizeof(plan));
        bool own = has_an_index_of_its_own(query.sort);
        const char *index = own ? "SEARCH run USING COVERING INDEX run_by_"
                            : sort == RUN_SORT_ID
                                ? "SEARCH run USING COVERING INDEX run_facts (id<?)"
                                : "run USING COVERING INDEX run_facts";
        if (!strstr(plan, index)) {
            fail_msg("sort %s: %s", run_sort_name(query.sort), plan);
        }
        assert_non_null(strstr(plan, "SEARCH run USING INTEGER PRIMARY KEY"));
        assert_null(strstr(plan, "SCAN run;"));
        if (own || sort == RUN_SORT_ID) {
            /* Nothing is sorted but the page. */
            assert_int_equal(occurrences(plan, "TEMP B-TREE FOR ORDER BY"), 1);
        }
    }
    struct run_query query = {.limit = 10};
    add_states(&query, 1u << RUN_QUEUED | 1u << RUN_RUNNING);
    plan_of(f->path, &query, &no_plan, plan, sizeof(plan));
    assert_non_null(strstr(plan, "COVERING INDEX run_facts_unfinished"));
}

static void few_runs_are_found_by_the_index_of_their_condition(void **state) {
    struct store_fixture *f = *state;
    static const struct {
        enum run_field field;
        const char *index;
    } cases[] = {{RUN_FIELD_LABEL, "COVERING INDEX run_by_label (key=? AND value=?)"},
                 {RUN_FIELD_SWEEP, "COVERING INDEX run_of_sweep (sweep_id=?)"},
                 {RUN_FIELD_FORKED_FROM, "COVERING INDEX run_of_fork (forked_from=?)"},
                 {RUN_FIELD_OWNER, "COVERING INDEX run_of_owner (owner=?)"},
                 {RUN_FIELD_NAME, "COVERING INDEX run_by_name (name=?)"}};
    const struct run_query_plan second = {.driver = 1};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char plan[2048];
        struct run_query query = {.limit = 10, .sort = RUN_SORT_BEST};
        struct run_value value = label_value("team", "vision");
        value.number = 1;
        add_text(&query, RUN_FIELD_DATASET, "shapes");
        assert_true(run_query_begin_condition(&query, cases[i].field));
        assert_true(run_query_add_value(&query, &value));
        plan_of(f->path, &query, &second, plan, sizeof(plan));
        assert_non_null(strstr(plan, "SEARCH run USING COVERING INDEX run_facts (id=?)"));
        assert_non_null(strstr(plan, cases[i].index));
    }
}

static void a_label_in_order_of_id_is_read_until_the_page_is_full(void **state) {
    struct store_fixture *f = *state;
    char plan[2048];
    const struct run_query_plan first = {.driver = 0};
    struct run_query query = {.limit = 10, .after = {.set = true, .id = 5}};
    const struct run_value vision = label_value("team", "vision");
    assert_true(run_query_begin_condition(&query, RUN_FIELD_LABEL));
    assert_true(run_query_add_value(&query, &vision));
    plan_of(f->path, &query, &first, plan, sizeof(plan));
    assert_non_null(strstr(plan, "run_by_label (key=? AND value=? AND run_id<?)"));
    assert_int_equal(occurrences(plan, "TEMP B-TREE FOR ORDER BY"), 1);
}

static void add_many_runs(const char *path, int first_id, int n) {
    char sql[1024];
    sqlite3 *handle = NULL;
    (void)snprintf(
        sql, sizeof(sql),
        "WITH RECURSIVE series(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM series LIMIT %d)"
        "INSERT INTO run (id, name, priority, labels_json, config_json, preset, dataset, depth,"
        " epochs, m, cutout_size, seed, state, created_ms, updated_ms, owner)"
        " SELECT i, 'run 2', 0, '{}', '{}', preset, dataset, depth, epochs, m, cutout_size, seed,"
        "  'queued', 1, 1, 'bob' FROM series CROSS JOIN run r ON r.id = 1;"
        "INSERT INTO run_label SELECT id, 'half', '1' FROM run WHERE id >= %d",
        first_id, n, first_id);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* The same lists, however many other runs have the label and the name: which statement answers
 * depends on that. */
static void rare_and_common_labels_and_names_list_the_same(void **state) {
    struct store_fixture *f = *state;
    struct run_query queries[3] = {
        {.limit = 3, .sort = RUN_SORT_BEST, .ascending = true}, {.limit = 3}, {.limit = 3}};
    const struct run_value second = label_value("half", "1");
    for (int i = 0; i < 3; i++) {
        /* The many runs have m 1. */
        assert_true(run_query_begin_condition(&queries[i], RUN_FIELD_M));
        for (int m = 2; m <= 8; m *= 2) {
            assert_true(run_query_add_value(&queries[i], &(struct run_value){.number = m}));
        }
        if (i < 2) {
            assert_true(run_query_begin_condition(&queries[i], RUN_FIELD_LABEL));
            assert_true(run_query_add_value(&queries[i], &second));
        } else {
            add_text(&queries[i], RUN_FIELD_NAME, "run 2");
        }
    }
    int64_t ids[3][3];
    static const int more[] = {0, 6000, 24000};
    int next_id = 100;
    for (int round = 0; round < 3; round++) {
        add_many_runs(f->path, next_id, more[round]);
        next_id += more[round];
        for (int i = 0; i < 3; i++) {
            struct run_list list = {0};
            ASSERT_OK(run_table_list(f->store, &queries[i], &list, &fixture_error));
            assert_int_equal(list.n, 3);
            assert_true(list.more);
            for (int j = 0; j < 3; j++) {
                ids[i][j] = round == 0 ? list.rows[j].id : ids[i][j];
                assert_int_equal(list.rows[j].id, ids[i][j]);
            }
            run_list_clear(&list);
        }
    }
}

static void parts_that_were_not_asked_for_are_not_read(void **state) {
    struct store_fixture *f = *state;
    struct run_list list = {0};
    struct run_query query = {.limit = 1};
    ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
    assert_string_equal(list.rows[0].labels_json, "");
    assert_string_equal(list.rows[0].config_json, "");
    run_list_clear(&list);
    query.parts = RUN_PART_LABELS;
    ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
    assert_string_equal(list.rows[0].labels_json, "{\"team\":\"vision\",\"half\":\"1\"}");
    assert_string_equal(list.rows[0].config_json, "");
    run_list_clear(&list);
    query.parts = RUN_PARTS_ALL;
    ASSERT_OK(run_table_list(f->store, &query, &list, &fixture_error));
    assert_string_equal(list.rows[0].config_json, "{}");
    run_list_clear(&list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(conditions_are_and_and_values_are_or),
        TEST(states_of_unfinished_runs_are_found),
        TEST(labels_are_or_in_one_condition_and_and_in_two),
        TEST(too_many_values_are_refused),
        TEST(pages_of_every_order_hold_each_run_once),
        TEST(runs_without_a_result_come_last_in_both_directions),
        TEST(a_run_that_is_added_moves_no_other_to_the_next_page),
        TEST(lists_read_covering_indexes_and_the_table_for_the_page_alone),
        TEST(few_runs_are_found_by_the_index_of_their_condition),
        TEST(a_label_in_order_of_id_is_read_until_the_page_is_full),
        TEST(rare_and_common_labels_and_names_list_the_same),
        TEST(parts_that_were_not_asked_for_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
