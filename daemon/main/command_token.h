/* `cutoutd token NAME --scope read|submit|admin`: makes an access token.
 *
 * Layer: daemon. Thread rule: one thread.
 */
#ifndef CUTOUTD_DAEMON_MAIN_COMMAND_TOKEN_H
#define CUTOUTD_DAEMON_MAIN_COMMAND_TOKEN_H

/* argv[0 .. argc) are the words after the command. Prints to stdout, complains on stderr; returns
 * the exit code: 0, or 2 when used wrongly. */
int command_token(int argc, char **argv);

#endif
