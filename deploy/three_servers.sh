#!/usr/bin/env bash
# Three servers over one PostgreSQL database, until Ctrl-C. A server that ends is started again.
#
# Usage: deploy/three_servers.sh [URL [PORT [OPTION...]]]
#   URL     the database: postgresql://…  Without it, or if it is empty, a temporary PostgreSQL is started at PORT + 3, with
#           the programs of Debian's package postgresql or those in PATH. Its data is removed at the end.
#   PORT    the port of the first server on 127.0.0.1; the others have the next two. 50051 by default.
#   OPTION  further options of `runsvc serve`, the same for all servers.
# RUNSVC names the program if it is not in PATH.
set -euo pipefail
# Each server gets a process group of its own, so that Ctrl-C reaches this script only, which stops them in order.
set -m

runsvc=${RUNSVC:-runsvc}
db=${1:-}
port=${2:-50051}
options=("${@:3}")
ports=("$port" $((port + 1)) $((port + 2)))
servers=()
folder=
as_postgres=()
stop_database=()

is_open() {
  (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# Runs until the end of the script.
keep() {
  local stopping=
  trap 'stopping=1' TERM
  while [[ -z $stopping ]]; do
    # In the environment, the password is hidden from other users of the machine.
    RUNSVC_SERVE_DB=$db "$runsvc" serve --listen "127.0.0.1:$1" "${options[@]}" || true
    [[ -n $stopping ]] || sleep 1
  done
}

start_database() {
  local bin data
  bin=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1 || true)
  [[ -n $bin ]] || bin=$(command -v initdb) && bin=${bin%/initdb} || {
    echo "There is no PostgreSQL on this machine: name a database, or install Debian's package postgresql." >&2
    exit 1
  }
  folder=$(mktemp -d)
  data=$folder/data
  if ((EUID == 0)); then
    # PostgreSQL refuses to run as root.
    as_postgres=(runuser -u postgres --)
    chown postgres "$folder"
  fi
  cd "$folder"
  echo "A temporary PostgreSQL starts in $folder."
  "${as_postgres[@]}" "$bin/initdb" -D "$data" -U runsvc -A trust -E UTF8 --locale=C > "$folder/output"
  "${as_postgres[@]}" "$bin/pg_ctl" -D "$data" -l "$data/output" -w start > "$folder/output" \
    -o "-p $((port + 3)) -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
  stop_database=("${as_postgres[@]}" "$bin/pg_ctl" -D "$data" -m fast stop)
  db=postgresql://runsvc@127.0.0.1:$((port + 3))/postgres
  cd - > /dev/null
}

stop() {
  trap - EXIT INT TERM
  local server
  for server in "${servers[@]}"; do
    kill -TERM -- "-$server" 2> /dev/null || true
  done
  wait
  if [[ -n $folder ]]; then
    ((${#stop_database[@]} == 0)) || "${stop_database[@]}" > /dev/null || true
    rm -rf "$folder"
  fi
}

trap stop EXIT
trap 'stop; kill -INT $$' INT
trap 'stop; kill -TERM $$' TERM

for each in "${ports[@]}"; do
  if is_open "$each"; then
    echo "Another program uses port $each: name another PORT." >&2
    exit 1
  fi
done
[[ -n $db ]] || start_database
# Refuses a database that cannot be used, before the servers do so again and again.
RUNSVC_SERVE_DB=$db "$runsvc" admin migrate
for each in "${ports[@]}"; do
  keep "$each" &
  servers+=("$!")
done
for each in "${ports[@]}"; do
  until is_open "$each"; do
    sleep 0.1
  done
done
echo "Clients: RUNSVC_TARGET=ipv4:127.0.0.1:${ports[0]},127.0.0.1:${ports[1]},127.0.0.1:${ports[2]}"
wait
