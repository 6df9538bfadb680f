#!/bin/sh
# Trains a 64-32-10 network with one pipeline per batch. Run it in a folder with the files of digits.py, and nnlayer on PATH.
set -eu
seq 1 "${EPOCHS:-10}" > epochs
for file in x t; do
  awk -v file=$file '{ print > sprintf("batch-%s-%02d.csv", file, (NR - 1) / 32) }' $file.csv
done
nnlayer net --init 64,32,10 --seed 1 --out piped.json

while read -r epoch; do
  for x in batch-x-*; do
    nnlayer affine --x "$x" --w piped.json#/layers/0/params/w --b piped.json#/layers/0/params/b --tape |
      nnlayer relu |
      nnlayer affine --w piped.json#/layers/2/params/w --b piped.json#/layers/2/params/b |
      nnlayer softmax-xent --reduction mean --t "batch-t-${x#batch-x-}" |
      nnlayer backward --tape |
      nnlayer step --lr 0.1 --out piped.json
  done
  nnlayer net piped.json --x held-x.npy --t held-t.npy --only softmax-xent1.y --forward --out y.csv
  paste -d, y.csv held-t.csv | awk -F, -v epoch="$epoch" '
    { best = 1; for (k = 2; k <= 10; k++) if ($k > $best) best = k; right += best - 1 == $11 }
    END { print "epoch " epoch "  held-accuracy " 100 * right / NR " %" }'
done < epochs
