/* Layer: tools. */
#include "tools/cutoutctl/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/cleanup.h"
#include "core/base/text_stream.h"
#include "core/base/time_text.h"
#include "daemon/spec/json_tree.h"
#include "tools/cutoutctl/text_width.h"
#include "tools/cutoutctl/values.h"

enum { COLUMNS_MOST = 32, GAP = 2, ELASTIC_LEAST = 12, ELASTIC_LAST = 4, PATH_SIZE = 64 };

struct table {
    const struct column *columns[COLUMNS_MOST];
    int widths[COLUMNS_MOST];
    size_t n_columns;
    char **cells; /* n_rows x n_columns, the first row: the titles */
    size_t n_rows;
};

const cJSON *json_at(const cJSON *item, const char *path) {
    char name[PATH_SIZE];
    while (item && *path) {
        size_t n = strcspn(path, ".");
        (void)snprintf(name, sizeof(name), "%.*s", (int)n, path);
        item = cJSON_GetObjectItemCaseSensitive(item, name);
        path += n + (path[n] == '.');
    }
    return cJSON_IsNull(item) ? NULL : item;
}

/* ---- cells ---- */

static void put_value(FILE *out, const cJSON *value) {
    if (cJSON_IsString(value)) {
        (void)fputs(value->valuestring, out);
    } else if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
        for (const cJSON *part = value->child; part; part = part->next) {
            if (part->string) {
                (void)fprintf(out, "%s:", part->string);
            }
            put_value(out, part);
            (void)fputs(part->next ? "," : "", out);
        }
    } else {
        CLEANUP(free_pointer) char *text = json_print(value);
        (void)fputs(text ? text : "", out);
    }
}

static void put_bytes(FILE *out, double bytes) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    for (; bytes >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++) {
        bytes /= 1000;
    }
    (void)fprintf(out, unit > 0 && bytes < 99.5 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void put_time(FILE *out, const char *text) {
    int64_t unix_ms = 0;
    struct tm parts;
    char shown[TIME_TEXT_SIZE];
    if (!time_parse(text, &unix_ms)) {
        (void)fputs(text, out);
        return;
    }
    time_t seconds = (time_t)(unix_ms / 1000);
    (void)localtime_r(&seconds, &parts);
    (void)strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M", &parts);
    (void)fputs(shown, out);
}

static void put_number(FILE *out, enum cell_kind kind, double number) {
    char duration[DURATION_SIZE];
    switch (kind) {
    case CELL_ERROR:
        (void)fprintf(out, "%.4f", number);
        break;
    case CELL_PERCENT:
        (void)fprintf(out, "%.0f%%", 100 * number);
        break;
    case CELL_SECONDS:
        (void)fputs(duration_format(number, duration), out);
        break;
    case CELL_HOURS:
        (void)fprintf(out, "%.1f", number / 3600);
        break;
    case CELL_BYTES:
        put_bytes(out, number);
        break;
    case CELL_TEXT:
    case CELL_NUMBER:
    case CELL_TIME:
        (void)fprintf(out, "%.15g", number);
        break;
    }
}

static void put_member(FILE *out, const struct column *column, const cJSON *value, bool csv) {
    bool formatted = !csv && column->kind != CELL_TEXT && column->kind != CELL_NUMBER;
    if (cJSON_IsNumber(value) && formatted) {
        put_number(out, column->kind, value->valuedouble);
    } else if (cJSON_IsString(value) && !csv && column->kind == CELL_TIME) {
        put_time(out, value->valuestring);
    } else {
        put_value(out, value);
    }
}

/* As people read it, or for CSV whole. NULL: no memory. */
static char *make_cell(const struct column *column, const cJSON *item, bool csv) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    const cJSON *value = column->path ? json_at(item, column->path) : NULL;
    double number = column->number ? column->number(item) : -1;
    if (!out) {
        return NULL;
    }
    if (column->number && number >= 0) {
        put_number(out, csv ? CELL_NUMBER : column->kind, number);
    } else if (value) {
        put_member(out, column, value, csv);
    }
    if (ftell(out) == 0 && !csv) {
        (void)fputc('-', out);
    }
    return text_stream_close(out, &text);
}

/* ---- CSV ---- */

static void put_csv(const char *text, bool is_title) {
    bool quoted = text[strcspn(text, ",\"\r\n")] != '\0';
    (void)fputs(quoted ? "\"" : "", stdout);
    for (; *text; text++) {
        (void)fputs(*text == '"' ? "\"" : "", stdout);
        (void)putchar(is_title && *text == ' ' ? '_' : *text);
    }
    (void)fputs(quoted ? "\"" : "", stdout);
}

static void print_csv(const struct table *table) {
    for (size_t row = 0; row < table->n_rows; row++) {
        for (size_t i = 0; i < table->n_columns; i++) {
            (void)fputs(i > 0 ? "," : "", stdout);
            put_csv(table->cells[row * table->n_columns + i], row == 0);
        }
        (void)fputs("\r\n", stdout);
    }
}

/* ---- fitting ---- */

static int width_of(const struct table *table) {
    int width = -GAP;
    for (size_t i = 0; i < table->n_columns; i++) {
        width += table->widths[i] >= 0 ? table->widths[i] + GAP : 0;
    }
    return width;
}

/* Takes columns from the widest elastic one until the table fits, or all are down to `least`. */
static void shrink(struct table *table, int columns, int least) {
    while (width_of(table) > columns) {
        size_t widest = table->n_columns;
        for (size_t i = 0; i < table->n_columns; i++) {
            if (table->columns[i]->elastic && table->widths[i] > least &&
                (widest == table->n_columns || table->widths[i] > table->widths[widest])) {
                widest = i;
            }
        }
        if (widest == table->n_columns) {
            return;
        }
        table->widths[widest]--;
    }
}

