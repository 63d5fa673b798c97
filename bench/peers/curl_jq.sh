#!/bin/sh
# curl gets the bodies, 64 at a time, into a file each; then jq writes a line for each file.
set -eu
ids=$1 base_url=$2 out=$3
bodies=$out.bodies
mkdir "$bodies"
{
  printf 'header = "X-API-Token: %s"\n' "$CXAI_API_TOKEN"
  awk -v base_url="$base_url" -v bodies="$bodies" '{
    printf "url = \"%s/v1/interactions/%s/ai\"\n", base_url, $1
    printf "output = \"%s/%s.json\"\n", bodies, $1
  }' "$ids"
} |
  curl --silent --show-error --no-progress-meter --fail --compressed \
    --parallel --parallel-immediate --parallel-max 64 --config -
find "$bodies" -name '*.json' -print0 |
  xargs -0 jq --compact-output --from-file "$(dirname "$0")/record.jq" >"$out"
