// The backward pass of attention: of one document's head at a time, in columns of PANEL queries. A tile holds keys in rows and
// queries in columns, so what belongs to a query (its norms, what its output owes) is a vector as it is.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "attention.h"
#include "places.h"
#include "room.h"

namespace modernbert {

constexpr long KEYS_BACKWARD = 128;  // of one step: its two tiles of scores lie in the first-level cache

template <class Number>
struct Gradients {
    typedef typename Number::Row Part;
    const Part *q, *k, *v;  // [T, heads, size], tokens `stride` apart
    long stride;
    const Part *out, *grad_out;  // [T, heads * size]
    const float* norms;          // [T, heads, 2], see Heads
    Part *grad_q, *grad_k, *grad_v;  // as q, tokens `grad_stride` apart
    long grad_stride, heads, size;
};

// What one thread needs for a document of up to `places` tokens, a multiple of PANEL.
template <class Number>
class Backward {
    typedef typename Number::Row Part;
    typedef typename Number::Weight Weight;
    static constexpr long STEP = Number::STEP;
    static constexpr bool IS_EXACT = std::is_same_v<Part, float>;
    static constexpr int HEIGHT = Products<Number>::HEIGHT;

  public:
    Backward(const Gradients<Number>& all, long places)
        : all_(all), size_(all.size), q_keys_(places * size_), grad_keys_(places * size_), q_values_(places * size_),
          grad_values_(places * size_), turned_(places * size_), k_sums_(places * size_), v_sums_(places * size_),
          shifts_(places), worths_(places), owed_(places), q_sums_(size_ * PANEL) {}

    void run(long start, long length, long head, Window window) {
        const long places = (length + PANEL - 1) / PANEL * PANEL;
        take(start, length, places, head);
        std::memset(k_sums_, 0, sizeof(float) * length * size_);
        std::memset(v_sums_, 0, sizeof(float) * length * size_);
        for (long first = 0; first < length; first += PANEL) queries(start, length, places, head, first, window);
        for (long t = 0; t < length; t++)
            for (long d = 0; d < size_; d += W) {
                const long place = (start + t) * all_.grad_stride + head * size_ + d;
                put(all_.grad_k + place, load(k_sums_ + t * size_ + d) * scale());
                put(all_.grad_v + place, load(v_sums_ + t * size_ + d));
            }
    }

  private:
    float scale() const { return 1 / std::sqrt(static_cast<float>(size_)); }

    // Lay the document's numbers out.
    void take(long start, long length, long places, long head) {
        for (long first = 0; first < places; first += PANEL) {
            const long count = std::min(long(PANEL), length - first), place = (start + first) * all_.stride + head * size_;
            const long out_place = ((start + first) * all_.heads + head) * size_, out_stride = all_.heads * size_;
            const Part* grad = all_.grad_out + out_place;
            to_keys<Number>(all_.q + place, all_.stride, count, size_, q_keys_ + first * size_);
            to_keys<Number>(grad, out_stride, count, size_, grad_keys_ + first * size_);
            to_values<Number>(all_.q + place, all_.stride, count, size_, q_values_ + first * PANEL, places);
            to_values<Number>(grad, out_stride, count, size_, grad_values_ + first * PANEL, places);
            to_columns(all_.k + place, all_.stride, count, size_, turned_ + first, places);
            for (long t = 0; t < PANEL; t++) {
                const bool is_there = t < count;
                const float* norm = all_.norms + ((start + first + t) * all_.heads + head) * 2;
                shifts_[first + t] = is_there ? norm[0] : std::numeric_limits<float>::infinity();  // where no query is, no weight
                worths_[first + t] = is_there ? norm[1] : 0;
                owed_[first + t] = is_there ? product(all_.out + out_place + t * out_stride, grad + t * out_stride) : 0;
            }
        }
    }

    float product(const Part* a, const Part* b) const {
        V total{};
        for (long d = 0; d < size_; d += STEP * W) total = Number::plus(total, Number::column(a + d), Number::column(b + d));
        return sum(total);
    }

    // Queries first .. first + PANEL - 1 of the document against all the keys that they see.
    void queries(long start, long length, long places, long head, long first, Window window) {
        const long count = std::min(long(PANEL), length - first);
        const long low = std::max(0L, first - window.left) / STEP * STEP, high = std::min(length, first + count + window.right);
        std::memset(q_sums_, 0, sizeof(float) * size_ * PANEL);
        for (long begin = low; begin < high; begin += KEYS_BACKWARD) step(start, places, head, first, begin, std::min(high, begin + KEYS_BACKWARD), window);
        for (long d = 0; d < size_; d += W)
            for (long token = 0; token < count; token += W) {
                I square[W];
                for (long i = 0; i < W; i++) std::memcpy(&square[i], q_sums_ + (d + i) * PANEL + token, sizeof(I));
                turn_square(square);
                Part* to = all_.grad_q + (start + first + token) * all_.grad_stride + head * size_ + d;
                for (long t = 0; t < std::min(long(W), count - token); t++) put(to + t * all_.grad_stride, as_floats(square[t]) * scale());
            }
    }