/* Leaves one column out: width -1. false: only those are left that always stay. */
static bool leave_out(struct table *table) {
    size_t last = table->n_columns;
    for (size_t i = 0; i < table->n_columns; i++) {
        int rank = table->columns[i]->rank;
        if (table->widths[i] >= 0 && rank > 0 &&
            (last == table->n_columns || rank >= table->columns[last]->rank)) {
            last = i;
        }
    }
    if (last == table->n_columns) {
        return false;
    }
    table->widths[last] = -1;
    return true;
}

static void measure(struct table *table) {
    for (size_t i = 0; i < table->n_columns; i++) {
        for (size_t row = 0; row < table->n_rows && table->widths[i] >= 0; row++) {
            int width = text_columns(table->cells[row * table->n_columns + i]);
            table->widths[i] = width > table->widths[i] ? width : table->widths[i];
        }
    }
}

/* What a column that was left out frees goes to the elastic ones. */
static void fit(struct table *table, int columns) {
    for (bool going = true; going;) {
        measure(table);
        shrink(table, columns, ELASTIC_LEAST);
        going = width_of(table) > columns && leave_out(table);
    }
    shrink(table, columns, ELASTIC_LAST);
}

static bool is_right(const struct column *column) {
    return column->kind != CELL_TEXT && column->kind != CELL_TIME;
}

static void print_fitted(struct table *table, int columns) {
    size_t n_shown = 0; /* up to the last column that is not left out */
    measure(table);
    if (columns > 0) {
        fit(table, columns);
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        n_shown = table->widths[i] >= 0 ? i + 1 : n_shown;
    }
    for (size_t row = 0; row < table->n_rows; row++) {
        for (size_t i = 0; i < n_shown; i++) {
            bool last = i + 1 == n_shown;
            bool right = is_right(table->columns[i]);
            if (table->widths[i] >= 0) {
                text_fit(stdout, table->cells[row * table->n_columns + i], table->widths[i],
                         right  ? 1
                         : last ? 0
                                : -1);
                (void)printf("%*s", last ? 0 : GAP, "");
            }
        }
        (void)putchar('\n');
    }
}

/* ---- tables ---- */

static void table_clear(struct table *table) {
    for (size_t i = 0; table->cells && i < table->n_rows * table->n_columns; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
}

static bool fill(struct table *table, const cJSON *items, bool csv) {
    table->n_rows = (size_t)cJSON_GetArraySize(items) + 1;
    table->cells = calloc(table->n_rows * table->n_columns, sizeof(*table->cells));
    bool good = table->cells != NULL;
    for (size_t i = 0; good && i < table->n_columns; i++) {
        table->cells[i] = strdup(table->columns[i]->title);
        good = table->cells[i] != NULL;
    }
    size_t at = table->n_columns;
    for (const cJSON *item = items ? items->child : NULL; item && good; item = item->next) {
        for (size_t i = 0; i < table->n_columns && good; i++) {
            table->cells[at] = make_cell(table->columns[i], item, csv);
            good = table->cells[at++] != NULL;
        }
    }
    if (!good) {
        command_complain("no memory");
    }
    return good;
}

bool table_print(const struct invocation *invocation, const struct column *columns,
                 size_t n_columns, const cJSON *items) {
    bool csv = invocation->output == OUTPUT_CSV;
    bool all = csv || invocation->output == OUTPUT_WIDE;
    CLEANUP(table_clear) struct table table = {.n_rows = 0};
    for (size_t i = 0; i < n_columns && table.n_columns < COLUMNS_MOST; i++) {
        if (all || columns[i].rank < WIDE) {
            table.columns[table.n_columns++] = &columns[i];
        }
    }
    if (!fill(&table, items, csv)) {
        return false;
    }
    if (csv) {
        print_csv(&table);
    } else {
        print_fitted(&table, invocation->output == OUTPUT_WIDE ? 0 : terminal_columns(stdout));
    }
    return true;
}

int table_ask(const struct invocation *invocation, const char *path, const struct column *columns,
              size_t n_columns) {
    const struct call call = {.method = "GET", .path = path};
    CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
    int exit_status = EXIT_DONE;
    if (!command_ask_to_print(invocation, &call, &answer, &exit_status)) {
        return exit_status;
    }
    const cJSON *items = cJSON_GetObjectItemCaseSensitive(answer.json, "items");
    const cJSON *item = NULL;
    if (!invocation->quiet && !table_print(invocation, columns, n_columns, items)) {
        return EXIT_TROUBLE;
    }
    cJSON_ArrayForEach(item, items) {
        if (invocation->quiet) {
            (void)printf("%s\n", json_text(item, "id", "?"));
        }
    }
    const char *cursor = json_text(answer.json, "next_cursor", NULL);
    if (cursor && !invocation->quiet) {
        (void)fflush(stdout);
        (void)fprintf(stderr, "There are more: add limit=500, or cursor=%s.\n", cursor);
    }
    return EXIT_DONE;
}

int table_ask_with(const struct invocation *invocation, const char *path,
                   const struct column *columns, size_t n_columns) {
    CLEANUP(free_pointer) char *query = NULL;
    CLEANUP(free_pointer) char *whole = NULL;
    struct error error;
    if (values_to_query(invocation->arguments, invocation->n, &query, &error) != STATUS_OK) {
        return command_refuse(&error);
    }
    if (asprintf(&whole, "%s%s", path, query) < 0) {
        whole = NULL;
        return EXIT_TROUBLE;
    }
    return table_ask(invocation, whole, columns, n_columns);
}
