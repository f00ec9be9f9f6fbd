/* Signals that only the main thread gets.
 *
 * Layer: daemon/work. Thread rule: on the main thread, before it starts another one.
 *
 * OpenBLAS starts threads before main() that block nothing. A signal that the main thread blocks,
 * to wait for it, would reach one of them and end the process.
 */
#ifndef CUTOUTD_DAEMON_WORK_MAIN_SIGNALS_H
#define CUTOUTD_DAEMON_WORK_MAIN_SIGNALS_H

#include <signal.h>

/* Blocks them here, and in all threads that are started from here on; one that reaches another
 * thread is handed on, and waits here for sigtimedwait, sigwaitinfo or a signalfd. */
void main_signals_block(const sigset_t *signals);

#endif
