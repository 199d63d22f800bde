/*
 * Networks on one block of windows: an activation is [channel][sample][lane], one window per SIMD lane, so that every
 * operation is the scalar one on vectors and nothing is ever shuffled. Samples outside a window are zeros kept left and
 * right of each channel. Compiled once per instruction set with LANES and VARIANT set.
 */
#include "network.h"
#include "vector.h"
#include "windows.h"

/* Accumulators that the registers hold: 16 of AVX2 and SSE, 32 of AVX-512 and NEON, less those for operands. */
#if LANES == 16 || defined(__aarch64__)
#define ACCUMULATORS 24
#else
#define ACCUMULATORS 12
#endif
#define TILE_BYTES 16384
#define MAX_HIDDEN 128

typedef struct {
    const vec *x; /* first tap of the first output */
    const vec *residual;
    vec *y;
    const float *weights, *bias;
} Place;

/* OB output channels at TB samples in registers: each input vector serves OB, each broadcast weight TB multiply-adds.
 * The sums are written out one by one: GCC unrolls loops too late to keep them in registers from channel to channel. */
#define SUMS_4(DO, i) DO(i) DO(i + 1) DO(i + 2) DO(i + 3)
#define EACH_SUM(DO) SUMS_4(DO, 0) SUMS_4(DO, 4) SUMS_4(DO, 8) SUMS_4(DO, 12) SUMS_4(DO, 16) SUMS_4(DO, 20)
#define START(i) if (i < OB * TB) sum[i] = splat(place->bias[(i) / TB]);
#define MULTIPLY_ADD(i) if (i < OB * TB) sum[i] += x[(i) % TB * stride] * w[(i) / TB];
#define STORE(i) if (i < OB * TB) store(op, place, (i) / TB, t + (i) % TB, sum[i]);

INLINE void store(const Op *op, const Place *place, int64_t channel, int64_t t, vec value) {
    if (op->flag & RECTIFY) value = rectify(value);
    if (place->residual) value += place->residual[channel * op->second_pitch + t * op->out_stride];
    place->y[channel * op->output_pitch + t * op->out_stride] = value;
}

INLINE void conv_block(const Op *op, const Place *place, int64_t t, const int OB, const int TB, int64_t stride) {
    vec sum[24];
    EACH_SUM(START)
    const float *w = place->weights;
    const vec *channel = place->x + t * stride;
    const int64_t taps = op->taps, dilation = op->dilation, pitch = op->input_pitch;
    for (int64_t c = 0; c < op->n_in; c++, channel += pitch) {
        const vec *x = channel;
        for (int64_t k = 0; k < taps; k++, x += dilation, w += OB) {
            EACH_SUM(MULTIPLY_ADD)
        }
    }
    EACH_SUM(STORE)
}

/* A range of samples: as many as fit into registers at a time, the rest one by one. */
#define CONV_RANGE(BLOCK, OB, TB, STRIDE)                                                                   \
    {                                                                                                       \
        for (; t + TB <= end; t += TB) BLOCK(op, place, t, OB, TB, STRIDE);                                 \
        for (; t < end; t++) BLOCK(op, place, t, OB, 1, STRIDE);                                            \
    }

#define CONV_STRIDES(NAME, BLOCK, OB, TB)                                                                   \
    static void NAME(const Op *op, const Place *place, int64_t t, int64_t end) {                            \
        if (op->stride == 1)                                                                                \
            CONV_RANGE(BLOCK, OB, TB, 1)                                                                    \
        else if (op->stride == 4)                                                                           \
            CONV_RANGE(BLOCK, OB, TB, 4)                                                                    \
        else                                                                                                \
            CONV_RANGE(BLOCK, OB, TB, op->stride)                                                           \
    }
CONV_STRIDES(conv_1, conv_block, 1, ACCUMULATORS / 1)
CONV_STRIDES(conv_2, conv_block, 2, ACCUMULATORS / 2)
CONV_STRIDES(conv_3, conv_block, 3, ACCUMULATORS / 3)
CONV_STRIDES(conv_4, conv_block, 4, ACCUMULATORS / 4)

typedef void (*Range)(const Op *, const Place *, int64_t, int64_t);

