import type { CutKind } from '../../cluster/hansa/cut.ts'
import { systemNamespace } from '../../cluster/hansa/installation.ts'
import type { PeerName, ThreeOwners } from './three-owners.ts'

/** What happens to a peer, until it is undone. */
export type Fault = {
  name: string
  /** Nothing comes from it any more. */
  isLoss: boolean
  begin(owners: ThreeOwners, peer: PeerName, isLong: boolean): Promise<() => Promise<void>>
}

const processes = ['gateway', 'link'] as const
const deployments = processes.map((each) => `deployment/hansa-${each}`)

export const faults: readonly Fault[] = [
  { name: 'killed', isLoss: true, begin: kill },
  { name: 'partitioned', isLoss: true, begin: (owners, peer) => cut(owners, peer, 'Reset') },
  { name: 'black-holed', isLoss: true, begin: (owners, peer) => cut(owners, peer, 'Silence') },
  { name: 'slowed', isLoss: false, begin: (owners, peer) => cut(owners, peer, 'Slow') },
]

async function cut({ federation, library }: ThreeOwners, peer: PeerName, kind: CutKind) {
  federation.cut(library.name, peer, kind)
  return async () => federation.heal(library.name, peer)
}

/**
 * Kills gateway and link at once. For a short loss that is all: they are started again by their node. For a long one they are killed
 * whenever they run, while their Deployments are taken away, so that no back-off outlasts the fault.
 */
async function kill({ federation }: ThreeOwners, peer: PeerName, isLong: boolean) {
  const { nodes, owner } = federation.owner(peer)
  const strike = () => {
    for (const node of nodes) {
      for (const { namespace: where, name } of node.pods()) {
        const container = processes.find((each) => name.startsWith(`hansa-${each}-`))
        if (where === systemNamespace && container !== undefined) node.killContainer(where, name, container, 'SIGKILL')
      }
    }
  }
  const scale = async (replicas: number) => {
    const { code, stderr } = await owner.kubectl([
      ...['scale', ...deployments, '-n', systemNamespace, `--replicas=${replicas}`],
    ])
    if (code !== 0) throw new Error(stderr)
  }
  strike()
  if (!isLong) return async () => undefined
  const again = setInterval(strike, 200)
  await scale(0)
  return async () => {
    clearInterval(again)
    await scale(1)
  }
}
