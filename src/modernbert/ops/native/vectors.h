// Vectors of W floats in the compiler's own vector types: one source for AVX2, AVX-512, NEON and everything else.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__) && !defined(MODERNBERT_WIDTH)
#define MODERNBERT_WIDTH 16
#elif defined(__AVX__) && !defined(MODERNBERT_WIDTH)
#define MODERNBERT_WIDTH 8
#elif !defined(MODERNBERT_WIDTH)
#define MODERNBERT_WIDTH 4
#endif

namespace modernbert {

// Whether the processor multiplies matrix tiles, or plain loops stand in for that; see tiles.h.
#if defined(__AMX_TILE__) || defined(MODERNBERT_TILES)
constexpr bool HAS_TILES = true;
#else
constexpr bool HAS_TILES = false;
#endif

constexpr int W = MODERNBERT_WIDTH;
typedef float V __attribute__((vector_size(W * 4)));
typedef int32_t I __attribute__((vector_size(W * 4)));

// A panel is NV vectors wide, a tile ROWS rows high: the accumulators fill the registers and leave a few for operands.
#if MODERNBERT_WIDTH == 16
constexpr int ROWS = 12, NV = 2;
#elif MODERNBERT_WIDTH == 8
constexpr int ROWS = 6, NV = 2;
#elif defined(__aarch64__)
constexpr int ROWS = 6, NV = 4;
#else
constexpr int ROWS = 6, NV = 2;
#endif
constexpr int PANEL = NV * W;  // columns of a panel, and keys of a block of keys

#define INLINE inline __attribute__((always_inline))

INLINE V load(const float* from) { V x; std::memcpy(&x, from, sizeof x); return x; }
INLINE void store(float* to, V x) { std::memcpy(to, &x, sizeof x); }
INLINE V all(float x) { return x - V{}; }
INLINE I all_bits(int32_t x) { return x - I{}; }
INLINE V as_floats(I x) { V y; std::memcpy(&y, &x, sizeof y); return y; }
INLINE I as_bits(V x) { I y; std::memcpy(&y, &x, sizeof y); return y; }
INLINE V larger(V a, V b) { return a > b ? a : b; }
INLINE V absolute(V x) { return as_floats(as_bits(x) & 0x7fffffff); }

INLINE float sum(V x) {
    float total = 0;
#pragma GCC unroll 16
    for (int i = 0; i < W; i++) total += x[i];
    return total;
}

INLINE float largest(V x) {
    float most = x[0];
#pragma GCC unroll 16
    for (int i = 1; i < W; i++) most = x[i] > most ? x[i] : most;
    return most;
}

// 2^x, to 2 units in the last place; 0 below 2^-126, so that minus infinity is 0.
INLINE V exp2(V x) {
    const V magic = all(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
    V clipped = larger(x, all(-127.0f));
    V shifted = clipped + magic;
    V f = clipped - (shifted - magic);  // -0.5 .. 0.5
    V p = all(1.5403530394e-4f);        // (ln 2)^n / n!, n = 6 .. 0
    p = p * f + 1.3333558146e-3f;
    p = p * f + 9.6181291076e-3f;
    p = p * f + 5.5504108665e-2f;
    p = p * f + 2.4022650696e-1f;
    p = p * f + 6.9314718056e-1f;
    p = p * f + 1.0f;
    V raised = as_floats(as_bits(p) + (as_bits(shifted) << 23));
    return as_floats(as_bits(raised) & (x > all(-126.0f)));
}

}  // namespace modernbert
