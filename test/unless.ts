/** What a test needs and this machine may not have. */
import test, { type ImplementationFn } from 'ava';
import { findKernel, type KernelChoice } from '../bench/environments/guest/kernel.ts';
import { findQemu } from '../bench/environments/guest/qemu.ts';

/** `test`; or, given a reason why it cannot run here, one that is skipped and whose title says why. */
export function testUnless(reason: string | null): (title: string, body: ImplementationFn<[]>) => void {
	return reason === null
		? (title, body) => test(title, body)
		: (title, body) => test.skip(`${title} (skipped: ${reason})`, body);
}

/** Why no guest can be booted here on that kernel, or null. */
export function noGuest(choice: KernelChoice = { version: '6.12', debug: false }): string | null {
	if (findQemu() === null) return 'there is no QEMU: sh scripts/install-qemu';
	return findKernel(choice) === null
		? `the patched kernel is not built: npm run kernel -- build --version ` +
			`${choice.version}${choice.debug ? ' --debug' : ''}`
		: null;
}
