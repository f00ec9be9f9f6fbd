/* What the parts of the simulator share.
 *
 * Thread rule: one thread. Everything that lives longer than a simulated process is static.
 */
#ifndef CUTOUTD_TESTS_SIM_SIM_H
#define CUTOUTD_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_STATE_DIR "/sim/state"
#define SIM_ELSEWHERE "elsewhere"

/* Who asks: nobody in particular, and two who have names. */
enum { SIM_OWNERS = 3 };

/* How many runs each of the two executors trains at once. */
enum { SIM_PLACES = 2 };

/* Which kinds of trouble a seed has. */
struct kinds {
    bool crashes;      /* between any two operations: the process is killed or the power goes */
    bool power;        /* with the power */
    bool fails_once;   /* the Nth operation fails, then the next is fine */
    bool fails_long;   /* the Nth and all after it, for a while */
    bool reads_fail;   /* also operations that only read */
    bool disk_full;    /* for a while */
    bool clock_jumps;  /* an hour forth and back, now and then some days */
    bool old_database; /* begins with the database of an older version */
    bool elsewhere;    /* some runs are trained by an executor that outlives the daemon */
    bool blind;        /* that executor forgets what it trains, and remembers too late */
    bool retention;
    bool fair;       /* owners take turns, by what they used lately */
    bool later;      /* some runs start no earlier than at a time */
    bool quiet;      /* there are quiet hours */
    bool ranks;      /* sweeps by halving of all kinds */
    int max_running; /* of an owner; 0: any number, as the next */
    int max_queued;
};

extern struct kinds kinds;

/* A property does not hold: ends the simulation. property: "an accepted run is there". */
void sim_fail(const char *property, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* A line of the story, printed with --trace. */
void sim_tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What a run's epoch comes out as: a function of its seed and the epoch alone. */
enum { METRIC_TOTAL = 10, METRIC_IMAGES = 4, METRIC_STEPS = 2 };
int metric_wrong(uint64_t seed, int epoch);
double metric_loss(uint64_t seed, int epoch);
double metric_val_loss(uint64_t seed, int epoch);

/* With which seed a run with that m stands for the metrics. */
enum { METRIC_SEEDS = 1000000000 };
static inline uint64_t metric_seed(uint64_t seed, int m) {
    return seed + (uint64_t)(m - 1) * METRIC_SEEDS;
}

/* The best of the epochs 1 .. last; 0: there is none. */
int metric_best(uint64_t seed, int last);

#endif
