/* The two things that keep a register tile in registers: code that is always inlined, so that its
 * sizes are constants, and loops that are always unrolled, so that no array is indexed at run time.
 *
 * Layer: core/kernels. Everything is static: these headers are compiled with several instruction
 * sets, and a function that the linker may share between them would crash an older processor.
 */
#ifndef CUTOUTD_CORE_KERNELS_X86_INLINE_H
#define CUTOUTD_CORE_KERNELS_X86_INLINE_H

#define INLINE static inline __attribute__((always_inline))

/* In front of a loop over a part of a register tile: unroll it whole. GCC spills the accumulators
 * without it (three times slower). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* A sanitizer checks every access of every copy: minutes of compiling for the same findings. */
#define UNROLL
#define UNROLL_BY_2
#define UNROLL_BY_3
#define NO_UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_BY_2 _Pragma("clang loop unroll_count(2)")
#define UNROLL_BY_3 _Pragma("clang loop unroll_count(3)")
#define NO_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#define UNROLL_BY_2 _Pragma("GCC unroll 2")
#define UNROLL_BY_3 _Pragma("GCC unroll 3")
#define NO_UNROLL _Pragma("GCC unroll 1")
#endif

#endif
