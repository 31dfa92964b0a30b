# SPDX-License-Identifier: GPL-2.0
# results.csv: umbra against stock, per benchmark, paging mode and metric.

function line(b, paging, metric, umbra, kvm)
{
	if (umbra == "" || kvm == "")
		return
	printf "%s,%s,%s,%.3f,%.3f,", b, paging, metric, umbra, kvm
	# Without anything on the other side there is no ratio, unless both have none.
	if (kvm > 0)
		printf "%.3f\n", umbra / kvm
	else
		print (umbra > 0) ? "inf" : "1.000"
}

# The emulator's own count where there is one; else what the module says.
function exits_of(bc)
{
	return counted ? counted_exits[bc] + 0 : exits[bc]
}

# Ticks of a benchmark as a multiple of those of the one it is there to be held against.
function versus(b, base, metric, paging)
{
	if (!(b SUBSEP "umbra-" paging in ticks) || !(base SUBSEP "umbra-" paging in ticks) ||
	    !(b SUBSEP "kvm-" paging in ticks) || !(base SUBSEP "kvm-" paging in ticks))
		return
	line(b, paging, metric, ticks[b, "umbra-" paging] / ticks[base, "umbra-" paging],
	     ticks[b, "kvm-" paging] / ticks[base, "kvm-" paging])
}

# How often a guest exits under shadow paging, as a multiple of under EPT.
function shadow_exits(b,   i, m, ratio)
{
	split("umbra kvm", m, " ")
	for (i = 1; i <= 2; i++) {
		if (exits_of(b SUBSEP m[i] "-ept") + 0 <= 0)
			return
		ratio[i] = exits_of(b SUBSEP m[i] "-shadow") / exits_of(b SUBSEP m[i] "-ept")
	}
	line(b, "shadow", "exits_vs_ept", ratio[1], ratio[2])
}

function report(   i, p, b, u, k, paging)
{
	print "benchmark,paging,metric,umbra,kvm,ratio"
	split("ept shadow", paging, " ")
	for (i = 1; i <= n_benches; i++) {
		b = benches[i]
		for (p = 1; p <= 2; p++) {
			u = b SUBSEP "umbra-" paging[p]
			k = b SUBSEP "kvm-" paging[p]
			if (!(u in ticks) || !(k in ticks))
				continue
			line(b, paging[p], "ticks", ticks[u], ticks[k])
			line(b, paging[p], "exits", exits_of(u), exits_of(k))
			if (counted)
				line(b, paging[p], "walk_refs", walks[u], walks[k])
			if (tables[k] > 0)
				line(b, paging[p], "table_bytes", tables[u], tables[k])
		}
	}
	for (p = 1; p <= 2; p++) {
		versus("slot_lookup", "slot_lookup_4", "vs_4_slots", paging[p])
		versus("touch_smp2", "touch_smp1", "vs_1_vcpu", paging[p])
	}
	shadow_exits("linux_boot")
	shadow_exits("linux_boot_huge")
}
