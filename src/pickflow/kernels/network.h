/* What Python and C agree on: the table of operations and where windows come from. */
#ifndef PICKFLOW_NETWORK_H
#define PICKFLOW_NETWORK_H

#include <stdint.h>

enum {
    OP_PACK,      /* windows of the block -> buffer */
    OP_UNPACK,    /* buffer -> outputs of the block */
    OP_CONV,      /* convolution, any stride and dilation, plus bias, rectifier, residual */
    OP_DEPTHWISE, /* the same for each channel on its own */
    OP_POOL,      /* maximum of `stride` neighbours */
    OP_AFFINE,    /* scale and shift per channel, rectifier */
    OP_LSTM,      /* recurrence over time; the input's projection is a convolution before it */
    OP_ATTENTION, /* additive self-attention */
    OP_LAYERNORM, /* normalisation over channels of the sum of two buffers */
    OP_SOFTMAX,   /* over channels, in place */
    OP_SIGMOID,   /* in place */
    OP_UNIT_PEAK, /* remove the mean and divide by the peak, in place; the first sample fills the left margin */
    OP_COMPRESS,  /* divide by the squared mean root, signed log1p, in place */
    OP_CONV_16,   /* convolution of 16-bit integers into integers or float32 */
    OP_QUANTISE,  /* float32 to 16-bit integers */
    OP_SPREAD_NAN, /* NaN into the outputs of windows that hold one */
    OP_GRU,        /* as LSTM */
};

/* What pieces of records are divided by, after their mean was taken away. */
enum { UNSCALED, DEVIATION, COMMON_DEVIATION, PEAK, COMMON_PEAK };

/* Flags of convolutions. */
enum { RECTIFY = 1, TO_INTEGERS = 2 };

/* Of windows. */
#define MAX_COMPONENTS 16

/* Largest 16-bit activation. */
#define QUANTUM_LIMIT 32767.0f

/* Offsets of buffers count vectors from the arena's start to (channel 0, sample 0); offsets of numbers count floats. */
typedef struct {
    int64_t kind;
    int64_t input, input_pitch;   /* pitch: vectors from one channel to the next */
    int64_t second, second_pitch; /* residual or other second operand; offset -1: none */
    int64_t output, output_pitch;
    int64_t n_in, n_out; /* channels */
    int64_t n_samples;   /* number of output samples */
    int64_t taps, dilation;
    int64_t start, stride;         /* input sample of the first tap of the first output; step per output */
    int64_t out_start, out_stride; /* where outputs go */
    int64_t weights, bias;
    int64_t scratch; /* ATTENTION: a buffer for queries, keys and a row */
    int64_t flag; /* CONV, AFFINE: RECTIFY, TO_INTEGERS; LSTM, GRU: 1 backward, LSTM: 2 hard sigmoid; ATTENTION: width, 0 all */
    double epsilon;
} Op;

/* Where a block's windows come from: an array of windows, or pieces of records. */
typedef struct {
    const float *windows;       /* (n_windows, n_components, n_samples), or NULL */
    const void *const *samples; /* (n_windows, n_components): first samples of each window, NULL for zeros */
    int64_t type;               /* of the samples: 0 float32, 1 float64, 2 int32 */
    int64_t n_windows;
    int64_t scale;      /* UNSCALED to COMMON_PEAK */
    int64_t detrend;    /* take away a linear fit, too */
    const float *taper; /* factors of the first samples, and mirrored of the last */
    int64_t n_taper;
    float *outputs; /* (n_windows, n_labels, n_samples) */
} Job;

#endif
