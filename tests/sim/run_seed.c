/* Thread rule: one thread; this is the driver. */
#include "tests/sim/run_seed.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/clients.h"
#include "tests/sim/cluster.h"
#include "tests/sim/databases.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults.h"
#include "tests/sim/hours.h"
#include "tests/sim/model.h"
#include "tests/sim/process.h"
#include "tests/sim/receiver.h"
#include "tests/sim/sched.h"
#include "tests/sim/sim.h"
#include "tests/sim/vfs.h"

struct kinds kinds;

static const double IDLE_S = 60.0; /* time passes by itself up to the next deadline within this */

static struct stream choices;
static bool looked_at_all; /* since the process serves */

/* ---- the kinds of trouble of a seed ---- */

static struct kinds choose_kinds(uint64_t seed) {
    struct stream s = stream_make(seed, 1000001);
    struct kinds k = {.elsewhere = stream_chance(&s, 50)};
    k.retention = stream_chance(&s, 25);
    if (stream_chance(&s, 10)) {
        return k; /* none */
    }
    k.crashes = stream_chance(&s, 75);
    k.power = k.crashes && stream_chance(&s, 60);
    k.fails_once = stream_chance(&s, 35);
    k.fails_long = stream_chance(&s, 20);
    k.reads_fail = (k.fails_once || k.fails_long) && stream_chance(&s, 40);
    k.disk_full = stream_chance(&s, 20);
    k.clock_jumps = stream_chance(&s, 40);
    k.old_database = stream_chance(&s, 15);
    k.blind = k.elsewhere && k.crashes && stream_chance(&s, 50);
    k.fair = !k.clock_jumps && stream_chance(&s, 60);
    return k;
}

/* What of the queue is more than order: also where nothing fails. */
static struct kinds choose_rules(uint64_t seed, struct kinds k) {
    struct stream s = stream_make(seed, 1000004);
    k.later = stream_chance(&s, 35);
    k.quiet = stream_chance(&s, 30);
    k.ranks = stream_chance(&s, 60);
    k.max_running = stream_chance(&s, 25) ? 1 : 0;
    k.max_queued = stream_chance(&s, 35) ? 1 + stream_below(&s, 3) : 0;
    return k;
}

void run_seed_describe(uint64_t seed, char *text, int size) {
    struct kinds k = choose_rules(seed, choose_kinds(seed));
    (void)snprintf(text, (size_t)size, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s",
                   k.crashes ? "crashes " : "", k.power ? "power " : "",
                   k.fails_once ? "fails-once " : "", k.fails_long ? "fails-long " : "",
                   k.reads_fail ? "reads-fail " : "", k.disk_full ? "disk-full " : "",
                   k.clock_jumps ? "clock " : "", k.old_database ? "old-database " : "",
                   k.elsewhere ? "elsewhere " : "", k.blind ? "blind " : "",
                   k.retention ? "retention " : "", k.fair ? "fair " : "", k.later ? "later " : "",
                   k.quiet ? "quiet " : "", k.ranks ? "ranks " : "",
                   k.max_running ? "max-running " : "", k.max_queued ? "max-queued " : "");
}

static bool has_faults(void) {
    return kinds.fails_once || kinds.fails_long || kinds.disk_full;
}

/* ---- running ---- */

/* At most n choices of who goes next; when none can, time passes. */
static void run_tasks(int n) {
    for (int i = 0; i < n && !sched_has_crashed(); i++) {
        if (sched_run_one()) {
            sched_set_now_s(sched_now_s() + 0.001);
            continue;
        }
        double next = sched_next_deadline();
        if (sched_has_crashed() || !(next <= sched_now_s() + IDLE_S)) {
            return;
        }
        sched_set_now_s(next);
    }
}

static void bury(void) {
    bool power = kinds.power && stream_chance(&choices, 50);
    sim_tell("  %s", power ? "the power is gone" : "the process is killed");
    if (power) {
        disk_lose_power(&choices);
    }
    model_on_crash();
    process_reset();
    faults.crash_at = 0;
    looked_at_all = false;
}

static void on_end(void) {
    const struct error *error = process_error();
    sim_tell("  the process has ended %s", error->message);
    if (error->message[0] && !has_faults()) {
        sim_fail("a start succeeds", "%s", error->message);
    }
    model_let_go();
    process_reset();
    looked_at_all = false;
}

