/**
 * Loaded by `node --import` into containers of a process node: makes dns.lookup find Services of the cluster.
 *
 * The hosts file maps names to addresses, in JSON; it is read anew when it changes.
 */
import dns from 'node:dns'
import { readFileSync, statSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { promisify } from 'node:util'

type Hosts = Readonly<Record<string, readonly string[]>>
type Callback = (error: Error | null, address?: string | dns.LookupAddress[], family?: number) => void

const hostsFile = process.env.HANSA_TEST_HOSTS_FILE
const namespace = process.env.HANSA_TEST_NAMESPACE
let hosts: Hosts = {}
let readAt = -1

function addressesOf(name: unknown): readonly string[] | undefined {
  if (typeof name !== 'string' || hostsFile === undefined) return undefined
  try {
    const { mtimeMs } = statSync(hostsFile)
    if (mtimeMs !== readAt) hosts = JSON.parse(readFileSync(hostsFile, 'utf8')) as Hosts
    readAt = mtimeMs
  } catch {
    // The service proxy is gone: what was known last is the best answer, as from a DNS cache.
  }
  const plain = name.toLowerCase().replace(/\.$/, '')
  const found = hosts[plain] ?? (plain.includes('.') ? undefined : hosts[`${plain}.${namespace}`])
  return found && found.length > 0 ? found : undefined
}

function rotated(addresses: readonly string[]): dns.LookupAddress[] {
  const start = Math.floor(Math.random() * addresses.length)
  return [...addresses.slice(start), ...addresses.slice(0, start)].map((address) => ({ address, family: 4 }))
}

function wantsAll(options: unknown): boolean {
  return typeof options === 'object' && options !== null && 'all' in options && options.all === true
}

const lookup = dns.lookup
const lookupPromise = dns.promises.lookup

function patchedLookup(name: string, options: unknown, callback?: Callback): unknown {
  const done = (typeof options === 'function' ? options : callback) as Callback
  const found = addressesOf(name)
  const [first] = found ? rotated(found) : []
  // The overloads of dns.lookup cannot be told apart here; the arguments go on as they came.
  if (!found || !first) return Reflect.apply(lookup, dns, callback ? [name, options, callback] : [name, done])
  if (wantsAll(options)) process.nextTick(done, null, rotated(found))
  else process.nextTick(done, null, first.address, first.family)
  return {}
}

async function patchedLookupPromise(name: string, options?: unknown): Promise<unknown> {
  const found = addressesOf(name)
  const [first] = found ? rotated(found) : []
  if (!found || !first) return Reflect.apply(lookupPromise, dns.promises, [name, options])
  return wantsAll(options) ? rotated(found) : first
}

Object.assign(dns, { lookup: Object.assign(patchedLookup, { [promisify.custom]: patchedLookupPromise }) })
Object.assign(dns.promises, { lookup: patchedLookupPromise })
syncBuiltinESMExports()
