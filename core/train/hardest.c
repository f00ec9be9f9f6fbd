/* Layer: core/train. */
#include "core/train/hardest.h"

#include <math.h>
#include <stdbool.h>

int hardest_count(int n, double share) {
    int count = (int)ceil(share * n - 1e-9); /* 0.3 * 10 is 3 */
    return count < 1 ? 1 : count > n ? n : count;
}

/* Whether instance a goes before b. */
static bool is_harder(const double *losses, int a, int b) {
    double x = isnan(losses[a]) ? (double)INFINITY : losses[a];
    double y = isnan(losses[b]) ? (double)INFINITY : losses[b];
    return x > y || (x == y && a < b);
}

static void swap(int *a, int *b) {
    int held = *a;
    *a = *b;
    *b = held;
}

/* Quickselect: the order is total, so what is chosen does not depend on the pivots. */
static void select_first(const double *losses, int *places, int n, int n_chosen) {
    int low = 0;
    int high = n - 1;
    while (low < high) {
        swap(&places[low + (high - low) / 2], &places[high]);
        int end = low;
        for (int i = low; i < high; i++) {
            if (is_harder(losses, places[i], places[high])) {
                swap(&places[i], &places[end++]);
            }
        }
        swap(&places[end], &places[high]);
        if (end == n_chosen) {
            return;
        }
        if (end < n_chosen) {
            low = end + 1;
        } else {
            high = end - 1;
        }
    }
}

void hardest_choose(const double *losses, int n, int n_chosen, int *ret_places) {
    for (int i = 0; i < n; i++) {
        ret_places[i] = i;
    }
    select_first(losses, ret_places, n, n_chosen);
    if (n_chosen == n) {
        for (int i = 0; i < n; i++) {
            ret_places[i] = i;
        }
        return;
    }
    /* The easiest that is chosen tells the rest apart, in order of places. */
    int last = ret_places[0];
    for (int i = 1; i < n_chosen; i++) {
        last = is_harder(losses, last, ret_places[i]) ? ret_places[i] : last;
    }
    int count = 0;
    for (int i = 0; i < n && count < n_chosen; i++) {
        if (i == last || is_harder(losses, i, last)) {
            ret_places[count++] = i;
        }
    }
}
