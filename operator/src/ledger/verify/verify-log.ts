import { checkpointPayloadType, checkpointSchema, cosignatureSchema, messageKinds } from '../../federation/messages.ts'
import { isConsistent, isIncluded } from '../log/verify.ts'
import { leafHash } from '../receipt.ts'
import type { AcrossFiles } from './across-files.ts'
import { type Cluster, type KeysInTime, nameOf } from './keys-in-time.ts'
import { openSigned } from './open-signed.ts'

type Head = { size: number; root: string; issued: number }

/** Checks the checkpoints of one log, and that entries are in it. */
export class LogVerifier {
  last: Head | undefined
  /** Witnesses of the newest checkpoint. */
  cosignedBy: string[] = []
  readonly #deps: { log: Cluster; keys: KeysInTime; across: AcrossFiles; file: string }

  constructor(deps: { log: Cluster; keys: KeysInTime; across: AcrossFiles; file: string }) {
    this.#deps = deps
  }

  checkpoint(envelope: string, proof: readonly string[]): string[] {
    const { log, keys, across, file } = this.#deps
    const opened = openSigned(envelope, checkpointPayloadType, checkpointSchema)
    if (typeof opened === 'string') return [`a checkpoint cannot be read: ${opened}`]
    const { message, issued } = opened
    const { size, root } = message
    const wrong: string[] = []
    const add = (problem: string | undefined) => problem !== undefined && wrong.push(`checkpoint ${size}: ${problem}`)
    if (nameOf(message.issuer) !== nameOf(log)) add(`it is of the log of ${nameOf(message.issuer)}`)
    add(keys.problem(message.issuer, opened.envelope, issued))
    const said = across.problem(`the root of ${nameOf(message.issuer)} at ${size} entries`, root, file)
    if (said !== undefined) add(`split view or fork: ${said}`)
    const before = this.last
    if (before === undefined) {
      if (proof.length > 0) add('a proof stands where there is nothing before it')
    } else if (size <= before.size || issued < before.issued) {
      add(`it does not come after the checkpoint ${before.size}`)
    } else if (!isConsistent({ from: before.size, fromRoot: before.root, to: size, toRoot: root, proof })) {
      add(`fork: the log does not go on from the checkpoint ${before.size}`)
    }
    this.last = { size, root, issued }
    this.cosignedBy = []
    return wrong
  }

  cosignature(envelope: string): string[] {
    const { log, keys } = this.#deps
    const { last } = this
    if (last === undefined) return ['a cosignature comes before any checkpoint']
    const opened = openSigned(envelope, messageKinds.Cosignature.payloadType, cosignatureSchema)
    if (typeof opened === 'string') return [`a cosignature cannot be read: ${opened}`]
    const { message, issued } = opened
    const witness = nameOf(message.issuer)
    const wrong: string[] = []
    if (nameOf(message.log) !== nameOf(log)) wrong.push(`the cosignature of ${witness} is of another log`)
    if (message.size !== last.size || message.root !== last.root) {
      wrong.push(`split view: ${witness} cosigned another root than that of checkpoint ${last.size}`)
    }
    if (witness === nameOf(log)) wrong.push('the owner of the log is no witness of it')
    const key = keys.problem(message.issuer, opened.envelope, issued)
    if (key !== undefined) wrong.push(`the cosignature of ${witness}: ${key}`)
    if (wrong.length === 0) this.cosignedBy.push(witness)
    return wrong
  }

  /** Whether an envelope is in the log at the newest checkpoint. */
  entry(
    what: string,
    { envelope, index, proof }: { envelope: string; index: number; proof: readonly string[] },
  ): string[] {
    const { last } = this
    if (last === undefined) return [`${what} comes before any checkpoint`]
    const leaf = leafHash(Buffer.from(envelope))
    return isIncluded({ leaf, index, size: last.size, root: last.root, proof })
      ? []
      : [`${what} is not in the log at index ${index}`]
  }
}
