/** What an image name stands for on a process node. */
export interface Image {
  readonly entrypoint: readonly string[]
  /** Default: an empty folder of the container's own. */
  readonly workingDir?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Image names without tag and digest, or any prefix of one that ends before a `/`, `:` or `@`. */
export type ImageMap = Readonly<Record<string, Image>>

/** Finds the image with the longest name that fits. */
export function findImage(images: ImageMap, name: string): Image | undefined {
  const fitting = Object.keys(images).filter(
    (pattern) => name === pattern || (name.startsWith(pattern) && '/:@'.includes(name.charAt(pattern.length))),
  )
  const longest = fitting.sort((a, b) => b.length - a.length)[0]
  return longest === undefined ? undefined : images[longest]
}
