#!/bin/sh
# Builds an older revision of the program beside this tree's and lets the two run side by side: tests/faults, upgrade.rs.
#
#   sh tests/faults/upgrade.sh REVISION
#
# The revision has a work tree and a target folder of its own, target/upgrade/tree and target/upgrade/build, which the next
# revision takes over. `git worktree remove --force target/upgrade/tree` and `rm -rf target/upgrade` take both away.
set -eu
if [ -z "${1:-}" ]; then
    echo "which revision? make test-upgrade OLD=<revision>, such as the one that runs in production" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/../.." && pwd)
tree=$root/target/upgrade/tree
build=$root/target/upgrade/build
cargo=${CARGO:-cargo}
commit=$(git -C "$root" rev-parse --verify --quiet "$1^{commit}") || {
    echo "$1 is no revision of this repository; a shallow clone has few of them" >&2
    exit 2
}
git -C "$root" worktree prune
if [ -e "$tree/.git" ]; then
    git -C "$tree" checkout --quiet --detach "$commit"
else
    mkdir -p "$root/target/upgrade"
    git -C "$root" worktree add --quiet --force --detach "$tree" "$commit"
fi
echo "building $(git -C "$root" log -1 --format='%h %s' "$commit")"
(cd "$tree" && CARGO_TARGET_DIR=$build "$cargo" build --locked -p adplane)
cd "$root"
ADPLANE_OLD_PROGRAM=$build/debug/adplane "$cargo" test --locked -p faults -- --ignored --nocapture upgrade::
