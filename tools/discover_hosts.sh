#!/usr/bin/env bash
# For horovodrun --host-discovery-script: the hosts that can take workers now.
#
# Prints the lines of a file, `host:slots` each; whoever adds or removes hosts
# (a person, a scheduler) edits the file while the job runs.
#
# SEGNET_HOSTS   the file (default: hosts.txt in the current folder)
set -euo pipefail
hosts=${SEGNET_HOSTS:-hosts.txt}
if [[ ! -r $hosts ]]; then
  echo "discover_hosts: $hosts: no such file; write host:slots lines to it" >&2
  exit 1
fi
grep -Ev '^[[:space:]]*(#|$)' "$hosts" || true