    void step(long start, long places, long head, long first, long begin, long end, Window window) {
        const long place = (start + begin) * all_.stride + head * size_;
        for_tiles<HEIGHT>(end - begin, [&](long offset, int height) {
            products_.template run<false>(scores_[offset], PANEL, height, all_.k + place + offset * all_.stride, all_.stride, q_keys_ + first * size_, size_);
            products_.template run<false>(slopes_[offset], PANEL, height, all_.v + place + offset * all_.stride, all_.stride, grad_keys_ + first * size_, size_);
            const long key = begin + offset;
            const bool all_see = key >= first + PANEL - 1 - window.left && key + height - 1 <= first + window.right;
            for (int r = 0; r < height; r++) all_see ? soften<false>(offset + r, first, key + r, window) : soften<true>(offset + r, first, key + r, window);
        });
        const Part *shares, *slopes;
        const Weight* panel;
        if constexpr (IS_EXACT) shares = scores_[0], slopes = panel = slopes_[0];
        else {
            pair_up(end - begin);
            shares = brief_scores_[0], slopes = brief_slopes_[0], panel = pairs_;
        }
        for_tiles<HEIGHT>(end - begin, [&](long offset, int height) {
            for (long d = 0; d < size_; d += PANEL) {
                const long to = (begin + offset) * size_ + d, from = d * places + first * PANEL;
                products_.template run<true>(v_sums_ + to, size_, height, shares + offset * PANEL, PANEL, grad_values_ + from, PANEL);
                products_.template run<true>(k_sums_ + to, size_, height, slopes + offset * PANEL, PANEL, q_values_ + from, PANEL);
            }
        });
        const long depth = (end - begin + STEP - 1) / STEP * STEP;
        for_tiles<HEIGHT>(size_, [&](long d, int height) {
            products_.template run<true>(q_sums_ + d * PANEL, PANEL, height, turned_ + d * places + begin, places, panel, depth);
        });
    }

    // A key's scores become the queries' weights on it, and the gradients of those weights the gradients of the scores.
    template <bool IS_PARTLY_SEEN>
    INLINE void soften(long row, long first, long key, Window window) {
        const V factor = all(scale() * PER_E);
        // a query `lane` tokens behind the first sees the key where  first + lane - left <= key <= first + lane + right
        const V most = all(std::min(key - first + window.left, 1L << 20)), least = all(std::max(key - first - window.right, -(1L << 20)));
#pragma GCC unroll 4
        for (int i = 0; i < NV; i++) {
            V share = exp2(load(scores_[row] + i * W) * factor - load(shifts_ + first + i * W)) * load(worths_ + first + i * W);
            if constexpr (IS_PARTLY_SEEN) {
                const V lane = lanes() + static_cast<float>(i * W);
                share = as_floats(as_bits(share) & (lane <= most) & (lane >= least));
            }
            const V slope = share * (load(slopes_[row] + i * W) - load(owed_ + first + i * W));
            store(scores_[row] + i * W, share);
            store(slopes_[row] + i * W, slope);
            if constexpr (!IS_EXACT) {
                put(brief_scores_[row] + i * W, share);
                put(brief_slopes_[row] + i * W, slope);
            }
        }
    }

    static INLINE V lanes() {
        V x;
        for (int i = 0; i < W; i++) x[i] = i;
        return x;
    }

    // Rows two by two, their numbers side by side.
    void pair_up(long rows) {
        if constexpr (!IS_EXACT) {
            static_assert(STEP == 2, "a pair");
            if (rows % STEP) std::memset(brief_slopes_[rows], 0, sizeof brief_slopes_[rows]);
            for (long r = 0; r < rows; r += STEP)
                for (long j = 0; j < PANEL; j += STEP * W) modernbert::pair_up(brief_slopes_[r] + j, brief_slopes_[r + 1] + j, pairs_ + (r * PANEL + j * STEP));
        }
    }

    const Gradients<Number>& all_;
    const long size_;
    Products<Number> products_;
    Room<Weight> q_keys_, grad_keys_, q_values_, grad_values_;
    Room<Part> turned_;              // [size, places]
    Room<float> k_sums_, v_sums_;    // [places, size]
    Room<float> shifts_, worths_, owed_;
    Room<float> q_sums_;             // [size, PANEL]
    alignas(64) float scores_[KEYS_BACKWARD][PANEL];
    alignas(64) float slopes_[KEYS_BACKWARD][PANEL];
    alignas(64) Part brief_scores_[IS_EXACT ? 1 : KEYS_BACKWARD][PANEL];
    alignas(64) Part brief_slopes_[IS_EXACT ? 1 : KEYS_BACKWARD][PANEL];
    alignas(64) Weight pairs_[IS_EXACT ? 1 : KEYS_BACKWARD * PANEL];
};

// Longest documents first, so that the last tasks are small; a document's head is one thread's alone, so sums have one order.
template <class Number>
void attend_backward(Pool& pool, const Gradients<Number>& all, const int64_t* offsets, long documents, Window window) {
    std::vector<long> order(documents);
    std::iota(order.begin(), order.end(), 0);
    const auto length = [&](long n) { return static_cast<long>(offsets[n + 1] - offsets[n]); };
    std::stable_sort(order.begin(), order.end(), [&](long a, long b) { return length(a) > length(b); });
    const long places = documents ? (length(order[0]) + PANEL - 1) / PANEL * PANEL : 0, threads = std::min(pool.threads(), documents * all.heads);
    std::vector<std::unique_ptr<Backward<Number>>> rooms;
    for (long i = 0; i < threads; i++) rooms.push_back(std::make_unique<Backward<Number>>(all, places));
    std::atomic<long> next{0};
    pool.run(threads, [&](long thread) {
        for (long task; (task = next.fetch_add(1)) < documents * all.heads;) {
            const long n = order[task / all.heads];
            rooms[thread]->run(offsets[n], length(n), task % all.heads, window);
        }
    });
}

}  // namespace modernbert
