// The doors of modernbert.h: a whole encoder in one call, and attention by itself.
#include "modernbert.h"

#include <cstdlib>
#include <new>

#include "activations.h"
#include "attention.h"
#include "gradients.h"
#include "linear.h"
#include "places.h"
#include "pool.h"
#include "room.h"
#include "rows.h"
#include "tiles.h"

namespace modernbert {
namespace {

constexpr long SOME_ROWS = 16;  // of a task that walks over rows once

template <class Body>
void for_rows(Pool& pool, long rows, const Body& body) {
    pool.run((rows + SOME_ROWS - 1) / SOME_ROWS, [&](long task) {
        for (long row = task * SOME_ROWS; row < std::min(rows, (task + 1) * SOME_ROWS); row++) body(row);
    });
}

template <class Number>
class Forward {
    typedef std::conditional_t<std::is_same_v<Number, Whole>, Exact, Number> Score;  // attention's numbers
    typedef typename Score::Row Part;                                               // of a query, a key, a value
    static constexpr bool IS_EXACT = std::is_same_v<Number, Exact>;

  public:
    Forward(const ModernBertEncoder& model, Pool& pool, int threads, const int64_t* positions, const int64_t* offsets, long documents,
            float* x)
        : model_(model), pool_(pool), threads_(threads), positions_(positions), tokens_(offsets[documents]),
          size_(model.width / model.heads), blocks_((tokens_ + PANEL - 1) / PANEL), items_(items_of(offsets, documents)), x_(x),
          narrow_(tokens_ * model.width), gated_(tokens_ * model.gate),
          parts_(tokens_ * model.width + 2 * model.heads * blocks_ * PANEL * size_),
          rows_(IS_EXACT ? 0 : tokens_ * std::max(model.width, model.gate)), worth_(IS_EXACT ? 0 : tokens_) {}

    void run(const int64_t* ids) {
        const long width = model_.width;
        for_rows(pool_, tokens_, [&](long t) {
            layer_norm(model_.embeddings + ids[t] * width, model_.embeddings_norm, model_.eps, width, x_ + t * width);
        });
        for (long i = 0; i < model_.num_layers; i++) layer(model_.layers[i]);
        for_rows(pool_, tokens_, [&](long t) { layer_norm(x_ + t * width, model_.final_norm, model_.eps, width, x_ + t * width); });
    }

  private:
    void layer(const ModernBertLayer& layer) {
        const long width = model_.width, panels = width / PANEL;
        const float* cos = layer.is_global ? model_.global_cos : model_.local_cos;
        const float* sin = layer.is_global ? model_.global_sin : model_.local_sin;
        Part *q = parts_, *k = q + tokens_ * width, *v = k + model_.heads * blocks_ * PANEL * size_;
        multiply(pool_, threads_, layer.attn_norm ? normed(layer.attn_norm) : ready(x_, width), tokens_, width, panels_of(layer.wqkv),
                 3 * panels, [&](long row, long panel, auto& acc) {
                     if (panel < panels) rotate_queries(row, panel, acc, cos, sin, q);
                     else if (panel < 2 * panels) rotate_keys(row, panel - panels, acc, cos, sin, k);
                     else keep_values(row, panel - 2 * panels, acc, v);
                 });
        const Heads<Score, float> heads{q, size_, tokens_ * size_, k, v, narrow_, width, tokens_, model_.heads, size_, nullptr};
        attend(pool_, heads, items_, layer.is_global ? Window::all() : Window::both(model_.reach));
        add(ready(narrow_, width), width, layer.wo);
        multiply(pool_, threads_, normed(layer.mlp_norm), tokens_, width, panels_of(layer.wi), 2 * model_.gate / PANEL,
                 [&](long row, long panel, auto& acc) {
                     constexpr int M = sizeof(acc) / sizeof(acc[0]);
#pragma GCC unroll 12
                     for (int r = 0; r < M; r++)
#pragma GCC unroll 2
                         for (int i = 0; i < NV / 2; i++)
                             store(gated_ + (row + r) * model_.gate + panel * PANEL / 2 + i * W, gelu(acc[r][i]) * acc[r][i + NV / 2]);
                 });
        add(ready(gated_, model_.gate), model_.gate, layer.mlp_wo);
    }

