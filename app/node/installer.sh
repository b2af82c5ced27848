#!/bin/sh
# Makes this computer a mail node of the panel at @PANEL@: Dovecot, Postfix, and the agent that
# keeps them in step. For Raspberry Pi OS and Debian, 12 and 13. Twice is harmless.
#
#   curl -fsS @PANEL@/sync/v1/install.sh | sudo sh -s -- --key mck_...
#
# All of it is functions, and the last line calls the first: a download that is cut off does
# nothing. In POSIX's shell language (https://pubs.opengroup.org/onlinepubs/9799919799/).

PANEL='@PANEL@'
PACKAGES='ca-certificates curl dovecot-core dovecot-imapd dovecot-lmtpd dovecot-pop3d
  dovecot-sqlite openssl postfix postfix-cdb python3'
AGENT=/usr/local/lib/mailcote/agent.py
UNIT=/etc/systemd/system/mailcote-agent.service
TMPFILES=/etc/tmpfiles.d/mailcote.conf
MARK="Written by Mailcote's installer"
SELF_MADE='Mailcote, self-made'
POLICY=/usr/sbin/policy-rc.d

main() {
  set -eu
  umask 022
  export LC_ALL=C DEBIAN_FRONTEND=noninteractive
  read_options "$@"
  check_computer
  work=$(mktemp -d)
  trap clean_up EXIT
  trap 'exit 1' HUP INT TERM
  # The script itself comes in through standard input; nothing that is started here may read it.
  "$action" </dev/null
}

usage() {
  cat <<'END'
Make this computer a mail node, or make sure that it still is one.

  install.sh --key KEY | --key-file FILE [--hostname NAME] [--panel URL] [--no-packages]
  install.sh --uninstall
  install.sh --help

  --key KEY        the node's sync key, mck_..., from its page in the panel
  --key-file FILE  a file that holds it; keeps it from the list of processes
  --hostname NAME  this node's public name, such as mail.example.nl
  --panel URL      another panel than the one this script came from
  --no-packages    install no Debian packages; say which are missing
  --uninstall      remove the agent, its state and the configuration; mail and packages stay

Exit codes: 0 done, 1 something is in the way (one sentence says what), 2 wrong usage.
END
}

# ── What was asked for ───────────────────────────────────────────────────────────────────────

read_options() {
  key='' key_file='' panel=$PANEL host='' action=install_node with_packages=yes
  changed='' agent_changed=no dovecot_changed=no postfix_changed=no
  while [ $# -gt 0 ]; do
    case $1 in
    --key | --key-file | --hostname | --panel)
      [ $# -ge 2 ] || misuse "$1 needs a value."
      take "$1" "$2"
      shift
      ;;
    --no-packages) with_packages=no ;;
    --uninstall) action=uninstall_node ;;
    --help)
      usage
      exit 0
      ;;
    # What stands there may be a key that lost its --key: it is not repeated.
    *) misuse "One of the options is not known; --help lists them." ;;
    esac
    shift
  done
  [ "$action" = uninstall_node ] || check_options
}

take() { # OPTION VALUE
  case $1 in
  --key) key=$2 ;;
  --key-file) key_file=$2 ;;
  --hostname) host=$2 ;;
  --panel) panel=${2%/} ;;
  esac
}

check_options() {
  if [ -n "$key_file" ]; then
    [ -z "$key" ] || misuse "Give --key or --key-file, not both."
    [ -r "$key_file" ] || misuse "The file named with --key-file cannot be read."
    key=$(head -n 1 "$key_file")
  fi
  case $key in
  '') misuse "The node's sync key is needed: --key mck_..., from its page in the panel." ;;
  mck_ | *[!0-9A-Za-z_-]*) misuse "That is not a sync key; it looks like mck_..." ;;
  mck_*) ;;
  *) misuse "That is not a sync key; it looks like mck_..." ;;
  esac
  check_panel
  [ -z "$host" ] || is_host_name "$host" ||
    misuse "--hostname needs a full name, such as mail.example.nl."
}

