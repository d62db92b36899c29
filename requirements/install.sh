#!/bin/sh
# install.sh PYTHON [ray|dev]: install the dependencies into PYTHON's environment, in the locked versions with their hashes.
#
# Without a second word they are those of the server. `ray` adds replicas of the model on Ray, `dev` all of development.
#
# KGT_TORCH_INDEX names another index for torch, such as PyTorch's own index of CPU builds. Its builds of the same version
# are not the files that were locked, so torch is installed without a hash, and without the libraries for GPUs.
set -eu
here=$(dirname "$0")
python=$1

# Only wheels: to build one, pip would fetch tools that nothing pins.
locked() { "$python" -m pip install -q --require-hashes --no-deps --only-binary :all: "$@"; }

if [ -n "${KGT_TORCH_INDEX:-}" ]; then
  torch=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' "$here/torch.txt")
  "$python" -m pip install -q --no-deps --index-url "$KGT_TORCH_INDEX" "$torch"
else
  locked -r "$here/torch.txt"
fi
case ${2:-} in
  dev) locked -r "$here/server.txt" -r "$here/ray.txt" -r "$here/dev.txt" ;;
  ray) locked -r "$here/server.txt" -r "$here/ray.txt" ;;
  "") locked -r "$here/server.txt" ;;
  *) echo "install.sh: '$2' is neither ray nor dev" >&2; exit 2 ;;
esac
