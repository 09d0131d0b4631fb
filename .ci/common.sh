# Functions of the CI scripts; sourced, not run.

# Files that a later run on the same machine can use again.
CACHE="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/shyper-tui-ci"
mkdir -p "$CACHE"
export PIP_CACHE_DIR="$CACHE/pip"

# A line that nobody overlooks, and goes on.
warn() {
    printf '\n!!! WARNING: %s\n\n' "$*" >&2
}

# retry TIMES COMMAND...: until it succeeds; the last status when it never does.
retry() {
    local times=$1 try status=0
    shift
    for ((try = 1; try <= times; try++)); do
        "$@" && return 0
        status=$?
        if ((try < times)); then
            echo "--- '$*' ended with status $status; try $((try + 1)) of $times follows in $((5 * try)) s" >&2
            sleep $((5 * try))
        fi
    done
    return "$status"
}

# step NAME COMMAND...: runs it, notes a failure in the array `failed`, and goes on.
failed=()
step() {
    local name=$1 status=0 began=$SECONDS
    shift
    printf '\n=== %s\n' "$name"
    "$@" || status=$?
    if ((status)); then
        failed+=("$name (status $status)")
        printf '=== %s FAILED with status %d after %d s\n' "$name" "$status" $((SECONDS - began))
    else
        printf '=== %s: ok, %d s\n' "$name" $((SECONDS - began))
    fi
}
