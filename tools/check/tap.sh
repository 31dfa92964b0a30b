# SPDX-License-Identifier: GPL-2.0
# TAP for shell: source this. Works in dash, bash and busybox's sh.
#
# A script that only has points of its own calls tap_begin once and tap_end
# last. tap_run NAME CMD... makes points of a program: its own when it prints
# TAP, else one for its exit status. "# begin NAME" and "# end STATUS" bracket
# one program's output, so that tap.awk knows whose plan a plan is.

tap_count=0
tap_failed=0

tap_begin()
{
	echo "TAP version 13"
}

# tap_note TEXT: diagnostics, each line a comment.
tap_note()
{
	printf '%s\n' "$*" | sed 's/^/# /'
}

# tap_point STATUS NAME [DETAILS]
tap_point()
{
	tap_count=$((tap_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
		[ -z "${3:-}" ] || tap_note "$3"
	fi
}

# tap_skip NAME REASON
tap_skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# tap_check NAME CMD...: a point for a command's exit status; its output is
# shown when it failed.
tap_check()
{
	tap_check_name=$1
	shift
	if tap_check_output=$("$@" 2>&1); then
		tap_point 0 "$tap_check_name"
	else
		tap_point 1 "$tap_check_name" "$tap_check_output"
	fi
}

tap_end()
{
	echo "1..$tap_count"
	[ "$tap_failed" -eq 0 ]
}

# tap_run NAME CMD...: a program that prints TAP of its own, as a part.
tap_run()
{
	echo "# begin $1"
	shift
	tap_run_status=0
	"$@" 2>&1 || tap_run_status=$?
	echo "# end $tap_run_status"
	return $tap_run_status
}
