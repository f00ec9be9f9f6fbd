/* Layer: daemon/main. */
#include "daemon/main/command_doctor.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/cleanup.h"
#include "core/base/decimal.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/store/query/inspect.h"

enum { PATH_SIZE = 4096, MOST_TOLD = 20 };

struct doctor {
    const struct config *config;
    const char *state_dir;
    char database[PATH_SIZE];
    struct inspect_file *files; /* checkpoints that the database knows */
    size_t n_files;
    int64_t *runs; /* in order */
    size_t n_runs;
    struct stat owner; /* the state directory */
    int n_problems;
};

static void doctor_clear(struct doctor *d) {
    free(d->files);
    free(d->runs);
}

static void say_well(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say_ill(struct doctor *d, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say_well(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("well     ", stdout);
    (void)vprintf(format, arguments);
    (void)putchar('\n');
    va_end(arguments);
}

static void say_ill(struct doctor *d, const char *remedy, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("problem  ", stdout);
    (void)vprintf(format, arguments);
    (void)printf("\n         %s\n", remedy);
    va_end(arguments);
    d->n_problems++;
}

/* ---- the database ---- */

static const char REMEDY_DATABASE[] =
    "restore the last backup: move cutoutd.db* away, then `cutoutd restore FILE` (backups/ in the "
    "state directory, before-migration/, or wherever the nightly copies go); runs/ may stay";

/* False: there is nothing more to be said. */
static bool look_at_database(struct doctor *d) {
    struct inspection found;
    struct error error;
    if (access(d->database, F_OK) != 0) {
        say_ill(d, "a start makes an empty one; `cutoutd restore FILE` brings a backup",
                "there is no %s", d->database);
        return false;
    }
    enum status status = inspect_database(d->database, &found, &error);
    if (status != STATUS_OK) {
        say_ill(d,
                status == STATUS_UNSUPPORTED ? "install the newer cutoutd again; nothing is lost"
                : status == STATUS_IO
                    ? "look at the file's owner and mode, and at the kernel's log for errors "
                      "of the disk; run this as root or as the daemon's user"
                    : REMEDY_DATABASE,
                "%s", error.message);
        return false;
    }
    say_well("database: %lld run(s), %lld not finished; version %d%s; every page and key is whole",
             (long long)found.n_runs, (long long)found.n_unfinished, found.version,
             found.version < found.newest ? ", which the next start brings up to date" : "");
    if (inspect_files(d->database, &d->files, &d->n_files, &error) != STATUS_OK ||
        inspect_runs(d->database, &d->runs, &d->n_runs, &error) != STATUS_OK) {
        say_ill(d, REMEDY_DATABASE, "%s", error.message);
        return false;
    }
    return true;
}

/* ---- checkpoints ---- */

static void look_at_checkpoint(struct doctor *d, const struct inspect_file *file, int *n_bad) {
    static const char remedy[] = "the run goes on from an earlier checkpoint, or begins anew; a "
                                 "backup with checkpoints may have it";
    char path[PATH_SIZE];
    char sha256[SHA256_HEX_SIZE];
    struct error error;
    state_dir_run_path(d->state_dir, file->run_id, file->path, path, sizeof(path));
    enum status status = sha256_file(path, sha256, &error);
    if (status == STATUS_OK && strcmp(sha256, file->sha256) == 0) {
        return;
    }
    if (++*n_bad > MOST_TOLD) {
        d->n_problems++;
    } else if (status == STATUS_OK) {
        say_ill(d, remedy, "%s is not what was written (sha256 %.12s, not %.12s)", path, sha256,
                file->sha256);
    } else {
        say_ill(d, remedy, "%s", error.message);
    }
}

static void look_at_checkpoints(struct doctor *d) {
    int n_bad = 0;
    for (size_t i = 0; i < d->n_files; i++) {
        look_at_checkpoint(d, &d->files[i], &n_bad);
    }
    if (n_bad > MOST_TOLD) {
        (void)printf("         and %d more checkpoints like these\n", n_bad - MOST_TOLD);
    }
    say_well("checkpoints: %zu of %zu are as they were written", d->n_files - (size_t)n_bad,
             d->n_files);
}

/* ---- files that nobody knows ---- */

/* False: the path would be longer than any of the daemon's. */
static bool join(char path[PATH_SIZE], const char *directory, const char *name) {
    return snprintf(path, PATH_SIZE, "%s/%s", directory, name) < PATH_SIZE;
}

static void close_directory(DIR **directory) {
    if (*directory) {
        (void)closedir(*directory);
    }
}

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool is_run(const struct doctor *d, int64_t id) {
    return d->n_runs > 0 && bsearch(&id, d->runs, d->n_runs, sizeof(id), by_id) != NULL;
}

static int by_run_and_path(const void *a, const void *b) {
    const struct inspect_file *x = a;
    const struct inspect_file *y = b;
    return x->run_id != y->run_id ? (x->run_id > y->run_id) - (x->run_id < y->run_id)
                                  : strcmp(x->path, y->path);
}

static bool is_known_file(const struct doctor *d, int64_t run_id, const char *name) {
    struct inspect_file wanted = {.run_id = run_id};
    (void)snprintf(wanted.path, sizeof(wanted.path), "%s", name);
    return strcmp(name, "instance") == 0 ||
           (d->n_files > 0 &&
            bsearch(&wanted, d->files, d->n_files, sizeof(wanted), by_run_and_path) != NULL);
}

/* Calls look for each entry but "." and "..". A directory that is not there has none. */
static void each_entry(struct doctor *d, const char *path, int64_t run_id,
                       void (*look)(struct doctor *d, const char *path, int64_t run_id,
                                    const char *name)) {
    CLEANUP(close_directory) DIR *directory = opendir(path);
    if (!directory) {
        if (errno != ENOENT) {
            say_ill(d, "run this as root or as the daemon's user", "cannot open %s: %s", path,
                    strerror(errno));
        }
        return;
    }
    for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            look(d, path, run_id, entry->d_name);
        }
    }
}

