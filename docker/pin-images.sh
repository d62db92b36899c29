#!/bin/sh
# pin-images.sh COMPOSE_FILE ENV_FILE: what the images named by tag in COMPOSE_FILE are today, as digests in ENV_FILE.
#
# An image is named by a variable with its tag as default, ${KGT_..._IMAGE:-name:tag}; the variable gets name:tag@sha256:...
set -eu
compose=$1
environment=$2

images() { sed -n 's/.*\${\(KGT_[A-Z0-9]*_IMAGE\):-\([^}]*\)}.*/\1 \2/p' "$compose" | sort -u; }

pinned() { # the digest of the image with this tag
  docker pull -q "$1" >/dev/null || { echo "pin-images: $1 cannot be pulled" >&2; return 1; }
  digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -n 's/.*@//p' | head -n 1)
  [ -n "$digest" ] || { echo "pin-images: $1 has no digest: it was built here, not pulled" >&2; return 1; }
  echo "$1@$digest"
}

lines=$(images | while read -r variable image; do
  found=$(pinned "$image") || exit 1
  echo "$variable=$found"
done)
umask 077
{
  grep -v '^KGT_[A-Z0-9]*_IMAGE=' "$environment" || true
  echo "$lines"
} > "$environment.new"
mv "$environment.new" "$environment"
echo "$lines"
