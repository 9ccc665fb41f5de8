// What went wrong, in a sentence for people.

/** Already such a sentence. */
export class Problem extends Error {}

const MEMORY = /out of memory|alloc|memory access out of bounds|OOM/i;

/** Any error as a sentence, without its full stop. */
export function sentence(error, unpacked) {
  if (error instanceof Problem) return error.message;
  const said = String(error?.message ?? error);
  // compiled code throws bare numbers where C++ threw; here it is memory that it is short of
  if (typeof error === "number" || error instanceof RangeError || MEMORY.test(said)) {
    const wanted = unpacked ? ` (the model alone takes ${Math.ceil(unpacked / 1e6)} MB, several times that while it works)` : "";
    return `this tab has too little memory for that${wanted}: close other tabs, take a shorter text, or use a machine with more`;
  }
  if (/simd/i.test(said)) {
    return "this browser's WebAssembly has no SIMD, which the model is computed with: use a Firefox, Chrome, Edge or Safari of 2023 or later";
  }
  return `the model does not run here (${said.split("\n")[0].replace(/\.$/, "")}): reload the page, or try another browser`;
}

export function expectWebAssembly() {
  if (typeof WebAssembly !== "object") {
    throw new Problem(
      "this browser has no WebAssembly, which the model is computed with: allow it, or use a Firefox, Chrome, Edge or Safari of 2023 or later",
    );
  }
}
