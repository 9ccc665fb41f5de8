// In which numbers a matrix product is done: what a row and a weight are stored as, and how their products are summed.
#pragma once
#include <cmath>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "vectors.h"

namespace modernbert {

// Two neighbours of 16 bits, in every lane.
INLINE I all_pairs(const void* from) {
    int32_t pair;
    std::memcpy(&pair, from, sizeof pair);
    return all_bits(pair);
}

// Both in float32.
struct Exact {
    typedef float Row;
    typedef float Weight;
    typedef V Sum;
    static constexpr int STEP = 1;  // numbers of a row that one operation takes

    static INLINE V column(const float* from) { return load(from); }
    static INLINE V value(const float* from) { return all(*from); }
    static INLINE V plus(V sum, V value, V column) { return sum + value * column; }
};

// Weights of 8 bits with a scale for each column, rows of up to 16 bits with a scale each: sums of 32 bits never overflow, so
// rounding is all that is lost, and nearly all of it in the weights. A processor without 8-bit dot products (VNNI) multiplies
// pairs of 16 bits as fast as it multiplies 8, and at twice the rate of float32.
struct Whole {
    typedef int16_t Row;
    typedef int8_t Weight;
    typedef I Sum;
    static constexpr int STEP = HAS_TILES ? 4 : 2;
    static constexpr float MOST_WEIGHT = 127;

    static float most(long depth) { return std::fmin(32767.0f, std::floor(2147483647.0f / MOST_WEIGHT / depth)); }

    // 2 W numbers, widened to pairs of 16 bits.
    static INLINE I column(const int8_t* from) {
#if defined(__AVX512BW__) && MODERNBERT_WIDTH == 16
        return (I)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i*)from));
#elif defined(__AVX2__) && MODERNBERT_WIDTH == 8
        return (I)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i*)from));
#else
        I pairs;
        for (int i = 0; i < W; i++) pairs[i] = (uint16_t)(int16_t)from[2 * i] | (uint32_t)(uint16_t)(int16_t)from[2 * i + 1] << 16;
        return pairs;
#endif
    }
    static INLINE I value(const int16_t* from) { return all_pairs(from); }
    static INLINE I plus(I sum, I value, I column) {
#if defined(__AVX512VNNI__) && MODERNBERT_WIDTH == 16
        return (I)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)value, (__m512i)column);
#elif defined(__AVX512BW__) && MODERNBERT_WIDTH == 16
        return sum + (I)_mm512_madd_epi16((__m512i)value, (__m512i)column);
#elif defined(__AVX2__) && MODERNBERT_WIDTH == 8
        return sum + (I)_mm256_madd_epi16((__m256i)value, (__m256i)column);
#else
        return sum + (value << 16 >> 16) * (column << 16 >> 16) + (value >> 16) * (column >> 16);
#endif
    }

    // A row in whole numbers; returns what one of them is worth. For tiles, which multiply bytes, its upper halves come first.
    static INLINE float round(const float* from, long depth, int16_t* to) {
        V high{};
        for (long i = 0; i < depth; i += W) high = larger(high, absolute(load(from + i)));
        const float largest_value = largest(high), limit = most(depth);
        const V factor = all(largest_value > 0 ? limit / largest_value : 0), magic = all(12582912.0f);
        for (long i = 0; i < depth; i += W) {
            const I whole = as_bits(load(from + i) * factor + magic);  // its low half is the number, rounded
            if constexpr (HAS_TILES) {
                auto *upper = reinterpret_cast<uint8_t*>(to) + i, *lower = upper + depth;
                for (int j = 0; j < W; j++) upper[j] = static_cast<uint8_t>(whole[j] >> 8), lower[j] = static_cast<uint8_t>(whole[j]);
            } else {
#pragma GCC unroll 16
                for (int j = 0; j < W; j++) to[i + j] = static_cast<int16_t>(whole[j]);
            }
        }
        return largest_value / limit;
    }
};

// Both in bfloat16, sums in float32.
struct Brief {
    typedef uint16_t Row;
    typedef uint16_t Weight;
    typedef V Sum;
    static constexpr int STEP = 2;

    static INLINE I column(const uint16_t* from) { return as_bits(load(reinterpret_cast<const float*>(from))); }
    static INLINE I value(const uint16_t* from) { return all_pairs(from); }
    static INLINE V plus(V sum, I value, I column) {
#if defined(__AVX512BF16__) && MODERNBERT_WIDTH == 16
        return (V)_mm512_dpbf16_ps((__m512)sum, (__m512bh)value, (__m512bh)column);
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && MODERNBERT_WIDTH == 4
        return (V)vbfdotq_f32((float32x4_t)sum, (bfloat16x8_t)value, (bfloat16x8_t)column);
#else
        sum += as_floats(value << 16) * as_floats(column << 16);
        return sum + as_floats(value & all_bits(-65536)) * as_floats(column & all_bits(-65536));
#endif
    }

    // To the nearest, ties to even; what is no number stays none.
    static INLINE uint16_t round(float x) {
        uint32_t bits;
        std::memcpy(&bits, &x, sizeof bits);
        if (x != x) return static_cast<uint16_t>(bits >> 16 | 64);
        return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
    static INLINE void round(const float* from, long count, uint16_t* to) {
        long i = 0;
#if defined(__AVX512BF16__) && MODERNBERT_WIDTH == 16
        for (; i + W <= count; i += W) {
            const __m256bh brief = _mm512_cvtneps_pbh((__m512)load(from + i));
            std::memcpy(to + i, &brief, sizeof brief);
        }
#endif
        for (; i < count; i++) to[i] = round(from[i]);
    }
};

// W numbers as floats.
INLINE V widened(const float* from) { return load(from); }
typedef uint16_t Halves __attribute__((vector_size(W * 2)));
INLINE I halves(const uint16_t* from) {
#if defined(__AVX512F__) && MODERNBERT_WIDTH == 16
    return (I)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)from));  // GCC 12 would widen two halves and join them
#else
    Halves some;
    std::memcpy(&some, from, sizeof some);
    return __builtin_convertvector(some, I);
#endif
}
INLINE void put_halves(uint16_t* to, I x) {
    const Halves some = __builtin_convertvector(x, Halves);
    std::memcpy(to, &some, sizeof some);
}

// 2 W numbers of each, those of the same place side by side.
INLINE void pair_up(const uint16_t* first, const uint16_t* second, uint16_t* to) {
#if defined(__AVX512BW__) && MODERNBERT_WIDTH == 16
    const __m512i a = _mm512_loadu_si512(first), b = _mm512_loadu_si512(second);
    const __m512i places = _mm512_add_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), _mm512_set1_epi32(32 << 16));
    const __m512i low = _mm512_or_si512(places, _mm512_slli_epi32(places, 16)), high = _mm512_add_epi32(low, _mm512_set1_epi32(16 << 16 | 16));
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, low, b));
    _mm512_storeu_si512(to + 2 * W, _mm512_permutex2var_epi16(a, high, b));
#else
    for (int half = 0; half < 2; half++) {
        const I pairs = halves(first + half * W) | halves(second + half * W) << 16;
        std::memcpy(to + half * 2 * W, &pairs, sizeof pairs);
    }
#endif
}
INLINE V widened(const uint16_t* from) { return as_floats(halves(from) << 16); }

INLINE V as_numbers(I x) { return __builtin_convertvector(x, V); }

}  // namespace modernbert
