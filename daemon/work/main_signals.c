/* Layer: daemon/work. */
#include "daemon/work/main_signals.h"

#include <pthread.h>

static pthread_t main_thread;

static void pass_on(int signal_number) {
    (void)pthread_kill(main_thread, signal_number);
}

void main_signals_block(const sigset_t *signals) {
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL);
    main_thread = pthread_self();
    for (int i = 1; i < SIGRTMIN; i++) {
        if (sigismember(signals, i) == 1) {
            (void)sigaction(i, &action, NULL);
        }
    }
}
