#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# upstream.sh COLUMN BIN LIST: inside the test host: each line of LIST, a test and its
# arguments, on COLUMN (umbra-ept, umbra-shadow, kvm-ept, kvm-shadow). Prints
# "start TEST" and "result TEST<tab>STATUS<tab>SECONDS<tab>WHY" for each.

. "$(dirname "$0")/host.sh"
column=$1 bin=$2 list=$3
module=${column%-*} paging=${column#*-}
log=/tmp/upstream.log
as=
[ "$module" = kvm ] || as=$(dirname "$0")/../../as-dev-kvm

# Where a test failed, or why it did not run.
why()
{
	if [ "$1" = 124 ] || [ "$1" = 143 ] || [ "$1" = 137 ]; then
		echo "no end within 60 emulated seconds"
	elif grep -q -i 'skip' $log; then
		grep -i 'skip' $log | tail -n 1 | sed 's/^.*SKIP[: -]*//'
	else
		grep -A2 -E 'Assert|assert|unhandled|error|rror:' $log | grep -v -e '^ *pid=' -e addr2line |
			tr -s '\n\t ' '   ' | cut -c 1-160
	fi
}

# What a test's own script sets up before, or sets back after it.
set_up() # TEST 1|0
{
	case $1-$2 in
	*/nx_huge_pages_test-1) nx_huge_pages force && huge_pages 3 ;;
	*/nx_huge_pages_test-0) nx_huge_pages auto && huge_pages 0 ;;
	esac
}

nx_huge_pages() # MODE
{
	echo "$1" >"/sys/module/$module/parameters/nx_huge_pages" &&
		echo 1 >"/sys/module/$module/parameters/nx_huge_pages_recovery_ratio" &&
		echo 100 >"/sys/module/$module/parameters/nx_huge_pages_recovery_period_ms"
}

huge_pages() # NUMBER
{
	echo "$1" >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
}

ulimit -l unlimited
# Some map more than there is, and touch little of it.
echo 1 >/proc/sys/vm/overcommit_memory
module_load "$module" "$paging" || exit
# Some tests read the parameters of the stock module, which does nothing else then.
[ "$module" = kvm ] || module_load kvm "$paging" || exit
while read -r test args; do
	echo "start $test $args"
	log_mark
	set_up "$test" 1 || echo "# $test: not set up"
	begin=$(date +%s)
	# shellcheck disable=SC2086
	timeout -k 5 60 $as "$bin/$test" $args >$log 2>&1 </dev/null
	status=$?
	# What it started may outlive it.
	killall -q -9 "${test##*/}"
	seconds=$(($(date +%s) - begin))
	set_up "$test" 0
	bad=$(log_bad | head -n 1)
	if [ -n "$bad" ]; then
		word=fail because="kernel log: $bad"
	elif [ $status = 0 ]; then
		word=pass because=
	elif [ $status = 4 ]; then
		word=skip because=$(why $status)
	else
		word=fail because="$(why $status) (status $status)"
	fi
	printf 'result %s\t%s\t%s\t%s\n' "$(echo $test $args)" $word $seconds "$because"
	[ $word != fail ] || sed 's/^/# /' $log | tail -n 30
done <"$list"
[ "$module" = kvm ] || module_unload kvm
module_unload "$module"
