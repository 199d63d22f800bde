/* Windows into the lanes of a block, and outputs out of them. */
#ifndef PICKFLOW_WINDOWS_H
#define PICKFLOW_WINDOWS_H

#include "network.h"
#include "vector.h"

/* Windows side by side; lanes that have no window get zeros. Small tiles keep all lanes' cache lines at hand. */
static void pack_windows(const Op *op, vec *arena, const Job *job, int64_t first) {
    for (int64_t c = 0; c < op->n_out; c++) {
        float *y = (float *)(arena + op->output + c * op->output_pitch);
        for (int64_t t0 = 0; t0 < op->n_samples; t0 += 64) {
            int64_t end = t0 + 64 < op->n_samples ? t0 + 64 : op->n_samples;
            for (int64_t lane = 0; lane < LANES; lane++) {
                const float *x = job->windows + ((first + lane) * op->n_out + c) * op->n_samples;
                if (first + lane < job->n_windows)
                    for (int64_t t = t0; t < end; t++) y[t * LANES + lane] = x[t];
                else
                    for (int64_t t = t0; t < end; t++) y[t * LANES + lane] = 0.0f;
            }
        }
    }
}

/* One component of one window. */
typedef struct {
    const void *samples;
    double mean, slope; /* slope: per half window */
    double lowest, highest, squares;
    float peak;
} Component;

/* Mean and extremes, the slope of a linear fit, and the copy into a lane, for one type of samples. Sums are in double
 * and in four parts, which the processor adds at the same time; NaN passes through them all. */
#define FOR_TYPE(NAME, TYPE)                                                                                \
    static void measure_##NAME(Component *component, int64_t n, int detrend) {                              \
        const TYPE *x = component->samples;                                                                 \
        double sums[4] = {0};                                                                               \
        TYPE lowest = x[0], highest = x[0];                                                                 \
        for (int64_t t = 0; t < n; t++) {                                                                   \
            sums[t & 3] += x[t];                                                                            \
            lowest = x[t] < lowest ? x[t] : lowest;                                                         \
            highest = x[t] > highest ? x[t] : highest;                                                      \
        }                                                                                                   \
        component->mean = (sums[0] + sums[1] + sums[2] + sums[3]) / n;                                      \
        component->lowest = lowest, component->highest = highest;                                           \
        double along = 0.0, across = 0.0;                                                                   \
        for (int64_t t = 0; detrend && t < n; t++) {                                                        \
            double position = 2.0 * t / (n - 1) - 1.0;                                                      \
            along += position * (x[t] - component->mean);                                                   \
            across += position * position;                                                                  \
        }                                                                                                   \
        component->slope = detrend ? along / across : 0.0;                                                  \
    }                                                                                                       \
    static void copy_##NAME(Component *component, int64_t n, double factor, float *y) {                     \
        const TYPE *x = component->samples;                                                                 \
        const double step = 2.0 / (n - 1) * component->slope, base = component->mean - component->slope;    \
        double squares[4] = {0};                                                                            \
        float largest = 0.0f;                                                                               \
        for (int64_t t = 0; t < n; t++) {                                                                   \
            float value = (float)((x[t] - base - step * t) * factor), size = __builtin_fabsf(value);        \
            y[t * LANES] = value;                                                                           \
            squares[t & 3] += (double)value * value;                                                        \
            largest = size > largest ? size : largest;                                                      \
        }                                                                                                   \
        component->peak = largest;                                                                          \
        component->squares = squares[0] + squares[1] + squares[2] + squares[3];                             \
    }
FOR_TYPE(float32, float)
FOR_TYPE(float64, double)
FOR_TYPE(int32, int32_t)

static void (*const measures[])(Component *, int64_t, int) = {measure_float32, measure_float64, measure_int32};
static void (*const copies[])(Component *, int64_t, double, float *) = {copy_float32, copy_float64, copy_int32};

/* The power of two that brings a window's largest sample to [1/2, 1): SeisBench divides by a scale plus 1e-10, which
 * must be small whatever the unit is. */
