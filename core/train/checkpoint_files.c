/* Layer: core/train. */
#include "core/train/checkpoint_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void format_name(int epochs_done, int step, char ret_name[CHECKPOINT_NAME_SIZE]) {
    (void)snprintf(ret_name, CHECKPOINT_NAME_SIZE, "%06d-%06d.safetensors", epochs_done, step);
}

/* Exactly what format_name makes. */
static bool is_checkpoint_name(const char *name) {
    int epochs_done = 0;
    int step = 0;
    char again[CHECKPOINT_NAME_SIZE];
    if (sscanf(name, "%d-%d.safetensors", &epochs_done, &step) != 2) {
        return false;
    }
    format_name(epochs_done, step, again);
    return !strcmp(name, again);
}

/* Of a checkpoint whose writing was cut short (safetensors.h); none is being written now. */
static bool is_unfinished(const char *name) {
    char without[CHECKPOINT_NAME_SIZE];
    size_t length = strlen(name);
    size_t end = strlen(".tmp");
    if (length <= end || length - end >= sizeof(without) ||
        strcmp(name + length - end, ".tmp") != 0) {
        return false;
    }
    memcpy(without, name, length - end);
    without[length - end] = '\0';
    return is_checkpoint_name(without);
}

void checkpoint_files_begin(struct checkpoint_files *files, const char *directory,
                            const char *resume_path) {
    *files = (struct checkpoint_files){.directory = directory};
    if (resume_path && is_checkpoint_name(base_name(resume_path))) {
        (void)snprintf(files->previous, sizeof(files->previous), "%s", base_name(resume_path));
    }
}

enum status checkpoint_file_name(const struct checkpoint_files *files, int epochs_done, int step,
                                 char ret_path[CHECKPOINT_PATH_SIZE], struct error *error) {
    char name[CHECKPOINT_NAME_SIZE];
    format_name(epochs_done, step, name);
    int length = snprintf(ret_path, CHECKPOINT_PATH_SIZE, "%s/%s", files->directory, name);
    if (length < 0 || length >= CHECKPOINT_PATH_SIZE) {
        return error_set(error, STATUS_INVALID, "the checkpoint directory's path is too long");
    }
    return STATUS_OK;
}

static void remove_others(const struct checkpoint_files *files, const char *newest,
                          int best_epoch) {
    char best[CHECKPOINT_NAME_SIZE];
    format_name(best_epoch, 0, best);
    DIR *directory = opendir(files->directory);
    if (!directory) {
        return;
    }
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        bool keep = !strcmp(entry->d_name, base_name(newest)) ||
                    !strcmp(entry->d_name, files->previous) ||
                    (best_epoch > 0 && !strcmp(entry->d_name, best));
        if (is_unfinished(entry->d_name) || (!keep && is_checkpoint_name(entry->d_name))) {
            (void)unlinkat(dirfd(directory), entry->d_name, 0);
        }
    }
    (void)closedir(directory);
}

/* Also when the directory cannot be read this time: the next time nothing may go that is one of the
 * last two then. */
void checkpoint_files_retire(struct checkpoint_files *files, const char *newest, int best_epoch) {
    remove_others(files, newest, best_epoch);
    (void)snprintf(files->previous, sizeof(files->previous), "%s", base_name(newest));
}
