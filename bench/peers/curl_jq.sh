#!/bin/sh
# curl gets the bodies into a file each; then jq writes a line for each file.
set -eu
ids=$1 base_url=$2 out=$3 bodies=$3.bodies
mkdir "$bodies"
{
  printf 'header = "X-API-Token: %s"\n' "$CXAI_API_TOKEN"
  awk -v from="$base_url/v1/interactions" -v to="$bodies" '{
    printf "url = \"%s/%s/ai\"\noutput = \"%s/%s.json\"\n", from, $1, to, $1
  }' "$ids"
} |
  curl --silent --show-error --no-progress-meter --fail --compressed \
    --parallel --parallel-immediate --parallel-max "$IN_FLIGHT" --config -
find "$bodies" -name '*.json' -print0 |
  xargs -0 jq --compact-output --from-file "$(dirname "$0")/record.jq" >"$out"
