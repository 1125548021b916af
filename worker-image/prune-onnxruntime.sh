#!/bin/sh
# Removes the native libraries of every platform but Linux on one processor: prune-onnxruntime.sh FOLDER amd64|arm64
set -eu
folder=$1
case $2 in
  amd64) keep=linux/x64 ;;
  arm64) keep=linux/arm64 ;;
  *) echo "prune-onnxruntime: no ONNX Runtime for $2, only for amd64 and arm64" >&2; exit 1 ;;
esac
for version in "$folder"/bin/*; do
  if [ ! -d "$version/$keep" ]; then
    echo "prune-onnxruntime: $version/$keep is missing" >&2
    exit 1
  fi
  for platform in "$version"/*/*; do
    [ "$platform" = "$version/$keep" ] || rm -r "$platform"
  done
done
