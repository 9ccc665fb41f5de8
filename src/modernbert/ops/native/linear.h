// Rows times a weight that was laid out beforehand: panels of PANEL columns, so that a tile of ROWS x PANEL sums stays in
// registers while both operands stream by. What becomes of a finished tile (residual, rotation, gate) is the caller's.
#pragma once
#include <algorithm>

#include "pool.h"
#include "vectors.h"

namespace modernbert {

// acc[r][v] += a[r][:] . b[:][v] for one tile; a is row-major, b a panel: depth x PANEL.
template <int M>
INLINE void tile(const float* a, long stride, const float* b, long depth, V (&acc)[M][NV]) {
    for (long k = 0; k < depth; k++) {
#pragma GCC unroll 2
        for (int i = 0; i < PANEL; i += 16) __builtin_prefetch(b + (k + 8) * PANEL + i);  // measured: +3 to +8 %
        V column[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) column[v] = load(b + k * PANEL + v * W);
#pragma GCC unroll 12
        for (int r = 0; r < M; r++) {
            V value = all(a[r * stride + k]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) acc[r][v] += value * column[v];
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

// finish(row, panel, acc): acc is V[M][NV], the sums of rows row .. row + M - 1 and of the panel's columns.
template <class Finish>
void multiply(Pool& pool, int threads, const float* a, long rows, long depth, const float* weight, long panels,
              const Finish& finish) {
    const long block = std::clamp(BLOCK_BYTES / (depth * 4) / ROWS, 1L, 32L) * ROWS;
    const long blocks = (rows + block - 1) / block;
    const long wanted = (8L * threads + blocks - 1) / blocks;  // tasks of a block, so that the last ones end together
    const long width = std::clamp(panels / wanted, 1L, 8L);
    const long chunks = (panels + width - 1) / width;
    pool.run(blocks * chunks, [&](long task) {
        const long first = task % blocks * block, count = std::min(block, rows - first);
        const long start = task / blocks * width, end = std::min(panels, start + width);
        for (long panel = start; panel < end; panel++) {
            const float* b = weight + panel * depth * PANEL;
            for_tiles(count, [&](long offset, int height) {
                const long row = first + offset;
                with_rows(height, [&](auto m) {
                    V acc[decltype(m)::value][NV] = {};
                    tile<decltype(m)::value>(a + row * depth, depth, b, depth, acc);
                    finish(row, panel, acc);
                });
            });
        }
    });
}

}  // namespace modernbert
