/* Convolutions of 16-bit integers, for processors that multiply and add pairs of them at once: x86. Two neighbouring
 * channels lie side by side in 32 bits, [pair][sample][lane][2]; weights are scaled so that no sum overflows. */
#ifndef PICKFLOW_INTEGERS_H
#define PICKFLOW_INTEGERS_H

#include <immintrin.h>

#if LANES == 16
#define PAIRS(x, w) ((ivec)_mm512_madd_epi16((__m512i)(x), (__m512i)(w)))
#define TO_FLOAT(x) ((vec)_mm512_cvtepi32_ps((__m512i)(x)))
#elif LANES == 8
#define PAIRS(x, w) ((ivec)_mm256_madd_epi16((__m256i)(x), (__m256i)(w)))
#define TO_FLOAT(x) ((vec)_mm256_cvtepi32_ps((__m256i)(x)))
#else
#define PAIRS(x, w) ((ivec)_mm_madd_epi16((__m128i)(x), (__m128i)(w)))
#define TO_FLOAT(x) ((vec)_mm_cvtepi32_ps((__m128i)(x)))
#endif

/* Rounded, with values beyond the calibrated range at its end. */
INLINE ivec quantum(vec x) { return (ivec)(at_least(at_most(x, QUANTUM_LIMIT), -QUANTUM_LIMIT) + 12582912.0f); }

INLINE vec side_by_side(vec even, vec odd) { return (vec)((quantum(even) & 0xffff) | (quantum(odd) << 16)); }

INLINE vec scaled(const Op *op, const Place *place, int64_t channel, ivec sum) {
    vec value = TO_FLOAT(sum) * place->bias[op->n_out + channel] + place->bias[channel];
    return op->flag & RECTIFY ? rectify(value) : value;
}

INLINE void store_pair(const Op *op, const Place *place, int64_t channel, int64_t t, ivec even, ivec odd) {
    vec *y = place->y + channel / 2 * op->output_pitch + t * op->out_stride;
    *y = side_by_side(scaled(op, place, channel, even), scaled(op, place, channel + 1, odd));
}

INLINE void store_float(const Op *op, const Place *place, int64_t channel, int64_t t, ivec sum) {
    vec value = scaled(op, place, channel, sum);
    if (place->residual) value += place->residual[channel * op->second_pitch + t * op->out_stride];
    place->y[channel * op->output_pitch + t * op->out_stride] = value;
}

#define START_16(i) if (i < OB * TB) sum[i] = (ivec){0};
#define MULTIPLY_ADD_16(i) if (i < OB * TB) sum[i] += PAIRS(x[(i) % TB * stride], w[(i) / TB] - (ivec){0});
#define STORE_FLOAT(i) if (i < OB * TB) store_float(op, place, (i) / TB, t + (i) % TB, sum[i]);
#define STORE_PAIR(i)                                                                                       \
    if (i + TB < OB * TB && (i) / TB % 2 == 0)                                                              \
        store_pair(op, place, (i) / TB, t + (i) % TB, sum[i], sum[(i + TB) % 24]);

/* As conv_block; weights are [input pair][tap][output channel], biases are followed by the scales of the sums. */
INLINE void conv_16_block(const Op *op, const Place *place, int64_t t, const int OB, const int TB, int64_t stride) {
    ivec sum[24];
    EACH_SUM(START_16)
    const int32_t *w = (const int32_t *)place->weights;
    const ivec *pair = (const ivec *)place->x + t * stride;
    const int64_t taps = op->taps, dilation = op->dilation, pitch = op->input_pitch;
    for (int64_t c = 0; c < op->n_in; c++, pair += pitch) {
        const ivec *x = pair;
        for (int64_t k = 0; k < taps; k++, x += dilation, w += OB) {
            EACH_SUM(MULTIPLY_ADD_16)
        }
    }
    if (op->flag & TO_INTEGERS) {
        EACH_SUM(STORE_PAIR)
    } else {
        EACH_SUM(STORE_FLOAT)
    }
}

/* Eight sums, as twelve and their operands are one register too many; integer sums need no more in flight. */
CONV_STRIDES(conv_16_1, conv_16_block, 1, 8)
CONV_STRIDES(conv_16_2, conv_16_block, 2, 4)
CONV_STRIDES(conv_16_3, conv_16_block, 3, 3)
CONV_STRIDES(conv_16_4, conv_16_block, 4, 2)

static void conv_16(const Op *op, vec *arena, const float *numbers) {
    static const Range ranges[] = {conv_16_1, conv_16_2, conv_16_3, conv_16_4};
    conv_tiles(op, arena, numbers, ranges);
}

static void quantise(const Op *op, vec *arena, const float *numbers) {
    const float *inverse = numbers + op->weights;
    for (int64_t c = 0; c < op->n_in; c += 2) {
        const vec *even = arena + op->input + c * op->input_pitch, *odd = even + op->input_pitch;
        vec *y = arena + op->output + c / 2 * op->output_pitch;
        for (int64_t t = 0; t < op->n_samples; t++) y[t] = side_by_side(even[t] * inverse[c], odd[t] * inverse[c + 1]);
    }
}

/* Integers know no NaN: a window that holds one gets it into all its outputs here. */
static void spread_nan(const Op *op, vec *arena) {
    vec nan = {0};
    for (int64_t c = 0; c < op->n_in; c++)
        for (int64_t t = 0; t < op->n_samples; t++) nan += arena[op->input + c * op->input_pitch + t] * 0.0f;
    for (int64_t c = 0; c < op->n_out; c++)
        for (int64_t t = 0; t < op->n_samples; t++) arena[op->output + c * op->output_pitch + t] += nan;
}

#endif
