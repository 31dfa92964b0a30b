# SPDX-License-Identifier: GPL-2.0
# Sum up the TAP of one stage: awk -f tap.awk -v stage=NAME -v status=N FILE
#
# Prints a line for each failure, then "PASSED FAILED SKIPPED". The stage's own
# points (depth 0) and those of each part ("# begin NAME" ... "# end STATUS",
# depth 1) are counted. Failures too: a plan that was not kept, a status that
# is not 0 though no point failed, a stage in which nothing ran. A part without
# points is a point itself; its status 4 is kselftest's skip.

function fail(what)
{
	failed++
	bad[depth]++
	printf "not ok - %s: %s%s\n", stage, depth ? part ": " : "", what
}

function open(level)
{
	depth = level
	seen[level] = bad[level] = 0
	plan[level] = -1
}

function close_part(rc)
{
	if (plan[1] >= 0 && plan[1] != seen[1])
		fail("planned " plan[1] " points, ran " seen[1])
	if (!seen[1] && (rc == 4 || (rc == 0 && plan[1] == 0)))
		skipped++
	else if (rc != 0 && !bad[1])
		fail("exited with " rc)
	else if (!seen[1] && !bad[1])
		passed++
	depth = 0
}

BEGIN {
	passed = failed = skipped = 0
	open(0)
}

{ sub(/\r$/, "") }

/^# begin / {
	if (depth)
		fail("ended without a status")
	part = substr($0, 9)
	open(1)
	next
}

/^# end [0-9]+$/ && depth {
	close_part($3)
	next
}

/^1\.\.[0-9]+/ {
	# One after the other, when a program starts several.
	plan[depth] = (plan[depth] < 0 ? 0 : plan[depth]) + substr($1, 4)
	next
}

/^(not )?ok([ \t]|$)/ {
	seen[depth]++
	if ($0 ~ /#[ \t]*[Ss][Kk][Ii][Pp]/) {
		skipped++
	} else if ($1 == "ok") {
		passed++
	} else {
		sub(/^not ok[ \t]*[0-9]*[ \t]*-?[ \t]*/, "")
		fail($0)
	}
}

END {
	if (depth)
		fail("ended without a status")
	depth = 0
	if (plan[0] >= 0 && plan[0] != seen[0])
		fail("planned " plan[0] " points, ran " seen[0])
	# From 120 on it is the test host that says what went wrong.
	if (status != 0 && (!failed || status >= 120))
		fail("exited with " status)
	if (!(passed + failed + skipped))
		fail("no test ran")
	print passed, failed, skipped
}
