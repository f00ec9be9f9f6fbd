/* SQLite's files on the disk in memory, as its VFS for unix has them: the same sector size and
 * promises, locks and shared memory within one process. */
#ifndef CUTOUTD_TESTS_SIM_VFS_H
#define CUTOUTD_TESTS_SIM_VFS_H

/* Makes it SQLite's default. */
void vfs_install(void);

/* A new process: nobody has a lock, and there is no shared memory. */
void vfs_reset(void);

/* Between commits the log is checkpointed when it has so many pages (SQLite's own default: 1000).
 */
void vfs_set_checkpoint_pages(int n_pages);

#endif
