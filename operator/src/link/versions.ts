/** Versions of the protocol that this build speaks. The newest and the one before: owners upgrade when they like. */
export const protocolVersions: readonly number[] = [2, 1]

/** From this version on the answer to Present says how the called side stands; before, each side has to call. */
export const presentAnswersVersion = 2

/** The highest version that both sides speak; 0 when there is none. */
export function highestCommon(ours: readonly number[], theirs: readonly number[]): number {
  return Math.max(0, ...ours.filter((version) => theirs.includes(version)))
}
