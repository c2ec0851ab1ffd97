#!/usr/bin/env bash
# Renews .sqlx: the committed descriptions of every query, with which the server compiles without a database.
#
# usage: scripts/sqlx_cache.sh          (or `make sqlx-cache`)
#
# Starts a Postgres of its own, applies the migrations, and lets the compiler ask it about each query.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${PG_BIN_DIR:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}
[[ -x $programs/initdb ]] || { echo "laurel: Postgres is needed: apt-get install postgresql, or set PG_BIN_DIR" >&2; exit 1; }

folder=$(mktemp -d /tmp/laurel-sqlx.XXXXXX)
as_owner() { "$@"; }
if [[ $(id -u) == 0 ]]; then
    # Postgres refuses to run as root.
    chown postgres "$folder"
    as_owner() { su postgres -s /bin/bash -c "$(printf '%q ' "$@")"; }
fi
finish() {
    as_owner "$programs/pg_ctl" -D "$folder/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$folder" ${new:+"$new"}
}
trap finish EXIT

as_owner "$programs/initdb" -D "$folder/data" -A trust -U laurel -E UTF8 >/dev/null
as_owner "$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-c listen_addresses='' -c unix_socket_permissions=0777 -k $folder -c fsync=off" start >/dev/null
psql() { command psql -q -X -v ON_ERROR_STOP=1 -h "$folder" -U laurel "$@"; }
psql -d postgres -c 'CREATE DATABASE laurel'
for migration in migrations/*.sql; do psql -d laurel -f "$migration"; done

new=$(mktemp -d "$PWD/.sqlx.XXXXXX")
touch src/lib.rs
DATABASE_URL="postgres://laurel@localhost/laurel?host=$folder" SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$new" \
    cargo check -p laurel --all-targets
chmod 755 "$new"
rm -rf .sqlx
mv "$new" .sqlx
echo "$(ls .sqlx | wc -l) queries in .sqlx"
