import { runLines } from '../../cluster/assets/run-lines.ts'

/** Runs a Python program; throws with the last lines that it wrote to standard error when it fails. */
export async function runPython(python: string, args: readonly string[], signal?: AbortSignal): Promise<void> {
  const lines: string[] = []
  const code = await runLines({
    command: python,
    args,
    cwd: '/',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    onLine: (line) => {
      lines.push(line)
      if (lines.length > 20) lines.shift()
    },
    ...(signal === undefined ? {} : { signal }),
  })
  if (code !== 0) throw new Error(`${python} ${args[0] === '-m' ? args[1] : args[0]} failed:\n${lines.join('\n')}`)
}
