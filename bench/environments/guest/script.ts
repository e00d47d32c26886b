/** The shell script that a guest runs: folder, environment, command. Pure. */

export interface Command {
	/** Program and arguments. */
	command: string[];
	/** Of the host; the guest sees it read-only. */
	cwd: string;
	env: Record<string, string | undefined>;
}

/** Where the guest has the share. */
export const GUEST_SHARE = '/run/share';

/** What names places that the guest does not have. */
const HOST_ONLY =
	/^(?:TMPDIR|TMP|TEMP|XDG_RUNTIME_DIR|DBUS_SESSION_BUS_ADDRESS|SSH_AUTH_SOCK|DISPLAY|WAYLAND_DISPLAY|PWD|OLDPWD)$/;

/** By env(1): a shell cannot export every name, and not every value. */
export function guestScript({ command, cwd, env }: Command): string {
	const variables = Object.entries(env)
		.filter(([name, value]) => value !== undefined && !HOST_ONLY.test(name))
		.map(([name, value]) => quote(`${name}=${value ?? ''}`));
	variables.push(`PROCSNAP_SHARE=${GUEST_SHARE}`);
	return `cd -- ${quote(cwd)} || exit 126\nexec env -i ${[...variables, ...command.map(quote)].join(' ')}\n`;
}

/** For a shell: exactly this text, whatever is in it. */
export function quote(text: string): string {
	return `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}
