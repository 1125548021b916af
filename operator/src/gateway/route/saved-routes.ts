import { SavedState, type SavedStateDeps } from '../saved-state.ts'
import { routeSpecSchema, type SavedRoute } from './route-spec.ts'

/** The last known routes on disk, for a gateway that starts while the API server is away. */
export class SavedRoutes extends SavedState<SavedRoute> {
  constructor(deps: Pick<SavedStateDeps<SavedRoute>, 'stateDir' | 'clock' | 'log'>) {
    // Routes of version 1 lack fields that have defaults.
    super({ ...deps, fileName: 'routes.json', versions: [2, 1], field: 'routes', item: routeSpecSchema })
  }
}
