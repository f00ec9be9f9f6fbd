/* Where the time of training steps goes, thread by thread.
 *
 * Layer: core/nn. Thread rule: each member of the engine's team writes its own row while it runs a
 * piece; everything else is read and written by the team's owner, between the calls of the team.
 *
 * The engine and the trainer add to it; whoever gave it to them resets and reads it between steps.
 */
#ifndef CUTOUTD_CORE_NN_STEP_PROFILE_H
#define CUTOUTD_CORE_NN_STEP_PROFILE_H

#include <stdint.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/kernels/kernels.h"
#include "core/team/team.h"

/* What a thread works on. */
enum step_part {
    PART_STEM,
    PART_16, /* 3x3 convolutions with stride 1, by channels */
    PART_32,
    PART_64,
    PART_STRIDE_2, /* 3x3 and 1x1 */
    PART_BN,       /* batch normalisation and ReLU */
    PART_HEAD,     /* pooling, dense layer, loss */
    PART_WEIGHTS,  /* packing kernels, finishing and adding up their gradients */
    N_STEP_PARTS,
};

struct step_profile {
    const struct clock *clock;
    bool by_part; /* fill `members` as well: some thousand readings of the clock a step */

    /* Since the last reset; wall-clock seconds. */
    int64_t n_steps;
    int64_t n_images;
    double step_seconds;       /* the whole of the steps */
    double data_seconds;       /* of that: making their images */
    double optimizer_seconds;  /* likewise */
    struct team_counts counts; /* of the steps alone */
    struct team_counts before; /* at the start of the step under way */

    struct step_member {
        double last_s;
        double seconds[N_STEP_PARTS];
        char apart[64]; /* members write at the same time: not to the same cache line */
    } members[TEAM_MAX_THREADS];
};

static inline void step_profile_reset(struct step_profile *profile) {
    *profile = (struct step_profile){.clock = profile->clock, .by_part = profile->by_part};
}

/* A member begins a piece. profile: NULL is fine. */
static inline void step_profile_begin(struct step_profile *profile, int member) {
    if (profile && profile->by_part) {
        profile->members[member].last_s = clock_monotonic_s(profile->clock);
    }
}

/* What it has done since it began, or since the last lap, was `part`. */
static inline void step_profile_lap(struct step_profile *profile, int member, enum step_part part) {
    if (profile && profile->by_part) {
        struct step_member *m = &profile->members[member];
        double now = clock_monotonic_s(profile->clock);
        m->seconds[part] += now - m->last_s;
        m->last_s = now;
    }
}

/* The trainer's part: a step begins, and is done (seconds: the whole of it). profile: NULL is fine.
 */
static inline void step_profile_start(struct step_profile *profile, const struct team *team) {
    if (profile) {
        team_count(team, &profile->before);
    }
}

static inline void step_profile_add(struct step_profile *profile, const struct team *team,
                                    int n_images, double data_s, double optimizer_s,
                                    double seconds) {
    if (profile) {
        struct team_counts now;
        team_count(team, &now);
        profile->counts.calls += now.calls - profile->before.calls;
        profile->counts.pieces += now.pieces - profile->before.pieces;
        profile->counts.stolen += now.stolen - profile->before.stolen;
        profile->n_steps++;
        profile->n_images += n_images;
        profile->data_seconds += data_s;
        profile->optimizer_seconds += optimizer_s;
        profile->step_seconds += seconds;
    }
}

static inline enum step_part step_part_of(const struct conv_shape *shape) {
    if (shape->ic == 3) {
        return PART_STEM;
    }
    if (shape->stride == 2) {
        return PART_STRIDE_2;
    }
    return shape->oc == 16 ? PART_16 : shape->oc == 32 ? PART_32 : PART_64;
}

#endif
