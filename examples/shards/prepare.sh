#!/bin/sh
# Usage: prepare.sh FOLDER ROWS. Writes the binary, a network and ROWS rows of digits, repeated as needed, to FOLDER. The network is
# model.json, or one of the layers that LAYERS lists as for `nnlayer net --init`.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$1 rows=$2
if [ -z "${NNLAYER:-}" ]; then
    echo "building nnlayer"
    (cd "$root" && cargo build --release --quiet)
    NNLAYER=$root/target/release/nnlayer
fi
cp "$NNLAYER" "$folder/nnlayer"
cp "$root/examples/shards/model.json" "$root/examples/shards/shard.sh" "$root/fixtures/digits/w.npy" \
    "$root/fixtures/digits/b.npy" "$folder"
cd "$folder"
if [ -n "${LAYERS:-}" ]; then
    ./nnlayer net --init "$LAYERS" --input 64 --seed 1 --out model.json
fi
echo "writing $rows rows of digits"
# relu does not change positive numbers: it converts the format.
./nnlayer relu --x "$root/fixtures/train/digits.npz#x" --forward --out x.csv
./nnlayer relu --x "$root/fixtures/train/digits.npz#t" --forward --out t.csv
sed 's/\.0$//' t.csv | paste -d, - x.csv | sed 's/\.0,/,/g; s/\.0$//' > digits.csv
awk -v rows="$rows" '{ line[NR] = $0 } END { for (n = 0; n < rows; n++) print line[n % NR + 1] }' digits.csv > rows.csv
rm x.csv t.csv digits.csv
