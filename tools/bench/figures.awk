# SPDX-License-Identifier: GPL-2.0
# Joins the result lines of bench (run.log) with the emulator's counts, if any.
# Read by the other awk programs, which define report(). Per operation:
#   ticks[b,c] exits[b,c] walks[b,c] reason[b,c,r], and tables[b,c] per VM
# where b is a benchmark and c one of umbra-ept umbra-shadow kvm-ept kvm-shadow.

BEGIN {
	n_columns = split("umbra-ept umbra-shadow kvm-ept kvm-shadow", columns)
}

$1 == "result" {
	b = $2
	c = $4 "-" $3
	if (!(b in seen)) {
		seen[b] = 1
		benches[++n_benches] = b
	}
	region_of[$10] = b SUBSEP c
	all_ops[b, c] = $5 * $6
	reps[b, c] = $6
	ops[b] = $5
	ticks[b, c] = $7
	exits[b, c] = $8
	tables[b, c] = $9
}

# REGION KIND KEY VALUE
NF == 4 && $2 == "exit" { count[$1, $3] += $4 }
NF == 4 && $2 == "walk" { walk[$1] += $4; counted = 1 }

function join_counts(   region, key, part, bc, own)
{
	for (region in region_of) {
		bc = region_of[region]
		if (region in walk)
			walks[bc] = walk[region] / all_ops[bc]
	}
	for (key in count) {
		split(key, part, SUBSEP)
		if (!(part[1] in region_of))
			continue
		bc = region_of[part[1]]
		# The OUT that ends each repetition is none of the operations'.
		own = part[2] == 30 ? reps[bc] : 0
		reason[bc, part[2]] = (count[key] - own) / all_ops[bc]
		counted_exits[bc] += reason[bc, part[2]]
	}
	# What reads no statistics of the module's has the emulator's count.
	for (bc in counted_exits)
		if (!exits[bc])
			exits[bc] = counted_exits[bc]
}

END {
	join_counts()
	report()
}
