/* The config file and those beside it. Layer: daemon. */
#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/cleanup.h"
#include "core/base/regular_file.h"
#include "daemon/config/config_internal.h"

struct file_reader {
    struct config *config;
    const char *path;
    FILE *stream;
    int line;
    bool has_quiet; /* a line of this file: the next one adds to it */
    struct config_problems *problems;
};

static void complain(struct file_reader *r, const char *what) {
    struct error error;
    (void)error_set(&error, STATUS_INVALID, "%s:%d: %s", r->path, r->line, what);
    config_problems_add(r->problems, &error);
}

/* Reads what is left of a line. */
static void skip_line(FILE *stream) {
    int c = 0;
    do {
        c = getc(stream);
    } while (c != EOF && c != '\n');
}

/* Why the library would not see a key or a section in this line, or would see another; NULL: it is
 * fine. The library tells of the first such line only. */
static const char *line_problem(const char *line) {
    const char *text = line + strspn(line, " \t\r\n\f\v");
    if (*text == '\0' || *text == ';' || *text == '#') {
        return NULL;
    }
    if (text != line) {
        return "begins with a blank; it would be read as a part of the line before";
    }
    bool good = *text == '[' ? strchr(text, ']') != NULL : text[strcspn(text, "=:")] != '\0';
    return good ? NULL : "neither 'key = value' nor [section]";
}

/* fgets that counts, because the library does not tell its handler the line. What is wrong is told
 * and becomes a comment. */
static char *read_line(char *text, int size, void *user) {
    static const char comment[] = ";\n";
    struct file_reader *r = user;
    const char *problem = NULL;
    char too_long[64];
    r->line++;
    if (!fgets(text, size, r->stream)) {
        return NULL;
    }
    if (!strchr(text, '\n') && !feof(r->stream)) {
        /* Longer than the library's buffer: the rest would be read as a line of its own. */
        (void)snprintf(too_long, sizeof(too_long), "longer than %d characters", size - 2);
        problem = too_long;
        skip_line(r->stream);
    }
    /* Editors of another system mark UTF-8 this way. */
    size_t mark = r->line == 1 && !strncmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
    problem = problem ? problem : line_problem(text + mark);
    if (problem) {
        complain(r, problem);
        (void)snprintf(text, (size_t)size, "%s", comment);
    }
    return text;
}

/* `constraint.avx2` in [slurm] is the setting slurm_constraint_avx2; -1: there is none. */
static int find_slurm_key(const char *name) {
    char full[64];
    int n = snprintf(full, sizeof(full), "slurm_%s", name);
    for (char *dot = strchr(full, '.'); dot; dot = strchr(dot, '.')) {
        *dot = '_';
    }
    return n < (int)sizeof(full) ? config_find_key(full, (size_t)n) : -1;
}

/* quiet may be repeated in a file; the first line replaces what other sources say. */
static enum status set_quiet(struct file_reader *r, const char *value, const char *origin,
                             struct error *error) {
    char all[2 * CONFIG_TEXT_SIZE];
    (void)snprintf(all, sizeof(all), "%s%s%s", r->has_quiet ? r->config->text[CONFIG_QUIET] : "",
                   r->has_quiet ? ", " : "", value);
    r->has_quiet = true;
    return config_set_text(r->config, CONFIG_QUIET, all, origin, error);
}

/* Whether the key stands where it belongs. */
static enum status check_section(int key, const char *section, const char *origin,
                                 struct error *error) {
    const char *wanted = config_settings[key].section ? config_settings[key].section : "";
    if (!strcmp(wanted, section)) {
        return STATUS_OK;
    }
    return error_set(error, STATUS_INVALID, "%s: %s belongs %s%s%s", origin,
                     config_settings[key].name, *wanted ? "below [" : "above all sections", wanted,
                     *wanted ? "]" : "");
}

static int handle_key(void *user, const char *section, const char *name, const char *value) {
    struct file_reader *r = user;
    struct error error;
    enum status status = STATUS_OK;
    char origin[CONFIG_ORIGIN_SIZE];
    (void)snprintf(origin, sizeof(origin), "%s:%d", r->path, r->line);
    bool in_slurm = !strcmp(section, "slurm");
    int key = in_slurm ? find_slurm_key(name) : config_find_key(name, strlen(name));
    if (!strcmp(section, "datasets")) {
        status = config_set_dataset(r->config, name, strlen(name), value, origin, &error);
    } else if (*section && !in_slurm && strcmp(section, "owners") != 0) {
        status = error_set(&error, STATUS_INVALID,
                           "%s: there is no section [%s]; settings stand above all sections, data "
                           "sets in [datasets], those of Slurm in [slurm], of owners in [owners]",
                           origin, section);
    } else if (key < 0) {
        status = error_set(&error, STATUS_INVALID, "%s: unknown setting '%s'", origin, name);
    } else if (!in_slurm && check_section(key, section, origin, &error) != STATUS_OK) {
        status = STATUS_INVALID;
    } else if (key == CONFIG_QUIET) {
        status = set_quiet(r, value, origin, &error);
    } else {
        status = config_set_text(r->config, key, value, origin, &error);
    }
    if (status != STATUS_OK) {
        config_problems_add(r->problems, &error);
    }
    return 1; /* go on */
}

