/* Layer: daemon/slurm. Thread rule: see the header. */
#include "daemon/slurm/slurm_nodes.h"

#include <stdio.h>
#include <string.h>

static const double EARLY_S = 60.0;
static const double EXCLUDED_S = 3600.0;

enum { MOST_EARLY = 2 };

/* The node's place; of one that is not known that of the longest unchanged. */
static int place_of(struct slurm_nodes *nodes, const char *name) {
    int oldest = 0;
    for (int i = 0; i < SLURM_NODES_MOST; i++) {
        if (!strcmp(nodes->nodes[i].name, name)) {
            return i;
        }
        if (nodes->nodes[i].changed_s < nodes->nodes[oldest].changed_s) {
            oldest = i;
        }
    }
    memset(&nodes->nodes[oldest], 0, sizeof(nodes->nodes[oldest]));
    (void)snprintf(nodes->nodes[oldest].name, SLURM_NODE_SIZE, "%s", name);
    return oldest;
}

bool slurm_nodes_note_death(struct slurm_nodes *nodes, const char *name, double lived_s,
                            bool certain, double now_s) {
    if (!name[0] || (lived_s > EARLY_S && !certain)) {
        return false;
    }
    int i = place_of(nodes, name);
    nodes->nodes[i].changed_s = now_s;
    nodes->nodes[i].n_early++;
    if (!certain && nodes->nodes[i].n_early < MOST_EARLY) {
        return false;
    }
    nodes->nodes[i].until_s = now_s + EXCLUDED_S;
    nodes->nodes[i].n_early = MOST_EARLY - 1; /* when it is back, one more is enough */
    return true;
}

void slurm_nodes_note_life(struct slurm_nodes *nodes, const char *name) {
    for (int i = 0; i < SLURM_NODES_MOST; i++) {
        if (name[0] && !strcmp(nodes->nodes[i].name, name)) {
            nodes->nodes[i].n_early = 0;
        }
    }
}

int slurm_nodes_excluded(const struct slurm_nodes *nodes, double now_s, char *text, size_t size) {
    size_t used = 0;
    int n = 0;
    text[0] = '\0';
    for (int i = 0; i < SLURM_NODES_MOST; i++) {
        size_t length = strlen(nodes->nodes[i].name);
        if (nodes->nodes[i].until_s > now_s && used + length + 2 < size) {
            used += (size_t)snprintf(text + used, size - used, "%s%s", n++ > 0 ? "," : "",
                                     nodes->nodes[i].name);
        }
    }
    return n;
}

void slurm_nodes_delay(struct slurm_nodes *nodes, int64_t run_id, double at_s) {
    int soonest = 0;
    for (int i = 0; i < SLURM_DELAYS_MOST; i++) {
        if (nodes->delays[i].run_id == 0) {
            soonest = i;
            break;
        }
        if (nodes->delays[i].at_s < nodes->delays[soonest].at_s) {
            soonest = i;
        }
    }
    nodes->delays[soonest].run_id = run_id;
    nodes->delays[soonest].at_s = at_s;
}

double slurm_nodes_take_delay(struct slurm_nodes *nodes, int64_t run_id) {
    double at_s = 0;
    for (int i = 0; i < SLURM_DELAYS_MOST; i++) {
        if (nodes->delays[i].run_id == run_id) {
            at_s = nodes->delays[i].at_s;
            nodes->delays[i].run_id = 0;
        }
    }
    return at_s;
}
