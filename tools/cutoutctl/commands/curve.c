/* curve: validation errors as a table and a plot in the terminal. Layer: tools. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "tools/cutoutctl/command.h"
#include "tools/cutoutctl/text_width.h"

enum { PLOT_HEIGHT = 16, PLOT_WIDTH = 64, TABLE_ROWS = 20, CELL_SIZE = 24 };
static const char marks[] = "ox+#@%&=sv";

struct point {
    int epoch;
    double error;
};

struct curve {
    char label[LABEL_SIZE];
    struct point *points; /* by epoch */
    int n;
};

struct curves {
    struct curve *items;
    int n;
    int last_epoch;
    double least; /* errors of all curves */
    double most;
};

static char mark_of(int curve) {
    return marks[(size_t)curve % (sizeof(marks) - 1)];
}

static void curves_clear(struct curves *curves) {
    for (int i = 0; i < curves->n; i++) {
        free(curves->items[i].points);
    }
    free(curves->items);
}

/* Reads an answer of validation-error. */
ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak") /* curves_clear frees it */
static bool read_curve(struct curves *curves, struct curve *curve, const cJSON *json) {
    const cJSON *epochs = cJSON_GetObjectItemCaseSensitive(json, "epochs");
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(json, "val_error");
    const cJSON *epoch = cJSON_IsArray(epochs) ? epochs->child : NULL;
    const cJSON *error = cJSON_IsArray(errors) ? errors->child : NULL;
    (void)run_label(json, curve->label);
    curve->points = calloc((size_t)cJSON_GetArraySize(epochs) + 1, sizeof(struct point));
    if (!curve->points) {
        command_complain("no memory");
        return false;
    }
    for (; epoch && error; epoch = epoch->next, error = error->next) {
        if (!cJSON_IsNumber(epoch) || !cJSON_IsNumber(error)) {
            continue;
        }
        struct point point = {.epoch = epoch->valueint, .error = error->valuedouble};
        curve->points[curve->n++] = point;
        curves->last_epoch = point.epoch > curves->last_epoch ? point.epoch : curves->last_epoch;
        curves->least = fmin(curves->least, point.error);
        curves->most = fmax(curves->most, point.error);
    }
    return true;
}
ANALYZER_GOES_ON

/* The error at an epoch, NAN where the curve has no point. */
static double error_at(const struct curve *curve, int epoch) {
    for (int i = 0; i < curve->n; i++) {
        if (curve->points[i].epoch == epoch) {
            return curve->points[i].error;
        }
    }
    return (double)NAN;
}

static double best_of(const struct curve *curve) {
    double best = (double)NAN;
    for (int i = 0; i < curve->n; i++) {
        best = fmin(best, curve->points[i].error);
    }
    return best;
}

static void print_cell(int width, double error) {
    if (isnan(error)) {
        (void)printf("  %*s", width, "");
    } else {
        (void)printf("  %*.4f", width, error);
    }
}

static bool has_epoch(const struct curves *curves, int epoch) {
    for (int i = 0; i < curves->n; i++) {
        if (!isnan(error_at(&curves->items[i], epoch))) {
            return true;
        }
    }
    return false;
}

/* All epochs of short runs, some of long ones. */
static void print_table(const struct curves *curves) {
    int width = 8;
    for (int i = 0; i < curves->n; i++) {
        int n = text_columns(curves->items[i].label);
        width = n > width ? n : width;
    }
    width = width < CELL_SIZE ? width : CELL_SIZE;
    int every = (curves->last_epoch + TABLE_ROWS - 1) / TABLE_ROWS;
    (void)fputs("epoch", stdout);
    for (int i = 0; i < curves->n; i++) {
        (void)fputs("  ", stdout);
        text_fit(stdout, curves->items[i].label, width, 1);
    }
    (void)putchar('\n');
    int next = 1;
    for (int epoch = 1; epoch <= curves->last_epoch; epoch++) {
        if ((epoch < next && epoch != curves->last_epoch) || !has_epoch(curves, epoch)) {
            continue;
        }
        next = epoch + every;
        (void)printf("%5d", epoch);
        for (int i = 0; i < curves->n; i++) {
            print_cell(width, error_at(&curves->items[i], epoch));
        }
        (void)putchar('\n');
    }
    (void)fputs(" best", stdout);
    for (int i = 0; i < curves->n; i++) {
        print_cell(width, best_of(&curves->items[i]));
    }
    (void)fputs("\n\n", stdout);
}

/* Validation error upwards, epochs to the right; where curves meet, the later one shows. */
static void print_plot(const struct curves *curves) {
    char grid[PLOT_HEIGHT][PLOT_WIDTH + 1];
    double bottom = floor(10 * curves->least) / 10;
    double top = fmax(ceil(10 * curves->most) / 10, bottom + 0.1);
    int columns = 6 * curves->last_epoch < PLOT_WIDTH ? 6 * curves->last_epoch : PLOT_WIDTH;
    int n_gaps = curves->last_epoch > 1 ? curves->last_epoch - 1 : 1;
    memset(grid, ' ', sizeof(grid));
    for (int i = 0; i < curves->n; i++) {
        for (int k = 0; k < curves->items[i].n; k++) {
            const struct point *point = &curves->items[i].points[k];
            int x = (int)((long)(point->epoch - 1) * (columns - 1) / n_gaps);
            double y = (top - point->error) / (top - bottom) * (PLOT_HEIGHT - 1);
            grid[(int)(y + 0.5)][x] = mark_of(i);
        }
    }
    for (int y = 0; y < PLOT_HEIGHT; y++) {
        int n = columns;
        while (n > 0 && grid[y][n - 1] == ' ') {
            n--;
        }
        (void)printf("%5.2f |%.*s\n", top - (top - bottom) * y / (PLOT_HEIGHT - 1), n, grid[y]);
    }
    (void)fputs("      +", stdout);
    for (int x = 0; x < columns; x++) {
        (void)putchar('-');
    }
    (void)printf("\n       1%*d  epoch\n", columns - 1, curves->last_epoch);
    for (int i = 0; i < curves->n; i++) {
        (void)printf("       %c %s\n", mark_of(i), curves->items[i].label);
    }
}

int command_curve(const struct invocation *invocation) {
    CLEANUP(curves_clear) struct curves curves = {.least = HUGE_VAL, .most = -HUGE_VAL};
    curves.items = calloc((size_t)invocation->n, sizeof(struct curve));
    int exit_status = curves.items ? EXIT_DONE : EXIT_TROUBLE;
    for (int i = 0; i < invocation->n && curves.items; i++) {
        char path[96];
        (void)snprintf(path, sizeof(path), "/runs/%s/validation-error?points=500",
                       invocation->arguments[i]);
        const struct call call = {.method = "GET", .path = path};
        CLEANUP(answer_clear) struct answer answer = {.http_status = 0};
        bool answered = command_ask(invocation->client, &call, &answer, &exit_status);
        if (answered && invocation->output == OUTPUT_JSON) {
            answer_print(&answer);
        } else if (answered && !read_curve(&curves, &curves.items[curves.n++], answer.json)) {
            return EXIT_TROUBLE;
        } else if (!answered && !invocation->client->print_curl) {
            return exit_status;
        }
    }
    if (curves.last_epoch > 0) {
        (void)puts("Validation error\n");
        print_table(&curves);
        print_plot(&curves);
    } else if (curves.n > 0) {
        (void)puts("No epoch has ended yet.");
    }
    return exit_status;
}
