import { sha256 } from './model-source.ts'

/** Body of a PUT for files at `url`; `changes` replaces members. */
export function modelRequest(url: string, files: Record<string, Uint8Array>, changes: object = {}) {
  return {
    namespace: 'radiology',
    name: 'triage',
    uid: 'c0ffee00-0000-4000-8000-000000000001',
    generation: 1,
    format: 'ONNX',
    source: { https: { url } },
    files: Object.entries(files).map(([path, bytes]) => ({ path, sha256: sha256(bytes), sizeBytes: bytes.length })),
    ...changes,
  }
}
