import { sha256Of } from '@hansa/operator/peer/join-file.ts'
import { testOwner } from '../builders/federation.ts'
import { grind } from './join-mitm/grind.ts'
import { randomOf } from './join-mitm/random.ts'
import { type Attack, attacks, type Loot } from './join-mitm/rewrites.ts'
import { type Outcome, type Stage, startStage } from './join-mitm/stage.ts'

const roundsPerAttack = 5
const honestJoins = 10
const grindAttempts = 50_000

export const promise = {
  id: 'join-mitm',
  claim:
    'Somebody who reads and rewrites every file of a join, in both directions, never gets a Verified Peer with a key of his own, as long as the two admins compare fingerprints; no file that was changed leads to a Verified Peer.',
  aim: `0 Verified Peers with the attacker's key and 0 after a change, of ${attacks.length * roundsPerAttack + 1} attacks; ${honestJoins} of ${honestJoins} honest joins verified`,
}

/** Runs the real command line and the real controller of Peers on two API servers, with an attacker as the postman. */
export async function run(report: (line: string) => void): Promise<{ figures: string; holds: boolean }> {
  const seed = Number(process.env.HANSA_SEED ?? Date.now() % 1_000_000)
  report(`seed ${seed}; HANSA_SEED=${seed} repeats this run`)
  const stage = await startStage()
  try {
    const loot = await honest(stage, report)
    const refused = { accept: 0, complete: 0, telephone: 0 }
    let stolen = 0
    let changed = 0
    let n = 0
    for (const attack of attacks) {
      for (let round = 0; round < roundsPerAttack; round += 1) {
        n += 1
        const outcome = await attackOnce(stage, attack, loot.files, seed + n)
        stolen += outcome.stolen
        if (outcome.isChanged) changed += outcome.verified
        refused[outcome.refusedBy ?? 'telephone'] += 1
        if (outcome.stolen > 0 || (outcome.isChanged && outcome.verified > 0))
          report(`LOST: ${attack.name}, round ${round}`)
      }
      report(`${attack.name}: done`)
    }
    const ground = await grindOnce(stage, seed)
    n += 1
    stolen += ground.stolen
    report(`${grindAttempts} nonces tried for a fingerprint that sounds alike: ${ground.bits} of 128 bits agree`)
    const careless = await carelessOnce(stage)
    report(
      `control: admins who type their own fingerprint instead of the one that they hear lose ${careless} of 2 Peers`,
    )
    const figures = [
      `n=${n} attacks`,
      `${stolen} Verified Peers with the attacker's key`,
      `${changed} Verified after a change`,
      `${refused.accept} refused by accept, ${refused.complete} by complete, ${refused.telephone} by the fingerprint`,
      `${loot.verified} of ${honestJoins} honest joins verified`,
      `${careless} of 2 Peers lost where nobody compares`,
    ].join(', ')
    const holds = stolen === 0 && changed === 0 && loot.verified === honestJoins && careless === 2
    return { figures, holds }
  } finally {
    await stage.stop()
  }
}

async function honest(stage: Stage, report: (line: string) => void) {
  const files: { invite: string; acceptance: string }[] = []
  let verified = 0
  for (let i = 0; i < honestJoins; i += 1) {
    const invite = await stage.invite()
    const acceptance = await stage.accept(invite)
    if (acceptance === undefined) throw new Error('an honest invite was refused')
    await stage.complete(acceptance)
    await telephone(stage)
    const outcome = await stage.outcome()
    if (outcome.verified === 2 && outcome.stolen === 0) verified += 1
    files.push({ invite, acceptance })
    await stage.clear()
  }
  report(`${verified} of ${honestJoins} honest joins verified on both sides`)
  return { files, verified }
}

/** Each reads out what its side shows and types what it hears; who has nothing to compare types nothing. */
async function telephone(stage: Stage): Promise<void> {
  const [inviter, accepter] = [await stage.fingerprint('inviter'), await stage.fingerprint('accepter')]
  if (inviter === undefined || accepter === undefined) return
  await stage.verify('accepter', inviter)
  await stage.verify('inviter', accepter)
}

async function attackOnce(
  stage: Stage,
  attack: Attack,
  earlier: Loot['earlier'],
  seed: number,
): Promise<Outcome & { isChanged: boolean }> {
  const random = randomOf(seed)
  const mallory = await testOwner(random.pick(['mallory', 'clinic', 'university']))
  const invite = await stage.invite()
  const ownInvite = attack.needsOwnInvite === true ? await stage.invite('mallory') : undefined
  const loot: Loot = { mallory, invite, acceptance: undefined, givenInvite: invite, earlier, ownInvite, random }
  loot.givenInvite = (await attack.invite?.(loot)) ?? invite
  loot.acceptance = await stage.accept(loot.givenInvite)
  const sent = attack.acceptance === undefined ? loot.acceptance : await attack.acceptance(loot)
  const isTaken = sent !== undefined && (await stage.complete(sent))
  await telephone(stage)
  const outcome = await stage.outcome()
  await stage.clear()
  const isChanged = loot.givenInvite !== invite || sent !== loot.acceptance
  const refusedBy = loot.acceptance === undefined ? 'accept' : isTaken ? undefined : 'complete'
  return { ...outcome, isChanged, refusedBy }
}

/** The attacker has the accepter's answer and as much time as he wants to make the inviter's fingerprint fit. */
async function grindOnce(stage: Stage, seed: number) {
  const random = randomOf(seed)
  const mallory = await testOwner('university')
  const invite = await stage.invite()
  const { expires, nonce } = JSON.parse(invite)
  await stage.accept(`${JSON.stringify({ ...JSON.parse(invite), bundle: mallory.envelope }, null, 2)}\n`)
  const target = await stage.fingerprint('accepter')
  if (target === undefined) throw new Error('the accepter took no invite of the attacker')
  const { rootKey, trustDomain, ownerId, clusterName } = stage.clinic.bundle
  const inviter = { rootKey, trustDomain, ownerId, clusterName, nonce }
  const given = { inviter, mallory, inviteSha256: sha256Of(invite), expires, target, attempts: grindAttempts }
  const { acceptance, bits } = grind(given, random)
  await stage.complete(acceptance)
  await telephone(stage)
  const outcome = await stage.outcome()
  await stage.clear()
  return { ...outcome, bits }
}

/** Shows that the attack is real: without the comparison it wins. */
async function carelessOnce(stage: Stage): Promise<number> {
  const mallory = await testOwner('mallory')
  const invite = await stage.invite()
  const bundle = mallory.envelope
  const acceptance = await stage.accept(`${JSON.stringify({ ...JSON.parse(invite), bundle }, null, 2)}\n`)
  if (acceptance === undefined) throw new Error('the accepter took no invite of the attacker')
  const inviteSha256 = sha256Of(invite)
  await stage.complete(`${JSON.stringify({ ...JSON.parse(acceptance), inviteSha256, bundle }, null, 2)}\n`)
  for (const side of ['inviter', 'accepter'] as const) {
    const own = await stage.fingerprint(side)
    if (own !== undefined) await stage.verify(side, own)
  }
  const { stolen } = await stage.outcome()
  await stage.clear()
  return stolen
}
