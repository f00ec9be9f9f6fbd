/* Layer: daemon/config. */
#include "daemon/config/unit_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/analyzer.h"
#include "core/base/cleanup.h"
#include "core/base/regular_file.h"

enum { PATH_SIZE = 4096, MOST_DROP_INS = 256 };

static const char DEFAULT_PATH[] =
    "/etc/systemd/system.control:/run/systemd/system.control:" /* of set-property */
    "/etc/systemd/system:/run/systemd/system:"
    "/usr/local/lib/systemd/system:/usr/lib/systemd/system:"
    "/lib/systemd/system";

void unit_file_clear(struct unit_file *unit) {
    for (size_t i = 0; i < unit->n; i++) {
        free(unit->items[i].key);
        free(unit->items[i].value);
        free(unit->items[i].origin);
    }
    free(unit->items);
    *unit = (struct unit_file){0};
}

/* ---- one file ---- */

static char *trim(char *text) {
    text += strspn(text, " \t\r\n");
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\r\n", text[n - 1])) {
        n--;
    }
    text[n] = '\0';
    return text;
}

ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak") /* they belong to the file (unit_file_clear) */
static enum status add(struct unit_file *unit, const char *key, const char *value, const char *path,
                       int line, struct error *error) {
    struct unit_setting *items = realloc(unit->items, (unit->n + 1) * sizeof(*items));
    if (!items) {
        return error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
    }
    struct unit_setting *item = &items[unit->n];
    unit->items = items;
    unit->n++;
    item->key = strdup(key);
    item->value = strdup(value);
    item->origin = asprintf(&item->origin, "%s:%d", path, line) < 0 ? NULL : item->origin;
    return item->key && item->value && item->origin
               ? STATUS_OK
               : error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
}
ANALYZER_GOES_ON

/* One logical line. */
static enum status take_line(struct unit_file *unit, char *text, bool *in_service, const char *path,
                             int line, struct error *error) {
    text = trim(text);
    if (*text == '[') {
        *in_service = strcmp(text, "[Service]") == 0;
        return STATUS_OK;
    }
    char *equals = strchr(text, '=');
    if (!*in_service || !equals || *text == '#' || *text == ';') {
        return STATUS_OK;
    }
    *equals = '\0';
    return add(unit, trim(text), trim(equals + 1), path, line, error);
}

/* A line that ends with a backslash goes on in the next one. */
static enum status read_file(struct unit_file *unit, const char *path, struct error *error) {
    CLEANUP(close_file) FILE *file = NULL;
    CLEANUP(free_pointer) char *text = NULL;
    CLEANUP(free_pointer) char *whole = NULL;
    size_t size = 0;
    bool in_service = false;
    int line = 0;
    int first = 0; /* line of `whole` */
    TRY(regular_file_stream(path, &file, error));
    while (getline(&text, &size, file) >= 0) {
        char *piece = trim(text);
        size_t n = strlen(piece);
        char *longer = NULL;
        line++;
        first = whole ? first : line;
        bool goes_on = n > 0 && piece[n - 1] == '\\';
        piece[goes_on ? n - 1 : n] = '\0';
        if (asprintf(&longer, "%s%s%s", whole ? whole : "", whole ? " " : "", piece) < 0) {
            return error_set(error, STATUS_NO_MEMORY, "no memory to read %s", path);
        }
        free(whole);
        whole = longer;
        if (!goes_on) {
            TRY(take_line(unit, whole, &in_service, path, first, error));
            free(whole);
            whole = NULL;
        }
    }
    return whole ? take_line(unit, whole, &in_service, path, first, error) : STATUS_OK;
}

/* ---- where files are ---- */

/* Copies the next directory of a list with ':' between; false: there is none. */
static bool next_directory(const char **list, char directory[PATH_SIZE]) {
    while (**list == ':') {
        (*list)++;
    }
    size_t n = strcspn(*list, ":");
    if (n == 0) {
        return false;
    }
    (void)snprintf(directory, PATH_SIZE, "%.*s", (int)n, *list);
    *list += n;
    return true;
}