static Place place_of(const Op *op, vec *arena, const float *numbers) {
    Place place = {
        arena + op->input + op->start,
        op->second < 0 ? 0 : arena + op->second + op->out_start,
        arena + op->output + op->out_start,
        numbers + op->weights,
        numbers + op->bias,
    };
    return place;
}

/* All output channels, four at a time, for a range of samples. */
static void conv_channels(const Op *op, const Place *place, const Range *ranges, int64_t t, int64_t end) {
    const int64_t channels_per_row = op->flag & TO_INTEGERS ? 2 : 1;
    for (int64_t o = 0; o < op->n_out; o += 4) {
        Place block = *place;
        block.weights += o * op->n_in * op->taps;
        block.bias += o;
        block.y += o / channels_per_row * op->output_pitch;
        if (block.residual) block.residual += o * op->second_pitch;
        ranges[op->n_out - o < 4 ? op->n_out - o - 1 : 3](op, &block, t, end);
    }
}

/* Samples in tiles whose input stays in the first-level cache while all output channels pass over it. */
static void conv_tiles(const Op *op, vec *arena, const float *numbers, const Range *ranges) {
    Place place = place_of(op, arena, numbers);
    int64_t tile = TILE_BYTES / (int64_t)sizeof(vec) / (op->n_in * op->stride);
    tile = tile < 2 * ACCUMULATORS ? 2 * ACCUMULATORS : tile - tile % ACCUMULATORS;
    for (int64_t t = 0; t < op->n_samples; t += tile)
        conv_channels(op, &place, ranges, t, t + tile < op->n_samples ? t + tile : op->n_samples);
}

static void conv(const Op *op, vec *arena, const float *numbers) {
    static const Range ranges[] = {conv_1, conv_2, conv_3, conv_4};
    conv_tiles(op, arena, numbers, ranges);
}

#if defined(__x86_64__)
#include "integers.h"
#endif

/* Each channel with its own taps. */
static void depthwise(const Op *op, vec *arena, const float *numbers) {
    Op one = *op;
    one.n_in = 1;
    for (int64_t c = 0; c < op->n_out; c++) {
        one.input = op->input + c * op->input_pitch;
        one.output = op->output + c * op->output_pitch;
        one.second = op->second < 0 ? -1 : op->second + c * op->second_pitch;
        one.weights = op->weights + c * op->taps;
        one.bias = op->bias + c;
        Place place = place_of(&one, arena, numbers);
        conv_1(&one, &place, 0, op->n_samples);
    }
}

/* The last group may be shorter: padding with minus infinity never wins. n_in is the number of input samples here. */
static void pool(const Op *op, vec *arena) {
    for (int64_t c = 0; c < op->n_out; c++) {
        const vec *x = arena + op->input + c * op->input_pitch;
        vec *y = arena + op->output + c * op->output_pitch;
        for (int64_t t = 0; t < op->n_samples; t++) {
            vec best = x[t * op->stride];
            for (int64_t k = 1; k < op->stride && t * op->stride + k < op->n_in; k++)
                best = larger(best, x[t * op->stride + k]);
            y[t] = best;
        }
    }
}

static void affine(const Op *op, vec *arena, const float *numbers) {
    for (int64_t c = 0; c < op->n_out; c++) {
        const vec *x = arena + op->input + c * op->input_pitch;
        vec *y = arena + op->output + c * op->output_pitch;
        float scale = numbers[op->weights + c], shift = numbers[op->bias + c];
        for (int64_t t = 0; t < op->n_samples; t++) {
            vec value = x[t] * scale + shift;
            y[t] = op->flag ? rectify(value) : value;
        }
    }
}

/* start + W h for a number of gates that eight divides, eight at a time; weights are [block of 8][hidden][8]. */
INLINE void state_gates(int64_t n_gates, const vec *start, int64_t pitch, const float *w, const vec *hidden,
                        int64_t n_hidden, vec *gates) {
    for (int64_t g = 0; g < n_gates; g += 8) {
        vec sum[8];
#pragma GCC unroll 8
        for (int o = 0; o < 8; o++) sum[o] = start[(g + o) * pitch];
        for (int64_t j = 0; j < n_hidden; j++, w += 8)
#pragma GCC unroll 8
            for (int o = 0; o < 8; o++) sum[o] += hidden[j] * w[o];
#pragma GCC unroll 8
        for (int o = 0; o < 8; o++) gates[g + o] = sum[o];
    }
}

