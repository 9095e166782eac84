# Sourced by jobs. `need COMMAND PACKAGE...` installs Debian packages when a command is missing.

need() {
  local command="$1"
  shift
  if command -v "$command" >/dev/null; then return; fi
  echo "ci: installing $*"
  local stamp="$CI_DIR/apt-updated"
  if [ ! -e "$stamp" ]; then
    apt-get -o Acquire::Retries=5 -qq update
    touch "$stamp"
  fi
  apt-get -o Acquire::Retries=5 -qq install --no-install-recommends -y "$@"
}
