#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# soak.sh DIR STEPS: STEPS steps of DIR/torture, in runs with a seed each, on JOBS
# CPUs. A line is printed for each run that ends. What was done is kept in DIR/soak
# for the program as it is: started again, it goes on where it was stopped. The log
# of a run that fails stays there.
set -u

out=$1
steps=$2
run=${RUN_STEPS:-10000000}
jobs=${JOBS:-$(nproc)}
program=$out/soak/torture
begin=$(date +%s)

# Another program begins anew, and is not exchanged under running tests.
mkdir -p "$out/soak"
if ! cmp -s "$out/torture" "$program"; then
	rm -rf "$out/soak"
	mkdir -p "$out/soak"
	cp "$out/torture" "$program"
	echo "${SEED:-$(date +%s)}" >"$out/soak/seed"
fi
read -r seed <"$out/soak/seed"
run=$((run < steps ? run : steps))
runs=$(((steps + run - 1) / run))

# The auditor takes half of the time if it may: it is for a run of ten.
one() # SEED
{
	local log=$out/soak/$1.log audit=1000
	(($1 % 10)) || audit=50
	if "$program" --steps "$run" --seed "$1" --audit "$audit" >"$log" 2>&1; then
		mv "$log" "$out/soak/$1.ok"
	else
		mv "$log" "$out/soak/$1.failed"
		grep -m1 'broken\|WARN_ON\|^not ok' "$out/soak/$1.failed" | sed "s/^/seed $1: /"
	fi
}

count() # SUFFIX
{
	find "$out/soak" -name "*.$1" | wc -l
}

progress()
{
	local now=$(($(date +%s) - begin))
	echo "# $(count ok) of $runs runs of $run steps passed, $(count failed) failed," \
		"$((($(count ok) - before) * run / (now ? now : 1))) steps/s"
}

before=$(count ok)
rm -f "$out"/soak/*.failed
for ((i = 0; i < runs; i++)); do
	[ ! -e "$out/soak/$((seed + i)).ok" ] || continue
	while [ "$(jobs -pr | wc -l)" -ge "$jobs" ]; do
		wait -n
		progress
	done
	one "$((seed + i))" &
done
wait
progress
[ "$(count ok)" -ge "$runs" ]
