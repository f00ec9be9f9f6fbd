/* A team of threads that share out numbered pieces of work.
 *
 * Layer: core/team. Thread rule: a team belongs to the thread that made it; only that thread calls
 * the functions below, and none inside a piece but team_next_piece. Pieces run on any member, so
 * what a piece computes must depend on its number alone.
 *
 * Each member has a share of neighbouring pieces, the same in every call with as many pieces, so
 * that what it touched is found in its own cache and its own memory. It takes them one by one, in
 * turns from the front and from the back: what the call before touched last comes first. Then it
 * takes pieces of others, so a member whose core is taken away for a while delays the team by the
 * piece it holds and no more. Results stay the same for any number of threads because the pieces
 * are cut by the data, never by the team, and partial sums are kept a piece and added in order.
 */
#ifndef CUTOUTD_CORE_TEAM_TEAM_H
#define CUTOUTD_CORE_TEAM_TEAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"

enum { TEAM_MAX_THREADS = 64, TEAM_MAX_PIECES = (1 << 20) - 1 };

struct team;

struct team_options {
    int n_threads; /* 1 .. TEAM_MAX_THREADS, the caller included (n_threads - 1 are started) */
    /* Each member, the caller included, stays on one of the processors that the caller may use; the
     * caller until team_free. For a machine that runs nothing else. */
    bool pin_threads;
};

/* A piece of work: `piece` is 0 .. n_pieces-1; `member` 0 .. n_threads-1 says whose scratch space
 * may be used. */
typedef void team_task(void *user, int piece, int member);

/* STATUS_INVALID, STATUS_NO_MEMORY, STATUS_IO (the system starts no thread or pins none); *ret_team
 * is set on success only and owned by the caller. */
enum status team_create(const struct team_options *options, struct team **ret_team,
                        struct error *error);

/* Ends the threads. NULL is fine. */
void team_free(struct team *team);

int team_size(const struct team *team);

/* Runs task(user, 0 .. n_pieces-1) and returns when all pieces are done; what they wrote is visible
 * to the caller and to the pieces of the next call. n_pieces: 0 .. TEAM_MAX_PIECES. */
void team_run(struct team *team, team_task *task, void *user, int n_pieces);

/* Lets calls be broken off. While a question is set, the owner asks it before each piece that it
 * runs; once it has said true, no member runs a piece any more, in this call or later ones: what
 * they would have written is then as it was. NULL: asks nothing from here on. */
typedef bool team_question(void *user);
void team_ask(struct team *team, team_question *should_stop, void *user);

/* Whether pieces were left out. */
bool team_has_stopped(const struct team *team);

/* For pieces that take long, in between: whether to go on. Asks when `member` is the owner. */
bool team_goes_on(struct team *team, int member);
/* Inside a piece that `member` runs: the piece of this call that it will probably take next, -1:
 * unknown. For fetching ahead, nothing else. */
int team_next_piece(const struct team *team, int member);

/* What all calls so far came to, for measurements. */
struct team_counts {
    int64_t calls;  /* each ends with all members waiting for the last */
    int64_t pieces; /* claims */
    int64_t stolen; /* claims outside of a member's own share */
};

void team_count(const struct team *team, struct team_counts *ret_counts);

#endif
