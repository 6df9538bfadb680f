"""Runs nnlayer on the rows of FOLDER, one shard per partition, and writes the results. Usage: digits.py FOLDER SHARDS

spark-submit distributes the binary, the network and shard.sh with --files.
"""
import pathlib, sys, time
from pyspark import SparkContext

folder, shards = pathlib.Path(sys.argv[1]), int(sys.argv[2])
spark = SparkContext(appName="nnlayer")
begin = time.monotonic()
rows = spark.textFile(str(folder / "rows.csv"), minPartitions=shards)
results = rows.pipe("sh ./shard.sh ./nnlayer model.json", checkCode=True).collect()
print(f"{len(results)} shards under Spark {spark.version}: {time.monotonic() - begin:.1f} s", flush=True)
(folder / "shards.ndjson").write_text("".join(line + "\n" for line in results))
spark.stop()