static void look_after(void) {
    if (sched_has_crashed()) {
        bury();
    } else if (process_state() == PROCESS_ENDED) {
        on_end();
    } else if (process_state() == PROCESS_SERVING) {
        if (model_look(!looked_at_all)) {
            if (!looked_at_all) {
                model_on_start();
            }
            looked_at_all = true;
        }
    }
}

/* ---- what may happen ---- */

static void arm_fault(void) {
    bool for_good = kinds.fails_long && (!kinds.fails_once || stream_chance(&choices, 40));
    int distance = 1 + stream_below(&choices, 40);
    bool read = kinds.reads_fail && stream_chance(&choices, 40);
    faults.error = stream_chance(&choices, 30) ? ENOSPC : EIO;
    faults.for_good = for_good;
    if (read) {
        faults.error = EIO;
        faults.fail_read_at = faults.n_reads + distance;
    } else {
        faults.fail_at = faults.n_operations + distance;
    }
    sim_tell("the %s in %d fails%s: %s", read ? "read" : "operation", distance,
             for_good ? ", and all after it" : "", strerror(faults.error));
}

static void let_time_pass(void) {
    static const double spans[] = {1, 31, 31, 600, 3600};
    double span = spans[stream_below(&choices, 5)];
    bool long_ago = kinds.retention && stream_chance(&choices, 40);
    /* Events must not become old before the model has seen them. */
    span = long_ago && process_state() == PROCESS_SERVING ? 90000 : span;
    sim_tell("%.0f s pass", span);
    sched_set_now_s(sched_now_s() + span);
}

/* Until just before quiet hours begin or end, or a run may start. */
static void wait_for_a_time(void) {
    int64_t now_ms = sched_unix_ms();
    int64_t change_ms = hours_change(now_ms);
    int64_t start_ms = model_next_start(now_ms);
    bool start = start_ms > 0 && (change_ms == 0 || stream_chance(&choices, 50));
    int64_t next_ms = (start ? start_ms : change_ms) - stream_below(&choices, 20);
    if (next_ms > now_ms) {
        sim_tell("it is %" PRId64 " s later", (next_ms - now_ms) / 1000);
        sched_set_now_s(sched_now_s() + (double)(next_ms - now_ms) / 1000.0);
    }
}

static void jump_clock(void) {
    int64_t by_ms = stream_chance(&choices, 50) ? 3600000 : -3600000;
    if (kinds.retention && stream_chance(&choices, 20) && process_state() == PROCESS_SERVING) {
        by_ms *= 50;
    }
    sim_tell("the clock jumps by %" PRId64 " s", by_ms / 1000);
    sched_jump_unix_ms(by_ms);
}

static void fill_disk(void) {
    int64_t room = stream_below(&choices, 12) * 4096;
    sim_tell("the disk has %" PRId64 " bytes left", room);
    disk_set_capacity(disk_used() + room);
}

static void plan_crash(void) {
    int distance = stream_below(&choices, 60);
    sim_tell("the process ends %d operations from now", distance);
    if (distance == 0) {
        sched_crash();
    } else {
        faults.crash_at = faults.n_operations + distance;
    }
}

static void heal(void) {
    sim_tell("nothing fails any more");
    faults_heal();
    disk_set_capacity(-1);
}

static void act(void) {
    int choice = stream_below(&choices, 100);
    if (choice < 10 && kinds.crashes) {
        plan_crash();
    } else if (choice < 16 && (kinds.fails_once || kinds.fails_long)) {
        arm_fault();
    } else if (choice < 20 && kinds.disk_full) {
        fill_disk();
    } else if (choice < 24 && kinds.clock_jumps) {
        jump_clock();
    } else if (choice < 28 && kinds.blind) {
        bool blind = stream_chance(&choices, 60);
        sim_tell("the cluster is %s", blind ? "blind" : "well");
        cluster_set_blind(blind);
        if (blind) {
            plan_crash(); /* it is asked what it trains at the next start */
        }
    } else if (choice < 31 && process_state() == PROCESS_SERVING) {
        sim_tell("SIGTERM");
        model_let_go();
        process_ask_stop();
    } else if (choice < 37) {
        let_time_pass();
    } else if (choice < 45 && has_faults()) {
        heal();
    } else {
        clients_ask(&choices);
    }
}

