import { onTestFinished } from 'vitest'
import { type OwnerRig, type OwnerRigOptions, openOwnerRig } from './owner-rig.ts'

/** Starts an owner for the test that runs. */
export async function startOwnerRig(name: string, options: OwnerRigOptions = {}): Promise<OwnerRig> {
  const rig = await openOwnerRig(name, options)
  onTestFinished(() => rig.stop())
  return rig
}
