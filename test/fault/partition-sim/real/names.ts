export const systemNamespace = 'hansa-system'
/** Where the requester's works are. */
export const workNamespace = 'lab'
/** Where the executor lets guests run. */
export const guestNamespace = 'guests'