/* Gates in torch's order: input, forget, cell, output. */
static void lstm(const Op *op, vec *arena, const float *numbers) {
    vec hidden[MAX_HIDDEN], cell[MAX_HIDDEN], gates[4 * MAX_HIDDEN];
    const int64_t n = op->n_out;
    for (int64_t j = 0; j < n; j++) hidden[j] = cell[j] = (vec){0};
    for (int64_t step = 0; step < op->n_samples; step++) {
        int64_t t = op->flag & 1 ? op->n_samples - 1 - step : step;
        state_gates(4 * n, arena + op->input + t, op->input_pitch, numbers + op->weights, hidden, n, gates);
        vec *y = arena + op->output + t;
        if (op->flag & 2)
            for (int64_t j = 0; j < 2 * n; j++) gates[j] = hard_sigmoid(gates[j]);
        else
            for (int64_t j = 0; j < 2 * n; j++) gates[j] = sigmoid(gates[j]);
        for (int64_t j = 0; j < n; j++) {
            vec out = op->flag & 2 ? hard_sigmoid(gates[3 * n + j]) : sigmoid(gates[3 * n + j]);
            cell[j] = gates[n + j] * cell[j] + gates[j] * hyperbolic_tangent(gates[2 * n + j]);
            hidden[j] = out * hyperbolic_tangent(cell[j]);
            y[j * op->output_pitch] = hidden[j];
        }
    }
}

/* Gates in torch's order: reset, update, new. The state's share of the last has a bias of its own, as it is reset with
 * it; rows of zeros fill the weights up to a multiple of eight gates. */
static void gru(const Op *op, vec *arena, const float *numbers) {
    vec hidden[MAX_HIDDEN], start[3 * MAX_HIDDEN + 8], gates[3 * MAX_HIDDEN + 8];
    const int64_t n = op->n_out, n_gates = (3 * n + 7) / 8 * 8, pitch = op->input_pitch;
    for (int64_t j = 0; j < n; j++) hidden[j] = (vec){0};
    for (int64_t g = 0; g < n_gates; g++)
        start[g] = splat(g >= 2 * n && g < 3 * n ? numbers[op->bias + g - 2 * n] : 0.0f);
    for (int64_t step = 0; step < op->n_samples; step++) {
        int64_t t = op->flag & 1 ? op->n_samples - 1 - step : step;
        state_gates(n_gates, start, 1, numbers + op->weights, hidden, n, gates);
        const vec *x = arena + op->input + t;
        vec *y = arena + op->output + t;
        for (int64_t j = 0; j < n; j++) {
            vec reset = sigmoid(x[j * pitch] + gates[j]);
            vec update = sigmoid(x[(n + j) * pitch] + gates[n + j]);
            vec new = hyperbolic_tangent(x[(2 * n + j) * pitch] + reset * gates[2 * n + j]);
            hidden[j] = new + update * (hidden[j] - new);
            y[j * op->output_pitch] = hidden[j];
        }
    }
}

/* One row of energies, sum of w tanh(q + k), from the exponentials a = exp(2q) and b = exp(2k): tanh(q + k) is
 * 1 - 2 / (1 + a b), and two units share one division. */
static void energies_from_exponentials(const Op *op, const vec *a, const vec *b, const float *w, vec *row) {
    for (int64_t j = 0; j < op->n_samples; j++, b += op->taps) {
        vec sum = {0};
        for (int64_t u = 0; u < op->taps; u += 2) {
            vec one = 1.0f + a[u] * b[u], two = 1.0f + a[u + 1] * b[u + 1];
            sum += (w[u] * two + w[u + 1] * one) / (one * two);
        }
        row[j] = w[op->taps] - 2.0f * sum;
    }
}

/* The same where exponentials would overflow. */
static void energies_from_sums(const Op *op, const vec *q, const vec *k, const float *w, vec *row) {
    for (int64_t j = 0; j < op->n_samples; j++, k += op->taps) {
        vec sum = splat(w[op->taps + 1]);
        for (int64_t u = 0; u < op->taps; u++) sum += w[u] * hyperbolic_tangent(q[u] + k[u]);
        row[j] = sum;
    }
}

