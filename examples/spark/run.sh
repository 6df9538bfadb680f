#!/bin/sh
# Computes loss, dW and db of a million rows of digits in shards with Apache Spark, and compares them with those of one run.
# Usage: run.sh [ROWS] [SHARDS]
#
# Needs Java 17 or later (Debian: apt-get install default-jre-headless), Python with venv, and cargo unless NNLAYER names a binary.
# The first run installs the pyspark package (300 MB) into target/spark.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rows=${1:-1000000} shards=${2:-16}
command -v java > /dev/null || { echo "java not found; install it with apt-get install default-jre-headless" >&2; exit 1; }
python=${PYSPARK_PYTHON:-$here/../../target/spark/bin/python}
if ! "$python" -c 'import pyspark' 2> /dev/null; then
    echo "installing pyspark into target/spark"
    python3 -m venv "$here/../../target/spark"
    python=$here/../../target/spark/bin/python
    "$python" -m pip install --quiet pyspark
fi
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
sh "$here/../shards/prepare.sh" "$folder" "$rows"
spark=$("$python" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
# Starts two executors on this machine as separate processes, which receive the files as on a cluster.
PYSPARK_PYTHON=$python "$spark/bin/spark-submit" --master "${SPARK_MASTER:-local-cluster[2,1,1024]}" \
    --files "$folder/nnlayer,$folder/shard.sh,$folder/model.json,$folder/w.npy,$folder/b.npy" \
    --conf spark.ui.enabled=false --conf spark.ui.showConsoleProgress=false --conf spark.log.level=ERROR \
    "$here/digits.py" "$folder" "$shards"
sh "$here/../shards/finish.sh" "$folder"
