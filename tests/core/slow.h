/* Whether this is a build that should do less of the same. Layer: tests. */
#ifndef CUTOUTD_TESTS_CORE_SLOW_H
#define CUTOUTD_TESTS_CORE_SLOW_H

/* Kernels under a sanitizer or valgrind are some thirty times slower: tests do less of the same
 * there.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(SLOW_BUILD_WANTED)
enum { SLOW_BUILD = 1 };
#else
enum { SLOW_BUILD = 0 };
#endif

#endif