/* Units next to one another: queries, then keys. Returns whether all are small enough for exponentials. */
static int attention_operands(const Op *op, const vec *projections, vec *scratch) {
    ivec large = {0};
    for (int64_t half = 0; half < 2; half++)
        for (int64_t u = 0; u < op->taps; u++)
            for (int64_t t = 0; t < op->n_samples; t++) {
                vec value = projections[(half * op->taps + u) * op->second_pitch + t];
                large |= absolute(value) > 10.0f; /* exp(40) squared is still a float32 */
                scratch[(half * op->n_samples + t) * op->taps + u] = value;
            }
    int any = 0;
    for (int lane = 0; lane < LANES; lane++) any |= large[lane];
    if (!any)
        for (int64_t i = 0; i < 2 * op->n_samples * op->taps; i++) scratch[i] = exponential(2.0f * scratch[i]);
    return !any;
}

/* Softmax of a row over the samples that the width allows; the maximum is that of the whole row. */
INLINE void attention_weights(const Op *op, vec *row, int64_t first, int64_t last) {
    vec top = row[0], sum = {0};
    for (int64_t j = 1; j < op->n_samples; j++) top = larger(top, row[j]);
    for (int64_t j = first; j < last; j++) {
        row[j] = exponential(row[j] - top);
        sum += row[j];
    }
    vec scale = 1.0f / (sum + (float)op->epsilon);
    for (int64_t j = first; j < last; j++) row[j] *= scale;
}

/* Additive attention of x (input) with its projections (second). */
static void attention(const Op *op, vec *arena, const float *numbers) {
    const vec *x = arena + op->input;
    vec *scratch = arena + op->scratch, *row = scratch + 2 * op->n_samples * op->taps;
    const float *w = numbers + op->weights;
    int small = attention_operands(op, arena + op->second, scratch);
    const vec *keys = scratch + op->n_samples * op->taps;
    for (int64_t i = 0; i < op->n_samples; i++) {
        (small ? energies_from_exponentials : energies_from_sums)(op, scratch + i * op->taps, keys, w, row);
        int64_t first = op->flag ? i + op->flag / 2 - op->flag + 1 : 0;
        int64_t last = op->flag ? i + op->flag / 2 + 1 : op->n_samples;
        first = first < 0 ? 0 : first;
        last = last > op->n_samples ? op->n_samples : last;
        attention_weights(op, row, first, last);
        for (int64_t c = 0; c < op->n_out; c++) {
            vec sum = {0};
            for (int64_t j = first; j < last; j++) sum += row[j] * x[c * op->input_pitch + j];
            arena[op->output + c * op->output_pitch + i] = sum;
        }
    }
}

static void layernorm(const Op *op, vec *arena, const float *numbers) {
    const float *gamma = numbers + op->weights, *beta = numbers + op->bias;
    for (int64_t t = 0; t < op->n_samples; t++) {
        const vec *x = arena + op->input + t, *second = arena + op->second + t;
        vec *y = arena + op->output + t;
        vec mean = {0}, variance = {0};
        for (int64_t c = 0; c < op->n_out; c++) {
            y[c * op->output_pitch] = x[c * op->input_pitch] + second[c * op->second_pitch];
            mean += y[c * op->output_pitch];
        }
        mean /= (float)op->n_out;
        for (int64_t c = 0; c < op->n_out; c++) {
            vec centred = y[c * op->output_pitch] - mean;
            variance += centred * centred;
        }
        vec deviation = square_root(variance / (float)op->n_out + (float)op->epsilon);
        for (int64_t c = 0; c < op->n_out; c++) {
            vec *value = y + c * op->output_pitch;
            *value = (*value - mean) / deviation * gamma[c] + beta[c];
        }
    }
}

static void softmax(const Op *op, vec *arena) {
    for (int64_t t = 0; t < op->n_samples; t++) {
        vec *x = arena + op->output + t;
        vec top = x[0], sum = {0};
        for (int64_t c = 1; c < op->n_out; c++) top = larger(top, x[c * op->output_pitch]);
        for (int64_t c = 0; c < op->n_out; c++) {
            vec *value = x + c * op->output_pitch;
            *value = exponential(*value - top);
            sum += *value;
        }
        vec scale = 1.0f / sum;
        for (int64_t c = 0; c < op->n_out; c++) x[c * op->output_pitch] *= scale;
    }
}

