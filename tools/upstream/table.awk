# SPDX-License-Identifier: GPL-2.0
# table.awk -v columns=C,... -v out=DIR TESTS: the results of each column (DIR/C) side
# by side, and under the table why.

# Lines of TEST, WORD, SECONDS, WHY, REVISION.
function read_results(name,	line, f)
{
	while ((getline line <(out "/" name)) > 0) {
		split(line, f, "\t")
		word[name, f[1]] = f[2]
		reason[name, f[1]] = f[4]
		if (name ~ /^umbra/ && !(f[5] in seen)) {
			seen[f[5]]
			revisions = revisions " " f[5]
		}
	}
	close(out "/" name)
}

BEGIN {
	FS = "\t"
	nr_columns = split(columns, column, ",")
	for (i = 1; i <= nr_columns; i++)
		read_results(column[i])
	print "# SPDX-License-Identifier: GPL-2.0"
	print "# The KVM selftests of Debian's linux-source-6.1, unmodified, in the emulated"
	print "# host (two CPUs), written by make upstream. Reasons are below the table; - is"
	print "# for what has not been run. Umbra is of revision" revisions "."
	head = sprintf("%-60s", "test")
	for (i = 1; i <= nr_columns; i++)
		head = head sprintf(" %-12s", column[i])
	sub(/ +$/, "", head)
	print head
}

# One line for each reason, naming all columns that have it.
function explain(test,	i, j, said, who)
{
	for (i = 1; i <= nr_columns; i++) {
		said = reason[column[i], test]
		if (said == "")
			continue
		who = ""
		for (j = i; j <= nr_columns; j++) {
			if (reason[column[j], test] == said) {
				who = who " " column[j]
				reason[column[j], test] = ""
			}
		}
		why[++nr_why] = test "," who ": " said
	}
}

/^(fast|full|heavy)/ {
	line = sprintf("%-60s", $2)
	for (i = 1; i <= nr_columns; i++)
		line = line sprintf(" %-12s", (column[i], $2) in word ? word[column[i], $2] : "-")
	sub(/ +$/, "", line)
	print line
	explain($2)
	if ($3 != "")
		why[++nr_why] = $2 ": " $3
}

/^other/ {
	other[++nr_others] = sprintf("%-60s not run: %s", $2, $3)
}

END {
	print ""
	for (i = 1; i <= nr_why; i++)
		print why[i]
	print ""
	for (i = 1; i <= nr_others; i++)
		print other[i]
}