static void step(uint64_t seed, int number) {
    static const int switch_percents[] = {1, 5, 20, 50};
    choices = stream_make(seed, (uint64_t)number);
    sched_choose_by(&choices, switch_percents[stream_below(&choices, 4)]);
    sim_tell("step %d", number);
    if (process_state() == PROCESS_NONE) {
        sim_tell("  start");
        process_start();
    }
    act();
    if ((kinds.quiet || kinds.later) && stream_chance(&choices, 10)) {
        wait_for_a_time();
    }
    if (kinds.elsewhere && stream_chance(&choices, 60)) {
        cluster_go_on(&choices);
    }
    run_tasks(stream_chance(&choices, 30) ? 5 : 10 + stream_below(&choices, 150));
    look_after();
}

/* ---- the end: nothing fails any more ---- */

static void check_progress(int n_rounds, const char *what) {
    enum { MOST_ROUNDS = 600 };
    if (n_rounds > MOST_ROUNDS) {
        sim_fail("everything ends", "after %d rounds without faults %s", n_rounds, what);
    }
}

static void run_until(enum process_state wanted, const char *what) {
    for (int n = 0; process_state() != wanted; n++) {
        if (process_state() == PROCESS_NONE) {
            process_start();
        }
        check_progress(n, what);
        run_tasks(100);
        if (wanted != PROCESS_ENDED) {
            look_after();
        }
    }
}

static void finish_runs(void) {
    enum { MOST_PATIENCE = 100 };
    for (int n = 0; n == 0 || model_count_unfinished() > 0 || cluster_count() > 0; n++) {
        if (process_state() == PROCESS_NONE) {
            process_start();
        }
        check_progress(n, "some runs have not ended");
        if (n % 20 == 19) {
            wait_for_a_time(); /* it may be days ahead, where the clock was set back */
        }
        if (process_state() == PROCESS_SERVING) {
            (void)clients_release(n > MOST_PATIENCE);
        }
        cluster_go_on(&choices);
        run_tasks(300);
        look_after();
    }
}

/* Whoever is told takes it from now on; a next try is at most six hours ahead, even where the clock
 * was set back. */
static void finish_telling(void) {
    static const int64_t later_ms = (int64_t)7 * 3600 * 1000;
    receiver_heal();
    sched_jump_unix_ms(later_ms);
    for (int n = 0; process_state() != PROCESS_SERVING || receiver_count_pending() != 0; n++) {
        if (process_state() == PROCESS_NONE) {
            process_start();
        }
        check_progress(n, "some webhooks have not been told");
        run_tasks(100);
        look_after();
    }
}

static void finish(uint64_t seed) {
    choices = stream_make(seed, 1000002);
    sched_choose_by(&choices, 5);
    sim_tell("the end");
    heal();
    faults.crash_at = 0;
    cluster_set_blind(false);
    finish_runs();
    finish_telling();
    run_until(PROCESS_SERVING, "the daemon does not serve");
    model_let_go();
    process_ask_stop();
    run_until(PROCESS_ENDED, "the daemon does not stop");
    on_end();
    run_until(PROCESS_SERVING, "the daemon does not start again");
    model_check_end(!kinds.crashes && !kinds.fails_long && !kinds.disk_full);
}

void run_seed(uint64_t seed, int n_steps, const bool *keep) {
    struct stream s = stream_make(seed, 1000003);
    struct stream of_hours = stream_make(seed, 1000005);
    kinds = choose_rules(seed, choose_kinds(seed));
    if (kinds.quiet) {
        hours_choose(&of_hours);
    }
    disk_format();
    vfs_set_checkpoint_pages(stream_chance(&s, 70) ? 10 + stream_below(&s, 100) : 0);
    if (kinds.old_database) {
        databases_make_old(&s);
    } else if (stream_chance(&s, 80)) {
        databases_put_empty();
    }
    for (int i = 0; i < n_steps; i++) {
        if (!keep || keep[i]) {
            step(seed, i);
        }
    }
    finish(seed);
}
