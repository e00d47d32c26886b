/** QEMU, installed first where that may be done. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Failure } from '../../../common/errors.ts';
import { MISSING, findQemu } from './qemu.ts';

const INSTALL = fileURLToPath(new URL('../../../scripts/install-qemu', import.meta.url));

export async function readyQemu(screen: { write: (text: string) => unknown }): Promise<string> {
	if (findQemu() === null) {
		const child = spawn('sh', [INSTALL], { stdio: ['ignore', 'ignore', 'pipe'] });
		child.stderr.setEncoding('utf8').on('data', (text: string) => { screen.write(text); });
		await once(child, 'close');
	}
	const qemu = findQemu();
	if (qemu === null) {
		throw new Failure(MISSING);
	}
	return qemu;
}
