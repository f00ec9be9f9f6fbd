/* Where GCC's static analyser (tools/lint --deep) is wrong, and why is said there.
 *
 * Layer: core/base. Thread rule: none; macros.
 *
 *     ANALYZER_IS_WRONG("-Wanalyzer-malloc-leak")
 *     ... the function ...
 *     ANALYZER_GOES_ON
 */
#ifndef CUTOUTD_CORE_BASE_ANALYZER_H
#define CUTOUTD_CORE_BASE_ANALYZER_H

#if defined(__GNUC__) && !defined(__clang__)
#define ANALYZER_PRAGMA(text) _Pragma(#text)
#define ANALYZER_IS_WRONG(warning)                                                                 \
    ANALYZER_PRAGMA(GCC diagnostic push) ANALYZER_PRAGMA(GCC diagnostic ignored warning)
#define ANALYZER_GOES_ON ANALYZER_PRAGMA(GCC diagnostic pop)
#else
#define ANALYZER_IS_WRONG(warning)
#define ANALYZER_GOES_ON
#endif

#endif