static double unit_factor(const Component *components, int64_t n_components) {
    double peak = 0.0;
    int exponent = 0;
    for (int64_t c = 0; c < n_components; c++) {
        double above = components[c].highest - components[c].mean, below = components[c].mean - components[c].lowest;
        peak = above > peak ? above : peak;
        peak = below > peak ? below : peak;
    }
    if (peak > 0.0 && peak < 1e300) __builtin_frexp(peak, &exponent);
    return __builtin_ldexp(1.0, -exponent);
}

/* Divisor of each component of one lane. */
static void divisors(const Component *components, const Op *op, const Job *job, int64_t lane, vec *scales) {
    double all_squares = 0.0;
    float all_peak = 0.0f;
    for (int64_t c = 0; c < op->n_out; c++) {
        all_squares += components[c].squares;
        all_peak = components[c].peak > all_peak ? components[c].peak : all_peak;
    }
    for (int64_t c = 0; c < op->n_out; c++) {
        double scale = 1.0;
        if (job->scale == DEVIATION) scale = __builtin_sqrt(components[c].squares / (op->n_samples - 1));
        if (job->scale == COMMON_DEVIATION) scale = __builtin_sqrt(all_squares / (op->n_out * op->n_samples - 1));
        if (job->scale == PEAK) scale = components[c].peak;
        if (job->scale == COMMON_PEAK) scale = all_peak;
        scales[c][lane] = (float)(scale + (job->scale == UNSCALED ? 0.0 : 1e-10));
    }
}

/* One window into one lane; components that are missing, and lanes without a window, are zeros. */
static void gather(const Op *op, vec *arena, const Job *job, int64_t window, int64_t lane, vec *scales) {
    Component components[MAX_COMPONENTS] = {0};
    const int64_t n = op->n_samples;
    for (int64_t c = 0; c < op->n_out && window < job->n_windows; c++) {
        components[c].samples = job->samples[window * op->n_out + c];
        if (components[c].samples) measures[job->type](&components[c], n, job->detrend);
    }
    const double factor = unit_factor(components, op->n_out);
    for (int64_t c = 0; c < op->n_out; c++) {
        float *y = (float *)(arena + op->output + c * op->output_pitch) + lane;
        if (components[c].samples)
            copies[job->type](&components[c], n, factor, y);
        else
            for (int64_t t = 0; t < n; t++) y[t * LANES] = 0.0f;
    }
    divisors(components, op, job, lane, scales);
}

/* Pieces of records, normalised as SeisBench does before its models. */
static void pack_records(const Op *op, vec *arena, const Job *job, int64_t first) {
    vec scales[MAX_COMPONENTS];
    for (int64_t lane = 0; lane < LANES; lane++) gather(op, arena, job, first + lane, lane, scales);
    for (int64_t c = 0; c < op->n_out; c++) {
        vec *y = arena + op->output + c * op->output_pitch;
        vec inverse = 1.0f / scales[c];
        for (int64_t t = 0; t < op->n_samples; t++) y[t] *= inverse;
        for (int64_t t = 0; t < job->n_taper; t++) {
            y[t] *= job->taper[t];
            y[op->n_samples - 1 - t] *= job->taper[t];
        }
    }
}

static void pack(const Op *op, vec *arena, const Job *job, int64_t first) {
    if (job->windows)
        pack_windows(op, arena, job, first);
    else
        pack_records(op, arena, job, first);
}

static void unpack(const Op *op, const vec *arena, const Job *job, int64_t first) {
    int64_t n_lanes = job->n_windows - first < LANES ? job->n_windows - first : LANES;
    for (int64_t c = 0; c < op->n_out; c++) {
        const float *x = (const float *)(arena + op->input + c * op->input_pitch);
        for (int64_t t0 = 0; t0 < op->n_samples; t0 += 64) {
            int64_t end = t0 + 64 < op->n_samples ? t0 + 64 : op->n_samples;
            for (int64_t lane = 0; lane < n_lanes; lane++) {
                float *y = job->outputs + ((first + lane) * op->n_out + c) * op->n_samples;
                for (int64_t t = t0; t < end; t++) y[t] = x[t * LANES + lane];
            }
        }
    }
}

#endif
