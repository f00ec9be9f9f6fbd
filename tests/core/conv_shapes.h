/* The convolutions of ResNet: what tests and benchmarks of kernels go through. */
#ifndef CUTOUTD_TESTS_CORE_CONV_SHAPES_H
#define CUTOUTD_TESTS_CORE_CONV_SHAPES_H

#include "core/kernels/kernels.h"

struct named_shape {
    const char *name;
    struct conv_shape shape;
};

static const struct named_shape conv_shapes[] = {
    {"stem 3->16 @32", {.ic = 3, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1}},
    {"3x3 16->16 @32", {.ic = 16, .oc = 16, .ih = 32, .oh = 32, .k = 3, .stride = 1}},
    {"3x3 32->32 @16", {.ic = 32, .oc = 32, .ih = 16, .oh = 16, .k = 3, .stride = 1}},
    {"3x3 64->64 @8", {.ic = 64, .oc = 64, .ih = 8, .oh = 8, .k = 3, .stride = 1}},
    {"3x3/2 16->32 @16", {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 3, .stride = 2}},
    {"3x3/2 32->64 @8", {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 3, .stride = 2}},
    {"1x1/2 16->32 @16", {.ic = 16, .oc = 32, .ih = 32, .oh = 16, .k = 1, .stride = 2}},
    {"1x1/2 32->64 @8", {.ic = 32, .oc = 64, .ih = 16, .oh = 8, .k = 1, .stride = 2}},
};

enum { N_CONV_SHAPES = sizeof(conv_shapes) / sizeof(conv_shapes[0]) };

#endif
