# A shell that counts, prints, and has children of many kinds. Ends at a line of input. Anything unexpected
# is said on the standard error and ends it with 1.
n=0
sum=0

fail() {
	printf '%s\n' "$*" >&2
	exit 1
}

while :; do
	n=$((n + 1))
	sum=$(((sum * 31 + n) % 1000003))
	case $((n % 20)) in
	1)
		child=$(expr "$n" + 1) || fail "expr ended with $?"
		[ "$child" = $((n + 1)) ] || fail "a child said $child"
		;;
	6)
		(exit 7) &
		wait $!
		code=$?
		[ $code = 7 ] || fail "wait gave $code"
		;;
	11)
		sorted=$(printf '%s\n' 3 1 2 | sort | tr -d '\n') || fail "a pipeline ended with $?"
		[ "$sorted" = 123 ] || fail "a pipeline said $sorted"
		;;
	16)
		# Children that end while others are waited for.
		for code in 1 2 3; do (exit $code) & done
		wait || fail "wait for all gave $?"
		;;
	esac
	printf '%d %d\n' "$n" "$sum" || fail 'printf failed'
	# 0: a line; more than 128: the time is over; 1: an error or the end.
	read -r -t 0.002 line
	code=$?
	[ $code = 0 ] && exit 0
	[ $code -gt 128 ] || fail "read gave $code"
done
