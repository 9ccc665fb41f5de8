// The doors of modernbert.h: a whole encoder in one call, and attention by itself.
#include "modernbert.h"

#include <cstdlib>
#include <new>

#include "activations.h"
#include "attention.h"
#include "linear.h"
#include "pool.h"

namespace modernbert {
namespace {

// Memory of one call, aligned for vectors.
class Room {
  public:
    explicit Room(long floats) : start_(static_cast<float*>(std::aligned_alloc(64, (floats * 4 + 127) / 64 * 64))) {
        if (!start_) throw std::bad_alloc();
    }
    ~Room() { std::free(start_); }
    Room(const Room&) = delete;
    operator float*() const { return start_; }

  private:
    float* start_;
};

template <class Body>
bool with_size(long size, const Body& body) {
    if (size == 64) return body(std::integral_constant<int, 64>()), true;
    if (size == 32) return body(std::integral_constant<int, 32>()), true;
    if (size == 128) return body(std::integral_constant<int, 128>()), true;
    return false;
}

constexpr long SOME_ROWS = 16;  // of a task that walks over rows once

template <class Body>
void for_rows(Pool& pool, long rows, const Body& body) {
    pool.run((rows + SOME_ROWS - 1) / SOME_ROWS, [&](long task) {
        for (long row = task * SOME_ROWS; row < std::min(rows, (task + 1) * SOME_ROWS); row++) body(row);
    });
}

// Where a token's key goes: blocks of PANEL keys, head size by PANEL each.
INLINE float* key_place(float* k, long token, long head, long blocks, long size) {
    return k + ((head * blocks + token / PANEL) * size) * PANEL + token % PANEL;
}

class Forward {
  public:
    Forward(const ModernBertEncoder& model, Pool& pool, int threads, const int64_t* positions, const int64_t* offsets, long documents,
            float* x)
        : model_(model), pool_(pool), threads_(threads), positions_(positions), tokens_(offsets[documents]),
          size_(model.width / model.heads), blocks_((tokens_ + PANEL - 1) / PANEL), items_(items_of(offsets, documents)), x_(x),
          normed_(tokens_ * model.width),
          wide_(std::max(tokens_ * model.gate, tokens_ * model.width * 2 + model.heads * blocks_ * size_ * PANEL)) {}

    void run(const int64_t* ids) {
        const long width = model_.width;
        for_rows(pool_, tokens_, [&](long t) {
            layer_norm(model_.embeddings + ids[t] * width, model_.embeddings_norm, model_.eps, width, x_ + t * width);
        });
        for (long i = 0; i < model_.num_layers; i++) layer(model_.layers[i]);
        norm(model_.final_norm, x_);
    }

  private:
    void layer(const ModernBertLayer& layer) {
        const long width = model_.width, panels = width / PANEL;
        if (layer.attn_norm) norm(layer.attn_norm, normed_);
        const float* cos = layer.is_global ? model_.global_cos : model_.local_cos;
        const float* sin = layer.is_global ? model_.global_sin : model_.local_sin;
        float *q = wide_, *v = q + tokens_ * width, *k = v + tokens_ * width;
        multiply(pool_, threads_, layer.attn_norm ? normed_ : x_, tokens_, width, layer.wqkv, 3 * panels,
                 [&](long row, long panel, auto& acc) {
                     if (panel < panels) rotate_queries(row, panel, acc, cos, sin, q);
                     else if (panel < 2 * panels) rotate_keys(row, panel - panels, acc, cos, sin, k);
                     else keep_values(row, panel - 2 * panels, acc, v);
                 });
        const Heads heads{q, width, k, v, normed_, width, tokens_, model_.heads, size_};
        with_size(size_, [&](auto size) {
            attend<decltype(size)::value>(pool_, heads, items_, layer.is_global ? Window::all() : Window::both(model_.reach));
        });
        add(normed_, width, layer.wo);
        norm(layer.mlp_norm, normed_);
        float* gated = wide_;
        multiply(pool_, threads_, normed_, tokens_, width, layer.wi, 2 * model_.gate / PANEL, [&](long row, long panel, auto& acc) {
            constexpr int M = sizeof(acc) / sizeof(acc[0]);
#pragma GCC unroll 12
            for (int r = 0; r < M; r++)
#pragma GCC unroll 2
                for (int i = 0; i < NV / 2; i++)
                    store(gated + (row + r) * model_.gate + panel * PANEL / 2 + i * W, gelu(acc[r][i]) * acc[r][i + NV / 2]);
        });
        add(gated, model_.gate, layer.mlp_wo);
    }

    void norm(const float* weight, float* to) {
        for_rows(pool_, tokens_, [&](long t) {
            layer_norm(x_ + t * model_.width, weight, model_.eps, model_.width, to + t * model_.width);
        });
    }

    // x += rows . weight
    void add(const float* rows, long depth, const float* weight) {
        multiply(pool_, threads_, rows, tokens_, depth, weight, model_.width / PANEL, [&](long row, long panel, auto& acc) {
            constexpr int M = sizeof(acc) / sizeof(acc[0]);
#pragma GCC unroll 12
            for (int r = 0; r < M; r++)
#pragma GCC unroll 4
                for (int i = 0; i < NV; i++) {
                    float* place = x_ + (row + r) * model_.width + panel * PANEL + i * W;
                    store(place, load(place) + acc[r][i]);
                }
        });
    }

