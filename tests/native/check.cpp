// The kernels of modernbert.h against plain loops in double precision, in a program of its own: for processors and for
// vector widths that no Python runs on here, and for sanitizers. Says what differs, and returns how many things do.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "modernbert.h"

namespace {

std::mt19937 chance(1);

std::vector<float> numbers(long count, double scale = 1, double middle = 0) {
    std::normal_distribution<float> draw(middle, scale);
    std::vector<float> made(count);
    for (float& x : made) x = draw(chance);
    return made;
}

// [T, heads * size] in double precision, every pair of tokens by itself.
std::vector<double> attended(const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v, long heads, long size,
                             const std::vector<int64_t>& offsets, long left, long right) {
    std::vector<double> out(q.size());
    for (size_t n = 0; n + 1 < offsets.size(); n++)
        for (long i = offsets[n]; i < offsets[n + 1]; i++)
            for (long h = 0; h < heads; h++) {
                const long from = std::max(offsets[n], i - left), to = std::min(offsets[n + 1], i + right + 1);
                std::vector<double> scores;
                for (long j = from; j < to; j++) {
                    double score = 0;
                    for (long d = 0; d < size; d++) score += q[(i * heads + h) * size + d] * k[(j * heads + h) * size + d];
                    scores.push_back(score / std::sqrt(double(size)));
                }
                const double most = *std::max_element(scores.begin(), scores.end());
                double total = 0;
                for (double& score : scores) total += score = std::exp(score - most);
                for (long j = from; j < to; j++)
                    for (long d = 0; d < size; d++)
                        out[(i * heads + h) * size + d] += scores[j - from] / total * v[(j * heads + h) * size + d];
            }
    return out;
}

// Gradients of q, k and v, one after the other, from the one of the output; as plain as `attended`.
std::vector<double> attended_back(const std::vector<double> (&qkv)[3], const std::vector<double>& upstream, long heads, long size,
                                  const std::vector<int64_t>& offsets, long left, long right) {
    const auto& [q, k, v] = qkv;
    const auto out = attended(q, k, v, heads, size, offsets, left, right);
    std::vector<double> grads(3 * q.size());
    for (size_t n = 0; n + 1 < offsets.size(); n++)
        for (long i = offsets[n]; i < offsets[n + 1]; i++)
            for (long h = 0; h < heads; h++) {
                const long from = std::max(offsets[n], i - left), to = std::min(offsets[n + 1], i + right + 1), own = (i * heads + h) * size;
                std::vector<double> shares;
                double most = -INFINITY, total = 0, owed = 0;
                for (long j = from; j < to; j++) {
                    double score = 0;
                    for (long d = 0; d < size; d++) score += q[own + d] * k[(j * heads + h) * size + d];
                    shares.push_back(score / std::sqrt(double(size)));
                    most = std::max(most, shares.back());
                }
                for (double& share : shares) total += share = std::exp(share - most);
                for (long d = 0; d < size; d++) owed += out[own + d] * upstream[own + d];
                for (long j = from; j < to; j++) {
                    const long other = (j * heads + h) * size;
                    const double share = shares[j - from] / total;
                    double slope = -owed;
                    for (long d = 0; d < size; d++) slope += upstream[own + d] * v[other + d];
                    slope *= share / std::sqrt(double(size));
                    for (long d = 0; d < size; d++) {
                        grads[own + d] += slope * k[other + d];
                        grads[q.size() + other + d] += slope * q[own + d];
                        grads[2 * q.size() + other + d] += share * upstream[own + d];
                    }
                }
            }
    return grads;
}

double error(const std::vector<float>& found, const std::vector<double>& truth) {
    double most = 0;
    for (size_t i = 0; i < truth.size(); i++) {
        const double off = std::fabs(found[i] - truth[i]) / (1 + std::fabs(truth[i]));
        most = off <= most ? most : off;  // what is no number is not below anything
    }
    return most;
}

int failures = 0;

void expect(const char* what, long detail, double off, double allowed) {
    const bool fails = !(off <= allowed);
    failures += fails;
    if (fails || std::getenv("VERBOSE")) std::printf("%s %ld: off by %.1e, allowed %.0e%s\n", what, detail, off, allowed, fails ? " FAILS" : "");
}

std::vector<int64_t> offsets_of(const std::vector<long>& lengths) {
    std::vector<int64_t> offsets{0};
    for (long length : lengths) offsets.push_back(offsets.back() + length);
    return offsets;
}

const std::vector<std::vector<long>> LAYOUTS = {
    {1}, {0, 5, 0, 3, 0}, {63, 64, 65, 1, 2}, {300, 129, 7, 7, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17},
};

uint16_t brief(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// As the kernels take and give numbers of a kind, with what is lost on the way.
std::vector<char> stored(const std::vector<float>& some, int kind) {
    std::vector<char> made(some.size() * (kind == MODERNBERT_FLOAT32 ? 4 : 2));
    for (size_t i = 0; i < some.size(); i++) {
        const uint16_t half = brief(some[i]);
        if (kind == MODERNBERT_FLOAT32) std::memcpy(&made[4 * i], &some[i], 4);
        else std::memcpy(&made[2 * i], &half, 2);
    }
    return made;
}
std::vector<float> read(const std::vector<char>& from, int kind) {
    std::vector<float> made(from.size() / (kind == MODERNBERT_FLOAT32 ? 4 : 2));
    for (size_t i = 0; i < made.size(); i++) {
        uint32_t bits = 0;
        if (kind == MODERNBERT_FLOAT32) std::memcpy(&bits, &from[4 * i], 4);
        else std::memcpy(reinterpret_cast<char*>(&bits) + 2, &from[2 * i], 2);
        std::memcpy(&made[i], &bits, 4);
    }
    return made;
}

void check_attention(long size, int kind, double allowed, long threads) {
    const long heads = 2, far = 1L << 40;
    const long windows[][2] = {{far, far}, {64, 64}, {3, 5}, {90, 0}, {0, 0}};
    for (const auto& lengths : LAYOUTS) {
        const auto offsets = offsets_of(lengths);
        const long tokens = offsets.back(), stride = 3 * heads * size, each = kind == MODERNBERT_FLOAT32 ? 4 : 2, wide = heads * size * each;
        const auto qkv = stored(numbers(tokens * stride, 1.5), kind), upstream = stored(numbers(tokens * heads * size), kind);
        const auto exact = read(qkv, kind), exact_upstream = read(upstream, kind);
        std::vector<double> parts[3];
        for (int part = 0; part < 3; part++)
            for (long t = 0; t < tokens; t++)
                for (long d = 0; d < heads * size; d++) parts[part].push_back(exact[t * stride + part * heads * size + d]);
        for (const auto& window : windows) {
            std::vector<char> out(tokens * wide, -1), grads(3 * tokens * wide, -1);  // no numbers
            std::vector<float> norms(2 * tokens * heads, NAN);
            const char* q = qkv.data();
            if (modernbert_attend(kind, q, q + wide, q + 2 * wide, stride, out.data(), norms.data(), heads, size, offsets.data(),
                                  lengths.size(), window[0], window[1], threads) ||
                modernbert_attend_backward(kind, q, q + wide, q + 2 * wide, stride, out.data(), norms.data(), upstream.data(), grads.data(),
                                           grads.data() + wide, grads.data() + 2 * wide, stride, heads, size, offsets.data(), lengths.size(),
                                           window[0], window[1], threads))
                expect("attention refuses heads of", size, 1, 0);
            expect("attention, heads of", size, error(read(out, kind), attended(parts[0], parts[1], parts[2], heads, size, offsets, window[0], window[1])),
                   allowed);
            const auto truth = attended_back(parts, {exact_upstream.begin(), exact_upstream.end()}, heads, size, offsets, window[0], window[1]);
            std::vector<double> joint;
            for (long t = 0; t < tokens; t++)
                for (int part = 0; part < 3; part++)
                    for (long d = 0; d < heads * size; d++) joint.push_back(truth[part * parts[0].size() + t * heads * size + d]);
            expect("attention's gradients, heads of", size, error(read(grads, kind), joint), 2 * allowed);
        }
    }
}

// ---------------------------------------------------------------- the encoder

struct Shape {
    long width, heads, gate, layers, reach, vocabulary;
};

// Weights as a checkpoint has them, row by row; the two matrices of a layer's ends, and the two in between.
struct Layer {
    std::vector<float> attn_norm, wqkv, wo, mlp_norm, wi, mlp_wo;
};

std::vector<double> normed(const std::vector<double>& x, const std::vector<float>& weight, double eps) {
    const long width = weight.size();
    std::vector<double> out(x.size());
    for (size_t row = 0; row < x.size(); row += width) {
        double mean = 0, squares = 0;
        for (long i = 0; i < width; i++) mean += x[row + i] / width;
        for (long i = 0; i < width; i++) squares += (x[row + i] - mean) * (x[row + i] - mean) / width;
        for (long i = 0; i < width; i++) out[row + i] = (x[row + i] - mean) / std::sqrt(squares + eps) * weight[i];
    }
    return out;
}

std::vector<double> times(const std::vector<double>& x, const std::vector<float>& weight, long depth) {
    const long rows = x.size() / depth, columns = weight.size() / depth;
    std::vector<double> out(rows * columns);
    for (long r = 0; r < rows; r++)
        for (long n = 0; n < columns; n++)
            for (long k = 0; k < depth; k++) out[r * columns + n] += x[r * depth + k] * weight[n * depth + k];
    return out;
}

void rotate(std::vector<double>& heads, long width, long size, const std::vector<int64_t>& positions, const std::vector<float>& cos,
            const std::vector<float>& sin) {
    for (size_t t = 0; t < positions.size(); t++)
        for (long start = 0; start < width; start += size)
            for (long i = 0; i < size / 2; i++) {
                double &near = heads[t * width + start + i], &far = heads[t * width + start + size / 2 + i];
                const double c = cos[positions[t] * size / 2 + i], s = sin[positions[t] * size / 2 + i], before = near;
                near = before * c - far * s;
                far = far * c + before * s;
            }
}

// The order of rows that puts what is combined half a panel apart; see prepacked.py.
void pair(std::vector<long>& order, long start, long half) {
    const long panel = modernbert_panel();
    for (long i = 0; i < half; i += panel / 2)
        for (long side = 0; side < 2; side++)
            for (long j = 0; j < panel / 2; j++) order.push_back(start + side * half + i + j);
}

// What ModernBertWeight points to, in each kind of numbers.
struct Laid {
    std::vector<float> single, worth;
    std::vector<uint16_t> half;
    std::vector<int8_t> whole;

    ModernBertWeight lay(const std::vector<float>& weight, long depth, const std::vector<long>& order, int kind) {
        const long panel = modernbert_panel(), step = modernbert_step(kind), rows = order.size();
        single.resize(weight.size()), half.resize(weight.size()), whole.resize(weight.size()), worth.resize(rows);
        for (long n = 0; n < rows; n++) {
            const float* row = &weight[order[n] * depth];
            float most = 0;
            for (long k = 0; k < depth; k++) most = std::max(most, std::fabs(row[k]));
            worth[n] = most / 127;
            for (long k = 0; k < depth; k++) {
                const long place = (n / panel * depth + k / step * step) * panel + n % panel * step + k % step;
                single[place] = row[k];
                half[place] = brief(row[k]);
                whole[place] = std::lround(row[k] / worth[n]);
            }
        }
        if (kind == MODERNBERT_FLOAT32) return {single.data(), nullptr};
        if (kind == MODERNBERT_BFLOAT16) return {half.data(), nullptr};
        return {whole.data(), worth.data()};
    }
};

void check_encoder(Shape shape, const std::vector<long>& lengths, int kind, double allowed, long threads) {
    const long size = shape.width / shape.heads, width = shape.width, longest = 1 + *std::max_element(lengths.begin(), lengths.end());
    const auto offsets = offsets_of(lengths);
    const long tokens = offsets.back();
    std::vector<int64_t> ids(tokens), positions(tokens);
    for (size_t n = 0; n < lengths.size(); n++)
        for (long i = offsets[n]; i < offsets[n + 1]; i++) positions[i] = i - offsets[n], ids[i] = chance() % shape.vocabulary;
    std::vector<float> cos[2], sin[2];
    for (int local = 0; local < 2; local++)
        for (long t = 0; t < longest; t++)
            for (long i = 0; i < size / 2; i++) {
                const double angle = t * std::pow(local ? 500.0 : 80000.0, -2.0 * i / size);
                cos[local].push_back(std::cos(angle)), sin[local].push_back(std::sin(angle));
            }
    const auto embeddings = numbers(shape.vocabulary * width), embeddings_norm = numbers(width, 0.1, 1), final_norm = numbers(width, 0.1, 1);
    std::vector<long> plain, up, qkv_order, gate_order;
    for (long i = 0; i < width; i++) plain.push_back(i);
    for (long head = 0; head < 2 * shape.heads; head++) pair(qkv_order, head * size, size / 2);
    for (long i = 2 * width; i < 3 * width; i++) qkv_order.push_back(i);
    pair(gate_order, 0, shape.gate);

    const float eps = 1e-5f;
    std::vector<Layer> layers(shape.layers);
    std::vector<Laid> laid(4 * shape.layers);
    std::vector<ModernBertLayer> c_layers;
    for (long i = 0; i < shape.layers; i++) {
        Layer& one = layers[i];
        one = {numbers(width, 0.1, 1), numbers(3 * width * width, 0.08), numbers(width * width, 0.08), numbers(width, 0.1, 1),
               numbers(2 * shape.gate * width, 0.08), numbers(width * shape.gate, 0.08)};
        c_layers.push_back({i ? one.attn_norm.data() : nullptr, laid[4 * i].lay(one.wqkv, width, qkv_order, kind),
                            laid[4 * i + 1].lay(one.wo, width, plain, kind), one.mlp_norm.data(),
                            laid[4 * i + 2].lay(one.wi, width, gate_order, kind), laid[4 * i + 3].lay(one.mlp_wo, shape.gate, plain, kind),
                            i % 2 == 0});
    }
    const ModernBertEncoder encoder = {kind, shape.layers, width, shape.heads, shape.gate, shape.reach, eps, embeddings.data(),
                                       embeddings_norm.data(), final_norm.data(), cos[0].data(), sin[0].data(), cos[1].data(), sin[1].data(),
                                       c_layers.data()};
    std::vector<float> found(tokens * width, NAN);
    if (modernbert_encode(&encoder, ids.data(), positions.data(), offsets.data(), lengths.size(), threads, found.data()))
        expect("the encoder refuses width", width, 1, 0);

    std::vector<double> x;
    for (int64_t id : ids)
        for (long i = 0; i < width; i++) x.push_back(embeddings[id * width + i]);
    x = normed(x, embeddings_norm, eps);
    for (long i = 0; i < shape.layers; i++) {
        const auto qkv = times(i ? normed(x, layers[i].attn_norm, eps) : x, layers[i].wqkv, width);
        std::vector<double> parts[3];
        for (long t = 0; t < tokens; t++)
            for (int part = 0; part < 3; part++)
                parts[part].insert(parts[part].end(), &qkv[(3 * t + part) * width], &qkv[(3 * t + part) * width] + width);
        for (int part = 0; part < 2; part++) rotate(parts[part], width, size, positions, cos[i % 2], sin[i % 2]);
        const long reach = i % 2 ? shape.reach : 1L << 40;
        const auto mixed = times(attended(parts[0], parts[1], parts[2], shape.heads, size, offsets, reach, reach), layers[i].wo, width);
        for (size_t n = 0; n < x.size(); n++) x[n] += mixed[n];
        const auto gates = times(normed(x, layers[i].mlp_norm, eps), layers[i].wi, width);
        std::vector<double> gated;
        for (long t = 0; t < tokens; t++)
            for (long n = 0; n < shape.gate; n++) {
                const double value = gates[t * 2 * shape.gate + n], gate = gates[(2 * t + 1) * shape.gate + n];
                gated.push_back(value * 0.5 * std::erfc(-value / std::sqrt(2.0)) * gate);
            }
        const auto added = times(gated, layers[i].mlp_wo, shape.gate);
        for (size_t n = 0; n < x.size(); n++) x[n] += added[n];
    }
    const char* names[] = {"encoder in float32, width", "encoder in bfloat16, width", "encoder in int8, width"};
    expect(names[kind], width, error(found, normed(x, final_norm, eps)), allowed);
}

void check_changed() {
    auto weight = numbers(1000), other = numbers(8);
    const void* weights[] = {weight.data(), other.data()};
    const int64_t bytes[] = {4000, 32};
    uint32_t seen[8];
    modernbert_changed(weights, bytes, 2, seen, 1);
    expect("unchanged weights look changed", 0, modernbert_changed(weights, bytes, 2, seen, 0), 0);
    for (float& x : other) x *= 2;
    expect("changed weights look unchanged", 0, !modernbert_changed(weights, bytes, 2, seen, 0), 0);
}

void check_callers_at_once() {
    std::vector<std::thread> callers;
    const long size = 64, tokens = 200;
    const auto qkv = numbers(tokens * size * 3);
    const int64_t offsets[] = {0, 150, 200};
    std::vector<std::vector<float>> outs(4, std::vector<float>(tokens * size));
    for (auto& out : outs)
        callers.emplace_back([&] {
            for (int again = 0; again < 20; again++)
                modernbert_attend(MODERNBERT_FLOAT32, qkv.data(), qkv.data() + size, qkv.data() + 2 * size, 3 * size, out.data(), nullptr, 1, size,
                                  offsets, 2, 64, 64, 3);
        });
    for (auto& caller : callers) caller.join();
    for (auto& out : outs) expect("callers at once differ", 0, out == outs[0] ? 0 : 1, 0);
}

}  // namespace

int main() {
    expect("not ready for what it was compiled for", 0, modernbert_ready() ? 1 : 0, 0);
    for (long size : {32, 64, 128})
        if (size % modernbert_panel() == 0) {
            check_attention(size, MODERNBERT_FLOAT32, 1e-5, size == 64 ? 3 : 1);
            check_attention(size, MODERNBERT_BFLOAT16, 0.03, size == 64 ? 3 : 1);
        }
    for (int kind : {MODERNBERT_FLOAT32, MODERNBERT_BFLOAT16, MODERNBERT_INT8}) {
        const double allowed[] = {1e-5, 0.06, 0.06};
        check_encoder({128, 2, 96, 3, 8, 50}, {40, 0, 1, 77, 2}, kind, allowed[kind], 2);
        check_encoder({128, 4, 160, 2, 64, 50}, {130, 3}, kind, allowed[kind], 1);
        check_encoder({128, 1, 64, 2, 4, 50}, {17}, kind, allowed[kind], 3);
    }
    check_changed();
    if (!std::getenv("ALONE")) check_callers_at_once();  // where the system has no threads to lend
    std::printf("panels of %ld columns: %d failures\n", long(modernbert_panel()), failures);
    return failures ? 1 : 0;
}