    static Panels<Number> panels_of(const ModernBertWeight& weight) {
        return {static_cast<const typename Number::Weight*>(weight.numbers), weight.worth};
    }

    // Rows in the numbers that are multiplied.
    Rows<Number> ready(const float* rows, long depth) {
        if constexpr (IS_EXACT) return {rows, nullptr};
        else {
            for_rows(pool_, tokens_, [&](long t) { ready(rows + t * depth, depth, t); });
            return {rows_, worth_};
        }
    }
    INLINE void ready(const float* row, long depth, long t) {
        if constexpr (std::is_same_v<Number, Whole>) worth_[t] = Whole::round(row, depth, rows_ + t * depth);
        else if constexpr (std::is_same_v<Number, Brief>) Brief::round(row, depth, rows_ + t * depth);
    }

    Rows<Number> normed(const float* weight) {
        const long width = model_.width;
        for_rows(pool_, tokens_, [&](long t) {
            layer_norm(x_ + t * width, weight, model_.eps, width, narrow_ + t * width);
            ready(narrow_ + t * width, width, t);
        });
        if constexpr (IS_EXACT) return {narrow_, nullptr};
        else return {rows_, worth_};
    }

    // x += rows . weight
    void add(Rows<Number> rows, long depth, const ModernBertWeight& weight) {
        multiply(pool_, threads_, rows, tokens_, depth, panels_of(weight), model_.width / PANEL, [&](long row, long panel, auto& acc) {
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
    INLINE void rotate_queries(long row, long panel, V (&acc)[M][NV], const float* cos, const float* sin, Part* q) {
        const long pair = pair_of(panel);
        rotate(row, pair, acc, cos, sin);
#pragma GCC unroll 12
        for (int r = 0; r < M; r++) {
            Part* to = q + (head_of(panel) * tokens_ + row + r) * size_ + pair;
#pragma GCC unroll 2
            for (int i = 0; i < NV / 2; i++) {
                put(to + i * W, acc[r][i]);
                put(to + size_ / 2 + i * W, acc[r][i + NV / 2]);
            }
        }
    }

    template <int M>
    INLINE void rotate_keys(long row, long panel, V (&acc)[M][NV], const float* cos, const float* sin, Part* k) {
        const long pair = pair_of(panel);
        rotate(row, pair, acc, cos, sin);
        for (int r = 0; r < M; r++) {
            alignas(64) float lanes[PANEL];
#pragma GCC unroll 4
            for (int i = 0; i < NV; i++) store(lanes + i * W, acc[r][i]);
            for (int half = 0; half < 2; half++) {
                const long d = pair + half * size_ / 2;
                Part* to = k + key_place<Score::STEP>(row + r, head_of(panel), d, blocks_, size_);
                for (int j = 0; j < PANEL / 2; j++)
                    put_one(to + j / Score::STEP * Score::STEP * PANEL + j % Score::STEP, lanes[half * PANEL / 2 + j]);
            }
        }
    }

    template <int M>
    INLINE void keep_values(long row, long panel, V (&acc)[M][NV], Part* v) {
        const long d = panel * PANEL % size_;
        for (int r = 0; r < M; r++) {
            Part* to = v + value_place<Score::STEP>(row + r, head_of(panel), d, blocks_, size_);
            if constexpr (Score::STEP == 1) {
#pragma GCC unroll 4
                for (int i = 0; i < NV; i++) put(to + i * W, acc[r][i]);
            } else {
                alignas(64) float lanes[PANEL];
#pragma GCC unroll 4
                for (int i = 0; i < NV; i++) store(lanes + i * W, acc[r][i]);
                for (int j = 0; j < PANEL; j++) put_one(to + j * Score::STEP, lanes[j]);
            }
        }
    }

    const ModernBertEncoder& model_;
    Pool& pool_;
    const int threads_;
    const int64_t* positions_;
    const long tokens_, size_, blocks_;
    const std::vector<Item> items_;
    float* x_;
    Room<float> narrow_, gated_;
    Room<Part> parts_;
    Room<typename Number::Row> rows_;
    Room<float> worth_;
};

}  // namespace
}  // namespace modernbert

using namespace modernbert;

int64_t modernbert_ready(void) { return has_tiles() ? 0 : -3; }

int64_t modernbert_panel(void) { return PANEL; }

int64_t modernbert_step(int64_t numbers) {
    return numbers == MODERNBERT_FLOAT32 ? Exact::STEP : numbers == MODERNBERT_BFLOAT16 ? Brief::STEP : Whole::STEP;
}

int64_t modernbert_takes_head_size(int64_t size) { return size > 0 && size % PANEL == 0 && size <= LARGEST_HEAD; }

namespace {

template <class Number>
void attend_from(Pool& pool, const void* q, const void* k, const void* v, long stride, void* out, float* norms, long heads, long size,
                 const int64_t* offsets, long documents, Window window) {
    typedef typename Number::Row Part;
    const auto *queries = static_cast<const Part*>(q), *from_k = static_cast<const Part*>(k), *from_v = static_cast<const Part*>(v);
    const long tokens = offsets[documents], blocks = (tokens + PANEL - 1) / PANEL;
    Room<Part> keys(heads * blocks * PANEL * size), values(heads * blocks * PANEL * size);
    pool.run(blocks, [&](long block) {
        const long first = block * PANEL, count = std::min(long(PANEL), tokens - first);
        for (long head = 0; head < heads; head++) {
            const long place = first * stride + head * size;
            to_keys<Number>(from_k + place, stride, count, size, keys + key_place<Number::STEP>(first, head, 0, blocks, size));
            to_values<Number>(from_v + place, stride, count, size, values + value_place<Number::STEP>(first, head, 0, blocks, size), blocks * PANEL);
        }
    });
    const Heads<Number, Part> all_heads{queries, stride, size, keys, values, static_cast<Part*>(out), heads * size, tokens, heads, size, norms};
    attend(pool, all_heads, items_of(offsets, documents), window);
}

// body(number) in the numbers asked for; what is returned is a call's result.
template <class Body>
int64_t guarded(int64_t numbers, const Body& body) {
    try {
        if (numbers == MODERNBERT_FLOAT32) body(Exact());
        else if (numbers == MODERNBERT_BFLOAT16) body(Brief());
        else return -2;
    } catch (const std::bad_alloc&) {
        return -1;
    }
    return 0;
}

}  // namespace

int64_t modernbert_attend(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, void* out, float* norms,
                          int64_t heads, int64_t size, const int64_t* offsets, int64_t documents, int64_t left, int64_t right, int64_t threads) {
    if (!modernbert_takes_head_size(size)) return -2;
    return guarded(numbers, [&](auto number) {
        Borrowed pool(threads, Threads::TORCHS);
        attend_from<decltype(number)>(*pool, q, k, v, stride, out, norms, heads, size, offsets, documents, {left, right});
    });
}

int64_t modernbert_attend_backward(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, const void* out,
                                   const float* norms, const void* grad_out, void* grad_q, void* grad_k, void* grad_v, int64_t grad_stride,
                                   int64_t heads, int64_t size, const int64_t* offsets, int64_t documents, int64_t left, int64_t right,
                                   int64_t threads) {
    if (!modernbert_takes_head_size(size)) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        const auto in = [](const void* x) { return static_cast<const Part*>(x); };
        const auto to = [](void* x) { return static_cast<Part*>(x); };
        Borrowed pool(threads, Threads::TORCHS);
        const Gradients<decltype(number)> gradients{in(q), in(k), in(v), stride, in(out), in(grad_out), norms,
                                                    to(grad_q), to(grad_k), to(grad_v), grad_stride, heads, size};
        attend_backward(*pool, gradients, offsets, documents, {left, right});
    });
}

int64_t modernbert_turn(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, void* to_q, void* to_k, void* to_v,
                        int64_t to_stride, int64_t tokens, int64_t heads, int64_t size, const float* cos, const float* sin, int64_t sign,
                        int64_t threads) {
    if (size / 2 % W || size % 2) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        const Three<const Part> from{static_cast<const Part*>(q), static_cast<const Part*>(k), static_cast<const Part*>(v), stride};
        const Three<Part> to{static_cast<Part*>(to_q), static_cast<Part*>(to_k), static_cast<Part*>(to_v), to_stride};
        Borrowed pool(threads, Threads::TORCHS);
        for_rows(*pool, tokens, [&](long t) { turn<Part>(from, to, t, heads, size, cos + t * (size / 2), sin + t * (size / 2), sign); });
    });
}

