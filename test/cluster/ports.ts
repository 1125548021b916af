import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'

const lowest = 18_000
const highest = 29_999 // NodePorts begin at 30000
const reserved = new Set<number>()

/**
 * Finds TCP ports that nothing on the loopback addresses uses, and keeps them from other callers in this process.
 *
 * They lie below the kernel's ephemeral range: a port from within it could become the source port of some other connection
 * while a killed API server waits for its restart on the same port.
 */
export async function freePorts(count: number, host = '127.0.0.1'): Promise<number[]> {
  const top = Math.min(highest, (await ephemeralStart()) - 1)
  const found: number[] = []
  for (let attempt = 0; attempt < 2_000 && found.length < count; attempt++) {
    const port = lowest + Math.floor(Math.random() * (top - lowest + 1))
    if (reserved.has(port)) continue
    reserved.add(port)
    if (await isFree(port, host)) found.push(port)
    else reserved.delete(port)
  }
  if (found.length < count) throw new Error(`no ${count} free TCP ports between ${lowest} and ${top} on ${host}`)
  return found
}

/** Gives ports back to later callers. */
export function releasePorts(ports: Iterable<number>): void {
  for (const port of ports) reserved.delete(port)
}

/** Whether a server could listen there now. */
export function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}

async function ephemeralStart(): Promise<number> {
  try {
    const first = Number.parseInt(await readFile('/proc/sys/net/ipv4/ip_local_port_range', 'utf8'), 10)
    return first > lowest + 1_000 ? first : highest + 1
  } catch {
    return highest + 1 // not Linux: ephemeral ports begin at 49152
  }
}
