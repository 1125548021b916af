/** The exit codes of every command; they stay as they are. */
export const exitCodes = {
  ok: 0,
  /** Something that was asked about is not well. */
  notReady: 1,
  usage: 2,
  /** The API server cannot be reached, or refuses. */
  cluster: 3,
  notFound: 4,
  /** A model source cannot be read, or is unfit. */
  source: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

export const exitCodeHelp = `
Exit codes:
  0    done, and all is well
  1    what was asked about is not ready, or a check failed
  2    wrong usage
  3    the API server cannot be reached, or refuses
  4    no such object
  5    the model source cannot be read, or is unfit
  130  interrupted`
