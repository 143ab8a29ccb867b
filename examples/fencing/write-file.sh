#!/bin/sh
# write-file.sh FILE: writes its standard input to FILE, unless a newer try has. Exit code 3 says that one has.
set -eu
file=$1
umask 077
content=$(mktemp "$file.XXXXXX")
trap 'rm -f "$content"' EXIT
cat > "$content"

# One at a time from here; the kernel lets go of the lock when this process ends, however it ends.
exec 9> "$file.lock"
flock -w 30 9
highest=$(cat "$file.fence" 2> /dev/null || echo 0)
if [ "$highest" -gt "$HOLDFAST_FENCING_TOKEN" ]; then
  echo "$file was not written: token $highest has it, and ours is $HOLDFAST_FENCING_TOKEN" >&2
  exit 3
fi
# The fence goes up before the content: after a crash in between an older try is refused all the same.
echo "$HOLDFAST_FENCING_TOKEN" > "$file.fence.new"
sync "$file.fence.new" "$content"
mv "$file.fence.new" "$file.fence"
mv "$content" "$file"
