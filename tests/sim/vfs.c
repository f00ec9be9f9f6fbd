/* Thread rule: one thread. */
#include "tests/sim/vfs.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/db.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/sched.h"

enum { N_SHM_LOCKS = SQLITE_SHM_NLOCK, MOST_REGIONS = 16, MOST_SHARED = 8, PATH_SIZE = 512 };

/* What all connections to one file have in common. */
struct shared {
    struct node *node; /* NULL: a free place */
    int n_shared;      /* locks of the database file */
    bool reserved, pending, exclusive;
    void *regions[MOST_REGIONS];
    int readers[N_SHM_LOCKS];
    bool writer[N_SHM_LOCKS];
};

struct file {
    sqlite3_file base;
    struct node *node;
    struct shared *shared; /* of a database; NULL of others */
    int lock;
    unsigned shm_shared; /* bits of the shared memory's locks */
    unsigned shm_exclusive;
    bool delete_on_close;
    char path[PATH_SIZE];
};

static struct shared all_shared[MOST_SHARED];
static int n_temporary;
static int checkpoint_pages;

void vfs_reset(void) {
    /* The regions of a process that was crashed are still known to its connections: not freed. */
    memset(all_shared, 0, sizeof(all_shared));
    (void)sqlite3_randomness(0, NULL);
}

static struct file *file_of(sqlite3_file *base) {
    return (struct file *)(void *)base;
}

static int code_of(int errno_value, int otherwise) {
    return errno_value == 0 ? SQLITE_OK : errno_value == ENOSPC ? SQLITE_FULL : otherwise;
}

/* ---- bytes ---- */

static int file_read(sqlite3_file *base, void *bytes, int n, sqlite3_int64 offset) {
    if (faults_meet(OPERATION_READ) != 0) {
        return SQLITE_IOERR_READ;
    }
    size_t done = disk_read(file_of(base)->node, bytes, (size_t)n, offset);
    memset((char *)bytes + done, 0, (size_t)n - done);
    return done == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *bytes, int n, sqlite3_int64 offset) {
    int code = faults_meet(OPERATION_CHANGE);
    code = code == 0 ? disk_write(file_of(base)->node, bytes, (size_t)n, offset) : code;
    return code_of(code, SQLITE_IOERR_WRITE);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size) {
    int code = faults_meet(OPERATION_CHANGE);
    code = code == 0 ? disk_resize(file_of(base)->node, size) : code;
    return code_of(code, SQLITE_IOERR_TRUNCATE);
}

static int file_sync(sqlite3_file *base, int flags) {
    (void)flags;
    int code = faults_meet(OPERATION_SYNC);
    if (code == 0) {
        disk_sync(file_of(base)->node);
    } else {
        disk_sync_failed(file_of(base)->node);
    }
    return code_of(code, SQLITE_IOERR_FSYNC);
}

static int file_size(sqlite3_file *base, sqlite3_int64 *ret_size) {
    *ret_size = disk_size(file_of(base)->node);
    return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int operation, void *argument) {
    (void)base;
    (void)operation;
    (void)argument;
    return SQLITE_NOTFOUND;
}

static int sector_size(sqlite3_file *base) {
    (void)base;
    return 4096;
}

