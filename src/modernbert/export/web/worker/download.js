// Files of this folder, whole or not at all.

import { Problem } from "./problems.js";

const ROOT = new URL("../", import.meta.url);

export async function downloadJson(path) {
  const answer = await reached(path);
  try {
    return await answer.json();
  } catch {
    throw new Problem(`${path} is damaged: copy the folder again`);
  }
}

/** The content of a file, unpacked where it is packed and the server left it so. `tell` hears of bytes as they come. */
export async function download(path, unpacked, tell) {
  const answer = await reached(path);
  const chunks = [];
  try {
    for (const reader = answer.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      tell(value.length);
    }
  } catch {
    throw new Problem(`${path} stopped coming half-way: check the network and reload the page`);
  }
  const whole = new Blob(chunks);
  const [first, second] = new Uint8Array(await whole.slice(0, 2).arrayBuffer());
  const isPacked = first === 0x1f && second === 0x8b;
  const content = await (isPacked ? unpack(path, whole) : whole.arrayBuffer());
  if (content.byteLength !== unpacked) {
    throw new Problem(`${path}: found ${content.byteLength} bytes, expected ${unpacked}: copy the folder again`);
  }
  return new Uint8Array(content);
}

async function unpack(path, whole) {
  if (typeof DecompressionStream !== "function") {
    throw new Problem("this browser cannot unpack the model: use a Firefox, Chrome, Edge or Safari of 2023 or later");
  }
  try {
    return await new Response(whole.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Problem(`${path} is damaged: reload the page, or copy the folder again`);
  }
}

async function reached(path) {
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT));
  } catch {
    throw new Problem(`${path} cannot be fetched: check the network and reload the page`);
  }
  if (!answer.ok) throw new Problem(`${path}: the server answered ${answer.status}: copy the whole folder to it`);
  return answer;
}
