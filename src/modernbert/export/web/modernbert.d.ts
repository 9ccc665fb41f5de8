export interface Guess {
  /** As text, with its leading space where it has one: " return". */
  token: string;
  tokenId: number;
  /** Probability among the whole vocabulary. */
  score: number;
}

export interface Progress {
  /** Bytes that have come, and bytes that will. */
  loaded: number;
  total: number;
}

export interface LoadedModel {
  name: string;
  head: "fill-mask" | "embedding";
  device: "wasm" | "webgpu";
  /** Tokens of a text, special ones included. */
  longest: number;
  /** What the tokenizer writes for a blank: "[MASK]". */
  mask: string;
  /** Largest difference from what Python computed when the folder was made. */
  difference: number;
  /** Why WebGPU is there and is not used. */
  note?: string;
}

export interface Loaded {
  models: LoadedModel[];
  threads: number;
}

export class ModernBertError extends Error {}

/** Load the model, once: whoever asks again gets the same. */
export function load(options?: {
  onprogress?: (progress: Progress) => void;
  device?: "auto" | "wasm" | "webgpu";
}): Promise<Loaded>;

/** For each blank of a text its likeliest tokens, best first. */
export function fillMask(text: string, options?: { topK?: number }): Promise<Guess[][]>;

/** One vector a text, of length 1. */
export function embed(text: string, options?: EmbedOptions): Promise<Float32Array>;
export function embed(texts: Iterable<string>, options?: EmbedOptions): Promise<Float32Array[]>;

export interface EmbedOptions {
  /** Which of the model's prompts is put before each text; most models have none. */
  role?: "text" | "query" | "document";
  /** Cut texts that are too long, which are refused otherwise. */
  truncate?: boolean;
}

/** The cosine between two texts: 1 means the same. */
export function similarity(one: string, other: string): Promise<number>;
