/* The widest variant that this processor can run; a library built on one node of a cluster runs on any other. */
#include <stddef.h>
#include <string.h>

#include "network.h"

typedef void Variant(const Op *, int64_t, const float *, float *, const Job *);

Variant run_4;
#if defined(__x86_64__)
Variant run_8, run_16;
#endif

int64_t pickflow_widest(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return 16;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 8;
#endif
    return 4;
}

int64_t pickflow_has_integers(void) {
#if defined(__x86_64__)
    return 1;
#else
    return 0;
#endif
}

int64_t pickflow_run(int64_t lanes, const Op *ops, int64_t n_ops, const float *numbers, float *memory, const Job *job) {
    Variant *variant = lanes == 4 ? run_4 : 0;
#if defined(__x86_64__)
    if (lanes == 8) variant = run_8;
    if (lanes == 16) variant = run_16;
#endif
    if (!variant || lanes > pickflow_widest()) return -1;
    variant(ops, n_ops, numbers, memory, job);
    return 0;
}

#define FIELD(type, name) {#type "." #name, offsetof(type, name)}

/* What the caller must know as this library does: layouts in bytes, and numbers. */
static const struct {
    const char *name;
    int64_t number;
} facts[] = {
    {"Op", sizeof(Op)}, FIELD(Op, kind), FIELD(Op, input), FIELD(Op, input_pitch), FIELD(Op, second),
    FIELD(Op, second_pitch), FIELD(Op, output), FIELD(Op, output_pitch), FIELD(Op, n_in), FIELD(Op, n_out),
    FIELD(Op, n_samples), FIELD(Op, taps), FIELD(Op, dilation), FIELD(Op, start), FIELD(Op, stride),
    FIELD(Op, out_start), FIELD(Op, out_stride), FIELD(Op, weights), FIELD(Op, bias), FIELD(Op, scratch),
    FIELD(Op, flag), FIELD(Op, epsilon),
    {"Job", sizeof(Job)}, FIELD(Job, windows), FIELD(Job, samples), FIELD(Job, type), FIELD(Job, n_windows),
    FIELD(Job, scale), FIELD(Job, detrend), FIELD(Job, taper), FIELD(Job, n_taper), FIELD(Job, outputs),
    {"pack", OP_PACK}, {"unpack", OP_UNPACK}, {"conv", OP_CONV}, {"depthwise", OP_DEPTHWISE}, {"pool", OP_POOL},
    {"affine", OP_AFFINE}, {"lstm", OP_LSTM}, {"attention", OP_ATTENTION}, {"layernorm", OP_LAYERNORM},
    {"softmax", OP_SOFTMAX}, {"sigmoid", OP_SIGMOID}, {"unit_peak", OP_UNIT_PEAK}, {"compress", OP_COMPRESS},
    {"conv_16", OP_CONV_16}, {"quantise", OP_QUANTISE}, {"spread_nan", OP_SPREAD_NAN}, {"gru", OP_GRU},
    {"unscaled", UNSCALED}, {"deviation", DEVIATION}, {"common_deviation", COMMON_DEVIATION}, {"peak", PEAK},
    {"common_peak", COMMON_PEAK}, {"rectify", RECTIFY}, {"to_integers", TO_INTEGERS},
    {"quantum_limit", (int64_t)QUANTUM_LIMIT}, {"max_components", MAX_COMPONENTS},
};

/* The number of a name; -1 if it is unknown here. */
int64_t pickflow_fact(const char *name) {
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strcmp(facts[i].name, name) == 0) return facts[i].number;
    return -1;
}
