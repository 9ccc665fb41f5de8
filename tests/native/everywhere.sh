#!/bin/sh
# check.cpp for the vector widths and processors that this machine is not, and under sanitizers: about four minutes of one core,
# and as much again for AVX-512 (emulated.py). Needs g++; what else it would use (clang++, an aarch64 compiler, qemu, Python's
# bochscpu) it leaves out with a word.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sources=$here/../../src/modernbert/ops/native
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

try() { # name, runner, compiler and its options
    name=$1 runner=$2
    shift 2
    command -v "$1" >/dev/null || { echo "$name: left out, there is no $1"; return; }
    "$@" -std=c++17 -ffp-contract=fast -fno-math-errno -pthread -Wall -Wno-psabi -I "$sources" "$sources/modernbert.cpp" "$here/check.cpp" -o "$work/check"
    if [ "$runner" = compile ]; then echo "$name: compiles"; return; fi
    command -v ${runner%% *} >/dev/null || { echo "$name: compiles; not run, there is no ${runner%% *}"; return; }
    printf '%s: ' "$name"
    $runner "$work/check" || failed=1
}

native="-march=native"
try "vectors of 4" env g++ -O1 $native -DMODERNBERT_WIDTH=4
try "vectors of 8" env g++ -O1 $native -DMODERNBERT_WIDTH=8
try "vectors of 16" env g++ -O1 $native -DMODERNBERT_WIDTH=16
try "matrix tiles, in loops" env g++ -O1 $native -DMODERNBERT_WIDTH=16 -DMODERNBERT_TILES
try "clang" env clang++ -O1 $native
try "addresses and undefined behaviour" env g++ -O1 -g $native -fsanitize=address,undefined -fno-sanitize-recover=undefined
try "threads" env g++ -O1 -g $native -fsanitize=thread
try "aarch64" qemu-aarch64 aarch64-linux-gnu-g++ -O2 -static
try "aarch64 with bfloat16" "qemu-aarch64 -cpu max" aarch64-linux-gnu-g++ -O2 -static -march=armv8.2-a+bf16+dotprod
if [ "$(uname -m)" = x86_64 ]; then
    if python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("bochscpu") is None)'; then
        python3 "$here/emulated.py" avx512 avx512bf16 || failed=1
    else
        echo "AVX-512, emulated: left out, there is no bochscpu"
        try "AVX-512" compile g++ -O1 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma
        try "AVX-512 with bfloat16 and VNNI" compile g++ -O1 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mavx512vnni -mfma
    fi
    try "AMX" compile g++ -O1 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mavx512vnni -mfma -mamx-tile -mamx-bf16 -mamx-int8
fi
exit $failed
