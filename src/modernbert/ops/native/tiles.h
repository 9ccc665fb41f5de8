// The processor's own matrix tiles (AMX): 16 x 16 sums of 32 products of bfloat16 each, or of 64 of bytes, in one instruction.
// Defined MODERNBERT_TILES, plain loops stand in for the instructions, so that any processor can check what is built on them.
#pragma once
#include "products.h"

#if defined(__AMX_TILE__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(MODERNBERT_TILES)
#include "tiles_in_loops.h"
#endif

namespace modernbert {

#if defined(__AMX_TILE__) || defined(MODERNBERT_TILES)

static_assert(W == 16 && PANEL == 32, "a panel is two tiles wide");

// The compiler does not know which memory the instructions read.
INLINE void written() { __asm__ volatile("" ::: "memory"); }

// Tiles of 64 bytes a row and of these heights. A thread keeps its tiles until it gives them back.
class Shape {
  public:
    ~Shape() {
        if (rows_ != 0) _tile_release();  // a thread that holds tiles is dearer to put aside
    }
    // `heights` are those for so many rows of a product.
    void take(int rows, const int (&heights)[8]) {
        if (rows == rows_) return;
        struct alignas(64) {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes[16] = {};
            uint8_t rows[16] = {};
        } shape;
        for (int i = 0; i < 8; i++) shape.bytes[i] = 64, shape.rows[i] = heights[i];
        written();
        _tile_loadconfig(&shape);
        rows_ = rows;
    }

  private:
    int rows_ = 0;
};

// Tiles 0 1 / 2 3 are the sums of 32 rows and 32 columns, 4 / 5 the rows, 6 7 the columns.
template <>
struct Products<Brief> {
    static constexpr int HEIGHT = 32;
    static constexpr bool IN_REGISTERS = false;
    typedef float Single;

    template <bool ADDS>
    INLINE void run(float* out, long pitch, int rows, const uint16_t* a, long stride, const uint16_t* b, long depth) {
        const long whole = depth / TAKEN * TAKEN;
        if (whole > 0) {
            const int upper = rows < 16 ? rows : 16, lower = rows > 16 ? rows - 16 : 1;
            shape_.take(rows, {upper, upper, lower, lower, upper, lower, 16, 16});
            rows > 16 ? sum<ADDS, true>(out, pitch, a, stride, b, whole) : sum<ADDS, false>(out, pitch, a, stride, b, whole);
        }
        if (whole == depth) return;
        for_tiles<ROWS>(rows, [&](long above, int some) {
            by_vectors<Brief>(ADDS || whole > 0, out + above * pitch, pitch, some, a + above * stride + whole, stride, b + whole * PANEL,
                              depth - whole);
        });
    }

  private:
    static constexpr long TAKEN = 32;  // of the depth, by one instruction
    Shape shape_;

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

// Tiles 0 1 are sums of the rows' upper halves, 2 3 of their lower ones, 4 and 5 these halves, 6 7 the columns.
template <>
struct Products<Whole> {
    static constexpr int HEIGHT = 16;
    static constexpr bool IN_REGISTERS = false;
    typedef int32_t Single;

    template <bool ADDS>
    INLINE void run(int32_t* out, long pitch, int rows, const int16_t* a, long stride, const int8_t* b, long depth) {
        static_assert(!ADDS, "nobody adds whole numbers");
        const auto *upper = reinterpret_cast<const int8_t*>(a), *lower = upper + depth;
        alignas(64) int32_t sums[2][HEIGHT][PANEL] = {};
        const long whole = depth / TAKEN * TAKEN;
        if (whole > 0) {
            shape_.take(rows, {rows, rows, rows, rows, rows, rows, 16, 16});
            written();
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
            for (long k = 0; k < whole; k += TAKEN) {
                _tile_loadd(4, upper + k, stride * 2);
                _tile_loadd(6, b + k * PANEL, PANEL * 4);
                _tile_loadd(7, b + k * PANEL + 64, PANEL * 4);
                _tile_dpbssd(0, 4, 6);
                _tile_dpbssd(1, 4, 7);
                _tile_loadd(5, lower + k, stride * 2);
                _tile_dpbusd(2, 5, 6);
                _tile_dpbusd(3, 5, 7);
            }
            _tile_stored(0, sums[0][0], PANEL * 4);
            _tile_stored(1, sums[0][0] + 16, PANEL * 4);
            _tile_stored(2, sums[1][0], PANEL * 4);
            _tile_stored(3, sums[1][0] + 16, PANEL * 4);
            written();
        }
        for (int r = 0; r < rows; r++)
            for (int n = 0; n < PANEL; n++) out[r * pitch + n] = sums[0][r][n] * 256u + sums[1][r][n];  // wraps on the way at most
        for (long k = whole; k < depth; k++)  // no published shape comes here
            for (int r = 0; r < rows; r++)
                for (int n = 0; n < PANEL; n++) {
                    const long place = r * stride * 2 + k;
                    const int value = upper[place] * 256 + static_cast<uint8_t>(lower[place]);
                    out[r * pitch + n] += value * b[k / 4 * 4 * PANEL + n * 4 + k % 4];
                }
    }

  private:
    static constexpr long TAKEN = 64;  // of the depth, by one instruction
    Shape shape_;
};

// Whether products of small numbers, which are exact, come out right.
template <class Number>
bool counts_right() {
    constexpr int DEPTH = 192, HEIGHT = Products<Number>::HEIGHT, STEP = Number::STEP;
    typename Number::Row a[HEIGHT * DEPTH];
    typename Number::Weight b[DEPTH * PANEL];
    typename Products<Number>::Single found[HEIGHT * PANEL];
    float row[DEPTH];
    for (int r = 0; r < HEIGHT; r++) {
        for (int k = 0; k < DEPTH; k++) row[k] = (r * DEPTH + k) * 7 % 11 - 5;
        if constexpr (std::is_same_v<Number, Whole>) Whole::round(row, DEPTH, a + r * DEPTH);
        else Brief::round(row, DEPTH, a + r * DEPTH);
    }
    for (int i = 0; i < DEPTH * PANEL; i++) {
        if constexpr (std::is_same_v<Number, Whole>) b[i] = i * 5 % 13 - 6;
        else b[i] = Brief::round(static_cast<float>(i * 5 % 13 - 6));
    }
    const float unit = std::is_same_v<Number, Whole> ? Whole::most(DEPTH) / 5 : 1;  // 5 is a row's largest number
    for (const int rows : {5, HEIGHT}) {
        Products<Number> products;
        products.template run<false>(found, PANEL, rows, a, DEPTH, b, DEPTH);
        for (int r = 0; r < rows; r++)
            for (int n = 0; n < PANEL; n++) {
                long sum = 0;
                for (int k = 0; k < DEPTH; k++)
                    sum += ((r * DEPTH + k) * 7 % 11 - 5) * ((k / STEP * STEP * PANEL + n * STEP + k % STEP) * 5 % 13 - 6);
                if (std::fabs(found[r * PANEL + n] - sum * unit) > (unit == 1 ? 0 : 3 * DEPTH)) return false;  // half a unit each
            }
    }
    return true;
}

// Whether the system lends this process its tiles, which it does when asked, and whether they count right.
inline bool has_tiles() {
#if defined(__AMX_TILE__)
    constexpr long ASK = 0x1023, TILES = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: Linux, Documentation/arch/x86/xstate.rst
    if (syscall(SYS_arch_prctl, ASK, TILES) != 0) return false;
#endif
    return counts_right<Brief>() && counts_right<Whole>();
}

#else

inline bool has_tiles() { return true; }  // none are used

#endif

}  // namespace modernbert
