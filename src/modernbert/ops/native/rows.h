// What training does to rows between two matrix products, and the gradients of it.
#pragma once
#include "activations.h"
#include "numbers.h"
#include "places.h"

namespace modernbert {

// A token's queries, keys and values, wherever they lie, `stride` numbers from one token to the next.
template <class Part>
struct Three {
    Part *q, *k, *v;
    long stride;
};

// Turn queries and keys of one token by its angles (back, where `sign` is -1), take values as they are. Angles [size / 2].
template <class Part>
void turn(const Three<const Part>& from, const Three<Part>& to, long token, long heads, long size, const float* cos, const float* sin, float sign) {
    const long half = size / 2, begin = token * from.stride, end = token * to.stride;
    const Part* in[] = {from.q + begin, from.k + begin};
    Part* out[] = {to.q + end, to.k + end};
    for (int which = 0; which < 2; which++)
        for (long head = 0; head < heads * size; head += size)
            for (long i = 0; i < half; i += W) {
                const V c = load(cos + i), s = load(sin + i) * sign;
                const V near = widened(in[which] + head + i), far = widened(in[which] + head + half + i);
                put(out[which] + head + i, near * c - far * s);
                put(out[which] + head + half + i, far * c + near * s);
            }
    std::memcpy(to.v + end, from.v + begin, heads * size * sizeof(Part));
}

// gelu(first half) * second half
template <class Part>
void gate(const Part* both, long width, Part* out) {
    for (long i = 0; i < width; i += W) put(out + i, gelu(widened(both + i)) * widened(both + width + i));
}

template <class Part>
void gate_backward(const Part* both, const Part* grad, long width, Part* grad_both) {
    for (long i = 0; i < width; i += W) {
        const V x = widened(both + i), upstream = widened(grad + i);
        const Normal at = normal(x);
        const V below = x > V{} ? 1.0f - at.tail : at.tail;  // Phi(x)
        put(grad_both + i, upstream * widened(both + width + i) * (below + x * at.density));
        put(grad_both + width + i, upstream * x * below);
    }
}

// From the gradient of a normed row the one of the row; the weight's is added to.
template <class Part>
void layer_norm_backward(const float* row, const float* weight, float eps, long width, const Part* grad, float* grad_row, float* grad_weight) {
    const Spread at = spread(row, eps, width);
    V level{}, along{};
    for (long i = 0; i < width; i += W) {
        const V normed = (load(row + i) - at.mean) * at.scale, upstream = widened(grad + i), slope = upstream * load(weight + i);
        level += slope;
        along += slope * normed;
        store(grad_weight + i, load(grad_weight + i) + upstream * normed);
    }
    const V mean = all(sum(level) / width), share = all(sum(along) / width);
    for (long i = 0; i < width; i += W) {
        const V normed = (load(row + i) - at.mean) * at.scale;
        store(grad_row + i, at.scale * (widened(grad + i) * load(weight + i) - mean - normed * share));
    }
}

}  // namespace modernbert