# The key and the agent travel there: https, or no wire at all.
check_panel() {
  case $panel in
  *[!0-9A-Za-z.:/_~[\]-]*) misuse "--panel needs an address such as https://panel.example." ;;
  https://[0-9A-Za-z[]*) return 0 ;;
  http://*) place=${panel#http://} ;;
  *) place='' ;;
  esac
  case ${place%%/*} in
  127.0.0.1 | 127.0.0.1:* | localhost | localhost:* | '[::1]' | '[::1]:'*) ;;
  *) misuse "The panel's address must begin with https:// (or be this computer's own)." ;;
  esac
}

is_host_name() { # NAME: one that Postfix accepts, too
  [ ${#1} -le 253 ] || return 1
  case $1 in
  *[!0-9a-z.-]* | .* | *. | -* | *- | *..* | *.-* | *-.*) return 1 ;;
  *.*) ;;
  *) return 1 ;;
  esac
  labels=$1.
  while [ -n "$labels" ]; do
    label=${labels%%.*}
    [ ${#label} -le 63 ] || return 1
    labels=${labels#*.}
  done
  case $label in *[!0-9]*) return 0 ;; *) return 1 ;; esac # no address
}

# ── What it stands on ────────────────────────────────────────────────────────────────────────

check_computer() {
  [ "$(id -u)" = 0 ] || stop "This has to run as root: put sudo before sh."
  # shellcheck disable=SC1091  # the system's own file, and only what it says of itself
  system=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-}" "${VERSION_ID:-}") || true
  case $system in
  'debian 12' | 'debian 13' | 'raspbian 12' | 'raspbian 13') ;;
  *) stop "A mail node needs Raspberry Pi OS or Debian, 12 or 13; this is '${system:-unknown}'." ;;
  esac
  # A node's folder is given to Dovecot, and removed with the node.
  if [ -e /var/lib/mailcote/secret_key ] || [ -e /var/lib/mailcote/panel.db ]; then
    stop "The panel keeps its data in /var/lib/mailcote, which is a node's: move it elsewhere first" \
      "(MAILCOTE_INSTANCE, see the panel's guide)."
  fi
}

install_packages() {
  missing=''
  for package in $PACKAGES; do
    is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  [ "$with_packages" = yes ] || stop "These packages are missing:$missing"
  say "Installing$missing"
  # Else Postfix asks which kind of mail server this is.
  echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
  hold_services
  # What was cut off before is ended first, and who else installs something is waited for.
  apt='apt-get -o DPkg::Lock::Timeout=300'
  # shellcheck disable=SC2086  # a list of words
  { dpkg --configure -a && $apt update -q && $apt install -y -q --no-install-recommends $missing; } \
    >"$work/apt.log" 2>&1 || {
    tail -n 20 "$work/apt.log" >&2
    stop "The packages could not be installed, see above."
  }
  let_services_go
  changed=yes
}

is_installed() { # PACKAGE
  dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' ok installed$'
}

# Debian starts a server as soon as it is unpacked; these wait until they are configured.
# /usr/share/doc/init-system-helpers/README.policy-rc.d.gz
hold_services() {
  [ ! -e "$POLICY" ] || return 0
  printf '#!/bin/sh\n# %s\nexit 101\n' "$MARK" >"$POLICY"
  chmod 0755 "$POLICY"
}

let_services_go() {
  if [ -e "$POLICY" ] && grep -q "$MARK" "$POLICY"; then rm -f "$POLICY"; fi
}

# ── Installing ───────────────────────────────────────────────────────────────────────────────

install_node() {
  let_services_go # what a run that was killed may have left
  install_packages
  find_host_name
  fetch_agent
  try_key
  make_places
  make_certificate
  write_dovecot
  write_postfix
  write_agent
  say "Fetching the mailboxes."
  python3 -I "$AGENT" once ||
    stop "The first fetch failed, so no mail is served yet. Run this again when that is mended."
  start_services
  tell
}

find_host_name() {
  if [ -z "$host" ] && grep -qs "$MARK" /etc/postfix/main.cf; then
    host=$(postconf -h myhostname)
  fi
  [ -n "$host" ] || host=$(hostname -f 2>/dev/null || hostname)
  host=$(printf '%s' "$host" | tr '[:upper:]' '[:lower:]')
  is_host_name "$host" || host=${host%%.*}.localdomain
  is_host_name "$host" || host=node.localdomain
}

fetch_agent() {
  # No redirect is followed: what comes runs as root.
  curl -fsS --max-time 120 --max-redirs 0 -o "$work/agent.py" "$panel/sync/v1/agent.py" ||
    stop "The agent could not be fetched from $panel."
  # Without -I, Python would take its modules from the folder this was started in.
  if ! python3 -I -m py_compile "$work/agent.py" 2>/dev/null ||
    ! python3 -I "$work/agent.py" --version 2>/dev/null | grep -q '^mailcote-agent '; then
    stop "What $panel sent is not the agent; nothing was replaced."
  fi
}

# Before anything is configured: a wrong key must not disturb a node that works.
try_key() {
  (umask 077 && printf '%s\n' "$key" >"$work/sync.key")
  printf '[agent]\npanel = %s\nkey-file = %s\nstate = %s\n' \
    "$panel" "$work/sync.key" "$work/state" >"$work/agent.ini"
  python3 -I "$work/agent.py" check --config "$work/agent.ini" >"$work/check.log" 2>&1 || {
    grep '^wrong' "$work/check.log" >&2 || cat "$work/check.log" >&2
    stop "The panel does not let this node in, see above; nothing was configured."
  }
}

make_places() {
  make_mail_user
  make_folder /etc/mailcote 0755 root root
  make_folder /usr/local/lib/mailcote 0755 root root
  make_folder /var/lib/mailcote 0750 root dovecot
  make_folder /var/lib/mailcote/maps 0755 root root
  make_folder /var/vmail 0750 vmail vmail
  make_folder /run/mailcote 0755 root root
  make_folder /run/mailcote/usage 0750 vmail vmail
  make_folder /run/mailcote/logins 0750 vmail vmail
  put tmpfiles.conf "$TMPFILES" 0644
}

make_mail_user() {
  if getent passwd vmail >/dev/null; then return 0; fi
  say "Making the user vmail, who owns the mail."
  # The same numbers on every node, where they are free: disks move from one to another.
  # shellcheck disable=SC2046  # two words or one
  getent group vmail >/dev/null || groupadd $(if_free group --gid) vmail
  # shellcheck disable=SC2046  # likewise
  useradd $(if_free passwd --uid) --gid vmail --no-create-home --home-dir /var/vmail \
    --shell /usr/sbin/nologin vmail
  changed=yes
}

if_free() { # DATABASE OPTION: with the number of all nodes, or whichever is next
  if getent "$1" 5000 >/dev/null; then printf %s --system; else printf '%s 5000' "$2"; fi
}

# Also of a folder that is there already: a run that was killed may not have given it away yet.
make_folder() { # FOLDER MODE USER GROUP
  if [ "$3" != root ] && [ "$(stat -L -c %U "$1" 2>/dev/null)" = "$3" ]; then return 0; fi
  install -d -m "$2" -o "$3" -g "$4" "$1"
}

make_certificate() {
  if [ -s /etc/mailcote/tls.crt ] && [ -s /etc/mailcote/tls.key ]; then return 0; fi
  if [ -s /etc/mailcote/tls.crt ] && ! is_self_made; then
    stop "The key of the certificate in /etc/mailcote/tls.crt is missing: put it into tls.key there."
  fi
  say "Making a certificate for $host; mail programs will ask whether to trust it."
  subject="/O=$SELF_MADE"
  [ ${#host} -gt 64 ] || subject="$subject/CN=$host" # no longer name fits there (RFC 5280, A.1)
  # A key without a certificate may be somebody's own, who waits for one: it is not replaced.
  if [ -s /etc/mailcote/tls.key ]; then
    (umask 077 && cat /etc/mailcote/tls.key >"$work/tls.key")
  else
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$work/tls.key" \
      2>"$work/openssl.log" || cannot_certify
  fi
  openssl req -x509 -new -days 3650 -passin pass: -key "$work/tls.key" -subj "$subject" \
    -addext "subjectAltName=DNS:$host" -out "$work/tls.crt" 2>"$work/openssl.log" || cannot_certify
  replace "$work/tls.key" /etc/mailcote/tls.key 0600
  replace "$work/tls.crt" /etc/mailcote/tls.crt 0644
}

cannot_certify() {
  stop "openssl could not make a certificate: $(tail -n 1 "$work/openssl.log")"
}

write_dovecot() {
  version=$(dovecot --version)
  case $version in
  2.3.*) series=2.3 ;;
  2.4.*) series=2.4 ;;
  *) stop "Dovecot 2.3 or 2.4 is needed; this is ${version%% *}." ;;
  esac
  text "dovecot-$series.conf" | fill >"$work/dovecot.conf"
  doveconf -n -c "$work/dovecot.conf" >/dev/null 2>"$work/doveconf.log" || {
    cat "$work/doveconf.log" >&2
    stop "Dovecot does not accept its configuration, see above; the old one stays."
  }
  if [ "$series" = 2.3 ]; then put dovecot-2.3-sql.conf /etc/mailcote/dovecot-sql.conf 0644; fi
  keep_former /etc/dovecot/dovecot.conf
  put "dovecot-$series.conf" /etc/dovecot/dovecot.conf 0644
}

write_postfix() {
  mkdir "$work/postfix"
  text postfix-main.cf | fill >"$work/postfix/main.cf"
  text postfix-master.cf >"$work/postfix/master.cf"
  # It warns of what it does not know, and exits 0.
  if ! postconf -c "$work/postfix" -n >/dev/null 2>"$work/postconf.log" ||
    [ -s "$work/postconf.log" ]; then
    cat "$work/postconf.log" >&2
    stop "Postfix does not accept its configuration, see above; the old one stays."
  fi
  put postfix-senders /etc/mailcote/senders 0644
  put postfix-backups /etc/mailcote/backups 0644
  put postfix-undecided /etc/mailcote/undecided 0644
  keep_former /etc/postfix/main.cf
  keep_former /etc/postfix/master.cf
  put postfix-main.cf /etc/postfix/main.cf 0644
  put postfix-master.cf /etc/postfix/master.cf 0644
}

write_agent() {
  replace "$work/agent.py" "$AGENT" 0755
  replace "$work/sync.key" /etc/mailcote/sync.key 0600
  put agent.ini /etc/mailcote/agent.ini 0644
  put mailcote-agent.service "$UNIT" 0644
}

# ── Writing files ────────────────────────────────────────────────────────────────────────────

put() { # NAME TARGET MODE: one of the files below, if it differs
  text "$1" | fill >"$work/text"
  replace "$work/text" "$2" "$3"
}

replace() { # SOURCE TARGET MODE
  if [ -f "$2" ] && cmp -s "$1" "$2"; then return 0; fi
  # Beside it and then renamed, so that nobody ever reads half of it.
  install -D -m "$3" -o root -g root "$1" "$2.new"
  mv -f "$2.new" "$2"
  say "Wrote $2"
  changed=yes
  is_changed "$2"
}

is_changed() { # TARGET: remember whose file it was
  case $1 in
  /etc/dovecot/* | */dovecot-sql.conf) dovecot_changed=yes ;;
  */tls.crt | */tls.key) dovecot_changed=yes postfix_changed=yes ;;
  /etc/postfix/* | */senders | */backups | */undecided) postfix_changed=yes ;;
  *) agent_changed=yes ;;
  esac
}

