/** The table of checks, in the order in which they are told. */
import { kernel } from './checks/kernel.ts';
import { measured } from './checks/measured.ts';
import { memory } from './checks/memory.ts';
import { processor } from './checks/processor.ts';
import { surroundings } from './checks/surroundings.ts';
import type { Check } from './types.ts';

export const CHECKS: readonly Check[] = [...surroundings, ...measured, ...processor, ...memory, ...kernel];
