/** The tree of hashes over a core's chunks, as RFC 6962, 2.1: a leaf cannot be taken for a node. Pure. */
import { createHash } from 'node:crypto';

/** 1 MiB: what `verify` can name. */
export const CHUNK_BYTES = 1 << 20;
export const HASH_BYTES = 32;

const LEAF = Buffer.from([0]);
const NODE = Buffer.from([1]);

export const leafHash = (chunk: Uint8Array): Buffer => createHash('sha256').update(LEAF).update(chunk).digest();

/** A whole subtree. */
interface Tree { hash: Uint8Array; leaves: number }

/** Of leaves' hashes as they come, however many: it holds one hash for each level of the tree. */
export class Root {
	/** The largest first, each of a power of 2 leaves. */
	readonly #trees: Tree[] = [];

	add(leaf: Uint8Array): void {
		let tree: Tree = { hash: Buffer.from(leaf), leaves: 1 };
		while (this.#trees.at(-1)?.leaves === tree.leaves) {
			tree = { hash: nodeHash((this.#trees.pop() as Tree).hash, tree.hash), leaves: tree.leaves * 2 };
		}
		this.#trees.push(tree);
	}

	digest(): Buffer {
		const hashes = this.#trees.map(({ hash }) => hash);
		return hashes.length === 0
			? createHash('sha256').digest()
			: Buffer.from(hashes.reduceRight((right, left) => nodeHash(left, right)));
	}
}

const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer =>
	createHash('sha256').update(NODE).update(left).update(right).digest();

/** Of the leaves' hashes, one after the other. Throws if they are no whole number of hashes. */
export function rootHash(leaves: Uint8Array): Buffer {
	if (leaves.length % HASH_BYTES !== 0) {
		throw new Error(`${leaves.length} bytes are no whole number of SHA-256 hashes`);
	}
	const root = new Root();
	for (let at = 0; at < leaves.length; at += HASH_BYTES) root.add(leaves.subarray(at, at + HASH_BYTES));
	return root.digest();
}
