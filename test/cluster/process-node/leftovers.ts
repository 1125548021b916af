import { appendFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Remembers which processes a node started, so that its next start can kill what a crash left. */
export interface PidFile {
  record(pid: number): Promise<void>
}

/** Opens the pid file of a node's folder after killing every process group in it that still lives; Linux only. */
export async function openPidFile(folder: string, log: (line: string) => void): Promise<PidFile> {
  const path = join(folder, 'pids')
  for (const line of (await readFile(path, 'utf8').catch(() => '')).split('\n')) {
    const [pid, started] = line.split(' ')
    // A pid alone may be a stranger's by now.
    if (!pid || !started || (await startTime(Number(pid))) !== started) continue
    log(`killing process ${pid}, left over from before`)
    killGroup(Number(pid))
  }
  await rm(path, { force: true })
  return {
    async record(pid) {
      const started = await startTime(pid)
      if (started !== undefined) appendFileSync(path, `${pid} ${started}\n`, { mode: 0o600 })
    },
  }
}

/** Sends SIGKILL to all processes of a group; nothing happens where there are none. */
export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // Node's system errors carry a code.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function startTime(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The second field, the command in parentheses, may contain spaces; starttime is the 22nd.
  return line?.slice(line.lastIndexOf(')') + 2).split(' ')[19]
}
