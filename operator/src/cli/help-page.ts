import type { Command } from 'commander'
import { exitCodeHelp } from './exit-code.ts'
import { createProgram } from './program.ts'

const width = 100

/** The reference page of the command line: the help of every command, as `--help` prints it. */
export function helpPage(): string {
  const program = createProgram({
    io: { out: () => {}, err: () => {}, colour: false, terminal: false, width, now: () => 0 },
    connect: () => Promise.reject(new Error('help needs no cluster')),
    version: '',
    signal: new AbortController().signal,
    setExitCode: () => {},
  })
  return `<!-- Generated from operator/src/cli by \`npm run generate\`; do not edit. -->
# kubectl hansa

\`kubectl-hansa\` is a kubectl plugin: with it in the \`PATH\`, \`kubectl hansa\` works. Results go to stdout, progress and errors to
stderr. \`NO_COLOR\` is respected.

${[...commandsOf(program)].map((command) => section(command)).join('\n\n')}

## Exit codes

\`\`\`text
${exitCodeHelp.replace('\nExit codes:\n', '')}
\`\`\`
`
}

function* commandsOf(command: Command): Generator<Command> {
  for (const child of command.commands) {
    if (child.commands.length > 0) yield* commandsOf(child)
    else yield child
  }
}

function section(command: Command): string {
  const parent = command.parent?.parent ? `${command.parent.name()} ` : ''
  command.configureHelp({ helpWidth: width, styleUsage: (text) => text.replace('kubectl-hansa', 'kubectl hansa') })
  return `## ${parent}${command.name()}

\`\`\`text
${command.helpInformation().trimEnd()}
\`\`\``
}
