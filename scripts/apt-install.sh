#!/bin/sh
# Installs Debian packages for whoever is root: apt-install.sh NAME PACKAGE...; what it
# says begins with NAME. Another apt or dpkg may be at work (a new server upgrades itself):
# then it says so, waits for that, and goes on. Exit code: apt-get's; 1 if
# PROCSNAP_APT_WAIT seconds (1200) were too few.
set -eu

name=$1
shift
longest=${PROCSNAP_APT_WAIT:-1200}
pause=3
waited=0
next=0

# apt's own DPkg::Lock::Timeout is for dpkg's locks: not that of the lists, which
# `apt-get update` wants, nor that of the archives. So each step is tried until it is not
# for a lock that it fails. Its stdout is shown as it comes, its stderr when it has ended.
until_free() {
	while :; do
		status=0
		said=$(LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get "$@" 2>&1 >&3 </dev/null) || status=$?
		case $status/$said in
		0/*) break ;;
		*'Could not get lock'* | *'is another process using it?'*) ;;
		*) break ;;
		esac
		# The first line has the lock, and the process that holds it.
		lock=${said%%
*}
		lock=${lock#E: }
		if [ "$waited" -ge "$longest" ]; then
			printf '%s: error: another apt or dpkg has been at work for %s s: %s. %s\n' \
				"$name" "$waited" "$lock" 'Wait until it has ended, then try again' >&2
			exit 1
		fi
		if [ "$waited" -ge "$next" ]; then
			printf '%s: waiting for another apt or dpkg to end, %s of at most %s s: %s\n' \
				"$name" "$waited" "$longest" "$lock" >&2
			next=$((waited + 30))
		fi
		sleep "$pause"
		waited=$((waited + pause))
	done
	[ -z "$said" ] || printf '%s\n' "$said" >&2
	[ "$status" -eq 0 ] || exit "$status"
}

exec 3>&2
until_free -q update
until_free -q install -y --no-install-recommends "$@"
