/* Layer: daemon/work. */
#include "daemon/work/open_state.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/cleanup.h"
#include "core/base/log.h"
#include "daemon/config/config.h"
#include "daemon/config/lock.h"
#include "daemon/config/state_dir.h"
#include "daemon/config/state_dir_sweep.h"
#include "daemon/store/query/upkeep.h"
#include "daemon/store/table/checkpoint_table.h"
#include "daemon/store/table/setting_table.h"

/* Of every run, in order. */
struct run_ids_known {
    struct store *store;
    int64_t *ids;
    size_t n;
};

static void known_clear(struct run_ids_known *known) {
    free(known->ids);
}

static bool is_known_run(void *user, int64_t run_id) {
    const struct run_ids_known *known = user;
    size_t low = 0;
    for (size_t high = known->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (known->ids[middle] < run_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < known->n && known->ids[low] == run_id;
}

static bool is_listed(void *user, int64_t run_id, const char *name) {
    const struct run_ids_known *known = user;
    CLEANUP(checkpoint_list_clear) struct checkpoint_list list = {0};
    if (checkpoint_table_list(known->store, run_id, &list, NULL) != STATUS_OK) {
        return true;
    }
    return checkpoint_list_names(&list, name);
}

/* What deleted runs have left behind goes; what belongs to no run of this database is put aside. */
static enum status sweep_state(const char *directory, const struct clock *clock,
                               struct store *store, struct error *error) {
    char instance[SETTING_INSTANCE_SIZE];
    struct state_dir_swept swept;
    CLEANUP(known_clear) struct run_ids_known known = {.store = store};
    struct state_dir_owner owner = {
        .instance = instance, .is_known = is_known_run, .is_listed = is_listed, .user = &known};
    TRY(upkeep_list_runs(store, &known.ids, &known.n, error));
    TRY(setting_table_instance(store, instance, error));
    TRY(upkeep_last_run_id(store, &owner.last_run_id, error));
    TRY(state_dir_sweep(directory, &owner, clock_unix_ms(clock), &swept, error));
    if (swept.n_removed > 0) {
        log_info("removed what %d deleted run(s) had left behind", swept.n_removed);
    }
    if (swept.n_stuck > 0) {
        log_warning("what %d deleted run(s) had left behind cannot be removed: `cutoutd doctor` "
                    "names the directories",
                    swept.n_stuck);
    }
    if (swept.n_leftovers > 0) {
        log_info("removed %d checkpoint(s) and backup(s) that were not finished, or whose removal "
                 "was not",
                 swept.n_leftovers);
    }
    if (swept.n_unknown > 0) {
        log_warning("%d directories of runs do not belong to this database (it is new, older, or "
                    "another one): moved to %s, nothing in them is removed",
                    swept.n_unknown, swept.unknown);
    }
    return STATUS_OK;
}

/* SQLite needs some room of its own to open it; on a full disk that is the ballast's. */
static enum status open_store(const char *directory, struct store **ret_store,
                              struct error *error) {
    char path[CONFIG_TEXT_SIZE + 32];
    (void)snprintf(path, sizeof(path), "%s/cutoutd.db", directory);
    enum status status = store_open(path, ret_store, error);
    if (status != STATUS_NO_SPACE || !state_dir_drop_ballast(directory)) {
        return status;
    }
    log_warning("the disk is full: freed the %d MiB that were kept for this",
                STATE_DIR_BALLAST_BYTES >> 20);
    return store_open(path, ret_store, error);
}

enum status open_state(const char *directory, const struct clock *clock, int *ret_lock_fd,
                       struct store **ret_store, struct error *error) {
    enum status made = state_dir_make(directory, error);
    if (made != STATUS_OK) {
        error_prefix(error, "the state directory (name another with --state-dir)");
    }
    TRY(made);
    TRY(lock_take(directory, ret_lock_fd, error));
    state_dir_remove_address(directory);
    TRY(state_dir_check_restored(directory, error));
    TRY(open_store(directory, ret_store, error));
    return sweep_state(directory, clock, *ret_store, error);
}
