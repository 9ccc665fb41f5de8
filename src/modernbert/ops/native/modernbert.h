/* What the library offers, in plain C. All matrices are row-major float32 unless said otherwise; nothing is kept between calls
 * but threads. A call returns 0, or -1 when memory ran out, or -2 for a shape it does not do. */
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* To be called once, before anything else: -3 when the system keeps from this process what the library was compiled for. */
int64_t modernbert_ready(void);

/* Width of a weight's panels: W [N, K] is stored as [N / panel, K / step, panel, step]. */
int64_t modernbert_panel(void);

/* Numbers that weights come in. */
enum { MODERNBERT_FLOAT32 = 0, MODERNBERT_BFLOAT16 = 1, MODERNBERT_INT8 = 2 };

/* The step of a panel of such numbers. */
int64_t modernbert_step(int64_t numbers);

/* 1 when heads of this size can be attended to. */
int64_t modernbert_takes_head_size(int64_t size);

/* softmax(q k' / sqrt(size)) v inside each document, for the keys from `left` before a query to `right` behind it.
 * q, k, v [T, heads, size] with `stride` numbers from one token to the next; out [T, heads * size]; all in float32, or in bfloat16.
 * `norms`, where given, becomes [T, heads, 2]: what the backward pass needs to compute the weights again, in float32. */
int64_t modernbert_attend(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, void* out, float* norms,
                          int64_t heads, int64_t size, const int64_t* offsets, int64_t documents, int64_t left, int64_t right, int64_t threads);

/* From the gradient of `out` [T, heads * size] those of q, k and v, with `grad_stride` numbers from one token to the next. */
int64_t modernbert_attend_backward(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, const void* out,
                                   const float* norms, const void* grad_out, void* grad_q, void* grad_k, void* grad_v, int64_t grad_stride,
                                   int64_t heads, int64_t size, const int64_t* offsets, int64_t documents, int64_t left, int64_t right,
                                   int64_t threads);

/* Rotary embedding (NeoX) of q and k by each token's angles, cos and sin [T, size / 2], or back where `sign` is -1; v is copied. All
 * [T, heads, size], with `stride` and `to_stride` numbers from one token to the next. */
int64_t modernbert_turn(int64_t numbers, const void* q, const void* k, const void* v, int64_t stride, void* to_q, void* to_k, void* to_v,
                        int64_t to_stride, int64_t tokens, int64_t heads, int64_t size, const float* cos, const float* sin, int64_t sign,
                        int64_t threads);

/* gelu(first half) * second half of each row of both [T, 2 * width], and from the gradient of that [T, width] the one of `both`. */
int64_t modernbert_gate(int64_t numbers, const void* both, void* out, int64_t tokens, int64_t width, int64_t threads);
int64_t modernbert_gate_backward(int64_t numbers, const void* both, const void* grad, void* grad_both, int64_t tokens, int64_t width,
                                 int64_t threads);

/* LayerNorm without a bias of each row of x [T, width], float32, into `numbers`; and from the gradient of that, in `numbers`, those
 * of x and of the weight [width]. */
int64_t modernbert_norm(int64_t numbers, const float* x, const float* weight, float eps, void* out, int64_t tokens, int64_t width,
                        int64_t threads);
int64_t modernbert_norm_backward(int64_t numbers, const float* x, const float* weight, float eps, const void* grad, float* grad_x,
                                 float* grad_weight, int64_t tokens, int64_t width, int64_t threads);

typedef struct {
    const void* numbers; /* in panels */
    const float* worth;  /* of a whole number, for each column in the panels' order; int8 only */
} ModernBertWeight;

typedef struct {
    const float* attn_norm; /* absent (0) in the first layer */
    ModernBertWeight wqkv;  /* panels of queries and keys hold a column and, half a panel on, the one it is rotated with */
    ModernBertWeight wo;
    const float* mlp_norm;
    ModernBertWeight wi; /* panels hold values, and half a panel on their gates */
    ModernBertWeight mlp_wo;
    int64_t is_global;
} ModernBertLayer;

typedef struct {
    int64_t numbers, num_layers, width, heads, gate, reach;
    float eps;
    const float *embeddings, *embeddings_norm, *final_norm;
    const float *global_cos, *global_sin, *local_cos, *local_sin; /* [positions, size / 2] */
    const ModernBertLayer* layers;
} ModernBertEncoder;

/* Token ids to hidden states after the final norm, out [T, width]. */
int64_t modernbert_encode(const ModernBertEncoder* encoder, const int64_t* ids, const int64_t* positions, const int64_t* offsets,
                          int64_t documents, int64_t threads, float* out);

/* 1 when one of the weights differs from what was seen in 4 places of each; `records` what it finds into seen [count, 4]. */
int64_t modernbert_changed(const void* const* weights, const int64_t* bytes, int64_t count, uint32_t* seen, int64_t records);

#ifdef __cplusplus
}
#endif
