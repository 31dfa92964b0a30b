# SPDX-License-Identifier: GPL-2.0
# The readable tables: figures, then exits by reason when the emulator counted.

BEGIN {
	title["umbra-ept"] = "umbra EPT"
	title["umbra-shadow"] = "umbra shadow"
	title["kvm-ept"] = "stock EPT"
	title["kvm-shadow"] = "stock shadow"

	name[0] = "exception/NMI"
	name[1] = "interrupt"
	name[7] = "interrupt window"
	name[10] = "CPUID"
	name[12] = "HLT"
	name[14] = "INVLPG"
	name[28] = "CR access"
	name[30] = "I/O"
	name[31] = "RDMSR"
	name[32] = "WRMSR"
	name[48] = "EPT violation"
	name[49] = "EPT misconfig"
	name[52] = "preemption timer"
	name[58] = "INVPCID"
	name[62] = "PML full"
}

function rule(   c)
{
	printf "------------"
	for (c = 1; c <= n_columns; c++)
		printf "+--------------------------"
	print ""
}

function number(x)
{
	return x >= 10000 ? sprintf("%.0f", x) : sprintf("%.1f", x)
}

function figures(   i, c, bc)
{
	printf "%-12s", ""
	for (c = 1; c <= n_columns; c++)
		printf "| %-25s", title[columns[c]]
	print ""
	printf "%-12s", "operation"
	for (c = 1; c <= n_columns; c++)
		printf "|    ticks   exits   tables"
	print ""
	rule()
	for (i = 1; i <= n_benches; i++) {
		printf "%-12s", benches[i]
		for (c = 1; c <= n_columns; c++) {
			bc = benches[i] SUBSEP columns[c]
			if (bc in ticks)
				printf "|%9s %7.2f %6.0fKi", number(ticks[bc]), exits[bc],
				       tables[bc] / 1024
			else
				printf "|%26s", "-"
		}
		print ""
	}
	rule()
}

function reasons(   i, c, r, bc, text)
{
	print "Exits per operation by reason, counted by the emulated CPU:"
	for (i = 1; i <= n_benches; i++) {
		for (c = 1; c <= n_columns; c++) {
			bc = benches[i] SUBSEP columns[c]
			if (!(bc in ticks))
				continue
			text = ""
			for (r = 0; r < 80; r++)
				if (reason[bc, r] >= 0.005)
					text = text sprintf("%s%s %.2f", text == "" ? "" : ", ",
							    r in name ? name[r] : "reason " r,
							    reason[bc, r])
			printf "  %-10s %-13s %s\n", benches[i], title[columns[c]],
			       text == "" ? "none" : text
		}
	}
}

function report()
{
	print "Per operation: ticks of the time-stamp counter and VM exits; tables: page-table"
	print "memory of the VM. fork_cow and exec are one process of 64 pages each."
	if (counted)
		print "On the emulated host one tick is one instruction, of host and guest together."
	print ""
	figures()
	if (counted) {
		print ""
		reasons()
	}
}
