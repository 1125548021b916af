import { readdirSync, readFileSync } from 'node:fs'

/** CPU time of a process with all its threads and living children so far, in microseconds (proc(5), `schedstat`). */
export function cpuMicroseconds(pid: number): number {
  let nanoseconds = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim()
    for (const child of children === '' ? [] : children.split(' ')) nanoseconds += 1000 * cpuMicroseconds(Number(child))
  }
  return nanoseconds / 1000
}
