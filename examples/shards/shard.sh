#!/bin/sh
# Usage: shard.sh NNLAYER MODEL [RESULTS]. Reads lines of class,pixel,… and writes one line of JSON with their loss and its divisor,
# and the dW and db of every layer, or the RESULTS named.
set -eu
rows=$(mktemp -d)
trap 'rm -r "$rows"' EXIT
cat > "$rows/all.csv"
cut -d, -f1 "$rows/all.csv" > "$rows/t.csv"
cut -d, -f2- "$rows/all.csv" > "$rows/x.csv"
"$1" net "$2" --x "$rows/x.csv" --t "$rows/t.csv" --only "${3:-loss,divisor,dw,db}" --json
