import { spawn } from 'node:child_process'
import { rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { AssetError } from './asset-error.ts'
import { type BuildStep, moduleFolder } from './recipe.ts'

export interface BuildOptions {
  readonly folder: string
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal
}

const reportEverySeconds = 5

/** Builds one binary with Go into a folder; it appears there complete or not at all. */
export async function buildStep(step: BuildStep, options: BuildOptions): Promise<void> {
  const target = join(options.folder, step.file)
  const temporary = `${target}.${process.pid}.tmp`
  const settings = Object.entries(step.settings).map(([variable, value]) => `-X ${variable}=${value}`)
  const args = ['build', '-v', '-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w', ...settings].join(' ')]
  try {
    await go([...args, '-o', temporary, step.package], step, options)
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

function go(args: string[], step: BuildStep, { onProgress, signal }: BuildOptions): Promise<void> {
  const began = performance.now()
  const elapsedSeconds = () => Math.round((performance.now() - began) / 1_000)
  let compiled = 0
  let downloaded = 0
  const tail: string[] = []
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd: moduleFolder,
      stdio: ['ignore', 'ignore', 'pipe'],
      // The committed go.sum decides, whatever the user's own settings are.
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
      ...(signal ? { signal } : {}),
    })
    onProgress(
      `building ${step.label} with Go: about ${duration(step.expectedSeconds)} on two cores, seconds if Go has it cached`,
    )
    const report = setInterval(() => {
      const done = `${downloaded > 0 ? `${downloaded} modules fetched, ` : ''}${compiled} packages compiled`
      onProgress(
        `building ${step.label}: ${done}, ${duration(elapsedSeconds())} of about ${duration(step.expectedSeconds)}`,
      )
    }, reportEverySeconds * 1_000)
    let rest = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('go: downloading')) downloaded++
        else if (/^[a-z0-9.-]+(\/[^\s:]+)*$/i.test(line)) compiled++
        else tail.push(line)
      }
      tail.splice(0, tail.length - 30)
    })
    child.once('error', (cause) => {
      clearInterval(report)
      reject(cause)
    })
    child.once('close', (code) => {
      clearInterval(report)
      if (code === 0) {
        onProgress(`built ${step.label} in ${duration(elapsedSeconds())}`)
        resolve()
      } else {
        const hint =
          'Go must be 1.26 or newer and reach its module proxy, or have the modules cached (GOFLAGS, GOPROXY).'
        reject(new AssetError(`go build of ${step.label} failed:\n${[...tail, rest].join('\n')}`, hint))
      }
    })
  })
}

function duration(seconds: number): string {
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`
}