int64_t modernbert_gate(int64_t numbers, const void* both, void* out, int64_t tokens, int64_t width, int64_t threads) {
    if (width % W) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        Borrowed pool(threads, Threads::TORCHS);
        for_rows(*pool, tokens, [&](long t) { gate(static_cast<const Part*>(both) + t * 2 * width, width, static_cast<Part*>(out) + t * width); });
    });
}

int64_t modernbert_gate_backward(int64_t numbers, const void* both, const void* grad, void* grad_both, int64_t tokens, int64_t width,
                                 int64_t threads) {
    if (width % W) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        Borrowed pool(threads, Threads::TORCHS);
        for_rows(*pool, tokens, [&](long t) {
            gate_backward(static_cast<const Part*>(both) + t * 2 * width, static_cast<const Part*>(grad) + t * width, width,
                          static_cast<Part*>(grad_both) + t * 2 * width);
        });
    });
}

int64_t modernbert_norm(int64_t numbers, const float* x, const float* weight, float eps, void* out, int64_t tokens, int64_t width, int64_t threads) {
    if (width % W) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        Borrowed pool(threads, Threads::TORCHS);
        for_rows(*pool, tokens, [&](long t) { layer_norm(x + t * width, weight, eps, width, static_cast<Part*>(out) + t * width); });
    });
}