static void load_file(struct config *config, const char *path, bool must_exist,
                      struct config_problems *problems) {
    struct error error;
    struct error opening;
    struct stat info;
    CLEANUP(close_file) FILE *stream = NULL;
    if (strcmp(path, "/dev/null") == 0) { /* the usual word for: none */
        return;
    }
    enum status status = regular_file_stream(path, &stream, &opening);
    /* A link that leads nowhere is no file that is not there. */
    if (status == STATUS_NOT_FOUND && !must_exist && lstat(path, &info) != 0) {
        return;
    }
    if (status != STATUS_OK) {
        bool forbidden = regular_file_look(path) == REGULAR_FILE_FORBIDDEN;
        (void)error_set(&error, status, "the config file: %s%s%s%s", opening.message,
                        forbidden ? "; the daemon's user must be able to read it: chmod a+r " : "",
                        forbidden ? path : "",
                        forbidden ? ", and a+x the directories above it" : "");
        config_problems_add(problems, &error);
        return;
    }
    struct file_reader reader = {
        .config = config, .path = path, .stream = stream, .problems = problems};
    errno = 0;
    int failed = ini_parse_stream(read_line, &reader, handle_key, &reader);
    if (ferror(stream)) {
        (void)error_set_errno(&error, errno ? errno : EIO, "cannot read the config file %s", path);
        config_problems_add(problems, &error);
    } else if (failed) {
        (void)error_set(&error, failed < 0 ? STATUS_NO_MEMORY : STATUS_INVALID,
                        "%s:%d: neither 'key = value' nor [section]", path, failed);
        config_problems_add(problems, &error);
    }
}

/* ---- conf.d ---- */

static int is_config_name(const struct dirent *entry) {
    static const char suffix[] = ".conf";
    size_t n = strlen(entry->d_name);
    return entry->d_name[0] != '.' && n >= sizeof(suffix) &&
           !strcmp(entry->d_name + n - strlen(suffix), suffix);
}

/* By bytes: the order shall not depend on a language. */
static int compare_names(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_directory(struct config *config, const char *directory,
                           struct config_problems *problems) {
    struct dirent **entries = NULL;
    struct error error;
    int n = scandir(directory, &entries, is_config_name, compare_names);
    if (n < 0 && errno != ENOENT) {
        bool forbidden = errno == EACCES;
        (void)error_set_errno(&error, errno, "%scannot read the directory %s",
                              forbidden ? "the daemon's user must be able to (chmod a+rx): " : "",
                              directory);
        config_problems_add(problems, &error);
    }
    for (int i = 0; i < n; i++) {
        CLEANUP(free_pointer) char *path = NULL;
        if (asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0) {
            path = NULL;
            (void)error_set(&error, STATUS_NO_MEMORY, "no memory for a path");
            config_problems_add(problems, &error);
        } else {
            load_file(config, path, true, problems);
        }
        free(entries[i]);
    }
    free(entries);
}

void config_load_files(struct config *config, const char *path, bool must_exist,
                       struct config_problems *problems) {
    const char *slash = strrchr(path, '/');
    CLEANUP(free_pointer) char *directory = NULL;
    load_file(config, path, must_exist, problems);
    if (asprintf(&directory, "%.*sconf.d", slash ? (int)(slash - path) + 1 : 0, path) < 0) {
        struct error error;
        directory = NULL;
        (void)error_set(&error, STATUS_NO_MEMORY, "no memory for a path");
        config_problems_add(problems, &error);
        return;
    }
    load_directory(config, directory, problems);
}

void config_check_files_read(const struct config *config, struct config_problems *problems) {
    CLEANUP(free_pointer) struct config *again = calloc(1, sizeof(*again));
    CLEANUP(free_pointer) struct config_problems *found = calloc(1, sizeof(*found));
    if (!again || !found || !config->file[0]) {
        return;
    }
    config_load_files(again, config->file, true, found);
    for (int i = 0; i < found->n && i < CONFIG_MAX_PROBLEMS; i++) {
        if (found->items[i].code == STATUS_IO) {
            config_problems_add(problems, &found->items[i]);
        }
    }
}
