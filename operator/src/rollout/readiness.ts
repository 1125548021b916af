import { isReady, troubleOf } from '../inferenceservice/workers.ts'
import type { Deployment } from '../kube/builtin.ts'
import { conditionOf } from '../kube/conditions.ts'
import type { Pod } from '../kube/pod-types.ts'

/** Ends of a container that mean it will not come up; the first may be a passing trouble of the node or of the source. */
const endsUntilBroken = 2
/** A worker may miss a probe or two. */
const lostMilliseconds = 5_000
/** Scheduling and pulling the image, on top of loading; as in the Deployment's progress deadline. */
const startSeconds = 60

/** Why the workers of a new revision do not come up, or did not stay up, for good; undefined while they still may. */
export function lastingTrouble(input: {
  deployment: Deployment | undefined
  pods: readonly Pod[]
  loadSeconds: number
  /** Milliseconds since 1970. */
  now: number
}): string | undefined {
  const { deployment, loadSeconds, now } = input
  const pods = input.pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
  const down = pods.filter((pod) => !isReady(pod))
  const broken = down.find((pod) => ends(pod) >= endsUntilBroken)
  if (broken !== undefined) return troubleOf(undefined, [broken])?.message ?? `pod ${broken.metadata.name} keeps ending`
  const waited = (loadSeconds + startSeconds) * 1_000
  const late = down.find((pod) => now - unreadySince(pod) > waited)
  if (late !== undefined) {
    const why = troubleOf(undefined, [late])?.message
    return `pod ${late.metadata.name} did not become ready within ${loadSeconds + startSeconds} s${why === undefined ? '' : `: ${why}`}`
  }
  const lost = down.find((pod) => wasUp(pod) && now - unreadySince(pod) >= lostMilliseconds)
  if (lost !== undefined && down.length === pods.length) {
    return `no worker is ready any more; pod ${lost.metadata.name} was`
  }
  const progressing = conditionOf(deployment?.status?.conditions, 'Progressing')
  return progressing?.reason === 'ProgressDeadlineExceeded' ? troubleOf(deployment, pods)?.message : undefined
}

/** When the newest of the ready workers became so, in milliseconds since 1970; 0 where none is ready. */
export function newestReady(pods: readonly Pod[]): number {
  const times = pods.filter(isReady).map(({ status }) => {
    return Date.parse(conditionOf(status?.conditions, 'Ready')?.lastTransitionTime ?? '')
  })
  return Math.max(0, ...times.filter(Number.isFinite))
}

/** How often one container of the pod ended with an error, at most. */
function ends({ status }: Pod): number {
  const counts = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])].map(
    ({ state, lastState, restartCount }) => {
      const ended = state?.terminated ?? lastState?.terminated
      if (ended === undefined || ended.exitCode === 0) return 0
      return restartCount + (state?.running === undefined ? 1 : 0)
    },
  )
  return Math.max(0, ...counts)
}

/** Started, and unready since later than that: one that was never ready is unready since the pod was made. */
function wasUp(pod: Pod): boolean {
  const containers = pod.status?.containerStatuses ?? []
  return (
    containers.length > 0 &&
    containers.every(
      ({ started, state }) => started === true && Date.parse(state?.running?.startedAt ?? '') < unreadySince(pod),
    )
  )
}

/** Milliseconds since 1970; NaN where nobody has said so yet. */
function unreadySince({ metadata, status }: Pod): number {
  return Date.parse(conditionOf(status?.conditions, 'Ready')?.lastTransitionTime ?? metadata.creationTimestamp ?? '')
}
