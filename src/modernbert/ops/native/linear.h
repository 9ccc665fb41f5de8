// Rows times a weight that was laid out beforehand, shared out among threads. What becomes of a finished tile (residual,
// rotation, gate) is the caller's.
#pragma once
#include <algorithm>

#include "numbers.h"
#include "pool.h"
#include "products.h"
#include "tiles.h"
#include "vectors.h"

namespace modernbert {

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

template <class Number, int M, class Finish>
INLINE void hand_over(const Rows<Number>&, const Panels<Number>&, long row, long panel, V (&acc)[M][NV], const Finish& finish) {
    finish(row, panel, acc);
}
template <class Number, int M, class Finish>
INLINE void hand_over(const Rows<Number>& a, const Panels<Number>& weight, long row, long panel, I (&acc)[M][NV], const Finish& finish) {
    V worth[M][NV];
#pragma GCC unroll 12
    for (int r = 0; r < M; r++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) worth[r][v] = as_numbers(acc[r][v]) * load(weight.worth + panel * PANEL + v * W) * a.worth[row + r];
    finish(row, panel, worth);
}

// finish(row, panel, acc): acc is V[M][NV], the sums of rows row .. row + M - 1 and of the panel's columns.
template <class Number, class Finish>
void multiply(Pool& pool, int threads, Rows<Number> a, long rows, long depth, Panels<Number> weight, long panels,
              const Finish& finish) {
    constexpr int HEIGHT = Products<Number>::HEIGHT;
    const long block = std::clamp(BLOCK_BYTES / (depth * long(sizeof(*a.numbers))) / HEIGHT, 1L, 32L) * HEIGHT;
    const long blocks = (rows + block - 1) / block;
    const long wanted = (8L * threads + blocks - 1) / blocks;  // tasks of a block, so that the last ones end together
    const long width = std::clamp(panels / wanted, 1L, 8L);
    const long chunks = (panels + width - 1) / width;
    pool.run(blocks * chunks, [&](long task) {
        const long first = task % blocks * block, count = std::min(block, rows - first);
        const long start = task / blocks * width, end = std::min(panels, start + width);
        Products<Number> products;
        for (long panel = start; panel < end; panel++) {
            const auto* b = weight.numbers + panel * depth * PANEL;
            for_tiles<HEIGHT>(count, [&](long offset, int height) {
                const long row = first + offset;
                if constexpr (Products<Number>::IN_REGISTERS) {
                    with_rows(height, [&](auto m) {
                        constexpr int M = decltype(m)::value;
                        typename Number::Sum acc[M][NV] = {};
                        tile<Number, M>(a.numbers + row * depth, depth, b, depth, acc);
                        hand_over(a, weight, row, panel, acc, finish);
                    });
                } else {
                    alignas(64) typename Products<Number>::Single sums[HEIGHT][PANEL];
                    products.template run<false>(sums[0], PANEL, height, a.numbers + row * depth, depth, b, depth);
                    for_tiles<ROWS>(height, [&](long above, int some) {
                        with_rows(some, [&](auto m) {
                            typename Number::Sum acc[decltype(m)::value][NV];
                            load(sums[above], PANEL, acc);
                            hand_over(a, weight, row + above, panel, acc, finish);
                        });
                    });
                }
            });
        }
    });
}

}  // namespace modernbert
