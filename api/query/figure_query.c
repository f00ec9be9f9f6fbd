/* Layer: api. */
#include "api/query/figure_query.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/query/arguments.h"
#include "core/base/text.h"

bool figure_query_theme(const struct request *request, struct reply *reply, bool *ret_dark) {
    const char *theme = url_argument(&request->url, "theme");
    *ret_dark = theme && strcmp(theme, "dark") == 0;
    if (theme && !*ret_dark && strcmp(theme, "light") != 0) {
        reply_bad_argument(reply, request, "theme", "theme must be light or dark.");
        return false;
    }
    return true;
}

static bool read_size(const struct request *request, struct reply *reply, const char *name,
                      int64_t least, int64_t most, int64_t *value) {
    if (!arguments_read_count(request, reply, name, most, value)) {
        return false;
    }
    if (*value < least) {
        reply_bad_argument(reply, request, name, "%s must be at least %lld points.", name,
                           (long long)least);
        return false;
    }
    return true;
}

/* The place of the argument among the words; the first when it is not given. */
static bool read_word(const struct request *request, struct reply *reply, const char *name,
                      const char *const *words, int n_words, int *ret_word) {
    const char *text = url_argument(&request->url, name);
    *ret_word = 0;
    for (int i = 0; text && i < n_words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_word = i;
            return true;
        }
    }
    if (text) {
        reply_bad_argument(reply, request, name, "%s must be %s%s%s or %s.", name, words[0],
                           n_words > 2 ? ", " : "", n_words > 2 ? words[1] : "",
                           words[n_words - 1]);
    }
    return !text;
}

/* Whether numbers between them can be told apart, on paper and by a double. */
static bool can_be_axis(double low, double high) {
    static const double most = 1e15;
    double span = high - low;
    return low >= -most && high <= most && span >= 1e-12 &&
           span >= 1e-9 * fmax(fabs(low), fabs(high));
}

/* zoom=40,100,0.05,0.1, or only the first two. */
static bool read_zoom(const struct request *request, struct reply *reply, double zoom[4]) {
    const char *text = url_argument(&request->url, "zoom");
    int n = 0;
    for (int i = 0; i < 4; i++) {
        zoom[i] = (double)NAN;
    }
    bool good = !text || strspn(text, "0123456789.eE-+,") == strlen(text);
    while (good && text && n < 4) {
        char *end = NULL;
        zoom[n] = strtod(text, &end);
        good = end > text && isfinite(zoom[n]) && (*end == ',' || *end == '\0');
        text = *end == ',' ? end + 1 : NULL;
        n++;
    }
    good = good && !text && n % 2 == 0 && (n < 2 || can_be_axis(zoom[0], zoom[1])) &&
           (n < 4 || can_be_axis(zoom[2], zoom[3]));
    if (!good) {
        reply_bad_argument(reply, request, "zoom",
                           "zoom must be the ends of the axes, such as 40,100 or 40,100,0.05,0.1.");
    }
    return good;
}

bool figure_query_read(const struct request *request, struct reply *reply,
                       const struct figure_sides *sides, struct figure_query *ret_query) {
    static const char *const scales[] = {"auto", "linear", "log"};
    static const char *const flags[] = {"false", "true"};
    static const char *const units[] = {"percent", "fraction"};
    static const char *const seeds[] = {"mean", "each"};
    const char *title = url_argument(&request->url, "title");
    int scale = 0;
    int x_log = 0;
    int unit = 0;
    int each = 0;
    if (title && !text_is_plain(title, strlen(title))) {
        reply_bad_argument(reply, request, "title", "title must be " TEXT_PLAIN_RULE ".");
        return false;
    }
    /* The text width of a paper, in points. */
    *ret_query = (struct figure_query){.width = 490, .height = 300, .title = title ? title : ""};
    bool good =
        figure_query_theme(request, reply, &ret_query->dark) &&
        read_size(request, reply, "width", sides->min_width, sides->max_width, &ret_query->width) &&
        read_size(request, reply, "height", sides->min_height, sides->max_height,
                  &ret_query->height) &&
        read_word(request, reply, "y", scales, 3, &scale) &&
        read_word(request, reply, "x_log", flags, 2, &x_log) &&
        read_word(request, reply, "unit", units, 2, &unit) &&
        read_word(request, reply, "seeds", seeds, 2, &each) &&
        arguments_read_count(request, reply, "smooth", FIGURE_MOST_SMOOTH, &ret_query->smooth) &&
        read_zoom(request, reply, ret_query->zoom);
    ret_query->y_scale = (enum figure_scale)scale;
    ret_query->x_log = x_log == 1;
    ret_query->fraction = unit == 1;
    ret_query->each_seed = each == 1;
    ret_query->hide = url_argument(&request->url, "hide");
    return good;
}

bool figure_query_hides(const struct figure_query *query, const char *text, size_t n) {
    const char *at = query->hide;
    while (at && *at) {
        size_t length = strcspn(at, ",");
        if (length == n && strncmp(at, text, n) == 0) {
            return true;
        }
        at += length + (at[length] == ',');
    }
    return false;
}
