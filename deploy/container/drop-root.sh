#!/bin/sh
# Runs a command as the owner of /models, so that a folder mounted from the host can be written to without a word about
# ids. Docker makes a missing host folder as root's: it is handed to the image's own user. `--user` skips all this.
set -eu

if [ "$(id -u)" -ne 0 ]; then
    exec "$@"
fi
owner=$(stat -c %u /models)
group=$(stat -c %g /models)
if [ "$owner" -eq 0 ]; then
    owner=10001
    group=10001
    # May fail on a read-only mount: a model that is there can still be read.
    chown "$owner:$group" /models || echo "drop-root: /models stays root's; nothing can be downloaded into it" >&2
fi
exec setpriv --reuid "$owner" --regid "$group" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
