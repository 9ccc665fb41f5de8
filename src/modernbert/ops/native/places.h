// How keys and values of packed documents are laid out for products, and single numbers rounded on their way there.
#pragma once
#include "numbers.h"

namespace modernbert {

// Where number d of a token's key goes, and of its value; `blocks` of PANEL tokens.
template <int STEP>
INLINE long key_place(long token, long head, long d, long blocks, long size) {
    return ((head * blocks + token / PANEL) * size + d / STEP * STEP) * PANEL + token % PANEL * STEP + d % STEP;
}
template <int STEP>
INLINE long value_place(long token, long head, long d, long blocks, long size) {
    return (head * size + d / PANEL * PANEL) * blocks * PANEL + (token / STEP * PANEL + d % PANEL) * STEP + token % STEP;
}

INLINE void put(float* to, V x) { store(to, x); }
INLINE void put(uint16_t* to, V x) {
    alignas(64) float lanes[W];
    store(lanes, x);
    Brief::round(lanes, W, to);
}
INLINE void put_one(float* to, float x) { *to = x; }
INLINE void put_one(uint16_t* to, float x) { *to = Brief::round(x); }

// Some tokens' heads, `stride` numbers from one to the next, into a block of keys, whose other places become 0: [size / STEP, PANEL, STEP].
template <class Number>
INLINE void to_keys(const typename Number::Row* from, long stride, long count, long size, typename Number::Weight* to) {
    constexpr long STEP = Number::STEP;
    for (long d = 0; d < size; d += STEP)
        for (long t = 0; t < PANEL; t++)
#pragma GCC unroll 2
            for (long i = 0; i < STEP; i++) *to++ = t < count ? from[t * stride + d + i] : 0;
}

// The same into panels of values that are `places` tokens long; other places up to a whole panel of tokens become 0.
template <class Number>
INLINE void to_values(const typename Number::Row* from, long stride, long count, long size, typename Number::Weight* to, long places) {
    constexpr long STEP = Number::STEP;
    for (long d = 0; d < size; d += PANEL) {
        typename Number::Weight* panel = to + d * places;
        for (long t = 0; t < PANEL; t += STEP)
            for (long j = 0; j < PANEL; j++)
#pragma GCC unroll 2
                for (long i = 0; i < STEP; i++) *panel++ = t + i < count ? from[(t + i) * stride + d + j] : 0;
    }
}

}  // namespace modernbert
