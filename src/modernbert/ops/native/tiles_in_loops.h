// What the instructions of tiles.h do, in plain loops: for tests on processors without them.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace modernbert {

struct LoopTiles {
    uint16_t bytes[8] = {};
    uint8_t rows[8] = {};
    char numbers[8][16][64];

    static LoopTiles& mine() {
        static thread_local LoopTiles tiles;
        return tiles;
    }
    void shape(const void* from) {
        std::memcpy(bytes, static_cast<const char*>(from) + 16, sizeof bytes);
        std::memcpy(rows, static_cast<const char*>(from) + 48, sizeof rows);
        std::memset(numbers, 0, sizeof numbers);
    }
    void load(int tile, const void* from, long stride) {
        for (int r = 0; r < rows[tile]; r++) std::memcpy(numbers[tile][r], static_cast<const char*>(from) + r * stride, bytes[tile]);
    }
    void store(int tile, void* to, long stride) {
        for (int r = 0; r < rows[tile]; r++) std::memcpy(static_cast<char*>(to) + r * stride, numbers[tile][r], bytes[tile]);
    }
    void multiply(int sums, int a, int b) {
        check(sums, a, b);
        for (int r = 0; r < rows[a]; r++)
            for (int n = 0; n < bytes[b] / 4; n++) {
                float sum = number(sums, r, n);
                for (int k = 0; k < bytes[a] / 2; k++) sum += brief(a, r, k) * brief(b, k / 2, 2 * n + k % 2);
                std::memcpy(numbers[sums][r] + 4 * n, &sum, 4);
            }
    }

    template <class Byte>
    void multiply_bytes(int sums, int a, int b) {
        check(sums, a, b);
        for (int r = 0; r < rows[a]; r++)
            for (int n = 0; n < bytes[b] / 4; n++) {
                int32_t sum;
                std::memcpy(&sum, numbers[sums][r] + 4 * n, 4);
                for (int k = 0; k < bytes[a]; k++)
                    sum += static_cast<Byte>(numbers[a][r][k]) * static_cast<int8_t>(numbers[b][k / 4][4 * n + k % 4]);
                std::memcpy(numbers[sums][r] + 4 * n, &sum, 4);
            }
    }

  private:
    void check(int sums, int a, int b) const {
        if (rows[sums] != rows[a] || rows[b] * 4 != bytes[a] || bytes[sums] != bytes[b]) std::abort();  // as the processor does
    }
    float number(int tile, int row, int column) const {
        float x;
        std::memcpy(&x, numbers[tile][row] + 4 * column, 4);
        return x;
    }
    float brief(int tile, int row, int column) const {
        uint16_t half;
        std::memcpy(&half, numbers[tile][row] + 2 * column, 2);
        const uint32_t bits = uint32_t(half) << 16;
        float x;
        std::memcpy(&x, &bits, 4);
        return x;
    }
};

}  // namespace modernbert

// The compiler's header of vector instructions has some of these for itself.
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#undef _tile_dpbssd
#undef _tile_dpbusd
#define _tile_loadconfig(from) LoopTiles::mine().shape(from)
#define _tile_release() (LoopTiles::mine() = {})
#define _tile_zero(tile) std::memset(LoopTiles::mine().numbers[tile], 0, 16 * 64)
#define _tile_loadd(tile, from, stride) LoopTiles::mine().load(tile, from, stride)
#define _tile_stored(tile, to, stride) LoopTiles::mine().store(tile, to, stride)
#define _tile_dpbf16ps(sums, a, b) LoopTiles::mine().multiply(sums, a, b)
#define _tile_dpbssd(sums, a, b) LoopTiles::mine().multiply_bytes<int8_t>(sums, a, b)
#define _tile_dpbusd(sums, a, b) LoopTiles::mine().multiply_bytes<uint8_t>(sums, a, b)