int64_t modernbert_norm_backward(int64_t numbers, const float* x, const float* weight, float eps, const void* grad, float* grad_x,
                                 float* grad_weight, int64_t tokens, int64_t width, int64_t threads) {
    if (width % W) return -2;
    return guarded(numbers, [&](auto number) {
        typedef typename decltype(number)::Row Part;
        constexpr long PARTS = 64;  // whatever the threads, so that sums have one order
        Borrowed pool(threads, Threads::TORCHS);
        Room<float> sums(PARTS * width);
        (*pool).run(PARTS, [&](long part) {
            std::memset(sums + part * width, 0, sizeof(float) * width);
            for (long t = tokens * part / PARTS; t < tokens * (part + 1) / PARTS; t++)
                layer_norm_backward(x + t * width, weight, eps, width, static_cast<const Part*>(grad) + t * width, grad_x + t * width, sums + part * width);
        });
        for (long i = 0; i < width; i += W) {
            V total{};
            for (long part = 0; part < PARTS; part++) total += load(sums + part * width + i);
            store(grad_weight + i, total);
        }
    });
}

int64_t modernbert_encode(const ModernBertEncoder* encoder, const int64_t* ids, const int64_t* positions, const int64_t* offsets,
                          int64_t documents, int64_t threads, float* out) {
    const long size = encoder->width / encoder->heads;
    if (offsets[documents] == 0) return 0;  // multiply divides by the number of its blocks of rows
    if (!modernbert_takes_head_size(size) || encoder->width % PANEL || encoder->gate * 2 % PANEL || encoder->gate % W) return -2;
    try {
        Borrowed pool(threads);
        const auto run = [&](auto number) {
            Forward<decltype(number)>(*encoder, *pool, threads, positions, offsets, documents, out).run(ids);
        };
        if (encoder->numbers == MODERNBERT_FLOAT32) run(Exact());
        else if (encoder->numbers == MODERNBERT_BFLOAT16) run(Brief());
        else if (encoder->numbers == MODERNBERT_INT8) run(Whole());
        else return -2;
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
