# Shell functions that the scripts share: messages, packages, processes, ports.
# Sourced from the root of the checkout, never run. Knows nothing of what the scripts are for.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
die() {
  printf '\033[31merror:\033[0m %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
}

# Prints the comment at the top of the script.
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "script/${0##*/}"; }

# Prints it and ends the script, if that is what the first argument asks for: help_if_asked "$@"
help_if_asked() { case ${1:-} in -h | --help) usage; exit ;; esac; }

# Calls a function when the script ends, also by Ctrl-C or a signal.
at_exit() {
  # shellcheck disable=SC2064
  trap "$1" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

has() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" = 0 ]; }

# Runs a command as root, or says which one somebody has to run.
as_root() {
  if is_root; then
    "$@"
  elif has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    sudo "$@"
  else
    die "this needs root, and sudo is not available. Please run:" "$*"
  fi
}

apt_install() {
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2 \
    || die "apt-get could not install: $*"
}

apt_refreshed=
apt_refresh() {
  [ -n "$apt_refreshed" ] && return
  as_root apt-get update -q >&2 || die "apt-get update failed"
  apt_refreshed=yes
}

need_rust() {
  has cargo && return
  # shellcheck disable=SC1091
  if [ -r "${CARGO_HOME:-$HOME/.cargo}/env" ]; then . "${CARGO_HOME:-$HOME/.cargo}/env"; fi
  has cargo || die "Rust is missing. Install it with:" \
    "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
}

# Installs packages of the distribution, or says what is missing: install_packages WHAT PACKAGE…
install_packages() {
  has apt-get || die "$1"
  shift
  apt_refresh
  apt_install "$@"
}

need_c_compiler() {
  has cc || install_packages "a C compiler (cc) is missing; on macOS: xcode-select --install" build-essential
}

# With the modules that make virtual environments, which Debian ships separately.
need_python() {
  has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null && return
  install_packages "Python 3 with its module venv is missing" python3 python3-venv
}

# Makes the virtual environment .venv/NAME (ignored by git) with the packages that LIST names, in exactly these versions.
# Tests start several scripts at once: one installs, the others wait. install_python_packages NAME LIST
install_python_packages() {
  local name=$1 list=$2 venv=.venv/$1
  need_python
  mkdir -p .venv
  (
    if has flock; then flock 9; fi
    if ! cmp -s "$list" "$venv/installed.txt"; then
      say "installing the packages of $list"
      python3 -m venv --clear "$venv"
      "$venv/bin/pip" install -q --disable-pip-version-check --no-deps -r "$list"
      cp "$list" "$venv/installed.txt"
    fi
  ) 9>".venv/$name.lock" >&2
}

need_curl() { has curl || install_packages "curl is missing" curl; }
need_jq() { has jq || install_packages "jq is missing" jq; }

has_node() { has npm && has node && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; }

# Debian's own is too old for the generators.
need_node() {
  has_node || die "Node.js 20 or newer is missing, with npm"
}

# What the lock file of a folder names, of exactly these versions.
install_node_packages() {
  local folder=$1
  if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed"; then
    say "installing the packages of ${folder#"$PWD/"}"
    (cd "$folder" && npm ci --silent --ignore-scripts --no-audit --no-fund)
    cp "$folder/package-lock.json" "$folder/node_modules/.installed"
  fi
}

# A short name for this checkout, for places outside of it.
checkout_key() { printf '%s' "$1" | cksum | cut -d' ' -f1; }

port_in_use() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The first free port from $1 on.
free_port() {
  local port=$1
  while port_in_use "$port"; do port=$((port + 1)); done
  printf '%s' "$port"
}

# Waits until a program that was started listens: wait_for NAME PROCESS PORT LOG SECONDS
wait_for() {
  local name=$1 process=$2 port=$3 log=$4 seconds=$5 waited=0
  while ! port_in_use "$port"; do
    kill -0 "$process" 2>/dev/null || { tail -n 20 "$log" >&2; die "$name stopped"; }
    waited=$((waited + 1))
    [ "$waited" -lt $((seconds * 10)) ] || die "$name does not listen after $seconds seconds; its log is $log"
    sleep 0.1
  done
}

# Waits until a `script/run` that was started is ready: wait_until_served PROCESS LOG
wait_until_served() {
  until grep -q 'Ctrl-C stops' "$2" 2>/dev/null; do
    kill -0 "$1" 2>/dev/null || { cat "$2" >&2; die "script/run ended"; }
    sleep 0.1
  done
}

random_word() { head -c 24 /dev/urandom | base64 | tr -d '\n' | tr '+/' 'ab'; }

# Writes stdin to a file that only its owner reads, whole or not at all.
keep_secret() {
  local file=$1
  (umask 077 && cat >"$file.new") && mv "$file.new" "$file"
}
