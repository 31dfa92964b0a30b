# SPDX-License-Identifier: GPL-2.0
# The results of each column, side by side, and under the table why.

BEGIN {
	nr_columns = split(columns, column, ",")
	for (i = 1; i <= nr_columns; i++) {
		file = out "/" column[i] ".results"
		while ((getline line <file) > 0) {
			split(line, f, "\t")
			word[column[i], f[1]] = f[2]
			if (f[4] != "")
				reason[column[i], f[1]] = f[4]
		}
		close(file)
	}
	print "# SPDX-License-Identifier: GPL-2.0"
	print "# The KVM selftests of Debian's linux-source-6.1, unmodified, in the emulated"
	print "# host (two CPUs), written by make upstream. Reasons are below the table."
	printf "%-60s", "test"
	for (i = 1; i <= nr_columns; i++)
		printf " %-12s", column[i]
	print ""
}

FNR == NR {
	test[++nr] = $0
	next
}

/^other/ {
	split($0, f, "\t")
	other[++nr_others] = sprintf("%-60s not run: %s", f[2], f[3])
}

END {
	for (t = 1; t <= nr; t++) {
		line = sprintf("%-60s", test[t])
		for (i = 1; i <= nr_columns; i++) {
			key = column[i] SUBSEP test[t]
			line = line sprintf(" %-12s", key in word ? word[key] : "-")
		}
		sub(/ +$/, "", line)
		print line
	}
	print ""
	for (t = 1; t <= nr; t++)
		for (i = 1; i <= nr_columns; i++)
			if ((column[i], test[t]) in reason)
				print test[t] ", " column[i] ": " reason[column[i], test[t]]
	print ""
	for (t = 1; t <= nr_others; t++)
		print other[t]
}
