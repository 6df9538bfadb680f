#!/bin/sh
# Loss, dW and db of a million rows of digits, in shards under GNU parallel, against one run: run.sh [ROWS] [BLOCK]
#
# Needs GNU parallel (Debian: apt-get install parallel) and, where NNLAYER does not name a binary, cargo. With --sshlogin and
# --basefile, parallel sends the same jobs to other machines.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rows=${1:-1000000} block=${2:-4M}
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
sh "$here/../shards/prepare.sh" "$folder" "$rows"
cd "$folder"
begin=$(date +%s.%N)
# Each job has a core: nnlayer need not share it among threads.
parallel --will-cite --pipe-part -a rows.csv --block "$block" sh ./shard.sh ./nnlayer model.json > shards.ndjson
echo "$(wc -l < shards.ndjson) shards under GNU parallel: $(date +%s.%N | awk -v begin="$begin" '{ printf "%.1f", $1 - begin }') s"
sh "$here/../shards/finish.sh" "$folder"
