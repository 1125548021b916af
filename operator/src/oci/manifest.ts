import { z } from 'zod'
import { HansaError } from '../process/errors.ts'

/** What the specification asks registries to take at least, and none takes much more (OCI distribution 1.1, pushing manifests). */
export const longestManifestBytes = 4 * 1024 * 1024

const imageManifest = 'application/vnd.oci.image.manifest.v1+json'

/** What is asked for: the others only so that their senders say what they have, which is then refused in words. */
export const acceptedManifests = [
  imageManifest,
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ')

export const titleAnnotation = 'org.opencontainers.image.title'

const descriptorSchema = z.object({
  mediaType: z.string().max(256),
  digest: z.string().max(256),
  size: z.int().min(0),
  annotations: z.record(z.string(), z.string()).optional(),
})
const manifestSchema = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.string().max(256).optional(),
  layers: z.array(descriptorSchema).max(4096),
})
const anySchema = z.object({ mediaType: z.string().max(256).optional() })

/** A layer that is one file as it is. */
export type Layer = { readonly mediaType: string; readonly digest: string; readonly sizeBytes: number }

/**
 * The layers of an OCI artifact by their titles (OCI image 1.1). Throws HansaError `SourceUnsupported` for everything else that a
 * registry may hold, and where two layers have one title.
 */
export function parseManifest(bytes: Uint8Array): ReadonlyMap<string, Layer> {
  const value = jsonOf(bytes)
  const mediaType = anySchema.safeParse(value).data?.mediaType ?? imageManifest
  if (mediaType !== imageManifest) throw unsupported(wrongKind(mediaType))
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) throw unsupported('the manifest is no OCI image manifest')
  const layers = new Map<string, Layer>()
  for (const { mediaType, digest, size, annotations } of parsed.data.layers) {
    const title = annotations?.[titleAnnotation]
    if (title === undefined) continue
    if (layers.has(title)) throw unsupported(`two layers have the title ${quoted(title)}`)
    layers.set(title, { mediaType, digest, sizeBytes: size })
  }
  return layers
}

/** Throws HansaError `SourceUnsupported` for a layer whose bytes are not those of a file. */
export function refusePacked(title: string, { mediaType, digest }: Layer): void {
  if (/(^|[./+-])(tar|gzip|tgz|zstd|zip|encrypted)($|[./+-])/i.test(mediaType)) {
    throw unsupported(`the layer ${quoted(title)} is packed (media type ${quoted(mediaType)})`)
  }
  if (!/^sha256:[0-9a-f]{64}$/.test(digest)) {
    throw unsupported(`the layer ${quoted(title)} has no SHA-256 but the digest ${quoted(digest)}`)
  }
}

function wrongKind(mediaType: string): string {
  if (/index|manifest\.list/.test(mediaType)) return `it is an index of several manifests (${quoted(mediaType)})`
  if (mediaType.includes('docker')) return `it is a Docker image (${quoted(mediaType)})`
  return `it is no OCI image manifest but ${quoted(mediaType)}`
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // A parser's message may quote what it parsed.
    throw unsupported('the manifest is no JSON')
  }
}

function unsupported(message: string): HansaError {
  return new HansaError('SourceUnsupported', message, {
    retry: 'never',
    hint: 'push the files as they are, each as a layer of its own: `oras push REGISTRY/NAME:TAG model.onnx`',
  })
}

const quoted = (text: string) => JSON.stringify(text.slice(0, 80)).replace(/[^\x20-\x7e]/g, '?')
