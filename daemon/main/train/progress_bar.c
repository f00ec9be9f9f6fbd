/* Layer: daemon. */
#include "daemon/main/train/progress_bar.h"

#include <string.h>
#include <sys/ioctl.h>

#include "core/base/time_text.h"

enum { BAR_MOST = 40, BAR_LEAST = 8, LINE_SIZE = 256, DEFAULT_COLUMNS = 80 };

static const double REDRAW_INTERVAL_S = 0.1;

void progress_bar_begin(struct progress_bar *bar, FILE *out, bool is_terminal,
                        const struct clock *clock) {
    *bar = (struct progress_bar){.out = out, .is_terminal = is_terminal, .clock = clock};
}

static int terminal_columns(FILE *out) {
    struct winsize size = {0};
    bool known = ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : DEFAULT_COLUMNS;
}

/* "[====>    ] " of `width` characters in all, or nothing when that is too narrow to tell. */
static void draw_bar(char bar[BAR_MOST + 1], int width, int done, int total) {
    bar[0] = '\0';
    if (width > BAR_MOST) {
        width = BAR_MOST;
    }
    if (width < BAR_LEAST || total < 1) {
        return;
    }
    int inside = width - 3;
    int filled = (int)((long long)inside * done / total);
    memset(bar, ' ', (size_t)width);
    memset(bar + 1, '=', (size_t)filled);
    if (filled < inside) {
        bar[1 + filled] = '>';
    }
    bar[0] = '[';
    bar[width - 2] = ']';
    bar[width] = '\0';
}

void progress_bar_step(struct progress_bar *bar, const struct step_report *r) {
    if (!bar->is_terminal) {
        return;
    }
    double now = clock_monotonic_s(bar->clock);
    if (now < bar->next_draw_s) {
        return;
    }
    bar->next_draw_s = now + REDRAW_INTERVAL_S;

    char left[64];
    char right[LINE_SIZE];
    char eta[DURATION_SIZE];
    char drawing[BAR_MOST + 1];
    int n_left = snprintf(left, sizeof(left), "epoch %d/%d ", r->epoch, r->epochs);
    int n_right = snprintf(right, sizeof(right), "%d/%d  loss %.4f  acc %.4f  %.0f img/s  ETA %s",
                           r->step, r->steps_per_epoch, r->loss, r->accuracy, r->images_per_second,
                           duration_format(r->eta_seconds, eta));
    /* The last column stays free: writing there moves some terminals to the next line. */
    int columns = terminal_columns(bar->out) - 1;
    draw_bar(drawing, columns - n_left - n_right, r->step, r->steps_per_epoch);
    char line[LINE_SIZE + 128];
    (void)snprintf(line, sizeof(line), "%s%s%s", left, drawing, right);
    (void)fprintf(bar->out, "\r%.*s\x1b[K", columns, line);
    (void)fflush(bar->out);
    bar->drawn = true;
}

void progress_bar_epoch(struct progress_bar *bar, const struct epoch_report *r, int epochs) {
    progress_bar_clear(bar);
    char duration[DURATION_SIZE];
    (void)fprintf(bar->out,
                  "epoch %d/%d  loss %.4f  acc %.4f  val_loss %.4f  val_error %.4f (%d of %d)%s  "
                  "lr %g  %s  %.0f img/s\n",
                  r->epoch, epochs, r->train_loss, r->train_accuracy, r->val_loss,
                  r->val_total > 0 ? (double)r->val_wrong / r->val_total : 0.0, r->val_wrong,
                  r->val_total, r->best ? " best" : "", r->lr,
                  duration_format(r->seconds, duration), r->images_per_second);
    (void)fflush(bar->out);
}

void progress_bar_clear(struct progress_bar *bar) {
    if (bar->drawn) {
        (void)fputs("\r\x1b[K", bar->out);
        (void)fflush(bar->out);
        bar->drawn = false;
        bar->next_draw_s = 0;
    }
}
