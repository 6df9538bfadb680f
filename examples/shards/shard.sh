#!/bin/sh
# Usage: shard.sh NNLAYER MODEL. Reads lines of class,pixel,… and writes one line of JSON with their loss, dW and db.
set -eu
rows=$(mktemp -d)
trap 'rm -r "$rows"' EXIT
cat > "$rows/all.csv"
cut -d, -f1 "$rows/all.csv" > "$rows/t.csv"
cut -d, -f2- "$rows/all.csv" > "$rows/x.csv"
"$1" net "$2" --x "$rows/x.csv" --t "$rows/t.csv" --only loss,divisor,dw,db --json
