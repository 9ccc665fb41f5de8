// Attention over packed documents, whole ones or a window: tiles of scores that never leave the first-level cache, softmax
// on the way (Milakov and Gimelshein, arXiv 1805.02867). Keys lie in blocks of PANEL keys, values in panels of PANEL columns;
// where numbers are multiplied STEP at a time, keys hold STEP neighbours of a head side by side, and values STEP tokens.
#pragma once
#include <cmath>
#include <limits>
#include <vector>

#include "linear.h"
#include "places.h"

namespace modernbert {

constexpr int QUERIES = 8 * ROWS;  // of one task
constexpr int LARGEST_HEAD = 128;
constexpr int KEYS = 256;          // of one step; their blocks and values (128 KB at head size 64) stay in the second-level cache

template <class Number, class Out>
struct Heads {
    const typename Number::Row* q;  // a token's are `stride` numbers behind the one's before, a head's `apart`
    long stride, apart;
    const typename Number::Weight* k;  // [H, blocks, size / STEP, PANEL, STEP]
    const typename Number::Weight* v;  // [H, size / PANEL, blocks * PANEL / STEP, PANEL, STEP]
    Out* out;                          // [T, out_stride], head h at h * size
    long out_stride;
    long tokens, heads, size;
    float* norms;                      // [T, H, 2], for the backward pass, or absent (0): what scores are below, and what weights are times
    long blocks() const { return (tokens + PANEL - 1) / PANEL; }
};

constexpr float PER_E = 1.44269504089f;  // log2(e): e^x is 2^(PER_E x)

// Which keys a query sees: so many tokens before and behind it, ends included.
struct Window {
    long left, right;
    static Window all() { return {1L << 40, 1L << 40}; }
    static Window both(long reach) { return {reach, reach}; }
};

// Queries first .. first + count - 1 of a document at start .. end.
struct Item {
    long first, count, start, end;
};

inline std::vector<Item> items_of(const int64_t* offsets, long documents) {
    std::vector<Item> items;
    for (long n = 0; n < documents; n++) {
        const long start = offsets[n], end = offsets[n + 1], parts = (end - start + QUERIES - 1) / QUERIES;
        for (long i = 0, first = start; i < parts; i++) {
            const long count = (end - start) / parts + (i < (end - start) % parts);
            items.push_back({first, count, start, end});
            first += count;
        }
    }
    return items;
}

template <class Number>
struct Attention {
    typedef typename Number::Row Row;
    static constexpr long STEP = Number::STEP;
    static constexpr bool IS_EXACT = std::is_same_v<Row, float>;
    static constexpr long WIDTH = KEYS + 2 * PANEL;
    static constexpr int HEIGHT = Products<Number>::HEIGHT;
    alignas(64) float scores[HEIGHT][WIDTH];
    alignas(64) Row shares[IS_EXACT ? 1 : HEIGHT][IS_EXACT ? 1 : WIDTH];  // the same, in fewer bits
    alignas(64) float sums[QUERIES][LARGEST_HEAD];
    float most[QUERIES], weight[QUERIES];
    long size;  // of a head

    template <class Out>
    void run(Products<Number>& products, const Heads<Number, Out>& heads, const Item& item, long head, Window window, float scale) {
        size = heads.size;
        const long numbers = heads.blocks() * PANEL * size;
        const auto *k = heads.k + head * numbers, *v = heads.v + head * numbers;
        const long low = std::max(item.start, item.first - window.left);
        const long high = std::min(item.end, item.first + item.count + window.right);
        for (long i = 0; i < item.count; i++) {
            most[i] = -std::numeric_limits<float>::infinity();
            weight[i] = 0;
        }
        for (long i = 0; i < item.count; i++) std::memset(sums[i], 0, sizeof(float) * size);
        for (long begin = low; begin < high; begin += KEYS) {
            const long stop = std::min(high, begin + KEYS);
            for_tiles<HEIGHT>(item.count, [&](long offset, int height) {
                const long query = item.first + offset;
                const long from = std::max(begin, query - window.left);
                const long to = std::min(stop, query + height + window.right);
                if (from >= to) return;
                const Row* q = heads.q + query * heads.stride + head * heads.apart;
                step(products, height, q, heads.stride, k, v, heads.blocks() * PANEL, offset, query, from, to, window, scale * PER_E);
            });
        }
        for (long i = 0; i < item.count; i++) {
            Out* out = heads.out + (item.first + i) * heads.out_stride + head * size;
            const V share = all(1 / weight[i]);
            for (long d = 0; d < size; d += W) put(out + d, load(&sums[i][d]) * share);
            if (heads.norms) {
                float* norm = heads.norms + ((item.first + i) * heads.heads + head) * 2;
                norm[0] = most[i] * (scale * PER_E), norm[1] = 1 / weight[i];
            }
        }
    }

