#!/bin/sh
# Makes the cluster when there is none, then is the server: as the official image does it.
set -eu
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}

as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

[ "$1" = postgres ] || exec "$@"
chown postgres:postgres "$PGDATA"
install -d -o postgres -g postgres -m 2775 /var/run/postgresql
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?the database needs a password}"
    printf '%s' "$POSTGRES_PASSWORD" >/tmp/password
    chown postgres /tmp/password
    as_postgres initdb -D "$PGDATA" -U "$user" --pwfile=/tmp/password --no-sync -E UTF8 \
        --locale=C.UTF-8 --auth=trust --auth-host=trust >/dev/null
    rm /tmp/password
    # Who is in the container is trusted; who comes over the network proves it.
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    [ "$database" = postgres ] ||
        echo "CREATE DATABASE \"$database\"" |
        as_postgres postgres --single -j -D "$PGDATA" postgres >/dev/null
fi
shift
exec setpriv --reuid=postgres --regid=postgres --init-groups \
    postgres -D "$PGDATA" -c listen_addresses='*' -c fsync=off "$@"