keep_former() { # FILE: what was there before us
  if [ -f "$1" ] && ! grep -q "$MARK" "$1"; then
    cp -p "$1" "$1.before-mailcote"
    say "Kept $1.before-mailcote"
  fi
}

fill() {
  sed -e "s|@HOSTNAME@|$host|g" -e "s|@URL@|$panel|g"
}

# ── Starting ─────────────────────────────────────────────────────────────────────────────────

has_systemd() {
  [ -d /run/systemd/system ]
}

start_services() {
  # Dovecot listens in this folder, and may be started first.
  make_folder /var/spool/postfix/private 0700 postfix root
  if ! has_systemd; then
    say "systemd does not run here, so nothing was started."
    return 0
  fi
  systemctl daemon-reload
  systemctl enable --quiet dovecot.service postfix.service mailcote-agent.service
  start mailcote-agent.service "$agent_changed"
  start dovecot.service "$dovecot_changed"
  start postfix.service "$postfix_changed"
}

start() { # SERVICE yes|no: is what it reads another
  if [ "$2" = yes ] || ! systemctl is-active --quiet "$1"; then
    systemctl restart "$1" || stop "$1 does not start: systemctl status $1 says why."
    changed=yes
    say "Started $1"
  fi
}

tell() {
  say ''
  python3 -I "$AGENT" status
  say ''
  if [ -z "$changed" ]; then say "Nothing had to be changed: this is a mail node already."; fi
  cat <<END
This computer is the mail node $host of $panel.
  Mail programs:  IMAP $host 993, SMTP $host 465 (or 143 and 587 with STARTTLS), POP3 995
  To do in DNS:   an address record for $host, and it as MX of each domain, see the panel
  Open ports:     25 465 587 143 993 995
  Look at it:     sudo python3 $AGENT status
END
  case $host in
  *.localdomain) say "Its name is not public. Run this again with --hostname mail.example.nl." ;;
  esac
  if is_self_made; then
    say "Its certificate is self-made. Put a real one into /etc/mailcote/tls.crt and tls.key, then:"
    say "  sudo systemctl reload dovecot postfix"
  fi
}

