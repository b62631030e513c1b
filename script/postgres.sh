# A private PostgreSQL cluster: find or install the programs, make, start, stop.
# Sourced after lib.sh. Sets pg_bin; cluster functions take the cluster's folder.

pg_bin=

# Programs of a version that has PostGIS; 15 if there are several.
pg_find() {
  local bin version share
  for bin in /usr/lib/postgresql/15/bin $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    version=${bin#/usr/lib/postgresql/}
    version=${version%/bin}
    if [ -x "$bin/postgres" ] && [ "$version" -ge 15 ] \
      && [ -f "/usr/share/postgresql/$version/extension/postgis.control" ]; then
      pg_bin=$bin
      return 0
    fi
  done
  if has pg_config; then
    share=$(pg_config --sharedir)
    version=$(pg_config --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    if [ "${version:-0}" -ge 15 ] && [ -x "$(pg_config --bindir)/postgres" ] \
      && [ -f "$share/extension/postgis.control" ]; then
      pg_bin=$(pg_config --bindir)
      return 0
    fi
  fi
  return 1
}

# PostgreSQL 15 if the distribution has it, else its own version.
pg_install() {
  local version
  apt_refresh
  version=$(apt-cache search --names-only '^postgresql-[0-9]+-postgis-3$' | sed 's/^postgresql-\([0-9]*\)-.*/\1/' | sort -n)
  if printf '%s\n' "$version" | grep -qx 15; then version=15; else version=$(printf '%s\n' "$version" | tail -n 1); fi
  [ -n "$version" ] && [ "$version" -ge 15 ] || die "this distribution has no PostgreSQL 15 or newer with PostGIS." \
    "See https://wiki.postgresql.org/wiki/Apt, or set DATABASE_URL to a database you have."
  apt_install "postgresql-$version" "postgresql-$version-postgis-3"
}

need_postgres() {
  pg_find && return
  if has apt-get; then
    pg_install
  elif has brew; then
    die "PostgreSQL with PostGIS is missing. Install it with:" "brew install postgresql@17 postgis && brew link postgresql@17"
  elif has dnf; then
    die "PostgreSQL with PostGIS is missing. Install it with:" "sudo dnf install postgresql-server postgis"
  else
    die "PostgreSQL 15 or newer with PostGIS is missing, and I only know how to install it with apt-get." \
      "Install it, or set DATABASE_URL to a database you have."
  fi
  pg_find || die "PostgreSQL was installed, but I can't find its programs."
}

# PostgreSQL refuses to run as root: an unprivileged account runs it then.
pg_account() {
  if ! is_root; then
    id -un
  elif id postgres >/dev/null 2>&1; then
    echo postgres
  else
    id culturepass >/dev/null 2>&1 \
      || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin culturepass
    echo culturepass
  fi
}

as_pg() {
  if is_root; then
    # From a folder that the account may enter.
    (cd / && exec runuser -u "$(pg_account)" -- "$@")
  else
    "$@"
  fi
}

# A folder that the account can use: $1 if it can be reached by it, else one outside of the checkout.
pg_folder() {
  local wanted=$1 key=$2 base
  mkdir -p "$wanted" && chmod 700 "$wanted"
  if ! is_root; then
    printf '%s' "$wanted"
    return
  fi
  chown "$(pg_account)" "$wanted"
  if as_pg test -w "$wanted"; then
    printf '%s' "$wanted"
    return
  fi
  rmdir "$wanted" 2>/dev/null || true
  base=/var/lib/culturepass
  mkdir -p "$base" 2>/dev/null && chmod 755 "$base" || base=/tmp
  wanted=$base/cluster-$key
  mkdir -p "$wanted" && chmod 700 "$wanted" && chown "$(pg_account)" "$wanted"
  note "$(pg_account) can't enter the checkout, so the database lives in $wanted"
  printf '%s' "$wanted"
}

# cluster_make FOLDER PASSWORD [METHOD]: superuser `postgres`; everybody gives a password, by scram-sha-256 if no other
# method is named.
cluster_make() {
  local folder=$1 password=$2 method=${3:-scram-sha-256} locale=C
  [ -f "$folder/pg/PG_VERSION" ] && return
  say "making a PostgreSQL $("$pg_bin/postgres" --version | sed 's/.*) \([0-9.]*\).*/\1/') cluster in $folder"
  if locale -a 2>/dev/null | grep -qix 'c.utf-\?8'; then locale=C.UTF-8; fi
  rm -rf "$folder/pg"
  # The account reads the password from a file of its own.
  printf '%s\n' "$password" | as_pg sh -c 'umask 077; cat > "$1/password"' sh "$folder"
  as_pg "$pg_bin/initdb" -D "$folder/pg" -U postgres --pwfile="$folder/password" --auth="$method" \
    --encoding=UTF8 --locale="$locale" >"$folder.initdb.log" 2>&1 \
    || { cat "$folder.initdb.log" >&2; rm -f "$folder.initdb.log"; die "initdb failed"; }
  rm -f "$folder.initdb.log" "$folder/password"
}

cluster_running() { as_pg "$pg_bin/pg_ctl" -D "$1/pg" status >/dev/null 2>&1; }

# cluster_start FOLDER PORT [SETTING…]
cluster_start() {
  local folder=$1 port=$2 options sockets=$1 setting
  shift 2
  # The path of a socket is limited to 107 bytes.
  if [ "${#sockets}" -gt 80 ]; then sockets=; fi
  options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$sockets'"
  for setting in "$@"; do options="$options -c $setting"; done
  if ! as_pg "$pg_bin/pg_ctl" -D "$folder/pg" -l "$folder/postgres.log" -o "$options" -w -t 60 start >/dev/null 2>&1; then
    as_pg tail -n 20 "$folder/postgres.log" >&2 || true
    die "PostgreSQL did not start; its log is $folder/postgres.log"
  fi
}

cluster_stop() {
  if cluster_running "$1"; then
    as_pg "$pg_bin/pg_ctl" -D "$1/pg" -m fast -w -t 60 stop >/dev/null 2>&1 || true
  fi
}

# The port the running cluster in this folder listens on.
cluster_port() { as_pg sed -n 4p "$1/pg/postmaster.pid"; }

# The library of PostGIS, as `shared_preload_libraries` names it.
postgis_library() {
  sed -n "s,^module_pathname = '\$libdir/\(.*\)',\1,p" "$("$pg_bin/pg_config" --sharedir)/extension/postgis.control"
}

# psql as superuser: cluster_psql PORT PASSWORD DATABASE ARGUMENT…
cluster_psql() {
  local port=$1 password=$2 database=$3
  shift 3
  PGPASSWORD=$password "$pg_bin/psql" -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$port" -U postgres -d "$database" "$@"
}

# Makes and starts a cluster in the new folder $cluster, which the caller stops and removes by cluster_remove. $cluster_url
# leads to it as superuser. temporary_cluster FOLDER METHOD [SETTING…]
temporary_cluster() {
  local method=$2 password port
  cluster=$(mktemp -d "$1/culturepass-database.XXXXXX")
  if is_root; then
    chown "$(pg_account)" "$cluster"
    as_pg test -w "$cluster" || die "$(pg_account) can't use $cluster; set TMPDIR to a folder it may enter"
  fi
  shift 2
  password=$(random_word)
  cluster_make "$cluster" "$password" "$method"
  port=$(free_port $((20000 + RANDOM % 12000)))
  cluster_start "$cluster" "$port" "$@"
  cluster_url=postgres://postgres:$password@127.0.0.1:$port/postgres
}

cluster_remove() {
  if [ -n "$1" ]; then
    cluster_stop "$1"
    rm -rf "$1"
  fi
}

# In memory where there is plenty of it: each test makes a database of some thousand files.
database_folder() {
  local free_kb
  free_kb=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $4}')
  if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "${free_kb:-0}" -gt $((6 * 1024 * 1024)) ]; then
    echo /dev/shm
  else
    echo "${TMPDIR:-/tmp}"
  fi
}

# A temporary cluster for the test suite, to which TEST_DATABASE_URL leads. Nothing in it has to survive a crash.
# The suite opens thousands of connections. scram hashes a password 4,096 times for each, on both sides; md5 is enough for
# one that lives as long as the suite. PostGIS takes some milliseconds to load: once instead of in each session. The server
# switches compilation (jit) off for its own connections; for those of the tests it would take longer than the queries:
# nine times as long for `app.money_invariants` with the demonstration data.
test_cluster() {
  temporary_cluster "$(database_folder)" md5 fsync=off synchronous_commit=off full_page_writes=off \
    autovacuum=off jit=off max_connections=300 shared_buffers=256MB shared_preload_libraries="plpgsql,$(postgis_library)"
  export TEST_DATABASE_URL=$cluster_url
}
