#!/bin/sh
# install.sh PYTHON [dev]: what others wrote, into PYTHON's environment, in the versions and with the hashes of the lock.
#
# KGT_TORCH_INDEX names another index for torch, such as PyTorch's own one of CPU builds. Its builds of the same version
# are other files than those that were locked, so there torch alone comes without a hash and brings no library for GPUs.
set -eu
here=$(dirname "$0")
python=$1

# Wheels only: to build one, pip would fetch tools that nothing pins.
locked() { "$python" -m pip install -q --require-hashes --no-deps --only-binary :all: "$@"; }

if [ -n "${KGT_TORCH_INDEX:-}" ]; then
  torch=$(sed -n 's/^\(torch==[^ ;]*\).*/\1/p' "$here/torch.txt")
  "$python" -m pip install -q --no-deps --index-url "$KGT_TORCH_INDEX" "$torch"
else
  locked -r "$here/torch.txt"
fi
if [ "${2:-}" = dev ]; then
  locked -r "$here/server.txt" -r "$here/dev.txt"
else
  locked -r "$here/server.txt"
fi
