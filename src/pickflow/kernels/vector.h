/* One SIMD register of windows, and the elementary functions that networks need on it. NaN in gives NaN out. */
#ifndef PICKFLOW_VECTOR_H
#define PICKFLOW_VECTOR_H

#include <stdint.h>
#include <string.h>

/* They lie in buffers of float, of int32_t and of 16-bit integers. */
typedef float vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vec splat(float value) { return value - (vec){0}; }

INLINE vec where(ivec mask, vec yes, vec no) { return (vec)((mask & (ivec)yes) | (~mask & (ivec)no)); }

/* Comparisons with NaN are false, so these let NaN through, as torch does. */
INLINE vec rectify(vec x) { return (vec)((ivec)x & ~(x < 0.0f)); }

INLINE vec at_most(vec x, float limit) { return where(x > limit, splat(limit), x); }

INLINE vec at_least(vec x, float limit) { return where(x < limit, splat(limit), x); }

INLINE vec larger(vec a, vec b) { return where((a > b) | (a != a), a, b); }

INLINE vec absolute(vec x) { return (vec)((ivec)x & 0x7fffffff); }

INLINE vec square_root(vec x) {
    for (int lane = 0; lane < LANES; lane++) x[lane] = __builtin_sqrtf(x[lane]);
    return x;
}

/* exp(x) to 1.5 units in the last place (Cephes' polynomial); arguments are clamped to the normal numbers. */
INLINE vec exponential(vec x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer held in the low bits */
    x = at_least(at_most(x, 88.3f), -87.3f);
    vec shifted = x * 1.44269504f + magic;
    vec n = shifted - magic;
    vec r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    ivec power = (((ivec)shifted - 0x4b400000) + 127) << 23;
    return p * (vec)power;
}

INLINE vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }

/* Absolute error 1e-7; the relative error near zero does not matter to the sums it goes into. */
INLINE vec hyperbolic_tangent(vec x) { return 1.0f - 2.0f / (1.0f + exponential(2.0f * x)); }

/* Keras' piecewise linear sigmoid. */
INLINE vec hard_sigmoid(vec x) { return at_most(rectify(x * 0.2f + 0.5f), 1.0f); }

/* log(1 + x) for x >= 0: Cephes' logf of the rounded sum, and what the rounding lost. */
INLINE vec log_one_plus(vec x) {
    vec u = 1.0f + x;
    vec lost = (x - (u - 1.0f)) / u;
    /* Mantissa into [sqrt(1/2), sqrt(2)): the offset moves the cut between two exponents to sqrt(2). */
    ivec bits = (ivec)u - 0x3f3504f3;
    ivec exponent = bits >> 23;
    vec m = (vec)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f;
    vec e = (vec)(exponent + 0x4b400000) - 12582912.0f; /* to float32, as in exponential() */
    vec p = m * 7.0376836292e-2f - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    vec z = m * m;
    vec y = p * m * z + e * -2.12194440e-4f - 0.5f * z;
    return m + y + e * 0.693359375f + lost;
}

#endif