static void sigmoids(const Op *op, vec *arena) {
    for (int64_t c = 0; c < op->n_out; c++) {
        vec *x = arena + op->output + c * op->output_pitch;
        for (int64_t t = 0; t < op->n_samples; t++) x[t] = sigmoid(x[t]);
    }
}

/* Mean of f(x) over samples, in short sums of which the sum is taken: long ones lose digits. */
#define MEAN_OF(f)                                                                                          \
    vec mean = {0};                                                                                         \
    for (int64_t t0 = 0; t0 < op->n_samples; t0 += 64) {                                                    \
        vec sum = {0};                                                                                      \
        for (int64_t t = t0; t < t0 + 64 && t < op->n_samples; t++) sum += f(x[t]);                         \
        mean += sum;                                                                                        \
    }                                                                                                       \
    mean /= (float)op->n_samples;

/* A component of zeros has no scale: it is divided by one. */
INLINE vec or_one(vec scale) { return where(scale > 0.0f, scale, splat(1.0f)); }

static void unit_peak(const Op *op, vec *arena) {
    for (int64_t c = 0; c < op->n_out; c++) {
        vec *x = arena + op->output + c * op->output_pitch;
        vec first = x[0], peak = {0};
        /* Raw counts can sit on an offset a million times their noise: without it, the mean has all its digits. */
        for (int64_t t = 0; t < op->n_samples; t++) x[t] -= first;
        MEAN_OF()
        for (int64_t t = 0; t < op->n_samples; t++) peak = larger(absolute(x[t] -= mean), peak);
        peak = or_one(peak);
        for (int64_t t = 0; t < op->n_samples; t++) x[t] /= peak;
        for (int64_t t = 1; t <= op->taps; t++) x[-t] = x[0];
    }
}

INLINE vec root_of_size(vec x) { return square_root(absolute(x)); }

static void compress(const Op *op, vec *arena) {
    for (int64_t c = 0; c < op->n_out; c++) {
        vec *x = arena + op->output + c * op->output_pitch;
        MEAN_OF(root_of_size)
        vec scale = or_one(mean * mean);
        for (int64_t t = 0; t < op->n_samples; t++) {
            ivec sign = (ivec)x[t] & INT32_MIN;
            x[t] = (vec)((ivec)log_one_plus(absolute(x[t]) / scale) | sign);
        }
    }
}

/* All operations for one block of windows, then the next block: activations never leave the caches. */
void VARIANT(const Op *ops, int64_t n_ops, const float *numbers, float *memory, const Job *job) {
    vec *arena = (vec *)memory;
    for (int64_t first = 0; first < job->n_windows; first += LANES)
        for (const Op *op = ops; op < ops + n_ops; op++) switch (op->kind) {
            case OP_PACK: pack(op, arena, job, first); break;
            case OP_UNPACK: unpack(op, arena, job, first); break;
            case OP_CONV: conv(op, arena, numbers); break;
            case OP_DEPTHWISE: depthwise(op, arena, numbers); break;
            case OP_POOL: pool(op, arena); break;
            case OP_AFFINE: affine(op, arena, numbers); break;
            case OP_LSTM: lstm(op, arena, numbers); break;
            case OP_GRU: gru(op, arena, numbers); break;
            case OP_ATTENTION: attention(op, arena, numbers); break;
            case OP_LAYERNORM: layernorm(op, arena, numbers); break;
            case OP_SOFTMAX: softmax(op, arena); break;
            case OP_SIGMOID: sigmoids(op, arena); break;
            case OP_UNIT_PEAK: unit_peak(op, arena); break;
            case OP_COMPRESS: compress(op, arena); break;
#if defined(__x86_64__)
            case OP_CONV_16: conv_16(op, arena, numbers); break;
            case OP_QUANTISE: quantise(op, arena, numbers); break;
            case OP_SPREAD_NAN: spread_nan(op, arena); break;
#endif
        }
}
