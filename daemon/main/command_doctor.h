/* `cutoutd doctor`: looks at the state directory of a daemon that is stopped, and changes nothing.
 *
 * Layer: daemon/main. Thread rule: the main thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_COMMAND_DOCTOR_H
#define CUTOUTD_DAEMON_MAIN_COMMAND_DOCTOR_H

#include "daemon/config/config.h"

/* A line to standard output for each thing that was looked at: whether it is well, and if not, what
 * to do. Exit status 0: all is well; 1: something is not, or could not be looked at. */
int command_doctor(const struct config *config);

#endif
