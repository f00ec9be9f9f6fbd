/* `cutoutd bench`: how fast this machine trains, measured by training.
 *
 * Layer: daemon. Thread rule: main's thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_BENCH_COMMAND_BENCH_H
#define CUTOUTD_DAEMON_MAIN_BENCH_COMMAND_BENCH_H

/* argv: the words behind `bench`. Prints to standard output; returns the exit code. */
int command_bench(int argc, char *const *argv);

#endif
