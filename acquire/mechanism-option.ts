/** Apart from the other arguments: it loads the mechanisms and the native core, which receive and verify do without. */
import type { Option } from '../common/options.ts';
import { asItRuns, forEvidence } from '../mechanisms/shared/all.ts';

const NAMES = forEvidence().map(({ name }) => name).join(' or ');
const OTHERS = asItRuns().map(({ name }) => name).join(' or ');

/** Of mechanisms that have to be asked for: `--mechanism NAME`. */
export const NOT_CHOSEN = `--mechanism ${OTHERS}`;

/** Of the verbs that copy a process. */
export const MECHANISM: Option = {
	kind: 'one', value: 'NAME', help: `${NAMES} (default: the first that this machine has)`,
};

/** Of those that know what to do where one gives up. */
export const MECHANISMS: Option = {
	kind: 'many', value: 'NAMES',
	help: `${NAMES}, or ${OTHERS} (NOT of one moment), and no other; several with commas are tried in that order`,
};
