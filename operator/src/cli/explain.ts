import type { InferenceService } from '../api/inference-service.ts'
import { ownName } from '../api/placement.ts'
import type { RemoteWork } from '../api/remote-work.ts'
import { createSpending } from '../egresspolicy/spending.ts'
import { openMessage } from '../federation/open-message.ts'
import { serviceLabel } from '../inferenceservice/names.ts'
import type { KubeClient } from '../kube/client-types.ts'
import { type Decision, decidePlacement } from '../placement/decide.ts'
import { gatherFacts } from '../placement/gather.ts'
import type { PlacementFacts } from '../placement/input.ts'
import { partState, whyFailed } from '../placement/part-state.ts'
import { CliError } from './cli-error.ts'
import { exitCodes } from './exit-code.ts'
import { candidateLines, saidLines } from './explain-lines.ts'
import { type ReadForPlacement, readForPlacement } from './explain-read.ts'
import type { Io } from './io.ts'
import { type Format, printObject } from './output.ts'
import { changed } from './what-if.ts'

/** `explain NAME`: the plan that the operator makes of what the caller may read, for each owner why or why not. */
export async function explain(
  client: KubeClient,
  options: { name: string; namespace: string; changes: readonly string[]; output: Format },
  io: Io,
  signal: AbortSignal,
): Promise<void> {
  const seen = await readForPlacement(client, options, signal)
  if (seen === undefined) {
    throw new CliError(
      exitCodes.notFound,
      `there is no InferenceService ${options.name} in namespace ${options.namespace}`,
      'kubectl hansa list --all-namespaces shows all.',
    )
  }
  if (!seen.canJudge) {
    if (options.changes.length > 0) {
      throw new CliError(
        exitCodes.cluster,
        'you may not read Peers and EgressPolicies, so --if cannot be worked out',
        'The cluster admin can run the same command.',
      )
    }
    const { candidates = [] } = seen.service.status ?? {}
    if (options.output === 'table') io.out(`${saidLines(seen.service, candidates, seen.unknown, io).join('\n')}\n`)
    else await printObject(io, options.output, { service: options.name, candidates, unknown: seen.unknown })
    return
  }
  const { service, total } = changed(seen.service, seen.service.status?.desiredReplicas ?? 0, options.changes)
  const facts = factsOf({ ...seen, service }, total, io.now())
  const decision = decidePlacement(facts)
  if (options.output !== 'table') {
    await printObject(io, options.output, asObject(service, facts, decision, seen.unknown))
    return
  }
  io.out(`${candidateLines({ service, facts, decision, unknown: seen.unknown }, io).join('\n')}\n`)
}

/** The same facts that the operator gathers, but for what it alone remembers: how long pauses last, and troubles of works that are gone. */
export function factsOf(seen: ReadForPlacement, total: number, now: number): PlacementFacts {
  const { service, works, allWorks, own } = seen
  const loadSeconds = service.spec.timeouts.loadSeconds
  const alive = works.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const at = (peer: string) => alive.filter(({ spec }) => spec.peerRef.name === peer)
  const isFailed = (work: RemoteWork) => partState(work, now, loadSeconds) === 'Failed'
  const size = (list: readonly RemoteWork[]) => list.reduce((sum, { spec }) => sum + spec.work.replicas, 0)
  const others = allWorks.filter(({ metadata, spec }) => {
    const isMine = metadata.labels?.[serviceLabel] === service.metadata.name
    return spec.cancelled === undefined && !(isMine && metadata.namespace === service.metadata.namespace)
  })
  const listed = (service.spec.placement?.peers ?? []).map(({ name }) => name)
  const ofOthers = (peer: string) => size(others.filter(({ spec }) => spec.peerRef.name === peer))
  const all = listed.reduce((sum, peer) => sum + ofOthers(peer), 0)
  const maxReplicas = service.spec.placement?.own?.maxReplicas ?? total
  return gatherFacts({
    ...seen,
    works: alive,
    total,
    own: { current: Math.min(own.current, total), room: Math.min(own.room, total), maxReplicas },
    spent: (policy, currency) => createSpending(() => others).others('')(policy, currency),
    openMessage,
    refusedAt: (peer) => {
      const failed = at(peer).filter(isFailed)
      if (failed.length === 0) return undefined
      const granted = at(peer).filter((work) => !isFailed(work))
      return { atMost: size(granted), reasons: [...new Set(failed.flatMap(whyFailed))] }
    },
    troublesOf: (peer) => allWorks.filter((work) => work.spec.peerRef.name === peer && isFailed(work)).length,
    shareOf: (peer) => (all === 0 ? 0 : Math.floor((1000 * ofOthers(peer)) / all)),
    now,
  })
}

function asObject(service: InferenceService, facts: PlacementFacts, decision: Decision, unknown: readonly string[]) {
  const { namespace, name } = service.metadata
  return {
    service: { namespace, name },
    strategy: facts.strategy,
    dataClass: facts.dataClass,
    total: facts.total,
    unplaced: decision.unplaced,
    candidates: decision.candidates.map((each) => ({
      owner: each.name,
      ...(each.name !== ownName && { ownerKey: each.ownerKey }),
      replicas: each.replicas,
      current: each.current,
      most: each.most === Number.POSITIVE_INFINITY ? undefined : each.most,
      limit: each.limit,
      score: each.score,
      scores: each.scores,
      reasons: each.rejections,
      ...(each.peer?.roundTripMilliseconds !== undefined && { roundTripMilliseconds: each.peer.roundTripMilliseconds }),
      ...(facts.maxPrice !== undefined && { microsPerGPUHour: each.priceMicros }),
    })),
    fixed: (service.spec.placement?.peers ?? []).flatMap(({ name: peer, replicas }) =>
      replicas === undefined ? [] : [{ owner: peer, replicas }],
    ),
    unknown,
  }
}
