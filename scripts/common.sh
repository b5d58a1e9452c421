# What the scripts share: where things are, how they speak, and the environment of a build and of mpirun.
# Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s: %s\n' "${0##*/}" "$*"; }
# fail MESSAGE [EXIT CODE]
fail() {
    printf '%s: error: %s\n' "${0##*/}" "$1" >&2
    exit "${2:-1}"
}

# Prints the comment at the top of the script, which says how it is used, and ends it.
show_help() {
    sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"
    exit 0
}

# What a build needs of Debian. pkg-config tells SwiftPM where Open MPI and OpenBLAS are; g++ brings the C library's
# headers, the linker's start files and libgomp, which the Swift toolchain takes from the system. iproute2 is for the
# tests that make several hosts, libwebp7 for those of WebP files, which the program reads where it finds that library.
packages=(
    libopenmpi-dev openmpi-bin libopenblas-dev libdnnl-dev libpng-dev libjpeg62-turbo-dev liblcms2-dev
    pkg-config g++ git iproute2 libwebp7
)
least_swift=6.2

# A shell that sudo or cron started may not have the toolchain in its PATH.
find_swift() {
    command -v swift >/dev/null && return 0
    local folder
    for folder in "$HOME/.local/share/swiftly/bin" /opt/swift/usr/bin /usr/local/swift/usr/bin; do
        if [ -x "$folder/swift" ]; then
            PATH=$folder:$PATH
            return 0
        fi
    done
    return 1
}

check_swift() {
    local advice="install Swift $least_swift or later from https://www.swift.org/install/linux/ (swiftly does it in \
one command, or unpack the toolchain for this system) and put its usr/bin into PATH"
    find_swift || fail "there is no swift: $advice"
    local version
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9]*\.[0-9][0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] || fail "$(command -v swift) does not run or does not tell its version: $advice"
    if [ "$(printf '%s\n' "$least_swift" "$version" | sort -V | head -n 1)" != "$least_swift" ]; then
        fail "$(command -v swift) is Swift $version: $advice"
    fi
}

# mpirun refuses root unless told twice, and a container may not let one rank read another's memory.
prepare_mpi() {
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    if [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -n "${container:-}" ]; then
        export OMPI_MCA_btl_vader_single_copy_mechanism=none
    fi
    # A machine with one core can still try two ranks.
    export OMPI_MCA_rmaps_base_oversubscribe=1
}

# Builds the program for machines that have no Swift: with the runtime in it. A folder of its own keeps the two kinds of
# builds from undoing each other.
nodes_build=$root/.build-static/release
build_for_nodes() {
    check_swift
    say "building (the first time takes some minutes)"
    swift build --package-path "$root" --scratch-path "$root/.build-static" -c release --product pilot \
        --static-swift-stdlib --disable-local-rpath
}

# What a program asks the dynamic linker for: a line for each library, its file and its Debian package, "-" for none.
linked_libraries() {
    local wanted name file package candidate
    wanted=$(readelf --dynamic --wide "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    while read -r name _ file _; do
        grep -qxF "$name" <<<"$wanted" || continue
        package=-
        [[ $file = /* ]] || fail "$1 wants the library $name, which is not here"
        # A package may know the file by the name from before /lib became a link to /usr/lib.
        file=$(readlink -f "$file")
        for candidate in "$file" "${file#/usr}"; do
            package=$(dpkg-query --search "$candidate" 2>/dev/null | head -n 1 | cut -d : -f 1) || :
            [ -z "$package" ] || break
        done
        printf '%s %s\n' "$file" "${package:--}"
    done < <(ldd "$1")
}