  private:
    // Queries query .. query + height - 1 against keys from .. to - 1.
    INLINE void step(Products<Number>& products, int height, const Row* q, long stride, const typename Number::Weight* k,
                     const typename Number::Weight* v, long places, long offset, long query, long from, long to, Window window, float scale) {
        const long first_block = from / PANEL, last_block = (to - 1) / PANEL + 1, base = first_block * PANEL;
        for (long block = first_block; block < last_block; block++)
            products.template run<false>(&scores[0][(block - first_block) * PANEL], WIDTH, height, q, stride, k + block * size * PANEL, size);
        const long width = (last_block - first_block) * PANEL;
        for (int r = 0; r < height; r++) {
            const long own_from = std::max(from, query + r - window.left);
            const long own_to = std::min(to, query + r + window.right + 1);
            soften(scores[r], width, own_from - base, own_to - base, offset + r, scale);
            if constexpr (!IS_EXACT) Number::round(scores[r], width, shares[r]);
        }
        const Row* share;
        if constexpr (IS_EXACT) share = scores[0];
        else share = shares[0];
        const long whole_from = (from + STEP - 1) / STEP * STEP, whole_to = std::max(whole_from, to / STEP * STEP);
        const auto add = [&](long d, long start, const typename Number::Weight* some, long depth) {
            products.template run<true>(&sums[offset][d], LARGEST_HEAD, height, share + (start - base), WIDTH, some, depth);
        };
        for (long d = 0; d < size; d += PANEL) {
            const auto* panel = v + d * places;
            if (from < whole_from) add(d, from / STEP * STEP, part_of_step(panel, from / STEP * STEP, from, to).numbers, STEP);
            add(d, whole_from, panel + whole_from * PANEL, whole_to - whole_from);
            if (whole_to < to) add(d, whole_to, part_of_step(panel, whole_to, from, to).numbers, STEP);
        }
    }

    struct Part {
        alignas(64) typename Number::Weight numbers[PANEL * STEP];
    };

    // The keys of one step that are among from .. to - 1; what else it holds, of another document, may be no number.
    static Part part_of_step(const typename Number::Weight* panel, long start, long from, long to) {
        Part own;
        for (long i = 0; i < PANEL * STEP; i++) {
            const long key = start + i % STEP;
            own.numbers[i] = key >= from && key < to ? panel[start * PANEL + i] : 0;
        }
        return own;
    }

    // Scores to weights, for the keys from .. to - 1 that the query sees; 0 for the others. Earlier sums shrink to match.
    void soften(float* row, long width, long from, long to, long query, float scale) {
        if (from >= to) {
            std::memset(row, 0, width * sizeof(float));
            return;
        }
        const float none = -std::numeric_limits<float>::infinity();
        const long left = from / W * W, right = (to + W - 1) / W * W;
        for (long i = 0; i < from; i++) row[i] = i < left ? 0 : none;
        for (long i = to; i < width; i++) row[i] = i < right ? none : 0;
        V high = load(row + left);
        for (long i = left + W; i < right; i += W) high = larger(high, load(row + i));
        const float before = most[query], now = std::max(before, largest(high));
        const V shift = all(now * scale), factor = all(scale);
        V total{};
        for (long i = left; i < right; i += W) {
            const V share = exp2(load(row + i) * factor - shift);
            store(row + i, share);
            total += share;
        }
        if (now != before) {
            const float shrink = before == none ? 0 : std::exp2((before - now) * scale);
            weight[query] *= shrink;
            for (long d = 0; d < size; d += W) store(&sums[query][d], load(&sums[query][d]) * all(shrink));
            most[query] = now;
        }
        weight[query] += sum(total);
    }
};

template <class Number, class Out>
void attend(Pool& pool, const Heads<Number, Out>& heads, const std::vector<Item>& items, Window window) {
    const float scale = 1 / std::sqrt(static_cast<float>(heads.size));
    // A task is one head's share of neighbouring items, about QUERIES queries together: tiny documents are not tiny tasks.
    std::vector<long> starts{0};
    for (long i = 0, queries = 0; i < static_cast<long>(items.size()); i++) {
        if (queries > 0 && queries + items[i].count > QUERIES) starts.push_back(i), queries = 0;
        queries += items[i].count;
    }
    starts.push_back(items.size());
    const long groups = starts.size() - 1;
    pool.run(groups * heads.heads, [&](long task) {
        static thread_local Attention<Number> one;
        const long head = task / groups, group = task % groups;
        Products<Number> products;
        for (long i = starts[group]; i < starts[group + 1]; i++) one.run(products, heads, items[i], head, window, scale);
    });
}

}  // namespace modernbert
