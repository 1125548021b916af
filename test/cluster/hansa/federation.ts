import { type CutKind, type CuttableLine, startCuttableLine } from './cut.ts'
import { createIdentity, joinOwners, peersReady } from './federation-join.ts'
import { hansa } from './hansa-cli.ts'
import { type Installation, type InstallationOptions, startInstallation } from './installation.ts'

/** One owner of a federation: an InstallationOptions less what the federation decides. */
export type FederationOwnerOptions = Pick<
  InstallationOptions,
  'name' | 'nodes' | 'gpusPerNode' | 'values' | 'objects'
> & {
  /** false: no other owner can connect to it; it dials. Default true. */
  acceptsInbound?: boolean
  /** More of its Identity's spec, such as short lifetimes of certificates. */
  identity?: Record<string, unknown>
}

export type FederationOptions = {
  owners: readonly FederationOwnerOptions[]
  /** Pairs to join, by name; default: everybody with everybody. */
  pairs?: readonly (readonly [string, string])[]
  log?: (line: string) => void
}

/** An owner in it. Its Identity has its name, and its Peers have the names of the other owners. */
export type FederatedOwner = Installation & {
  readonly name: string
  /** Applies YAML or JSON as administrator. */
  apply(objects: string): Promise<void>
  /** Reads one object as administrator; undefined when there is none. `path` as in `/apis/hansa.dev/v1alpha1/peers/st-mary`. */
  get(path: string): Promise<unknown>
  /** Runs `kubectl hansa` as administrator and returns what it prints. */
  hansa(...args: string[]): Promise<string>
}

/** Several owners on this machine, each with a control plane, a CA and a Hansa of its own, joined pairwise by the real command line. */
export type Federation = {
  readonly owners: readonly FederatedOwner[]
  /** One of them by name. */
  owner(name: string): FederatedOwner
  /** Cuts every connection between two owners, links and gateways, whoever dialled; the owners' own clusters go on. */
  cut(one: string, other: string, kind?: CutKind): void
  heal(one: string, other: string): void
  stop(): Promise<void>
}

/**
 * Starts owners side by side, joins them and waits until every Peer is Ready.
 *
 * ```ts
 * const federation = await startFederation({
 *   owners: [{ name: 'st-mary', nodes: 1 }, { name: 'university', nodes: 1, gpusPerNode: 4 }, { name: 'clinic', acceptsInbound: false }],
 * })
 * const university = federation.owner('university')
 * await university.apply(sharePolicyYaml)
 * federation.cut('st-mary', 'university')
 * await federation.stop()
 * ```
 *
 * Two owners take about 40 s on two cores, three about a minute.
 */
export async function startFederation(options: FederationOptions): Promise<Federation> {
  const { log = () => undefined } = options
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    await Promise.all(
      undo.splice(0).map((step) => step().catch((error: unknown) => log(`federation: ${String(error)}`))),
    )
  }
  try {
    const started = await Promise.allSettled(options.owners.map((owner) => startFederatedOwner(owner, log)))
    for (const each of started) if (each.status === 'fulfilled') undo.push(each.value.stop)
    const owners = started.map((each) => {
      if (each.status === 'rejected') throw each.reason
      return each.value
    })
    const find = (name: string) => {
      const found = owners.find((owner) => owner.name === name)
      if (found === undefined) throw new Error(`the federation has no owner ${name}`)
      return found
    }
    await Promise.all(
      owners.map((owner) => createIdentity(owner, options.owners.find(({ name }) => name === owner.name)?.identity)),
    )
    const lines = new Map<string, CuttableLine[]>()
    // One after the other: each takes six runs of the command line, which would only slow one another down.
    for (const [one, other] of pairsOf(options)) {
      const sides = [find(one), find(other)] as const
      const between = await linesBetween(sides)
      undo.push(...between.all.map((line) => () => line.close()))
      lines.set(pairKey(one, other), between.all)
      log(`joining ${one} and ${other}`)
      await joinOwners(sides, between.addresses)
    }
    for (const [one, other] of pairsOf(options)) {
      await peersReady([find(one), find(other)])
      log(`${one} and ${other} are joined`)
    }
    const between = (one: string, other: string) => {
      const found = lines.get(pairKey(one, other))
      if (found === undefined) throw new Error(`${one} and ${other} are not joined`)
      return found
    }
    return {
      owners,
      owner: find,
      cut: (one, other, kind) => {
        for (const line of between(one, other)) line.cut(kind)
      },
      heal: (one, other) => {
        for (const line of between(one, other)) line.heal()
      },
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startFederatedOwner(
  { identity: _identity, ...options }: FederationOwnerOptions,
  log: (line: string) => void,
): Promise<FederatedOwner> {
  const installation = await startInstallation({
    ...options,
    nodes: options.nodes ?? 1,
    log,
    values: { 'operator.replicas': '1', 'gateway.replicas': '1', ...options.values },
  })
  const { owner } = installation
  return {
    ...installation,
    name: options.name,
    hansa: (...args) => hansa(owner, args),
    get: async (path) => {
      const { status, body } = await owner.request({ path })
      if (status === 404) return undefined
      if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(body)}`)
      return body
    },
    apply: async (objects) => {
      const { code, stderr } = await owner.kubectl(['apply', '-f', '-'], { input: objects })
      if (code !== 0) throw new Error(`${options.name}: ${stderr}`)
    },
  }
}

/** Where each side of a pair reaches the other, each by a line that can be cut. */
export type PairAddresses = { link: string | undefined; data: string | undefined }[]

async function linesBetween(sides: readonly [FederatedOwner, FederatedOwner]) {
  const all: CuttableLine[] = []
  const open = async (to: string | undefined) => {
    if (to === undefined) return undefined
    const line = await startCuttableLine(to)
    all.push(line)
    return line.address
  }
  const [one, other] = sides
  const addresses: PairAddresses = [
    { link: await open(other.linkAddress), data: await open(other.dataAddress) },
    { link: await open(one.linkAddress), data: await open(one.dataAddress) },
  ]
  return { all, addresses }
}

function pairsOf({ owners, pairs }: FederationOptions): readonly (readonly [string, string])[] {
  if (pairs !== undefined) return pairs
  return owners.flatMap((one, i) => owners.slice(i + 1).map((other) => [one.name, other.name] as const))
}

function pairKey(one: string, other: string): string {
  return [one, other].sort().join(' ')
}
