#!/usr/bin/env bash
# Times the original PyTorchBenchmark and nbbench on the same job, one after the other:
# bert-base-uncased (the base model), batch 8, lengths 8, 32, 128, 512, speed and memory.
#
#   bash docs/against_original.sh .venv/bin/nbbench
#
# The original runs in an environment of its own, which takes about a gigabyte.
set -euo pipefail
nbbench=${1:?"give the path of nbbench"}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

original=${ORIGINAL_PYTHON:-}
if [ -z "$original" ]; then
  python3 -m venv "$work/original"
  original=$work/original/bin/python
  "$original" -m pip install -q torch==2.13.0 transformers==4.44.2 psutil py3nvml
fi

cat > "$work/original.py" <<'PYTHON'
from transformers import BertConfig, PyTorchBenchmark, PyTorchBenchmarkArguments

if __name__ == "__main__":
    arguments = PyTorchBenchmarkArguments(
        models=["bert-base-uncased"], batch_sizes=[8], sequence_lengths=[8, 32, 128, 512]
    )
    PyTorchBenchmark(arguments, configs=[BertConfig()]).run()
PYTHON

seconds() { # how long a command takes
  local begin end
  begin=$(date +%s.%N)
  "$@" >&2
  end=$(date +%s.%N)
  awk "BEGIN { print $end - $begin }"
}

theirs=$(seconds "$original" -W ignore "$work/original.py")
ours=$(seconds "$nbbench" run bert-base-uncased)
awk "BEGIN { printf \"original %.1f s, nbbench %.1f s, ratio %.3f\n\", $theirs, $ours, $ours / $theirs }"
