/** The clients, in a thread of their own: tap watches every promise in the main one, at a price. */
import { parentPort, workerData } from 'node:worker_threads'
import { runClients, type Race } from './clients.ts'

parentPort?.postMessage(await runClients(workerData as Race))
