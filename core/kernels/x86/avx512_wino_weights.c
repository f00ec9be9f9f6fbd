/* Winograd: weights to the 36 planes and their gradient back, AVX-512. Once a step.
 *
 * Layer: core/kernels. Thread rule: as core/kernels/kernels.h.
 *
 * Planes of weights: [36][in][out]; accumulator: [36][ic][oc].
 */
#if defined(__x86_64__)

#include "core/kernels/x86/avx512.h"
#include "core/kernels/x86/avx512_wino_transform.h"

/* G w G^T for 16 channels out. plane: floats from one of the 36 to the next. */
INLINE void weights_tile(const __m512 w[WINO_TAPS][WINO_TAPS], int plane, float *to) {
    __m512 half[WINO_TAPS][WINO_IN]; /* [kw][row] */
    UNROLL for (int kw = 0; kw < WINO_TAPS; kw++) {
        const __m512 column[WINO_TAPS] = {w[0][kw], w[1][kw], w[2][kw]};
        wino_weights(column, half[kw]);
    }
    UNROLL for (int i = 0; i < WINO_IN; i++) {
        const __m512 row[WINO_TAPS] = {half[0][i], half[1][i], half[2][i]};
        __m512 transformed[WINO_IN];
        wino_weights(row, transformed);
        UNROLL for (int j = 0; j < WINO_IN; j++) {
            line_store(to + (i * WINO_IN + j) * plane, transformed[j]);
        }
    }
}

/* A part's share of the pairs (one channel in, 16 channels out). */
struct share {
    int begin;
    int end;
};

static struct share share_of(int channels, int part, int n_parts) {
    int n = channels * channels / 16;
    return (struct share){n * part / n_parts, n * (part + 1) / n_parts};
}

CONV_PACK(avx512_wino_pack_forward) {
    const int c = plan->shape.oc;
    const struct share share = share_of(c, part, n_parts);
    for (int i = share.begin; i < share.end; i++) {
        __m512 w[WINO_TAPS][WINO_TAPS];
        UNROLL for (int tap = 0; tap < 9; tap++) {
            w[tap / 3][tap % 3] = line_load(weights + tap * c * c + i * 16);
        }
        weights_tile(w, wino_weight_plane(c), packed + i * 16);
    }
}

/* The window turned, and in and out exchanged: out runs over ic, which lie oc floats apart. */
CONV_PACK(avx512_wino_pack_backward) {
    const int c = plan->shape.oc;
    const struct share share = share_of(c, part, n_parts);
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(c));
    for (int i = share.begin; i < share.end; i++) {
        const int oc = i % c; /* innermost: neighbours share the lines that are gathered */
        const int ic = i / c * 16;
        __m512 w[WINO_TAPS][WINO_TAPS];
        UNROLL for (int tap = 0; tap < 9; tap++) {
            const float *turned = weights + (8 - tap) * c * c;
            w[tap / 3][tap % 3] = _mm512_i32gather_ps(offsets, turned + ic * c + oc, 4);
        }
        weights_tile(w, wino_weight_plane(c), packed + oc * c + ic);
    }
}

/* G^T du G. */
CONV_WEIGHTS_FINISH(avx512_wino_weights_finish) {
    const int c = plan->shape.oc;
    for (int i = 0; i < c * c; i += 16) {
        __m512 half[WINO_TAPS][WINO_IN];
        UNROLL for (int column = 0; column < WINO_IN; column++) {
            __m512 du[WINO_IN];
            __m512 transformed[WINO_TAPS];
            UNROLL for (int row = 0; row < WINO_IN; row++) {
                du[row] =
                    line_load(accumulator + (row * WINO_IN + column) * wino_weight_plane(c) + i);
            }
            wino_weights_gradient(du, transformed);
            UNROLL for (int kh = 0; kh < WINO_TAPS; kh++) {
                half[kh][column] = transformed[kh];
            }
        }
        UNROLL for (int kh = 0; kh < WINO_TAPS; kh++) {
            __m512 transformed[WINO_TAPS];
            wino_weights_gradient(half[kh], transformed);
            UNROLL for (int kw = 0; kw < WINO_TAPS; kw++) {
                line_store(diff_weights + (kh * 3 + kw) * c * c + i, transformed[kw]);
            }
        }
    }
}

#endif
