import { Agent, request } from 'undici'
import { sha256 } from '../model-source.ts'
import type { Registry } from './start-registry.ts'

export const layerType = 'application/octet-stream'
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

/** Pushes blobs by the OCI distribution protocol as a test's author would with another tool. */
export async function pushBlob(registry: Registry, name: string, bytes: Uint8Array, caPem: string): Promise<void> {
  const start = await call(registry, name, 'POST', `/v2/${name}/blobs/uploads/`, caPem)
  const location = new URL(String(start.headers.location), `https://localhost:${registry.port}`)
  location.searchParams.set('digest', `sha256:${sha256(bytes)}`)
  await call(registry, name, 'PUT', `${location.pathname}${location.search}`, caPem, bytes, layerType)
}

/** Pushes a manifest; returns its digest. */
export async function pushManifest(
  registry: Registry,
  name: string,
  manifest: object,
  caPem: string,
  options: { tag?: string; mediaType?: string } = {},
): Promise<string> {
  const bytes = Buffer.from(JSON.stringify(manifest))
  const digest = `sha256:${sha256(bytes)}`
  const reference = options.tag ?? digest
  const type = options.mediaType ?? manifestType
  await call(registry, name, 'PUT', `/v2/${name}/manifests/${reference}`, caPem, bytes, type)
  return digest
}

/** Pushes files as layers of an artifact, as `oras push` does; returns the digest of the manifest. */
export async function pushArtifact(
  registry: Registry,
  name: string,
  files: Readonly<Record<string, Uint8Array>>,
  caPem: string,
  options: { tag?: string; mediaType?: string } = {},
): Promise<string> {
  const empty = Buffer.from('{}')
  for (const bytes of [empty, ...Object.values(files)]) await pushBlob(registry, name, bytes, caPem)
  return pushManifest(
    registry,
    name,
    artifact(files, options.mediaType),
    caPem,
    options.tag === undefined ? {} : { tag: options.tag },
  )
}

/** The manifest of such an artifact. */
export function artifact(files: Readonly<Record<string, Uint8Array>>, mediaType = layerType) {
  const empty = {
    mediaType: 'application/vnd.oci.empty.v1+json',
    digest: `sha256:${sha256(Buffer.from('{}'))}`,
    size: 2,
  }
  return {
    schemaVersion: 2,
    mediaType: manifestType,
    artifactType: 'application/vnd.example.model',
    config: empty,
    layers: Object.entries(files).map(([title, bytes]) => ({
      mediaType,
      digest: `sha256:${sha256(bytes)}`,
      size: bytes.length,
      annotations: { 'org.opencontainers.image.title': title },
    })),
  }
}

async function call(
  registry: Registry,
  name: string,
  method: 'POST' | 'PUT',
  path: string,
  caPem: string,
  body?: Uint8Array,
  contentType = layerType,
) {
  const agent = new Agent({ connect: { ca: caPem } })
  const authorization = await registry.pusher(name)
  try {
    const answer = await request(`https://localhost:${registry.port}${path}`, {
      method,
      dispatcher: agent,
      headers: {
        ...(body === undefined ? { 'content-length': '0' } : { 'content-type': contentType }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(body === undefined ? {} : { body }),
    })
    const text = await answer.body.text()
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`)
    return answer
  } finally {
    await agent.destroy()
  }
}
