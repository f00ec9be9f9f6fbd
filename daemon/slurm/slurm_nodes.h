/* Nodes on which attempts die at once, and runs whose next attempt shall wait: what the executor
 * remembers beyond an attempt. Forgotten with the process.
 *
 * Layer: daemon/slurm. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_SLURM_SLURM_NODES_H
#define CUTOUTD_DAEMON_SLURM_SLURM_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/slurm/slurm_text.h"

enum { SLURM_NODES_MOST = 64, SLURM_DELAYS_MOST = 256 };

struct slurm_nodes {
    struct {
        char name[SLURM_NODE_SIZE];
        int n_early;    /* attempts in a row that died early on it */
        double until_s; /* excluded; 0: not */
        double changed_s;
    } nodes[SLURM_NODES_MOST];
    struct {
        int64_t run_id; /* 0: free */
        double at_s;
    } delays[SLURM_DELAYS_MOST];
};

/* An attempt ended on the node after lived_s seconds, by no fault of its own and without having
 * been asked. certain: another one would end like it. Returns whether the node is excluded from now
 * on.
 */
bool slurm_nodes_note_death(struct slurm_nodes *nodes, const char *name, double lived_s,
                            bool certain, double now_s);

/* An attempt got on there. */
void slurm_nodes_note_life(struct slurm_nodes *nodes, const char *name);

/* "n1,n7": those that are excluded. Returns how many. */
int slurm_nodes_excluded(const struct slurm_nodes *nodes, double now_s, char *text, size_t size);

/* The run's next attempt is not submitted before then. */
void slurm_nodes_delay(struct slurm_nodes *nodes, int64_t run_id, double at_s);

/* 0: at once. Forgets it. */
double slurm_nodes_take_delay(struct slurm_nodes *nodes, int64_t run_id);

#endif
