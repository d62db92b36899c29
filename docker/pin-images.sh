#!/bin/sh
# pin-images.sh COMPOSE_FILE ENV_FILE: write today's digests of the images in COMPOSE_FILE to ENV_FILE.
#
# COMPOSE_FILE names an image by a variable with a tag as its default: ${KGT_..._IMAGE:-name:tag}. The variable is set to
# name:tag@sha256:...
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
