/** The paper's own figures, for the columns beside ours. */
import paper from '../../results/paper.json' with { type: 'json' };
import type { Paper } from '../types.ts';

export function readPaper(): Paper {
	return paper;
}
