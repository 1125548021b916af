import { createServer, type Server } from 'node:net'
import { HansaError } from '@hansa/operator/process/errors.ts'

/** 253 loopback addresses that nobody else on this machine uses while we hold them. */
export interface AddressBlock {
  /** The first address, for the holder itself. */
  readonly own: string
  /** Hands out the address that was free the longest. */
  take(): string
  release(address: string): void
  close(): Promise<void>
}

export type AddressUse = 'pods' | 'services'

const lockPort = 17_399
// Apart from 127.0.0.0/16, where people and resolvers keep theirs.
const secondOctets = { pods: [64, 127], services: [128, 191] } as const

/**
 * Takes a random free /24 out of 127.0.0.0/8.
 *
 * The lock is a listening socket on the block's first address: the kernel gives it back when we die, however we die.
 */
export async function claimAddressBlock(use: AddressUse, random: () => number = Math.random): Promise<AddressBlock> {
  const [low, high] = secondOctets[use]
  for (let attempt = 0; attempt < 200; attempt++) {
    const second = low + Math.floor(random() * (high - low + 1))
    const third = Math.floor(random() * 256)
    const prefix = `127.${second}.${third}`
    const lock = await tryLock(`${prefix}.1`)
    if (lock) return block(prefix, lock)
  }
  throw new HansaError('NoAddresses', `no free /24 among 127.${low}.0.0 to 127.${high}.255.255`, { retry: 'never' })
}

function tryLock(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(undefined)
      reject(
        new HansaError('LoopbackAddressMissing', `cannot use ${address}: ${error.message}`, {
          retry: 'never',
          hint: 'Linux has all of 127.0.0.0/8; macOS only 127.0.0.1, where process nodes do not run',
          cause: error,
        }),
      )
    })
    server.listen({ host: address, port: lockPort, exclusive: true }, () => resolve(server))
  })
}

function block(prefix: string, lock: Server): AddressBlock {
  const free = Array.from({ length: 253 }, (_, index) => `${prefix}.${index + 2}`)
  const taken = new Set<string>()
  return {
    own: `${prefix}.1`,
    take() {
      const address = free.shift()
      if (address === undefined) throw new HansaError('NoAddresses', `all addresses of ${prefix}.0/24 are in use`)
      taken.add(address)
      return address
    },
    release(address) {
      if (taken.delete(address)) free.push(address)
    },
    close: () => new Promise((resolve) => lock.close(() => resolve())),
  }
}