static int characteristics(sqlite3_file *base) {
    (void)base;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- locks of the database file ---- */

static int file_lock(sqlite3_file *base, int wanted) {
    struct file *f = file_of(base);
    struct shared *s = f->shared;
    if (!s || wanted <= f->lock) {
        return SQLITE_OK;
    }
    bool others_write = (s->reserved && f->lock < SQLITE_LOCK_RESERVED) ||
                        (s->exclusive && f->lock < SQLITE_LOCK_EXCLUSIVE);
    if (wanted == SQLITE_LOCK_SHARED) {
        if (s->exclusive || s->pending) {
            return SQLITE_BUSY;
        }
        s->n_shared++;
    } else if (others_write) {
        return SQLITE_BUSY;
    } else if (wanted == SQLITE_LOCK_RESERVED) {
        s->reserved = true;
    } else {
        s->pending = true;
        s->reserved = true;
        f->lock = SQLITE_LOCK_PENDING;
        if (s->n_shared > 1) {
            return SQLITE_BUSY;
        }
        s->exclusive = true;
    }
    f->lock = wanted;
    return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int wanted) {
    struct file *f = file_of(base);
    struct shared *s = f->shared;
    if (!s || wanted >= f->lock) {
        return SQLITE_OK;
    }
    if (f->lock >= SQLITE_LOCK_RESERVED) {
        s->reserved = false;
        s->pending = s->pending && f->lock < SQLITE_LOCK_PENDING;
        s->exclusive = s->exclusive && f->lock < SQLITE_LOCK_EXCLUSIVE;
    }
    if (wanted == SQLITE_LOCK_NONE) {
        s->n_shared--;
    }
    f->lock = wanted;
    return SQLITE_OK;
}

static int file_check_reserved(sqlite3_file *base, int *ret_reserved) {
    *ret_reserved = file_of(base)->shared && file_of(base)->shared->reserved;
    return SQLITE_OK;
}

/* ---- shared memory ---- */

static int shm_map(sqlite3_file *base, int region, int size, int extend, void volatile **ret) {
    struct shared *s = file_of(base)->shared;
    *ret = NULL;
    if (region >= MOST_REGIONS) {
        return SQLITE_IOERR_SHMSIZE;
    }
    if (!s->regions[region] && extend) {
        s->regions[region] = calloc(1, (size_t)size);
    }
    *ret = s->regions[region];
    return SQLITE_OK;
}

static bool may_lock(const struct file *f, int first, int n, bool exclusive) {
    const struct shared *s = f->shared;
    for (int i = first; i < first + n; i++) {
        int mine = (f->shm_shared & 1u << i) != 0;
        bool written = s->writer[i] && (f->shm_exclusive & 1u << i) == 0;
        if (written || (exclusive && s->readers[i] > mine)) {
            return false;
        }
    }
    return true;
}

static int shm_lock(sqlite3_file *base, int first, int n, int flags) {
    struct file *f = file_of(base);
    struct shared *s = f->shared;
    bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    bool lock = (flags & SQLITE_SHM_LOCK) != 0;
    sched_point();
    if (lock && !may_lock(f, first, n, exclusive)) {
        return SQLITE_BUSY;
    }
    for (int i = first; i < first + n; i++) {
        unsigned bit = 1u << i;
        if (exclusive) {
            s->writer[i] = lock;
            f->shm_exclusive = lock ? f->shm_exclusive | bit : f->shm_exclusive & ~bit;
        } else if (((f->shm_shared & bit) != 0) != lock) {
            s->readers[i] += lock ? 1 : -1;
            f->shm_shared ^= bit;
        }
    }
    return SQLITE_OK;
}

static void shm_barrier(sqlite3_file *base) {
    (void)base;
}

static int shm_unmap(sqlite3_file *base, int delete) {
    (void)base;
    (void)delete;
    return SQLITE_OK;
}

/* ---- opening ---- */

static int file_close(sqlite3_file *base) {
    struct file *f = file_of(base);
    (void)file_unlock(base, SQLITE_LOCK_NONE);
    if (f->delete_on_close) {
        (void)disk_unlink(f->path);
    }
    return SQLITE_OK;
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = file_close,
                                           .xRead = file_read,
                                           .xWrite = file_write,
                                           .xTruncate = file_truncate,
                                           .xSync = file_sync,
                                           .xFileSize = file_size,
                                           .xLock = file_lock,
                                           .xUnlock = file_unlock,
                                           .xCheckReservedLock = file_check_reserved,
                                           .xFileControl = file_control,
                                           .xSectorSize = sector_size,
                                           .xDeviceCharacteristics = characteristics,
                                           .xShmMap = shm_map,
                                           .xShmLock = shm_lock,
                                           .xShmBarrier = shm_barrier,
                                           .xShmUnmap = shm_unmap};

static struct shared *shared_of(struct node *node) {
    struct shared *free_place = NULL;
    for (int i = 0; i < MOST_SHARED; i++) {
        if (all_shared[i].node == node) {
            return &all_shared[i];
        }
        free_place = all_shared[i].node ? free_place : &all_shared[i];
    }
    if (!free_place) {
        (void)fprintf(stderr, "sim: more than %d databases\n", MOST_SHARED);
        abort();
    }
    free_place->node = node;
    return free_place;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags,
                    int *ret_flags) {
    (void)vfs;
    struct file *f = file_of(base);
    memset(f, 0, sizeof(*f));
    if (name) {
        (void)snprintf(f->path, sizeof(f->path), "%s", name);
    } else {
        (void)snprintf(f->path, sizeof(f->path), "/sim/temporary-%d", ++n_temporary);
    }
    bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    struct node *node = disk_find(f->path);
    int code = faults_meet(node || !create ? OPERATION_READ : OPERATION_CHANGE);
    node = disk_find(f->path);
    if (code == 0 && !node) {
        code = create ? disk_make(f->path, false, &node) : ENOENT;
    }
    if (code != 0) {
        return code_of(code, SQLITE_CANTOPEN);
    }
    f->node = node;
    f->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    f->shared = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? shared_of(node) : NULL;
    f->base.pMethods = &methods;
    if (ret_flags) {
        *ret_flags = flags;
    }
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_directory) {
    (void)vfs;
    if (!disk_find(name)) {
        return SQLITE_IOERR_DELETE_NOENT;
    }
    int code = faults_meet(OPERATION_CHANGE);
    code = code == 0 ? disk_unlink(name) : code;
    const char *slash = strrchr(name, '/');
    if (code == 0 && sync_directory && slash) {
        char directory[PATH_SIZE];
        (void)snprintf(directory, sizeof(directory), "%.*s", (int)(slash - name), name);
        disk_sync(disk_find(directory));
    }
    return code_of(code, SQLITE_IOERR_DELETE);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_there) {
    (void)vfs;
    (void)flags;
    const struct node *node = disk_find(name);
    /* As SQLite's own: an empty file is none. */
    *ret_there = node && (flags != SQLITE_ACCESS_EXISTS || disk_size(node) > 0);
    return SQLITE_OK;
}

static int vfs_full_pathname(sqlite3_vfs *vfs, const char *name, int n, char *ret_path) {
    (void)vfs;
    (void)snprintf(ret_path, (size_t)n, "%s", name);
    return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *vfs, int n, char *ret_bytes) {
    (void)vfs;
    memset(ret_bytes, 0x5a, (size_t)n);
    return n;
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    (void)vfs;
    if (sched_is_task() && !sched_calm) {
        double until_s = sched_now_s() + microseconds * 1e-6;
        (void)sched_wait(&n_temporary, until_s);
    }
    return microseconds;
}

static int vfs_current_time(sqlite3_vfs *vfs, sqlite3_int64 *ret_ms) {
    (void)vfs;
    *ret_ms = INT64_C(210866760000000) + sched_unix_ms(); /* since noon of the Julian day 0 */
    return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *vfs, int n, char *text) {
    (void)vfs;
    (void)n;
    (void)text;
    return 0;
}

static sqlite3_vfs vfs_of_disk = {.iVersion = 2,
                                  .szOsFile = sizeof(struct file),
                                  .mxPathname = PATH_SIZE - 1,
                                  .zName = "sim",
                                  .xOpen = vfs_open,
                                  .xDelete = vfs_delete,
                                  .xAccess = vfs_access,
                                  .xFullPathname = vfs_full_pathname,
                                  .xRandomness = vfs_randomness,
                                  .xSleep = vfs_sleep,
                                  .xCurrentTimeInt64 = vfs_current_time,
                                  .xGetLastError = vfs_last_error};

void vfs_install(void) {
    /* Without locks of its own: there is one thread. */
    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK ||
        sqlite3_vfs_register(&vfs_of_disk, 1) != SQLITE_OK) {
        (void)fprintf(stderr, "sim: SQLite does not take the VFS\n");
        abort();
    }
}

void vfs_set_checkpoint_pages(int n_pages) {
    checkpoint_pages = n_pages;
}

/* A log of some pages instead of a thousand: so a short simulation has many checkpoints. */
int __wrap_sqlite3_open_v2(const char *path, sqlite3 **ret_handle, int flags, const char *vfs);
int __real_sqlite3_open_v2(const char *path, sqlite3 **ret_handle, int flags, const char *vfs);

int __wrap_sqlite3_open_v2(const char *path, sqlite3 **ret_handle, int flags, const char *vfs) {
    int code = __real_sqlite3_open_v2(path, ret_handle, flags, vfs);
    if (code == SQLITE_OK && (flags & SQLITE_OPEN_READWRITE) != 0 && checkpoint_pages > 0) {
        (void)sqlite3_wal_autocheckpoint(*ret_handle, checkpoint_pages);
    }
    return code;
}

/* The writer prepares its statements at the start, to see that all of them fit the tables. Here
 * each is prepared when it is used: a start takes half the time, and a simulation has ten of them.
 */
enum status __wrap_db_prepare(struct db *db, struct error *error);

enum status __wrap_db_prepare(struct db *db, struct error *error) {
    (void)db;
    (void)error;
    return STATUS_OK;
}
