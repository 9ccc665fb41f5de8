// Rows times a weight that was laid out beforehand: panels of PANEL columns, so that a tile of ROWS x PANEL sums stays in
// registers while both operands stream by. What becomes of a finished tile (residual, rotation, gate) is the caller's.
#pragma once
#include <algorithm>

#include "numbers.h"
#include "pool.h"
#include "vectors.h"

namespace modernbert {

// acc[r][v] += a[r][:] . b[:][v] for one tile; a is row-major, b has `pitch` columns for each of its depth / STEP rows, and
// each of these holds STEP numbers.
template <class Number, int M>
INLINE void tile(const typename Number::Row* a, long stride, const typename Number::Weight* b, long pitch, long depth,
                 typename Number::Sum (&acc)[M][NV]) {
    constexpr long STEP = Number::STEP, LINE = 64 / sizeof(*b);
    for (long k = 0; k < depth; k += STEP) {
#pragma GCC unroll 2
        for (long i = 0; i < PANEL * STEP; i += LINE) __builtin_prefetch(b + (k + 8 * STEP) * pitch + i);  // measured: +3 to +8 %
        decltype(Number::column(b)) column[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) column[v] = Number::column(b + k * pitch + v * W * STEP);
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

// `rows` cut into tiles of nearly equal height, none above ROWS: 32 becomes 6 6 5 5 5 5, not 6 6 6 6 6 2.
template <class Body>
INLINE void for_tiles(long rows, const Body& body) {
    long tiles = (rows + ROWS - 1) / ROWS, first = 0;
    for (long i = 0; i < tiles; i++) {
        long height = rows / tiles + (i < rows % tiles);
        body(first, static_cast<int>(height));
        first += height;
    }
}

constexpr long BLOCK_BYTES = 192 * 1024;  // of rows: well below a core's second-level cache, where panels must fit too

template <class Number>
struct Rows {
    const typename Number::Row* numbers;  // [rows, depth]
    const float* worth;                   // [rows]; of Whole only
};

template <class Number>
struct Panels {
    const typename Number::Weight* numbers;  // [panels, depth / STEP, PANEL, STEP]
    const float* worth;                      // [panels, PANEL]; of Whole only
};

// finish(row, panel, acc): acc is V[M][NV], the sums of rows row .. row + M - 1 and of the panel's columns.
template <class Number, class Finish>
void multiply(Pool& pool, int threads, Rows<Number> a, long rows, long depth, Panels<Number> weight, long panels,
              const Finish& finish) {
    const long block = std::clamp(BLOCK_BYTES / (depth * long(sizeof(*a.numbers))) / ROWS, 1L, 32L) * ROWS;
    const long blocks = (rows + block - 1) / block;
    const long wanted = (8L * threads + blocks - 1) / blocks;  // tasks of a block, so that the last ones end together
    const long width = std::clamp(panels / wanted, 1L, 8L);
    const long chunks = (panels + width - 1) / width;
    pool.run(blocks * chunks, [&](long task) {
        const long first = task % blocks * block, count = std::min(block, rows - first);
        const long start = task / blocks * width, end = std::min(panels, start + width);
        for (long panel = start; panel < end; panel++) {
            const auto* b = weight.numbers + panel * depth * PANEL;
            for_tiles(count, [&](long offset, int height) {
                const long row = first + offset;
                with_rows(height, [&](auto m) {
                    constexpr int M = decltype(m)::value;
                    typename Number::Sum acc[M][NV] = {};
                    tile<Number, M>(a.numbers + row * depth, depth, b, PANEL, depth, acc);
                    if constexpr (std::is_same_v<typename Number::Sum, V>) {
                        finish(row, panel, acc);
                    } else {
                        V worth[M][NV];
#pragma GCC unroll 12
                        for (int r = 0; r < M; r++)
#pragma GCC unroll 4
                            for (int v = 0; v < NV; v++)
                                worth[r][v] = as_numbers(acc[r][v]) * load(weight.worth + panel * PANEL + v * W) * a.worth[row + r];
                        finish(row, panel, worth);
                    }
                });
            });
        }
    });
}

}  // namespace modernbert
