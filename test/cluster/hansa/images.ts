import { join, resolve } from 'node:path'
import type { ImageMap } from '../process-node/image-map.ts'
import { assetsFolder } from './node-cache.ts'

export const repository = resolve(import.meta.dirname, '../../..')

/** Hansa's images as process nodes run them: this checkout's source, by the Node that runs this. */
export function hansaImages(): ImageMap {
  const image = (main: string) => ({
    entrypoint: [process.execPath, join(repository, main)],
    env: { NODE_COMPILE_CACHE: assetsFolder('node-compile-cache') },
  })
  return {
    'ghcr.io/hansa-dev/operator': image('operator/src/main.ts'),
    'ghcr.io/hansa-dev/worker': image('worker-image/src/main.ts'),
  }
}
