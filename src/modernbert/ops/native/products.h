// One tile of a matrix product: some rows times a panel of PANEL columns, so that the sums stay in registers while both
// operands stream by.
#pragma once
#include <type_traits>

#include "numbers.h"
#include "vectors.h"

namespace modernbert {

// acc[r][v] += a[r][:] . b[:][v] for M rows; a is row-major, b a panel: [depth / STEP, PANEL, STEP].
template <class Number, int M>
INLINE void tile(const typename Number::Row* a, long stride, const typename Number::Weight* b, long depth,
                 typename Number::Sum (&acc)[M][NV]) {
    constexpr long STEP = Number::STEP, LINE = 64 / sizeof(*b);
    for (long k = 0; k < depth; k += STEP) {
#pragma GCC unroll 2
        for (long i = 0; i < PANEL * STEP; i += LINE) __builtin_prefetch(b + (k + 8 * STEP) * PANEL + i);  // measured: +3 to +8 %
        decltype(Number::column(b)) column[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) column[v] = Number::column(b + k * PANEL + v * W * STEP);
#pragma GCC unroll 12
        for (int r = 0; r < M; r++) {
            const auto value = Number::value(a + r * stride + k);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) acc[r][v] = Number::plus(acc[r][v], value, column[v]);
        }
    }
}

// Calls body<M>() for M = rows, 1 .. ROWS.
template <int M = ROWS, class Body>
INLINE void with_rows(int rows, const Body& body) {
    if (rows == M) body(std::integral_constant<int, M>());
    else if constexpr (M > 1) with_rows<M - 1>(rows, body);
}

// `rows` cut into tiles of nearly equal height, none above HEIGHT: 32 becomes 6 6 5 5 5 5, not 6 6 6 6 6 2.
template <int HEIGHT, class Body>
INLINE void for_tiles(long rows, const Body& body) {
    long tiles = (rows + HEIGHT - 1) / HEIGHT, first = 0;
    for (long i = 0; i < tiles; i++) {
        long height = rows / tiles + (i < rows % tiles);
        body(first, static_cast<int>(height));
        first += height;
    }
}

template <class Single, class Sum, int M>
INLINE void load(const Single* from, long pitch, Sum (&acc)[M][NV]) {
#pragma GCC unroll 12
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) std::memcpy(&acc[r][v], from + r * pitch + v * W, sizeof acc[r][v]);
}

template <class Single, class Sum, int M>
INLINE void store(Single* to, long pitch, const Sum (&acc)[M][NV]) {
#pragma GCC unroll 12
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) std::memcpy(to + r * pitch + v * W, &acc[r][v], sizeof acc[r][v]);
}

// out[rows][PANEL] = a . b, or += where it `adds`; `stride` and `pitch` from one row to the next.
template <class Number>
INLINE void by_vectors(bool adds, float* out, long pitch, int rows, const typename Number::Row* a, long stride,
                       const typename Number::Weight* b, long depth) {
    with_rows(rows, [&](auto m) {
        V acc[decltype(m)::value][NV] = {};
        if (adds) load(out, pitch, acc);
        tile<Number>(a, stride, b, depth, acc);
        store(out, pitch, acc);
    });
}

// Tiles by way of memory. One of these is made by whoever makes many tiles, since a processor may have to be prepared for them.
template <class Number>
struct Products {
    static constexpr int HEIGHT = ROWS;          // of a tile
    static constexpr bool IN_REGISTERS = true;  // sums are there first, so that `tile` alone saves the way
    typedef float Single;                       // one of the sums

    // As `by_vectors`.
    template <bool ADDS>
    INLINE void run(float* out, long pitch, int rows, const typename Number::Row* a, long stride, const typename Number::Weight* b, long depth) {
        by_vectors<Number>(ADDS, out, pitch, rows, a, stride, b, depth);
    }
};

}  // namespace modernbert
