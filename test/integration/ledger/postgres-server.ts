import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresOptions } from '../../../operator/src/ledger/store/postgres-database.ts'
import { freePorts } from '../../cluster/ports.ts'
import { startTethered, type TetheredProcess } from '../../cluster/tethered-process.ts'

export type PostgresServer = {
  options: PostgresOptions
  /** SIGKILL to all of it; `start` again brings it back with its data. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Folder of PostgreSQL's programs: on the path, or where Debian's package puts them. */
function programs(): string {
  const debian = '/usr/lib/postgresql'
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const found = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env.PATH ?? '').split(':')]
  const folder = found.find((path) => existsSync(join(path, 'initdb')) && existsSync(join(path, 'postgres')))
  if (folder === undefined) throw new Error('no PostgreSQL here; install it: apt-get install postgresql')
  return folder
}

/** PostgreSQL refuses to run as root, so that root starts it as `nobody`. */
const nobody = process.getuid?.() === 0 ? 65_534 : undefined
const asUser = nobody === undefined ? {} : { uid: nobody, gid: nobody }

/** A real PostgreSQL server of its own, on a port of loopback, with its data in a new folder. */
export async function startPostgres(): Promise<PostgresServer> {
  const bin = programs()
  const folder = await mkdtemp(join(tmpdir(), 'hansa-postgres-'))
  if (nobody !== undefined) await chown(folder, nobody, nobody)
  const data = join(folder, 'data')
  const env = { ...process.env, LC_ALL: 'C' }
  const made = spawnSync(join(bin, 'initdb'), ['-D', data, '-U', 'hansa', '-A', 'trust', '-E', 'UTF8', '--no-sync'], {
    ...asUser,
    env,
    cwd: folder,
  })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  const [port = 0] = await freePorts(1)
  const options: PostgresOptions = { host: '127.0.0.1', port, database: 'postgres', user: 'hansa', tls: false }
  const args = ['-D', data, '-h', '127.0.0.1', '-p', String(port), '-k', folder, '-c', 'max_connections=20']
  const command = join(bin, 'postgres')
  let running: TetheredProcess | undefined

  const start = async () => {
    const process =
      nobody === undefined
        ? startTethered({ command, args, env, cwd: folder, stderr: 'pipe' })
        : startTethered({
            command: 'setpriv',
            args: [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', command, ...args],
            env,
            cwd: folder,
            stderr: 'pipe',
          })
    running = process
    let log = ''
    await new Promise<void>((resolve, reject) => {
      process.child.stderr?.on('data', (chunk: Buffer) => {
        log = `${log}${chunk}`.slice(-20_000)
        if (log.includes('database system is ready to accept connections')) resolve()
      })
      process.exited.then(() => reject(new Error(`postgres ended: ${log}`)), reject)
    })
  }
  await start()
  return {
    options,
    start,
    kill: async () => {
      running?.killGroup()
      await running?.exited
    },
    stop: async () => {
      running?.signal('SIGINT') // fast shutdown: does not wait for clients
      await running?.exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}
