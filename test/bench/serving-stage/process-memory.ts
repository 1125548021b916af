import { readdirSync, readFileSync } from 'node:fs'

/** Resident bytes of a process and its living children. */
export function residentBytes(pid: number): number {
  let bytes = 0
  try {
    const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    bytes = Number(kilobytes ?? 0) * 1024
    for (const child of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')) {
      if (child !== '') bytes += residentBytes(Number(child))
    }
  } catch {
    // It has ended meanwhile.
  }
  return bytes
}

/** Open file descriptors of a process. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Bytes of a Node process's heap and buffers after a forced full collection, asked of its inspector. */
export async function heapAfterCollection(inspectorPort: number): Promise<number> {
  const list: unknown = await (await fetch(`http://127.0.0.1:${inspectorPort}/json/list`)).json()
  // The inspector's list of targets; its first is the main thread.
  const [target] = list as { webSocketDebuggerUrl: string }[]
  if (target === undefined) throw new Error('the inspector has no target')
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = reject
  })
  let id = 0
  const ask = (method: string) =>
    new Promise<Record<string, number>>((resolve) => {
      id += 1
      const wanted = id
      socket.addEventListener('message', ({ data }: { data: unknown }) => {
        // Answers of the inspector's protocol carry the id of the question.
        const answer = JSON.parse(String(data)) as { id?: number; result?: Record<string, number> }
        if (answer.id === wanted) resolve(answer.result ?? {})
      })
      socket.send(JSON.stringify({ id, method }))
    })
  await ask('HeapProfiler.collectGarbage')
  const { usedSize = 0, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await ask('Runtime.getHeapUsage')
  socket.close()
  return usedSize + embedderHeapUsedSize + backingStorageSize
}

/** Slope of the line that fits best, in units of `y` a unit of `x`. */
export function slope(points: readonly { x: number; y: number }[]): number {
  const n = points.length
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n
  const top = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  return top / points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
}
