/* Which instances of a batch get a backward pass: those with the highest loss (Jiang et al.,
 * "Accelerating deep learning by focusing on the biggest losers", 2019, without its chance).
 *
 * Layer: core/train. Thread rule: pure functions on their arguments.
 */
#ifndef CUTOUTD_CORE_TRAIN_HARDEST_H
#define CUTOUTD_CORE_TRAIN_HARDEST_H

/* How many of n instances `share` of them are, at least one. */
int hardest_count(int n, double share);

/* The n_chosen highest of losses[n], in order of their places; among equal ones the first, and what
 * is no number is higher than any. ret_places: [n], of which the first n_chosen are the answer. */
void hardest_choose(const double *losses, int n, int n_chosen, int *ret_places);

#endif
