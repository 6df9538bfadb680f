#!/bin/sh
# Computes loss, dW and db of a million rows of digits in shards with GNU parallel, and compares them with those of one run.
# Usage: run.sh [ROWS] [BLOCK] [NETWORK]; NETWORK is affine, a single layer, or conv, a small one of conv2d, layernorm and others.
#
# Needs GNU parallel (Debian: apt-get install parallel), and cargo unless NNLAYER names a binary. With --sshlogin and
# --basefile, parallel sends the same jobs to other machines.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rows=${1:-1000000} block=${2:-4M} results= terms=1
if [ "${3:-affine}" = conv ]; then
    export LAYERS='reshape 0x1x8x8, conv2d 8 3x3 same, relu, maxpool2d 2, flatten, layernorm, affine 10, softmax-xent reduction=mean'
    # The 64 positions of an image add to an entry of the dw of conv2d, each a pixel times a gradient of a few units at most.
    results=loss,divisor,dw,db,dgamma,dbeta terms=640
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
sh "$here/../shards/prepare.sh" "$folder" "$rows"
cd "$folder"
begin=$(date +%s.%N)
# Each job has one core, so nnlayer need not use threads.
parallel --will-cite --pipe-part -a rows.csv --block "$block" sh ./shard.sh ./nnlayer model.json $results > shards.ndjson
echo "$(wc -l < shards.ndjson) shards under GNU parallel: $(date +%s.%N | awk -v begin="$begin" '{ printf "%.1f", $1 - begin }') s"
sh "$here/../shards/finish.sh" "$folder" "$results" "$terms"
