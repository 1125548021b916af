import type { Owner, Stage } from './owner.ts'
import type { Result } from './workers.ts'

/** Where results of the work arrive at the requester: one transaction judges, counts and moves the fence. */
export function deliverResult<M>(
  stage: Stage,
  requester: Owner<M>,
  from: string,
  result: Result,
  taken: (countedRound: number) => void,
  workload: 'Serve' | 'Train',
): void {
  let countedRound = 0
  stage.network.call(
    from,
    requester.name,
    () => {
      const round = judge(stage, requester, result, workload)
      if (round === undefined) return false
      countedRound = round
      return true
    },
    () => taken(countedRound),
  )
}

function judge<M>(
  { protocol, checks, world }: Stage,
  { store, link }: Owner<M>,
  result: Result,
  workload: 'Serve' | 'Train',
): number | undefined {
  if (!link.up) return undefined
  const found = store.view().get('work', 'w')
  if (found === undefined || found.value.deleted) return undefined
  const { value: work, version } = found
  const epoch = store.view().get('remote', work.current ?? '')?.value.status.lease?.epoch ?? 0
  const current = { uid: work.current, attempt: work.attempt, epoch }
  if (workload === 'Serve') {
    const refusal = protocol.refuseOrigin(work.fence, result)
    world.count(refusal === undefined ? 'answer of a worker taken' : `answer of a worker refused: ${refusal}`)
    if (refusal === undefined) checks.accepted(result, current, [])
    return 0
  }
  const judged = protocol.judgeResult(work.fence, result)
  if (!judged.ok) {
    world.count(`result refused: ${judged.reason}`)
    return work.fence?.round ?? 0
  }
  const counted = [...work.counted, result.round]
  store.write('work', 'w', version, { ...work, fence: judged.fence, counted })
  checks.accepted(result, current, counted)
  return judged.fence.round
}