static const char *search_path(void) {
    const char *path = getenv("SYSTEMD_UNIT_PATH");
    return path && *path ? path : DEFAULT_PATH;
}

struct drop_ins {
    char *paths[MOST_DROP_INS];
    size_t n;
};

static void drop_ins_clear(struct drop_ins *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->paths[i]);
    }
}

static const char *file_name(const char *path) {
    return strrchr(path, '/') + 1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(file_name(*(char *const *)a), file_name(*(char *const *)b));
}

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

/* Of files of one name the first counts. */
static void add_drop_in(struct drop_ins *list, const char *directory, const char *name) {
    size_t n = strlen(name);
    if (list->n == MOST_DROP_INS || n < 6 || strcmp(name + n - 5, ".conf") != 0) {
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(file_name(list->paths[i]), name) == 0) {
            return;
        }
    }
    if (asprintf(&list->paths[list->n], "%s/%s", directory, name) >= 0) {
        list->n++;
    }
}

static void find_drop_ins(const char *unit_name, struct drop_ins *list) {
    char directory[PATH_SIZE];
    for (const char *path = search_path(); next_directory(&path, directory);) {
        char folder[PATH_SIZE + 128];
        (void)snprintf(folder, sizeof(folder), "%s/%s.d", directory, unit_name);
        CLEANUP(close_directory) DIR *entries = opendir(folder);
        for (const struct dirent *e = entries ? readdir(entries) : NULL; e; e = readdir(entries)) {
            add_drop_in(list, folder, e->d_name);
        }
    }
    qsort(list->paths, list->n, sizeof(list->paths[0]), by_name);
}

static enum status read_unit(const char *name, struct unit_file *unit, struct error *error) {
    char directory[PATH_SIZE];
    char path[PATH_SIZE + 128];
    for (const char *list = search_path(); next_directory(&list, directory);) {
        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        if (access(path, F_OK) == 0) {
            return read_file(unit, path, error);
        }
    }
    return error_set(error, STATUS_NOT_FOUND, "there is no unit %s in %s", name, search_path());
}

enum status unit_file_read(const char *name, struct unit_file *ret_unit, struct error *error) {
    CLEANUP(unit_file_clear) struct unit_file unit = {0};
    CLEANUP(drop_ins_clear) struct drop_ins drop_ins = {.n = 0};
    TRY(read_unit(name, &unit, error));
    find_drop_ins(name, &drop_ins);
    for (size_t i = 0; i < drop_ins.n; i++) {
        TRY(read_file(&unit, drop_ins.paths[i], error));
    }
    *ret_unit = unit;
    unit = (struct unit_file){0};
    return STATUS_OK;
}

/* ---- settings ---- */

const struct unit_setting *unit_file_last(const struct unit_file *unit, const char *key) {
    for (size_t i = unit->n; i-- > 0;) {
        if (strcmp(unit->items[i].key, key) == 0) {
            return unit->items[i].value[0] ? &unit->items[i] : NULL;
        }
    }
    return NULL;
}

size_t unit_file_first(const struct unit_file *unit, const char *key) {
    for (size_t i = unit->n; i-- > 0;) {
        if (strcmp(unit->items[i].key, key) == 0 && !unit->items[i].value[0]) {
            return i + 1;
        }
    }
    return 0;
}

const struct unit_setting *unit_file_next(const struct unit_file *unit, const char *key,
                                          size_t *at) {
    while (*at < unit->n) {
        const struct unit_setting *item = &unit->items[(*at)++];
        if (strcmp(item->key, key) == 0) {
            return item;
        }
    }
    return NULL;
}

size_t unit_words(char *value, char **words, size_t most) {
    size_t n = 0;
    char *to = value;
    for (const char *from = value; *from;) {
        from += strspn(from, " \t");
        if (!*from || n == most) {
            break;
        }
        words[n++] = to;
        char quote = '\0';
        for (; *from && (quote || !strchr(" \t", *from)); from++) {
            if (quote ? *from == quote : *from == '"' || *from == '\'') {
                quote = quote ? '\0' : *from;
            } else {
                *to++ = *from;
            }
        }
        from += *from != '\0';
        *to++ = '\0';
    }
    return n;
}
