#!/usr/bin/env bash
# For horovodrun --host-discovery-script: the hosts that can take workers now.
#
# Prints the lines of a file, `host:slots` each; whoever adds or removes hosts
# (a person, a scheduler) edits the file while the job runs. Empty lines and
# comments (#) are left out. Other lines are, too, with a word on standard
# error: horovodrun puts a host's name into a shell command.
#
# SEGNET_HOSTS   the file (default: hosts.txt in the current folder)
set -euo pipefail
hosts=${SEGNET_HOSTS:-hosts.txt}
if [[ ! -f $hosts || ! -r $hosts ]]; then
  echo "discover_hosts: $hosts: no such file; write host:slots lines to it" >&2
  exit 1
fi
# A name begins with no dash, which ssh would take for an option.
readonly HOST='^[A-Za-z0-9_][A-Za-z0-9_.-]*:[0-9]{1,5}$'
while IFS= read -r line || [[ $line ]]; do
  # Files from Windows end lines with CR.
  line=${line%$'\r'}
  if [[ $line =~ $HOST ]]; then
    printf '%s\n' "$line"
  elif [[ ! $line =~ ^[[:space:]]*(#|$) ]]; then
    printf 'discover_hosts: %s: %q is no host:slots line; left out\n' \
      "$hosts" "$line" >&2
  fi
done <"$hosts"