    // The panel's place in its head: which head, and the first of its PANEL / 2 pairs.
    long head_of(long panel) const { return panel * PANEL / size_; }
    long pair_of(long panel) const { return panel * PANEL % size_ / 2; }

    template <int M>
    INLINE void rotate(long row, long pair, V (&acc)[M][NV], const float* cos, const float* sin) {
#pragma GCC unroll 12
        for (int r = 0; r < M; r++) {
            const long angle = positions_[row + r] * (size_ / 2) + pair;
#pragma GCC unroll 2
            for (int i = 0; i < NV / 2; i++) {
                const V c = load(cos + angle + i * W), s = load(sin + angle + i * W), near = acc[r][i], far = acc[r][i + NV / 2];
                acc[r][i] = near * c - far * s;
                acc[r][i + NV / 2] = far * c + near * s;
            }
        }
    }

    template <int M>
    INLINE void rotate_queries(long row, long panel, V (&acc)[M][NV], const float* cos, const float* sin, float* q) {
        const long pair = pair_of(panel);
        rotate(row, pair, acc, cos, sin);
#pragma GCC unroll 12
        for (int r = 0; r < M; r++) {
            float* to = q + (row + r) * model_.width + head_of(panel) * size_ + pair;
#pragma GCC unroll 2
            for (int i = 0; i < NV / 2; i++) {
                store(to + i * W, acc[r][i]);
                store(to + size_ / 2 + i * W, acc[r][i + NV / 2]);
            }
        }
    }

    template <int M>
    INLINE void rotate_keys(long row, long panel, V (&acc)[M][NV], const float* cos, const float* sin, float* k) {
        const long pair = pair_of(panel);
        rotate(row, pair, acc, cos, sin);
        for (int r = 0; r < M; r++) {
            float* to = key_place(k, row + r, head_of(panel), blocks_, size_) + pair * PANEL;
            alignas(64) float lanes[PANEL];
#pragma GCC unroll 4
            for (int i = 0; i < NV; i++) store(lanes + i * W, acc[r][i]);
            for (int j = 0; j < PANEL / 2; j++) {
                to[j * PANEL] = lanes[j];
                to[(size_ / 2 + j) * PANEL] = lanes[PANEL / 2 + j];
            }
        }
    }

    template <int M>
    INLINE void keep_values(long row, long panel, V (&acc)[M][NV], float* v) {
        float* to = v + (head_of(panel) * tokens_ + row) * size_ + panel * PANEL % size_;
#pragma GCC unroll 12
        for (int r = 0; r < M; r++)
#pragma GCC unroll 4
            for (int i = 0; i < NV; i++) store(to + r * size_ + i * W, acc[r][i]);
    }

    const ModernBertEncoder& model_;
    Pool& pool_;
    const int threads_;
    const int64_t* positions_;
    const long tokens_, size_, blocks_;
    const std::vector<Item> items_;
    float* x_;
    Room normed_, wide_;
};

}  // namespace
}  // namespace modernbert

using namespace modernbert;

int64_t modernbert_panel(void) { return PANEL; }

int64_t modernbert_takes_head_size(int64_t size) { return size % PANEL == 0 && with_size(size, [](auto) {}); }

int64_t modernbert_attend(const float* q, const float* k, const float* v, int64_t stride, float* out, int64_t heads, int64_t size,
                          const int64_t* offsets, int64_t documents, int64_t left, int64_t right, int64_t threads) {
    if (!modernbert_takes_head_size(size)) return -2;
    try {
        const long tokens = offsets[documents], blocks = (tokens + PANEL - 1) / PANEL;
        Room keys(heads * blocks * size * PANEL), values(heads * tokens * size);
        Borrowed pool(threads);
        (*pool).run(blocks, [&](long block) {
            for (long head = 0; head < heads; head++)
                for (long t = block * PANEL; t < std::min(tokens, (block + 1) * PANEL); t++) {
                    float* key = key_place(keys, t, head, blocks, size);
                    for (long d = 0; d < size; d++) key[d * PANEL] = k[t * stride + head * size + d];
                    std::memcpy(values + (head * tokens + t) * size, v + t * stride + head * size, size * sizeof(float));
                }
        });
        const Heads all_heads{q, stride, keys, values, out, heads * size, tokens, heads, size};
        with_size(size, [&](auto known) { attend<decltype(known)::value>(*pool, all_heads, items_of(offsets, documents), {left, right}); });
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

int64_t modernbert_encode(const ModernBertEncoder* encoder, const int64_t* ids, const int64_t* positions, const int64_t* offsets,
                          int64_t documents, int64_t threads, float* out) {
    const long size = encoder->width / encoder->heads;
    if (!modernbert_takes_head_size(size) || encoder->gate * 2 % PANEL) return -2;
    try {
        Borrowed pool(threads);
        Forward(*encoder, *pool, threads, positions, offsets, documents, out).run(ids);
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

int64_t modernbert_changed(const void* const* weights, const int64_t* bytes, int64_t count, uint32_t* seen, int64_t records) {
    constexpr int64_t PLACES = 4;
    bool changed = false;
    for (int64_t i = 0; i < count; i++)
        for (int64_t place = 0; place < PLACES; place++) {
            uint32_t found;
            std::memcpy(&found, static_cast<const char*>(weights[i]) + bytes[i] / 4 * place / PLACES * 4, 4);
            changed |= found != seen[i * PLACES + place];
            if (records) seen[i * PLACES + place] = found;
        }
    return changed;
}
