import { join, resolve } from 'node:path'
import type { ImageMap } from '../process-node/image-map.ts'
import { cacheFolder } from './cache-folder.ts'

export const repository = resolve(import.meta.dirname, '../../..')

/** Hansa's images as process nodes run them: this checkout's source, by the Node that runs this. */
export function hansaImages(): ImageMap {
  const image = (main: string) => ({
    entrypoint: [process.execPath, join(repository, main)],
    env: { NODE_COMPILE_CACHE: cacheFolder('node-compile-cache') },
  })
  return {
    'ghcr.io/hansa-dev/operator': image('operator/src/main.ts'),
    'ghcr.io/hansa-dev/worker': image('worker-image/src/main.ts'),
  }
}
