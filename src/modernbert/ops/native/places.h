// How keys and values of packed documents are laid out for products, and single numbers rounded on their way there.
#pragma once
#include <algorithm>
#include <utility>

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

// W rows of W words become columns: lanes that differ by 1 change places, then those that differ by 2, and so on.
template <int APART, size_t... LANES>
INLINE I chosen(I a, I b, bool upper, std::index_sequence<LANES...>) {
#if defined(__clang__)
    return upper ? __builtin_shufflevector(a, b, int(LANES & APART ? W + LANES : LANES + APART)...)
                 : __builtin_shufflevector(a, b, int(LANES & APART ? W + LANES - APART : LANES)...);
#else
    return upper ? __builtin_shuffle(a, b, I{int(LANES & APART ? W + LANES : LANES + APART)...})
                 : __builtin_shuffle(a, b, I{int(LANES & APART ? W + LANES - APART : LANES)...});
#endif
}
template <int APART = 1>
INLINE void turn_square(I (&rows)[W]) {
#pragma GCC unroll 16
    for (int i = 0; i < W; i++)
        if (!(i & APART)) {
            const I a = rows[i], b = rows[i + APART];
            rows[i] = chosen<APART>(a, b, false, std::make_index_sequence<W>());
            rows[i + APART] = chosen<APART>(a, b, true, std::make_index_sequence<W>());
        }
    if constexpr (2 * APART < W) turn_square<2 * APART>(rows);
}

// Words of some tokens' heads, a square at a time: body(word, token, square) with W tokens of each of W words. Tokens from `count`
// on, up to a whole panel of them, are 0.
template <class Part, class Body>
INLINE void for_squares(const Part* from, long stride, long count, long size, const Body& body) {
    constexpr long IN_WORD = 4 / sizeof(Part);
    for (long word = 0; word < size / IN_WORD; word += W)
        for (long token = 0; token < PANEL; token += W) {
            const Part* place = from + token * stride + word * IN_WORD;
            I square[W] = {};
            if (token + W <= count) {  // in registers
#pragma GCC unroll 16
                for (int t = 0; t < W; t++) std::memcpy(&square[t], place + t * stride, sizeof(I));
            } else {
                for (long t = 0; t < count - token; t++) std::memcpy(&square[t], place + t * stride, sizeof(I));
            }
            turn_square(square);
            body(word, token, square);
        }
}

// Some tokens' heads, `stride` numbers from one to the next, into a block of keys, whose other places become 0: [size / STEP, PANEL, STEP].
template <class Number>
INLINE void to_keys(const typename Number::Row* from, long stride, long count, long size, typename Number::Weight* to) {
    static_assert(Number::STEP * sizeof(*to) == 4, "a word is a step");
    for_squares(from, stride, count, size, [&](long word, long token, const I (&square)[W]) {
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) std::memcpy(to + ((word + i) * PANEL + token) * Number::STEP, &square[i], sizeof(I));
    });
}

// The same into panels of values that are `places` tokens long; other places up to a whole panel of tokens become 0.
template <class Number>
INLINE void to_values(const typename Number::Row* from, long stride, long count, long size, typename Number::Weight* to, long places) {
    constexpr long STEP = Number::STEP;
    static const typename Number::Row nothing[2 * W] = {};
    for (long d = 0; d < size; d += STEP * W) {
        auto* column = to + d / PANEL * PANEL * places + d % PANEL * STEP;
        for (long t = 0; t < PANEL; t += STEP) {
            const auto *one = t < count ? from + t * stride + d : nothing, *other = t + 1 < count ? from + (t + 1) * stride + d : nothing;
            if constexpr (STEP == 1) store(column + t * PANEL, load(one));
            else pair_up(one, other, column + t * PANEL);
        }
    }
}

// Tokens side by side: number d of a token at d * places.
template <class Part>
INLINE void to_columns(const Part* from, long stride, long count, long size, Part* to, long places) {
    for_squares(from, stride, count, size, [&](long word, long token, const I (&square)[W]) {
#pragma GCC unroll 16
        for (int i = 0; i < W; i++) {
            if constexpr (sizeof(Part) == 4) std::memcpy(to + (word + i) * places + token, &square[i], sizeof(I));
            else {
                Part* pair = to + (word + i) * 2 * places + token;
                put_halves(pair, square[i] & 0xffff);
                put_halves(pair + places, square[i] >> 16 & 0xffff);
            }
        }
    });
}

}  // namespace modernbert
