/* The widest variant that this processor can run; a library built on one node of a cluster runs on any other. */
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
