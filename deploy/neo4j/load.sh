#!/bin/sh
# load.sh FOLDER [--replace] [DATABASE]: take what dump.sh copied into a Neo4j that is stopped.
#
# The digest is compared first. A database that is there is replaced only with --replace. Who was erased since the dump is
# back in it: start Neo4j, run `python -m server erase-again LIST`, and only then start servers (docs/operations.md).
set -eu
folder=${1:?name the folder of a dump}
shift
overwrite=false
if [ "${1:-}" = --replace ]; then
  overwrite=true
  shift
fi
database=${1:-neo4j}
(cd "$folder" && sha256sum -c SHA256SUMS)
neo4j-admin database load "$database" --from-path="$folder" --overwrite-destination=$overwrite
echo "$database is loaded. Before servers start: python -m server erase-again LIST"
