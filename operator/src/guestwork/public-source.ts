import { type ModelSource, modelSourceSchema } from '../api/model.ts'
import type { WorkModel } from '../api/remote-work.ts'

type PublicSource = Pick<ModelSource, 'https' | 'oci' | 'huggingFace'>

/** `Requester`: from the gateway of the peer, by digest. */
export type GuestSource =
  | { ok: true; from: 'Requester' }
  | { ok: true; from: 'Public'; source: PublicSource }
  | { ok: false; message: string }

const memberOf = { Https: 'https', OCI: 'oci', HuggingFace: 'huggingFace' } as const

/** Where a guest's model comes from: only what is public, and never with a name of a Secret. */
export function sourceOf({ source, publicSource }: Pick<WorkModel, 'source' | 'publicSource'>): GuestSource {
  if (source === 'Requester') return { ok: true, from: 'Requester' }
  const member = memberOf[source]
  const { success, data } = modelSourceSchema.safeParse(parse(publicSource))
  const found = success ? data[member] : undefined
  if (!success || found === undefined || Object.values(data).filter((each) => each !== undefined).length !== 1) {
    return { ok: false, message: `publicSource is no source of type ${source}` }
  }
  if (found.credentialsSecretName !== undefined) {
    return { ok: false, message: 'publicSource must not name a Secret' }
  }
  return { ok: true, from: 'Public', source: { [member]: found } }
}

function parse(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    // Refused like anything else that is no source.
    return undefined
  }
}
