# Part of scripts/kernel: Debian packages of the patched kernel, for a machine's
# own configuration. They are not kept in the cache: they are the user's.
# shellcheck shell=sh disable=SC2154 # version, config, out, work: scripts/kernel has them

# dpkg-dev's tools, by a command of each.
deb_tools='dpkg-buildpackage:dpkg-dev dpkg-architecture:dpkg-dev rsync dh:debhelper'

# The value of a string option in the configuration, without its quotes.
value_of() {
	sed -n "s/^CONFIG_$1=\"\(.*\)\"\$/\1/p" "$work/linux/.config"
}

set_options() {
	"$work/linux/scripts/config" --file "$work/linux/.config" "$@" || fail "writing $work/linux/.config failed"
}

configure_for_machine() {
	cp -- "$config" "$work/linux/.config" || broken "copying $config failed"
	set_options --enable PROC_SNAP --set-str LOCALVERSION -procsnap --disable LOCALVERSION_AUTO
	# A distribution's configuration names keys that are in its own build only.
	for option in SYSTEM_TRUSTED_KEYS SYSTEM_REVOCATION_KEYS MODULE_SIG_KEY; do
		file=$(value_of "$option")
		case $file in
		'' | certs/signing_key.pem | pkcs11:*) continue ;;
		esac
		[ ! -e "$work/linux/$file" ] || continue
		if [ "$option" = MODULE_SIG_KEY ]; then
			say "$option names $file, which the source lacks: a key is made for this build"
			set_options --set-str "$option" certs/signing_key.pem
		else
			say "$option names $file, which the source lacks: left empty"
			set_options --set-str "$option" ''
		fi
	done
	if grep -q '^CONFIG_DEBUG_INFO=y' "$work/linux/.config"; then
		say 'debug information is turned off: it would take tens of GB'
	fi
	set_options --enable DEBUG_INFO_NONE --disable DEBUG_INFO --disable DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT \
		--disable DEBUG_INFO_DWARF4 --disable DEBUG_INFO_DWARF5 --disable DEBUG_INFO_BTF
	run 'configuring' make -C "$work/linux" ${compilers:+"$compilers"} olddefconfig ||
		broken "$config is no configuration that Linux $version takes (make olddefconfig failed)"
	grep -qx 'CONFIG_PROC_SNAP=y' "$work/linux/.config" ||
		fail "$config turns off something that create_proc_snap() needs: CONFIG_PROC_SNAP=y was not taken;" \
			'is it an x86-64 configuration?'
	grep -qx 'CONFIG_MODULES=y' "$work/linux/.config" ||
		say "$config has no modules: there will be no package of headers to build some against"
}

deb() {
	check_checkout
	check_source
	need_packages
	take_turn
	began=$(date +%s)
	say "making packages of Linux $version with create_proc_snap() from $config"
	# Measured for a kernel without modules; the rest is a guess on the safe side.
	make_work $((3500 + $(grep -c '=m$' "$config" || :)))
	unpack
	apply_patches
	configure_for_machine
	# -d: the packages that the build needs were looked for, by command.
	run 'compiling and packing' \
		make -C "$work/linux" -j"$(nproc)" ${compilers:+"$compilers"} DPKG_FLAGS=-d bindeb-pkg ||
		broken 'the packages cannot be built (make bindeb-pkg)'
	# linux-libc-dev is made too, but would replace the headers of the machine's own.
	image=$(cd -- "$work" && ls linux-image-*.deb) || broken "make bindeb-pkg made no linux-image package"
	headers=$(cd -- "$work" && ls linux-headers-*.deb 2>/dev/null) || headers=''
	release=${image#linux-image-}
	release=${release%%_*}
	for file in $image $headers; do
		# Whoever sees the name sees the whole package.
		cp -- "$work/$file" "$out/.$file.$$" && mv -f -- "$out/.$file.$$" "$out/$file" ||
			{ rm -f -- "$out/.$file.$$"; fail "writing $out/$file failed: is the disk full?"; }
	done
	drop_work
	say "made in $(($(date +%s) - began)) s"
	cat >&2 <<END
To boot a lab machine on it, with what is printed below copied there, as root:
  1. dpkg -i $image${headers:+ $headers}
  2. Secure Boot off, in the firmware: this kernel is not signed (mokutil --sb-state tells).
  3. in /etc/default/grub: GRUB_DEFAULT=saved; then update-grub, and, for one boot only,
     grub-reboot 'Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux $release'
  4. reboot; then uname -r has to say $release
  5. in the checkout of procsnap there: npm run bench
To be rid of it: boot the old kernel, then apt-get purge linux-image-$release${headers:+ linux-headers-$release}
END
	for file in $image $headers; do
		printf '%s\n' "$out/$file"
	done
}
