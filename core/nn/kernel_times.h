/* How long each kernel takes on one thread with its data in L2: what a training step is measured
 * against.
 *
 * Layer: core/nn. Thread rule: an object belongs to one thread.
 *
 * The best of many short rounds counts: other work on the machine only ever makes one slower. The
 * peak of multiply-adds is measured in turns with the kernels, on the same thread.
 */
#ifndef CUTOUTD_CORE_NN_KERNEL_TIMES_H
#define CUTOUTD_CORE_NN_KERNEL_TIMES_H

#include "core/nn/resnet.h"
#include "core/nn/step_profile.h"

enum kernel_function {
    KERNEL_FORWARD, /* these three once an image */
    KERNEL_BACKWARD_DATA,
    KERNEL_WEIGHTS_ADD,
    KERNEL_FORWARD_PRODUCTS, /* the matrix products of Winograd's alone */
    KERNEL_WEIGHTS_PRODUCTS,
    KERNEL_WEIGHTS_FINISH, /* these once a chunk or a step */
    KERNEL_PACK_FORWARD,
    KERNEL_PACK_BACKWARD,
    N_KERNEL_FUNCTIONS,
};

enum elementwise_function {
    ELEMENTWISE_BN_SUMS,
    ELEMENTWISE_BN_RELU,
    ELEMENTWISE_BN_ADD_RELU,
    ELEMENTWISE_BN_BACKWARD,
    ELEMENTWISE_RELU_BACKWARD,
    ELEMENTWISE_RELU_BACKWARD_ADD,
    N_ELEMENTWISE_FUNCTIONS,
};

enum { ELEMENTWISE_FLOATS = 32 * 32 * 16 }; /* of a tensor they are timed on */

struct kernel_time {
    double us;   /* an image, or a call of what is done once a step; 0: there is no such function */
    double peak; /* FLOP/s of multiply-adds on this thread meanwhile; 0: not known */
};

/* The kernels of one training step, by part: microseconds an image on one thread. */
struct kernel_step {
    double us[N_STEP_PARTS];          /* 0: not measured (the head, once-a-step work) */
    double products_us[N_STEP_PARTS]; /* of that, Winograd's products alone */
    double gflop[N_STEP_PARTS]; /* nominal, of an image; Winograd's savings count as work done */
    double total_us;
    double peak; /* FLOP/s on one thread; 0: not known */
};

struct kernel_times;

/* round_s: seconds that each function is given. STATUS_NO_MEMORY. */
enum status kernel_times_create(const struct kernels *kernels, const struct clock *clock,
                                double round_s, struct kernel_times **ret_times,
                                struct error *error);

/* NULL is fine. */
void kernel_times_free(struct kernel_times *times);

/* Of one convolution of these kernels. */
void kernel_times_conv(struct kernel_times *times, const struct conv_plan *plan,
                       struct kernel_time ret_times[N_KERNEL_FUNCTIONS]);

/* Of one image of 16 channels at 32x32. */
void kernel_times_elementwise(struct kernel_times *times, double ret_us[N_ELEMENTWISE_FUNCTIONS]);

/* Tensors that a function reads or writes. */
int kernel_elementwise_tensors(enum elementwise_function function);

/* Adds up what a step of this network is made of. */
enum status kernel_times_step(struct kernel_times *times, const struct resnet *net, bool winograd,
                              struct kernel_step *ret_step, struct error *error);

#endif
