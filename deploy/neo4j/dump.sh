#!/bin/sh
# dump.sh FOLDER [DATABASE]: copy the database of a Neo4j that is stopped to the new FOLDER.
#
# The dump is read back by Neo4j's own consistency check, and its digest is kept next to it. FOLDER gets its name when all of
# that is done. neo4j-admin must be on the path, and NEO4J_HOME or NEO4J_CONF as it needs them.
set -eu
folder=${1:?name a new folder} database=${2:-neo4j}
if [ -e "$folder" ]; then
  echo "$folder is there already; name a new folder" >&2
  exit 2
fi
umask 077
making=$folder.making
rm -rf "$making"
mkdir -p "$making/checking"
trap 'rm -rf "$making"' EXIT
neo4j-admin database dump "$database" --to-path="$making"
neo4j-admin database check "$database" --from-path="$making" --temp-path="$making/checking" --report-path="$making/checking"
rm -rf "$making/checking"
(cd "$making" && sha256sum "$database.dump" > SHA256SUMS)
sync
mv "$making" "$folder"
echo "$folder: $database.dump, read back"
