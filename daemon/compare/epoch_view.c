/* Layer: daemon. */
#include "daemon/compare/epoch_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/text_stream.h"

double error_ratio(int wrong, int total) {
    return total > 0 ? (double)wrong / total : 0;
}

static double get_epoch(const struct epoch_row *row) {
    return row->report.epoch;
}

static double get_train_loss(const struct epoch_row *row) {
    return row->report.train_loss;
}

static double get_train_accuracy(const struct epoch_row *row) {
    return row->report.train_accuracy;
}

static double get_val_loss(const struct epoch_row *row) {
    return row->report.val_loss;
}

static double get_val_accuracy(const struct epoch_row *row) {
    return row->report.val_accuracy;
}

static double get_val_error(const struct epoch_row *row) {
    return error_ratio(row->report.val_wrong, row->report.val_total);
}

static double get_val_wrong(const struct epoch_row *row) {
    return row->report.val_wrong;
}

static double get_val_total(const struct epoch_row *row) {
    return row->report.val_total;
}

static double get_lr(const struct epoch_row *row) {
    return row->report.lr;
}

static double get_seconds(const struct epoch_row *row) {
    return row->report.seconds;
}

static double get_images_per_second(const struct epoch_row *row) {
    return row->report.images_per_second;
}

/* NaN, which is shown as null: of an inherited epoch nobody may know it any more. */
static double known(int64_t count) {
    return count > 0 ? (double)count : (double)NAN;
}

static double get_images(const struct epoch_row *row) {
    return known(row->report.images);
}

static double get_steps(const struct epoch_row *row) {
    return known(row->report.steps);
}

static double get_val_error_tta(const struct epoch_row *row) {
    const struct epoch_report *r = &row->report;
    return r->tta_total > 0 ? error_ratio(r->tta_wrong, r->tta_total) : (double)NAN;
}

static double get_val_error_ema(const struct epoch_row *row) {
    const struct epoch_report *r = &row->report;
    return r->ema_total > 0 ? error_ratio(r->ema_wrong, r->ema_total) : (double)NAN;
}

static const struct column {
    const char *name;
    double (*get)(const struct epoch_row *row);
    bool in_curve;
} columns[] = {
    {"epoch", get_epoch, true},
    {"train_loss", get_train_loss, false},
    {"train_accuracy", get_train_accuracy, false},
    {"val_loss", get_val_loss, false},
    {"val_accuracy", get_val_accuracy, false},
    {"val_error", get_val_error, true},
    {"val_wrong", get_val_wrong, true},
    {"val_total", get_val_total, true},
    {"lr", get_lr, false},
    {"seconds", get_seconds, false},
    {"images_per_second", get_images_per_second, false},
    {"images", get_images, false},
    {"steps", get_steps, false},
    {"val_error_tta", get_val_error_tta, false},
    {"val_error_ema", get_val_error_ema, false},
};

enum { N_COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static bool has_diverged(const struct epoch_row *row) {
    return !isfinite(row->report.train_loss) || !isfinite(row->report.val_loss);
}

void epoch_write_members(struct json_writer *writer, const struct epoch_row *row) {
    for (int i = 0; i < N_COLUMNS; i++) {
        json_write_number(writer, columns[i].name, columns[i].get(row));
    }
    if (has_diverged(row)) {
        json_write_bool(writer, "diverged", true);
    }
}

static void put_header(FILE *out, enum epoch_columns which) {
    for (int i = 0; i < N_COLUMNS; i++) {
        if (which == EPOCH_ALL || columns[i].in_curve) {
            (void)fprintf(out, "%s%s", i > 0 ? "," : "", columns[i].name);
        }
    }
    (void)fputc('\n', out);
}

static void put_row(FILE *out, const struct epoch_row *row, enum epoch_columns which,
                    enum epoch_format format) {
    bool json = format != EPOCH_CSV;
    const char *nothing = json ? "null" : "";
    (void)fputs(json ? "{" : "", out);
    for (int i = 0; i < N_COLUMNS; i++) {
        if (which == EPOCH_CURVE && !columns[i].in_curve) {
            continue;
        }
        char text[JSON_NUMBER_SIZE];
        double value = columns[i].get(row);
        (void)fputs(i > 0 ? "," : "", out);
        if (json) {
            (void)fprintf(out, "\"%s\":", columns[i].name);
        }
        (void)fputs(isfinite(value) ? number_format(value, text) : nothing, out);
    }
    if (json) {
        (void)fputs(which == EPOCH_ALL && has_diverged(row) ? ",\"diverged\":true}" : "}", out);
    }
}

char *epoch_csv_line(const struct epoch_row *row) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    if (row) {
        put_row(out, row, EPOCH_ALL, EPOCH_CSV);
        (void)fputc('\n', out);
    } else {
        put_header(out, EPOCH_ALL);
    }
    return text_stream_close(out, &text);
}

char *epochs_format(const struct epoch_list *list, enum epoch_columns which,
                    enum epoch_format format) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = text_stream_open(&text, &size);
    if (!out) {
        return NULL;
    }
    if (format == EPOCH_CSV) {
        put_header(out, which);
    }
    (void)fputs(format == EPOCH_JSON ? "[" : "", out);
    for (size_t i = 0; i < list->n; i++) {
        (void)fputs(format == EPOCH_JSON && i > 0 ? "," : "", out);
        put_row(out, &list->rows[i], which, format);
        (void)fputs(format == EPOCH_JSON ? "" : "\n", out);
    }
    (void)fputs(format == EPOCH_JSON ? "]" : "", out);
    return text_stream_close(out, &text);
}

void epochs_thin(struct epoch_list *list, size_t n) {
    if (list->n <= n || n < 3) {
        return;
    }
    size_t best = 0;
    for (size_t i = 1; i < list->n; i++) {
        if (list->rows[i].report.val_wrong < list->rows[best].report.val_wrong) {
            best = i;
        }
    }
    /* The inner point that is nearest to the best one makes room for it. */
    const size_t last = list->n - 1; /* 3 or more: NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    size_t near = (best * (n - 1) + last / 2) / last;
    near = near < 1 ? 1 : near > n - 2 ? n - 2 : near;
    for (size_t i = 0; i < n; i++) {
        size_t from = (i * last + (n - 1) / 2) / (n - 1);
        bool replaced = i == near && best > 0 && best < last;
        list->rows[i] = list->rows[replaced ? best : from];
    }
    list->n = n;
}
