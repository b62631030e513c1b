# Shell functions that script/run and script/test share: messages, packages, ports.
# Sourced, never run. Knows nothing of what the scripts are for.

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }
note() { printf '    %s\n' "$*" >&2; }
die() {
  printf '\033[31merror:\033[0m %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '       %s\n' "$line" >&2; done
  exit 1
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

need_c_compiler() {
  has cc && return
  has apt-get || die "a C compiler (cc) is missing; on macOS: xcode-select --install"
  apt_refresh
  apt_install build-essential
}

# With what its virtual environments are made of: Debian ships that apart.
need_python() {
  has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null && return
  has apt-get || die "Python 3 with its module venv is missing"
  apt_refresh
  apt_install python3 python3-venv
}

need_curl() {
  has curl && return
  has apt-get || die "curl is missing"
  apt_refresh
  apt_install curl
}

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

need_jq() {
  has jq && return
  has apt-get || die "jq is missing"
  apt_refresh
  apt_install jq
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

random_word() { head -c 24 /dev/urandom | base64 | tr -d '\n' | tr '+/' 'ab'; }

# Writes stdin to a file that only its owner reads, whole or not at all.
keep_secret() {
  local file=$1
  (umask 077 && cat >"$file.new") && mv "$file.new" "$file"
}
