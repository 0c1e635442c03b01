#!/bin/sh
# Generates the Python client from proto/ alone, into target/clients/python.
#
#   sh tests/clients/python/generate.sh PYTHON
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
made=$root/target/clients/python

rm -rf "$made"
mkdir -p "$made"
find "$root/proto" -name '*.proto' | sort | xargs "$1" -m grpc_tools.protoc \
    -I "$root/proto" --python_out="$made" --grpc_python_out="$made"
