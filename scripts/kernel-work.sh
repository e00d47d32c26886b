# Part of scripts/kernel: turns, the folder of a build, its steps, its end.
# shellcheck shell=sh disable=SC2154 # version, cache: scripts/kernel has them

work='' child='' log=''

# One build at a time in a cache. Steps keep the lock too: when this script is
# killed outright, its last compilers end before anybody sweeps their folder.
take_turn() {
	mkdir -p -- "$cache" || fail "$cache cannot be made: set XDG_CACHE_HOME to a folder that can be written"
	{ exec 9>"$cache/lock"; } 2>/dev/null ||
		fail "$cache/lock cannot be written: set XDG_CACHE_HOME to a folder that can be written"
	if ! flock -n 9; then
		say 'waiting for another kernel build to end'
		flock 9
	fi
	# Whoever has the lock builds; so whatever is still there, nobody does.
	rm -rf -- "$cache"/work.* || fail "what an interrupted build left in $cache cannot be removed"
	trap finish EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

# Runs at every end of the script but a kill -9, whose remains the next one sweeps.
finish() {
	status=$?
	trap '' HUP INT TERM
	trap - EXIT
	if [ -n "$child" ]; then
		kill -TERM "-$child" 2>/dev/null || kill -TERM "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
		refresh_end
	fi
	[ "$status" -lt 129 ] || say 'interrupted: removing what there is of the build'
	drop_work
	exit "$status"
}

# MiB available where the cache is.
available() {
	df -Pm -- "$cache" | awk 'NR == 2 { print $4 }'
}

# make_work MIB [MIB]: the first that is not empty is needed.
make_work() {
	needed=${1:-${2:-0}}
	[ "$(available)" -ge "$needed" ] ||
		fail "$cache has $(available) MiB left, a build needs $needed:" \
			'make room, or set XDG_CACHE_HOME to a folder on a larger disk'
	work=$cache/work.$$
	log=$cache/failed-$version.log
	mkdir -- "$work" && : >"$log" || fail "$work cannot be made"
	compilers=''
	if command -v ccache >/dev/null 2>&1; then
		say 'compiling with ccache'
		# Each build is in another folder: without this no build would find another's.
		export CCACHE_BASEDIR="$work" CCACHE_NOHASHDIR=1
		compilers='CC=ccache gcc'
	fi
}

drop_work() {
	[ -n "$work" ] || return 0
	if [ "${PROCSNAP_KEEP_BUILD:-}" = 1 ]; then
		# Under a name that nobody sweeps.
		kept=$cache/kept.$(date +%Y%m%dT%H%M%S).$$
		mv -T -- "$work" "$kept" && say "the build's folder is kept: $kept"
	else
		# A compiler that was just killed may still write a file.
		rm -rf -- "$work" 2>/dev/null || { sleep 1; rm -rf -- "$work"; }
	fi
	work=''
	[ "${failed:-}" = yes ] || rm -f -- "$log"
}

# The end of a build that went wrong by itself: its log is kept, and shown.
broken() {
	failed=yes
	if [ "$(available)" -lt 16 ] || tail -n 200 -- "$log" | grep -q 'No space left on device'; then
		fail "the disk is full ($cache, $(available) MiB left):" \
			'make room, or set XDG_CACHE_HOME to a folder on a larger disk'
	fi
	printf 'kernel: the end of the log:\n' >&2
	# make says what failed among what the other jobs still did.
	grep -nE '(error|Error|fatal|FAILED|reject)' "$log" | tail -n 10 >&2 || :
	tail -n 15 -- "$log" | sed 's/^/  | /' >&2
	printf 'kernel: error: %s\n the whole log: %s\n' "$*" "$log" >&2
	exit 1
}

refresh() {
	files=$(grep -cE '^  (CC|AS|HOSTCC|LD|AR) ' "$log") || :
	text="$step: $(($(date +%s) - step_began)) s"
	[ "$files" -eq "$files_before" ] || text="$text, $((files - files_before)) files"
	if [ -t 2 ]; then
		printf '\r\033[Kkernel: %s' "$text" >&2
	elif [ "$(date +%s)" -ge "$next_line" ]; then
		next_line=$(($(date +%s) + 30))
		say "$text"
	fi
}

refresh_end() {
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# A command that takes all of its process group with it when it is told to end.
leash='trap "trap : TERM; kill -TERM 0; exit 143" TERM; "$@" & wait "$!"'

# run STEP COMMAND...: in a process group of its own, so that an interruption
# ends all of it; and, where there is setpriv, so does this shell's kill -9.
run() {
	step=$1
	shift
	step_began=$(date +%s)
	next_line=$((step_began + 30))
	files_before=$(grep -cE '^  (CC|AS|HOSTCC|LD|AR) ' "$log") || :
	watch=''
	! setpriv --pdeathsig TERM true 2>/dev/null || watch='setpriv --pdeathsig TERM'
	# shellcheck disable=SC2086 # watch is several words or none
	setsid $watch sh -c "$leash" step "$@" >>"$log" 2>&1 </dev/null &
	child=$!
	pause=0.05
	while kill -0 "$child" 2>/dev/null; do
		sleep "$pause"
		[ "$(($(date +%s) - step_began))" -lt 2 ] || pause=1
		refresh
	done
	status=0
	wait "$child" || status=$?
	child=''
	refresh_end
	return "$status"
}
