import { readFileSync } from 'node:fs'

/** Whether a process still runs; one that is dead but not yet reaped does not. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return true // no /proc here, and it answered the signal
  }
}
