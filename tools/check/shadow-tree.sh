#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shadow-tree.sh DIR: make DIR a tree of symbolic links to the module's sources.
set -eu

dir=$1
cd "$(dirname "$0")/../.."
top=$PWD

find Kbuild core mmu vmx emulate irqchip include \
	\( -name Kbuild -o -name '*.[chS]' -o -name '*.inc' \) -type f |
while read -r file; do
	[ -e "$dir/$file" ] && continue
	mkdir -p "$dir/$(dirname "$file")"
	ln -sfn "$top/$file" "$dir/$file"
done
# Links to sources that are gone.
find "$dir" -xtype l -delete
