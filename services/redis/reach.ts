/** How keys are asked that help a decision and do not make it, such as the index of a Cluster. */

/** Asks about keys which may lie in a part of the Cluster that is out. */
export interface Reach {
  /**
   * Asks about a key.
   * @param writes - whether it is only written, which a part that is coming back needs, too
   * @returns undefined where its slot is out; what is to be written there is told later
   */
  ask<T>(key: string, question: () => Promise<T>, writes?: boolean): Promise<T | undefined>
}

/** Asks all keys alike; a failure is the caller's. */
export const EVERYWHERE: Reach = { ask: async (_key, question) => await question() }
