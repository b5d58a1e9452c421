# A bare system of this machine's release in a temporary folder, to try a package in. Sourced after common.sh, not run.
# It needs root, mmdebstrap, and the network: the packages come from this machine's own sources.

# Removes the folder at the end. What runs in the bare root has mounts and processes of its own, gone by then.
scratch=$(mktemp -d)
bare=$scratch/root
trap 'rm -rf --one-file-system "$scratch"' EXIT

# make_bare [PACKAGE,...]
make_bare() {
    [ "$(id -u)" = 0 ] || fail "it needs root" 69
    command -v mmdebstrap >/dev/null || fail "there is no mmdebstrap; apt-get install mmdebstrap" 69
    # Only the distribution's own sources; others have keys that the bare root lacks.
    local distribution sources
    distribution=$(. /etc/os-release && echo "$ID")
    sources=$(apt-get indextargets --format 'deb $(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)' "Created-By: Packages" \
        | awk -v origin="$distribution" 'tolower($5) == origin { print $1, $2, $3, $4 }' | sort -u)
    [ -n "$sources" ] || fail "apt knows no sources of $distribution; apt-get update" 69
    say "making a bare $distribution"
    mmdebstrap --quiet --variant=minbase ${1:+--include="$1"} "" "$bare" - <<<"$sources"
    if [ -e /etc/resolv.conf ]; then cp /etc/resolv.conf "$bare/etc/resolv.conf"; fi
    printf '127.0.0.1 localhost\n' >"$bare/etc/hosts"
}

# install_bare FILE.deb: with what it depends on.
install_bare() {
    say "installing $(basename "$1")"
    cp "$1" "$bare/tmp/pilot.deb"
    inside root apt-get update -qq
    inside root apt-get install -y -qq --no-install-recommends /tmp/pilot.deb >"$scratch/apt.log" 2>&1 \
        || { tail -n 20 "$scratch/apt.log" >&2; fail "apt-get could not install it"; }
}

# inside USER COMMAND...: in the bare root, with the mounts that programs expect, an empty environment, no terminal.
inside() {
    local user=$1
    shift
    unshare --mount --pid --fork --kill-child sh -euc '
        bare=$1 user=$2
        shift 2
        # A mount point, or unshare does not work within.
        mount --bind "$bare" "$bare"
        mount -t proc proc "$bare/proc"
        mount -t sysfs sysfs "$bare/sys"
        mkdir -p "$bare/dev/shm"
        mount -t tmpfs -o mode=1777 tmpfs "$bare/dev/shm"
        mount -t tmpfs -o mode=755 tmpfs "$bare/run"
        exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LC_ALL=C \
            DEBIAN_FRONTEND=noninteractive OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
            OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_rmaps_base_oversubscribe=1 \
            chroot --userspec="$user" "$bare" "$@"' sh "$bare" "$user" "$@" </dev/null
}

# The package named on the command line, or one made now.
find_package() {
    package=${1:-}
    if [ -z "$package" ]; then
        "$root/scripts/package" --output "$scratch"
        package=$(echo "$scratch"/*.deb)
    fi
    [ -f "$package" ] || fail "there is no file $package" 64
}
