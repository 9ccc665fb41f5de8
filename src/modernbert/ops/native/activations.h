// What happens to rows between two matrix products.
#pragma once
#include <cmath>

#include "places.h"
#include "vectors.h"

namespace modernbert {

// Phi(-|x|), the tail of the normal distribution, and its density. erfc(y) = exp(-y^2) t P(t) with t = 1 / (1 + 0.32 y), fitted for
// y in 0 .. 5 with a relative error of 1.5e-8 (the form is 7.1.26 of Abramowitz and Stegun).
struct Normal {
    V tail, density;
};
INLINE Normal normal(V x) {
    const V y = absolute(x) * 0.70710678f;
    const V t = 1.0f / (y * 0.32f + 1.0f);
    V p = all(-1.767009550e-01f);
    p = p * t + 7.018170280e-01f;
    p = p * t - 7.590160039e-01f;
    p = p * t + 7.832748134e-01f;
    p = p * t - 1.579976077e-01f;
    p = p * t + 2.610988131e-01f;
    p = p * t + 1.659620795e-01f;
    p = p * t + 1.815618177e-01f;
    const V bell = exp2(y * y * -1.44269504f);
    return {p * t * bell * 0.5f, bell * 0.39894228f};
}

// x * Phi(x), the exact GELU.
INLINE V gelu(V x) {
    const V tail = normal(x).tail;
    return x * (x > V{} ? 1.0f - tail : tail);
}

// Of a row: its mean, and 1 / its deviation.
struct Spread {
    V mean, scale;
};
INLINE Spread spread(const float* row, float eps, long width) {
    V total{};
    for (long i = 0; i < width; i += W) total += load(row + i);
    const V mean = all(sum(total) / width);
    V squares{};
    for (long i = 0; i < width; i += W) {
        const V away = load(row + i) - mean;
        squares += away * away;
    }
    return {mean, all(1 / std::sqrt(sum(squares) / width + eps))};
}

// Scaled to mean 0 and variance 1, times `weight`; `to` may be `from`.
template <class Part>
INLINE void layer_norm(const float* from, const float* weight, float eps, long width, Part* to) {
    const Spread at = spread(from, eps, width);
    for (long i = 0; i < width; i += W) put(to + i, (load(from + i) - at.mean) * at.scale * load(weight + i));
}

}  // namespace modernbert
