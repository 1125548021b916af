#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { askOn } from './ask.ts'
import { connectByKubeconfig } from './connect.ts'
import { runProgram } from './run-program.ts'

const interrupted = new AbortController()
process.once('SIGINT', () => interrupted.abort(new Error('interrupted')))
process.once('SIGTERM', () => interrupted.abort(new Error('interrupted')))
// `kubectl hansa list | head` closes our output early; that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  // npm itself refuses a package without a version.
  version: string
}
const noColour = process.env.NO_COLOR !== undefined && process.env.NO_COLOR !== ''

process.exitCode = await runProgram(process.argv.slice(2), {
  io: {
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    colour: process.stdout.isTTY === true && !noColour && process.env.TERM !== 'dumb',
    terminal: process.stderr.isTTY === true && process.env.TERM !== 'dumb',
    width: process.stderr.columns ?? 80,
    now: Date.now,
  },
  connect: connectByKubeconfig(process.env),
  ask: askOn(process.stdin, process.stderr),
  version,
  signal: interrupted.signal,
})
