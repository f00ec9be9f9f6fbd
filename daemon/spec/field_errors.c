/* Layer: daemon. */
#include "daemon/spec/field_errors.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/base/text.h"

/* A text that somebody gave may be cut ("%.40s") within a character: what is left of that goes, and
 * the rest of the sentence stays. */
static void drop_broken_characters(char *text) {
    size_t n_bytes = strlen(text);
    size_t at = 0;
    while ((at += text_cut(text + at, n_bytes - at, n_bytes - at)) < n_bytes) {
        memmove(text + at, text + at + 1, n_bytes - at); /* with the NUL */
        n_bytes--;
    }
}

/* Cuts a text that may have been truncated in the middle of a character back to whole ones. */
static void trim_to_characters(char *text) {
    size_t n_bytes = strlen(text);
    text[text_cut(text, n_bytes, n_bytes)] = '\0';
}

/* Appends "/" and the name with RFC 6901's two escapes. */
static void append_pointer(char *pointer, size_t size, const char *name) {
    size_t at = strlen(pointer);
    if (at + 1 < size) {
        pointer[at++] = '/';
    }
    for (; *name && at + 2 < size; name++) {
        if (*name == '~' || *name == '/') {
            pointer[at++] = '~';
            pointer[at++] = *name == '~' ? '0' : '1';
        } else {
            pointer[at++] = *name;
        }
    }
    pointer[at] = '\0';
    trim_to_characters(pointer);
}

static void add(struct field_errors *errors, const char *field, const char *inner,
                const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));

static void add(struct field_errors *errors, const char *field, const char *inner,
                const char *format, va_list arguments) {
    if (errors->n >= RUN_SPEC_MAX_ERRORS) {
        return;
    }
    struct field_error *item = &errors->items[errors->n++];
    item->pointer[0] = '\0';
    if (field[0]) {
        append_pointer(item->pointer, sizeof(item->pointer), field);
    }
    if (inner) {
        append_pointer(item->pointer, sizeof(item->pointer), inner);
    }
    (void)vsnprintf(item->detail, sizeof(item->detail), format, arguments);
    drop_broken_characters(item->detail);
}

void field_errors_add(struct field_errors *errors, const char *field, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(errors, field, NULL, format, arguments);
    va_end(arguments);
}

void field_errors_add_inner(struct field_errors *errors, const char *field, const char *inner,
                            const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    add(errors, field, inner, format, arguments);
    va_end(arguments);
}

void field_errors_add_path(struct field_errors *errors, const char *field, const char *path,
                           const char *format, ...) {
    char pointer[sizeof(errors->items[0].pointer)];
    (void)snprintf(pointer, sizeof(pointer), "/%s%s%s", field, *path ? "/" : "", path);
    trim_to_characters(pointer);
    for (int i = 0; i < errors->n; i++) {
        if (strcmp(errors->items[i].pointer, pointer) == 0) {
            return;
        }
    }
    int n_before = errors->n;
    va_list arguments;
    va_start(arguments, format);
    add(errors, "", NULL, format, arguments);
    va_end(arguments);
    if (errors->n > n_before) {
        memcpy(errors->items[n_before].pointer, pointer, sizeof(pointer));
    }
}

enum { WORD_MAX = 32 };

static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* Optimal string alignment distance (Levenshtein and swaps of neighbours), letter case aside. Both
 * words have fewer than WORD_MAX characters. */
static int edit_distance(const char *a, const char *b) {
    int n_a = (int)strlen(a);
    int n_b = (int)strlen(b);
    int d[WORD_MAX][WORD_MAX]; /* d[i][j]: distance of the first i of a to the first j of b */
    for (int i = 0; i <= n_a; i++) {
        for (int j = 0; j <= n_b; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            int substituted = d[i - 1][j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
            d[i][j] = least(substituted, least(d[i - 1][j], d[i][j - 1]) + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1])) {
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[n_a][n_b];
}

const char *near_miss(const char *text, const char *const *candidates, size_t n_candidates) {
    size_t length = strlen(text);
    if (length == 0 || length >= WORD_MAX) {
        return NULL;
    }
    const char *nearest = NULL;
    int nearest_distance = WORD_MAX;
    for (size_t i = 0; i < n_candidates; i++) {
        size_t candidate_length = strlen(candidates[i]);
        if (candidate_length >= WORD_MAX) {
            continue;
        }
        int distance = edit_distance(text, candidates[i]);
        int allowed = (int)(candidate_length + 2) / 3;
        if (distance <= allowed && distance < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = distance;
        }
    }
    for (size_t i = 0; !nearest && length >= 3 && i < n_candidates; i++) {
        if (strncasecmp(text, candidates[i], length) == 0) {
            nearest = candidates[i];
        }
    }
    return nearest;
}
