/** Small real evidence, and what may be done to it. */
import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import { createFolder, FILES } from '../../acquire/evidence/folder.ts';
import type { Manifest } from '../../acquire/evidence/manifest.ts';
import { collectorKey, fingerprint, publicKeyPem, signed } from '../../acquire/evidence/seal.ts';
import { take } from '../../acquire/take.ts';

export function aFolder(t: Pick<ExecutionContext, 'teardown'>): string {
	const folder = mkdtempSync(join(tmpdir(), 'procsnap-test-'));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** The pid of a small.S, which ends with the test. */
export async function startSmall(t: Pick<ExecutionContext, 'teardown'>, args: string[] = []): Promise<number> {
	const program = join(aFolder(t), 'small');
	execFileSync('gcc', ['-static', '-nostdlib', '-o', program, fileURLToPath(new URL('small.S', import.meta.url))]);
	const target = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
	t.teardown(() => target.kill('SIGKILL'));
	await once(target.stdout, 'data');
	return target.pid!;
}

export interface Sealed {
	dir: string;
	/** The collector's public key, as somebody was given it. */
	key: Buffer;
	manifest: Manifest;
}

/** Evidence of a small process; `wide`: of 3 MiB and more, in at least 4 chunks. */
export async function aSealed(t: Pick<ExecutionContext, 'teardown'>, wide = false): Promise<Sealed> {
	const base = aFolder(t), keyPath = join(base, 'key');
	const { where: dir, manifest } = await take({
		pid: await startSmall(t, wide ? ['wide'] : []), key: () => collectorKey(keyPath).key,
		destination: () => createFolder(join(base, 'evidence')),
	});
	return { dir, manifest, key: readFileSync(`${keyPath}.pub`) };
}

/** The same once more, to be spoilt. */
export function copyOf(t: Pick<ExecutionContext, 'teardown'>, { dir, key, manifest }: Sealed): Sealed {
	const copy = join(aFolder(t), 'evidence');
	cpSync(dir, copy, { recursive: true });
	return { dir: copy, key, manifest: structuredClone(manifest) };
}

/** Sealed anew by a stranger: any text for a manifest, and all that goes with it. */
export function reseal(dir: string, text: string | Buffer): { publicKey: Buffer } {
	const { privateKey, publicKey } = generateKeyPairSync('ed25519');
	writeFileSync(join(dir, FILES.manifest), text);
	writeFileSync(join(dir, FILES.publicKey), publicKeyPem(publicKey));
	writeFileSync(join(dir, FILES.signature), signed(Buffer.from(text), privateKey));
	return { publicKey: Buffer.from(publicKeyPem(publicKey)) };
}

/** The same with a manifest that names the stranger's key. */
export function resealManifest(dir: string, manifest: object): void {
	const { privateKey, publicKey } = generateKeyPairSync('ed25519');
	const text = Buffer.from(JSON.stringify({
		...manifest,
		collector: { ...(manifest as Partial<Manifest>).collector, publicKeySha256: fingerprint(publicKey) },
	}));
	writeFileSync(join(dir, FILES.manifest), text);
	writeFileSync(join(dir, FILES.publicKey), publicKeyPem(publicKey));
	writeFileSync(join(dir, FILES.signature), signed(text, privateKey));
}

/** What one file's tests share: its teardowns are for the end of them all. */
export function atTheEnd(after: (end: () => void) => void): Pick<ExecutionContext, 'teardown'> {
	const actions: Array<() => unknown> = [];
	after(() => {
		for (const action of actions.reverse()) action();
	});
	return { teardown: (action) => void actions.push(action) };
}
