# Stops processes in order when the pipe on standard input ends. Lines: "service PID", "store PID SIGNAL", "forget PID",
# "folder 0 PATH". Plain POSIX sh: it must run wherever the servers do.
trap '' INT TERM HUP
services='' stores='' newline='
'
folders=''

without() { # LIST PID: the list without that process
    left=''
    for entry in $1; do
        [ "${entry%%:*}" = "$2" ] || left="$left $entry"
    done
    printf '%s' "$left"
}

while read -r verb pid rest; do
    case $verb in
        service) services="$services $pid:TERM" ;;
        store) stores="$stores $pid:$rest" ;;
        forget) services=$(without "$services" "$pid") stores=$(without "$stores" "$pid") ;;
        folder) folders="$folders$rest$newline" ;;
    esac
done

alive() { # PID: whether it runs; one that has ended and was not waited for does not
    kill -0 "$1" 2>/dev/null || return 1
    if [ -r "/proc/$1/stat" ]; then
        read -r stat <"/proc/$1/stat" 2>/dev/null || return 1
        case ${stat##*) } in Z*) return 1 ;; esac
    fi
}

stop() { # LIST: asks all of them to end, waits 15 seconds for all, then kills the rest
    for entry in $1; do kill -"${entry#*:}" "${entry%%:*}" 2>/dev/null; done
    for tick in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 \
        1 1 1 1 1 1 1 1 1 1 1 1 1; do
        running=''
        for entry in $1; do
            if alive "${entry%%:*}"; then running="$running $entry"; fi
        done
        [ -n "$running" ] || return 0
        if [ "$waited" -lt 20 ]; then sleep 0.1 2>/dev/null || sleep 1; else sleep 1; fi
        waited=$((waited + 1))
    done
    for entry in $running; do kill -KILL "${entry%%:*}" 2>/dev/null; done
}

waited=0
stop "$services"
waited=0
stop "$stores"

printf '%s' "$folders" | while read -r folder; do
    case $folder in
        */../* | */..) ;;
        /*/adplane-*) rm -rf -- "$folder" ;;
    esac
done