is_self_made() {
  openssl x509 -noout -subject -in /etc/mailcote/tls.crt 2>/dev/null | grep -q "$SELF_MADE"
}

# ── Uninstalling ─────────────────────────────────────────────────────────────────────────────

uninstall_node() {
  if has_systemd && [ -e "$UNIT" ]; then
    systemctl disable --quiet --now mailcote-agent.service || true
  fi
  put_back /etc/dovecot/dovecot.conf dovecot.service
  put_back /etc/postfix/master.cf postfix.service
  put_back /etc/postfix/main.cf postfix.service
  if is_self_made; then rm -f /etc/mailcote/tls.crt /etc/mailcote/tls.key; fi
  rm -f "$UNIT" "$TMPFILES" /etc/mailcote/agent.ini /etc/mailcote/sync.key \
    /etc/mailcote/dovecot-sql.conf /etc/mailcote/senders /etc/mailcote/backups \
    /etc/mailcote/undecided /etc/mailcote/*.new
  rm -rf /usr/local/lib/mailcote /var/lib/mailcote /run/mailcote
  if [ -d /etc/mailcote ]; then
    rmdir /etc/mailcote 2>/dev/null || say "Kept what is yours in /etc/mailcote."
  fi
  if has_systemd; then systemctl daemon-reload; fi
  say "This computer is no mail node any more."
  say "The mail is kept. To remove it: sudo rm -r /var/vmail && sudo userdel vmail"
  say "The packages are kept. To remove them: sudo apt-get remove dovecot-core postfix"
}

put_back() { # FILE SERVICE: as it was; without its file a server cannot run
  if ! grep -qs "$MARK" "$1"; then return 0; fi
  if [ -e "$1.before-mailcote" ]; then
    mv -f "$1.before-mailcote" "$1"
    say "Put back $1"
  else
    rm -f "$1"
  fi
  if ! has_systemd; then return 0; fi
  if [ -e "$1" ]; then
    systemctl try-restart "$2" || true
  else
    systemctl disable --quiet --now "$2" || true
  fi
}

# ── Words ────────────────────────────────────────────────────────────────────────────────────

say() {
  printf '%s\n' "$*"
}

stop() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

misuse() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 2
}

clean_up() {
  let_services_go
  rm -rf "$work"
}

# ── The files ────────────────────────────────────────────────────────────────────────────────

text() { # NAME
  case $1 in
@FILES@
  esac
}

main "$@"