static void look_at_owner(struct doctor *d, const char *path) {
    struct stat info;
    if (lstat(path, &info) == 0 && info.st_uid != d->owner.st_uid) {
        CLEANUP(free_pointer) char *remedy = NULL;
        if (asprintf(&remedy, "chown -hR --reference=%s/ %s", d->state_dir, path) < 0) {
            remedy = NULL;
        }
        say_ill(d, remedy ? remedy : "chown it",
                "%s belongs to user %ld and the directory to user %ld: the daemon may not be able "
                "to use it",
                path, (long)info.st_uid, (long)d->owner.st_uid);
    }
}

static void look_at_run_file(struct doctor *d, const char *path, int64_t run_id, const char *name) {
    char file[PATH_SIZE];
    if (!join(file, path, name)) {
        return;
    }
    look_at_owner(d, file);
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".tmp") == 0) {
        return; /* the next start removes what was not finished */
    }
    if (!is_known_file(d, run_id, name)) {
        say_ill(d, "nothing needs it; remove it if you know what it is",
                "%s is no checkpoint "
                "that the database knows",
                file);
    }
}

static void look_at_run(struct doctor *d, const char *path, int64_t unused, const char *name) {
    char directory[PATH_SIZE];
    int64_t id = 0;
    (void)unused;
    if (!join(directory, path, name)) {
        return;
    }
    look_at_owner(d, directory);
    if (!text_to_id(name, INT64_MAX, &id) || !is_run(d, id)) {
        say_ill(d,
                "the next start removes what a deleted run has left behind, and moves the rest "
                "to unknown/; after a restore of the wrong backup its files are here",
                "%s belongs to no run of this database", directory);
        return;
    }
    each_entry(d, directory, id, look_at_run_file);
}

/* Whether `path` is `file` or something in it, by whatever links they are named. */
static bool is_in(const char *path, const char *file) {
    CLEANUP(free_pointer) char *real_path = realpath(path, NULL);
    CLEANUP(free_pointer) char *real_file = realpath(file, NULL);
    const char *of = real_path && real_file ? real_path : path;
    const char *in = real_path && real_file ? real_file : file;
    size_t n = strlen(in);
    return strncmp(of, in, n) == 0 && (of[n] == '/' || of[n] == '\0');
}

