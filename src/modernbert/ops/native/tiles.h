// The processor's own matrix tiles (AMX-BF16), for products of bfloat16: 16 x 16 sums of 32 products each in one instruction.
// Defined MODERNBERT_TILES, plain loops stand in for the instructions, so that any processor can check what is built on them.
#pragma once
#include "products.h"

#if defined(__AMX_BF16__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(MODERNBERT_TILES)
#include "tiles_in_loops.h"
#endif

namespace modernbert {

#if defined(__AMX_BF16__) || defined(MODERNBERT_TILES)

static_assert(W == 16 && PANEL == 32, "a panel is two tiles wide");

// The compiler does not know which memory the instructions read.
INLINE void written() { __asm__ volatile("" ::: "memory"); }

// Tiles 0 1 / 2 3 are the sums of 32 rows and 32 columns, 4 / 5 the rows, 6 7 the columns.
template <>
struct Products<Brief> {
    static constexpr int HEIGHT = 32;
    static constexpr bool IN_REGISTERS = false;

    ~Products() {
        if (shaped_ != 0) _tile_release();  // a thread that holds tiles is dearer to put aside
    }

    template <bool ADDS>
    INLINE void run(float* out, long pitch, int rows, const uint16_t* a, long stride, const uint16_t* b, long depth) {
        const long whole = depth / TAKEN * TAKEN;
        if (whole > 0) {
            shape(rows);
            rows > 16 ? sum<ADDS, true>(out, pitch, a, stride, b, whole) : sum<ADDS, false>(out, pitch, a, stride, b, whole);
        }
        if (whole == depth) return;
        for_tiles<ROWS>(rows, [&](long above, int some) {
            with_rows(some, [&](auto m) {
                V acc[decltype(m)::value][NV] = {};
                if (ADDS || whole > 0) load(out + above * pitch, pitch, acc);
                tile<Brief>(a + above * stride + whole, stride, b + whole * PANEL, depth - whole, acc);
                store(out + above * pitch, pitch, acc);
            });
        });
    }

  private:
    static constexpr long TAKEN = 32;  // of the depth, by one instruction
    int shaped_ = 0;                   // for so many rows

    void shape(int rows) {
        if (rows == shaped_) return;
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        const int upper = rows < 16 ? rows : 16, lower = rows > 16 ? rows - 16 : 1;
        const int heights[] = {upper, upper, lower, lower, upper, lower, 16, 16};
        for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = heights[i];
        written();
        _tile_loadconfig(&shape);
        shaped_ = rows;
    }

    template <bool ADDS, bool IS_TALL>
    static void sum(float* out, long pitch, const uint16_t* a, long stride, const uint16_t* b, long depth) {
        float* below = out + 16 * pitch;
        written();
        if constexpr (ADDS) {
            _tile_loadd(0, out, pitch * 4);
            _tile_loadd(1, out + 16, pitch * 4);
            if constexpr (IS_TALL) {
                _tile_loadd(2, below, pitch * 4);
                _tile_loadd(3, below + 16, pitch * 4);
            }
        } else {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
        }
        for (long k = 0; k < depth; k += TAKEN) {
            _tile_loadd(4, a + k, stride * 2);
            _tile_loadd(6, b + k * PANEL, PANEL * 4);
            _tile_loadd(7, b + k * PANEL + 32, PANEL * 4);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if constexpr (IS_TALL) {
                _tile_loadd(5, a + 16 * stride + k, stride * 2);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, out, pitch * 4);
        _tile_stored(1, out + 16, pitch * 4);
        if constexpr (IS_TALL) {
            _tile_stored(2, below, pitch * 4);
            _tile_stored(3, below + 16, pitch * 4);
        }
        written();
    }
};

// Whether the system lends this process its tiles, which it does when asked, and whether they count right.
inline bool has_tiles() {
#if defined(__AMX_BF16__)
    constexpr long ASK = 0x1023, TILES = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: Linux, Documentation/arch/x86/xstate.rst
    if (syscall(SYS_arch_prctl, ASK, TILES) != 0) return false;
#endif
    constexpr int DEPTH = 96, HEIGHT = Products<Brief>::HEIGHT;
    uint16_t a[HEIGHT * DEPTH], b[DEPTH * PANEL];
    float found[HEIGHT * PANEL];
    for (int i = 0; i < HEIGHT * DEPTH; i++) a[i] = Brief::round(i * 7 % 11 - 5);
    for (int i = 0; i < DEPTH * PANEL; i++) b[i] = Brief::round(i * 5 % 13 - 6);
    for (const int rows : {5, HEIGHT}) {
        Products<Brief> products;
        products.run<false>(found, PANEL, rows, a, DEPTH, b, DEPTH);
        products.run<true>(found, PANEL, rows, a, DEPTH, b, DEPTH);
        for (int r = 0; r < rows; r++)
            for (int n = 0; n < PANEL; n++) {
                int sum = 0;  // exact, as float32 has it
                for (int k = 0; k < DEPTH; k++)
                    sum += ((r * DEPTH + k) * 7 % 11 - 5) * ((k / 2 * 2 * PANEL + n * 2 + k % 2) * 5 % 13 - 6);
                if (found[r * PANEL + n] != 2 * sum) return false;
            }
    }
    return true;
}

#else

inline bool has_tiles() { return true; }  // none are used

#endif

}  // namespace modernbert
