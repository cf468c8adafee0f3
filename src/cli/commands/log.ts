import type { Command } from '../command.ts'

export const logCommands: readonly Command[] = []
