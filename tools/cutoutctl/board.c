/* Layer: tools. */
#include "tools/cutoutctl/board.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/base/clock.h"
#include "core/base/time_text.h"
#include "tools/cutoutctl/text_width.h"

enum { BAR_WIDTH = 24, LINE_SIZE = 640, FACTS_SIZE = 384, NARROW = 60 };
static const double REDRAW_INTERVAL_S = 0.1;

static void copy_text(char *to, size_t size, const char *text) {
    (void)snprintf(to, size, "%s", text);
}

static void set_progress(struct board_run *run, const cJSON *progress) {
    run->epoch = json_number(progress, "epoch", 0);
    run->step = json_number(progress, "step", 0);
    run->steps_per_epoch = json_number(progress, "steps_per_epoch", 0);
    run->images_per_second = json_number(progress, "images_per_second", -1);
    run->eta_seconds = json_number(progress, "eta_seconds", -1);
}

void board_set(struct board_run *run, const cJSON *json) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(json, "config");
    copy_text(run->id, sizeof(run->id), json_text(json, "id", "?"));
    (void)run_label(json, run->label);
    copy_text(run->state, sizeof(run->state), json_text(json, "state", "?"));
    copy_text(run->reason, sizeof(run->reason), json_text(json, "reason", ""));
    run->ranked_out = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(json, "halving"), "ranked_out"));
    run->epochs = json_number(config, "epochs", 1);
    run->epochs_done = json_number(json, "epochs_done", 0);
    run->val_error = json_number(cJSON_GetObjectItemCaseSensitive(json, "last"), "val_error", -1);
    set_progress(run, cJSON_GetObjectItemCaseSensitive(json, "progress"));
}

void board_hear(struct board *board, const char *event, const cJSON *data) {
    struct board_run *run = NULL;
    for (size_t i = 0; i < board->n && !run; i++) {
        if (strcmp(board->runs[i].id, json_text(data, "run", "")) == 0) {
            run = &board->runs[i];
        }
    }
    if (!run) {
        return;
    }
    if (strcmp(event, "state") == 0) {
        copy_text(run->state, sizeof(run->state), json_text(data, "state", "?"));
        copy_text(run->reason, sizeof(run->reason), json_text(data, "reason", ""));
        set_progress(run, NULL);
    } else if (strcmp(event, "edit") == 0) {
        copy_text(run->label, sizeof(run->label), json_text(data, "name", run->label));
    } else if (strcmp(event, "step") == 0) {
        set_progress(run, data);
    } else if (strcmp(event, "epoch") == 0) {
        run->epochs_done = json_number(data, "epoch", run->epochs_done);
        run->val_error = json_number(data, "val_error", run->val_error);
    }
}

bool board_is_final(const struct board_run *run) {
    return strcmp(run->state, "succeeded") == 0 || strcmp(run->state, "failed") == 0 ||
           strcmp(run->state, "canceled") == 0 ||
           (strcmp(run->state, "paused") == 0 && run->ranked_out);
}

bool board_is_done(const struct board *board) {
    for (size_t i = 0; i < board->n; i++) {
        if (!board_is_final(&board->runs[i])) {
            return false;
        }
    }
    return true;
}

enum exit_status board_exit_status(const struct board *board) {
    enum exit_status status = EXIT_DONE;
    for (size_t i = 0; i < board->n; i++) {
        if (strcmp(board->runs[i].state, "failed") == 0) {
            return EXIT_REFUSED;
        }
        if (strcmp(board->runs[i].state, "canceled") == 0) {
            status = EXIT_CANCELED;
        }
    }
    return status;
}

/* Drawing */

static double fraction_done(const struct board_run *run) {
    double epochs = run->epochs_done;
    if (run->epoch > 0 && run->steps_per_epoch > 0) {
        double inside = run->epoch - 1 + run->step / run->steps_per_epoch;
        epochs = inside > epochs ? inside : epochs;
    }
    double fraction = run->epochs > 0 ? epochs / run->epochs : 0;
    return fraction < 0 ? 0 : fraction > 1 ? 1 : fraction;
}

/* What is known beside label and state, the most telling first. */
static void write_facts(const struct board_run *run, bool narrow, char facts[FACTS_SIZE]) {
    size_t used = (size_t)snprintf(facts, FACTS_SIZE, "%3.0f%%", 100 * fraction_done(run));
    bool trains = strcmp(run->state, "running") == 0 && run->epoch > 0;
    if (trains && run->eta_seconds >= 0) {
        char eta[DURATION_SIZE];
        used += (size_t)snprintf(facts + used, FACTS_SIZE - used, "  %s left",
                                 duration_format(run->eta_seconds, eta));
    }
    if (run->val_error >= 0) {
        used += (size_t)snprintf(facts + used, FACTS_SIZE - used, "  error %.4f", run->val_error);
    }
    if (narrow) {
        used += (size_t)snprintf(facts + used, FACTS_SIZE - used, "  %s", run->state);
    }
    if (trains) {
        used += (size_t)snprintf(facts + used, FACTS_SIZE - used, "  epoch %.0f/%.0f",
                                 fmax(run->epoch, run->epochs_done), run->epochs);
    }
    if (trains && run->images_per_second >= 0) {
        used += (size_t)snprintf(facts + used, FACTS_SIZE - used, "  %.0f images/s",
                                 run->images_per_second);
    }
    if (run->reason[0]) {
        (void)snprintf(facts + used, FACTS_SIZE - used, "  %s", run->reason);
    }
}

