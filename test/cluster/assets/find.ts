import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { runTool } from '../owner/run-tool.ts'

/** Where built binaries are kept between runs. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hansa')
}

/** The path of an executable file in one of the folders. */
export async function findExecutable(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name)
    if (await isExecutable(path)) return path
  }
  return undefined
}

export function searchPath(env: NodeJS.ProcessEnv): string[] {
  return (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
}

export async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The user's own kubectl, where it is at most one minor version from ours, which is as far as Kubernetes supports. */
export function isRecentKubectl(versionOutput: string): boolean {
  const minor = /Client Version: v1\.(\d+)\./.exec(versionOutput)?.[1]
  return minor !== undefined && Math.abs(Number(minor) - 36) <= 1
}

/** The user's own helm from 3.14 on; the chart relies on nothing newer. */
export function isRecentHelm(versionOutput: string): boolean {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(versionOutput.trim()) ?? []
  return (Number(major) === 3 && Number(minor) >= 14) || Number(major) > 3
}

/** An installed kubectl that is recent enough. */
export async function installedKubectl(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return installed('kubectl', ['version', '--client'], isRecentKubectl, env)
}

/** An installed helm that is recent enough. */
export async function installedHelm(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  return installed('helm', ['version', '--short'], isRecentHelm, env)
}

async function installed(
  name: string,
  args: string[],
  isRecent: (output: string) => boolean,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const path = await findExecutable(name, searchPath(env))
  if (path === undefined) return undefined
  try {
    const result = await runTool(path, args, { timeoutSeconds: 10, env })
    return result.code === 0 && isRecent(result.stdout) ? path : undefined
  } catch {
    return undefined // a file of that name that does not run is as good as none
  }
}
