#!/bin/sh
# Installs PostgreSQL and Redis where they are missing, for `adplane dev` and for the tests, which start private servers with
# them. Nothing that this installs is started: Debian's packages would, on 5432 and 6379, so a policy and a setting keep them
# from it while they are installed, and are taken away again.
#
# Quiet when nothing is missing. Exit status 1, with the commands to run by hand, when it cannot.
set -eu

have_postgres() {
    command -v initdb >/dev/null 2>&1 && return 0
    for folder in /usr/lib/postgresql/*/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
        [ -x "$folder/initdb" ] && return 0
    done
    return 1
}

have_redis() {
    command -v redis-server >/dev/null 2>&1 || command -v valkey-server >/dev/null 2>&1 || [ -x /usr/bin/redis-server ]
}

missing=''
have_postgres || missing="$missing postgres"
have_redis || missing="$missing redis"
[ -n "$missing" ] || exit 0

give_up() {
    echo "PostgreSQL and Redis are needed, and$missing could not be installed: $1" >&2
    echo "Install them so that initdb and redis-server are found, for example with:" >&2
    echo "  Debian, Ubuntu:  sudo apt-get install postgresql redis-server" >&2
    echo "  macOS:           brew install postgresql@17 redis" >&2
    exit 1
}

with_brew() {
    packages=''
    case $missing in *postgres*) packages="$packages postgresql@17" ;; esac
    case $missing in *redis*) packages="$packages redis" ;; esac
    # shellcheck disable=SC2086  # a list of words
    brew install $packages >&2 || give_up "brew failed"
}

# As root at once, else through sudo, which must not ask for a password where nobody can give one.
root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif [ -t 0 ]; then sudo "$@"
    else sudo -n "$@"
    fi
}

policy=/usr/sbin/policy-rc.d
settings=/etc/postgresql-common/createcluster.d
setting=$settings/adplane-no-cluster.conf
made_policy=''
made_settings=''

undo() {
    [ -z "$made_policy" ] || root rm -f "$policy"
    [ -z "$made_settings" ] || root rm -f "$setting"
}

with_apt() {
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1 || give_up "this user is not root, and there is no sudo"
    root true || give_up "sudo refused"
    packages=''
    case $missing in *postgres*) packages="$packages postgresql" ;; esac
    case $missing in *redis*) packages="$packages redis-server" ;; esac

    trap undo EXIT
    trap 'exit 1' INT TERM HUP
    # A policy that is there already is somebody's decision, such as a container's not to start anything.
    if [ ! -e "$policy" ]; then
        made_policy=1
        printf '#!/bin/sh\nexit 101\n' | root tee "$policy" >/dev/null
        root chmod 755 "$policy"
    fi
    made_settings=1
    root mkdir -p "$settings"
    printf 'create_main_cluster = false\n' | root tee "$setting" >/dev/null

    echo "installing$packages (nothing is started)" >&2
    # A machine that is offline may still have the packages in its cache.
    root apt-get update -qq >&2 || echo "apt-get update failed; going on with what is known" >&2
    # shellcheck disable=SC2086  # a list of words
    root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2 ||
        give_up "apt-get failed"
}

if command -v apt-get >/dev/null 2>&1; then
    with_apt
elif command -v brew >/dev/null 2>&1; then
    with_brew
else
    give_up "neither apt-get nor brew is here"
fi

missing=''
have_postgres || missing="$missing postgres"
have_redis || missing="$missing redis"
[ -z "$missing" ] || give_up "the packages were installed, but the programs are not where we look"
