/* The network as a table of layers, as the notebook's model.summary() shows it.
 *
 * Layer: core/nn. Thread rule: pure function.
 */
#ifndef CUTOUTD_CORE_NN_SUMMARY_H
#define CUTOUTD_CORE_NN_SUMMARY_H

#include "core/nn/resnet.h"

/* input, conv, bn, relu, conv, bn, (conv,) add, relu, ..., pool, flatten, dense */
enum { SUMMARY_MAX_ROWS = 3 + 8 * RESNET_MAX_BLOCKS + 2 + 8 };

struct summary_row {
    char name[48];    /* "batch_normalization_3" */
    const char *type; /* "BatchNormalization"; static */
    int n_dims;       /* of the output, batch excluded */
    int output[3];    /* H, W, C or C */
    int64_t parameters;
};

struct summary {
    int n_rows;
    struct summary_row rows[SUMMARY_MAX_ROWS];
    int64_t total, trainable, non_trainable;
};

void summary_make(const struct resnet *net, struct summary *ret_summary);

#endif