/* Whether a setting names it, or something in it. */
static bool is_of_settings(const struct doctor *d, const char *file) {
    const struct config *config = d->config;
    char drop_ins[CONFIG_TEXT_SIZE + 8];
    const char *slash = strrchr(config->file, '/');
    (void)snprintf(drop_ins, sizeof(drop_ins), "%.*sconf.d",
                   slash ? (int)(slash - config->file) + 1 : 0, config->file);
    const char *const paths[] = {
        config->tokens_file,      config->tls_cert, config->tls_key, config->unix_socket,
        config->slurm.shared_dir, config->file,     drop_ins};
    bool found = false;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]) && !found; i++) {
        found = paths[i][0] && is_in(paths[i], file);
    }
    for (int i = 0; i < config->n_datasets && !found; i++) {
        found = is_in(config->datasets[i].directory, file);
    }
    return found;
}

static void look_at_top(struct doctor *d, const char *path, int64_t unused, const char *name) {
    static const char restoring[] = STATE_DIR_RESTORING;
    char file[PATH_SIZE];
    (void)unused;
    if (!join(file, path, name) || strcmp(name, "lost+found") == 0) { /* of the file system */
        return;
    }
    look_at_owner(d, file);
    if (strncmp(name, restoring, sizeof(restoring) - 1) == 0) {
        say_ill(d, "give `cutoutd restore FILE` again; where cutoutd.db is there, remove this",
                "%s is of a restore that was cut short", file);
    } else if (!state_dir_is_own(name) && !is_of_settings(d, file)) {
        say_ill(d, "nothing needs it; remove it if you know what it is", "%s is not the daemon's",
                file);
    }
}

static void look_at_unknown(struct doctor *d, const char *path, int64_t unused, const char *name) {
    (void)unused;
    say_ill(d,
            "files of another database, or of a later state of this one: restore that backup, or "
            "remove them",
            "%s/%s was put aside by a start or a restore", path, name);
}

static void look_at_files(struct doctor *d, bool with_database) {
    char path[PATH_SIZE];
    int before = d->n_problems;
    each_entry(d, d->state_dir, 0, look_at_top);
    if (with_database) {
        (void)snprintf(path, sizeof(path), "%s/runs", d->state_dir);
        each_entry(d, path, 0, look_at_run);
    }
    (void)snprintf(path, sizeof(path), "%s/unknown", d->state_dir);
    each_entry(d, path, 0, look_at_unknown);
    if (d->n_problems == before) {
        say_well("files: all are known, and of one owner");
    }
}

/* ---- the disk ---- */

static void look_at_disk(struct doctor *d) {
    static const double LEAST_BYTES = 1024.0 * 1024.0 * 1024.0;
    struct statvfs disk;
    if (statvfs(d->state_dir, &disk) != 0) {
        say_ill(d, "look at the mount", "cannot look at the disk of %s: %s", d->state_dir,
                strerror(errno));
        return;
    }
    double free_bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    double free_inodes = disk.f_files > 0 ? (double)disk.f_favail / (double)disk.f_files : 1.0;
    if (free_bytes < LEAST_BYTES || free_inodes < 0.01) {
        say_ill(d, "make room: delete runs, set keep_checkpoints_days, move backups/ away",
                "disk: %.2f GiB and %.0f %% of the files are free", free_bytes * 0x1p-30,
                100.0 * free_inodes);
    } else {
        say_well("disk: %.1f GiB free", free_bytes * 0x1p-30);
    }
}

/* ---- all of it ---- */

int command_doctor(const struct config *config) {
    CLEANUP(doctor_clear) struct doctor d = {.config = config, .state_dir = config->state_dir};
    CLEANUP(close_fd) int lock = -1;
    struct error error;
    (void)snprintf(d.database, sizeof(d.database), "%s/cutoutd.db", config->state_dir);
    enum status status = stat(d.state_dir, &d.owner) == 0
                             ? lock_take(d.state_dir, &lock, &error)
                             : error_set_errno(&error, errno, "cannot look at %s", d.state_dir);
    if (status == STATUS_BUSY) {
        error_prefix(&error, "stop the daemon first (systemctl stop cutoutd.socket cutoutd)");
    }
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "cutoutd: %s\n", error.message);
        return 1;
    }
    bool whole = look_at_database(&d);
    if (whole) {
        look_at_checkpoints(&d);
    }
    look_at_files(&d, whole);
    look_at_disk(&d);
    (void)printf("%s: %d problem%s\n", d.state_dir, d.n_problems, d.n_problems == 1 ? "" : "s");
    return d.n_problems > 0;
}
