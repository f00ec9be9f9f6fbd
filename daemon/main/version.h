/* Which program this is.
 *
 * Layer: daemon/main. Thread rule: any.
 */
#ifndef CUTOUTD_DAEMON_MAIN_VERSION_H
#define CUTOUTD_DAEMON_MAIN_VERSION_H

#include <stdio.h>

/* The commit that it was built from, "+changed" behind it when files were not as committed;
 * "unknown" outside of a repository. Made by version.cmake at each build. */
extern const char version_commit[];

/* Version, commit, and the kernels that run here with the name of their arithmetic. */
void version_print(FILE *out);

#endif
