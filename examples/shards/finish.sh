#!/bin/sh
# Usage: finish.sh FOLDER [RESULTS] [TERMS]. Adds FOLDER/shards.ndjson in three orders, and compares the sums with one run of
# FOLDER/rows.csv. TERMS bounds the sum of the magnitudes of the terms that a row adds to an entry, 1 by default.
set -eu
cd "$1"
rows=$(wc -l < rows.csv)
for order in cat tac shuf; do
    $order shards.ndjson | ./nnlayer sum --json > "$order.json"
done
cmp cat.json tac.json && cmp cat.json shuf.json
echo "$(wc -l < shards.ndjson) shards in three orders: the same bits"
begin=$(date +%s.%N)
sh ./shard.sh ./nnlayer model.json ${2:+"$2"} < rows.csv > single.json
echo "one run over all rows: $(date +%s.%N | awk -v begin="$begin" '{ printf "%.1f", $1 - begin }') s"
# A sum of n terms has an error of at most (n + 8)·2⁻⁵³ times their magnitudes. Those of affine are pixels times differences, up to 1.
bound=$(awk -v n="$rows" -v terms="${3:-1}" 'BEGIN { printf "%.3e", (n + 8) * terms * 2 ^ -53 }')
for layer in $(grep -o '"[a-z0-9-]*":{' cat.json | tr -d '":{'); do
    ./nnlayer compare "cat.json#/$layer" "single.json#/$layer" --atol "$bound" --rtol 0
done