/* Label, state, bar, facts. In a narrow terminal the bar is left out first, then the label gives
 * way and the state comes behind percent, time left and error. */
static void write_line(const struct board_run *run, int label_width, int columns,
                       char line[LINE_SIZE]) {
    enum { LABEL_LEAST = 6, STATE_WIDTH = 9, FACTS_WIDTH = 31 };
    bool narrow = columns < NARROW;
    char state[sizeof(run->state) + 8] = "";
    char bar[BAR_WIDTH + 4] = "";
    char facts[FACTS_SIZE];
    write_facts(run, narrow, facts);
    int left = columns - 2 - FACTS_WIDTH - (narrow ? 0 : STATE_WIDTH + 2);
    if (left >= LABEL_LEAST + BAR_WIDTH + 3) {
        int filled = (int)(fraction_done(run) * BAR_WIDTH + 0.5);
        bar[0] = '[';
        memset(bar + 1, '-', BAR_WIDTH);
        memset(bar + 1, '#', (size_t)filled);
        memcpy(bar + 1 + BAR_WIDTH, "] ", 3);
        left -= BAR_WIDTH + 3;
    }
    if (!narrow) {
        (void)snprintf(state, sizeof(state), "%-*s  ", STATE_WIDTH, run->state);
    }
    left = left > LABEL_LEAST ? left : LABEL_LEAST;
    int width = label_width < left ? label_width : left;
    int padding = width - text_columns(run->label);
    (void)snprintf(line, LINE_SIZE, "%.*s%*s  %s%s%s", text_bytes(run->label, width), run->label,
                   padding > 0 ? padding : 0, "", state, bar, facts);
    line[text_bytes(line, columns)] = '\0';
}

static int label_width(const struct board *board) {
    int width = 0;
    for (size_t i = 0; i < board->n; i++) {
        int n = text_columns(board->runs[i].label);
        width = n > width ? n : width;
    }
    return width;
}

/* Lines over the old ones; what does not fit on the screen is counted. */
static void draw_live(struct board *board) {
    struct winsize size = {0};
    bool known = ioctl(fileno(board->out), TIOCGWINSZ, &size) == 0;
    int columns = known && size.ws_col > 1 ? size.ws_col - 1 : 79;
    int rows = known && size.ws_row > 3 ? size.ws_row - 2 : 22;
    int shown = (int)board->n > rows ? rows - 1 : (int)board->n;
    int n_ended = 0;
    if (board->n_lines > 0) {
        /* A terminal that became narrower has broken the old lines into more of them. */
        int n_rows = board->n_lines;
        if (columns < board->columns) {
            n_rows *= (board->columns + columns - 1) / columns;
        }
        (void)fprintf(board->out, "\x1b[%dA\r\x1b[J", n_rows < rows + 2 ? n_rows : rows + 2);
    }
    board->columns = columns;
    int width = label_width(board);
    for (int i = 0; i < (int)board->n; i++) {
        char line[LINE_SIZE];
        n_ended += board_is_final(&board->runs[i]);
        if (i < shown) {
            write_line(&board->runs[i], width, columns, line);
            (void)fprintf(board->out, "\r%s\x1b[K\n", line);
        }
    }
    if (shown < (int)board->n) {
        (void)fprintf(board->out, "\r%d more; %d of all %zu have ended\x1b[K\n",
                      (int)board->n - shown, n_ended, board->n);
    }
    board->n_lines = shown + (shown < (int)board->n);
}

/* A line whenever something worth one happened: another state, another finished epoch. */
static void draw_plain(struct board *board) {
    int width = label_width(board);
    for (size_t i = 0; i < board->n; i++) {
        struct board_run *run = &board->runs[i];
        if (strcmp(run->said_state, run->state) == 0 && run->said_epochs == run->epochs_done) {
            continue;
        }
        char line[LINE_SIZE];
        write_line(run, width, LINE_SIZE - 1, line);
        (void)fprintf(board->out, "%s\n", line);
        copy_text(run->said_state, sizeof(run->said_state), run->state);
        run->said_epochs = run->epochs_done;
    }
}

void board_draw(struct board *board, bool now) {
    if (!board->out) {
        return;
    }
    if (!board->live) {
        draw_plain(board);
    } else {
        double time_s = clock_monotonic_s(&clock_system);
        if (!now && time_s < board->drawn + REDRAW_INTERVAL_S) {
            return;
        }
        board->drawn = time_s;
        draw_live(board);
    }
    (void)fflush(board->out);
}
