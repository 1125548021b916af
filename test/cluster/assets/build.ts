import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { AssetError } from './asset-error.ts'
import type { BuildStep } from './recipe.ts'
import { runLines } from './run-lines.ts'

export interface BuildOptions {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal
}

const reportEverySeconds = 5

/** Builds one binary with Go into a folder; it appears there complete or not at all. */
export async function buildStep(step: BuildStep, options: BuildOptions): Promise<void> {
  const target = join(options.folder, step.file)
  const temporary = `${target}.${process.pid}.tmp`
  try {
    await goBuild(step, temporary, options)
    await rename(temporary, target)
  } finally {
    await rm(temporary, { force: true })
  }
  for (const alias of step.aliases) {
    const link = join(options.folder, alias)
    await rm(link, { force: true })
    await symlink(step.file, link)
  }
}

async function goBuild(step: BuildStep, output: string, { env, onProgress, signal }: BuildOptions): Promise<void> {
  const settings = Object.entries(step.settings).map(([variable, value]) => `-X ${variable}=${value}`)
  const flags = ['-v', '-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w', ...settings].join(' ')]
  const began = performance.now()
  const elapsed = () => duration(Math.round((performance.now() - began) / 1_000))
  const expected = `about ${duration(step.expectedSeconds)}`
  const progress = createProgress()

  onProgress(`building ${step.label} with Go: ${expected} on two cores, seconds if Go has it cached`)
  const report = setInterval(
    () => onProgress(`building ${step.label}: ${progress.summary()}, ${elapsed()} of ${expected}`),
    reportEverySeconds * 1_000,
  )
  try {
    const code = await runLines({
      command: 'go',
      args: ['build', ...flags, '-o', output, step.package],
      cwd: step.module,
      // The committed go.sum decides, whatever the user's own settings are.
      env: { ...env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
      onLine: progress.read,
      ...(signal ? { signal } : {}),
    })
    if (code !== 0) {
      const hint = 'Go must be 1.26 or newer (or GOTOOLCHAIN=auto) and must reach its module proxy (GOPROXY).'
      throw new AssetError(`go build of ${step.label} failed with code ${code}:\n${progress.messages()}`, hint)
    }
  } finally {
    clearInterval(report)
  }
  onProgress(`built ${step.label} in ${elapsed()}`)
}

/** Tells the packages and modules that `go build -v` names from its messages. */
export function createProgress() {
  let compiled = 0
  let fetched = 0
  const messages: string[] = []
  return {
    read(line: string): void {
      if (line.startsWith('go: downloading')) fetched++
      else if (/^[a-z0-9_.-]+(\/[a-z0-9_.~-]+)*$/i.test(line)) compiled++
      else messages.push(line)
    },
    summary: () => `${fetched > 0 ? `${fetched} modules fetched, ` : ''}${compiled} packages compiled`,
    messages: () => messages.slice(-30).join('\n'),
  }
}

function duration(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`
}
