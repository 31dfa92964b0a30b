#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# checksums.sh DIR: what each guest payload computed is the same in every run:
# on umbra and on the stock module, EPT and shadow paging, one and two CPUs, each
# kernel. Reads the "# checksum NAME VALUE" lines in DIR/guests_*.tap. TAP.
set -u

. "$(dirname "$0")/tap.sh"

tap_begin
table=$(awk '
	/^# begin guests / { run = FILENAME " " $4; runs[run] = 1 }
	/^# checksum / { names[$3] = 1; value[$3, run] = $4; count[$3]++ }
	END {
		for (name in names) {
			first = ""
			verdict = 0
			for (run in runs) {
				if (!((name, run) in value))
					continue
				if (first == "")
					first = value[name, run]
				else if (value[name, run] != first)
					verdict = 1
			}
			# One run has nothing to be compared with.
			if (count[name] < 2)
				verdict = 1
			print name, count[name], verdict
		}
	}' "$1"/guests_*.tap | sort)

while read -r name count verdict; do
	[ -n "$name" ] || continue
	tap_point "$verdict" "checksum of $name is the same in $count runs" \
		"$(grep -H "^# checksum $name " "$1"/guests_*.tap)"
done <<END
$table
END
tap_end
